//! The stack above the API, outermost first.
//!
//! Invariant: nothing under `authenticate` is reached without a principal, nor under `authorize` without the right to it, and beside
//! them there are only the documentation, the ways to log in, and whether the process is alive. Requests beyond a limit are refused before anything that costs.

mod audit;
mod authenticate;
mod authorize;
mod cors;
mod limits;
mod misread;
mod observe;
mod problem;

pub use authenticate::{credential, is_familiar};
pub use cors::tell as tell_origin;
pub use limits::{Gate, HadTurn};
pub use misread::Misread;
pub use observe::{Observer, Served};

use observe::AskedBy;

use crate::{
    api::{self, Actions, Api},
    policy::{Authenticator, CorsConfig},
};
use axum::{Router, middleware::from_fn_with_state};
use std::sync::Arc;
use tower::ServiceBuilder;

/// The whole service of the public listener.
pub fn stack(
    api: Arc<Api>,
    authenticator: Arc<Authenticator>,
    cors: CorsConfig,
    gate: Arc<Gate>,
    observer: Arc<Observer>,
    health: Router,
) -> Router {
    // Before anything that costs: routes, bodies and connections are for known callers. Only the documentation and the ways to
    // log in are for everybody.
    let closed = api::router(Arc::clone(&api))
        // Before anything is looked up or remembered for the request, but who began an operation; it needs the principal.
        .layer(from_fn_with_state((Arc::<Actions>::default(), Arc::clone(&api)), authorize::authorize))
        // Under authentication, since it tells who it was; above all that refuses, since it tells that, too.
        .layer(from_fn_with_state(Arc::clone(&api), audit::record))
        // Whose token and organization it is, authentication tells. Before authorization: a refused caller counts, too.
        .layer(from_fn_with_state(Arc::clone(&gate), limits::principal))
        .layer(from_fn_with_state((Arc::clone(&api), authenticator), authenticate::authenticate));
    let open = api::open_router(api).layer(from_fn_with_state(Arc::clone(&gate), limits::stranger));
    let cors = (!cors.is_off()).then(|| Arc::new(cors));
    let preflights = cors.clone().map(|cors| from_fn_with_state(cors, cors::preflight));
    open.merge(health).merge(closed).layer(
        ServiceBuilder::new()
            // Sees every answer, refusals and panics of the layers below included.
            .layer(from_fn_with_state(observer, observe::observe))
            // Pages must be able to read the refusals of what they sent.
            .option_layer(cors.map(|cors| from_fn_with_state(cors, cors::dress)))
            // Refuses before authentication, and writes what is left of the limits into every answer of the layers below.
            .layer(from_fn_with_state(gate, limits::enter))
            // Above authentication: a preflight has no credential. It counts for its address and needs room, as everything does;
            // that it was refused for that is all that its page learns.
            .option_layer(preflights)
            // Writes refusals of everything below, with the request's id, which `observe` made.
            .layer(axum::middleware::from_fn(problem::write)),
    )
}
