//! What the store knows of master keys: which one sealed what it holds, and which may not seal any more.
//!
//! In goes a sealer, which opens and seals; out come counts. Invariant: a value is sealed anew in the transaction that reads it,
//! so that no concurrent change is lost, and under a retired key nothing is written any more. No plain value leaves the sealer.

use crate::{
    model::{Error, Kind, Timestamp},
    seal::{KeyId, SealedBy, Sealer},
};
use async_trait::async_trait;
use std::sync::Arc;

/// How many sealed values there are of one sort under one key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SealedCount {
    /// None: unreadable.
    pub by: Option<SealedBy>,
    /// `secrets of connections`, …
    pub what: &'static str,
    pub count: u64,
}

/// Where a walk over all sealed values goes on. Opaque outside the store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SealedPosition {
    pub(super) place: usize,
    pub(super) after: Option<String>,
}

/// What one step of such a walk did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SealedStep {
    /// Values that were looked at.
    pub seen: u64,
    pub renewed: u64,
    /// Values that didn't open, or whose form names no key.
    pub left: u64,
    /// None: that was the last step.
    pub next: Option<SealedPosition>,
}

/// Errors are `Kind::Gateway` unless a method says otherwise.
#[async_trait]
pub trait KeyStore: Send + Sync {
    /// The key of this name. The first to ask for it gives it its value; everyone gets what is kept.
    async fn data_key(&self, name: &str, sealed: &[u8]) -> Result<Vec<u8>, Error>;

    /// Of the gateway that runs on this store, or ran last.
    async fn keys_held(&self) -> Result<Vec<KeyId>, Error>;
    async fn keys_hold(&self, keys: &[KeyId]) -> Result<(), Error>;

    async fn keys_retired(&self) -> Result<Vec<KeyId>, Error>;
    /// From then on nothing is written that one of them sealed. False, and nothing is changed: something is sealed under one
    /// still, or in the form that names no key.
    async fn keys_retire(&self, keys: &[KeyId], now: Timestamp) -> Result<bool, Error>;

    async fn sealed_counts(&self) -> Result<Vec<SealedCount>, Error>;
    /// Seals up to `limit` rows anew, under the sealer's first key, in one transaction.
    async fn sealed_renew(&self, sealer: &Arc<Sealer>, from: SealedPosition, limit: u32) -> Result<SealedStep, Error>;
    /// Looks whether up to `limit` rows open, and changes nothing; `left` counts those that don't.
    async fn sealed_check(&self, sealer: &Arc<Sealer>, from: SealedPosition, limit: u32) -> Result<SealedStep, Error>;
}

/// Why a write of something that a retired key sealed is refused.
pub(super) fn retired() -> Error {
    let text = "the master key was replaced while this was being carried out: send it again";
    Error::new(Kind::Overloaded, text).with_retry_after(1)
}
