//! Kinsta's JSON to Portico's model: sites and environments here, the rest in the rooms below.
//!
//! Pure. Invariant: what Kinsta doesn't tell is none; `native` is its own object without secrets; no input makes it panic.

mod backup;
mod domain;
mod numbers;
mod toolkit;

use crate::types;
pub use backup::{BackupId, Which, backup, download_link, downloadable, note, note_of};
pub use domain::{domain, records};
pub use numbers::{count, latest, millis};
pub use toolkit::{extension, log_lines};

use portico_sdk::{Environment, EnvironmentKind, Error, Site, SiteKind, SiteStatus, json, native};
use serde_json::Value;

/// Fields that are never shown, wherever they stand.
const SECRETS: &[&str] = &["admin_password", "password", "sftp_password", "custom_ssl_key", "download_link"];

pub fn native(value: Value) -> Option<String> {
    native::secret_free(value, SECRETS)
}

/// `environments` replaces those of the site's own answer, which lack their versions.
pub fn site(value: Value, environments: Option<&[Value]>) -> Result<Site, Error> {
    let known = json::read::<types::Site>(&value)?;
    let inner = environments.unwrap_or(&known.environments);
    let environments = inner.iter().map(|value| environment(value.clone())).collect::<Result<Vec<_>, _>>()?;
    let natives = inner.iter().map(json::read::<types::Environment>).collect::<Result<Vec<_>, _>>()?;
    let environments = with_kinds(environments, &natives);
    let production = production(&natives);
    let main = production.and_then(|index| environments.get(index));
    let mut value = value;
    if let Some(object) = value.as_object_mut() {
        object.insert("environments".to_owned(), Value::Array(inner.to_vec()));
    }
    Ok(Site {
        slug: known.name,
        kind: production.and_then(|index| inner.get(index)).map_or(SiteKind::Wordpress, kind),
        status: status(known.status.as_deref(), &natives),
        url: main.and_then(|main| main.url.clone()),
        wordpress_version: main.and_then(|main| main.wordpress_version.clone()),
        php_version: main.and_then(|main| main.php_version.clone()),
        environments,
        native: native(value),
        ..Site::new(known.id, known.display_name)
    })
}

/// The document knows no field for it: an environment whose version of WordPress is null has none. Where nothing is said, it is
/// the usual thing.
fn kind(production: &Value) -> SiteKind {
    if production.get("wordpress_version").is_some_and(Value::is_null) { SiteKind::Plain } else { SiteKind::Wordpress }
}

/// `live` is the only state that the document shows.
fn status(said: Option<&str>, environments: &[types::Environment]) -> SiteStatus {
    let blocked = !environments.is_empty() && environments.iter().all(|environment| environment.is_blocked);
    match said {
        _ if blocked => SiteStatus::Suspended,
        Some("live") => SiteStatus::Running,
        _ => SiteStatus::Unknown,
    }
}

/// All environments of one site.
pub fn environments(values: Vec<Value>) -> Result<Vec<Environment>, Error> {
    let natives = values.iter().map(json::read::<types::Environment>).collect::<Result<Vec<_>, _>>()?;
    let all = values.into_iter().map(environment).collect::<Result<Vec<_>, _>>()?;
    Ok(with_kinds(all, &natives))
}

fn with_kinds(mut all: Vec<Environment>, natives: &[types::Environment]) -> Vec<Environment> {
    if let Some(main) = production(natives).and_then(|index| all.get_mut(index)) {
        main.kind = EnvironmentKind::Production;
    }
    all
}

/// Which of a site's environments is the production: the one that Kinsta calls live, or else the first that isn't premium (the
/// document's own examples have names of sites there).
pub fn production(environments: &[types::Environment]) -> Option<usize> {
    let is_live =
        |one: &types::Environment| [&one.name, &one.display_name].iter().any(|name| name.eq_ignore_ascii_case("live"));
    let live = environments.iter().position(is_live);
    let standard = || environments.iter().position(|one| !one.is_premium);
    live.or_else(standard).or((!environments.is_empty()).then_some(0))
}

/// Every environment but the production is a staging one.
fn environment(value: Value) -> Result<Environment, Error> {
    let known = json::read::<types::Environment>(&value)?;
    let domain = known.primary_domain.map(|domain| domain.name).filter(|name| !name.is_empty());
    let php = known.container_info.and_then(|container| container.php_engine_version);
    Ok(Environment {
        status: if known.is_blocked { SiteStatus::Suspended } else { SiteStatus::Running },
        url: domain.as_ref().map(|domain| format!("https://{domain}")),
        primary_domain: domain,
        php_version: php.map(|version| php_number(&version).to_owned()),
        wordpress_version: known.wordpress_version,
        native: native(value),
        ..Environment::new(known.id, known.display_name, EnvironmentKind::Staging)
    })
}

/// `php8.3`, as Kinsta tells it, is `8.3`, as it wants it.
pub fn php_number(text: &str) -> &str {
    text.strip_prefix("php").unwrap_or(text)
}

#[cfg(test)]
mod tests;
