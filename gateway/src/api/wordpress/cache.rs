//! The caches in front of a WordPress: get, enable, disable, flush, purge.
//!
//! Invariant: an empty list of addresses is refused, since a client that meant some must not purge everything.

use super::{
    super::{
        Fresh,
        extract::Json,
        mutation::{Manner, NoBody},
        names,
        problem::Problem,
    },
    Toolkit,
};
use crate::model::{CacheAction, CachePurge, WordpressChange, WordpressQuery};
use axum::response::Response;
use http::HeaderMap;

const MAX_URLS: usize = 100;

pub async fn get(toolkit: Toolkit, Fresh(freshness): Fresh, headers: HeaderMap) -> Result<Response, Problem> {
    toolkit.read(WordpressQuery::Cache, freshness, &headers).await
}

pub async fn enable(toolkit: Toolkit, manner: Manner, _: NoBody) -> Result<Response, Problem> {
    toolkit.change(WordpressChange::Cache(CacheAction::Enable), manner).await
}

pub async fn disable(toolkit: Toolkit, manner: Manner, _: NoBody) -> Result<Response, Problem> {
    toolkit.change(WordpressChange::Cache(CacheAction::Disable), manner).await
}

pub async fn flush(toolkit: Toolkit, manner: Manner, _: NoBody) -> Result<Response, Problem> {
    toolkit.change(WordpressChange::Cache(CacheAction::Flush), manner).await
}

pub async fn purge(toolkit: Toolkit, manner: Manner, Json(body): Json<CachePurge>) -> Result<Response, Problem> {
    if let Some(urls) = &body.urls {
        check_urls(urls)?;
    }
    toolkit.change(WordpressChange::Cache(CacheAction::Purge(body)), manner).await
}

fn check_urls(urls: &[String]) -> Result<(), Problem> {
    if !(1..=MAX_URLS).contains(&urls.len()) {
        return Err(Problem::invalid("urls", format!("1 to {MAX_URLS} addresses; leave it out to purge everything")));
    }
    let mut named = urls.iter().enumerate();
    named.try_for_each(|(index, url)| names::url(&format!("urls[{index}]"), url, &["https", "http"]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_named_or_left_out() {
        let check = |urls: &[&str], field: Option<&str>| {
            let urls: Vec<String> = urls.iter().map(|&url| url.to_owned()).collect();
            let refused = check_urls(&urls).err().map(|problem| problem.fields[0].field.clone());
            assert_eq!(refused.as_deref(), field, "{urls:?}");
        };
        check(&["https://a.example/", "http://a.example/b?c=d"], None);
        check(&[], Some("urls"));
        check(&["https://a.example/"; 101], Some("urls"));
        check(&["https://a.example/", "/b"], Some("urls[1]"));
    }
}
