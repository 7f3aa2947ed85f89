//! Operations: the durable record of work that a mutating call started.
//!
//! Invariant: a terminal status never changes again.

use super::{Action, Error, Timestamp, resource::words};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::fmt;

words!(
    /// `interrupted`: the gateway can't know whether the upstream carried it out, and won't send it again.
    OperationStatus {
        Queued = "queued",
        Running = "running",
        Succeeded = "succeeded",
        Failed = "failed",
        Canceled = "canceled",
        Interrupted = "interrupted",
    }
);

impl OperationStatus {
    pub const fn is_terminal(self) -> bool {
        !matches!(self, Self::Queued | Self::Running)
    }
}

/// `op_` and 32 lower-case hex digits of a UUID version 7, so ids sort by time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct OperationId(String);

impl OperationId {
    pub fn generate() -> Self {
        Self(format!("op_{}", uuid::Uuid::now_v7().simple()))
    }

    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix("op_")?;
        let fits = digits.len() == 32 && digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        fits.then(|| Self(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for OperationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What an operation is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[schemars(rename = "OperationTarget")]
pub struct Target {
    /// `site`, `environment`, `deployment`, `backup`, `domain`, `plugin`, `theme`
    #[serde(rename = "type")]
    pub kind: String,
    /// The whole id of a site; the escaped id of a sub-resource. Null until the upstream named what is being made.
    pub id: Option<String>,
    /// The site that a sub-resource belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub site: Option<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Operation {
    pub id: OperationId,
    pub action: Action,
    /// The connection's slug.
    pub connection: String,
    pub target: Target,
    pub status: OperationStatus,
    /// 0 to 100.
    pub progress: Option<u8>,
    pub message: Option<String>,
    /// The resource, or what the action tells instead of one.
    pub result: Option<Box<RawValue>>,
    pub error: Option<Error>,
    pub estimated_completion_at: Option<Timestamp>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub finished_at: Option<Timestamp>,
    pub native: Option<Box<RawValue>>,
}
