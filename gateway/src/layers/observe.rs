//! Request ids, request metrics and the access log.
//!
//! Invariant: labels are route templates, methods, statuses and provider names; a path, an id or a header never becomes one.
//! The log line holds the path without its query, and no header but the ids in `X-Request-Id` and `traceparent`.

mod short;

use crate::{
    access_log::{self, Line},
    api::{RequestId, ServedBy},
    clock,
    metrics::Metrics,
    model::Timestamp,
    policy::{Caller, ClientAddress, REQUEST_ID, Trace, Trail, Who},
};
use axum::{
    extract::{MatchedPath, Request, State},
    middleware::Next,
    response::Response,
};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use short::ShortCounters;
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;

/// Longer ids from clients are replaced.
const MAX_ID: usize = 128;

pub struct Observer {
    metrics: Arc<Metrics>,
    short: ShortCounters,
}

impl Observer {
    pub fn new(metrics: Arc<Metrics>) -> Self {
        Self { metrics, short: ShortCounters::default() }
    }
}

/// Response extension: who asked, as authentication found out.
#[derive(Clone, Copy)]
pub struct AskedBy(pub Who);

/// Counts a request in flight, also when its client goes away.
struct InFlight<'a>(&'a Metrics);

impl<'a> InFlight<'a> {
    fn new(metrics: &'a Metrics) -> Self {
        metrics.requests_in_flight.inc();
        Self(metrics)
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.requests_in_flight.dec();
    }
}

pub async fn observe(State(observer): State<Arc<Observer>>, mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let _in_flight = InFlight::new(&observer.metrics);
    let id: Arc<str> = request_id(request.headers(), clock::now()).to_str().unwrap_or_default().into();
    request.extensions_mut().insert(RequestId(Arc::clone(&id)));
    let route = request.extensions().get::<MatchedPath>().cloned();
    let (method, uri) = (request.method().clone(), request.uri().clone());
    let client = request.extensions().get::<ClientAddress>().copied();
    let trace = Trace::of(request.headers());
    let trail = Trail { request_id: Arc::clone(&id), trace, caller: Caller::default() };
    let response = trail.followed_by(next.run(request)).await;
    let route = route.as_ref().map_or("unmatched", MatchedPath::as_str);
    let took = started.elapsed();
    observer.count(route, &method, &response, took);
    let who = response.extensions().get::<AskedBy>().map(|AskedBy(who)| *who);
    let asked = Asked { id: &id, method: &method, path: uri.path(), client, who, trace };
    log(&asked, took, clock::now(), response.status());
    match HeaderValue::from_str(&id) {
        Ok(id) => named(response, id),
        Err(_) => response,
    }
}

/// What is known of a request when it is answered.
struct Asked<'a> {
    id: &'a str,
    method: &'a Method,
    path: &'a str,
    client: Option<ClientAddress>,
    who: Option<Who>,
    trace: Option<Trace>,
}

/// By whom and since when a request was answered that didn't come through the stack.
pub struct Served<'a> {
    pub route: &'static str,
    pub provider: &'a str,
    pub client: ClientAddress,
    /// None: that wasn't asked.
    pub who: Option<Who>,
    pub started: Instant,
    /// The same by the time of day.
    pub at: Timestamp,
}

fn log(asked: &Asked<'_>, took: Duration, at: Timestamp, status: StatusCode) {
    access_log::write(&Line {
        request_id: asked.id,
        trace_id: asked.trace.as_ref().map(|trace| trace as &dyn std::fmt::Display),
        client: asked.client.map(|ClientAddress(address)| address),
        principal: asked.who.map(Who::parts),
        method: asked.method.as_str(),
        path: asked.path,
        status: status.as_u16(),
        took,
        at,
    });
}

/// With the request's id.
fn named(mut response: Response, id: HeaderValue) -> Response {
    response.headers_mut().insert(REQUEST_ID, id);
    response
}

impl Observer {
    /// What the request is called: as it was sent, or a new id.
    pub fn name(headers: &HeaderMap, now: Timestamp) -> HeaderValue {
        request_id(headers, now)
    }

    /// The same for an answer that didn't come through the stack, a moment after it was asked for.
    pub fn observed<B>(
        &self,
        request: &http::Request<B>,
        id: HeaderValue,
        served: &Served<'_>,
        response: Response,
    ) -> Response {
        let took = served.started.elapsed();
        self.short.count(&self.metrics, request.method(), served, response.status(), took);
        let (method, path, trace) = (request.method(), request.uri().path(), Trace::of(request.headers()));
        let (id_text, client, who) = (id.to_str().unwrap_or_default(), Some(served.client), served.who);
        let asked = Asked { id: id_text, method, path, client, who, trace };
        log(&asked, took, served.at, response.status());
        named(response, id)
    }

    fn count(&self, route: &str, method: &Method, response: &Response, took: Duration) {
        let provider = response.extensions().get::<ServedBy>().map_or("", |served| &*served.0);
        let status = response.status();
        self.metrics.requests.with_label_values(&[route, method_label(method), status.as_str(), provider]).inc();
        self.metrics.request_seconds.with_label_values(&[route, provider]).observe(took.as_secs_f64());
    }
}

/// Methods are free text in HTTP; labels are not.
fn method_label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

/// As it was sent, or a new one. Always visible ASCII.
fn request_id(headers: &HeaderMap, now: Timestamp) -> HeaderValue {
    let plain = |id: &&HeaderValue| {
        (1..=MAX_ID).contains(&id.len())
            && id.as_bytes().iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_.:/=+".contains(byte))
    };
    if let Some(sent) = headers.get(REQUEST_ID).filter(plain) {
        return sent.clone();
    }
    let mut text = [0; uuid::fmt::Hyphenated::LENGTH];
    let (second, millis) = (now.as_millis().div_euclid(1000), now.as_millis().rem_euclid(1000));
    // Its other 74 bits are random: ids needn't be in order within a millisecond, and a counter would be one that all share.
    let at = uuid::Timestamp::from_unix(uuid::NoContext, second.unsigned_abs(), millis as u32 * 1_000_000);
    let new = uuid::Uuid::new_v7(at).hyphenated().encode_lower(&mut text);
    HeaderValue::from_str(new).unwrap_or_else(|_| HeaderValue::from_static("-"))
}
