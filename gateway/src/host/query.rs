//! Reading calls: one function of the contract each, lists page by page.
//!
//! In goes a query of the model; out comes its answer. Invariant: a list ends: its pages, items and bytes are bounded, and a
//! cursor that repeats is an error of the provider.

mod billing;
mod deployments;
mod environments;
mod logs;
mod wordpress;

use super::{
    CallContext, Configured, Host,
    call::{Running, ask},
    convert,
    limits::Limits,
    meter::Asked,
    trap::broken,
};
use crate::model::{Answer, Error, Query};
use portico_bindings::portico::provider::types::{self, PageRequest};
use std::sync::Arc;

/// Items of one page: large enough that 10,000 sites are 20 calls, small enough for one lift.
const PAGE: u32 = 500;
const MAX_CURSOR: usize = 4096;
/// What an item weighs beside its native JSON.
const ITEM: usize = 256;

pub(super) async fn query(
    host: &Arc<Host>,
    on: &Arc<Configured>,
    query: &Query,
    context: &CallContext,
) -> Result<Answer, Error> {
    let running = Running::start(host, on, Asked::Action(query.action()), context).await?;
    let scope = &on.scope;
    match query {
        Query::SitesList => sites(&host.limits, running, scope).await.map(Answer::Sites),
        Query::SitesGet { site } => {
            let (running, answer) = ask!(running, sites.call_get(site));
            running.rest();
            convert::site(scope, answer).map(Answer::Site)
        }
        Query::SitesUsage { site } => {
            let (running, answer) = ask!(running, sites.call_usage(site));
            running.rest();
            Ok(Answer::SiteUsage(convert::usage(answer)))
        }
        Query::SitesLogs { site, environment, source, lines } => {
            logs::last(running, site, environment.as_ref(), source.as_ref(), *lines).await.map(Answer::SiteLogs)
        }
        Query::EnvironmentsList { site } => environments::list(&host.limits, running, site).await.map(Answer::Environments),
        Query::EnvironmentsCurrent { site, environment } => {
            let (running, answer) = ask!(running, environments.call_current(site, environment));
            running.rest();
            answer.map(|deployment| convert::deployment(scope, site, deployment)).transpose().map(Answer::Current)
        }
        Query::DeploymentsList { site, environment } => {
            deployments::list(&host.limits, running, scope, site, environment.as_deref()).await.map(Answer::Deployments)
        }
        Query::DeploymentsGet { site, deployment } => {
            let (running, answer) = ask!(running, deployments.call_get(site, deployment));
            running.rest();
            convert::deployment(scope, site, answer).map(Answer::Deployment)
        }
        Query::BackupsList { site, environment } => {
            backups(&host.limits, running, scope, site, environment.as_deref()).await.map(Answer::Backups)
        }
        Query::BackupsGet { site, backup } => {
            let (running, answer) = ask!(running, backups.call_get(site, backup));
            running.rest();
            convert::backup(scope, site, answer).map(Answer::Backup)
        }
        Query::DomainsList { site, environment } => {
            domains(&host.limits, running, scope, site, environment.as_deref()).await.map(Answer::Domains)
        }
        Query::Wordpress { target, asked } => {
            wordpress::wordpress(&host.limits, running, target, *asked).await.map(Answer::Wordpress)
        }
        Query::Billing(asked) => billing::billing(&host.limits, running, *asked).await.map(Answer::Billing),
    }
}

async fn sites(limits: &Limits, mut running: Running, scope: &convert::Scope) -> Result<Vec<crate::model::Site>, Error> {
    let (mut walk, mut sites) = (Walk::new(limits), Vec::new());
    loop {
        let page;
        (running, page) = ask!(running, sites.call_list(&walk.request));
        let more = walk.took(page.items.iter().map(site_weight), page.next)?;
        sites.reserve(page.items.len());
        for site in page.items {
            sites.push(convert::site(scope, site)?);
        }
        if !more {
            running.rest();
            return Ok(sites);
        }
    }
}

fn site_weight(site: &types::Site) -> usize {
    let environments: usize = site.environments.iter().map(|environment| weight(environment.native.as_ref())).sum();
    weight(site.native.as_ref()) + environments
}

async fn backups(
    limits: &Limits,
    mut running: Running,
    scope: &convert::Scope,
    site: &str,
    environment: Option<&str>,
) -> Result<Vec<crate::model::Backup>, Error> {
    let (mut walk, mut backups) = (Walk::new(limits), Vec::new());
    loop {
        let page;
        (running, page) = ask!(running, backups.call_list(site, environment, &walk.request));
        let more = walk.took(page.items.iter().map(|backup| weight(backup.native.as_ref())), page.next)?;
        for backup in page.items {
            backups.push(convert::backup(scope, site, backup)?);
        }
        if !more {
            running.rest();
            return Ok(backups);
        }
    }
}

async fn domains(
    limits: &Limits,
    mut running: Running,
    scope: &convert::Scope,
    site: &str,
    environment: Option<&str>,
) -> Result<Vec<crate::model::Domain>, Error> {
    let (mut walk, mut domains) = (Walk::new(limits), Vec::new());
    loop {
        let page;
        (running, page) = ask!(running, domains.call_list(site, environment, &walk.request));
        let more = walk.took(page.items.iter().map(|domain| weight(domain.native.as_ref())), page.next)?;
        for domain in page.items {
            domains.push(convert::domain(scope, site, domain)?);
        }
        if !more {
            running.rest();
            return Ok(domains);
        }
    }
}

fn weight(native: Option<&String>) -> usize {
    ITEM + native.map_or(0, String::len)
}

/// How far a walk over pages has come.
struct Walk<'a> {
    limits: &'a Limits,
    request: PageRequest,
    pages: u32,
    items: usize,
    bytes: usize,
}

impl<'a> Walk<'a> {
    fn new(limits: &'a Limits) -> Self {
        Self { limits, request: PageRequest { cursor: None, limit: PAGE }, pages: 0, items: 0, bytes: 0 }
    }

    /// Notes a page by the weights of its items; true if there is another.
    fn took(&mut self, weights: impl ExactSizeIterator<Item = usize>, next: Option<String>) -> Result<bool, Error> {
        if weights.len() > PAGE as usize {
            return Err(broken(format_args!("a page of {} items where {PAGE} were asked for", weights.len())));
        }
        self.pages += 1;
        self.items += weights.len();
        self.bytes += weights.sum::<usize>();
        let (most_items, most_bytes) = (self.limits.list_items, self.limits.list_bytes);
        // Pages may be shorter than asked for, but a walk must not go on for ever over empty ones.
        let most_pages = most_items / 10 + 100;
        if self.items > most_items as usize || self.bytes as u64 > most_bytes || self.pages > most_pages {
            return Err(broken(format_args!(
                "a list of more than {most_items} items, {most_bytes} bytes or {most_pages} pages (limits.list_items, limits.list_bytes)"
            )));
        }
        if let Some(next) = &next
            && (self.request.cursor.as_ref() == Some(next) || next.len() > MAX_CURSOR)
        {
            return Err(broken(format_args!("a cursor that repeats, or has more than {MAX_CURSOR} bytes")));
        }
        self.request.cursor = next;
        Ok(self.request.cursor.is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_walk_ends() {
        let limits = Limits { list_items: 1000, list_bytes: 10_000, ..Limits::default() };
        let page = |count: usize| vec![10; count].into_iter();
        let mut walk = Walk::new(&limits);
        assert!(walk.took(page(400), Some("a".into())).unwrap());
        assert!(walk.took(page(400), Some("a".into())).is_err(), "a cursor repeated");
        let mut walk = Walk::new(&limits);
        assert!(walk.took(page(501), None).is_err(), "a page was too long");
        let mut walk = Walk::new(&limits);
        assert!(walk.took(page(500), Some("a".into())).unwrap());
        assert!(walk.took(page(500), Some("b".into())).unwrap());
        assert!(walk.took(page(1), None).is_err(), "too many items");
        let mut walk = Walk::new(&limits);
        assert!(walk.took([10_001].into_iter(), None).is_err(), "too many bytes");
        let mut walk = Walk::new(&limits);
        let endless = (0..).map(|n| walk.took(page(0), Some(n.to_string()))).take(10_000).find(Result::is_err);
        assert!(endless.is_some(), "empty pages went on");
        let mut walk = Walk::new(&limits);
        assert!(!walk.took(page(0), None).unwrap());
    }
}
