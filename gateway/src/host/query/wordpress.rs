//! Reading calls of the WordPress toolkit.
//!
//! Invariant: a site's plugins come in one list, which is bounded as every list is.

use super::{Limits, Running, ask, weight};
use crate::{
    host::{convert, trap::broken},
    model::{Error, Extension, WordpressAnswer, WordpressQuery, WordpressTarget},
};
use portico_bindings::exports::portico::provider::wordpress as guest;

pub(super) async fn wordpress(
    limits: &Limits,
    running: Running,
    target: &WordpressTarget,
    asked: WordpressQuery,
) -> Result<WordpressAnswer, Error> {
    let target = convert::wordpress_target(target);
    match asked {
        WordpressQuery::Status => {
            let (running, answer) = ask!(running, wordpress.call_get_status(&target));
            running.rest();
            convert::wordpress_status(answer).map(WordpressAnswer::Status)
        }
        WordpressQuery::Extensions(kind) => {
            let (running, answer) = ask!(running, wordpress.call_extensions(&target, convert::extension_kind(kind)));
            running.rest();
            extensions(limits, answer).map(WordpressAnswer::Extensions)
        }
        WordpressQuery::Cache => {
            let (running, answer) = ask!(running, wordpress.call_get_cache(&target));
            running.rest();
            convert::wordpress_cache(answer).map(WordpressAnswer::Cache)
        }
        WordpressQuery::Security => {
            let (running, answer) = ask!(running, wordpress.call_get_security(&target));
            running.rest();
            convert::wordpress_security(answer).map(WordpressAnswer::Security)
        }
    }
}

fn extensions(limits: &Limits, all: Vec<guest::Extension>) -> Result<Vec<Extension>, Error> {
    let bytes: usize = all.iter().map(|one| weight(one.native.as_ref())).sum();
    let (most_items, most_bytes) = (limits.list_items, limits.list_bytes);
    if all.len() > most_items as usize || bytes as u64 > most_bytes {
        let why =
            format_args!("a list of more than {most_items} items or {most_bytes} bytes (limits.list_items, limits.list_bytes)");
        return Err(broken(why));
    }
    all.into_iter().map(convert::extension).collect()
}
