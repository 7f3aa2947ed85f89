//! The provider `wispanel`: WordPress installations on one WisPanel server, by the panel's API.
//!
//! The gateway adds the key and keeps to the panel's limit; nothing here sees it. Invariant: what a document doesn't tell is looked for
//! under its usual names, and a word that nobody documented never makes a caller wait for ever.

mod account;
mod backups;
mod client;
mod convert;
mod domains;
mod error;
mod handle;
mod operations;
mod reconcile;
mod sent;
mod settings;
mod sites;
mod wordpress;

pub use convert::fuzz as fuzz_convert;
pub use error::parse as parse_error;

use portico_sdk::{Configuration, Description, Error, Provider};
use settings::Settings;

pub struct WisPanel;

portico_sdk::provider!(WisPanel: sites, backups, domains, wordpress, billing, operations);

impl Provider for WisPanel {
    type Settings = Settings;

    fn describe() -> Description {
        let summary = "WordPress installations and their toolkit on a WisPanel server";
        let key = "WisPanel, API keys: wsp_ and 48 hexadecimal digits. It needs the permission `all`";
        Description::new("wispanel", "WisPanel", summary, env!("CARGO_PKG_VERSION"), include_str!("settings.schema.json"))
            .with_documentation("https://wispanel.com/api-docs/wordpress-api")
            .with_site_options(include_str!("options.schema.json"))
            .with_secret("api_key", "API key", key, true)
    }

    fn configure(settings: Settings) -> Result<(Self, Configuration), Error> {
        Ok((Self, settings.configuration()))
    }
}
