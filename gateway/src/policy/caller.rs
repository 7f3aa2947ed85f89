//! Callers: on whose behalf something waits, so that those who wait are served in turn.
//!
//! In go principals, or their names as operations keep them; out come values that cost nothing to compare. Invariant: two tokens are
//! two callers, and all sessions of a user are one. It is for queues alone: nothing is allowed or refused by who a caller is.

use uuid::Uuid;

/// Nobody's is the gateway's own work.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Caller(Option<Uuid>);

impl Caller {
    pub const fn new(id: Uuid) -> Self {
        Self(Some(id))
    }

    /// Of a principal's name (`token:…`, `user:…`).
    pub fn named(principal: &str) -> Self {
        Self(principal.split_once(':').and_then(|(_, id)| Uuid::parse_str(id).ok()))
    }
}
