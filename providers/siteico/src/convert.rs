//! SiteICO's answers to Portico's model.
//!
//! Pure. Bodies aren't documented, so each fact is looked for under the usual names, in snake and camel case; what isn't found is
//! none. Invariant: any JSON gives a value or an error, and `native` holds what came, less what is secret.

mod billing;
mod read;

pub use billing::{checkout, invoice, subscription, usage};
pub use read::{items, object, text};

use portico_sdk::{
    Backup, BackupKind, BackupStatus, Contents, Domain, DomainStatus, Environment, EnvironmentKind, Error, Page, PageRequest,
    Site, SiteStatus, error::internal, json, native,
};
use read::{flag, moment, number};
use serde_json::Value;

/// Fields that a panel like this could hold and that nobody may see.
const SECRET: &[&str] = &[
    "password",
    "adminPassword",
    "admin_password",
    "dbPassword",
    "db_password",
    "sftpPassword",
    "sftp_password",
    "token",
    "accessToken",
    "access_token",
    "refreshToken",
    "refresh_token",
    "secret",
    "apiKey",
    "api_key",
    "session",
    "cookie",
    "privateKey",
    "private_key",
    "autologinUrl",
    "autologin_url",
    "loginUrl",
    "login_url",
];

/// The one environment of a site.
pub const PRODUCTION: &str = "production";

fn native_of(value: &Value) -> Option<String> {
    native::secret_free(value.clone(), SECRET)
}

fn id_of(value: &Value, what: &str) -> Result<String, Error> {
    let id = text(value, &["id", "_id", "uuid"]).filter(|id| id.len() <= 512);
    id.ok_or_else(|| internal(format!("SiteICO told a {what} without an id")))
}

pub fn site(value: &Value) -> Result<Site, Error> {
    let id = id_of(value, "site")?;
    let name = text(value, &["name", "title", "siteName", "site_name"]).unwrap_or_else(|| id.clone());
    let status = text(value, &["status", "state"]).map_or(SiteStatus::Unknown, |word| site_status(&word));
    let domain = text(value, &["primaryDomain", "primary_domain", "domain", "hostname"]);
    let url =
        text(value, &["url", "siteUrl", "site_url"]).or_else(|| domain.as_ref().map(|domain| format!("https://{domain}")));
    let (php, wordpress) = (
        text(value, &["phpVersion", "php_version"]),
        text(value, &["wpVersion", "wp_version", "wordpressVersion", "wordpress_version"]),
    );
    let production = Environment {
        status,
        url: url.clone(),
        primary_domain: domain,
        php_version: php.clone(),
        wordpress_version: wordpress.clone(),
        ..Environment::new(PRODUCTION, PRODUCTION, EnvironmentKind::Production)
    };
    Ok(Site {
        slug: text(value, &["slug", "subdomain"]),
        status,
        url,
        php_version: php,
        wordpress_version: wordpress,
        environments: vec![production],
        created_at: moment(value, &["createdAt", "created_at", "created"]),
        updated_at: moment(value, &["updatedAt", "updated_at", "updated"]),
        native: native_of(value),
        ..Site::new(id, name)
    })
}

/// Words that panels use; another one is `unknown`, and nobody waits for it.
fn site_status(word: &str) -> SiteStatus {
    match word.to_ascii_lowercase().as_str() {
        "running" | "active" | "online" | "started" | "ready" | "up" | "live" => SiteStatus::Running,
        "stopped" | "inactive" | "offline" | "down" | "paused" => SiteStatus::Stopped,
        "creating" | "pending" | "provisioning" | "installing" | "cloning" | "restoring" | "starting" | "building"
        | "queued" | "deploying" => SiteStatus::Provisioning,
        // On its way there; it isn't stopped before it says so.
        "stopping" => SiteStatus::Running,
        "suspended" | "disabled" | "blocked" => SiteStatus::Suspended,
        "deleting" | "removing" | "terminating" => SiteStatus::Deleting,
        "error" | "failed" | "broken" | "crashed" => SiteStatus::Error,
        _ => SiteStatus::Unknown,
    }
}

pub fn backup(value: &Value) -> Result<Backup, Error> {
    let kind = match text(value, &["type", "kind"]).unwrap_or_default().to_ascii_lowercase().as_str() {
        "database" | "db" => BackupKind::Database,
        "files" => BackupKind::Files,
        _ => BackupKind::Full,
    };
    let (database, files) = (kind != BackupKind::Files, kind != BackupKind::Database);
    let created_at = moment(value, &["createdAt", "created_at", "created", "date", "timestamp"]);
    let completed_at = moment(value, &["completedAt", "completed_at", "finishedAt", "finished_at"]);
    Ok(Backup {
        id: id_of(value, "backup")?,
        environment: Some(PRODUCTION.to_owned()),
        kind,
        status: backup_status(text(value, &["status", "state"]).as_deref()),
        description: text(value, &["description", "name", "label", "note"]),
        size: number(value, &["sizeBytes", "size_bytes", "size", "bytes"]),
        contents: Contents { database, files, plugins: files, themes: files },
        created_at,
        completed_at,
        native: native_of(value),
    })
}

/// One that is listed without a word about its state is there, so it is complete.
fn backup_status(word: Option<&str>) -> BackupStatus {
    match word.unwrap_or("completed").to_ascii_lowercase().as_str() {
        "pending" | "queued" | "requested" => BackupStatus::Pending,
        "running" | "in_progress" | "in-progress" | "creating" | "processing" | "started" => BackupStatus::Running,
        "failed" | "error" | "aborted" => BackupStatus::Failed,
        "deleting" | "removing" => BackupStatus::Deleting,
        _ => BackupStatus::Completed,
    }
}

/// A domain is told as an object, or as its name alone.
pub fn domain(value: &Value) -> Result<Domain, Error> {
    let name = value.as_str().map(str::to_owned).or_else(|| text(value, &["domain", "name", "hostname"]));
    let name = name.map(|name| name.trim_end_matches('.').to_ascii_lowercase()).filter(|name| !name.is_empty());
    let name = name.ok_or_else(|| internal("SiteICO told a domain without its name"))?;
    let status = match (flag(value, &["verified", "isVerified", "is_verified", "active"]), text(value, &["status", "state"])) {
        (Some(true), _) => DomainStatus::Active,
        (Some(false), _) => DomainStatus::PendingVerification,
        (None, Some(word)) => domain_status(&word),
        (None, None) => DomainStatus::Active,
    };
    Ok(Domain {
        id: name.clone(),
        name,
        environment: Some(PRODUCTION.to_owned()),
        primary: flag(value, &["primary", "isPrimary", "is_primary"]).unwrap_or(false),
        status,
        verification: Vec::new(),
        certificate: None,
        native: native_of(value),
    })
}

fn domain_status(word: &str) -> DomainStatus {
    match word.to_ascii_lowercase().as_str() {
        "pending" | "unverified" | "verifying" | "pending_verification" => DomainStatus::PendingVerification,
        "error" | "failed" | "invalid" => DomainStatus::Error,
        _ => DomainStatus::Active,
    }
}

/// Everything that an answer goes through, for tests with any bytes.
#[doc(hidden)]
pub fn fuzz(bytes: &[u8]) {
    let Ok(value) = json::parse(bytes) else { return };
    let request = PageRequest { cursor: None, limit: 3 };
    for name in ["site", "backup", "domain", "subscription", "invoice", "usage"] {
        let _ = object(value.clone(), name);
        let Ok(items) = items(value.clone(), name) else { continue };
        let sites: Vec<Site> = items.iter().filter_map(|item| site(item).ok()).collect();
        Page::by_id(sites, &request, |site| &site.id);
        items.iter().for_each(|item| drop((backup(item), domain(item), invoice(item))));
    }
    drop((
        site(&value),
        backup(&value),
        domain(&value),
        subscription(&value),
        invoice(&value),
        usage(&value),
        checkout(&value),
    ));
}

#[cfg(test)]
mod tests;
