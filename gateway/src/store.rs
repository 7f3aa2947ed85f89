//! The store: what must survive the process.
//!
//! In go records of the model, with their secrets sealed already; out come the same. [`SqliteStore`] is the embedded default.
//! Invariant: only this room knows SQL, and what a method acknowledged is durable. It decides nothing about operations but
//! whether a writer still holds the fence, and never sees a plain secret.

mod actor;
mod audit;
mod cause;
mod event;
mod idempotency;
mod keys;
mod label;
mod operation;
mod sqlite;
#[cfg(test)]
pub(crate) mod suite;
mod token;
mod user;

pub use actor::{Actor, Measured, Objection};
pub use audit::{AuditConfig, AuditEntry, AuditFilter, AuditFinding, AuditMark, AuditReport, AuditRow};
pub use cause::{Cause, about, by, caused_by, concerns, inherit, under_key};
pub use event::{EventRecord, EventScope, EventSpan, EventSubject, HealthEvent};
pub use idempotency::{KeyEnd, KeyLimit, KeyRef, Reservation, Reserved, Runs};
pub use keys::{KeyStore, SealedCount, SealedPosition, SealedStep};
pub use label::{LabelEnd, LabelRecord, PROTECTED};
pub use operation::{
    Acceptance, Claim, Fence, Finish, IdempotencyRecord, ListFilter, NewOperation, OpenCounts, OperationRecord,
    OperationsConfig, Outcome, PendingUpdate,
};
pub use sqlite::{Copied, SqliteStore, copy_progress};
pub use token::{MAX_TOKENS, TokenRecord, TokenRotation, TokenStore};
pub use user::{
    InvitationRecord, Joined, Joiner, MemberChange, MemberRecord, Membership, PasswordChange, SessionRecord, UserRecord,
    UserStore,
};

use crate::model::{ConnectionId, Error, Labels, Operation, OperationId, OrganizationId, Slug, Timestamp, TlsTrust};
use async_trait::async_trait;
use prometheus::IntCounter;
use std::collections::BTreeMap;
use tokio::sync::watch;
use uuid::Uuid;

/// Connections of one organization: each list asks all of them, and all are in memory.
pub const MAX_CONNECTIONS: u32 = 500;
/// Slugs that its connections have or ever had, since these are kept for good.
pub const MAX_SLUGS: u32 = 10_000;

#[derive(Clone, Debug)]
pub struct Organization {
    pub id: OrganizationId,
    pub slug: Slug,
    pub name: String,
    pub created_at: Timestamp,
}

#[derive(Clone, Debug)]
pub struct ConnectionRecord {
    pub id: ConnectionId,
    pub organization: OrganizationId,
    pub slug: Slug,
    pub provider: String,
    pub name: String,
    pub settings: serde_json::Value,
    pub tls: TlsTrust,
    pub secrets: BTreeMap<String, SealedSecret>,
    pub revision: i64,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct SealedSecret {
    pub sealed: Vec<u8>,
    pub updated_at: Timestamp,
}

/// Errors are `Kind::Gateway` unless a method says otherwise.
#[async_trait]
pub trait Store: TokenStore + UserStore {
    async fn organization_insert(&self, organization: &Organization) -> Result<(), Error>;
    async fn organization_by_slug(&self, slug: &Slug) -> Result<Option<Organization>, Error>;
    async fn organization(&self, id: OrganizationId) -> Result<Option<Organization>, Error>;

    /// `Conflict` when the slug is or was in use in the organization, since slugs are never reused; with the code
    /// `too_many_connections` when the organization has [`MAX_CONNECTIONS`], or had so many that there are [`MAX_SLUGS`].
    async fn connection_insert(&self, connection: &ConnectionRecord) -> Result<(), Error>;
    /// Writes a new revision; `Conflict` unless the stored revision is `connection.revision - 1`.
    async fn connection_update(&self, connection: &ConnectionRecord) -> Result<(), Error>;
    /// Removes it, its state and its sites' labels, keeps its slug taken. `Conflict` while operations run or one of its sites is
    /// [`PROTECTED`], unless `force`. False: there was none.
    async fn connection_delete(&self, id: ConnectionId, force: bool) -> Result<bool, Error>;
    async fn connection(&self, id: ConnectionId) -> Result<Option<ConnectionRecord>, Error>;
    /// Whether a connection of the organization has, or ever had, this slug.
    async fn connection_slug_used(&self, organization: OrganizationId, slug: &Slug) -> Result<bool, Error>;
    async fn connections(&self, organization: OrganizationId) -> Result<Vec<ConnectionRecord>, Error>;

    async fn state_load(&self, connection: ConnectionId) -> Result<Vec<(String, Vec<u8>)>, Error>;
    async fn state_set(&self, connection: ConnectionId, key: &str, value: &[u8]) -> Result<(), Error>;
    async fn state_delete(&self, connection: ConnectionId, key: &str) -> Result<(), Error>;

    /// All labels of the organization's sites.
    async fn labels(&self, organization: OrganizationId) -> Result<Vec<LabelRecord>, Error>;
    /// Of one site, by its native id.
    async fn labels_of(&self, connection: ConnectionId, site: &str) -> Result<Labels, Error>;
    /// Sets (`Some`) and removes (`None`). `InvalidInput` when the site would have too many, `NotFound` when the connection is
    /// gone; nothing is changed then.
    async fn labels_change(
        &self,
        connection: ConnectionId,
        site: &str,
        changes: &BTreeMap<String, Option<String>>,
        now: Timestamp,
    ) -> Result<(), Error>;

    /// Writes operation, idempotency, audit and event in one transaction, unless the key was used before or the queue is full.
    async fn operation_accept(&self, new: &NewOperation) -> Result<Acceptance, Error>;
    /// Whether an operation was accepted under the key, whatever was asked.
    async fn operation_of_key(&self, key: &KeyRef, now: Timestamp) -> Result<bool, Error>;
    async fn operation(&self, organization: OrganizationId, id: &OperationId) -> Result<Option<Operation>, Error>;
    /// With all that the runner needs.
    async fn operation_record(&self, id: &OperationId) -> Result<Option<OperationRecord>, Error>;
    /// The newest first, beginning after `after`.
    async fn operations(
        &self,
        organization: OrganizationId,
        filter: &ListFilter,
        after: Option<&(Timestamp, OperationId)>,
        limit: u32,
    ) -> Result<Vec<Operation>, Error>;
    /// Operations of a connection that aren't finished.
    async fn operations_open(&self, connection: ConnectionId) -> Result<u64, Error>;
    async fn operation_counts(&self) -> Result<OpenCounts, Error>;
    /// Returns the sealed secrets of a finished operation, and forgets them in the same transaction. With the key that the
    /// operation was made under, they stay with the key, and it gets them again until it expires. Whoever takes them for a request
    /// ([`caused_by`]) has a row of the audit log in that transaction; who gets them again by the key has none.
    async fn operation_take_secrets(
        &self,
        organization: OrganizationId,
        id: &OperationId,
        key: Option<&KeyRef>,
        now: Timestamp,
    ) -> Result<Option<Vec<u8>>, Error>;

    /// Enters or renews a runner's lease. A store that only one process can open forgets all other runners, since they are dead.
    async fn runner_lease(&self, runner: Uuid, until: Timestamp) -> Result<(), Error>;
    /// Ends the lease: what the runner owned may be claimed at once.
    async fn runner_release(&self, runner: Uuid) -> Result<(), Error>;
    /// Operations that are queued, or whose owner has no lease at `now`, the oldest first, beginning after `after`; and whose they are.
    async fn operations_claimable(
        &self,
        now: Timestamp,
        after: Option<&OperationId>,
        limit: u32,
    ) -> Result<Vec<(OperationId, OrganizationId)>, Error>;

    /// `queued -> running`, or a take-over from an owner without a lease. None: it is finished, or another's.
    async fn operation_claim(&self, id: &OperationId, owner: Uuid, now: Timestamp) -> Result<Option<Claim>, Error>;
    /// The methods below write only while the fence holds; otherwise they change nothing and fail with [`Fence::lost`].
    ///
    /// Commits that a request is about to leave. Fails also when the owner's lease has ended.
    async fn operation_sent(&self, fence: &Fence, digest: &[u8; 32], now: Timestamp) -> Result<(), Error>;
    async fn operation_outcome(&self, fence: &Fence, outcome: &Outcome, now: Timestamp) -> Result<(), Error>;
    /// Terminal state, labels, audit and event in one transaction.
    async fn operation_finish(&self, fence: &Fence, finish: &Finish) -> Result<(), Error>;
    /// `queued -> canceled`. False: it isn't queued, or something was sent already.
    async fn operation_cancel_queued(&self, id: &OperationId, now: Timestamp) -> Result<bool, Error>;
    /// Forgets operations that ended before `before`, the oldest first and at most `batch` of them, with the keys that name them; not
    /// those of which there are events still. How many went.
    async fn operations_prune(&self, before: Timestamp, batch: u32) -> Result<u64, Error>;
    /// Forgets idempotency keys that are no longer kept.
    async fn idempotency_expire(&self, now: Timestamp) -> Result<(), Error>;
    /// Reserves a key for a change that makes no operation. [`Reserved::New`] must be ended by [`Store::idempotency_end`]; one that was
    /// left behind (its owner has no lease any more, or is the one who asks and doesn't run under it) is free again if nothing was
    /// changed under it.
    async fn idempotency_reserve(&self, reservation: &Reservation) -> Result<Reserved, Error>;
    /// Changes nothing when the key isn't reserved by `owner` any more.
    async fn idempotency_end(&self, key: &KeyRef, owner: Uuid, end: &KeyEnd) -> Result<(), Error>;

    /// Adds a row to the audit log. Changes that a request causes ([`caused_by`]) are recorded by themselves, each with its own
    /// transaction; this is for what changes nothing here: refusals, failures, log-ins.
    async fn audit(&self, entry: &AuditEntry) -> Result<(), Error>;
    /// The newest first, of those with a lower id than `before`.
    async fn audit_rows(
        &self,
        organization: OrganizationId,
        filter: &AuditFilter,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Vec<AuditRow>, Error>;
    /// Forgets rows that are older than `before`, oldest first and at most `batch` of them. How many went.
    async fn audit_prune(&self, before: Timestamp, batch: u32) -> Result<u64, Error>;

    /// From now on counts writes that failed for the store's own reasons, each one. The first counter that is given stays.
    fn count_failures(&self, counter: &IntCounter);

    /// The id of the last event that was committed, as it grows.
    fn events_written(&self) -> watch::Receiver<i64>;
    /// The oldest first, of those with a higher id than `after`.
    async fn events(&self, scope: &EventScope, after: i64, limit: u32) -> Result<Vec<EventRecord>, Error>;
    async fn events_span(&self) -> Result<EventSpan, Error>;
    /// An operation, and the id of the last event at that moment: all that changes it later has a higher one.
    async fn operation_at_event(
        &self,
        organization: OrganizationId,
        id: &OperationId,
    ) -> Result<Option<(Operation, i64)>, Error>;
    async fn event_insert_health(&self, event: &HealthEvent) -> Result<(), Error>;
    /// Forgets events that are older than `before` or not among the newest `keep`, oldest first and at most `batch` of them.
    /// How many went.
    async fn events_prune(&self, before: Timestamp, keep: u64, batch: u32) -> Result<u64, Error>;
}
