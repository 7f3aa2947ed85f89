//! The provider `siteico`: WordPress sites at SiteICO, by the API of its panel.
//!
//! The gateway logs in and keeps the session; nothing here sees the password or the cookie. Only the list of endpoints is
//! documented: what a body holds is our assumption, which the README lists. Invariant: work is `pending` until a look at the
//! panel shows that it is done, and a word that nobody documented never makes a caller wait for ever.

mod backups;
mod billing;
mod convert;
mod domains;
mod error;
mod handle;
mod operations;
mod settings;
mod sites;

pub use convert::fuzz as fuzz_convert;
pub use error::parse as parse_error;

use portico_sdk::{Configuration, Description, Error, Provider, Upstream};
use settings::Settings;

/// Everything that is asked of the panel.
const PANEL: Upstream = Upstream::named(settings::UPSTREAM).with_error_parser(error::parse);

pub struct SiteIco;

portico_sdk::provider!(SiteIco: sites, backups, domains, billing, operations);

impl Provider for SiteIco {
    type Settings = Settings;

    fn describe() -> Description {
        let summary = "WordPress sites, backups, domains and billing at SiteICO";
        Description::new("siteico", "SiteICO", summary, env!("CARGO_PKG_VERSION"), include_str!("settings.schema.json"))
            .with_documentation("https://panel.siteico.com")
            .with_site_options(include_str!("options.schema.json"))
            .with_secret("username", "User name", "What you log in to panel.siteico.com with, often an e-mail address", true)
            .with_secret("password", "Password", "The password of that user", true)
    }

    fn configure(settings: Settings) -> Result<(Self, Configuration), Error> {
        Ok((Self, settings.configuration()))
    }
}
