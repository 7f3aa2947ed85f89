//! The provider `kinsta`: WordPress sites at Kinsta, through its API of version 2.
//!
//! Every change is accepted with an operation's id, and `poll` watches that and then looks whether the change is there.
//! Invariant: nothing is asked of Kinsta but through `client`; what must survive a call is in its handle, and only a refusal (429)
//! is noted in `state`.

mod backups;
mod billing;
mod client;
mod convert;
mod domains;
mod environments;
mod error;
mod handle;
mod operations;
mod reconcile;
mod settings;
mod sites;
mod types;
mod usage;
mod wordpress;

use client::Started;
use handle::{Goal, Handle};
use portico_sdk::{Configuration, Description, Error, Provider, Work, clock, error as sdk_error, json};
use serde_json::Value;
use settings::Settings;
use std::cell::OnceCell;

pub struct Kinsta {
    settings: Settings,
    /// Looked up once in an instance: another key, which may be of another company, makes another instance.
    company: OnceCell<String>,
}

portico_sdk::provider!(Kinsta: sites, environments, backups, domains, wordpress, billing, operations);

impl Provider for Kinsta {
    type Settings = Settings;

    fn describe() -> Description {
        let summary = "WordPress sites at Kinsta, with their environments, backups and domains";
        Description::new("kinsta", "Kinsta", summary, env!("CARGO_PKG_VERSION"), include_str!("settings.schema.json"))
            .with_documentation("https://api-docs.kinsta.com/")
            .with_site_options(include_str!("options.schema.json"))
            .with_secret("api_key", "API key", "MyKinsta, your name, Company settings, API Keys, Create API Key", true)
    }

    fn configure(settings: Settings) -> Result<(Self, Configuration), Error> {
        let configuration = settings.configuration();
        Ok((Self { settings, company: OnceCell::new() }, configuration))
    }
}

impl Kinsta {
    fn company(&self) -> Result<&str, Error> {
        if let Some(given) = &self.settings.company_id {
            return Ok(given);
        }
        if let Some(known) = self.company.get() {
            return Ok(known);
        }
        let key = client::key()?;
        match key.status.as_deref() {
            None | Some("active") => Ok(self.company.get_or_init(|| key.company)),
            Some(other) => {
                Err(sdk_error::unauthenticated(format!("Kinsta says that the API key is {}", error::one_line(other))))
            }
        }
    }

    fn notified_user(&self) -> Result<String, Error> {
        if let Some(given) = &self.settings.notified_user_id {
            return Ok(given.clone());
        }
        let first = client::users(self.company()?)?.into_iter().next();
        let missing = || sdk_error::internal("the company has no user whom Kinsta could notify: set notified_user_id");
        first.map(|entry| entry.user.id).ok_or_else(missing)
    }
}

/// One environment of a site, as it is now.
struct Place {
    environment: types::Environment,
    native: Value,
}

impl Place {
    fn id(&self) -> &str {
        &self.environment.id
    }
}

/// All environments of a site; an error for a site that doesn't exist.
fn places(site: &str) -> Result<Vec<Place>, Error> {
    let place = |native: Value| Ok(Place { environment: json::read::<types::Environment>(&native)?, native });
    client::environments(site)?.into_iter().map(place).collect()
}

/// The environment with this id or name; the production when none is given.
fn place(site: &str, wanted: Option<&str>) -> Result<Place, Error> {
    let mut all = places(site)?;
    let known: Vec<types::Environment> = all.iter().map(|place| place.environment.clone()).collect();
    let index = match wanted {
        None => convert::production(&known),
        Some(wanted) => {
            let by_id = known.iter().position(|one| one.id == wanted);
            by_id.or_else(|| known.iter().position(|one| one.display_name == wanted || one.name == wanted))
        }
    };
    match index {
        Some(index) => Ok(all.swap_remove(index)),
        None => Err(sdk_error::not_found("the site has no such environment").with_field("environment")),
    }
}

/// Work that Kinsta accepted.
fn accepted(started: impl IntoIterator<Item = Started>, goal: Goal, message: &str) -> Result<Work, Error> {
    Handle::new(started.into_iter().flatten().collect(), goal, clock::now()).work(message)
}
