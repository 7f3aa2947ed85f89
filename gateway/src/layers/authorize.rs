//! Nothing passes without the right to it.
//!
//! Invariant: every route goes through here, and one that has no rule is refused; no handler decides by role or scope. What is denied
//! to others than whoever began it, is asked of the API, and of nothing else.

use crate::{
    api::{Actions, Api, Found, problem::Problem},
    policy::{self, Denied, Principal},
};
use axum::{
    extract::{MatchedPath, Request, State},
    middleware::Next,
    response::Response,
};
use http::Extensions;
use std::sync::Arc;

pub async fn authorize(
    State((actions, api)): State<(Arc<Actions>, Arc<Api>)>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let extensions = request.extensions();
    // What no route matched is answered so, to whoever has a credential.
    if let Some(route) = extensions.get::<MatchedPath>() {
        match actions.find(route.as_str(), request.method()) {
            Found::Action(action) => check(&api, extensions, action, request.uri().path()).await?,
            Found::NoSuchMethod => {}
            Found::Unlisted => return Err(Denied::Unlisted.into()),
        }
    }
    Ok(next.run(request).await)
}

async fn check(api: &Api, extensions: &Extensions, action: &str, path: &str) -> Result<(), Problem> {
    let principal = extensions.get::<Arc<Principal>>().ok_or(Denied::Unlisted)?;
    let Err(denied) = policy::authorize(principal, action) else { return Ok(()) };
    if policy::is_for_others(action, denied) && api.began(principal, path).await? { Ok(()) } else { Err(denied.into()) }
}
