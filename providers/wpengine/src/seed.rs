//! The dialect `seed`: the API as its endpoint reference (the seed document) has it.
//!
//! A site has environments that it only shows; changes answer with what is under way and an estimate. Invariant: nothing is
//! asked but through `client`, and nothing about a site is remembered.

mod backups;
mod client;
pub mod convert;
mod deployments;
mod handle;
mod sites;
mod trace;
pub mod types;
mod work;

use crate::settings::Settings;
use handle::{Handle, Task};
use portico_sdk::{Configuration, Description, Error, Provider, Recovery, Work, time};
use types::Started;

const FEATURES: &[&str] = &[
    "sites.list",
    "sites.get",
    "sites.create",
    "sites.create.environment",
    "sites.create.php_version",
    "sites.create.wordpress_version",
    "sites.create.template",
    "sites.update",
    "sites.update.name",
    "sites.update.php_version",
    "sites.update.wordpress_version",
    "sites.delete",
    "sites.start",
    "sites.stop",
    "sites.usage",
    "environments.list",
    "environments.current",
    "backups.list",
    "backups.get",
    "backups.create",
    "backups.create.kind.full",
    "backups.create.kind.database",
    "backups.delete",
    "backups.restore",
    "backups.restore.environment",
    "backups.restore.contents",
    "backups.download",
    "deployments.list",
    "deployments.get",
    "deployments.create",
    "deployments.create.git",
    "deployments.create.zip",
];

/// Found again by a mark, by what it was to bring about, or by what was there before. (A restore leaves nothing to find.)
const LOOKED_UP: &[&str] = &[
    "sites.create",
    "sites.update",
    "sites.start",
    "sites.stop",
    "sites.delete",
    "backups.create",
    "backups.delete",
    "deployments.create",
];

pub fn configuration() -> Configuration {
    Configuration::new(FEATURES.iter().copied()).with_recovery(LOOKED_UP.iter().copied(), Recovery::LookUp)
}

pub struct Seed {
    /// The connection's base URL, for addresses that the API gives.
    base: String,
}

/// Its own part of the provider; `lib.rs` chooses.
impl Provider for Seed {
    type Settings = Settings;

    fn describe() -> Description {
        crate::WpEngine::describe()
    }

    fn configure(settings: Settings) -> Result<(Self, Configuration), Error> {
        Ok((Self { base: settings.base().to_owned() }, settings.configuration()))
    }
}

/// Under way, with the time that the API estimates.
fn started(started: &Started, task: Task) -> Result<Work, Error> {
    let (target, message) = (task.target().to_owned(), task.message());
    let mut pending = Handle::new(task).pending(&target, message)?;
    pending.estimated_completion_at = started.estimated_completion_time.as_deref().and_then(time::parse_rfc3339);
    Ok(Work::Pending(pending))
}

/// Under way already.
fn going_on(task: Task) -> Result<Work, Error> {
    let (target, message) = (task.target().to_owned(), task.message());
    Handle::new(task).work(&target, message)
}
