//! Request ids, request metrics and the access log.
//!
//! Invariant: labels are route templates, methods, statuses and provider names; a path, an id or a header never becomes one.
//! The log line holds the path without its query, and no header.

use crate::{
    api::{RequestId, ServedBy},
    metrics::Metrics,
};
use axum::{
    extract::{MatchedPath, Request, State},
    middleware::Next,
    response::Response,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use std::sync::Arc;
use tokio::time::Instant;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
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
    let mut response = next.run(request).await;
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    let route = route.as_ref().map_or("unmatched", MatchedPath::as_str);
    observer.count(route, &method, &response, started);
    tracing::info!(
        target: "access",
        request_id = &*id,
        method = method.as_str(),
        path = uri.path(),
        status = response.status().as_u16(),
        micros = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX),
    );
    response
}

impl Observer {
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
