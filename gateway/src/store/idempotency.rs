//! Idempotency keys as the store keeps them.
//!
//! A key names an operation, or the answer of a change that Portico made itself. Invariant: answers arrive sealed; a key is
//! reserved durably before anything is done under it, and whether something was changed is marked in the change's transaction.

use crate::model::{OrganizationId, Timestamp};
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};
use uuid::Uuid;

/// A key where it is valid.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct KeyRef {
    pub organization: OrganizationId,
    /// Principal, method and path: the same key elsewhere is another key.
    pub scope: String,
    pub key: String,
}

#[derive(Clone, Debug)]
pub struct Reservation {
    pub key: KeyRef,
    pub fingerprint: [u8; 32],
    /// The process that carries it out: a runner of operations, with its lease.
    pub owner: Uuid,
    /// The requests of `owner` under the key. If there is none but this one, what `owner` reserved was left behind: its end couldn't be
    /// written.
    pub runs: Runs,
    pub now: Timestamp,
    pub expires_at: Timestamp,
    /// The most that the organization may have kept.
    pub limit: KeyLimit,
}

/// Requests that a process carries out under one key, at any moment: a reservation that waits for its turn to be written may have been
/// overtaken by another.
#[derive(Clone, Debug, Default)]
pub struct Runs(Arc<AtomicUsize>);

impl Runs {
    pub fn begin(&self) {
        self.0.fetch_add(1, Ordering::AcqRel);
    }

    /// Whether that was the last one.
    pub fn end(&self) -> bool {
        self.0.fetch_sub(1, Ordering::AcqRel) == 1
    }

    /// Whether there are others beside the one that asks.
    pub fn has_others(&self) -> bool {
        self.0.load(Ordering::Acquire) > 1
    }
}

/// Keys, and bytes of their answers, that are kept for one organization.
#[derive(Clone, Copy, Debug)]
pub struct KeyLimit {
    pub keys: u32,
    pub bytes: u32,
}

/// What a key stands for when it comes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reserved {
    /// Nothing was changed under it: it is now this request's, and must be ended.
    New,
    /// Another request is being carried out under it.
    InProgress,
    /// It was carried out: this is the sealed answer.
    Answered(Vec<u8>),
    /// Something was changed under it, and its process ended before the answer was kept, or could not keep it.
    AnswerLost,
    /// It was used for another request.
    Reused,
    /// The organization has too much kept already.
    Full,
}

/// How the request that reserved a key ended.
#[derive(Clone, Debug)]
pub enum KeyEnd {
    /// It is answered with this from now on.
    Answered(Vec<u8>),
    /// The same, if something was changed; otherwise the key is free again.
    AnsweredIfChanged(Vec<u8>),
    /// The answer can't be kept.
    AnswerLost,
    /// The same, if something was changed; otherwise the key is free again.
    AnswerLostIfChanged,
    /// Nothing was done: the key is free again.
    Free,
}
