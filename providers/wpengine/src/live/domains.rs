//! Domains of a site's installs: list, create, delete, verify, make primary.
//!
//! Invariant: a domain's id in the model is its name; WP Engine's own id is looked up where it is needed.

use super::{
    Live, client,
    client::API,
    convert,
    handle::{Handle, Task},
    types::{Certificate, Certificates, Domain, Install},
    walk,
};
use portico_sdk::{
    Call, Domains, Error, ErrorKind, Page, PageRequest, Work,
    domains::DomainCreate,
    error::{conflict, internal, not_found},
    json,
};
use serde::Deserialize;
use serde_json::json;

const CERTIFICATE_PAGES: u32 = 20;

impl Domains for Live {
    /// One install after the other; the cursor is `install:offset`.
    fn list(&self, site: &str, environment: Option<&str>, page: &PageRequest) -> Result<Page<portico_sdk::Domain>, Error> {
        let installs = client::resolve_all(site, environment)?;
        let Some((index, offset)) = walk::place(&installs, page.cursor.as_deref())? else {
            return Ok(Page::last(Vec::new()));
        };
        let install = &installs[index].id;
        let (items, next) = client::page(&["installs", install, "domains"], None, offset, page.limit)?;
        let certificates = certificates(install)?;
        let items =
            items.into_iter().map(|domain| convert::domain(install, domain, &certificates)).collect::<Result<_, _>>()?;
        Ok(Page { items, next: walk::next(&installs, index, next) })
    }

    fn create(&self, _call: &Call, site: &str, input: DomainCreate) -> Result<Work, Error> {
        let install = client::resolve(site, input.environment.as_deref())?;
        let body = json!({"name": input.name, "primary": input.primary});
        API.post(["installs", &install.id, "domains"]).json_body(&body).send()?;
        Ok(Work::done_with(input.name))
    }

    fn delete(&self, _call: &Call, site: &str, environment: Option<&str>, name: &str) -> Result<Work, Error> {
        let (install, domain) = the_one(site, environment, name)?;
        API.delete(["installs", &install, "domains", &domain.id]).send()?;
        Ok(Work::done())
    }

    /// Proof of ownership where that is due, else a look at the DNS. Neither changes what is served.
    fn verify(&self, _call: &Call, site: &str, environment: Option<&str>, name: &str) -> Result<Work, Error> {
        let (install, domain) = the_one(site, environment, name)?;
        let path = |last: &'static str| ["installs", &install, "domains", &domain.id, last].map(str::to_owned);
        if domain.is_pending() {
            API.post(path("verification")).repeatable().send()?;
            return Ok(Work::done_with(name));
        }
        let report: ReportId = API.post(path("check_status")).repeatable().json()?;
        let task = Task::Report { install: install.clone(), report: report.report_id, domain: name.to_owned() };
        Handle::new(task).work(name, "WP Engine is looking at the domain")
    }

    fn set_primary(&self, _call: &Call, site: &str, environment: Option<&str>, name: &str) -> Result<Work, Error> {
        let (install, domain) = the_one(site, environment, name)?;
        API.patch(["installs", &install, "domains", &domain.id]).json_body(&json!({"primary": true})).send()?;
        Ok(Work::done_with(name))
    }
}

#[derive(Deserialize)]
struct ReportId {
    report_id: String,
}

/// Those of one install. Without the right to see them, domains are listed without.
fn certificates(install: &str) -> Result<Vec<Certificate>, Error> {
    let (mut all, mut token) = (Vec::new(), None::<String>);
    for _ in 0..CERTIFICATE_PAGES {
        let request = API.get(["installs", install, "ssl_certificates"]).query("limit", 100).query_if("offset", token.as_ref());
        let page: Certificates = match request.json() {
            Ok(page) => page,
            Err(error) if matches!(error.kind, ErrorKind::NotFound | ErrorKind::Forbidden) => return Ok(all),
            Err(error) => return Err(error),
        };
        all.extend(page.certificates);
        // The token is the next offset; one that isn't a number can't be asked for.
        let next = page.next_page_token.filter(|token| token.parse::<u64>().is_ok());
        if next.is_none() || next == token {
            return Ok(all);
        }
        token = next;
    }
    Err(internal("WP Engine's list of certificates has no end"))
}

/// (install, domain): of the named environment, or the only one that has it.
fn the_one(site: &str, environment: Option<&str>, name: &str) -> Result<(String, Domain), Error> {
    let mut found = Vec::new();
    for install in client::resolve_all(site, environment)? {
        found.extend(in_install(&install, name)?.map(|domain| (install.id, domain)));
    }
    match (found.pop(), found.is_empty()) {
        (Some(only), true) => Ok(only),
        (None, _) => Err(not_found("the site has no such domain")),
        _ => Err(conflict("several environments have this domain: name one").with_field("environment")),
    }
}

fn in_install(install: &Install, name: &str) -> Result<Option<Domain>, Error> {
    client::find(&["installs", &install.id, "domains"], None, |value| {
        let domain: Domain = json::read(&value)?;
        Ok(domain.name.trim_end_matches('.').eq_ignore_ascii_case(name).then_some(domain))
    })
}

/// As [`the_one`], for a look-up after a crash: none when no environment has it.
pub fn if_found(site: &str, environment: Option<&str>, name: &str) -> Result<Option<Domain>, Error> {
    match the_one(site, environment, name) {
        Ok((_, domain)) => Ok(Some(domain)),
        Err(error) if error.kind == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
