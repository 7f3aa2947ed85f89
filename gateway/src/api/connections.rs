//! Connections: list, get, create, change, test, delete.
//!
//! Invariant: a secret goes in and never comes out; answers say only that it is set, and since when.

use super::{
    Caller, Shared,
    cursor::Scope,
    extract::{Json, Path, Query, Waiting, object},
    mutation::NoBody,
    names,
    problem::Problem,
    respond::{self, Read},
    walk::{self, Page},
};
use crate::{
    dispatch::{Connection, NewConnection, Patch, SecretChange},
    egress::LimitsReport,
    host::Calls,
    model::{Features, Slug, Timestamp, TlsTrust, form},
    policy::{Denied, Principal},
    store,
};
use axum::{Extension, extract::State, response::Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use zeroize::Zeroizing;

/// A secret is at most this long: private keys fit.
const MAX_SECRET: usize = 16 * 1024;

#[derive(Deserialize, schemars::JsonSchema)]
#[schemars(rename = "ConnectionCreate")]
#[serde(deny_unknown_fields)]
pub struct CreateBody {
    /// Made from the name when it is left out.
    #[schemars(with = "Option<form::SlugText>")]
    id: Option<String>,
    provider: String,
    #[schemars(with = "form::Name")]
    name: String,
    #[serde(default = "empty_object")]
    #[schemars(with = "serde_json::Map<String, serde_json::Value>")]
    settings: serde_json::Value,
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, form::SecretText>")]
    secrets: BTreeMap<String, Zeroizing<String>>,
    #[serde(default, deserialize_with = "object::one")]
    tls: TlsTrust,
}

#[derive(Deserialize, schemars::JsonSchema)]
#[schemars(rename = "ConnectionUpdate")]
#[serde(deny_unknown_fields)]
pub struct UpdateBody {
    #[schemars(with = "Option<form::Name>")]
    name: Option<String>,
    #[schemars(with = "Option<serde_json::Map<String, serde_json::Value>>")]
    settings: Option<serde_json::Value>,
    /// `null` removes one.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, Option<form::SecretText>>")]
    secrets: BTreeMap<String, Option<Zeroizing<String>>>,
    #[serde(default, deserialize_with = "object::some")]
    tls: Option<TlsTrust>,
}

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListParameters {
    #[schemars(with = "Option<form::SlugText>")]
    provider: Option<String>,
    #[schemars(with = "Option<form::Limit>")]
    limit: Option<usize>,
    cursor: Option<String>,
}

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeleteParameters {
    /// Also while operations run, and where a site has the label `protected`.
    #[serde(default)]
    force: bool,
}

#[derive(Serialize, schemars::JsonSchema)]
#[schemars(rename = "Connection")]
pub struct View<'a> {
    #[schemars(with = "String")]
    id: &'a Slug,
    provider: &'a str,
    name: &'a str,
    settings: &'a serde_json::Value,
    secrets: BTreeMap<&'a str, SecretView>,
    tls: &'a TlsTrust,
    health: crate::dispatch::HealthReport,
    /// Null where it isn't known: in lists before the connection was first used, and while it can't be configured (`health` says
    /// why).
    features: Option<Features>,
    /// How fast its upstreams may be asked, and what waits, at this moment; null where `features` is.
    limits: Option<Vec<LimitsReport>>,
    /// Calls into its provider at this moment; null where `features` is.
    calls: Option<Calls>,
    revision: i64,
    created_at: Timestamp,
    updated_at: Timestamp,
}

#[derive(Serialize, schemars::JsonSchema)]
#[schemars(rename = "ConnectionSecret")]
pub struct SecretView {
    set: bool,
    updated_at: Timestamp,
}

fn empty_object() -> serde_json::Value {
    serde_json::Value::Object(serde_json::Map::new())
}

fn view(connection: &Connection) -> View<'_> {
    let record = &connection.record;
    let secrets =
        record.secrets.iter().map(|(name, secret)| (name.as_str(), SecretView { set: true, updated_at: secret.updated_at }));
    View {
        id: &record.slug,
        provider: &record.provider,
        name: &record.name,
        settings: &record.settings,
        secrets: secrets.collect(),
        tls: &record.tls,
        health: connection.health.report(),
        features: connection.known_features(),
        limits: connection.known_limits(),
        calls: connection.known_calls(),
        revision: record.revision,
        created_at: record.created_at,
        updated_at: record.updated_at,
    }
}

pub async fn list(
    State(api): Shared,
    Extension(principal): Caller,
    Query(parameters): Query<ListParameters>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let limit = walk::limit(parameters.limit)?;
    let scope =
        Scope { sealer: &api.sealer, principal: &principal, question: format!("connections {:?}", parameters.provider) };
    let after: Option<Slug> = parameters.cursor.as_deref().map(|cursor| scope.open(cursor)).transpose()?;
    let mut connections = api.connections(&principal).await?;
    if let Some(provider) = &parameters.provider {
        api.check_provider(provider, &connections)?;
        connections.retain(|one| one.record.provider == *provider);
    }
    let total = connections.len();
    connections.retain(|one| after.as_ref().is_none_or(|after| one.record.slug > *after));
    let more = connections.len() > limit;
    connections.truncate(limit);
    let last = connections.last().filter(|_| more);
    let next_cursor = last.map(|last| scope.seal(&last.record.slug)).transpose()?;
    let data = connections.iter().map(|connection| view(connection)).collect();
    let page = Page { data, next_cursor, total: Some(total), as_of: None, errors: Vec::new() };
    Read::own(&headers).answer(&page)
}

pub async fn get(
    State(api): Shared,
    Extension(principal): Caller,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let connection = find(&api, &principal, &id).await?;
    api.dispatch.learn_features(&connection).await;
    Read::own(&headers).answer(&view(&connection))
}

pub async fn create(
    State(api): Shared,
    Extension(principal): Caller,
    waiting: Waiting,
    Json(body): Json<CreateBody>,
) -> Result<Response, Problem> {
    names::display_name("name", &body.name)?;
    body.secrets.iter().try_for_each(|(name, value)| check_secret(name, value))?;
    let slug = match &body.id {
        Some(id) => Slug::parse(id).map_err(|error| Problem::invalid("id", error.to_string()))?,
        None => free_slug(&api, &principal, &body.name).await?,
    };
    if !principal.scopes.covers(slug.as_str()) {
        return Err(Denied::Connection.into());
    }
    store::about(format!("/connections/{slug}"));
    let new = NewConnection {
        slug,
        provider: body.provider,
        name: body.name,
        settings: body.settings,
        secrets: body.secrets,
        tls: body.tls,
    };
    let draft = api.dispatch.new_connection(principal.organization, new).await?;
    // Its provider may have taken its time to configure it.
    waiting.still_admits(&principal).await?;
    let connection = api.dispatch.create_connection(draft).await?;
    api.dispatch.learn_features(&connection).await;
    let mut response = written(StatusCode::CREATED, &connection)?;
    let path = format!("/api/v1/connections/{}", connection.record.slug);
    if let Ok(location) = HeaderValue::from_str(&path) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}

pub async fn update(
    State(api): Shared,
    Extension(principal): Caller,
    Path(id): Path<String>,
    waiting: Waiting,
    Json(body): Json<UpdateBody>,
) -> Result<Response, Problem> {
    let present = find(&api, &principal, &id).await?;
    if let Some(name) = &body.name {
        names::display_name("name", name)?;
    }
    let mut set = body.secrets.iter().filter_map(|(name, value)| value.as_ref().map(|value| (name, value)));
    set.try_for_each(|(name, value)| check_secret(name, value))?;
    let change = |value: Option<_>| value.map_or(SecretChange::Remove, SecretChange::Set);
    let patch = Patch {
        name: body.name,
        settings: body.settings,
        secrets: body.secrets.into_iter().map(|(name, value)| (name, change(value))).collect(),
        tls: body.tls,
    };
    let draft = api.dispatch.changed_connection(&present, patch).await?;
    waiting.still_admits(&principal).await?;
    let connection = api.dispatch.update_connection(draft).await?;
    api.dispatch.learn_features(&connection).await;
    written(StatusCode::OK, &connection)
}

pub async fn delete(
    State(api): Shared,
    Extension(principal): Caller,
    Path(id): Path<String>,
    Query(parameters): Query<DeleteParameters>,
    _: NoBody,
) -> Result<StatusCode, Problem> {
    let present = find(&api, &principal, &id).await?;
    api.dispatch.delete_connection(&present, parameters.force).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Serialize, schemars::JsonSchema)]
#[schemars(rename = "ConnectionTest")]
pub struct TestReport {
    ok: bool,
    checks: Vec<crate::dispatch::Check>,
}

pub async fn test(
    State(api): Shared,
    Extension(principal): Caller,
    Path(id): Path<String>,
    _: NoBody,
) -> Result<Response, Problem> {
    let connection = find(&api, &principal, &id).await?;
    let checks = api.dispatch.test_connection(&connection).await;
    let report = TestReport { ok: checks.iter().all(|check| check.ok), checks };
    Ok(respond::json(StatusCode::OK, respond::to_bytes(&report)?))
}

/// An id made from the name that was never used in this organization: `client`, `client-2`, …
async fn free_slug(api: &super::Api, principal: &Principal, name: &str) -> Result<Slug, Problem> {
    /// Somebody with more connections of one name chooses ids.
    const TRIES: u32 = 100;
    let base = names::slugify(name)
        .ok_or_else(|| Problem::invalid("id", "no id can be made from this name; give one of a-z, 0-9 and -"))?;
    for number in 1..=TRIES {
        let candidate = if number == 1 { base.clone() } else { names::numbered(&base, number)? };
        if !api.dispatch.slug_was_used(principal.organization, &candidate).await? {
            return Ok(candidate);
        }
    }
    Err(Problem::invalid("id", format!("{base} and its {TRIES} variants are taken; give an id")))
}

async fn find(api: &super::Api, principal: &Principal, id: &str) -> Result<std::sync::Arc<Connection>, Problem> {
    api.connection(principal, &names::slug(id)?).await
}

fn written(status: StatusCode, connection: &Connection) -> Result<Response, Problem> {
    let mut response = respond::json(status, respond::to_bytes(&view(connection))?);
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

fn check_secret(name: &str, value: &str) -> Result<(), Problem> {
    let fits = !value.is_empty() && value.len() <= MAX_SECRET && !value.contains(['\r', '\n', '\0']);
    let message = format!("1 to {MAX_SECRET} bytes, without line breaks");
    if fits { Ok(()) } else { Err(Problem::invalid(format!("secrets.{name}"), message)) }
}
