//! That something isn't there, as its provider said it.
//!
//! Invariant: it has the time at which it was read, as an answer has, so that a client who wants nothing older gets nothing
//! older.

use super::{ENTRY, weigh};
use crate::model::Error;
use tokio::time::Instant;

pub struct Absence {
    pub error: Error,
    pub asked_at: Instant,
    pub read_at: Instant,
}

impl Absence {
    /// It was said now.
    pub fn new(error: Error, asked_at: Instant) -> Self {
        Self { error, asked_at, read_at: Instant::now() }
    }

    /// About how many bytes it holds.
    pub fn weight(&self) -> u32 {
        weigh::failure(&self.error).saturating_add(ENTRY)
    }
}
