//! Operations: list, get (with a long poll), cancel.

use super::{
    Caller, Shared, answer,
    audit::Looks,
    cursor::Scope,
    extract::{Path, Query, Waiting},
    mutation::{MAX_WAIT, NoBody},
    names,
    problem::Problem,
    respond,
    walk::{self, Page},
};
use crate::{
    clock,
    model::{Action, OperationId, OperationStatus, Timestamp, form},
    operations::ListFilter,
    policy, store,
};
use axum::{Extension, extract::State, response::Response};
use http::{HeaderValue, Method, StatusCode, header};
use serde::Deserialize;
use std::{sync::Arc, time::Duration};

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListParameters {
    #[schemars(with = "Option<form::SlugText>")]
    connection: Option<String>,
    status: Option<OperationStatus>,
    #[schemars(with = "Option<answer::OperationAction>")]
    action: Option<Action>,
    #[schemars(with = "Option<form::Limit>")]
    limit: Option<usize>,
    cursor: Option<String>,
}

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GetParameters {
    /// `30s`, or `30`.
    #[schemars(with = "Option<form::Wait>")]
    wait: Option<String>,
}

/// Newest first.
pub async fn list(
    State(api): Shared,
    Extension(principal): Caller,
    Query(parameters): Query<ListParameters>,
) -> Result<Response, Problem> {
    let limit = walk::limit(parameters.limit)?;
    if parameters.action.is_some_and(|action| !answer::OperationAction::all().any(|one| one == action)) {
        return Err(Problem::invalid(
            "action",
            "operations don't do that: take what changes something, such as `sites.create`",
        ));
    }
    let question = format!("operations {:?} {:?} {:?}", parameters.connection, parameters.status, parameters.action);
    let scope = Scope { sealer: &api.sealer, principal: &principal, question };
    let after: Option<(Timestamp, OperationId)> = parameters.cursor.as_deref().map(|cursor| scope.open(cursor)).transpose()?;
    let named = parameters.connection.as_deref().map(|text| names::connection("connection", text)).transpose()?;
    // Operations outlive their connection, so a name that none has any more is looked for all the same.
    if let (Some(named), Some(_)) = (&named, principal.scopes.connections()) {
        api.connection(&principal, named).await?;
    }
    let filter = ListFilter {
        connection: parameters.connection,
        connections: principal.scopes.connections().map(|slugs| slugs.iter().map(ToString::to_string).collect()),
        status: parameters.status,
        action: parameters.action,
        ..ListFilter::default()
    };
    // One more than asked tells whether there is more.
    let fetch = u32::try_from(limit + 1).unwrap_or(u32::MAX);
    let mut operations = api.operations.list(principal.organization, &filter, after.as_ref(), fetch).await?;
    let more = operations.len() > limit;
    operations.truncate(limit);
    let last = operations.last().filter(|_| more);
    let next_cursor = last.map(|last| scope.seal(&(last.created_at, &last.id))).transpose()?;
    let data = operations.iter().map(|operation| answer::view(operation, &[])).collect();
    let page = Page { data, next_cursor, total: None, as_of: Some(clock::now()), errors: Vec::new() };
    Ok(no_store(respond::json(StatusCode::OK, respond::to_bytes(&page)?)))
}

pub async fn get(
    State(api): Shared,
    Extension(principal): Caller,
    Path(id): Path<String>,
    Query(parameters): Query<GetParameters>,
    method: Method,
    waiting: Waiting,
    looks: Looks,
) -> Result<Response, Problem> {
    let id = operation_id(&id)?;
    let wait = parameters.wait.as_deref().map(wait).transpose()?;
    let mut operation = api.operation(&principal, &id).await?;
    // Where too many wait already, the answer is how it is now; `Retry-After` says when to ask again.
    if let Some(wait) = wait.filter(|_| waiting.may_begin()) {
        operation = api.operations.wait(principal.organization, &id, waiting.until(wait)).await?;
    }
    waiting.still_admits(&principal).await?;
    // HEAD has no body to show them in; and who may not do it must not get, or use up, what it made.
    let may_be_shown = operation.status.is_terminal() && method != Method::HEAD;
    let secrets = if may_be_shown && policy::authorize(&principal, operation.action.as_str()).is_ok() {
        // A look is no change, but who was shown them is told with the taking.
        let cause = Arc::new(looks.cause(&principal, "operations.get"));
        store::caused_by(cause, api.secrets(&principal, &operation, None)).await?
    } else {
        Vec::new()
    };
    let mut response = no_store(respond::json(StatusCode::OK, respond::to_bytes(&answer::view(&operation, &secrets))?));
    if !operation.status.is_terminal() {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    if secrets.is_empty() {
        response.extensions_mut().insert(policy::Repeatable);
    }
    Ok(response)
}

pub async fn cancel(
    State(api): Shared,
    Extension(principal): Caller,
    Path(id): Path<String>,
    _: NoBody,
) -> Result<Response, Problem> {
    let id = operation_id(&id)?;
    api.operation(&principal, &id).await?;
    let operation = api.operations.cancel(principal.organization, &id).await?;
    let status = if operation.status.is_terminal() { StatusCode::OK } else { StatusCode::ACCEPTED };
    Ok(no_store(respond::json(status, respond::to_bytes(&answer::view(&operation, &[]))?)))
}

pub fn operation_id(text: &str) -> Result<OperationId, Problem> {
    let detail = || {
        Problem::new(StatusCode::BAD_REQUEST, "invalid_id", format!("{text:?} is not an operation's id: op_ and 32 hex digits"))
    };
    OperationId::parse(text).ok_or_else(detail)
}

fn wait(text: &str) -> Result<Duration, Problem> {
    let digits = text.strip_suffix('s').unwrap_or(text);
    let is_plain = digits.len() <= 2 && digits.bytes().all(|byte| byte.is_ascii_digit());
    let seconds = digits.parse().ok().filter(|seconds| is_plain && *seconds <= MAX_WAIT);
    seconds.map(Duration::from_secs).ok_or_else(|| Problem::invalid("wait", format!("0s to {MAX_WAIT}s, not {text:?}")))
}

fn no_store(mut response: Response) -> Response {
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
