//! Nothing passes without a principal.
//!
//! Invariant: exactly one credential in a header is taken; two are refused, since proxies and we could choose differently. A
//! header wins over a session's cookie, which browsers send by themselves; what comes with the cookie alone and changes something
//! must come from our own pages.

use super::AskedBy;
use crate::{
    api::{auth, problem::Problem},
    policy::{
        Admission, Authenticator, ClientAddress, Provenance, Refusal, Secure, SessionCookie, SeveralSessions, is_safe,
        on_behalf_of, provenance,
    },
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
    let client = request.extensions().get::<ClientAddress>().map(|client| client.0);
    let admission = Admission::now(&authenticator);
    let principal = match credential(request.headers())? {
        Some(header) => authenticator.authenticate(Some(header), client).await.map_err(refuse)?,
        None => {
            let token = session(&request)?;
            authenticator.authenticate_session(token).await.map_err(refuse)?
        }
    };
    let (caller, who) = (principal.caller(), principal.who);
    request.extensions_mut().insert(principal);
    request.extensions_mut().insert(admission);
    let mut response = on_behalf_of(caller, next.run(request)).await;
    response.extensions_mut().insert(AskedBy(who));
    Ok(response)
}

/// The session's secret, of a request that may use it.
fn session(request: &Request) -> Result<&[u8], Problem> {
    let secure = request.extensions().get::<Secure>().is_some();
    let sent = SessionCookie { secure }.sent(request.headers()).map_err(|SeveralSessions| auth::two_sessions())?;
    let Some(token) = sent else { return Err(auth::anonymous()) };
    let is_own = || provenance(request.headers(), request.uri().authority(), secure) == Provenance::Own;
    if !is_safe(request.method()) && !is_own() {
        return Err(auth::cross_origin());
    }
    Ok(token)
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

/// Whether the request's credential was good before, as far as that is remembered. It may have ended: it opens nothing by this.
pub fn is_familiar(authenticator: &Authenticator, headers: &HeaderMap, secure: bool) -> bool {
    match credential(headers) {
        Ok(Some(header)) => authenticator.has_met(header),
        Ok(None) => {
            let sent = SessionCookie { secure }.sent(headers).ok().flatten();
            sent.is_some_and(|token| authenticator.has_met_session(token))
        }
        Err(_) => false,
    }
}

fn refuse(refusal: Refusal) -> Problem {
    match refusal {
        Refusal::Unauthenticated => auth::unauthenticated(),
        Refusal::Address => {
            let detail = "the token may not be used from this address: its allowed_ips don't hold it";
            Problem::new(StatusCode::FORBIDDEN, "address_not_allowed", detail)
        }
        Refusal::Failed(error) => error.into(),
    }
}
