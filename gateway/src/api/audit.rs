//! The audit log: who did what, from where, with which result.
//!
//! In go requests that change something and what came of them; out come rows, the newest first. Invariant: a change is recorded
//! in its own transaction, and an answer leaves only after its row is durable; no secret is in a row: paths and ids only, and
//! no more of them than a row has room for. Of equal refusals one a minute has a row ([`fold`]); whatever may have been done has one
//! each time.

mod fold;

pub use fold::Refusals;

use super::{
    Actions, Api, Caller, Found, RequestId, Shared,
    auth::WRONG_PASSWORD,
    cursor::Scope,
    extract::Query,
    names,
    once::REPLAYED,
    problem::Problem,
    respond, routes,
    spec::{Answer, Endpoint},
    walk::{self, Page},
};
use crate::{
    access_log,
    model::{Error, Kind, Timestamp, form},
    policy::{ClientAddress, Denied, Principal},
    store::{AuditEntry, AuditFilter, AuditRow, Cause, PROTECTED},
};
use axum::{
    Extension,
    extract::{FromRequestParts, MatchedPath, Request, State},
    response::Response,
};
use fold::Refused;
use http::{Extensions, HeaderValue, Method, StatusCode, header, request::Parts};
use serde::{Deserialize, Serialize};
use std::{
    borrow::Cow,
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, LazyLock},
};
use tokio::time::Instant;

/// Bytes of a target; any site's id fits in, and what is below it.
const MAX_TARGET: usize = 640;
/// Of what was refused: it needn't be there, and whoever was refused chose how long it is.
const MAX_REFUSED: usize = 128;
const REFUSED: &str = "refused";

/// The code of the refusal of a token that is good from other addresses.
pub const ADDRESS_NOT_ALLOWED: &str = "address_not_allowed";

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListParameters {
    /// RFC 3339: not before this moment.
    since: Option<Timestamp>,
    /// RFC 3339: before this moment.
    until: Option<Timestamp>,
    /// `token:…`, `user:…`, `operator`, or `nobody` of failed logins.
    #[schemars(with = "Option<form::Actor>")]
    actor: Option<String>,
    /// `connections.create`, …
    #[schemars(with = "Option<form::ActionName>")]
    action: Option<String>,
    /// 1 to 100; 10 when it is left out.
    #[schemars(with = "Option<form::Limit>")]
    limit: Option<usize>,
    cursor: Option<String>,
}

/// A row of the audit log.
#[derive(Serialize, schemars::JsonSchema)]
#[schemars(rename = "AuditRow")]
pub struct View<'a> {
    /// Grows by one with every row of the gateway.
    id: i64,
    at: Timestamp,
    /// `token:…`, `user:…`, or `operator` for a command on the machine itself. Of a failed login, who it was tried for.
    actor: &'a str,
    /// The client's address, where it is known.
    #[schemars(with = "Option<String>")]
    client: Option<IpAddr>,
    /// The endpoint's name in the API's document; `operations.secrets` where something that is shown once was shown.
    action: &'a str,
    /// What it was about: a path below `/api/v1`.
    target: Option<&'a str>,
    /// `done`, `replayed`, `refused` or `failed`; of operations `accepted`, and how they ended.
    outcome: &'a str,
    /// The answer's, where it was known.
    status: Option<u16>,
    request_id: Option<&'a str>,
    operation: Option<&'a str>,
}

fn view(row: &AuditRow) -> View<'_> {
    let entry = &row.entry;
    View {
        id: row.id,
        at: entry.at,
        actor: &entry.principal,
        client: entry.client,
        action: &entry.action,
        target: entry.target.as_deref(),
        outcome: &entry.outcome,
        status: entry.status,
        request_id: entry.request_id.as_deref(),
        operation: entry.operation.as_deref(),
    }
}

/// Newest first.
pub async fn list(
    State(api): Shared,
    Extension(principal): Caller,
    Query(parameters): Query<ListParameters>,
) -> Result<Response, Problem> {
    // Rows tell of all connections, and not of which.
    if principal.scopes.is_limited_to_connections() {
        return Err(Denied::Connection.into());
    }
    let limit = walk::limit(parameters.limit)?;
    let ListParameters { since, until, actor, action, .. } = parameters;
    actor.as_deref().map_or(Ok(()), names::actor)?;
    action.as_deref().map_or(Ok(()), names::action)?;
    let question = format!("audit {since:?} {until:?} {actor:?} {action:?}");
    let scope = Scope { sealer: &api.sealer, principal: &principal, question };
    let before: Option<i64> = parameters.cursor.as_deref().map(|cursor| scope.open(cursor)).transpose()?;
    let filter = AuditFilter { since, until, principal: actor, action };
    // One more than asked tells whether there is more.
    let fetch = u32::try_from(limit + 1).unwrap_or(u32::MAX);
    let mut rows = api.store.audit_rows(principal.organization, &filter, before, fetch).await?;
    let more = rows.len() > limit;
    rows.truncate(limit);
    let next_cursor = rows.last().filter(|_| more).map(|last| scope.seal(&last.id)).transpose()?;
    let data = rows.iter().map(view).collect();
    let page = Page { data, next_cursor, total: None, as_of: Some(crate::clock::now()), errors: Vec::new() };
    let mut response = respond::json(StatusCode::OK, respond::to_bytes(&page)?);
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

/// The name of the endpoint that changes something at this method and route, or gives a whole backup away.
fn action(method: &Method, route: &str) -> Option<&'static str> {
    static ACTIONS: LazyLock<HashMap<(Method, &'static str), &'static str>> = LazyLock::new(|| {
        let told = |endpoint: &Endpoint| endpoint.method != Method::GET || matches!(endpoint.answer, Answer::File);
        let all = routes::endpoints().into_iter().filter(told);
        all.map(|endpoint| ((endpoint.method, endpoint.path), endpoint.name)).collect()
    });
    ACTIONS.get(&(method.clone(), route.strip_prefix("/api/v1")?)).copied()
}

/// What the log will tell of this request. None: there is nothing to tell, or nobody is known to ask.
pub fn cause(request: &Request, route: &str) -> Option<Cause> {
    let action = action(request.method(), route)?;
    let principal = request.extensions().get::<Arc<Principal>>()?;
    Some(asked(request, principal, action))
}

/// What the log will tell of a token that was sent from where it isn't good, whatever was asked for.
pub fn from_elsewhere(request: &Request, principal: &Principal) -> Cause {
    static ACTIONS: LazyLock<Actions> = LazyLock::new(Actions::default);
    let route = request.extensions().get::<MatchedPath>();
    match route.map(|route| ACTIONS.find(route.as_str(), request.method())) {
        Some(Found::Action(action)) => asked(request, principal, action),
        _ => asked(request, principal, "authenticate"),
    }
}

fn asked(request: &Request, principal: &Principal, action: &str) -> Cause {
    Looks::of(request.extensions()).cause(principal, action).about(target(request.uri().path()))
}

/// Where a request came from and what it is called, to tell of it if there is something to tell.
pub struct Looks {
    client: Option<IpAddr>,
    request_id: Option<RequestId>,
}

impl Looks {
    fn of(extensions: &Extensions) -> Self {
        let client = extensions.get::<ClientAddress>().map(|ClientAddress(address)| *address);
        Self { client, request_id: extensions.get::<RequestId>().cloned() }
    }

    pub fn cause(self, principal: &Principal, action: &str) -> Cause {
        let request_id = self.request_id.map(|RequestId(id)| id.to_string());
        Cause::new(Some(principal.organization), principal.name(), action).from(self.client, request_id)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Looks {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        Ok(Self::of(&parts.extensions))
    }
}

/// What a row tells of a path: rows stay for more than a year, and of whoever is refused, too.
fn target(path: &str) -> String {
    cut(access_log::without_secrets(path.strip_prefix("/api/v1").unwrap_or(path)), MAX_TARGET)
}

fn cut(text: Cow<'_, str>, most: usize) -> String {
    if text.len() <= most {
        return text.into_owned();
    }
    format!("{}…", &text[..text.floor_char_boundary(most)])
}

impl Api {
    /// Writes how a request went, unless that was written with what it changed. Before the answer leaves: one whose row can't be
    /// written becomes a failure.
    pub async fn record(&self, cause: &Cause, response: Response) -> Response {
        let Some(outcome) = outcome(cause, &response) else { return response };
        let entry = cause.entry(outcome, Some(response.status().as_u16()));
        let problem = response.extensions().get::<Arc<Problem>>();
        let refused = (outcome == REFUSED).then(|| Refused::new(&entry, response.status(), problem.map(|problem| &**problem)));
        let recorded = match refused {
            Some(refused) => self.refused(entry, &refused).await,
            None => self.recorded(&entry).await,
        };
        recorded.map_or_else(axum::response::IntoResponse::into_response, |()| response)
    }

    /// Unless an equal one was written just now.
    async fn refused(&self, entry: AuditEntry, refused: &Refused) -> Result<(), Problem> {
        if !self.refusals.is_due(refused, Instant::now()) {
            return Ok(());
        }
        let most = if refused.protects() { MAX_TARGET } else { MAX_REFUSED };
        let target = entry.target.map(|target| cut(target.into(), most));
        let recorded = self.recorded(&AuditEntry { target, ..entry }).await;
        if recorded.is_err() {
            self.refusals.failed(refused);
        }
        recorded
    }

    /// Fails as the whole request does then.
    pub(super) async fn recorded(&self, entry: &AuditEntry) -> Result<(), Problem> {
        let Err(error) = self.store.audit(entry).await else { return Ok(()) };
        self.metrics.audit_failures.inc();
        tracing::error!(
            %error, internal = error.internal, action = entry.action, actor = entry.principal, outcome = entry.outcome,
            status = entry.status, request_id = entry.request_id, "the audit log could not be written"
        );
        let error = Error { message: "the audit log could not be written".to_owned(), ..Error::gateway("audit") };
        Err(Problem::from(error))
    }
}

/// None: there is nothing to tell, or it was told with the change.
fn outcome(cause: &Cause, response: &Response) -> Option<&'static str> {
    let status = response.status();
    if response.headers().contains_key(REPLAYED) {
        return Some("replayed");
    }
    if status.is_success() {
        return (!cause.is_recorded()).then_some("done");
    }
    // A caller who is known and unauthorized sent a wrong password along, as who leaves does.
    if matches!(status, StatusCode::FORBIDDEN | StatusCode::UNAUTHORIZED) {
        return Some(REFUSED);
    }
    let problem = response.extensions().get::<Arc<Problem>>();
    // An operation's failure is told by its own row.
    let is_operation = problem.is_some_and(|problem| problem.operation.is_some());
    if !is_operation && problem.is_some_and(|problem| [PROTECTED, WRONG_PASSWORD].contains(&&*problem.code)) {
        return Some(REFUSED);
    }
    let failed = cause.is_recorded() || may_be_done(status, problem);
    (failed && !is_operation).then_some("failed")
}

/// Whether something may have been changed in spite of this answer, here or at a host whose own answer was lost.
fn may_be_done(status: StatusCode, problem: Option<&Arc<Problem>>) -> bool {
    match status {
        StatusCode::INTERNAL_SERVER_ERROR | StatusCode::BAD_GATEWAY | StatusCode::GATEWAY_TIMEOUT => true,
        // A host that went away may have heard it. Where the gateway itself had no room, nothing was asked of anybody.
        StatusCode::SERVICE_UNAVAILABLE => {
            problem.is_some_and(|problem| problem.provider.is_some() && problem.code != Kind::Overloaded.code())
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::response::IntoResponse as _;

    #[test]
    fn a_target_has_its_room_and_holds_no_secret() {
        let value = "x".repeat(43);
        for (path, expected) in [
            ("/api/v1/sites/shop~1".to_owned(), "/sites/shop~1".to_owned()),
            (format!("/api/v1/tokens/ptk_{value}"), "/tokens/ptk_xxxxxx…".to_owned()),
            (format!("/{}", "y".repeat(MAX_TARGET - 1)), format!("/{}", "y".repeat(MAX_TARGET - 1))),
            (format!("/{}", "y".repeat(30_000)), format!("/{}…", "y".repeat(MAX_TARGET - 1))),
            // Not within a character.
            (format!("/{}", "ä".repeat(1000)), format!("/{}…", "ä".repeat(MAX_TARGET / 2 - 1))),
            // What is cut off is cut off of what may be told.
            (format!("/{}/ptk_{value}", "y".repeat(600)), format!("/{}/ptk_xxxxxx…", "y".repeat(600))),
        ] {
            assert_eq!(target(&path), expected, "{path}");
        }
        for (target, most, expected) in
            [("/sites/a", 8, "/sites/a"), ("/sites/ab", 8, "/sites/a…"), ("/sites/ä", 8, "/sites/…")]
        {
            assert_eq!(cut(target.into(), most), expected, "{target}");
        }
    }

    #[test]
    fn a_deletion_that_protection_stops_is_told_once() {
        let cause = Cause::new(None, "token:1", "sites.delete");
        let refused = || Problem::from(Error::new(Kind::Conflict, "words").with_code(PROTECTED));
        assert_eq!(outcome(&cause, &refused().into_response()), Some("refused"));
        // Its operation has a row of its own.
        let of_operation = refused().with_operation(&crate::model::OperationId::generate());
        assert_eq!(outcome(&cause, &of_operation.into_response()), None);
        let running = Problem::from(Error::new(Kind::Conflict, "words").with_code("operations_running"));
        assert_eq!(outcome(&cause, &running.into_response()), None);
    }

    #[test]
    fn what_a_host_may_have_done_is_told() {
        let cause = Cause::new(None, "token:1", "billing.checkout");
        let told = |error: Error| outcome(&cause, &Problem::from(error).into_response());
        let at_host = |kind: Kind| Error::new(kind, "words").at("shop", "kinsta");
        for kind in [Kind::Gateway, Kind::Internal, Kind::Trapped, Kind::Timeout, Kind::Unavailable] {
            assert_eq!(told(at_host(kind)), Some("failed"), "{kind:?}");
        }
        for kind in [Kind::Overloaded, Kind::RateLimited, Kind::InvalidInput, Kind::NotFound, Kind::Conflict] {
            assert_eq!(told(at_host(kind)), None, "{kind:?}");
        }
        // The gateway's own, before there was a host.
        assert_eq!(told(Error::overloaded("busy")), None);
        assert_eq!(told(Error::new(Kind::Unavailable, "words")), None);
        assert_eq!(told(Error::gateway("disk")), Some("failed"));
    }
}
