//! The endpoints of the API, in the order in which the document shows them.
//!
//! In goes nothing, out come endpoints: their handlers, words and shapes. Invariant: what isn't here isn't there: the router, the
//! OpenAPI document and the tests over all endpoints are made from this list alone.

mod account;
mod identity;
mod sites;
mod wordpress;

use super::spec::Endpoint;

pub fn endpoints() -> Vec<Endpoint> {
    let mut all = sites::endpoints();
    all.extend(wordpress::endpoints());
    all.extend(account::endpoints());
    all.extend(identity::endpoints());
    all
}
