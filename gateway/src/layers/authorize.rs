//! Nothing passes without the right to it.
//!
//! Invariant: every route goes through here, and one that has no rule is refused; no handler decides by role or scope.

use crate::{
    api::{Actions, Found, problem::Problem},
    policy::{self, Denied, Principal},
};
use axum::{
    extract::{MatchedPath, Request, State},
    middleware::Next,
    response::Response,
};
use std::sync::Arc;

pub async fn authorize(State(actions): State<Arc<Actions>>, request: Request, next: Next) -> Result<Response, Problem> {
    // What no route matched is answered so, to whoever has a credential.
    if let Some(route) = request.extensions().get::<MatchedPath>() {
        match actions.find(route.as_str(), request.method()) {
            Found::Action(action) => check(&request, action)?,
            Found::NoSuchMethod => {}
            Found::Unlisted => return Err(Denied::Unlisted.into()),
        }
    }
    Ok(next.run(request).await)
}

fn check(request: &Request, action: &str) -> Result<(), Denied> {
    let principal = request.extensions().get::<Arc<Principal>>().ok_or(Denied::Unlisted)?;
    policy::authorize(principal, action)
}
