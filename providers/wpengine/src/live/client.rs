//! What the live API is asked, and how its pages are walked.
//!
//! Invariant: every request is a path below the connection's own base; a `next` link gives an offset and nothing else.

use super::{
    convert,
    types::{Install, Listing, Reference, Site},
};
use crate::{error, settings::API as NAME};
use portico_sdk::{
    Error, Page, PageRequest, Upstream,
    error::{internal, invalid_input},
    json,
};
use serde_json::Value;

pub const API: Upstream = Upstream::named(NAME).with_error_parser(error::parse);

/// The vendor's own limit of a page.
const PAGE: u32 = 100;
/// A walk that is longer is no list any more.
const MOST_PAGES: u32 = 500;

/// Query pairs beside the paging.
pub type Filter<'a> = Option<(&'a str, &'a str)>;

pub fn page(path: &[&str], filter: Filter<'_>, offset: u64, limit: u32) -> Result<(Vec<Value>, Option<u64>), Error> {
    let request = API.get(path).query("limit", limit.min(PAGE)).query("offset", offset);
    let request = match filter {
        Some((name, value)) => request.query(name, value),
        None => request,
    };
    let listing: Listing = request.json()?;
    let next = convert::next_offset(listing.next.as_deref(), offset)?;
    Ok((listing.results, next))
}

/// The cursor is the offset.
pub fn model_page(path: &[&str], filter: Filter<'_>, request: &PageRequest) -> Result<Page<Value>, Error> {
    let (items, next) = page(path, filter, offset(request)?, request.limit)?;
    Ok(Page { items, next: next.map(|offset| offset.to_string()) })
}

fn offset(request: &PageRequest) -> Result<u64, Error> {
    let cursor = request.cursor.as_deref().unwrap_or("0");
    cursor.parse().map_err(|_| invalid_input("cursor", "this cursor isn't one of ours"))
}

/// Walks until `found` gives something.
pub fn find<T>(
    path: &[&str],
    filter: Filter<'_>,
    mut found: impl FnMut(Value) -> Result<Option<T>, Error>,
) -> Result<Option<T>, Error> {
    let mut offset = 0;
    for _ in 0..MOST_PAGES {
        let (items, next) = page(path, filter, offset, PAGE)?;
        for item in items {
            if let Some(it) = found(item)? {
                return Ok(Some(it));
            }
        }
        let Some(next) = next else { return Ok(None) };
        offset = next;
    }
    Err(internal(format!("a list of WP Engine has more than {MOST_PAGES} pages")))
}

pub fn site_value(site: &str) -> Result<Value, Error> {
    API.get(["sites", site]).json()
}

pub fn site(site: &str) -> Result<Site, Error> {
    json::read(&site_value(site)?)
}

pub fn site_if_found(site: &str) -> Result<Option<Site>, Error> {
    API.get(["sites", site]).json_if_found()
}

pub fn installs(site: &Site) -> Result<Vec<Install>, Error> {
    site.installs.as_deref().unwrap_or_default().iter().map(json::read).collect()
}

pub fn install_value(install: &str) -> Result<Value, Error> {
    API.get(["installs", install]).json()
}

pub fn install(install: &str) -> Result<Install, Error> {
    json::read(&install_value(install)?)
}

/// The install that a user means by an environment of a site; an install of another site is none of it.
pub fn resolve(site_id: &str, environment: Option<&str>) -> Result<Install, Error> {
    convert::pick(&installs(&site(site_id)?)?, environment)
}

/// Those that are meant: one, or all of the site.
pub fn resolve_all(site_id: &str, environment: Option<&str>) -> Result<Vec<Install>, Error> {
    let all = installs(&site(site_id)?)?;
    match environment {
        None => Ok(all),
        Some(_) => Ok(vec![convert::pick(&all, environment)?]),
    }
}

/// Every account of the user, or the one of the settings.
pub fn accounts(chosen: Option<&str>) -> Result<Vec<String>, Error> {
    if let Some(account) = chosen {
        return Ok(vec![account.to_owned()]);
    }
    let mut accounts = Vec::new();
    find(&["accounts"], None, |account| {
        accounts.push(json::read::<Reference>(&account)?.id);
        Ok(None::<()>)
    })?;
    Ok(accounts)
}

/// Where something new belongs.
pub fn account(chosen: Option<&str>) -> Result<String, Error> {
    let mut accounts = accounts(chosen)?;
    match (accounts.pop(), accounts.is_empty()) {
        (Some(only), true) => Ok(only),
        (None, _) => Err(portico_sdk::error::forbidden("the API user belongs to no account of WP Engine")),
        _ => Err(invalid_input(
            "settings.account_id",
            "the API user has several accounts: name one in the connection's settings",
        )),
    }
}
