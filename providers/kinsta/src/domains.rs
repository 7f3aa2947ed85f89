//! Domains: list with their DNS records, add, remove, make primary. Kinsta looks at DNS records by itself.
//!
//! Invariant: a domain's id is its name; Kinsta's own id is looked up for each call.

use crate::{
    Kinsta, Place, accepted,
    client::{self, Sender, Started},
    convert,
    handle::Goal,
    place, places, types,
};
use portico_sdk::{
    Call, Domain, DomainStatus, Domains, Error, Page, PageRequest, Work,
    domains::DomainCreate,
    error::{conflict, invalid_input, not_found},
    json,
};
use serde_json::{Value, json};

impl Domains for Kinsta {
    fn list(&self, site: &str, environment: Option<&str>, page: &PageRequest) -> Result<Page<Domain>, Error> {
        let places = match environment {
            Some(_) => vec![place(site, environment)?],
            None => places(site)?,
        };
        let mut all = Vec::new();
        for place in places {
            for value in client::domains(place.id())? {
                let id = json::read::<types::SiteDomain>(&value)?.id;
                all.push((id, convert::domain(value, &place.environment)?));
            }
        }
        // Each pending one costs a request, so only those of the page are asked about.
        let page = Page::slice(all, page)?;
        let with_records = |(id, domain): (String, Domain)| match domain.status {
            DomainStatus::PendingVerification => convert::records(domain, client::records(&id)?),
            DomainStatus::Active | DomainStatus::Error => Ok(domain),
        };
        let items = page.items.into_iter().map(with_records).collect::<Result<_, Error>>()?;
        Ok(Page { items, next: page.next })
    }

    fn create(&self, call: &Call, site: &str, input: DomainCreate) -> Result<Work, Error> {
        if input.name.starts_with("*.") {
            let message =
                "Kinsta adds a wildcard together with its domain: set `wildcard_domains` in the connection's settings";
            return Err(invalid_input("name", message));
        }
        let place = place(site, input.environment.as_deref())?;
        let environment = place.id().to_owned();
        if id_of(&environment, &input.name)?.is_some() {
            return Err(conflict("the environment has this domain already").with_field("name"));
        }
        let body = json!({"domain_name": input.name, "is_wildcardless": !self.settings.wildcard_domains});
        let started = Sender::of(call).post(&["sites", "environments", &environment, "domains"], &body)?;
        accepted([started], Goal::Domain { environment, name: input.name, primary: input.primary }, "Kinsta adds the domain")
    }

    fn delete(&self, call: &Call, site: &str, environment: Option<&str>, name: &str) -> Result<Work, Error> {
        let (place, id) = find(site, environment, name)?;
        let path = ["sites", "environments", place.id(), "domains"];
        let started = Sender::of(call).delete_with(&path, &json!({"domain_ids": [id]}))?;
        let goal = Goal::NoDomain { environment: place.id().to_owned(), name: name.to_owned() };
        accepted([started], goal, "Kinsta removes the domain")
    }

    fn set_primary(&self, call: &Call, site: &str, environment: Option<&str>, name: &str) -> Result<Work, Error> {
        let (place, id) = find(site, environment, name)?;
        if place.environment.primary_domain.as_ref().is_some_and(|primary| primary.name.eq_ignore_ascii_case(name)) {
            return Ok(Work::done_with(name));
        }
        let started = self.make_primary(Sender::of(call), place.id(), &id)?;
        accepted([started], Goal::End { target: Some(name.to_owned()), verified: true }, "Kinsta changes the primary domain")
    }
}

impl Kinsta {
    pub(crate) fn make_primary(&self, sender: Sender<'_>, environment: &str, id: &str) -> Result<Started, Error> {
        let body = json!({"domain_id": id, "run_search_and_replace": self.settings.search_replace_on_primary});
        sender.put(&["sites", "environments", environment, "change-primary-domain"], &body)
    }
}

/// Kinsta's id of a domain of an environment.
pub fn id_of(environment: &str, name: &str) -> Result<Option<String>, Error> {
    let of_name = |value: Value| {
        json::read::<types::SiteDomain>(&value).map(|known| known.name.eq_ignore_ascii_case(name).then_some(known.id))
    };
    let ids = client::domains(environment)?.into_iter().map(of_name).collect::<Result<Vec<_>, _>>()?;
    Ok(ids.into_iter().flatten().next())
}

/// In the environment, or in whichever has it.
fn find(site: &str, environment: Option<&str>, name: &str) -> Result<(Place, String), Error> {
    let places = match environment {
        Some(_) => vec![place(site, environment)?],
        None => places(site)?,
    };
    for place in places {
        if let Some(id) = id_of(place.id(), name)? {
            return Ok((place, id));
        }
    }
    Err(not_found("the site has no such domain"))
}
