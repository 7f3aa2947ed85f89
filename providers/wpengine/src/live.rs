//! The dialect `live`: the API that WP Engine publishes, 1.17.0.
//!
//! A site of WP Engine groups installs; they are the environments. Invariant: nothing is asked but through `client`, and
//! nothing about a site is remembered.

mod backups;
mod billing;
mod client;
pub mod convert;
mod domains;
mod environments;
mod handle;
mod make;
mod sites;
pub mod types;
mod walk;
mod wordpress;
mod work;

use crate::settings::Settings;
use client::API;
use portico_sdk::{Configuration, Description, Error, Provider, Recovery};
use serde::Deserialize;

const FEATURES: &[&str] = &[
    "sites.list",
    "sites.get",
    "sites.create",
    "sites.create.environment",
    "sites.update",
    "sites.update.name",
    "sites.delete",
    "sites.clone",
    "sites.usage",
    "environments.list",
    "environments.create",
    "environments.delete",
    "environments.push",
    "backups.list",
    "backups.get",
    "backups.create",
    "backups.create.kind.full",
    "backups.create.environment",
    "backups.restore",
    "backups.restore.contents",
    "domains.list",
    "domains.create",
    "domains.create.environment",
    "domains.delete",
    "domains.verify",
    "domains.set_primary",
    "wordpress.status",
    "wordpress.cache.flush",
    "wordpress.cache.purge",
    "billing.usage",
];

/// Found again by a mark or by what it was to bring about.
const LOOKED_UP: &[&str] = &[
    "sites.create",
    "sites.update",
    "sites.delete",
    "sites.clone",
    "environments.create",
    "environments.delete",
    "backups.create",
    "domains.create",
    "domains.delete",
    "domains.set_primary",
];

/// Doing it twice does no harm. (A push or a restore leaves nothing to find, and twice it could undo what came between.)
const HARMLESS: &[&str] = &["domains.verify", "wordpress.cache.flush", "wordpress.cache.purge"];

pub fn configuration() -> Configuration {
    Configuration::new(FEATURES.iter().copied())
        .with_recovery(LOOKED_UP.iter().copied(), Recovery::LookUp)
        .with_recovery(HARMLESS.iter().copied(), Recovery::Keyed)
        // It is summed over every account and site.
        .with_cache("billing.usage", 300)
        .with_cache("sites.usage", 300)
}

pub struct Live {
    settings: Settings,
}

/// Its own part of the provider; `lib.rs` chooses.
impl Provider for Live {
    type Settings = Settings;

    fn describe() -> Description {
        crate::WpEngine::describe()
    }

    fn configure(settings: Settings) -> Result<(Self, Configuration), Error> {
        let configuration = settings.configuration();
        Ok((Self { settings }, configuration))
    }
}

#[derive(Deserialize)]
struct User {
    email: String,
}

impl Live {
    fn account(&self) -> Option<&str> {
        self.settings.account_id.as_deref()
    }

    fn account_filter(&self) -> client::Filter<'_> {
        self.account().map(|account| ("account_id", account))
    }

    /// Whom WP Engine writes to: it insists on somebody.
    fn emails(&self) -> Result<Vec<String>, Error> {
        if !self.settings.notification_emails.is_empty() {
            return Ok(self.settings.notification_emails.clone());
        }
        let user: User = API.get(["user"]).json()?;
        Ok(vec![user.email])
    }
}
