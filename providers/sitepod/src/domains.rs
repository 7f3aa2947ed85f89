//! Domains of a project. Each leads to `prod`.
//!
//! Invariant: a domain that leads to several paths of a site is one domain here, told by its root where it has one.

use crate::{SERVER, SitePod, convert, environments, error};
use portico_sdk::{
    Call, Completion, Domain, Domains, Error, Page, PageRequest, Work, domains::DomainCreate, error::unsupported,
};
use serde_json::{Value, json};

pub fn all(site: &str) -> Result<Vec<Domain>, Error> {
    let told = convert::items(SERVER.get(["domains"]).query("project", site).json()?, "domains")?;
    let is_root = |domain: &&Value| domain.get("slug").and_then(Value::as_str).is_none_or(|slug| slug == "/");
    let mut domains: Vec<Domain> = Vec::new();
    for domain in told.iter().filter(is_root).chain(told.iter().filter(|domain| !is_root(domain))) {
        let domain = convert::domain(domain)?;
        if domains.iter().all(|known| known.name != domain.name) {
            domains.push(domain);
        }
    }
    Ok(domains)
}

impl Domains for SitePod {
    fn list(&self, site: &str, environment: Option<&str>, page: &PageRequest) -> Result<Page<Domain>, Error> {
        let domains = if environments::named(environment)? == convert::PROD { all(site)? } else { Vec::new() };
        Ok(Page::by_id(domains, page, |domain| &domain.name))
    }

    fn create(&self, _call: &Call, site: &str, input: DomainCreate) -> Result<Work, Error> {
        if input.primary {
            return Err(unsupported("domains.set_primary"));
        }
        let body = json!({"project": site, "domain": input.name, "slug": "/"});
        SERVER.post(["domains"]).json_body(&body).send()?;
        Ok(Work::done_with(input.name))
    }

    fn delete(&self, _call: &Call, _site: &str, _environment: Option<&str>, name: &str) -> Result<Work, Error> {
        SERVER.delete(["domains", name]).send()?;
        Ok(Work::done_with(name))
    }

    /// What DNS still lacks is told in the message; the domain's own status says whether it is verified.
    fn verify(&self, _call: &Call, _site: &str, _environment: Option<&str>, name: &str) -> Result<Work, Error> {
        let answer: Value = SERVER.post(["domains", name, "verify"]).send()?.json().unwrap_or_default();
        let message = answer.get("message").and_then(Value::as_str).and_then(error::one_line);
        Ok(Completion { message, ..Completion::of(name) }.into())
    }
}
