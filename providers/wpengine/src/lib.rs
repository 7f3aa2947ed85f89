//! The provider `wpengine`: sites at WP Engine, in two dialects of its API.
//!
//! `live` is what the vendor publishes (1.17.0), `seed` the API of the seed document; a connection's setting chooses. Each
//! dialect is a provider of its own behind the same traits, so what it doesn't implement is `unsupported` by itself. Invariant:
//! the dialects share errors, marks and handles' pace, and know nothing of each other.

mod args;
mod dispatch;
mod error;
#[cfg(test)]
mod fuzz;
mod live;
mod mark;
mod pace;
mod seed;
mod settings;

use live::Live;
use portico_sdk::{Configuration, Description, Error, Provider};
use seed::Seed;
use settings::{DialectName, Settings};

/// A connection, in the dialect that it speaks.
pub enum WpEngine {
    Live(Live),
    Seed(Seed),
}

portico_sdk::provider!(WpEngine: operations, sites, environments, backups, domains, deployments, wordpress, billing);

impl Provider for WpEngine {
    type Settings = Settings;

    fn describe() -> Description {
        let summary = "WordPress sites at WP Engine, through its Customer API";
        let portal = "WP Engine portal, Profile, API access";
        Description::new("wpengine", "WP Engine", summary, env!("CARGO_PKG_VERSION"), include_str!("settings.schema.json"))
            .with_documentation("https://wpengineapi.com/")
            .with_site_options(include_str!("options.schema.json"))
            // Which of them is needed, the dialect says: none is needed by all connections.
            .with_secret("username", "API user name", &format!("{portal} (needed with the dialect `live`)"), false)
            .with_secret("password", "API password", &format!("{portal} (needed with the dialect `live`)"), false)
            .with_secret("api_key", "API key", &format!("{portal} (needed with the dialect `seed`)"), false)
    }

    fn configure(settings: Settings) -> Result<(Self, Configuration), Error> {
        settings.check()?;
        match settings.dialect {
            DialectName::Live => Live::configure(settings).map(|(live, with)| (Self::Live(live), with)),
            DialectName::Seed => Seed::configure(settings).map(|(seed, with)| (Self::Seed(seed), with)),
        }
    }
}
