//! Plugins and themes: list, install, activate, deactivate, update, delete.
//!
//! Invariant: both have the same endpoints, handled by the same functions; which of them a host has is its features' word.

use super::{
    super::{
        Caller, Fresh, Shared,
        extract::{Json, Path, Query},
        mutation::{Manner, NoBody},
        names,
        problem::Problem,
        walk,
    },
    MAX_VERSION, Toolkit,
};
use crate::model::{
    Answer, ExtensionAction, ExtensionInstall, ExtensionKind, Query as Ask, WordpressChange, WordpressQuery, WordpressTarget,
    form,
};
use axum::{Extension, extract::State, response::Response};
use http::HeaderMap;
use serde::Deserialize;

/// Which of the two a route is for.
pub trait Which {
    const KIND: ExtensionKind;
}

pub struct Plugins;
pub struct Themes;

impl Which for Plugins {
    const KIND: ExtensionKind = ExtensionKind::Plugin;
}

impl Which for Themes {
    const KIND: ExtensionKind = ExtensionKind::Theme;
}

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListParameters {
    /// Id or name; production when it is left out.
    #[schemars(with = "Option<form::Text<1536>>")]
    environment: Option<String>,
    /// 1 to 100; 10 when it is left out.
    #[schemars(with = "Option<form::Limit>")]
    limit: Option<usize>,
    cursor: Option<String>,
}

pub async fn list<W: Which>(
    State(api): Shared,
    Extension(principal): Caller,
    Fresh(freshness): Fresh,
    Path(site): Path<String>,
    Query(parameters): Query<ListParameters>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let (connection, id) = api.site(&principal, &site).await?;
    let environment = names::environment("environment", parameters.environment)?;
    let question = format!("{} {site} {:?}", W::KIND.plural(), environment);
    let target = WordpressTarget { site: id.native, environment };
    let ask = Ask::Wordpress { target, asked: WordpressQuery::Extensions(W::KIND) };
    let paging = walk::Paging { limit: walk::limit(parameters.limit)?, cursor: parameters.cursor, question };
    api.list_one(&principal, &connection, (ask, freshness), paging, Answer::extensions, &headers).await
}

pub async fn install<W: Which>(
    toolkit: Toolkit,
    manner: Manner,
    Json(body): Json<ExtensionInstall>,
) -> Result<Response, Problem> {
    check_source(&body.source)?;
    names::text("version", body.version.as_deref(), MAX_VERSION)?;
    toolkit.change(WordpressChange::Install { kind: W::KIND, input: body }, manner).await
}

/// A slug never begins with a sign: some hosts hand it to a command line.
fn check_source(source: &str) -> Result<(), Problem> {
    const MAX_SLUG: usize = 100;
    if source.contains(':') {
        return names::url("source", source, &["https"]);
    }
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let fits = (1..=MAX_SLUG).contains(&source.len())
        && source.starts_with(|first: char| first.is_ascii_alphanumeric())
        && source.bytes().all(allowed);
    let message = "a slug of the wordpress.org directory (akismet), or the https address of a zip";
    if fits { Ok(()) } else { Err(Problem::invalid("source", message)) }
}

/// The four differ in the action alone.
macro_rules! on_extension {
    ($name:ident, $action:ident) => {
        pub async fn $name<W: Which>(
            toolkit: Toolkit,
            Path((_, id)): Path<(String, String)>,
            manner: Manner,
            _: NoBody,
        ) -> Result<Response, Problem> {
            let id = names::native(&id)?;
            let change = WordpressChange::Extension { kind: W::KIND, action: ExtensionAction::$action, id };
            toolkit.change(change, manner).await
        }
    };
}

on_extension!(activate, Activate);
on_extension!(deactivate, Deactivate);
on_extension!(update, Update);
on_extension!(delete, Delete);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_a_slug_or_an_address() {
        for good in ["akismet", "twentytwentyfive", "a_b.c-9", "https://example.com/a.zip?token=1"] {
            assert!(check_source(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "--all",
            "../x",
            "a/b",
            "a b",
            "ä",
            "http://example.com/a.zip",
            "file:///etc/passwd",
            "https://",
            "https:example.com",
            "https://exa mple.com/a.zip",
        ] {
            let problem = check_source(bad).unwrap_err();
            assert_eq!(problem.fields[0].field, "source", "{bad}");
        }
    }
}
