//! Bills: subscription, invoices, usage, and the way to a checkout.
//!
//! In go a connection's name, or none; out comes one connection's bill, or the usage of all. Invariant: money is never added up,
//! and whose bill it is is never guessed: without a name there must be exactly one connection that has one.

use super::{
    Api, Caller, Fresh, Shared,
    extract::{Json, Query, Waiting},
    names,
    problem::Problem,
    respond::{self, Read},
    walk::{self, Missing},
};
use crate::{
    dispatch::{Connection, Found, Freshness, Gathered},
    model::{
        Action, Answer, BillingAnswer, BillingQuery, CheckoutInput, Error, Kind, Native, Period, Preparation, Prepared,
        Query as Ask, Timestamp, Usage, form,
    },
    policy::Principal,
};
use axum::{Extension, extract::State, response::Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Parameters {
    /// A connection's id.
    #[schemars(with = "Option<form::SlugText>")]
    connection: Option<String>,
}

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListParameters {
    /// A connection's id.
    #[schemars(with = "Option<form::SlugText>")]
    connection: Option<String>,
    /// 1 to 100; 10 when it is left out.
    #[schemars(with = "Option<form::Limit>")]
    limit: Option<usize>,
    cursor: Option<String>,
}

#[derive(Deserialize, schemars::JsonSchema)]
#[schemars(rename = "Checkout")]
#[serde(deny_unknown_fields)]
pub struct CheckoutBody {
    /// A connection's id.
    #[schemars(with = "form::SlugText")]
    connection: String,
    /// The host's own name of a plan, at most 100 characters.
    #[schemars(with = "form::Text<100>")]
    plan: String,
    /// https address, at most 2000 characters, that the page leads to after the payment.
    #[schemars(with = "Option<form::HttpsUrl>")]
    success_url: Option<String>,
    /// https address, at most 2000 characters, that the page leads to when the customer gives up.
    #[schemars(with = "Option<form::HttpsUrl>")]
    cancel_url: Option<String>,
}

#[derive(Serialize, schemars::JsonSchema)]
#[schemars(rename = "CheckoutPage")]
pub struct CheckoutView {
    /// The page where the customer pays.
    url: String,
}

/// Usage of one connection, or the sums over several.
#[derive(Serialize, schemars::JsonSchema)]
#[schemars(rename = "BillingUsage")]
pub struct UsageView<'a> {
    sites: Option<u64>,
    /// Bytes on disk.
    storage: Option<u64>,
    /// Bytes served.
    bandwidth: Option<u64>,
    visits: Option<u64>,
    /// Null unless all that are counted have the same.
    period: Option<Period>,
    /// Those that are counted.
    connections: Vec<&'a str>,
    /// Of the oldest part.
    as_of: Option<Timestamp>,
    errors: Vec<Missing>,
    /// Null in sums.
    #[schemars(with = "Option<serde_json::Value>")]
    native: Native,
}

pub async fn subscription(
    State(api): Shared,
    Extension(principal): Caller,
    Fresh(freshness): Fresh,
    Query(parameters): Query<Parameters>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let connection = payer(&api, &principal, parameters.connection.as_deref(), BillingQuery::Subscription).await?;
    let snapshot = api.dispatch.query(&connection, Ask::Billing(BillingQuery::Subscription), freshness).await?;
    let Answer::Billing(BillingAnswer::Subscription(subscription)) = &snapshot.answer else {
        return Err(super::answer_of_another_kind());
    };
    let read = Read::of(&headers, &snapshot);
    Ok(super::served_by(&connection, read.answer_kept(&snapshot, None, subscription)?))
}

pub async fn invoices(
    State(api): Shared,
    Extension(principal): Caller,
    Fresh(freshness): Fresh,
    Query(parameters): Query<ListParameters>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let limit = walk::limit(parameters.limit)?;
    let connection = payer(&api, &principal, parameters.connection.as_deref(), BillingQuery::Invoices).await?;
    let question = format!("invoices {}", connection.record.slug);
    let paging = walk::Paging { limit, cursor: parameters.cursor, question };
    let ask = (Ask::Billing(BillingQuery::Invoices), freshness);
    api.list_one(&principal, &connection, ask, paging, Answer::invoices, &headers).await
}

/// No operation: nothing is bought before the customer pays, so there is nothing to follow and nothing that a repetition harms.
pub async fn checkout(
    State(api): Shared,
    Extension(principal): Caller,
    waiting: Waiting,
    Json(body): Json<CheckoutBody>,
) -> Result<Response, Problem> {
    names::text("plan", Some(&body.plan), 100)?;
    for (field, url) in [("success_url", &body.success_url), ("cancel_url", &body.cancel_url)] {
        url.as_deref().map_or(Ok(()), |url| names::url(field, url, &["https"]))?;
    }
    let connection = named(&api, &principal, &body.connection).await?;
    let input = CheckoutInput { plan: body.plan, success_url: body.success_url, cancel_url: body.cancel_url };
    let preparation = Preparation::BillingCheckout { input };
    let Prepared::Checkout(url) = api.dispatch.prepare(&connection, &preparation).await? else {
        return Err(super::answer_of_another_kind());
    };
    waiting.still_admits(&principal).await?;
    let view = CheckoutView { url };
    let mut response = respond::json(StatusCode::OK, respond::to_bytes(&view)?);
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(super::served_by(&connection, response))
}

pub async fn usage(
    State(api): Shared,
    Extension(principal): Caller,
    Fresh(freshness): Fresh,
    Query(parameters): Query<Parameters>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let connections = match &parameters.connection {
        Some(slug) => vec![named(&api, &principal, slug).await?],
        None => {
            let all = api.connections(&principal).await?;
            api.dispatch.supporting(all, BillingQuery::Usage.action()).await
        }
    };
    let gathered = gather(&api, &connections, parameters.connection.is_some(), freshness).await?;
    let view = sum(&connections, &gathered);
    let came = Found::freshness_of(&gathered.parts);
    let age = Found::age_of(&gathered.parts);
    Read { request: &headers, age, partial: !view.errors.is_empty(), came }.answer(&view)
}

/// Of a connection that was named, a failure is the answer.
async fn gather(
    api: &Arc<Api>,
    connections: &[Arc<Connection>],
    is_named: bool,
    freshness: Freshness,
) -> Result<Gathered, Problem> {
    let ask = Ask::Billing(BillingQuery::Usage);
    if let ([connection], true) = (connections, is_named) {
        let part = api.dispatch.query(connection, ask, freshness).await?;
        return Ok(Gathered { parts: vec![part], shelves: vec![Arc::clone(&connection.labels)], failures: Vec::new() });
    }
    Ok(api.dispatch.gather(connections, &ask, freshness).await)
}

fn sum<'a>(connections: &'a [Arc<Connection>], gathered: &Gathered) -> UsageView<'a> {
    let parts = gathered.parts.iter().filter_map(|part| part.answer.usage());
    let Usage { sites, storage, bandwidth, visits, period, native } = Usage::sum(parts);
    let failed = |slug: &str| gathered.failures.iter().any(|failure| failure.connection == slug);
    UsageView {
        sites,
        storage,
        bandwidth,
        visits,
        period,
        connections: connections.iter().map(|one| one.record.slug.as_str()).filter(|slug| !failed(slug)).collect(),
        as_of: gathered.parts.iter().map(|part| part.as_of).min(),
        errors: gathered.failures.iter().map(Missing::from).collect(),
        native,
    }
}

async fn named(api: &Api, principal: &Principal, slug: &str) -> Result<Arc<Connection>, Problem> {
    api.connection(principal, &names::connection("connection", slug)?).await
}

/// The connection that was named, or the only one that has a bill.
async fn payer(api: &Api, principal: &Principal, slug: Option<&str>, query: BillingQuery) -> Result<Arc<Connection>, Problem> {
    if let Some(slug) = slug {
        return named(api, principal, slug).await;
    }
    let all = api.connections(principal).await?;
    let candidates = api.dispatch.supporting(all, query.action()).await;
    match candidates.as_slice() {
        [only] => Ok(Arc::clone(only)),
        [] => Err(nobody(query.action())),
        several => Err(Problem::invalid("connection", choice(several.iter().map(|one| one.record.slug.as_str())))),
    }
}

fn nobody(action: Action) -> Problem {
    let message = format!("none of your connections supports {}", action.as_str());
    Error::new(Kind::Unsupported, message).with_field(action.as_str()).into()
}

fn choice<'a>(slugs: impl ExactSizeIterator<Item = &'a str>) -> String {
    /// A sentence that can be read; GET /connections has them all.
    const SHOWN: usize = 20;
    let more = slugs.len().saturating_sub(SHOWN);
    let shown = slugs.take(SHOWN).collect::<Vec<_>>().join(", ");
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("several connections have bills, so name one: {shown}{more}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_can_be_read() {
        assert_eq!(choice(["a", "b"].into_iter()), "several connections have bills, so name one: a, b");
        let many: Vec<String> = (0..25).map(|n| format!("c{n}")).collect();
        assert!(choice(many.iter().map(String::as_str)).ends_with("c18, c19 and 5 more"));
    }
}
