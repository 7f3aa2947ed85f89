//! The seed's objects to the model's.
//!
//! Pure. A size is text or a number with a unit; units are decimal (GB = 10^9 bytes), those with an `i` binary. Invariant: what
//! the API doesn't tell is none; `native` is its own object less what is secret.

use super::types::{Backup, Contents, Deployment, Environment, Listing, Site, Source};
use crate::mark;
use portico_sdk::json::read;
use portico_sdk::{
    BackupKind, BackupStatus, Changes, Contents as ModelContents, DeploymentSource, DeploymentStatus,
    Environment as ModelEnvironment, EnvironmentKind, Error, GitSource, SiteStatus, SiteUsage, native, time,
};
use serde_json::Value;

const SECRETS: &[&str] = &["password", "api_key", "token"];
const LONGEST_LOG: usize = 1024 * 1024;

/// The number of the page after this one.
pub fn next_page(listing: &Listing) -> Option<u64> {
    let pagination = listing.pagination.as_ref()?;
    (pagination.current_page < pagination.total_pages).then(|| pagination.current_page.saturating_add(1))
}

pub fn site(value: Value) -> Result<portico_sdk::Site, Error> {
    let site: Site = read(&value)?;
    let status = site_status(site.status.as_deref());
    let environments = site.environments.iter().map(|one| environment(&site, one)).collect::<Result<_, _>>()?;
    let usage = usage(&site);
    Ok(portico_sdk::Site {
        status,
        url: site.url,
        wordpress_version: site.wordpress_version,
        php_version: site.php_version,
        environments,
        usage: (usage.storage.is_some() || usage.bandwidth.is_some()).then_some(usage),
        created_at: site.created_at.as_deref().and_then(time::parse_rfc3339),
        updated_at: site.updated_at.as_deref().and_then(time::parse_rfc3339),
        native: native::secret_free(value, SECRETS),
        ..portico_sdk::Site::new(site.id, site.name)
    })
}

pub fn site_status(word: Option<&str>) -> SiteStatus {
    match word {
        Some("active") => SiteStatus::Running,
        Some("inactive") => SiteStatus::Stopped,
        Some("provisioning") => SiteStatus::Provisioning,
        Some("suspended") => SiteStatus::Suspended,
        Some("deleting") => SiteStatus::Deleting,
        Some("error" | "failed") => SiteStatus::Error,
        _ => SiteStatus::Unknown,
    }
}

/// The site's own versions and state are those of the environment that it is listed as.
pub fn environment(site: &Site, value: &Value) -> Result<ModelEnvironment, Error> {
    let environment: Environment = read(value)?;
    let is_own = site.environment.as_deref() == Some(&environment.name);
    let own = |text: &Option<String>| text.clone().filter(|_| is_own);
    let kind = match environment.name.as_str() {
        "staging" => EnvironmentKind::Staging,
        "development" => EnvironmentKind::Development,
        _ => EnvironmentKind::Production,
    };
    Ok(ModelEnvironment {
        status: if is_own { site_status(site.status.as_deref()) } else { SiteStatus::Unknown },
        url: environment.url,
        php_version: own(&site.php_version),
        wordpress_version: own(&site.wordpress_version),
        native: native::secret_free(value.clone(), SECRETS),
        ..ModelEnvironment::new(environment.name.clone(), environment.name, kind)
    })
}

pub fn usage(site: &Site) -> SiteUsage {
    let disk = site.disk_usage.as_ref();
    let bandwidth = site.bandwidth.as_ref();
    SiteUsage {
        storage: disk.and_then(|disk| bytes(disk.used?, disk.unit.as_deref()?)),
        bandwidth: bandwidth.and_then(|bandwidth| bytes(bandwidth.current_month?, bandwidth.unit.as_deref()?)),
        visits: None,
    }
}

/// `1.2GB`, `512 MB`.
pub fn size(text: &str) -> Option<u64> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(end)?;
    bytes(portico_sdk::json::number(number)?, unit.trim())
}

fn bytes(number: f64, unit: &str) -> Option<u64> {
    let unit = match unit.to_ascii_uppercase().as_str() {
        "" | "B" | "BYTES" => 1.0,
        "KB" => 1e3,
        "MB" => 1e6,
        "GB" => 1e9,
        "TB" => 1e12,
        "KIB" => 1024.0,
        "MIB" => 1_048_576.0,
        "GIB" => 1_073_741_824.0,
        "TIB" => 1_099_511_627_776.0,
        _ => return None,
    };
    let bytes = (number * unit).round();
    // Above 2^53 a float is no count any more.
    (0.0..9_007_199_254_740_992.0).contains(&bytes).then_some(bytes as u64)
}

pub fn backup(value: Value) -> Result<portico_sdk::Backup, Error> {
    let backup: Backup = read(&value)?;
    let kind = if backup.kind.as_deref() == Some("database") { BackupKind::Database } else { BackupKind::Full };
    Ok(portico_sdk::Backup {
        id: backup.id,
        environment: None,
        kind,
        status: backup_status(&backup.status),
        description: backup.description.as_deref().map(|text| mark::without(text).to_owned()),
        size: backup.size.as_deref().and_then(size),
        contents: backup.contents.as_ref().map_or_else(|| contents_of(kind), contents),
        created_at: backup.created_at.as_deref().and_then(time::parse_rfc3339),
        completed_at: backup.completed_at.as_deref().and_then(time::parse_rfc3339),
        native: native::secret_free(value, SECRETS),
    })
}

/// A word of a later version is taken as "not over yet".
pub fn backup_status(word: &str) -> BackupStatus {
    match word {
        "pending" | "queued" => BackupStatus::Pending,
        "completed" => BackupStatus::Completed,
        "failed" | "error" => BackupStatus::Failed,
        "deleting" => BackupStatus::Deleting,
        _ => BackupStatus::Running,
    }
}

const fn contents(told: &Contents) -> ModelContents {
    ModelContents { database: told.database, files: told.files, plugins: told.plugins, themes: told.themes }
}

fn contents_of(kind: BackupKind) -> ModelContents {
    let files = kind != BackupKind::Database;
    ModelContents { database: true, files, plugins: files, themes: files }
}

pub fn deployment(value: Value) -> Result<portico_sdk::Deployment, Error> {
    let deployment: Deployment = read(&value)?;
    Ok(portico_sdk::Deployment {
        id: deployment.id,
        environment: deployment.environment,
        source: source(deployment.source),
        status: deployment_status(&deployment.status),
        message: None,
        changes: deployment.changes.map(|told| Changes { added: told.added, modified: told.modified, deleted: told.deleted }),
        logs: deployment.logs.map(end_of),
        url: None,
        created_at: deployment.created_at.as_deref().and_then(time::parse_rfc3339),
        completed_at: deployment.completed_at.as_deref().and_then(time::parse_rfc3339),
        native: native::secret_free(value, SECRETS),
    })
}

fn source(source: Source) -> DeploymentSource {
    if source.kind == "zip" {
        return DeploymentSource::Zip(source.zip_url.unwrap_or_default());
    }
    let repository = source.repository.unwrap_or_default();
    DeploymentSource::Git(GitSource { repository, branch: source.branch, commit: source.commit })
}

pub fn deployment_status(word: &str) -> DeploymentStatus {
    match word {
        "pending" | "queued" => DeploymentStatus::Pending,
        "completed" => DeploymentStatus::Completed,
        "failed" | "error" => DeploymentStatus::Failed,
        "canceled" | "cancelled" => DeploymentStatus::Canceled,
        _ => DeploymentStatus::Running,
    }
}

/// The end of a log that is longer than the model's.
fn end_of(log: String) -> String {
    let mut start = log.len().saturating_sub(LONGEST_LOG);
    while !log.is_char_boundary(start) {
        start += 1;
    }
    log.get(start..).map(str::to_owned).unwrap_or(log)
}

/// Below the connection's base, the segments of a download's address; none for an address elsewhere.
pub fn below(base: &str, url: &str) -> Option<Vec<String>> {
    let path = url.strip_prefix(base)?.strip_prefix('/')?;
    let plain = |segment: &str| {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        !segment.is_empty() && segment != "." && segment != ".." && segment.bytes().all(allowed)
    };
    path.split('/').all(plain).then(|| path.split('/').map(str::to_owned).collect())
}

#[cfg(test)]
mod tests;
