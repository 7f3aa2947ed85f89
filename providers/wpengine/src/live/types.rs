//! What the live API answers: only the fields that decide something.
//!
//! Source: the vendor's OpenAPI 1.17.0. Invariant: whatever isn't needed to go on is optional, so that one odd field can't hide
//! a list; int64 values come as text (proto3) and are taken as numbers, too.

use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// `{previous, next, count, results}`; `next` is an absolute URL.
#[derive(Debug, Deserialize)]
pub struct Listing {
    pub next: Option<String>,
    pub results: Vec<Value>,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Reference {
    pub id: String,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Site {
    pub id: String,
    pub name: String,
    pub account: Option<Reference>,
    pub created_at: Option<String>,
    #[serde(default)]
    pub installs: Option<Vec<Value>>,
}

/// Alone, in `/installs`, or shorter inside a site.
#[derive(Clone, Debug, Deserialize)]
pub struct Install {
    pub id: String,
    pub name: String,
    /// `active`, `pending`; not inside a site.
    pub status: Option<String>,
    /// `production`, `staging`, `development`, or null.
    pub environment: Option<String>,
    pub cname: Option<String>,
    pub primary_domain: Option<String>,
    pub php_version: Option<String>,
    pub wp_version: Option<String>,
    pub is_multisite: Option<bool>,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Backup {
    pub id: String,
    pub status: String,
    pub description: Option<String>,
    pub create_time: Option<String>,
    pub complete_time: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Domain {
    pub id: String,
    pub name: String,
    #[serde(default)]
    pub primary: bool,
    pub ownership_status: Option<String>,
    pub txt_verification_key: Option<String>,
    pub txt_verification_value: Option<String>,
}

impl Domain {
    pub fn is_pending(&self) -> bool {
        self.ownership_status.as_deref() == Some("TXT_VERIFICATION_PENDING")
    }
}

#[derive(Clone, Debug, Default, Deserialize)]
pub struct Certificates {
    pub certificates: Vec<Certificate>,
    pub next_page_token: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Certificate {
    #[serde(default)]
    pub domains: Vec<String>,
    /// `LETS_ENCRYPT`, `THIRD_PARTY`, `SELF_SIGNED`.
    pub cert_source: Option<String>,
    pub status: Option<String>,
    pub expires_time: Option<String>,
}

/// `GET …/check_status/{report}`.
#[derive(Clone, Debug, Deserialize)]
pub struct ReportAnswer {
    pub report: Report,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Report {
    #[serde(default)]
    pub complete: bool,
    #[serde(default)]
    pub domains: Vec<Checked>,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Checked {
    pub result: Option<String>,
}

/// `UsageMetricsRollup`, alone or as `metrics_rollup`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Rollup {
    pub visit_count: Metric,
    pub network_total_bytes: Metric,
    pub storage_file_bytes: Metric,
    pub storage_database_bytes: Metric,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Metric {
    #[serde(deserialize_with = "int64")]
    pub sum: Option<u64>,
    pub latest: Option<Latest>,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Latest {
    #[serde(default, deserialize_with = "int64")]
    pub value: Option<u64>,
}

impl Metric {
    pub fn latest(&self) -> Option<u64> {
        self.latest.as_ref().and_then(|latest| latest.value)
    }
}

/// `GET /installs/{id}/usage`.
#[derive(Clone, Debug, Deserialize)]
pub struct InstallUsage {
    #[serde(default)]
    pub metrics_rollup: Rollup,
}

/// What can't be read as a count is unknown.
fn int64<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::String(text) => text.parse().ok(),
        other => other.as_u64(),
    })
}
