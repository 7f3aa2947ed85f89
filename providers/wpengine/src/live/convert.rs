//! The live API's objects to the model's, and links and names to what is asked next.
//!
//! Pure. Invariant: what WP Engine doesn't tell is none; `native` is its own object less what is secret.

use super::types::{Backup, Certificate, Domain, Install, Rollup, Site};
use crate::mark;
use portico_sdk::json::read;
use portico_sdk::{
    BackupKind, BackupStatus, Certificate as ModelCertificate, Contents, DnsRecord, DomainStatus, Environment, EnvironmentKind,
    Error, SiteStatus, SiteUsage,
    error::{conflict, internal, invalid_input, not_found},
    native, time,
};
use serde_json::Value;

/// A certificate's key and the file that proves its order; a domain's verification value is public in DNS.
const SECRETS: &[&str] = &["key", "private_key", "auth_file", "password"];

/// `installs`: more about those of the site, where it is known.
pub fn site(value: Value, installs: &[Value]) -> Result<portico_sdk::Site, Error> {
    let site: Site = read(&value)?;
    let environments = environments(&site, installs)?;
    let main = main(&environments);
    let told = portico_sdk::Site {
        slug: main.map(|install| install.name.clone()),
        status: main.map_or(SiteStatus::Unknown, |install| install.status),
        url: main.and_then(|install| install.url.clone()),
        wordpress_version: main.and_then(|install| install.wordpress_version.clone()),
        php_version: main.and_then(|install| install.php_version.clone()),
        created_at: site.created_at.as_deref().and_then(time::parse_rfc3339),
        ..portico_sdk::Site::new(site.id, site.name)
    };
    Ok(portico_sdk::Site { environments, native: native::secret_free(value, SECRETS), ..told })
}

/// The production's, or the first.
fn main(environments: &[Environment]) -> Option<&Environment> {
    environments.iter().find(|one| one.kind == EnvironmentKind::Production).or_else(|| environments.first())
}

fn environments(site: &Site, installs: &[Value]) -> Result<Vec<Environment>, Error> {
    let inside = site.installs.as_deref().unwrap_or_default();
    let whole = |short: &Value| installs.iter().find(|whole| whole["id"] == short["id"]).unwrap_or(short).clone();
    inside.iter().map(|short| environment(whole(short))).collect()
}

pub fn environment(value: Value) -> Result<Environment, Error> {
    let install: Install = read(&value)?;
    let host = install.primary_domain.as_ref().or(install.cname.as_ref()).filter(|host| !host.is_empty());
    Ok(Environment {
        status: install_status(install.status.as_deref()),
        url: host.map(|host| format!("https://{host}")),
        primary_domain: install.primary_domain,
        php_version: install.php_version,
        wordpress_version: install.wp_version,
        native: native::secret_free(value, SECRETS),
        ..Environment::new(install.id, install.name, kind(install.environment.as_deref()))
    })
}

fn install_status(status: Option<&str>) -> SiteStatus {
    match status {
        Some("active") => SiteStatus::Running,
        Some("pending") => SiteStatus::Provisioning,
        _ => SiteStatus::Unknown,
    }
}

/// An install without an environment serves visitors like any.
fn kind(word: Option<&str>) -> EnvironmentKind {
    match word {
        Some("staging") => EnvironmentKind::Staging,
        Some("development") => EnvironmentKind::Development,
        _ => EnvironmentKind::Production,
    }
}

pub const fn kind_word(kind: EnvironmentKind) -> &'static str {
    match kind {
        EnvironmentKind::Production => "production",
        EnvironmentKind::Staging => "staging",
        EnvironmentKind::Development => "development",
    }
}

/// The environment of a new site's first install.
pub fn environment_word(given: Option<&str>) -> Result<&'static str, Error> {
    match given.unwrap_or("production") {
        "production" => Ok("production"),
        "staging" => Ok("staging"),
        "development" => Ok("development"),
        _ => Err(invalid_input("environment", "WP Engine has production, staging and development")),
    }
}

/// By id, by name, or by what it is for where that is clear; without a name, the production's.
pub fn pick(installs: &[Install], wanted: Option<&str>) -> Result<Install, Error> {
    let name = wanted.unwrap_or("production");
    if let Some(install) = installs.iter().find(|install| install.id == name || install.name == name) {
        return Ok(install.clone());
    }
    let fitting: Vec<&Install> = installs.iter().filter(|install| install.environment.as_deref() == Some(name)).collect();
    match (fitting.as_slice(), installs, wanted) {
        ([one], _, _) => Ok((*one).clone()),
        ([], [only], None) => Ok(only.clone()),
        ([], _, _) => Err(not_found(format!("the site has no environment {name}")).with_field("environment")),
        _ => Err(conflict(format!("several environments are {name}: name one by its id")).with_field("environment")),
    }
}

/// Backups hang on installs, so the id holds both: `install.backup`. Neither has a dot (they are UUIDs).
pub fn backup_id(install: &str, backup: &str) -> String {
    format!("{install}.{backup}")
}

pub fn split_backup_id(id: &str) -> Result<(&str, &str), Error> {
    id.split_once('.').ok_or_else(|| not_found("there is no such backup"))
}

pub fn backup(install: &str, value: Value) -> Result<portico_sdk::Backup, Error> {
    let backup: Backup = read(&value)?;
    let everything = Contents { database: true, files: true, plugins: true, themes: true };
    Ok(portico_sdk::Backup {
        id: backup_id(install, &backup.id),
        environment: Some(install.to_owned()),
        kind: BackupKind::Full,
        status: backup_status(&backup.status),
        description: backup.description.as_deref().map(|text| mark::without(text).to_owned()),
        size: None,
        contents: everything,
        created_at: backup.create_time.as_deref().and_then(time::parse_rfc3339),
        completed_at: backup.complete_time.as_deref().and_then(time::parse_rfc3339),
        native: native::secret_free(value, SECRETS),
    })
}

/// `initiated` is what `requested` was called before. A word of a later version is taken as "not over yet".
pub fn backup_status(word: &str) -> BackupStatus {
    match word {
        "requested" | "initiated" => BackupStatus::Pending,
        "completed" => BackupStatus::Completed,
        "aborted" => BackupStatus::Failed,
        _ => BackupStatus::Running,
    }
}

pub fn domain(install: &str, value: Value, certificates: &[Certificate]) -> Result<portico_sdk::Domain, Error> {
    let domain: Domain = read(&value)?;
    let pending = domain.is_pending();
    let name = domain.name.trim_end_matches('.').to_ascii_lowercase();
    let certificate = certificates.iter().find(|certificate| covers(certificate, &name)).map(certificate_of);
    let record = match (domain.txt_verification_key, domain.txt_verification_value) {
        (Some(name), Some(value)) if pending => vec![DnsRecord { record_type: "TXT".into(), name, value }],
        _ => Vec::new(),
    };
    Ok(portico_sdk::Domain {
        id: name.clone(),
        name,
        environment: Some(install.to_owned()),
        primary: domain.primary,
        status: if pending { DomainStatus::PendingVerification } else { DomainStatus::Active },
        verification: record,
        certificate,
        native: native::secret_free(value, SECRETS),
    })
}

fn covers(certificate: &Certificate, name: &str) -> bool {
    let wildcard = name.split_once('.').map(|(_, parent)| format!("*.{parent}"));
    let is_it = |domain: &String| domain.eq_ignore_ascii_case(name) || wildcard.as_deref() == Some(domain.as_str());
    certificate.domains.iter().any(is_it)
}

fn certificate_of(certificate: &Certificate) -> ModelCertificate {
    let told =
        |word: &Option<String>| word.as_ref().filter(|word| !word.ends_with("_UNSPECIFIED")).map(|w| w.to_ascii_lowercase());
    ModelCertificate {
        issuer: told(&certificate.cert_source),
        expires_at: certificate.expires_time.as_deref().and_then(time::parse_rfc3339),
        status: told(&certificate.status),
    }
}

/// Of several installs or accounts together: unknown only where all are.
pub fn usage(rollups: &[Rollup]) -> SiteUsage {
    let sum = |of: &dyn Fn(&Rollup) -> Option<u64>| rollups.iter().filter_map(of).reduce(u64::saturating_add);
    let storage = |one: &Rollup| {
        let parts = [one.storage_file_bytes.latest(), one.storage_database_bytes.latest()];
        parts.into_iter().flatten().reduce(u64::saturating_add)
    };
    SiteUsage {
        storage: sum(&storage),
        bandwidth: sum(&|one| one.network_total_bytes.sum),
        visits: sum(&|one| one.visit_count.sum),
    }
}

/// The `offset` of a `next` link. Only that is taken from it: what is asked next is the same path below the connection's own
/// base, whatever host the link names.
pub fn next_offset(next: Option<&str>, current: u64) -> Result<Option<u64>, Error> {
    let Some(link) = next.filter(|link| !link.is_empty()) else { return Ok(None) };
    let (_, query) = link.split_once('?').unwrap_or_default();
    let query = query.split_once('#').map_or(query, |(query, _)| query);
    let offset = query.split('&').find_map(|pair| pair.strip_prefix("offset=")).and_then(|text| text.parse().ok());
    match offset {
        Some(offset) if offset > current => Ok(Some(offset)),
        _ => Err(internal("WP Engine's link to the next page doesn't lead further")),
    }
}

#[cfg(test)]
mod tests;
