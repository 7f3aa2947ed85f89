//! The provider `sitepod`: static sites on a SitePod server.
//!
//! A site is a project, with the environments `prod` and `beta`; a deployment is an image, which is made of blobs by plan, upload and
//! commit, and released to an environment. Blobs stream past this component. Invariant: every call is one change at SitePod,
//! done when its answer comes; what an answer that was lost had changed shows in what is released, listed or gone.

mod convert;
mod deployments;
mod domains;
mod environments;
mod error;
mod operations;
mod plans;
mod settings;
mod sites;

pub use convert::fuzz as fuzz_convert;
pub use error::parse as parse_error;

use portico_sdk::{Configuration, Description, Error, Provider, Upstream};
use settings::Settings;

/// Everything that is asked of the server.
const SERVER: Upstream = Upstream::named(settings::UPSTREAM).with_error_parser(error::parse);

pub struct SitePod {
    settings: Settings,
}

portico_sdk::provider!(SitePod: sites, environments, domains, deployments, operations);

impl Provider for SitePod {
    type Settings = Settings;

    fn describe() -> Description {
        let summary = "Static sites on a SitePod server of yours: deployments by content, releases, rollbacks and domains";
        Description::new("sitepod", "SitePod", summary, env!("CARGO_PKG_VERSION"), include_str!("settings.schema.json"))
            .with_documentation("https://github.com/sitepod-dev/sitepod")
            .with_secret("email", "E-mail address", "What you log in to your SitePod server with", false)
            .with_secret("password", "Password", "The password of that account", false)
            .with_secret(
                "token",
                "Token",
                "Only for the setting credential = token: what `sitepod login` wrote into its file",
                false,
            )
    }

    fn configure(settings: Settings) -> Result<(Self, Configuration), Error> {
        settings.check()?;
        let configuration = settings.configuration();
        Ok((Self { settings }, configuration))
    }
}
