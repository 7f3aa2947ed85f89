//! Domains of a site. They are pending until `verify` was called; nothing looks at real DNS.
//!
//! Invariant: an environment has at most one primary domain, and a domain is on one environment of the site.

use crate::{
    Sandbox, Takes, check,
    job::Effect,
    outcomes,
    record::{self, DomainStatus, Record},
};
use portico_sdk::{Call, Certificate, DnsRecord, Domain, Domains, Error, Page, PageRequest, Work, domains::*, error};

const MAX: usize = 50;
const CERTIFICATE_MILLIS: u64 = 90 * 86_400_000;

impl Domains for Sandbox {
    fn list(&self, site: &str, environment: Option<&str>, page: &PageRequest) -> Result<Page<Domain>, Error> {
        self.enter("domains.list")?;
        let record = self.store.get(site)?;
        let wanted = match environment {
            Some(_) => Some(record.environment("environment", environment)?.id.as_str()),
            None => None,
        };
        let of_it = record.domains.iter().filter(|domain| wanted.is_none_or(|wanted| domain.environment == wanted));
        Page::slice(of_it.map(model).collect(), page)
    }

    fn create(&self, call: &Call, site: &str, input: DomainCreate) -> Result<Work, Error> {
        self.enter("domains.create")?;
        check::domain("name", &input.name)?;
        self.store.change(call, site, &|record, now| {
            let environment = record.environment("environment", input.environment.as_deref())?.id.clone();
            if record.domains.iter().any(|domain| domain.name == input.name) {
                return Err(error::conflict("the site has this domain already").with_field("name"));
            }
            if record.domains.len() >= MAX {
                return Err(error::quota_exceeded(format!("a site here has {MAX} domains at most")));
            }
            let outcome = outcomes::of(&input.name, "domain", true).or(outcomes::of(&record.name, "domain", false));
            let mut job = self.job(call, "domains.create", Takes::NoTime, outcome, now)?;
            job.target = Some(input.name.clone());
            job.undo = Effect::Domain { name: input.name.clone(), status: DomainStatus::Error };
            if input.primary {
                unset_primary(record, &environment);
            }
            let (name, status) = (input.name.clone(), DomainStatus::PendingVerification);
            record.domains.push(record::Domain { name, environment, primary: input.primary, status, verified_at: None });
            Ok(job)
        })
    }

    fn delete(&self, call: &Call, site: &str, environment: Option<&str>, name: &str) -> Result<Work, Error> {
        self.on_domain(call, site, environment, name, "delete", Takes::NoTime, &|record, job| {
            if job.failure.is_none() {
                record.domains.retain(|domain| domain.name != name);
            }
        })
    }

    fn verify(&self, call: &Call, site: &str, environment: Option<&str>, name: &str) -> Result<Work, Error> {
        self.on_domain(call, site, environment, name, "verify", Takes::Work, &|_, job| {
            job.effect = Effect::Domain { name: name.to_owned(), status: DomainStatus::Active };
            job.undo = Effect::Domain { name: name.to_owned(), status: DomainStatus::Error };
        })
    }

    fn set_primary(&self, call: &Call, site: &str, environment: Option<&str>, name: &str) -> Result<Work, Error> {
        self.on_domain(call, site, environment, name, "set_primary", Takes::NoTime, &|record, job| {
            let of = record.domains.iter().find(|domain| domain.name == name).map(|domain| domain.environment.clone());
            if let (Some(of), None) = (of, job.failure) {
                unset_primary(record, &of);
                record.domains.iter_mut().filter(|domain| domain.name == name).for_each(|domain| domain.primary = true);
            }
        })
    }
}

impl Sandbox {
    #[expect(clippy::too_many_arguments, reason = "the call's own arguments, and what sets one action apart")]
    fn on_domain(
        &self,
        call: &Call,
        site: &str,
        environment: Option<&str>,
        name: &str,
        verb: &str,
        takes: Takes,
        change: &dyn Fn(&mut Record, &mut crate::job::Job),
    ) -> Result<Work, Error> {
        let action = format!("domains.{verb}");
        self.enter(&action)?;
        self.store.change(call, site, &|record, now| {
            let found = record.domains.iter().find(|domain| domain.name == name);
            let found = found.ok_or_else(|| error::not_found("the site has no such domain"))?;
            if environment.is_some() && record.environment("environment", environment)?.id != found.environment {
                return Err(error::not_found("this environment has no such domain"));
            }
            // The site's name has a word on its own deletion only, not on that of a domain.
            let by_site = (verb == "verify").then(|| outcomes::of(&record.name, verb, false)).flatten();
            let outcome = outcomes::of(name, verb, false).or(by_site);
            let mut job = self.job(call, &action, takes, outcome, now)?;
            job.target = Some(name.to_owned());
            change(record, &mut job);
            Ok(job)
        })
    }
}

fn unset_primary(record: &mut Record, environment: &str) {
    record.domains.iter_mut().filter(|domain| domain.environment == environment).for_each(|domain| domain.primary = false);
}

fn model(domain: &record::Domain) -> Domain {
    let pending = domain.status == DomainStatus::PendingVerification;
    let token = crate::store::hash(&domain.name);
    let proof = DnsRecord {
        record_type: "TXT".to_owned(),
        name: format!("_portico-sandbox.{}", domain.name.strip_prefix("*.").unwrap_or(&domain.name)),
        value: format!("verify={token:032x}"),
    };
    Domain {
        id: domain.name.clone(),
        name: domain.name.clone(),
        environment: Some(domain.environment.clone()),
        primary: domain.primary,
        status: domain.status.into(),
        verification: if pending { vec![proof] } else { Vec::new() },
        certificate: domain.verified_at.map(|at| Certificate {
            issuer: Some("Sandbox CA".to_owned()),
            expires_at: Some(at + CERTIFICATE_MILLIS),
            status: Some("active".to_owned()),
        }),
        native: None,
    }
}
