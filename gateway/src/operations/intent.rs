//! The intent: what is committed before the first byte of every request that may change something.
//!
//! In goes a digest from egress; out comes leave to send. Invariant: leave is given only after the commit, under a fence that
//! still holds and a lease that has not ended. It doesn't know what is sent.

use super::now;
use crate::{
    egress,
    model::Error,
    store::{Fence, Store},
};
use async_trait::async_trait;
use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU32, Ordering::SeqCst},
};

/// The intents of one call.
pub struct Intent {
    store: Arc<dyn Store>,
    fence: Fence,
    committed: AtomicBool,
    refused: AtomicBool,
    /// Requests that were let go, less those that the upstream declined.
    open: AtomicU32,
}

impl Intent {
    pub fn new(store: Arc<dyn Store>, fence: Fence) -> Arc<Self> {
        Arc::new(Self {
            store,
            fence,
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
}

#[async_trait]
impl egress::Intent for Intent {
    async fn sent(&self, digest: [u8; 32]) -> Result<(), Error> {
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
