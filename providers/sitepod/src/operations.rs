//! Whether a call whose answer was lost was carried out. Nothing goes on at SitePod after an answer, so there is nothing to poll.
//!
//! Invariant: looking changes nothing, and what can't be told for certain is `unknown`.

use crate::{SitePod, convert, domains, environments, plans};
use portico_sdk::{
    DomainStatus, Error, Finding, Operations, Progress, Work,
    error::{internal, not_found},
    json,
};
use serde_json::Value;

/// How far the server's clock may be behind the gateway's.
const SKEW: u64 = 5 * 60_000;

impl Operations for SitePod {
    fn poll(&self, _operation: &str, _handle: &str) -> Result<Progress, Error> {
        Ok(Progress::Failed(not_found("SitePod does everything at once: there is no such work")))
    }

    fn reconcile(&self, _operation: &str, action: &str, args: &str) -> Result<Finding, Error> {
        let args = Arguments(json::from_str(args)?);
        let site = args.text("site")?;
        match action {
            "deployments.commit" => self.committed(site, args.text("plan")?),
            "deployments.release" | "deployments.rollback" => {
                // Back to whatever was before: which one it is has changed if it was carried out.
                let Some(id) = args.get("deployment").and_then(Value::as_str) else { return Ok(Finding::Unknown) };
                let environment = environments::named(args.get("environment").and_then(Value::as_str))?;
                let current = environments::current(site, environment)?;
                Ok(told(current.is_some_and(|deployment| deployment.id == id), id))
            }
            "domains.create" | "domains.delete" | "domains.verify" => {
                let name = args.text("name")?;
                let present = domains::all(site)?.into_iter().find(|domain| domain.name == name);
                let done = match action {
                    "domains.create" => present.is_some(),
                    "domains.delete" => present.is_none(),
                    _ => present.is_some_and(|domain| domain.status == DomainStatus::Active),
                };
                Ok(told(done, name))
            }
            _ => Ok(Finding::Unknown),
        }
    }
}

impl SitePod {
    /// A plan's image is the one with its content that was made since; a plan is committed once.
    fn committed(&self, site: &str, plan: &str) -> Result<Finding, Error> {
        let Some(kept) = plans::kept(plan)? else { return Ok(Finding::Unknown) };
        let is_it = |image: &convert::Image| {
            image.content_hash.as_ref() == Some(&kept.content_hash)
                && image.created_at.is_some_and(|at| at.saturating_add(SKEW) >= kept.at)
        };
        let image = self.images(site)?.into_iter().find(is_it);
        Ok(image.map_or(Finding::Absent, |image| Finding::Found(Work::done_with(image.id))))
    }
}

fn told(done: bool, target: &str) -> Finding {
    if done { Finding::Found(Work::done_with(target)) } else { Finding::Absent }
}

/// A call's arguments; those of a body may stand in an `input` of their own.
struct Arguments(Value);

impl Arguments {
    fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name).or_else(|| self.0.get("input")?.get(name))
    }

    fn text(&self, name: &str) -> Result<&str, Error> {
        self.get(name).and_then(Value::as_str).ok_or_else(|| internal(format!("the call's arguments have no {name}")))
    }
}
