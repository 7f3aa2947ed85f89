//! The WordPress toolkit of a site: status, core, maintenance, search and replace; the rest is in the rooms below.
//!
//! In go the site in the path and the environment in the query; out come the toolkit's answers and operations. Invariant: bodies
//! are checked here for form alone; whether a host can do it is its features' word.

pub mod cache;
pub mod extensions;
pub mod security;
pub mod users;

use super::{
    Api, Caller, Fresh,
    extract::{Json, Path, Query},
    mutation::{Manner, NoBody},
    names,
    problem::Problem,
    respond::Read,
};
use crate::{
    dispatch::{Connection, Freshness},
    model::{
        Answer, CoreUpdate, Error, Maintenance, Mutation, Query as Ask, SearchReplace, WordpressChange, WordpressMutation,
        WordpressQuery, WordpressTarget, form,
    },
    policy::Principal,
};
use axum::{Extension, extract::FromRequestParts, response::Response};
use http::{HeaderMap, request::Parts};
use serde::Deserialize;
use std::sync::Arc;

const MAX_VERSION: usize = 32;
/// A paragraph with its markup, in characters.
const MAX_SEARCH: usize = 4096;
const MAX_TABLES: usize = 200;
/// MySQL's most for a name.
const MAX_TABLE: usize = 64;

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Parameters {
    /// Id or name; production when it is left out.
    #[schemars(with = "Option<form::Text<1536>>")]
    environment: Option<String>,
}

#[derive(Deserialize)]
struct Place {
    site: String,
}

/// Whose WordPress a request is about, and who asks.
pub struct Toolkit {
    api: Arc<Api>,
    principal: Arc<Principal>,
    connection: Arc<Connection>,
    target: WordpressTarget,
}

impl FromRequestParts<Arc<Api>> for Toolkit {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Arc<Api>) -> Result<Self, Problem> {
        let Path(Place { site }) = Path::from_request_parts(parts, api).await?;
        let Query(Parameters { environment }) = Query::from_request_parts(parts, api).await?;
        let caller = Caller::from_request_parts(parts, api).await;
        let Extension(principal) = caller.map_err(|error| Problem::from(Error::gateway(error)))?;
        let environment = names::environment("environment", environment)?;
        let (connection, id) = api.site(&principal, &site).await?;
        let target = WordpressTarget { site: id.native, environment };
        Ok(Self { api: Arc::clone(api), principal, connection, target })
    }
}

impl Toolkit {
    async fn read(self, asked: WordpressQuery, freshness: Freshness, headers: &HeaderMap) -> Result<Response, Problem> {
        let ask = Ask::Wordpress { target: self.target, asked };
        let snapshot = self.api.dispatch.query(&self.connection, ask, freshness).await?;
        let Answer::Wordpress(answer) = &snapshot.answer else { return Err(super::answer_of_another_kind()) };
        let read = Read::of(headers, &snapshot);
        Ok(super::served_by(&self.connection, read.answer(answer)?))
    }

    async fn change(self, change: WordpressChange, manner: Manner) -> Result<Response, Problem> {
        let mutation = Mutation::Wordpress(WordpressMutation { target: self.target, change });
        self.api.carry_out(&self.principal, &self.connection, mutation, manner).await
    }
}

pub async fn status(toolkit: Toolkit, Fresh(freshness): Fresh, headers: HeaderMap) -> Result<Response, Problem> {
    toolkit.read(WordpressQuery::Status, freshness, &headers).await
}

pub async fn update_core(toolkit: Toolkit, manner: Manner, Json(body): Json<CoreUpdate>) -> Result<Response, Problem> {
    names::text("version", body.version.as_deref(), MAX_VERSION)?;
    toolkit.change(WordpressChange::UpdateCore(body), manner).await
}

pub async fn reinstall_core(toolkit: Toolkit, manner: Manner, _: NoBody) -> Result<Response, Problem> {
    toolkit.change(WordpressChange::ReinstallCore, manner).await
}

pub async fn set_maintenance(toolkit: Toolkit, manner: Manner, Json(body): Json<Maintenance>) -> Result<Response, Problem> {
    toolkit.change(WordpressChange::Maintenance(body), manner).await
}

pub async fn search_replace(toolkit: Toolkit, manner: Manner, Json(body): Json<SearchReplace>) -> Result<Response, Problem> {
    if body.search.is_empty() {
        return Err(Problem::invalid("search", "give it a value: there is nothing to search for"));
    }
    for (field, text) in [("search", &body.search), ("replace", &body.replace)] {
        check_pattern(field, text)?;
    }
    if let Some(tables) = &body.tables {
        check_tables(tables)?;
    }
    toolkit.change(WordpressChange::SearchReplace(body), manner).await
}

/// Line breaks and tabs are what content is made of; other control characters are not.
fn check_pattern(field: &str, text: &str) -> Result<(), Problem> {
    if text.chars().count() > MAX_SEARCH {
        return Err(Problem::invalid(field, format!("at most {MAX_SEARCH} characters")));
    }
    if text.chars().any(|character| character.is_control() && !matches!(character, '\n' | '\r' | '\t')) {
        return Err(Problem::invalid(field, "no control characters but line breaks and tabs"));
    }
    Ok(())
}

fn check_tables(tables: &[String]) -> Result<(), Problem> {
    if !(1..=MAX_TABLES).contains(&tables.len()) {
        let message = format!("1 to {MAX_TABLES} names; leave it out for every table with the prefix");
        return Err(Problem::invalid("tables", message));
    }
    let mut named = tables.iter().enumerate();
    named.try_for_each(|(index, table)| names::text(&format!("tables[{index}]"), Some(table), MAX_TABLE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_is_searched_as_it_is() {
        for (text, fits) in [
            ("a", true),
            ("", true),
            ("<p>\r\n\tä</p>", true),
            ("a\0b", false),
            ("\u{1b}[0m", false),
            (&*"x".repeat(4097), false),
        ] {
            assert_eq!(check_pattern("search", text).is_ok(), fits, "{text}");
        }
    }

    #[test]
    fn tables_are_named_or_left_out() {
        let check = |tables: &[&str], field: Option<&str>| {
            let tables: Vec<String> = tables.iter().map(|&table| table.to_owned()).collect();
            let refused = check_tables(&tables).err().map(|problem| problem.fields[0].field.clone());
            assert_eq!(refused.as_deref(), field, "{tables:?}");
        };
        check(&["wp_posts", "wp_options"], None);
        check(&[], Some("tables"));
        check(&["wp_posts"; 201], Some("tables"));
        check(&["wp_posts", ""], Some("tables[1]"));
        check(&[&"x".repeat(65)], Some("tables[0]"));
    }
}
