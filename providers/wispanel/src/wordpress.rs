//! The WordPress toolkit of an installation.
//!
//! Invariant: an installation has one environment, `production`, and what is asked of another one is refused before anything is sent.

use crate::{WisPanel, client, convert, sites};
use portico_sdk::{
    Error, ErrorKind, Wordpress,
    error::not_found,
    wordpress::{Status, Target},
};
use serde_json::Value;

/// The installation's id.
pub fn of(target: &Target) -> Result<&str, Error> {
    in_production(target.environment.as_deref())?;
    Ok(&target.site)
}

pub fn in_production(environment: Option<&str>) -> Result<(), Error> {
    match environment {
        None | Some(convert::PRODUCTION) => Ok(()),
        Some(_) => Err(not_found("an installation has one environment, production").with_field("environment")),
    }
}

/// What `/wordpress/installation` tells beyond the list. It is undocumented: a panel that doesn't take our question tells no more.
fn more_of(site: &str) -> Result<Value, Error> {
    match client::read(client::get_of(&["installation"], site)) {
        Ok(answer) => Ok(convert::object(answer, &["installation"])),
        Err(error) if matches!(error.kind, ErrorKind::NotFound | ErrorKind::InvalidInput | ErrorKind::Internal) => {
            Ok(Value::Null)
        }
        Err(error) => Err(error),
    }
}

impl Wordpress for WisPanel {
    fn get_status(&self, target: &Target) -> Result<Status, Error> {
        let site = of(target)?;
        let answer = client::read(client::get(&["wordpress", "status"]))?;
        let wp_cli = convert::flag(&answer, &["wp_cli_available"]);
        let all = convert::items(answer, &["installations"])?.items;
        let is_it = |value: &Value| convert::text(value, &["id"]).as_deref() == Some(site);
        let installation = all.into_iter().find(is_it).ok_or_else(sites::unknown)?;
        Ok(convert::status(&installation, wp_cli, &more_of(site)?))
    }
}
