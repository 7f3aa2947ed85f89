//! Domains of a site.
//!
//! Invariant: what is asked for is done when the answer comes; a new domain that shall be primary takes a second request.

use crate::{PANEL, SiteIco, convert};
use portico_sdk::{Call, Domain, Domains, Error, Page, PageRequest, Work, domains::DomainCreate};
use serde_json::json;

pub fn all(site: &str) -> Result<Vec<Domain>, Error> {
    let answer = PANEL.get(["api", "sites", site, "domains"]).json()?;
    convert::items(answer, "domain")?.iter().map(convert::domain).collect()
}

fn make_primary(site: &str, name: &str) -> Result<Work, Error> {
    PANEL.put(["api", "sites", site, "domains", name, "primary"]).send()?;
    Ok(Work::done_with(name))
}

impl Domains for SiteIco {
    fn list(&self, site: &str, _environment: Option<&str>, page: &PageRequest) -> Result<Page<Domain>, Error> {
        Ok(Page::by_id(all(site)?, page, |domain| &domain.id))
    }

    fn create(&self, _call: &Call, site: &str, input: DomainCreate) -> Result<Work, Error> {
        PANEL.post(["api", "sites", site, "domains"]).json_body(&json!({"domain": input.name})).send()?;
        if input.primary { make_primary(site, &input.name) } else { Ok(Work::done_with(input.name)) }
    }

    fn delete(&self, _call: &Call, site: &str, _environment: Option<&str>, name: &str) -> Result<Work, Error> {
        PANEL.delete(["api", "sites", site, "domains", name]).send()?;
        Ok(Work::done_with(name))
    }

    fn set_primary(&self, _call: &Call, site: &str, _environment: Option<&str>, name: &str) -> Result<Work, Error> {
        make_primary(site, name)
    }
}
