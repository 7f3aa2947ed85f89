//! What the store keeps of an operation beyond what clients see, and the changes that a runner commits to it.
//!
//! Invariant: every change of a running operation names the fence under which its writer claimed it. Arguments, completions and
//! secrets are sealed before they come here. Nothing here decides what a change means.

use super::LabelEnd;
use crate::model::{ConnectionId, Error, Kind, Operation, OperationId, OperationStatus, OrganizationId, Target, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use uuid::Uuid;

/// The `[operations]` section.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OperationsConfig {
    /// Days for which an operation is kept after its end; 0 is for ever.
    pub keep_days: u32,
}

impl Default for OperationsConfig {
    fn default() -> Self {
        Self { keep_days: 90 }
    }
}

/// An operation that is to be accepted.
#[derive(Clone, Debug)]
pub struct NewOperation {
    pub operation: Operation,
    pub organization: OrganizationId,
    pub connection: ConnectionId,
    pub principal: String,
    /// Sealed.
    pub arguments: Vec<u8>,
    pub idempotency: Option<IdempotencyRecord>,
    /// The most queued operations that the organization may have.
    pub queue_limit: u32,
}

#[derive(Clone, Debug)]
pub struct IdempotencyRecord {
    pub scope: String,
    pub key: String,
    pub fingerprint: [u8; 32],
    pub expires_at: Timestamp,
}

#[derive(Clone, Debug)]
pub enum Acceptance {
    Accepted,
    /// The key was used for the same request before: this is its operation, as it is now.
    Existing(Box<Operation>),
    /// The key was used for another request.
    KeyReused,
    QueueFull,
}

/// Everything about one operation.
#[derive(Clone, Debug)]
pub struct OperationRecord {
    pub operation: Operation,
    pub organization: OrganizationId,
    pub connection: ConnectionId,
    pub principal: String,
    pub owner: Option<Uuid>,
    pub fence: i64,
    /// Requests that were about to leave, so far.
    pub steps: i64,
    /// Some: a request may have reached the upstream, and whether it was carried out is not yet known.
    pub sent_at: Option<Timestamp>,
    pub handle: Option<String>,
    /// Sealed; none once it is finished.
    pub arguments: Option<Vec<u8>>,
    /// Sealed; some between the end of the work and the end of the operation.
    pub completion: Option<Vec<u8>>,
}

/// A claimed operation, and what it was before.
#[derive(Clone, Debug)]
pub struct Claim {
    pub record: OperationRecord,
    pub from: OperationStatus,
}

/// The right to write to one running operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fence {
    pub id: OperationId,
    pub owner: Uuid,
    pub number: i64,
}

impl Fence {
    const LOST: &str = "lease_lost";

    /// The error of a write whose fence doesn't hold any more: another owner has the operation, or it is finished.
    pub fn lost(&self) -> Error {
        Error::new(Kind::Conflict, "this gateway no longer carries out the operation").with_code(Self::LOST)
    }

    pub fn is_lost(error: &Error) -> bool {
        error.code.as_deref() == Some(Self::LOST)
    }
}

/// What a runner found out, to be committed before it goes on.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// The work goes on at the upstream.
    Pending(PendingUpdate),
    /// The work is done; the sealed completion is kept until the result was read.
    Completed { sealed: Vec<u8> },
    /// Nothing of it was carried out: it is as if nothing had been sent.
    Absent,
    /// Nothing was sent; it goes back to the queue.
    Queued { message: Option<String> },
    /// Only words for people changed.
    Message(String),
}

#[derive(Clone, Debug, Default)]
pub struct PendingUpdate {
    pub handle: String,
    /// None: as it was.
    pub target_id: Option<String>,
    pub progress: Option<u8>,
    pub message: Option<String>,
    pub estimated_completion_at: Option<Timestamp>,
}

/// How an operation ends.
#[derive(Clone, Debug)]
pub struct Finish {
    pub status: OperationStatus,
    pub target: Target,
    pub progress: Option<u8>,
    pub message: Option<String>,
    pub result: Option<Box<RawValue>>,
    /// What the provider tells beside the result.
    pub native: Option<Box<RawValue>>,
    pub error: Option<Error>,
    /// Sealed.
    pub secrets: Option<Vec<u8>>,
    /// A failure that may pass, of something that was never sent: the same Idempotency-Key may try again.
    pub frees_key: bool,
    /// What becomes of the labels of a site.
    pub labels: Option<LabelEnd>,
    pub at: Timestamp,
}

/// Which operations to list; none means any.
#[derive(Clone, Debug, Default)]
pub struct ListFilter {
    /// A connection's slug.
    pub connection: Option<String>,
    /// Only those of these connections, by their slugs.
    pub connections: Option<Vec<String>>,
    pub status: Option<OperationStatus>,
    pub action: Option<crate::model::Action>,
    /// The id of a target, or of the site that a target belongs to.
    pub target: Option<String>,
}

/// How many operations are unfinished.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OpenCounts {
    pub queued: u64,
    pub running: u64,
}
