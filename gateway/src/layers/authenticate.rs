//! Nothing passes without a principal.
//!
//! Invariant: exactly one credential in a header is taken; two are refused, since proxies and we could choose differently. A
//! header wins over a session's cookie, which browsers send by themselves; what comes with the cookie alone and changes something
//! must come from our own pages, or from those of listed origins. A good token that comes from where it isn't good opens nothing, and
//! both logs tell whose it is.

use super::AskedBy;
use crate::{
    api::{Api, audit, auth, problem::Problem},
    model::Error,
    policy::{
        Admission, Authenticator, ClientAddress, Provenance, Refusal, Secure, SessionCookie, SeveralSessions, Who, is_safe,
        on_behalf_of,
    },
    store::Cause,
};
use axum::{
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use http::{HeaderMap, StatusCode, header};
use std::sync::Arc;

pub async fn authenticate(
    State((api, authenticator)): State<(Arc<Api>, Arc<Authenticator>)>,
    mut request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let client = request.extensions().get::<ClientAddress>().map(|client| client.0);
    let admission = Admission::now(&authenticator);
    let found = match credential(request.headers())? {
        Some(header) => authenticator.authenticate(Some(header), client).await,
        None => {
            let token = session(&request)?;
            authenticator.authenticate_session(token).await
        }
    };
    let principal = match found {
        Ok(principal) => principal,
        Err(Refusal::Address(principal)) => {
            let cause = audit::from_elsewhere(&request, &principal);
            return Ok(from_elsewhere(api, cause, principal.who).await);
        }
        Err(Refusal::Unauthenticated) => {
            return Err(credential(request.headers())?.map_or_else(auth::unauthenticated, auth::opens_nothing));
        }
        Err(Refusal::Failed(error)) => return Err(error.into()),
    };
    let (caller, who) = (principal.caller(), principal.who);
    request.extensions_mut().insert(principal);
    request.extensions_mut().insert(admission);
    let mut response = on_behalf_of(caller, next.run(request)).await;
    response.extensions_mut().insert(AskedBy(who));
    Ok(response)
}

/// Somebody may have taken the token from its owner: whose it is stands in the access log, and in the audit log also when whoever
/// sent it doesn't wait for the answer.
async fn from_elsewhere(api: Arc<Api>, cause: Cause, who: Who) -> Response {
    let detail = "the token may not be used from this address: its allowed_ips don't hold it";
    let refused = Problem::new(StatusCode::FORBIDDEN, audit::ADDRESS_NOT_ALLOWED, detail).into_response();
    let recorded = tokio::spawn(async move { api.record(&cause, refused).await }).await;
    let mut response = recorded.unwrap_or_else(|error| {
        Problem::from(Error::gateway(format_args!("a refusal could not be recorded: {error}"))).into_response()
    });
    response.extensions_mut().insert(AskedBy(who));
    response
}

/// The session's secret, of a request that may use it.
fn session(request: &Request) -> Result<&[u8], Problem> {
    let secure = request.extensions().get::<Secure>().is_some();
    let sent = SessionCookie { secure }.sent(request.headers()).map_err(|SeveralSessions| auth::two_sessions())?;
    let Some(token) = sent else { return Err(auth::anonymous()) };
    let is_own = || auth::provenance_of(request.extensions(), request.headers(), request.uri()) == Provenance::Own;
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
