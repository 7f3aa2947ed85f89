//! The audit log as the store keeps it: who did what, from where, with which result.
//!
//! In go entries; out come rows with their numbers, and what a check of the chain found. Invariant: rows are only ever added, and
//! each carries a keyed hash over the one before and itself; nothing but age takes them away. No secret is ever in one.

use crate::model::{OrganizationId, Timestamp};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// The `[audit]` section.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AuditConfig {
    /// Days for which rows are kept; 0 is for ever.
    pub keep_days: u32,
}

impl Default for AuditConfig {
    fn default() -> Self {
        Self { keep_days: 400 }
    }
}

/// A row that is to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEntry {
    pub at: Timestamp,
    /// None: it is about the whole gateway.
    pub organization: Option<OrganizationId>,
    /// `token:…`, `user:…`, `operator` for a command on the machine itself, or `nobody`.
    pub principal: String,
    pub client: Option<IpAddr>,
    /// `connections.create`
    pub action: String,
    /// What it was about: a path of the API.
    pub target: Option<String>,
    /// `done`, `replayed`, `refused` or `failed` for requests; `accepted` and how it ended for operations.
    pub outcome: String,
    /// Of the answer, where it was known when the row was written.
    pub status: Option<u16>,
    pub request_id: Option<String>,
    pub operation: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditRow {
    pub id: i64,
    pub entry: AuditEntry,
}

/// Which rows to list; none means any.
#[derive(Clone, Debug, Default)]
pub struct AuditFilter {
    pub since: Option<Timestamp>,
    /// Exclusive.
    pub until: Option<Timestamp>,
    pub principal: Option<String>,
    pub action: Option<String>,
}

/// A row's number and hash, as it was noted elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditMark {
    pub id: i64,
    pub mac: [u8; 32],
}

/// What a check of the whole chain found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditReport {
    /// Rows from before the chain began: nothing can be said about them.
    pub unchained: u64,
    /// Rows that were checked.
    pub rows: u64,
    /// Where the chain begins and ends.
    pub first: i64,
    pub head: AuditMark,
    /// The first ones, in order of rows; empty: the log is whole.
    pub findings: Vec<AuditFinding>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditFinding {
    /// The row that it is about; none: the head record itself, or the index by which the log is listed.
    pub row: Option<i64>,
    pub what: String,
}
