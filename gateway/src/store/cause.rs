//! On whose behalf a change is written: the request that asked for it, and its idempotency key.
//!
//! In goes a future that carries out a request; the store learns by it what to write beside each change: the row of the audit log,
//! and the mark on the key. Invariant: both are in the transaction of the change itself, so neither can be there without the
//! other. A task that is spawned in between must [`inherit`].

use super::{AuditEntry, KeyRef};
use crate::{clock, model::OrganizationId};
use std::{
    future::Future,
    net::IpAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};
use tokio::task_local;

task_local! {
    static CAUSE: Arc<Cause>;
    static KEY: KeyRef;
}

/// What the audit log tells of a request.
#[derive(Debug)]
pub struct Cause {
    pub organization: Option<OrganizationId>,
    pub principal: String,
    pub client: Option<IpAddr>,
    pub action: String,
    pub request_id: Option<String>,
    target: Mutex<Option<String>>,
    recorded: AtomicBool,
}

impl Cause {
    pub fn new(organization: Option<OrganizationId>, principal: impl Into<String>, action: impl Into<String>) -> Self {
        Self {
            organization,
            principal: principal.into(),
            client: None,
            action: action.into(),
            request_id: None,
            target: Mutex::default(),
            recorded: AtomicBool::new(false),
        }
    }

    /// Where the request came from, and what it is called in the log.
    #[must_use]
    pub fn from(self, client: Option<IpAddr>, request_id: Option<String>) -> Self {
        Self { client, request_id, ..self }
    }

    #[must_use]
    pub fn about(self, target: impl Into<String>) -> Self {
        self.name_target(target.into());
        self
    }

    fn name_target(&self, target: String) {
        *self.target.lock().unwrap_or_else(PoisonError::into_inner) = Some(target);
    }

    /// A row was committed with a change.
    pub fn is_recorded(&self) -> bool {
        self.recorded.load(Ordering::Acquire)
    }

    pub(super) fn was_recorded(&self) {
        self.recorded.store(true, Ordering::Release);
    }

    /// The row that tells how it went.
    pub fn entry(&self, outcome: &str, status: Option<u16>) -> AuditEntry {
        let target = self.target.lock().unwrap_or_else(PoisonError::into_inner).clone();
        AuditEntry {
            at: clock::now(),
            organization: self.organization,
            principal: self.principal.clone(),
            client: self.client,
            action: self.action.clone(),
            target,
            outcome: outcome.to_owned(),
            status,
            request_id: self.request_id.clone(),
            operation: None,
        }
    }
}

/// What `work` changes is recorded as done by `cause`.
pub async fn caused_by<T>(cause: Arc<Cause>, work: impl Future<Output = T>) -> T {
    CAUSE.scope(cause, work).await
}

/// What `work` changes marks the key.
pub async fn under_key<T>(key: KeyRef, work: impl Future<Output = T>) -> T {
    KEY.scope(key, work).await
}

/// Says what the running request is about, as soon as that is known. What isn't said is the path that was asked for.
pub fn about(target: impl Into<String>) {
    if let Ok(cause) = CAUSE.try_with(Arc::clone) {
        cause.name_target(target.into());
    }
}

/// For work that goes on in a task of its own: it writes on behalf of the same request.
pub fn inherit<F: Future>(work: F) -> impl Future<Output = F::Output> {
    let (cause, key) = (cause(), key());
    async move {
        match (cause, key) {
            (Some(cause), Some(key)) => CAUSE.scope(cause, KEY.scope(key, work)).await,
            (Some(cause), None) => CAUSE.scope(cause, work).await,
            (None, Some(key)) => KEY.scope(key, work).await,
            (None, None) => work.await,
        }
    }
}

pub(super) fn cause() -> Option<Arc<Cause>> {
    CAUSE.try_with(Arc::clone).ok()
}

pub(super) fn key() -> Option<KeyRef> {
    KEY.try_with(KeyRef::clone).ok()
}
