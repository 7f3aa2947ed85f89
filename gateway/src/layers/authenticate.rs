//! Nothing passes without a principal.
//!
//! Invariant: exactly one credential is taken; two are refused, since proxies and we could choose differently.

use crate::{
    api::problem::Problem,
    policy::{Authenticator, ClientAddress, Refusal},
};
use axum::{
    extract::{Request, State},
    middleware::Next,
    response::Response,
};
use http::{HeaderMap, StatusCode, header};
use std::sync::Arc;

pub async fn authenticate(
    State(authenticator): State<Arc<Authenticator>>,
    mut request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let credential = credential(request.headers())?;
    let client = request.extensions().get::<ClientAddress>().map(|client| client.0);
    let principal = authenticator.authenticate(credential, client).await.map_err(refuse)?;
    request.extensions_mut().insert(principal);
    Ok(next.run(request).await)
}

/// The one credential of a request.
pub fn credential(headers: &HeaderMap) -> Result<Option<&[u8]>, Problem> {
    let mut sent = headers.get_all(header::AUTHORIZATION).into_iter().chain(headers.get_all("x-api-key"));
    let first = sent.next().map(http::HeaderValue::as_bytes);
    if sent.next().is_some() {
        return Err(Problem::malformed("send one credential: Authorization or X-API-Key, once"));
    }
    Ok(first)
}

fn refuse(refusal: Refusal) -> Problem {
    match refusal {
        Refusal::Unauthenticated => {
            let detail = "send a valid token as Authorization: Bearer ptk_…; `portico token create` makes one";
            Problem::new(StatusCode::UNAUTHORIZED, "unauthenticated", detail)
        }
        Refusal::Address => {
            let detail = "the token may not be used from this address: its allowed_ips don't hold it";
            Problem::new(StatusCode::FORBIDDEN, "address_not_allowed", detail)
        }
        Refusal::Failed(error) => error.into(),
    }
}
