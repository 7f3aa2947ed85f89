//! The stack above the API, outermost first.
//!
//! Invariant: nothing under `authenticate` is reached without a principal, and beside it there is only the documentation. Requests beyond a limit are refused before
//! anything that costs.

mod authenticate;
mod limits;
mod observe;
mod problem;

pub use limits::Fields;

use crate::{
    api::{self, Api},
    metrics::Metrics,
    policy::{Authenticator, Limits},
};
use axum::{Router, middleware::from_fn_with_state};
use std::sync::Arc;
use tower::ServiceBuilder;

/// The whole service of the public listener.
pub fn stack(api: Arc<Api>, authenticator: Arc<Authenticator>, limits: Arc<Limits>, metrics: &Arc<Metrics>) -> Router {
    let gate = Arc::new(limits::Gate::new(limits, Arc::clone(metrics)));
    // Before anything that costs: routes, bodies and connections are for known callers. Only the documentation is for everybody.
    let closed = api::router(api).layer(
        ServiceBuilder::new()
            .layer(from_fn_with_state(authenticator, authenticate::authenticate))
            // Whose token and organization it is, authentication tells. Before authorization: a refused caller counts, too.
            .layer(from_fn_with_state(Arc::clone(&gate), limits::principal)),
    );
    api::open_router().merge(closed).layer(
        ServiceBuilder::new()
            // Sees every answer, refusals and panics of the layers below included.
            .layer(from_fn_with_state(Arc::new(observe::Observer::new(Arc::clone(metrics))), observe::observe))
            // Refuses before authentication, and writes what is left of the limits into every answer of the layers below.
            .layer(from_fn_with_state(gate, limits::enter))
            // Writes refusals of everything below, with the request's id, which `observe` made.
            .layer(axum::middleware::from_fn(problem::write)),
    )
}
