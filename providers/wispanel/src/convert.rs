//! WisPanel's answers to Portico's model.
//!
//! Pure. Installations and errors are documented; of the rest, each fact is looked for under the usual names, and what isn't found
//! is none. Invariant: any JSON gives a value or an error, and `native` holds what came, less what is secret.

mod account;
mod progress;
mod read;
mod toolkit;

pub use account::{subscription, usage};
pub use progress::{State, job, state};
pub use read::{flag, items, object, text};
pub use toolkit::{cache, checksums, extension, link, replacements, security, slug};

use portico_sdk::{
    Backup, BackupKind, BackupStatus, Contents, Domain, DomainStatus, Environment, EnvironmentKind, Error, Page, PageRequest,
    Site, SiteStatus,
    error::internal,
    json, native,
    wordpress::{Database, Status, Updates},
};
use read::number;
use serde_json::Value;

/// Fields that nobody may see. A database's password isn't in the documents' examples; it would be here if it came.
const SECRET: &[&str] = &[
    "password",
    "admin_password",
    "db_password",
    "db_pass",
    "user_pass",
    "secret",
    "secret_key",
    "api_key",
    "token",
    "key",
    "auth_key",
    "login_url",
    "auto_login_url",
    "autologin_url",
    "nonce",
];

/// The one environment of an installation.
pub const PRODUCTION: &str = "production";

pub fn native_of(value: &Value) -> Option<String> {
    native::secret_free(value.clone(), SECRET)
}

pub fn id_of(value: &Value, names: &[&str], what: &str) -> Result<String, Error> {
    let id = text(value, names).filter(|id| id.len() <= 512);
    id.ok_or_else(|| internal(format!("WisPanel told {what} without an id")))
}

/// An installation. It is there once WordPress is, and the panel can't stop it, so it runs.
pub fn site(value: &Value) -> Result<Site, Error> {
    let id = id_of(value, &["id"], "an installation")?;
    let domain = domain_of(value);
    let name = text(value, &["site_title", "title", "name"]).or_else(|| domain.clone()).unwrap_or_else(|| id.clone());
    let url = text(value, &["site_url", "url"]).or_else(|| domain.as_ref().map(|domain| format!("https://{domain}")));
    let wordpress = text(value, &["version", "wp_version"]);
    let php = text(value, &["php_version"]);
    let status = text(value, &["status", "state"]).map_or(SiteStatus::Running, |word| site_status(&word));
    let production = Environment {
        status,
        url: url.clone(),
        primary_domain: domain,
        php_version: php.clone(),
        wordpress_version: wordpress.clone(),
        ..Environment::new(PRODUCTION, PRODUCTION, EnvironmentKind::Production)
    };
    Ok(Site {
        status,
        url,
        php_version: php,
        wordpress_version: wordpress,
        environments: vec![production],
        created_at: read::moment(value, &["created_at", "installed_at"]),
        updated_at: read::moment(value, &["updated_at"]),
        native: native_of(value),
        ..Site::new(id, name)
    })
}

/// In lower case and without a final dot.
pub fn domain_of(value: &Value) -> Option<String> {
    let name = text(value, &["domain", "domain_name"])?;
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    (!name.is_empty() && name.len() <= 253).then_some(name)
}

/// Words that aren't in the document's example, should one come.
fn site_status(word: &str) -> SiteStatus {
    match word.to_ascii_lowercase().as_str() {
        "active" | "running" | "ok" | "online" | "installed" | "completed" => SiteStatus::Running,
        "installing" | "pending" | "cloning" | "in_progress" | "queued" => SiteStatus::Provisioning,
        "suspended" | "disabled" => SiteStatus::Suspended,
        "deleting" | "removing" => SiteStatus::Deleting,
        "error" | "failed" | "broken" => SiteStatus::Error,
        _ => SiteStatus::Unknown,
    }
}

/// `wp_cli`: as `/wordpress/status` tells it. `more`: what `/wordpress/installation` tells of it, which is undocumented.
pub fn status(installation: &Value, wp_cli: Option<bool>, more: &Value) -> Status {
    let said = |names: &[&str]| text(installation, names).or_else(|| text(more, names));
    let is = |names: &[&str]| flag(installation, names).or_else(|| flag(more, names));
    Status {
        version: said(&["version", "wp_version"]),
        site_title: said(&["site_title", "title"]),
        admin_url: said(&["admin_url"]),
        path: said(&["path"]),
        wp_cli_available: wp_cli,
        db: database(installation),
        debug: is(&["debug", "wp_debug"]),
        multisite: is(&["multisite"]),
        maintenance: is(&["maintenance", "maintenance_mode"]),
        updates: updates(installation).or_else(|| updates(more)),
        native: native_of(installation),
    }
}

fn database(value: &Value) -> Option<Database> {
    Some(Database {
        name: text(value, &["db_name"])?,
        user: text(value, &["db_user"])?,
        host: text(value, &["db_host"])?,
        table_prefix: text(value, &["table_prefix", "db_prefix"])?,
    })
}

/// All three or none: a number that isn't told would look like "nothing to update".
fn updates(value: &Value) -> Option<Updates> {
    let inside = value.get("updates").unwrap_or(value);
    let count = |names: &[&str]| number(inside, names).map(|count| u32::try_from(count).unwrap_or(u32::MAX));
    let core = match inside.get("core").or_else(|| inside.get("core_update"))? {
        Value::Bool(false) | Value::Null => None,
        told => Some(read::as_text(told)?),
    };
    Some(Updates { core, plugins: count(&["plugins", "plugin_updates"])?, themes: count(&["themes", "theme_updates"])? })
}

/// The installation that a backup names, where it names one.
pub fn installation_of(backup: &Value) -> Option<String> {
    text(backup, &["installation_id", "install_id", "wp_id", "site_id"])
}

pub fn backup(value: &Value) -> Result<Backup, Error> {
    let kind = match text(value, &["type", "kind"]).unwrap_or_default().to_ascii_lowercase().as_str() {
        "database" | "db" => BackupKind::Database,
        "files" => BackupKind::Files,
        _ => BackupKind::Full,
    };
    let (database, files) = (kind != BackupKind::Files, kind != BackupKind::Database);
    Ok(Backup {
        id: id_of(value, &["id", "backup_id", "filename", "file", "name"], "a backup")?,
        environment: Some(PRODUCTION.to_owned()),
        kind,
        status: backup_status(text(value, &["status", "state"]).as_deref()),
        description: text(value, &["description", "note", "label"]),
        size: number(value, &["size_bytes", "size", "bytes"]),
        contents: Contents { database, files, plugins: files, themes: files },
        created_at: read::moment(value, &["created_at", "created", "date", "timestamp"]),
        completed_at: read::moment(value, &["completed_at", "finished_at"]),
        native: native_of(value),
    })
}

/// One that is listed without a word about its state is there, so it is complete.
fn backup_status(word: Option<&str>) -> BackupStatus {
    match word.unwrap_or("completed").to_ascii_lowercase().as_str() {
        "pending" | "queued" => BackupStatus::Pending,
        "running" | "in_progress" | "in-progress" | "creating" | "processing" | "started" => BackupStatus::Running,
        "failed" | "error" | "aborted" => BackupStatus::Failed,
        "deleting" | "removing" => BackupStatus::Deleting,
        _ => BackupStatus::Completed,
    }
}

/// The domain of an installation. Visitors are served there once WordPress is, so it is active.
pub fn domain(installation: &Value) -> Result<Domain, Error> {
    let name = domain_of(installation).ok_or_else(|| internal("WisPanel told an installation without its domain"))?;
    Ok(Domain {
        id: name.clone(),
        name,
        environment: Some(PRODUCTION.to_owned()),
        primary: true,
        status: DomainStatus::Active,
        verification: Vec::new(),
        certificate: None,
        native: native_of(installation),
    })
}

/// Everything that an answer goes through, for tests with any bytes.
#[doc(hidden)]
pub fn fuzz(bytes: &[u8]) {
    let Ok(value) = json::parse(bytes) else { return };
    let request = PageRequest { cursor: None, limit: 3 };
    for name in ["installations", "backups", "plugins"] {
        let Ok(list) = items(value.clone(), &[name]) else { continue };
        let sites: Vec<Site> = list.items.iter().filter_map(|item| site(item).ok()).collect();
        Page::by_id(sites, &request, |site| &site.id);
        list.items.iter().for_each(|item| drop((backup(item), domain(item), extension(item))));
    }
    let inside = object(value.clone(), &["installation"]);
    drop((status(&inside, None, &value), site(&inside), domain(&inside), backup(&inside), extension(&inside)));
    drop((cache(&value), security(&value), checksums(&value), replacements(&value), link(&value)));
    drop((state(&value), job(&value), subscription(&value), usage(3, &value)));
}

#[cfg(test)]
mod tests;
