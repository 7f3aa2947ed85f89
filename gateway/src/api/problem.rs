//! problem+json (RFC 9457): the one form of every refusal and failure.
//!
//! In go model errors and the API's own refusals; out come responses. Invariant: this is the only place where a kind becomes a
//! status, and nothing but `message`, `field` and the other public facts of an error is written; `internal` goes to the log.

use crate::model::{Error, Kind, OperationId};
use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use std::{borrow::Cow, sync::Arc};

#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
pub struct Problem {
    #[serde(rename = "type")]
    pub kind: &'static str,
    pub title: &'static str,
    #[serde(serialize_with = "as_number")]
    #[schemars(with = "u16")]
    pub status: StatusCode,
    pub detail: Cow<'static, str>,
    /// The same text as `detail`, under the name that the hosts' own APIs use.
    pub error: Cow<'static, str>,
    /// Stable: decide by this one.
    pub code: Cow<'static, str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<Field>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upstream_status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub operation: Option<OperationId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u32>,
    /// A credential was sent, and opens nothing: the challenge says so.
    #[serde(skip)]
    pub invalid_token: bool,
    /// The path that was asked for, and the request's id: filled in by the layer that knows them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
#[schemars(rename = "ProblemField")]
pub struct Field {
    /// Dotted, as in the request's JSON: `admin.email`.
    pub field: String,
    pub message: String,
}

fn as_number<S: serde::Serializer>(status: &StatusCode, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u16(status.as_u16())
}

impl Problem {
    pub fn new(status: StatusCode, code: impl Into<Cow<'static, str>>, detail: impl Into<Cow<'static, str>>) -> Self {
        let detail = detail.into();
        Self {
            kind: "about:blank",
            title: status.canonical_reason().unwrap_or("Error"),
            status,
            error: detail.clone(),
            detail,
            code: code.into(),
            fields: Vec::new(),
            provider: None,
            connection: None,
            upstream_status: None,
            operation: None,
            retry_after: (status == StatusCode::SERVICE_UNAVAILABLE).then_some(AGAIN),
            invalid_token: false,
            instance: None,
            request_id: None,
        }
    }

    pub fn malformed(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "malformed", detail)
    }

    pub fn invalid(field: impl Into<String>, message: impl Into<String>) -> Self {
        let (field, message) = (field.into(), message.into());
        let mut problem = Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_input", format!("{field}: {message}"));
        problem.fields.push(Field { field, message });
        problem
    }

    /// A change that names nothing of what it could change.
    pub fn no_change(of: &str) -> Self {
        let detail = format!("there is nothing to change: give at least one of {of}");
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_input", detail)
    }

    pub fn overloaded(detail: &'static str) -> Self {
        let kind = Kind::Overloaded;
        Self { retry_after: default_wait(kind), ..Self::new(status(kind), kind.code(), detail) }
    }

    pub fn not_found(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", detail)
    }

    #[must_use]
    pub fn with_operation(mut self, id: &OperationId) -> Self {
        self.operation = Some(id.clone());
        self
    }
}

/// DESIGN's table "kinds to status".
const fn status(kind: Kind) -> StatusCode {
    match kind {
        Kind::InvalidInput => StatusCode::UNPROCESSABLE_ENTITY,
        Kind::NotFound => StatusCode::NOT_FOUND,
        Kind::Conflict | Kind::QuotaExceeded => StatusCode::CONFLICT,
        Kind::Unauthenticated | Kind::Forbidden | Kind::Internal | Kind::Trapped => StatusCode::BAD_GATEWAY,
        Kind::RateLimited => StatusCode::TOO_MANY_REQUESTS,
        Kind::Unsupported => StatusCode::NOT_IMPLEMENTED,
        Kind::Unavailable | Kind::Overloaded => StatusCode::SERVICE_UNAVAILABLE,
        Kind::Timeout => StatusCode::GATEWAY_TIMEOUT,
        Kind::Gateway => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        if let Some(internal) = &error.internal {
            tracing::error!(code = error.code(), connection = error.connection, internal, "{}", error.message);
        }
        let mut problem = Self::new(status(error.kind), error.code().to_owned(), detail(&error));
        problem.fields = error.field.into_iter().map(|field| Field { field, message: error.message.clone() }).collect();
        problem.provider = error.provider;
        problem.connection = error.connection;
        problem.upstream_status = error.upstream_status;
        problem.retry_after = error.retry_after.or_else(|| default_wait(error.kind));
        problem
    }
}

/// The words of a JSON Schema don't say which value they are about.
fn detail(error: &Error) -> String {
    let of_schema = |field: &&String| ["settings", "options"].iter().any(|root| field.starts_with(*root));
    match error.field.as_ref().filter(of_schema) {
        Some(field) if error.kind == Kind::InvalidInput && !error.message.contains(field.as_str()) => {
            format!("{field}: {}", error.message)
        }
        _ => error.message.clone(),
    }
}

/// Seconds after which what isn't there now may be there again, where nobody knows better.
const AGAIN: u32 = 5;

/// Every 503 says when to come back, and so do rate limits.
const fn default_wait(kind: Kind) -> Option<u32> {
    match kind {
        Kind::Overloaded => Some(1),
        Kind::RateLimited | Kind::Unavailable => Some(AGAIN),
        _ => None,
    }
}

/// Room for the fields of a problem and those that every answer gets, so that the map needn't grow with each.
const FIELDS: usize = 16;

/// The code of a body in a content coding, which the answer names those that are taken for (RFC 9110, 15.5.16).
const CODED: &str = "unsupported_content_coding";

impl Problem {
    pub fn coded_body() -> Self {
        let detail = "send the body as it is, without Content-Encoding";
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, CODED, detail)
    }

    /// RFC 6750, section 3.1: who sent nothing is told no error.
    fn challenge(&self) -> HeaderValue {
        HeaderValue::from_static(if self.invalid_token {
            "Bearer realm=\"portico\", error=\"invalid_token\""
        } else {
            "Bearer realm=\"portico\""
        })
    }

    /// The answer but for its body.
    pub fn head(&self) -> Response {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.reserve(FIELDS);
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, self.challenge());
        }
        if self.code == CODED {
            headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        }
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.head();
        // The body is written by `layers::problem`, which knows the path and the request's id.
        response.extensions_mut().insert(Arc::new(self));
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_have_the_documented_status_and_code() {
        let table = [
            (Kind::InvalidInput, 422, "invalid_input"),
            (Kind::NotFound, 404, "not_found"),
            (Kind::Conflict, 409, "conflict"),
            (Kind::QuotaExceeded, 409, "quota_exceeded"),
            (Kind::Unsupported, 501, "unsupported"),
            (Kind::Unauthenticated, 502, "upstream_credentials"),
            (Kind::Forbidden, 502, "upstream_credentials"),
            (Kind::RateLimited, 429, "upstream_rate_limited"),
            (Kind::Unavailable, 503, "upstream_unavailable"),
            (Kind::Timeout, 504, "upstream_timeout"),
            (Kind::Internal, 502, "upstream_invalid"),
            (Kind::Trapped, 502, "provider_failed"),
            (Kind::Overloaded, 503, "overloaded"),
            (Kind::Gateway, 500, "internal"),
        ];
        for (kind, status, code) in table {
            let problem = Problem::from(Error::new(kind, "words"));
            assert_eq!((problem.status.as_u16(), &*problem.code), (status, code));
        }
    }

    #[test]
    fn every_503_says_when_to_come_back() {
        for (kind, wait) in [(Kind::Unavailable, Some(5)), (Kind::Overloaded, Some(1)), (Kind::Timeout, None)] {
            assert_eq!(Problem::from(Error::new(kind, "words")).retry_after, wait, "{kind:?}");
        }
        assert_eq!(Problem::from(Error::new(Kind::Unavailable, "words").with_retry_after(9)).retry_after, Some(9));
        let head = Problem::new(StatusCode::SERVICE_UNAVAILABLE, "idempotency_unavailable", "words").head();
        assert_eq!(head.headers()[header::RETRY_AFTER], "5");
    }

    #[test]
    fn what_a_schema_says_names_the_value() {
        let detail = |field: &str, message: &str| {
            Problem::from(Error::new(Kind::InvalidInput, message).with_field(field)).detail.into_owned()
        };
        for (field, message, told) in [
            ("settings.latency", "value is no number", "settings.latency: value is no number"),
            ("options", "the provider a takes no options", "the provider a takes no options"),
            ("secrets.api_key", "api_key is missing", "api_key is missing"),
        ] {
            assert_eq!(detail(field, message), told);
        }
    }

    #[test]
    fn internal_text_is_not_written() {
        let json = serde_json::to_string(&Problem::from(Error::gateway("disk /secret/path is full"))).unwrap();
        assert!(!json.contains("/secret/path"), "{json}");
    }
}
