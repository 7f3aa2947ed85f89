//! What calls on deployments take.
//!
//! Invariant: nothing in here is fetched by the gateway: repositories and zip files are the host's to get.

use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DeploymentCreate {
    pub environment: Option<String>,
    pub source: DeploymentSource,
    pub message: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum DeploymentSource {
    Git { repository: String, branch: Option<String>, commit: Option<String> },
    Zip { zip_url: String },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanInput {
    pub environment: Option<String>,
    pub files: Vec<PlanFile>,
    pub message: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanFile {
    /// Absolute inside the site: `/index.html`.
    pub path: String,
    /// 64 lower-case hex digits.
    pub blake3: String,
    pub sha256: String,
    /// Bytes.
    pub size: u64,
    pub content_type: Option<String>,
}
