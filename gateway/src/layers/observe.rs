//! Request ids, request metrics and the access log.
//!
//! Invariant: labels are route templates, methods, statuses and provider names; a path, an id or a header never becomes one.
//! The log line holds the path without its query, and no header but the ids in `X-Request-Id` and `traceparent`.

use crate::{
    access_log::{self, Line},
    api::{RequestId, ServedBy},
    metrics::Metrics,
    policy::{ClientAddress, REQUEST_ID, Trace, Trail},
};
use axum::{
    extract::{MatchedPath, Request, State},
    middleware::Next,
    response::Response,
};
use http::{HeaderMap, HeaderValue, Method};
use std::sync::Arc;
use tokio::time::Instant;

/// Longer ids from clients are replaced.
const MAX_ID: usize = 128;

pub struct Observer {
    metrics: Arc<Metrics>,
}

impl Observer {
    pub const fn new(metrics: Arc<Metrics>) -> Self {
        Self { metrics }
    }
}

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
    let id = request_id(request.headers());
    request.extensions_mut().insert(RequestId(Arc::clone(&id)));
    let route = request.extensions().get::<MatchedPath>().cloned();
    let (method, uri) = (request.method().clone(), request.uri().clone());
    let client = request.extensions().get::<ClientAddress>().copied();
    let trace = Trace::of(request.headers());
    let trail = Trail { request_id: Arc::clone(&id), trace };
    let response = trail.followed_by(next.run(request)).await;
    let route = route.as_ref().map_or("unmatched", MatchedPath::as_str);
    observer.finish(&Asked { id: &id, method: &method, path: uri.path(), route, client, trace, started }, response)
}

/// What is known of a request when it is answered.
struct Asked<'a> {
    id: &'a str,
    method: &'a Method,
    path: &'a str,
    route: &'a str,
    client: Option<ClientAddress>,
    trace: Option<Trace>,
    started: Instant,
}

impl Observer {
    /// The same for an answer that didn't come through the stack.
    pub fn observed<B>(&self, request: &http::Request<B>, route: &str, response: Response, started: Instant) -> Response {
        self.metrics.hot_path_answers.inc();
        let id = request_id(request.headers());
        let (method, path) = (request.method(), request.uri().path());
        let client = request.extensions().get::<ClientAddress>().copied();
        let trace = Trace::of(request.headers());
        self.finish(&Asked { id: &id, method, path, route, client, trace, started }, response)
    }

    fn finish(&self, asked: &Asked<'_>, mut response: Response) -> Response {
        if let Ok(value) = HeaderValue::from_str(asked.id) {
            response.headers_mut().insert(REQUEST_ID, value);
        }
        self.count(asked.route, asked.method, &response, asked.started);
        access_log::write(&Line {
            request_id: asked.id,
            trace_id: asked.trace.as_ref().map(|trace| trace as &dyn std::fmt::Display),
            client: asked.client.map(|ClientAddress(address)| address),
            method: asked.method.as_str(),
            path: asked.path,
            status: response.status().as_u16(),
            took: asked.started.elapsed(),
        });
        response
    }

    fn count(&self, route: &str, method: &Method, response: &Response, started: Instant) {
        let provider = response.extensions().get::<ServedBy>().map_or("", |served| &*served.0);
        let status = response.status();
        self.metrics.requests.with_label_values(&[route, method_label(method), status.as_str(), provider]).inc();
        self.metrics.request_seconds.with_label_values(&[route, provider]).observe(started.elapsed().as_secs_f64());
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

fn request_id(headers: &HeaderMap) -> Arc<str> {
    let plain = |id: &&str| {
        (1..=MAX_ID).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.:/=+".contains(&byte))
    };
    match headers.get(REQUEST_ID).and_then(|value| value.to_str().ok()).filter(plain) {
        Some(sent) => sent.into(),
        None => uuid::Uuid::now_v7().to_string().into(),
    }
}
