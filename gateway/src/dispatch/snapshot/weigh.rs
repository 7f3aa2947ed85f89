//! How much an answer holds, for the cache's bound.
//!
//! Invariant: an estimate that grows with what the host sent; an empty answer isn't free.

use crate::model::{Answer, BillingAnswer, WordpressAnswer};
use std::mem::size_of;

/// About how many bytes an answer holds. Native JSON and names dominate; the rest is the size of the types.
pub fn weigh(answer: &Answer) -> u32 {
    /// Strings of a usual site, backup or domain, native JSON aside.
    const STRINGS: usize = 256;
    fn native(native: &crate::model::Native) -> usize {
        native.as_ref().map_or(0, |raw| raw.get().len())
    }
    fn site(site: &crate::model::Site) -> usize {
        let environments = site.environments.iter().map(environment);
        size_of::<crate::model::Site>() + STRINGS + native(&site.native) + environments.sum::<usize>()
    }
    fn environment(environment: &crate::model::Environment) -> usize {
        size_of_val(environment) + STRINGS + native(&environment.native)
    }
    fn deployment(deployment: &crate::model::Deployment) -> usize {
        let logs = deployment.logs.as_ref().map_or(0, String::len);
        size_of_val(deployment) + STRINGS + native(&deployment.native) + logs
    }
    let bytes = match answer {
        Answer::Sites(sites) => sites.iter().map(site).sum(),
        Answer::Site(one) => site(one),
        Answer::SiteUsage(one) => size_of_val(one),
        Answer::SiteLogs(lines) => lines.iter().map(|line| size_of_val(line) + line.source.len() + line.text.len()).sum(),
        Answer::Environments(all) => all.iter().map(environment).sum(),
        Answer::Current(one) => one.as_ref().map_or(0, deployment),
        Answer::Deployments(all) => all.iter().map(deployment).sum(),
        Answer::Deployment(one) => deployment(one),
        Answer::Backups(all) => all.iter().map(|one| size_of_val(one) + STRINGS + native(&one.native)).sum(),
        Answer::Backup(one) => size_of_val(one) + STRINGS + native(&one.native),
        Answer::Domains(all) => all.iter().map(|one| size_of_val(one) + STRINGS + native(&one.native)).sum::<usize>(),
        Answer::Wordpress(answer) => match answer {
            WordpressAnswer::Status(one) => size_of_val(one) + STRINGS + native(&one.native),
            WordpressAnswer::Extensions(all) => all.iter().map(|one| size_of_val(one) + STRINGS + native(&one.native)).sum(),
            WordpressAnswer::Cache(one) => size_of_val(one) + STRINGS + native(&one.native),
            WordpressAnswer::Security(one) => size_of_val(one) + STRINGS + native(&one.native),
        },
        Answer::Billing(answer) => match answer {
            BillingAnswer::Subscription(one) => size_of_val(one) + STRINGS + native(&one.native),
            BillingAnswer::Invoices(all) => all.iter().map(|one| size_of_val(one) + STRINGS + native(&one.native)).sum(),
            BillingAnswer::Usage(one) => size_of_val(one) + STRINGS + native(&one.native),
        },
    };
    // What the API writes once is kept as it was written, too.
    let is_written = matches!(answer, Answer::Site(_) | Answer::SiteUsage(_) | Answer::Billing(BillingAnswer::Subscription(_)));
    u32::try_from(bytes * if is_written { 2 } else { 1 }).unwrap_or(u32::MAX)
}
