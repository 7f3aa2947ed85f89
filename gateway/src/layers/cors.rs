//! CORS: pages of listed origins may call the API and read its answers, as our own may.
//!
//! In go requests with an `Origin`; preflights of listed ones are answered here, before authentication, since browsers send
//! them without a credential, and what else they send goes on as [`Listed`]. Invariant: an origin that isn't listed gets no CORS
//! header at all, and its requests go the way of any other; while the list isn't empty every answer says that it depends on
//! the origin.

use crate::policy::{CorsConfig, Listed};
use axum::{
    body::Body,
    extract::{Request, State},
    middleware::Next,
    response::Response,
};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use std::sync::Arc;

const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE");
/// What the API reads.
const ASKED: HeaderValue = HeaderValue::from_static(
    "Accept, Authorization, Cache-Control, Content-Digest, Content-Type, Idempotency-Key, If-Match, If-None-Match, \
     Last-Event-ID, Prefer, Traceparent, X-API-Key, X-CSRF-Token, X-Request-Id",
);
/// What the API says beyond the fields that every page may read.
const EXPOSED: HeaderValue = HeaderValue::from_static(
    "Age, Cache-Status, Content-Disposition, ETag, Idempotency-Key, Idempotency-Replayed, Location, Preference-Applied, \
     RateLimit, RateLimit-Policy, Retry-After, X-RateLimit-Limit, X-RateLimit-Remaining, X-RateLimit-Reset, X-Request-Id",
);
/// An hour: the list changes by a restart, and browsers cap it at two.
const MAX_AGE: HeaderValue = HeaderValue::from_static("3600");

/// Tells the pages of listed origins that they may read the answer, whatever it is; and the layers below who sent the request, since
/// a page that may read what a session shows, and not act with it, is of no use to anybody.
pub async fn dress(State(cors): State<Arc<CorsConfig>>, mut request: Request, next: Next) -> Response {
    let origin = listed(&cors, request.headers()).cloned();
    if origin.is_some() {
        request.extensions_mut().insert(Listed);
    }
    let mut response = next.run(request).await;
    dressed(response.headers_mut(), origin);
    response
}

/// Answers what browsers ask before they send a page's request.
pub async fn preflight(State(cors): State<Arc<CorsConfig>>, request: Request, next: Next) -> Response {
    let asks = request.method() == Method::OPTIONS && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    if asks && listed(&cors, request.headers()).is_some() { allowed() } else { next.run(request).await }
}

/// The same for an answer that comes before the layers.
pub fn tell(cors: &CorsConfig, request: &HeaderMap, answer: &mut HeaderMap) {
    if !cors.is_off() {
        dressed(answer, listed(cors, request).cloned());
    }
}

/// Browsers send one; of two, one may be anybody's.
fn listed<'a>(cors: &CorsConfig, request: &'a HeaderMap) -> Option<&'a HeaderValue> {
    let mut sent = request.get_all(header::ORIGIN).into_iter();
    let origin = sent.next().filter(|origin| cors.allows(origin.as_bytes()))?;
    sent.next().is_none().then_some(origin)
}

fn allowed() -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, METHODS);
    headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, ASKED);
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, MAX_AGE);
    response
}

/// `origin`: of the request, if it is listed.
fn dressed(headers: &mut HeaderMap, origin: Option<HeaderValue>) {
    headers.append(header::VARY, HeaderValue::from_static("Origin"));
    let Some(origin) = origin else { return };
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_origin_is_listed_and_two_are_none() {
        let cors: CorsConfig = serde_json::from_value(serde_json::json!({"origins": ["https://app.example.com"]})).unwrap();
        let of = |sent: &[&'static str]| -> HeaderMap {
            sent.iter().map(|&origin| (header::ORIGIN, HeaderValue::from_static(origin))).collect()
        };
        let (ours, other) = ("https://app.example.com", "https://evil.example");
        for (sent, expected) in
            [(&[ours][..], true), (&[], false), (&[other], false), (&[ours, other], false), (&[other, ours], false)]
        {
            assert_eq!(listed(&cors, &of(sent)).is_some(), expected, "{sent:?}");
        }
    }
}
