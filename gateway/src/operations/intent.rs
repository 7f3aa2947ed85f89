//! The intent: what is committed before the first byte of every request that may change something.
//!
//! In goes a digest from egress; out comes leave to send. Invariant: leave is given only after the commit, under a fence that
//! still holds and a lease that has not ended, and for a call's first request only while it is allowed. It doesn't know what is
//! sent.

use super::now;
use crate::{
    dispatch::{StillAllowed, for_good},
    egress,
    model::{Error, Kind},
    store::{Fence, Store},
};
use async_trait::async_trait;
use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicBool, AtomicU32, Ordering::SeqCst},
};

/// The intents of one call.
pub struct Intent {
    store: Arc<dyn Store>,
    fence: Fence,
    allowed: StillAllowed,
    /// Why the first request was no longer allowed.
    forbidden: OnceLock<Error>,
    committed: AtomicBool,
    refused: AtomicBool,
    /// Requests that were let go, less those that the upstream declined.
    open: AtomicU32,
}

impl Intent {
    pub fn new(store: Arc<dyn Store>, fence: Fence) -> Arc<Self> {
        Self::while_allowed(store, fence, for_good())
    }

    pub fn while_allowed(store: Arc<dyn Store>, fence: Fence, allowed: StillAllowed) -> Arc<Self> {
        Arc::new(Self {
            store,
            fence,
            allowed,
            forbidden: OnceLock::new(),
            committed: AtomicBool::new(false),
            refused: AtomicBool::new(false),
            open: AtomicU32::new(0),
        })
    }

    /// Something may have left.
    pub fn committed(&self) -> bool {
        self.committed.load(SeqCst)
    }

    /// The upstream had no time for anything that left in this call, so nothing of it was carried out.
    pub fn declined(&self) -> bool {
        self.committed() && self.open.load(SeqCst) == 0
    }

    /// The gateway itself stopped the call: whatever error the provider made of that says nothing about the work.
    pub fn refused(&self) -> bool {
        self.refused.load(SeqCst)
    }

    /// What a call came to: where nothing of it was let go, the reason for that, whatever its provider made of it.
    pub fn judge<T>(&self, outcome: Result<T, Error>) -> Result<T, Error> {
        match self.forbidden.get() {
            Some(error) if !self.committed() => Err(error.clone()),
            _ => outcome,
        }
    }

    /// Whether nothing was let go since it has to be found out first whether it may be.
    pub fn is_unclear(&self) -> bool {
        self.forbidden.get().is_some_and(|error| error.kind == Kind::Overloaded) && !self.committed()
    }

    /// What has left can't be called back, so only the first request depends on it.
    fn check(&self) -> Result<(), Error> {
        if self.committed() {
            return Ok(());
        }
        (self.allowed)().inspect_err(|error| drop(self.forbidden.set(error.clone())))
    }
}

#[async_trait]
impl egress::Intent for Intent {
    async fn sent(&self, digest: [u8; 32]) -> Result<(), Error> {
        self.check()?;
        let outcome = self.store.operation_sent(&self.fence, &digest, now()).await;
        let flag = if outcome.is_ok() { &self.committed } else { &self.refused };
        flag.store(true, SeqCst);
        self.open.fetch_add(outcome.is_ok().into(), SeqCst);
        outcome
    }

    fn declined(&self) {
        self.open.fetch_sub(1, SeqCst);
    }
}
