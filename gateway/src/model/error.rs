//! Failures as data: one closed kind by which every decision is made, and words for people.
//!
//! Invariant: `message` may reach a client, so it holds no secret, no upstream HTML and no stack; what only operators may
//! read goes into `internal`, which is never serialized and never leaves for a client.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Why a call failed. The first eleven are the provider contract's; the rest arise in the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    InvalidInput,
    NotFound,
    Conflict,
    /// The upstream refused the connection's credential; the caller's own token is fine.
    Unauthenticated,
    Forbidden,
    RateLimited,
    QuotaExceeded,
    Unsupported,
    Unavailable,
    Timeout,
    /// The upstream or the provider answered nonsense.
    Internal,
    /// The component trapped, ran out of a limit, or broke the contract.
    Trapped,
    /// The gateway has no room for this call now.
    Overloaded,
    /// The gateway itself failed (its store, its disk).
    Gateway,
}

/// What clients read of the gateway's own failures.
const HIDDEN: &str = "the gateway failed to carry this out; its log has the reason";

impl Kind {
    /// The stable `code` of the problem, as documented for clients.
    pub const fn code(self) -> &'static str {
        match self {
            Self::InvalidInput => "invalid_input",
            Self::NotFound => "not_found",
            Self::Conflict => "conflict",
            Self::Unauthenticated | Self::Forbidden => "upstream_credentials",
            Self::RateLimited => "upstream_rate_limited",
            Self::QuotaExceeded => "quota_exceeded",
            Self::Unsupported => "unsupported",
            Self::Unavailable => "upstream_unavailable",
            Self::Timeout => "upstream_timeout",
            Self::Internal => "upstream_invalid",
            Self::Trapped => "provider_failed",
            Self::Overloaded => "overloaded",
            Self::Gateway => "internal",
        }
    }

    /// Whether the same question may be answered later without anything having been changed.
    pub const fn is_transient(self) -> bool {
        matches!(self, Self::RateLimited | Self::Unavailable | Self::Timeout | Self::Overloaded | Self::Gateway)
    }
}

/// A failed call. Build with [`Error::new`] and the `with_…` methods.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Error {
    pub kind: Kind,
    /// A more specific stable code than the kind's, such as `cursor_expired`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    pub message: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upstream_status: Option<u16>,
    /// Seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection: Option<String>,
    /// For the log only.
    #[serde(skip)]
    pub internal: Option<String>,
}

impl Error {
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self {
            kind,
            code: None,
            message: message.into(),
            field: None,
            upstream_status: None,
            retry_after: None,
            provider: None,
            connection: None,
            internal: None,
        }
    }

    /// The gateway's own failure: clients read a fixed sentence, the log reads `internal`.
    pub fn gateway(internal: impl fmt::Display) -> Self {
        Self::new(Kind::Gateway, HIDDEN).with_internal(internal)
    }

    /// No room for this now: nothing was done, so it may be sent again.
    pub fn overloaded(message: impl Into<String>) -> Self {
        Self::new(Kind::Overloaded, message)
    }

    #[must_use]
    pub fn with_code(mut self, code: impl Into<String>) -> Self {
        self.code = Some(code.into());
        self
    }

    #[must_use]
    pub fn with_field(mut self, field: impl Into<String>) -> Self {
        self.field = Some(field.into());
        self
    }

    #[must_use]
    pub fn with_retry_after(mut self, seconds: u32) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    #[must_use]
    pub fn with_internal(mut self, internal: impl fmt::Display) -> Self {
        self.internal = Some(internal.to_string());
        self
    }

    /// Names the connection and provider where it happened.
    #[must_use]
    pub fn at(mut self, connection: &str, provider: &str) -> Self {
        self.connection = Some(connection.to_owned());
        self.provider = Some(provider.to_owned());
        self
    }

    pub fn code(&self) -> &str {
        self.code.as_deref().unwrap_or(self.kind.code())
    }

    /// The words for whoever runs a command, who may read what only operators may: no code, and the reason in place of the
    /// sentence that points to the log.
    pub fn for_operators(&self) -> String {
        match self.internal.as_deref() {
            None | Some("") => self.message.clone(),
            Some(internal) if self.message == HIDDEN || self.message == internal => internal.to_owned(),
            Some(internal) => format!("{} ({internal})", self.message),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code(), self.message)
    }
}

impl std::error::Error for Error {}
