//! The domain of an installation.
//!
//! An installation has exactly one, and it is chosen when WordPress is installed. Invariant: this only reads.

use crate::{WisPanel, client, convert, sites, wordpress::in_production};
use portico_sdk::{Domain, Domains, Error, Page, PageRequest};

impl Domains for WisPanel {
    fn list(&self, site: &str, environment: Option<&str>, page: &PageRequest) -> Result<Page<Domain>, Error> {
        in_production(environment)?;
        let installation = client::installation(site)?.ok_or_else(sites::unknown)?;
        Ok(Page::by_id(vec![convert::domain(&installation)?], page, |domain| &domain.id))
    }
}
