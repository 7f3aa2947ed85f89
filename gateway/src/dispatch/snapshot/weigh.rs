//! How much an answer holds, for the cache's bound.
//!
//! In go what the cache keeps and its keys; out come bytes. Invariant: every string that a host or a client sent counts with all of
//! its room, so that no answer holds much more than it weighs. It costs a sum of lengths; nothing is written for it.

use crate::model::{
    Answer, Backup, BillingAnswer, Certificate, Deployment, DnsRecord, Domain, Environment, Error, Extension, Invoice, LogLine,
    Money, Query, Site, SiteUsage, Source, Subscription, Usage, WordpressAnswer, WordpressCache, WordpressDatabase,
    WordpressSecurity, WordpressStatus, WordpressTarget, WordpressUpdates,
};
use serde_json::value::RawValue;
use std::mem::size_of;

/// What JSON adds to the words of an answer: names of fields, times, and labels as people set them.
const FRAME: usize = 2048;

/// About how many bytes an answer holds, itself among them.
pub fn answer(answer: &Answer) -> u32 {
    number((size_of::<Answer>() + answer.held()).saturating_add(room(answer)))
}

/// How many bytes of that are for the answer as the API writes it once and keeps it. Labels are written into it, which nobody
/// knows when it is weighed.
pub fn room(answer: &Answer) -> usize {
    let is_written = matches!(answer, Answer::Site(_) | Answer::SiteUsage(_) | Answer::Billing(BillingAnswer::Subscription(_)));
    if is_written { size_of::<Answer>() + answer.held() + FRAME } else { 0 }
}

/// What a question holds beside itself.
pub fn question(query: &Query) -> u32 {
    number(query.held())
}

/// What a failure holds beside itself.
pub fn failure(error: &Error) -> u32 {
    number(error.held())
}

fn number(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

/// Bytes that a value holds elsewhere in memory.
trait Held {
    fn held(&self) -> usize;
}

impl Held for String {
    fn held(&self) -> usize {
        self.capacity()
    }
}

impl Held for Box<RawValue> {
    fn held(&self) -> usize {
        self.get().len()
    }
}

impl<T: Held> Held for Option<T> {
    fn held(&self) -> usize {
        self.as_ref().map_or(0, Held::held)
    }
}

impl<T: Held> Held for Vec<T> {
    fn held(&self) -> usize {
        self.capacity() * size_of::<T>() + self.iter().map(Held::held).sum::<usize>()
    }
}

/// `Type { fields that hold something; fields that don't }`: all are named, so that a new one can't be forgotten.
macro_rules! held {
    ($($type:ident { $($holds:ident),*; $($flat:ident),* })+) => {
        $(impl Held for $type {
            fn held(&self) -> usize {
                let Self { $($holds,)* $($flat: _,)* } = self;
                0 $(+ $holds.held())*
            }
        })+
    };
}

// A connection's name and its provider's are shared by all its sites; labels are empty here.
held! {
    Site {
        id, name, slug, url, wordpress_version, php_version, environments, native;
        connection, provider, kind, status, usage, labels, created_at, updated_at
    }
    SiteUsage { ; storage, bandwidth, visits }
    LogLine { source, text; at }
    Environment { id, name, url, primary_domain, php_version, wordpress_version, native; kind, status }
    Deployment { id, site, environment, source, message, logs, url, native; status, changes, created_at, completed_at }
    Source { repository, branch, commit, zip_url; kind }
    Backup { id, site, environment, description, native; kind, status, size, contents, created_at, completed_at }
    Domain { id, name, site, environment, verification, certificate, native; primary, status }
    DnsRecord { record_type, name, value; }
    Certificate { issuer, status; expires_at }
    WordpressStatus {
        version, site_title, admin_url, path, db, updates, native;
        wp_cli_available, debug, multisite, maintenance
    }
    WordpressDatabase { name, user, host, table_prefix; }
    WordpressUpdates { core; plugins, themes }
    Extension { id, name, version, update, native; active }
    WordpressCache { kinds, native; enabled }
    WordpressSecurity { native; file_edit, file_protection, hide_login, debug }
    Subscription { plan, status, price, interval, native; renews_at }
    Invoice { id, number, status, total, url, native; issued_at, paid_at }
    Usage { native; sites, storage, bandwidth, visits, period }
    Money { currency; amount }
    Error { code, message, field, provider, connection, internal; kind, upstream_status, retry_after }
    WordpressTarget { site, environment; }
}

impl Held for Answer {
    fn held(&self) -> usize {
        match self {
            Self::Sites(all) => all.held(),
            Self::Site(one) => one.held(),
            Self::SiteUsage(one) => one.held(),
            Self::SiteLogs(lines) => lines.held(),
            Self::Environments(all) => all.held(),
            Self::Current(one) => one.held(),
            Self::Deployments(all) => all.held(),
            Self::Deployment(one) => one.held(),
            Self::Backups(all) => all.held(),
            Self::Backup(one) => one.held(),
            Self::Domains(all) => all.held(),
            Self::Wordpress(WordpressAnswer::Status(one)) => one.held(),
            Self::Wordpress(WordpressAnswer::Extensions(all)) => all.held(),
            Self::Wordpress(WordpressAnswer::Cache(one)) => one.held(),
            Self::Wordpress(WordpressAnswer::Security(one)) => one.held(),
            Self::Billing(BillingAnswer::Subscription(one)) => one.held(),
            Self::Billing(BillingAnswer::Invoices(all)) => all.held(),
            Self::Billing(BillingAnswer::Usage(one)) => one.held(),
        }
    }
}

impl Held for Query {
    fn held(&self) -> usize {
        match self {
            Self::SitesList | Self::Billing(_) => 0,
            Self::SitesGet { site } | Self::SitesUsage { site } | Self::EnvironmentsList { site } => site.held(),
            Self::SitesLogs { site, environment, source, lines: _ } => site.held() + environment.held() + source.held(),
            Self::EnvironmentsCurrent { site, environment: of }
            | Self::DeploymentsGet { site, deployment: of }
            | Self::BackupsGet { site, backup: of } => site.held() + of.held(),
            Self::DeploymentsList { site, environment }
            | Self::BackupsList { site, environment }
            | Self::DomainsList { site, environment } => site.held() + environment.held(),
            Self::Wordpress { target, asked: _ } => target.held(),
        }
    }
}

#[cfg(test)]
mod tests;
