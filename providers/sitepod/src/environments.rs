//! The two environments of every project, and what they serve.
//!
//! Invariant: an environment without a release serves nothing, which is no error.

use crate::{SERVER, SitePod, convert, error};
use portico_sdk::{
    Deployment, Environment, Environments, Error, Page, PageRequest,
    error::{invalid_input, not_found},
};
use serde_json::Value;

/// None: nothing was released there yet.
pub fn current(site: &str, environment: &'static str) -> Result<Option<Deployment>, Error> {
    let request = SERVER.get(["current"]).query("project", site).query("environment", environment);
    match request.json::<Value>() {
        Ok(answer) => convert::current(&answer, environment).map(Some),
        Err(unreleased) if error::is_unreleased(&unreleased) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The environment that an input names.
pub fn named(wanted: Option<&str>) -> Result<&'static str, Error> {
    convert::environment(wanted).ok_or_else(|| invalid_input("environment", "SitePod has the environments prod and beta"))
}

impl Environments for SitePod {
    fn list(&self, site: &str, page: &PageRequest) -> Result<Page<Environment>, Error> {
        self.project(site)?;
        Page::slice(convert::environments(None), page)
    }

    fn current(&self, site: &str, id: &str) -> Result<Option<Deployment>, Error> {
        let environment = convert::environment(Some(id));
        current(site, environment.ok_or_else(|| not_found("SitePod has the environments prod and beta"))?)
    }
}
