//! Deployments and the plans that lead to them, in the one model.
//!
//! Invariant: as in `resource`: unknown is `null`, and `native` is the upstream's own JSON.

use super::{Native, Timestamp, resource::words};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

words!(
    /// `committed`: its files are complete, and no environment serves it yet.
    DeploymentStatus {
        Pending = "pending",
        Running = "running",
        Committed = "committed",
        Completed = "completed",
        Failed = "failed",
        Canceled = "canceled",
    }
);
words!(
    /// `files`: content-addressed files that a plan brought.
    SourceKind { Git = "git", Zip = "zip", Files = "files" }
);

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Deployment {
    /// Native id, escaped.
    pub id: String,
    /// The site's whole id.
    pub site: String,
    /// Native id, escaped.
    pub environment: Option<String>,
    pub source: Source,
    pub status: DeploymentStatus,
    pub message: Option<String>,
    /// Files, compared with the deployment before.
    pub changes: Option<Changes>,
    /// Plain text, in a single deployment only; 1 MiB at most, of a longer one the end.
    pub logs: Option<String>,
    pub url: Option<String>,
    pub created_at: Option<Timestamp>,
    pub completed_at: Option<Timestamp>,
    #[schemars(with = "Option<serde_json::Value>")]
    pub native: Native,
}

/// Where a deployment's files came from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Source {
    #[serde(rename = "type")]
    pub kind: SourceKind,
    pub repository: Option<String>,
    pub branch: Option<String>,
    pub commit: Option<String>,
    pub zip_url: Option<String>,
}

/// Numbers of files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Changes {
    pub added: u32,
    pub modified: u32,
    pub deleted: u32,
}

/// A deployment that is being prepared: nothing of it is seen until it is committed and released.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Plan {
    /// Native id, escaped.
    pub id: String,
    /// The site's whole id.
    pub site: String,
    /// BLAKE3 hashes of the files that the host doesn't have yet, 64 lower-case hex digits each.
    pub missing: Vec<String>,
    /// Until when it can be committed.
    pub expires_at: Option<Timestamp>,
}
