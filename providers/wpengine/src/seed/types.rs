//! What the seed's API answers: only the fields that decide something.
//!
//! Source: the seed document. Invariant: whatever isn't needed to go on is optional.

use serde::Deserialize;
use serde_json::Value;

#[derive(Debug, Deserialize)]
pub struct Listing {
    pub results: Vec<Value>,
    pub pagination: Option<Pagination>,
}

#[derive(Debug, Deserialize)]
pub struct Pagination {
    pub current_page: u64,
    pub total_pages: u64,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Site {
    pub id: String,
    pub name: String,
    pub environment: Option<String>,
    pub url: Option<String>,
    pub status: Option<String>,
    pub php_version: Option<String>,
    pub wordpress_version: Option<String>,
    pub created_at: Option<String>,
    pub updated_at: Option<String>,
    pub disk_usage: Option<DiskUsage>,
    pub bandwidth: Option<Bandwidth>,
    #[serde(default)]
    pub environments: Vec<Value>,
}

#[derive(Clone, Debug, Deserialize)]
pub struct DiskUsage {
    pub used: Option<f64>,
    pub unit: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Bandwidth {
    pub current_month: Option<f64>,
    pub unit: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Environment {
    pub name: String,
    pub url: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Backup {
    pub id: String,
    pub description: Option<String>,
    #[serde(rename = "type")]
    pub kind: Option<String>,
    pub status: String,
    pub size: Option<String>,
    pub created_at: Option<String>,
    pub completed_at: Option<String>,
    pub download_url: Option<String>,
    pub contents: Option<Contents>,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Contents {
    #[serde(default)]
    pub database: bool,
    #[serde(default)]
    pub files: bool,
    #[serde(default)]
    pub plugins: bool,
    #[serde(default)]
    pub themes: bool,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Deployment {
    pub id: String,
    pub environment: Option<String>,
    pub source: Source,
    pub status: String,
    pub created_at: Option<String>,
    pub completed_at: Option<String>,
    pub logs: Option<String>,
    pub changes: Option<Changes>,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Source {
    /// `git`, `zip`.
    #[serde(rename = "type")]
    pub kind: String,
    pub repository: Option<String>,
    pub branch: Option<String>,
    pub commit: Option<String>,
    pub zip_url: Option<String>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Changes {
    #[serde(default)]
    pub added: u32,
    #[serde(default)]
    pub modified: u32,
    #[serde(default)]
    pub deleted: u32,
}

/// What every change answers: the thing as far as it is made, and until when.
#[derive(Clone, Debug, Deserialize)]
pub struct Started {
    pub id: String,
    pub estimated_completion_time: Option<String>,
}
