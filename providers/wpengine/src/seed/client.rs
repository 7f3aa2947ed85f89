//! What the seed's API is asked, and how its pages are walked.
//!
//! Invariant: lists are asked for in the order of creation, so that a page doesn't change while it is followed; a cursor holds
//! the length of the pages that it counts.

use super::{
    convert,
    types::{Listing, Site},
};
use crate::{error, settings::API as NAME};
use portico_sdk::{
    Error, Page, PageRequest, Upstream,
    error::{internal, invalid_input},
};
use serde_json::Value;

pub const API: Upstream = Upstream::named(NAME).with_error_parser(error::parse);

/// The document's own limit of a page.
const PAGE: u32 = 100;
/// A walk that is longer is no list any more.
const MOST_PAGES: u32 = 500;

/// How a list is asked for.
#[derive(Clone, Copy)]
pub struct Order<'a> {
    pub order: &'a str,
    pub status: Option<&'a str>,
}

pub const OLDEST_FIRST: Order<'_> = Order { order: "asc", status: None };
pub const NEWEST_FIRST: Order<'_> = Order { order: "desc", status: None };

fn page(path: &[&str], order: Order<'_>, number: u64, per_page: u32) -> Result<(Vec<Value>, Option<u64>), Error> {
    let request = API.get(path).query("page", number).query("per_page", per_page);
    let request = request.query("sort", "created_at").query("order", order.order).query_if("status", order.status);
    let listing: Listing = request.json()?;
    let next = convert::next_page(&listing);
    if next.is_some_and(|next| next <= number) {
        return Err(internal("WP Engine's next page doesn't lead further"));
    }
    Ok((listing.results, next))
}

/// The cursor is `page:per_page`.
pub fn model_page<T>(
    path: &[&str],
    order: Order<'_>,
    request: &PageRequest,
    convert: impl FnMut(Value) -> Result<T, Error>,
) -> Result<Page<T>, Error> {
    let (number, per_page) = place(request)?;
    let (items, next) = page(path, order, number, per_page)?;
    let items = items.into_iter().map(convert).collect::<Result<_, _>>()?;
    Ok(Page { items, next: next.map(|number| format!("{number}:{per_page}")) })
}

fn place(request: &PageRequest) -> Result<(u64, u32), Error> {
    let Some(cursor) = request.cursor.as_deref() else { return Ok((1, request.limit.clamp(1, PAGE))) };
    let parsed = cursor.split_once(':').and_then(|(number, per_page)| Some((number.parse().ok()?, per_page.parse().ok()?)));
    let fits = parsed.filter(|(number, per_page)| *number > 0 && (1..=PAGE.min(request.limit.max(1))).contains(per_page));
    fits.ok_or_else(|| invalid_input("cursor", "this cursor isn't one of ours"))
}

/// Walks until `found` gives something.
pub fn find<T>(
    path: &[&str],
    order: Order<'_>,
    mut found: impl FnMut(Value) -> Result<Option<T>, Error>,
) -> Result<Option<T>, Error> {
    let mut number = 1;
    for _ in 0..MOST_PAGES {
        let (items, next) = page(path, order, number, PAGE)?;
        for item in items {
            if let Some(it) = found(item)? {
                return Ok(Some(it));
            }
        }
        let Some(next) = next else { return Ok(None) };
        number = next;
    }
    Err(internal(format!("a list of WP Engine has more than {MOST_PAGES} pages")))
}

pub fn site(id: &str) -> Result<Site, Error> {
    API.get(["sites", id]).json()
}

pub fn site_if_found(id: &str) -> Result<Option<Site>, Error> {
    API.get(["sites", id]).json_if_found()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_keep_their_length() {
        let at = |cursor: Option<&str>, limit| place(&PageRequest { cursor: cursor.map(str::to_owned), limit });
        assert_eq!(at(None, 1000).unwrap(), (1, 100));
        assert_eq!(at(None, 7).unwrap(), (1, 7));
        assert_eq!(at(Some("3:7"), 7).unwrap(), (3, 7));
        for (bad, limit) in [("", 7), ("3", 7), ("0:7", 7), ("3:8", 7), ("3:101", 1000), ("3:0", 7), ("x:y", 7)] {
            assert_eq!(at(Some(bad), limit).unwrap_err().field.as_deref(), Some("cursor"), "{bad}");
        }
    }
}
