//! The log of events: what changed, in the order of its commits.
//!
//! Invariant: ids grow with the commits and are never used twice; what goes, goes from the oldest on, so that whoever knows the
//! last id that was forgotten knows whether it missed anything.

use crate::model::{Operation, OperationId, OrganizationId, Slug, Timestamp};
use serde_json::value::RawValue;

#[derive(Clone, Debug)]
pub struct EventRecord {
    pub id: i64,
    pub organization: OrganizationId,
    pub at: Timestamp,
    /// The slug of the connection that it happened on.
    pub connection: String,
    pub subject: EventSubject,
}

#[derive(Clone, Debug)]
pub enum EventSubject {
    /// As it was when the event was written.
    Operation(Box<Operation>),
    /// How the connection fares, as JSON.
    Health(Box<RawValue>),
}

/// Whose events.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum EventScope {
    Everyone,
    Organization(OrganizationId),
    Operation(OrganizationId, OperationId),
}

/// Which events there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventSpan {
    /// Events up to this id are gone.
    pub forgotten: i64,
    /// The last id that was given.
    pub last: i64,
}

impl EventSpan {
    /// Whether all that came after the event `id` is still there.
    pub const fn follows(&self, id: i64) -> bool {
        self.forgotten <= id && id <= self.last
    }
}

/// A change of a connection's health.
#[derive(Clone, Debug)]
pub struct HealthEvent {
    pub organization: OrganizationId,
    pub connection: Slug,
    pub health: Box<RawValue>,
    pub at: Timestamp,
}
