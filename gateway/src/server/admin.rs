//! The admin listener: health and metrics, for operators and their Prometheus.
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

#[derive(Clone)]
struct Admin {
    metrics: Arc<Metrics>,
    ready: Ready,
}

pub fn admin(metrics: Arc<Metrics>, ready: Ready) -> Router {
    Router::new()
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(readyz))
        .route("/metrics", get(render))
        .with_state(Admin { metrics, ready })
}

async fn readyz(State(admin): State<Admin>) -> (StatusCode, &'static str) {
    if admin.ready.load(Ordering::Acquire) {
        (StatusCode::OK, "ready\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not ready\n")
    }
}

async fn render(State(admin): State<Admin>) -> Response {
    match admin.metrics.render() {
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
