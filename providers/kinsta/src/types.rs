//! What Kinsta answers, only the fields that are needed, as its document (OpenAPI, version 1.87.0) has them.
//!
//! Invariant: a field that the document doesn't promise is optional here, and one that is unknown is let be.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// `GET /validate`
#[derive(Debug, Deserialize)]
pub struct Key {
    pub company: String,
    pub status: Option<String>,
}

#[derive(Debug, Deserialize)]
pub struct Company<T> {
    pub company: T,
}

#[derive(Debug, Deserialize)]
pub struct Sites {
    pub sites: Vec<Value>,
}

#[derive(Debug, Deserialize)]
pub struct Users {
    pub users: Vec<UserEntry>,
}

#[derive(Debug, Deserialize)]
pub struct UserEntry {
    pub user: User,
}

#[derive(Debug, Deserialize)]
pub struct User {
    pub id: String,
}

#[derive(Debug, Deserialize)]
pub struct InSite<T> {
    pub site: T,
}

#[derive(Debug, Deserialize)]
pub struct Environments {
    pub environments: Vec<Value>,
}

#[derive(Debug, Deserialize)]
pub struct Site {
    pub id: String,
    pub name: Option<String>,
    pub display_name: String,
    pub status: Option<String>,
    /// Left out of lists that didn't ask for them.
    #[serde(default)]
    pub environments: Vec<Value>,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Environment {
    pub id: String,
    #[serde(default)]
    pub name: String,
    pub display_name: String,
    #[serde(default)]
    pub is_premium: bool,
    #[serde(default)]
    pub is_blocked: bool,
    pub wordpress_version: Option<String>,
    #[serde(default)]
    pub domains: Vec<EnvironmentDomain>,
    #[serde(rename = "primaryDomain")]
    pub primary_domain: Option<EnvironmentDomain>,
    pub container_info: Option<Container>,
    pub id_edge_cache: Option<String>,
    pub cdn_cache_id: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
pub struct EnvironmentDomain {
    pub id: String,
    pub name: String,
    pub is_active: Option<bool>,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Container {
    /// `php8.3`
    pub php_engine_version: Option<String>,
}

#[derive(Debug, Deserialize)]
pub struct InEnvironment<T> {
    pub environment: T,
}

#[derive(Debug, Deserialize)]
pub struct Backups {
    pub backups: Vec<Value>,
}

#[derive(Debug, Deserialize)]
pub struct Backup {
    /// A number, unlike every other id here.
    pub id: u64,
    pub note: Option<String>,
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// Milliseconds.
    pub created_at: Option<f64>,
}

#[derive(Debug, Deserialize)]
pub struct Downloadables {
    pub downloadable_backups: Vec<Value>,
}

#[derive(Debug, Deserialize)]
pub struct Downloadable {
    pub id: String,
    pub created_at: Option<f64>,
    pub download_link: Option<String>,
    #[serde(default)]
    pub is_generation_in_progress: bool,
}

#[derive(Debug, Deserialize)]
pub struct SiteDomains {
    pub site_domains: Vec<Value>,
}

#[derive(Debug, Deserialize)]
pub struct SiteDomain {
    pub id: String,
    pub name: String,
}

#[derive(Debug, Deserialize)]
pub struct InDomain {
    pub site_domain: Records,
}

#[derive(Debug, Default, Deserialize)]
pub struct Records {
    #[serde(default)]
    pub verification_records: Vec<Record>,
    #[serde(default)]
    pub pointing_records: Vec<Record>,
}

#[derive(Debug, Deserialize, Serialize)]
pub struct Record {
    pub name: String,
    pub value: String,
    #[serde(rename = "type")]
    pub kind: String,
}

#[derive(Debug, Deserialize)]
pub struct InContainer<T> {
    pub container_info: T,
}

/// The list that was asked for.
#[derive(Debug, Deserialize)]
pub struct Extensions {
    pub wp_plugins: Option<Data>,
    pub wp_themes: Option<Data>,
}

#[derive(Debug, Deserialize)]
pub struct Data {
    pub data: Vec<Value>,
}

#[derive(Debug, Deserialize)]
pub struct Extension {
    pub name: String,
    pub title: Option<String>,
    pub status: Option<String>,
    pub version: Option<String>,
    /// `available` or `none`.
    pub update: Option<String>,
    pub update_version: Option<String>,
}

#[derive(Debug, Deserialize)]
pub struct Logs {
    pub logs: String,
}

#[derive(Debug, Deserialize)]
pub struct Visits {
    pub this_month_usage: VisitsNumber,
}

#[derive(Debug, Deserialize)]
pub struct VisitsNumber {
    pub visits: f64,
}

/// Of the server, or of the CDN.
#[derive(Debug, Deserialize)]
pub struct Bandwidth {
    pub this_month_usage: Option<BandwidthNumber>,
    pub this_month_cdn_usage: Option<BandwidthNumber>,
}

#[derive(Debug, Deserialize)]
pub struct BandwidthNumber {
    pub bandwidth: f64,
}

#[derive(Debug, Deserialize)]
pub struct Analytics {
    pub analytics: AnalyticsResponse,
}

#[derive(Debug, Deserialize)]
pub struct AnalyticsResponse {
    pub analytics_response: Series,
}

#[derive(Debug, Deserialize)]
pub struct Series {
    pub data: Vec<Line>,
}

#[derive(Debug, Deserialize)]
pub struct Line {
    #[serde(default)]
    pub dataset: Vec<Point>,
}

#[derive(Debug, Deserialize)]
pub struct Point {
    /// A time, such as `2025-10-28T00:00:00`.
    pub key: String,
    /// A number as text.
    pub value: String,
}

/// What every change answers, and what an operation's state looks like.
#[derive(Debug, Deserialize)]
pub struct Accepted {
    pub operation_id: Option<String>,
    pub message: Option<String>,
    pub status: Option<f64>,
}
