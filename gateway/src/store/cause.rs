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
        Arc, Mutex, MutexGuard, PoisonError,
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
    pub client: Option<IpAddr>,
    pub action: String,
    pub request_id: Option<String>,
    facts: Mutex<Facts>,
    recorded: AtomicBool,
}

/// What may become known while the request runs.
#[derive(Clone, Debug, Default)]
struct Facts {
    /// In whose logs it stands: mostly one organization's; of none, in the gateway's own.
    organizations: Vec<OrganizationId>,
    principal: String,
    target: Option<String>,
}

impl Cause {
    pub fn new(organization: Option<OrganizationId>, principal: impl Into<String>, action: impl Into<String>) -> Self {
        let facts = Facts { organizations: organization.into_iter().collect(), principal: principal.into(), target: None };
        Self {
            client: None,
            action: action.into(),
            request_id: None,
            facts: Mutex::new(facts),
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
        self.facts().target = Some(target);
    }

    fn facts(&self) -> MutexGuard<'_, Facts> {
        self.facts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A row was committed with a change.
    pub fn is_recorded(&self) -> bool {
        self.recorded.load(Ordering::Acquire)
    }

    pub(super) fn was_recorded(&self) {
        self.recorded.store(true, Ordering::Release);
    }

    /// The row that tells how it went, in the log of the organization that the request was made in.
    pub fn entry(&self, outcome: &str, status: Option<u16>) -> AuditEntry {
        let facts = self.facts().clone();
        AuditEntry {
            at: clock::now(),
            organization: facts.organizations.first().copied(),
            principal: facts.principal,
            client: self.client,
            action: self.action.clone(),
            target: facts.target,
            outcome: outcome.to_owned(),
            status,
            request_id: self.request_id.clone(),
            operation: None,
        }
    }

    /// The same in the log of each organization that it concerns.
    pub fn entries(&self, outcome: &str) -> Vec<AuditEntry> {
        let first = self.entry(outcome, None);
        let others = self.facts().organizations.clone().into_iter().skip(1);
        let others: Vec<_> =
            others.map(|organization| AuditEntry { organization: Some(organization), ..first.clone() }).collect();
        [first].into_iter().chain(others).collect()
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

/// Says who asks, where that is known only now: somebody logs in.
pub fn by(organization: OrganizationId, principal: impl Into<String>) {
    if let Ok(cause) = CAUSE.try_with(Arc::clone) {
        let mut facts = cause.facts();
        (facts.organizations, facts.principal) = (vec![organization], principal.into());
    }
}

/// Says that it changes something in these organizations as well.
pub fn concerns(organizations: impl IntoIterator<Item = OrganizationId>) {
    if let Ok(cause) = CAUSE.try_with(Arc::clone) {
        let mut facts = cause.facts();
        for organization in organizations {
            if !facts.organizations.contains(&organization) {
                facts.organizations.push(organization);
            }
        }
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
