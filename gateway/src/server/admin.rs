//! The admin listener: health and metrics, for operators and their Prometheus. Health alone is on the public listener, too, where load
//! balancers ask.
//!
//! Invariant: it needs no credential and so tells no tenant's data; keep it off the public network.

use crate::metrics::Metrics;
use axum::{
    Router,
    extract::State,
    response::{IntoResponse, Response},
    routing::get,
};
use http::{HeaderValue, StatusCode, header};
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

/// Ready from when everything was loaded until the drain begins.
pub type Ready = Arc<AtomicBool>;

pub fn admin(metrics: Arc<Metrics>, ready: Ready) -> Router {
    Router::new().route("/metrics", get(render)).with_state(metrics).merge(health(ready))
}

/// Whether the process is alive, and whether it takes requests.
pub fn health(ready: Ready) -> Router {
    Router::new().route("/livez", get(|| async { "ok\n" })).route("/readyz", get(readyz)).with_state(ready)
}

async fn readyz(State(ready): State<Ready>) -> (StatusCode, &'static str) {
    if ready.load(Ordering::Acquire) { (StatusCode::OK, "ready\n") } else { (StatusCode::SERVICE_UNAVAILABLE, "not ready\n") }
}

async fn render(State(metrics): State<Arc<Metrics>>) -> Response {
    match metrics.render() {
        Ok(text) => {
            let mut response = text.into_response();
            let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
            response.headers_mut().insert(header::CONTENT_TYPE, kind);
            response
        }
        Err(error) => {
            tracing::error!(%error, "metrics can't be rendered");
            (StatusCode::INTERNAL_SERVER_ERROR, "metrics can't be rendered; see the log\n").into_response()
        }
    }
}
