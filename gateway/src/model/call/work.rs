//! What mutating calls come to: done, going on, or looked up after a crash.
//!
//! Invariant: a secret is never shown by `Debug`, and is zeroized when it goes.

use crate::model::{Error, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// What a mutating call came to.
#[derive(Clone, Debug)]
pub enum Work {
    Done(Completion),
    Pending(Pending),
}

#[derive(Clone, Debug, Default)]
pub struct Completion {
    /// The native id, unescaped, of what was made or changed.
    pub target: Option<String>,
    pub message: Option<String>,
    pub details: Option<Box<RawValue>>,
    pub secrets: Vec<Secret>,
}

/// Shown once, sealed at rest, zeroized in memory.
#[derive(Clone, Serialize, Deserialize, zeroize::ZeroizeOnDrop)]
pub struct Secret {
    #[zeroize(skip)]
    pub name: String,
    pub value: String,
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Secret({}: …)", self.name)
    }
}

#[derive(Clone, Debug)]
pub struct Pending {
    /// Opaque to the gateway.
    pub handle: String,
    pub target: Option<String>,
    pub progress: Option<u8>,
    pub message: Option<String>,
    pub estimated_completion_at: Option<Timestamp>,
    /// Milliseconds until the next poll, kept between 100 and 60,000.
    pub poll_after: u32,
}

#[derive(Clone, Debug)]
pub enum Progress {
    Running(Pending),
    Succeeded(Completion),
    Failed(Error),
    Canceled,
}

/// What `reconcile` found out about a call that may or may not have been carried out.
#[derive(Clone, Debug)]
pub enum Finding {
    Found(Work),
    Absent,
    Unknown,
}
