//! The API, `/api/v1`: routes, thin handlers, and the one form of every answer.
//!
//! In go requests that were authenticated; out come JSON answers or problem+json. Invariant: only this room and the layers
//! above it know HTTP statuses; handlers decide nothing that a room to the right could decide.

mod actions;
mod answer;
pub mod audit;
pub mod auth;
mod backups;
mod billing;
mod blobs;
mod connections;
mod cursor;
mod deployments;
mod docs;
mod domains;
mod download;
mod environments;
pub mod events;
pub mod extract;
mod labels;
pub mod lane;
mod members;
mod mutation;
mod names;
mod once;
mod operations;
mod plans;
pub mod problem;
mod providers;
mod respond;
mod routes;
mod site_details;
mod sites;
mod sites_list;
mod spec;
mod tokens;
mod untaken;
mod walk;
mod wordpress;

pub use actions::{Actions, Found};

use crate::{
    dispatch::{Connection, Dispatch, Freshness},
    events::Events,
    metrics::Metrics,
    model::{Answer, Error, Kind, Operation, OperationId, Query, Slug},
    operations::Operations,
    policy::{Accounts, Denied, Origin, Principal, TokenError, Tokens},
    seal::Sealer,
    store::{OperationRecord, Store},
};
use axum::{
    Extension, Router,
    extract::{FromRequestParts, State},
    middleware::{from_fn, from_fn_with_state},
    response::Response,
};
use blobs::Uploads;
use cursor::Scope;
use http::{HeaderMap, Method, StatusCode, Uri, header, request::Parts};
use problem::Problem;
use serde::{Deserialize, Serialize};
use std::{sync::Arc, time::Duration};
use untaken::Taken;
use walk::{Page, Paging, Walk, Walks};

/// The `[api]` section.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ApiConfig {
    /// How long a mutating call waits for its operation before it answers 202, when the client asks for nothing else.
    pub answer_wait_ms: u64,
    /// Bytes of list snapshots pinned by cursors.
    pub cursor_bytes: u64,
    /// A cursor is good for this long after its last use.
    pub cursor_minutes: u64,
}

impl Default for ApiConfig {
    fn default() -> Self {
        Self { answer_wait_ms: 250, cursor_bytes: 256 << 20, cursor_minutes: 10 }
    }
}

pub struct Api {
    dispatch: Arc<Dispatch>,
    operations: Arc<Operations>,
    events: Arc<Events>,
    tokens: Tokens,
    accounts: Arc<Accounts>,
    sealer: Arc<Sealer>,
    store: Arc<dyn Store>,
    metrics: Arc<Metrics>,
    walks: Walks,
    uploads: Uploads,
    running: Arc<once::Running>,
    refusals: audit::Refusals,
    config: ApiConfig,
    /// Where people find the gateway, if the operator says so.
    public_url: Option<Origin>,
}

impl Api {
    pub fn new(
        dispatch: Arc<Dispatch>,
        operations: Arc<Operations>,
        events: Arc<Events>,
        (tokens, accounts): (Tokens, Arc<Accounts>),
        sealer: Arc<Sealer>,
        (store, metrics): (Arc<dyn Store>, Arc<Metrics>),
        (config, public_url): (ApiConfig, Option<Origin>),
    ) -> Arc<Self> {
        let (walks, uploads) = (Walks::new(&config), Uploads::default());
        let (running, refusals) = (Arc::default(), audit::Refusals::default());
        Arc::new(Self {
            dispatch,
            operations,
            events,
            tokens,
            accounts,
            sealer,
            store,
            metrics,
            walks,
            uploads,
            running,
            refusals,
            config,
            public_url,
        })
    }

    /// The organization's connection of that name, unless the credential isn't for it. Then the name alone is refused, whether there is
    /// one or not: nobody is told of connections that theirs isn't for.
    async fn connection(&self, principal: &Principal, slug: &Slug) -> Result<Arc<Connection>, Problem> {
        if !principal.scopes.covers(slug.as_str()) {
            return Err(Denied::Connection.into());
        }
        Ok(self.dispatch.connection(principal.organization, slug).await?)
    }

    /// All connections that the credential is for, by slug.
    async fn connections(&self, principal: &Principal) -> Result<Vec<Arc<Connection>>, Problem> {
        let mut connections = self.dispatch.connections(principal.organization).await?;
        connections.retain(|one| principal.scopes.covers(one.record.slug.as_str()));
        Ok(connections)
    }

    /// Refuses a filter by a provider that is neither loaded nor one of these connections', whose component may be gone: nothing
    /// could be found by it, and an empty list would hide a slip of the pen.
    fn check_provider(&self, named: &str, connections: &[Arc<Connection>]) -> Result<(), Problem> {
        if connections.iter().any(|one| one.record.provider == *named) {
            return Ok(());
        }
        let found = self.dispatch.providers().get(named);
        found.map(drop).map_err(|error| Problem::invalid("provider", error.message))
    }

    /// The organization's operation. One on a connection that the credential isn't for is as one that isn't there: its id tells of no
    /// connection, so the refusal would.
    async fn operation(&self, principal: &Principal, id: &OperationId) -> Result<Operation, Problem> {
        let operation = self.operations.get(principal.organization, id).await?;
        if principal.scopes.covers(&operation.connection) {
            return Ok(operation);
        }
        // In the words about one that isn't there.
        Err(Error::new(Kind::NotFound, "there is no such operation").into())
    }

    /// Whether the principal began the operation that a path ends with.
    pub async fn began(&self, principal: &Principal, path: &str) -> Result<bool, Problem> {
        let Some(id) = path.rsplit('/').next().and_then(OperationId::parse) else { return Ok(false) };
        let found = self.store.operation_record(&id).await?;
        let began =
            |record: OperationRecord| record.organization == principal.organization && record.principal == principal.name();
        Ok(found.is_some_and(began))
    }

    /// A page of one site's list: the same walks as over many connections, with one part.
    async fn list_one<T: Serialize>(
        &self,
        principal: &Principal,
        connection: &Arc<Connection>,
        (query, freshness): (Query, Freshness),
        paging: Paging,
        of: impl Fn(&Answer) -> &[T],
        headers: &HeaderMap,
    ) -> Result<Response, Problem> {
        let scope = Scope { sealer: &self.sealer, principal, question: paging.question };
        let stretch = match &paging.cursor {
            Some(cursor) => self.walks.resume(cursor, paging.limit, &scope)?,
            None => {
                let snapshot = self.dispatch.query(connection, query, freshness).await?;
                let rows = (0..u32::try_from(of(&snapshot.answer).len()).unwrap_or(u32::MAX)).map(|index| (0, index)).collect();
                let walk = Walk { parts: vec![snapshot], shelves: Vec::new(), rows, failures: Vec::new() };
                self.walks.begin(walk, paging.limit, &scope, |walk| walk::digest(items(walk, &walk.rows, &of)))?
            }
        };
        let walk = &stretch.walk;
        let page = Page {
            data: items(walk, &walk.rows[stretch.range.clone()], &of).collect(),
            next_cursor: stretch.next.clone(),
            total: walk.total(),
            as_of: walk.as_of(),
            errors: Vec::new(),
        };
        let read = stretch.read(headers, false);
        Ok(served_by(connection, read.answer_list(&page)?))
    }
}

/// What is in these rows of a walk.
fn items<'a, T: 'a>(walk: &'a Walk, rows: &'a [(u32, u32)], of: &'a impl Fn(&Answer) -> &[T]) -> impl Iterator<Item = &'a T> {
    rows.iter().map(move |&(part, index)| &of(&walk.parts[part as usize].answer)[index as usize])
}

impl From<Denied> for Problem {
    fn from(denied: Denied) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", denied.to_string())
    }
}

impl From<TokenError> for Problem {
    fn from(error: TokenError) -> Self {
        match error {
            TokenError::Ended => auth::unauthenticated(),
            TokenError::Denied(denied) => denied.into(),
            TokenError::Failed(error) => with_its_field(error),
        }
    }
}

/// As what is refused for its form: the words name the field.
fn with_its_field(error: Error) -> Problem {
    match &error.field {
        Some(field) if error.code() == Kind::InvalidInput.code() => Problem::invalid(field.as_str(), error.message.as_str()),
        _ => error.into(),
    }
}

/// Where every endpoint is.
const PREFIX: &str = "/api/v1";

/// Every endpoint that needs a principal, under `/api/v1`.
pub fn router(api: Arc<Api>) -> Router {
    let all = routed(&api, false);
    Router::new().nest(PREFIX, all).fallback(no_such_path).method_not_allowed_fallback(no_such_method).with_state(api)
}

/// What is open to everybody: the API's own documentation, and the ways to log in.
pub fn open_router(api: Arc<Api>) -> Router {
    let endpoints = Router::new().nest(PREFIX, routed(&api, true)).with_state(api);
    docs::router().merge(endpoints).method_not_allowed_fallback(no_such_method)
}

fn routed(api: &Arc<Api>, open: bool) -> Router<Arc<Api>> {
    let endpoints = routes::endpoints().into_iter().filter(|endpoint| endpoint.open == open);
    endpoints.fold(Router::new(), |router, endpoint| {
        let taken = Taken::by(&endpoint);
        // The innermost: whoever isn't let in, or asks for what isn't taken, uses up no key.
        let handler = match (endpoint.keeps_answers(), endpoint.refuses_keys()) {
            (true, _) => endpoint.handler.route_layer(from_fn_with_state(Arc::clone(api), once::keyed)),
            (false, true) => endpoint.handler.route_layer(from_fn(once::unkeyed)),
            (false, false) => endpoint.handler,
        };
        router.route(endpoint.path, handler.route_layer(from_fn_with_state(taken, untaken::refuse)))
    })
}

async fn no_such_path(uri: Uri) -> Problem {
    let path = uri.path();
    let known = "the API is at /api/v1, and what it has is told at /docs and /openapi.json";
    let detail = match path.strip_suffix('/').filter(|rest| !rest.is_empty()) {
        Some(_) => format!("there is nothing at {path}, since no path ends with a slash: ask without it; {known}"),
        None => format!("there is nothing at {path}; {known}"),
    };
    Problem::new(StatusCode::NOT_FOUND, "no_such_path", detail)
}

async fn no_such_method(method: Method, uri: Uri) -> Problem {
    let detail = format!("{} doesn't take {method}; the Allow header names what it takes", uri.path());
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", detail)
}

/// Request extension: what the request is called in answers and logs.
#[derive(Clone, Debug)]
pub struct RequestId(pub Arc<str>);

/// Response extension: the provider that an answer came from, for metrics.
#[derive(Clone)]
pub struct ServedBy(pub Arc<str>);

fn served_by(connection: &Connection, mut response: Response) -> Response {
    response.extensions_mut().insert(ServedBy(connection.record.provider.as_str().into()));
    response
}

/// Dispatch answers in kind; anything else is a bug of ours.
fn answer_of_another_kind() -> Problem {
    Problem::from(Error::gateway("a query was answered by another kind of answer"))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What nearly every handler takes.
type Shared = State<Arc<Api>>;
type Caller = Extension<Arc<Principal>>;

/// `Cache-Control` of a request (RFC 9111, 5.2.1): `no-cache`, `no-store` and `max-age=0` ask for a live answer, `max-age=N` for one
/// that is at most N seconds old. What else clients may say makes no difference here.
struct Fresh(Freshness);

impl<S: Send + Sync> FromRequestParts<S> for Fresh {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        let directives = parts.headers.get_all(header::CACHE_CONTROL).into_iter().filter_map(|value| value.to_str().ok());
        let wishes = directives.flat_map(|value| value.split(',')).filter_map(|one| wish(one.trim()));
        Ok(Self(wishes.fold(Freshness::Cached, stricter)))
    }
}

fn wish(directive: &str) -> Option<Freshness> {
    let (name, value) = directive.split_once('=').unwrap_or((directive, ""));
    if name.eq_ignore_ascii_case("no-cache") || name.eq_ignore_ascii_case("no-store") {
        return Some(Freshness::Live);
    }
    let seconds = name.eq_ignore_ascii_case("max-age").then(|| value.trim_matches('"').parse().ok())??;
    Some(if seconds == 0 { Freshness::Live } else { Freshness::Within(Duration::from_secs(seconds)) })
}

fn stricter(one: Freshness, other: Freshness) -> Freshness {
    match (one, other) {
        (Freshness::Live, _) | (_, Freshness::Live) => Freshness::Live,
        (Freshness::Within(one), Freshness::Within(other)) => Freshness::Within(one.min(other)),
        (Freshness::Cached, wish) | (wish, Freshness::Cached) => wish,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_token_cannot_have_is_named() {
        let told = |error: Error| Problem::from(TokenError::Failed(error)).detail.into_owned();
        let invalid = || Error::new(Kind::InvalidInput, "a time to come");
        assert_eq!(told(invalid().with_field("expires_at")), "expires_at: a time to come");
        assert_eq!(told(invalid()), "a time to come");
        assert_eq!(told(Error::new(Kind::Conflict, "rotated meanwhile")), "rotated meanwhile");
    }

    #[tokio::test]
    async fn reads_how_fresh_an_answer_must_be() {
        for (value, wanted) in [
            ("", Freshness::Cached),
            ("no-cache", Freshness::Live),
            ("Max-Age=0", Freshness::Live),
            ("max-age=5", Freshness::Within(Duration::from_secs(5))),
            ("max-age=9, max-age=\"5\", only-if-cached", Freshness::Within(Duration::from_secs(5))),
            ("max-age=5, no-store", Freshness::Live),
            ("max-age=soon, no-transform", Freshness::Cached),
        ] {
            let (mut parts, ()) = http::Request::builder().header("cache-control", value).body(()).unwrap().into_parts();
            let Fresh(found) = Fresh::from_request_parts(&mut parts, &()).await.unwrap();
            assert_eq!(found, wanted, "{value}");
        }
    }
}
