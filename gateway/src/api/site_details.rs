//! What a site uses, and the last lines of its logs.
//!
//! Invariant: logs are the end of what there is: they have no cursor, and a call gives 1000 lines at most.

use super::{
    Caller, Fresh, Shared,
    extract::{Path, Query},
    names,
    problem::Problem,
    respond::Read,
    walk::Page,
};
use crate::model::{Answer, Query as Ask, form};
use axum::{Extension, extract::State, response::Response};
use http::HeaderMap;
use schemars::JsonSchema;
use serde::Deserialize;

const DEFAULT_LINES: u32 = 100;
const MAX_LINES: u32 = 1000;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LogParameters {
    /// Id or name; production when it isn't given.
    #[schemars(with = "Option<form::Text<1536>>")]
    environment: Option<String>,
    /// `access`, `error`, or what the host calls its logs; the host's own choice when it isn't given.
    #[schemars(with = "Option<form::Text<64>>")]
    source: Option<String>,
    /// The last so many lines, 1 to 1000; 100 when it isn't given.
    #[schemars(range(min = 1, max = 1000))]
    lines: Option<u32>,
}

pub async fn usage(
    State(api): Shared,
    Extension(principal): Caller,
    Fresh(freshness): Fresh,
    Path(site): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let (connection, id) = api.site(&principal, &site).await?;
    let snapshot = api.dispatch.query(&connection, Ask::SitesUsage { site: id.native }, freshness).await?;
    let Answer::SiteUsage(usage) = &snapshot.answer else { return Err(super::answer_of_another_kind()) };
    let read = Read::of(&headers, &snapshot);
    Ok(super::served_by(&connection, read.answer_kept(&snapshot, None, usage)?))
}

pub async fn logs(
    State(api): Shared,
    Extension(principal): Caller,
    Fresh(freshness): Fresh,
    Path(site): Path<String>,
    Query(parameters): Query<LogParameters>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let (connection, id) = api.site(&principal, &site).await?;
    let ask = parameters.ask(id.native)?;
    let snapshot = api.dispatch.query(&connection, ask, freshness).await?;
    let Answer::SiteLogs(lines) = &snapshot.answer else { return Err(super::answer_of_another_kind()) };
    let as_of = Some(snapshot.as_of);
    let page = Page { data: lines.iter().collect(), next_cursor: None, total: Some(lines.len()), as_of, errors: Vec::new() };
    let read = Read::of(&headers, &snapshot);
    Ok(super::served_by(&connection, read.answer_list(&page)?))
}

impl LogParameters {
    fn ask(self, site: String) -> Result<Ask, Problem> {
        let lines = self.lines.unwrap_or(DEFAULT_LINES);
        if !(1..=MAX_LINES).contains(&lines) {
            return Err(Problem::invalid("lines", format!("1 to {MAX_LINES}, not {lines}")));
        }
        names::text("source", self.source.as_deref(), 64)?;
        let environment = names::environment("environment", self.environment)?;
        Ok(Ask::SitesLogs { site, environment, source: self.source, lines })
    }
}
