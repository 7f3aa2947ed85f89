//! Traps: why a guest was ended, and what the client and the operator read about it.
//!
//! In goes what wasmtime returned; out comes a reason from a closed set (a metric label) and a model error. Invariant: the
//! client reads a fixed sentence; the reason and the guest's words are in the log only.

use crate::model::{Error, Kind};
use std::fmt;
use wasmtime::Trap;

/// What ended a guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    /// It computed past its budget.
    Cpu,
    /// It did not answer in time, although it waited for nothing.
    Wall,
    Memory,
    Unreachable,
    Stack,
    /// Its answer could not be read: malformed, or too large.
    Lift,
    /// It used an import more than it may, or when it may not.
    Limit,
    Other,
}

impl Reason {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Wall => "wall",
            Self::Memory => "memory",
            Self::Unreachable => "unreachable",
            Self::Stack => "stack",
            Self::Lift => "lift",
            Self::Limit => "limit",
            Self::Other => "other",
        }
    }

    /// `denied`: whether the guest was refused memory before.
    pub(super) fn of(error: &wasmtime::Error, denied: bool) -> Self {
        if let Some(stopped) = error.downcast_ref::<Stopped>() {
            return stopped.reason;
        }
        match error.downcast_ref::<Trap>() {
            Some(Trap::UnreachableCodeReached) if denied => Self::Memory,
            Some(Trap::UnreachableCodeReached) => Self::Unreachable,
            Some(Trap::StackOverflow) => Self::Stack,
            Some(Trap::Interrupt) => Self::Cpu,
            Some(
                Trap::StringOutOfBounds
                | Trap::ListOutOfBounds
                | Trap::InvalidDiscriminant
                | Trap::UnalignedPointer
                | Trap::InvalidChar,
            ) => Self::Lift,
            Some(_) => Self::Other,
            None => Self::Lift,
        }
    }
}

/// Ended by the host, with the sentence for the log.
#[derive(Debug)]
pub(super) struct Stopped {
    pub(super) reason: Reason,
    pub(super) why: String,
}

impl Stopped {
    pub(super) fn error(reason: Reason, why: impl Into<String>) -> wasmtime::Error {
        wasmtime::Error::new(Self { reason, why: why.into() })
    }
}

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.why)
    }
}

impl std::error::Error for Stopped {}

/// What a client reads about any trap.
pub(super) fn trapped(internal: impl fmt::Display) -> Error {
    Error::new(Kind::Trapped, "the provider failed on this call; the gateway's log has the reason").with_internal(internal)
}

/// The guest answered, but not as the contract says.
pub(super) fn broken(what: impl fmt::Display) -> Error {
    Error::new(Kind::Trapped, format!("the provider broke its contract: {what}"))
}
