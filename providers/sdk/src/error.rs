//! Errors as data: constructors for each kind, and the mapping from an upstream's HTTP status.
//!
//! Portico decides by the kind alone; the message is for the user, so it is plain words without secrets, HTML or a final
//! period. Invariant: nothing here copies an upstream's body into a message.

use crate::{Error, ErrorKind, clock, time};

impl Error {
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), field: None, upstream_status: None, retry_after: None }
    }

    /// The input field (`admin.email`) or feature (`sites.clone`) that it is about.
    #[must_use]
    pub fn with_field(mut self, field: impl Into<String>) -> Self {
        self.field = Some(field.into());
        self
    }

    /// The HTTP status that the upstream answered with.
    #[must_use]
    pub fn with_upstream_status(mut self, status: u16) -> Self {
        self.upstream_status = Some(status);
        self
    }

    /// Seconds to wait before trying again.
    #[must_use]
    pub fn with_retry_after(mut self, seconds: u32) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    pub fn is(&self, kind: ErrorKind) -> bool {
        self.kind == kind
    }
}

/// A value that the upstream refuses, or that can't be sent to it.
pub fn invalid_input(field: impl Into<String>, message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidInput, message).with_field(field)
}

pub fn not_found(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::NotFound, message)
}

/// It exists already, or is in a state that forbids this.
pub fn conflict(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Conflict, message)
}

/// The upstream refused the connection's credential.
pub fn unauthenticated(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Unauthenticated, message)
}

/// The credential is good but lacks the right.
pub fn forbidden(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Forbidden, message)
}

pub fn rate_limited(message: impl Into<String>, retry_after: Option<u32>) -> Error {
    Error { retry_after, ..Error::new(ErrorKind::RateLimited, message) }
}

/// The plan's allowance is used up.
pub fn quota_exceeded(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::QuotaExceeded, message)
}

/// `feature` is an action (`sites.clone`) or a field of one (`sites.update.php_version`).
pub fn unsupported(feature: &str) -> Error {
    Error::new(ErrorKind::Unsupported, format!("this provider doesn't support {feature}")).with_field(feature)
}

pub fn unavailable(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Unavailable, message)
}

pub fn timeout(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Timeout, message)
}

/// The upstream answered something that makes no sense, or the provider met its own bug.
pub fn internal(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Internal, message)
}

/// The error for an HTTP status that isn't a success. `retry_after` is the header's text, if there is one.
pub fn from_status(status: u16, retry_after: Option<&str>) -> Error {
    let error = |kind, message: &str| Error::new(kind, message).with_upstream_status(status);
    let mut error = match status {
        400 | 422 => error(ErrorKind::InvalidInput, "the upstream refused the request as invalid"),
        401 => error(ErrorKind::Unauthenticated, "the upstream refused the connection's credential"),
        402 => error(ErrorKind::QuotaExceeded, "the upstream asks for a payment or a bigger plan"),
        403 => error(ErrorKind::Forbidden, "the connection's credential lacks the right to do this"),
        404 | 410 => error(ErrorKind::NotFound, "the upstream doesn't know this"),
        408 | 504 => error(ErrorKind::Timeout, "the upstream didn't answer in time"),
        409 | 412 | 423 => error(ErrorKind::Conflict, "the upstream says that the present state forbids this"),
        429 => error(ErrorKind::RateLimited, "the upstream asks to slow down"),
        500..=599 => error(ErrorKind::Unavailable, "the upstream failed to answer"),
        _ => error(ErrorKind::Internal, "the upstream answered with an unexpected status"),
    };
    error.retry_after = retry_after.and_then(|text| retry_after_seconds(text, clock::now));
    error
}

/// Seconds from a `Retry-After` header in either form (RFC 9110, 10.2.3): seconds, or an HTTP date, rounded up.
pub fn retry_after_seconds(text: &str, now: impl FnOnce() -> u64) -> Option<u32> {
    let text = text.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(text.parse().unwrap_or(u32::MAX));
    }
    let at = time::parse_http_date(text)?;
    Some(u32::try_from(at.saturating_sub(now()).div_ceil(1000)).unwrap_or(u32::MAX))
}

/// What didn't parse came from the upstream (or from the provider's own state): no user can repair it.
impl From<serde_json::Error> for Error {
    fn from(error: serde_json::Error) -> Self {
        // serde_json's own Display may quote values, so only the place is told.
        let what = match error.classify() {
            serde_json::error::Category::Io => "couldn't be written as JSON",
            serde_json::error::Category::Syntax => "isn't JSON",
            serde_json::error::Category::Data => "has an unexpected shape",
            serde_json::error::Category::Eof => "ends too early",
        };
        internal(format!("a document {what}, at line {} column {}", error.line(), error.column()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{FakeHost, START};

    #[test]
    fn statuses_become_kinds() {
        let _host = FakeHost::install();
        for (status, kind) in [
            (400, ErrorKind::InvalidInput),
            (401, ErrorKind::Unauthenticated),
            (402, ErrorKind::QuotaExceeded),
            (403, ErrorKind::Forbidden),
            (404, ErrorKind::NotFound),
            (408, ErrorKind::Timeout),
            (409, ErrorKind::Conflict),
            (410, ErrorKind::NotFound),
            (422, ErrorKind::InvalidInput),
            (429, ErrorKind::RateLimited),
            (500, ErrorKind::Unavailable),
            (503, ErrorKind::Unavailable),
            (504, ErrorKind::Timeout),
            (302, ErrorKind::Internal),
            (418, ErrorKind::Internal),
        ] {
            let error = from_status(status, None);
            assert_eq!((error.kind, error.upstream_status), (kind, Some(status)));
            assert!(!error.message.ends_with('.'), "{}", error.message);
        }
    }

    #[test]
    fn retry_after_has_two_forms() {
        // 2023-11-14T22:13:20Z
        for (text, seconds) in [
            ("120", Some(120)),
            (" 7 ", Some(7)),
            ("99999999999", Some(u32::MAX)),
            ("Tue, 14 Nov 2023 22:13:50 GMT", Some(30)),
            ("Tue, 14 Nov 2023 22:13:00 GMT", Some(0)),
            ("-1", None),
            ("soon", None),
            ("", None),
        ] {
            assert_eq!(retry_after_seconds(text, || START), seconds, "{text}");
        }
        assert_eq!(retry_after_seconds("Tue, 14 Nov 2023 22:13:50 GMT", || START + 1), Some(30), "rounded up");
    }

    #[test]
    fn a_broken_document_tells_where_and_nothing_else() {
        let error: Error = serde_json::from_str::<u32>("\"hunter2\"").unwrap_err().into();
        assert_eq!(error.kind, ErrorKind::Internal);
        assert!(!error.message.contains("hunter2") && error.message.contains("line 1"), "{}", error.message);
    }
}
