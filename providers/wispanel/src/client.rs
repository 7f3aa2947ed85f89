//! Requests to a panel, and what their answers have in common.
//!
//! Invariant: an answer that says `"success": false` is an error, whatever its status; a list is read to its last page.

use crate::{convert, error, settings::UPSTREAM};
use portico_sdk::{
    Error, ErrorKind, Upstream,
    error::{forbidden, internal, unavailable},
    upstream::{Request, Response},
};
use serde_json::Value;

/// Everything that is asked of the panel.
pub const PANEL: Upstream = Upstream::named(UPSTREAM).with_error_parser(error::parse);

/// More pages than this are an answer that makes no sense: with 60 requests a minute, nobody could wait for them.
const MAX_PAGES: u64 = 50;

/// So often a list is begun whose pages change meanwhile.
const READS: u32 = 3;

pub fn get(path: &[&str]) -> Request {
    PANEL.get(path)
}

/// One of the toolkit's reading calls about an installation. How it is named isn't documented; its other calls say `id`.
pub fn get_of(last: &[&str], site: &str) -> Request {
    get(&[&["wordpress"], last].concat()).query("id", site)
}

/// The answer's JSON; null where a success has no body. A page of HTML is no success: panels answer so where they know no such call.
pub fn told(response: &Response) -> Result<Value, Error> {
    let value: Value = if response.body.trim_ascii().is_empty() { Value::Null } else { response.json()? };
    if value.get("success") == Some(&Value::Bool(false)) {
        let silent = || internal("WisPanel says that it didn't succeed, and not why").with_upstream_status(response.status);
        return Err(error::of_body(&value, response.status).unwrap_or_else(silent));
    }
    Ok(value)
}

/// An answer that must have a body.
pub fn read(request: Request) -> Result<Value, Error> {
    match told(&request.send()?)? {
        Value::Null => Err(internal("WisPanel answered nothing")),
        told => Ok(told),
    }
}

/// All items of a list. What comes or goes while its pages are read moves others from page to page: then it is read again.
pub fn list(request: &Request, names: &[&str]) -> Result<Vec<Value>, Error> {
    for _ in 0..READS {
        if let Some(items) = pages(request, names)? {
            return Ok(items);
        }
    }
    Err(unavailable("WisPanel's list changed each time while its pages were read"))
}

/// None when the list changed meanwhile, as its total tells.
fn pages(request: &Request, names: &[&str]) -> Result<Option<Vec<Value>>, Error> {
    let first = convert::items(read(request.clone())?, names)?;
    if first.last_page > MAX_PAGES {
        return Err(internal(format!("WisPanel tells of {} pages, and {MAX_PAGES} are read at most", first.last_page)));
    }
    let mut items = first.items;
    for page in 2..=first.last_page {
        let next = convert::items(read(request.clone().query("page", page))?, names)?;
        if next.total != first.total {
            return Ok(None);
        }
        if next.page.is_some_and(|told| told != page) {
            return Err(internal(format!("WisPanel was asked for page {page} of a list and gave another one")));
        }
        items.extend(next.items);
    }
    Ok(Some(items))
}

/// Whose key it is: `{"username", "role", "status", "package", …}`.
pub fn me() -> Result<Value, Error> {
    Ok(convert::object(read(get(&["auth", "me"]))?, &["user"]))
}

/// Every installation that the key may see. Where it may see none, `/auth/me` tells whether the key or its scope is at fault.
pub fn installations() -> Result<Vec<Value>, Error> {
    match list(&get(&["wordpress", "installations"]), &["installations"]) {
        Err(refused) if refused.is(ErrorKind::Forbidden) => Err(scope(refused)),
        answer => answer,
    }
}

fn scope(refused: Error) -> Error {
    let known = match me() {
        Ok(me) => convert::text(&me, &["username"]).and_then(|name| error::one_line(&name)),
        Err(error) if error.is(ErrorKind::Unauthenticated) => return error,
        Err(_) => return refused,
    };
    let owner = known.map(|name| format!(" of {name}")).unwrap_or_default();
    let message = format!("WisPanel knows the key{owner}, but its permissions leave the WordPress toolkit out; give it `all`");
    Error { upstream_status: refused.upstream_status, ..forbidden(message) }
}

/// The installation, or none when the panel doesn't list it.
pub fn installation(id: &str) -> Result<Option<Value>, Error> {
    let is_it = |value: &Value| convert::text(value, &["id"]).as_deref() == Some(id);
    Ok(installations()?.into_iter().find(is_it))
}
