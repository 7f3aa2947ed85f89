//! Projects, which are the sites.
//!
//! Invariant: a project that isn't this account's is as one that doesn't exist.

use crate::{SERVER, SitePod, convert, domains, settings::Dialect};
use portico_sdk::{Error, ErrorKind, Page, PageRequest, Site, Sites, error::not_found};
use serde_json::Value;

impl SitePod {
    fn projects(&self) -> Result<Vec<Site>, Error> {
        if self.settings.dialect == Dialect::Live {
            let projects = convert::items(SERVER.get(["projects"]).json()?, "projects")?;
            return projects.iter().map(|project| convert::site(project, None)).collect();
        }
        // There is no list; that the account is in order is still told.
        SERVER.get(["auth", "info"]).send()?;
        Ok(self.settings.projects.iter().map(|name| convert::named_site(name, None)).collect())
    }

    /// Without its domains.
    pub fn project(&self, name: &str) -> Result<Value, Error> {
        let hidden = |error: Error| match error.kind {
            ErrorKind::Forbidden | ErrorKind::NotFound => not_found("this account has no such project"),
            _ => error,
        };
        match self.settings.dialect {
            Dialect::Live => SERVER.get(["projects", name]).json().map_err(hidden),
            Dialect::Seed if self.settings.projects.iter().any(|known| known == name) => Ok(serde_json::json!({"name": name})),
            Dialect::Seed => Err(not_found("the connection's setting projects doesn't name this project")),
        }
    }
}

impl Sites for SitePod {
    fn list(&self, page: &PageRequest) -> Result<Page<Site>, Error> {
        Ok(Page::by_id(self.projects()?, page, |site| &site.id))
    }

    fn get(&self, id: &str) -> Result<Site, Error> {
        let project = self.project(id)?;
        let primary = domains::all(id)?.into_iter().find(|domain| domain.primary).map(|domain| domain.name);
        convert::site(&project, primary.as_deref())
    }
}
