//! Sites: WordPress installations.
//!
//! Invariant: the panel's list decides what there is; a place that has an installation never gets another one.

use crate::{
    WisPanel, client, convert, error,
    handle::{Handle, Place, Task},
    sent,
    wordpress::in_production,
};
use portico_sdk::{
    Call, Error, ErrorKind, Page, PageRequest, Site, SiteKind, Sites, Work, clock,
    error::{conflict, invalid_input, not_found, unsupported},
    json,
    sites::{Admin, SiteClone, SiteCreate},
};
use serde::Deserialize;
use serde_json::{Value, json};

/// `options` of a new site and of a clone; `settings::site_options` describes them.
#[derive(Deserialize)]
struct Options {
    path: Option<String>,
    db_name: Option<String>,
    #[serde(default)]
    add_domain: bool,
}

impl Options {
    fn parse(text: &str) -> Result<Self, Error> {
        let options: Self = json::strict(text).map_err(|_| invalid_input("options", "these options don't fit"))?;
        let climbs = |path: &String| path.starts_with('/') || path.split('/').any(|part| part == ".." || part == ".");
        match &options.path {
            Some(path) if climbs(path) => Err(invalid_input("options.path", "name a folder inside the domain's home")),
            _ => Ok(options),
        }
    }

    fn path(&self) -> &str {
        self.path.as_deref().map(|path| path.trim_end_matches('/')).filter(|path| !path.is_empty()).unwrap_or("public_html")
    }
}

pub fn unknown() -> Error {
    not_found("WisPanel doesn't know this installation")
}

/// The installation at this place, if there is one.
pub fn at(place: &Place) -> Result<Option<Value>, Error> {
    Ok(client::installations()?.into_iter().find(|value| is_at(value, place)))
}

fn is_at(value: &Value, place: &Place) -> bool {
    let same_domain = convert::domain_of(value).as_deref() == Some(place.domain.as_str());
    let told = convert::text(value, &["path"]);
    let told = told.as_deref().map(|path| path.trim_end_matches('/'));
    let same_path = match (&place.path, told) {
        (Some(path), Some(told)) => told == path || told.ends_with(&format!("/{path}")),
        _ => true,
    };
    same_domain && same_path
}

/// The panel's own key for this is honoured, so a domain is never added twice; one that is there already is fine.
fn add_domain(call: &Call, domain: &str) -> Result<(), Error> {
    let added = client::PANEL.post(["domains"]).json_body(&json!({"domain": domain})).keyed(call).send();
    match added.and_then(|response| client::told(&response)) {
        Err(error) if !error.is(ErrorKind::Conflict) => Err(error),
        _ => Ok(()),
    }
}

/// Makes an installation where none is.
fn make(call: &Call, place: Place, add: bool, last: &str, body: &Value) -> Result<Work, Error> {
    if at(&place)?.is_some() {
        return Err(conflict("there is a WordPress at this place already").with_field("domain"));
    }
    if add {
        add_domain(call, &place.domain)?;
    }
    let answer = sent::send(&call.operation_id, client::PANEL.post(["wordpress", last]).json_body(body))?;
    Handle::new(Task::Appear(place), convert::job(&answer), clock::now()).work()
}

/// The panel tells the password to nobody afterwards, and what isn't kept can't be shown at the end: so the user chooses it.
fn administrator(admin: Option<&Admin>) -> Result<(&Admin, &str), Error> {
    let admin =
        admin.ok_or_else(|| invalid_input("admin", "WisPanel wants an administrator: give user, email and password"))?;
    let missing =
        || invalid_input("admin.password", "choose the administrator's password: WisPanel doesn't tell it afterwards");
    Ok((admin, admin.password.as_deref().ok_or_else(missing)?))
}

/// A database's name that no other operation makes up (FNV-1a), short enough for the owner's name before it.
fn made_up(operation: &str) -> String {
    let mix = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    let hash = operation.bytes().fold(0xcbf2_9ce4_8422_2325, mix);
    format!("wp_{:08x}", (hash >> 32) ^ (hash & 0xffff_ffff))
}

fn domain(given: Option<String>) -> Result<String, Error> {
    given.ok_or_else(|| invalid_input("domain", "WisPanel installs WordPress in a domain: name one of the account's"))
}

impl Sites for WisPanel {
    fn list(&self, page: &PageRequest) -> Result<Page<Site>, Error> {
        let all = client::installations()?.iter().map(convert::site).collect::<Result<Vec<_>, _>>()?;
        Ok(Page::by_id(all, page, |site| &site.id))
    }

    fn get(&self, id: &str) -> Result<Site, Error> {
        convert::site(&client::installation(id)?.ok_or_else(unknown)?)
    }

    fn create(&self, call: &Call, input: SiteCreate) -> Result<Work, Error> {
        match input.kind {
            SiteKind::Wordpress => {}
            SiteKind::Plain => return Err(unsupported("sites.create.kind.plain")),
            SiteKind::StaticFiles => return Err(unsupported("sites.create.kind.static")),
        }
        let options = Options::parse(&input.options)?;
        let (admin, password) = administrator(input.admin.as_ref())?;
        let place = Place { domain: domain(input.domain)?, path: Some(options.path().to_owned()) };
        let body = json!({
            "domain": place.domain,
            "path": options.path(),
            "title": input.title.as_ref().unwrap_or(&input.name),
            "admin_user": admin.user,
            "admin_password": password,
            "admin_email": admin.email,
            "db_name": options.db_name.clone().unwrap_or_else(|| made_up(&call.operation_id)),
        });
        make(call, place, options.add_domain, "install", &body).map_err(|error| error::without(error, password))
    }

    fn delete(&self, _call: &Call, id: &str) -> Result<Work, Error> {
        client::installation(id)?.ok_or_else(unknown)?;
        let response = client::PANEL.delete(["wordpress", "delete"]).json_body(&json!({"id": id})).send()?;
        client::told(&response)?;
        Handle::new(Task::Delete { site: id.to_owned() }, None, clock::now()).work()
    }

    /// The copy bears its source's title: the panel takes nothing but the domain.
    fn clone(&self, call: &Call, id: &str, input: SiteClone) -> Result<Work, Error> {
        in_production(input.source_environment.as_deref()).map_err(|error| error.with_field("source_environment"))?;
        let options = Options::parse(&input.options)?;
        if options.path.is_some() || options.db_name.is_some() {
            return Err(invalid_input("options", "a clone takes no option but add_domain"));
        }
        client::installation(id)?.ok_or_else(unknown)?;
        let place = Place { domain: domain(input.domain)?, path: None };
        let body = json!({"source_id": id, "target_domain": place.domain});
        make(call, place, options.add_domain, "clone", &body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places() {
        let there = json!({"domain": "Blog.com", "path": "/var/www/domains/blog.com/public_html/"});
        for (domain, path, expected) in [
            ("blog.com", Some("public_html"), true),
            ("blog.com", None, true),
            ("blog.com", Some("public_html/shop"), false),
            ("blog.com", Some("html"), false),
            ("shop.com", Some("public_html"), false),
        ] {
            let place = Place { domain: domain.into(), path: path.map(str::to_owned) };
            assert_eq!(is_at(&there, &place), expected, "{place:?}");
        }
        let place = Place { domain: "blog.com".into(), path: Some("public_html".into()) };
        assert!(is_at(&json!({"domain": "blog.com"}), &place), "without a path, it may be there");
    }

    #[test]
    fn options_and_their_limits() {
        for (text, path) in [
            ("{}", Some("public_html")),
            (r#"{"path": "public_html/shop/"}"#, Some("public_html/shop")),
            (r#"{"path": "/"}"#, None),
            (r#"{"path": "../other"}"#, None),
            (r#"{"path": "/etc"}"#, None),
            (r#"{"more": 1}"#, None),
        ] {
            assert_eq!(Options::parse(text).ok().map(|options| options.path().to_owned()).as_deref(), path, "{text}");
        }
        assert_ne!(made_up("op_1"), made_up("op_2"));
        assert_eq!(made_up("op_1").len(), 11);
    }
}
