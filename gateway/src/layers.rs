//! The stack above the API, outermost first.
//!
//! Invariant: nothing under `authenticate` is reached without a principal, and beside it there is only the documentation. There are no rate limits yet.

mod audit;
mod authenticate;
mod observe;
mod problem;

use crate::{
    api::{self, Api},
    metrics::Metrics,
    policy::Authenticator,
};
use axum::{Router, middleware::from_fn_with_state};
use std::sync::Arc;
use tower::ServiceBuilder;

/// The whole service of the public listener.
pub fn stack(api: Arc<Api>, authenticator: Arc<Authenticator>, metrics: &Arc<Metrics>) -> Router {
    // Before anything that costs: routes, bodies and connections are for known callers. Only the documentation is for everybody.
    let closed = api::router(Arc::clone(&api))
        // Under authentication, since it tells who it was; above all that refuses, since it tells that, too.
        .layer(from_fn_with_state(api, audit::record))
        .layer(from_fn_with_state(authenticator, authenticate::authenticate));
    api::open_router().merge(closed).layer(
        ServiceBuilder::new()
            // Sees every answer, refusals and panics of the layers below included.
            .layer(from_fn_with_state(Arc::new(observe::Observer::new(Arc::clone(metrics))), observe::observe))
            // Writes refusals of everything below, with the request's id, which `observe` made.
            .layer(axum::middleware::from_fn(problem::write)),
    )
}
