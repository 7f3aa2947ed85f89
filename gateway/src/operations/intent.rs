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
    atomic::{AtomicBool, Ordering::SeqCst},
};

/// The intents of one call.
pub struct Intent {
    store: Arc<dyn Store>,
    fence: Fence,
    committed: AtomicBool,
    refused: AtomicBool,
}

impl Intent {
    pub fn new(store: Arc<dyn Store>, fence: Fence) -> Arc<Self> {
        Arc::new(Self { store, fence, committed: AtomicBool::new(false), refused: AtomicBool::new(false) })
    }

    /// Something may have left.
    pub fn committed(&self) -> bool {
        self.committed.load(SeqCst)
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
        outcome
    }
}
