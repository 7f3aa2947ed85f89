//! Work that goes on: polled, looked up and canceled by the job in the site's record.
//!
//! Invariant: polling and looking up change nothing.

use crate::{
    Sandbox,
    job::{self, Failure},
    store,
};
use portico_sdk::{Completion, Error, Finding, Operations, Progress, Work, clock, error, json};
use serde::Deserialize;

const ATTEMPTS: u32 = 50;

#[derive(Deserialize)]
struct Args {
    site: Option<String>,
}

impl Operations for Sandbox {
    fn poll(&self, operation: &str, handle: &str) -> Result<Progress, Error> {
        let (action, site) = read(handle)?;
        let now = clock::now();
        let Some((_, record)) = self.store.load(site, now)? else { return Ok(forgotten(action, site)) };
        Ok(match record.job(operation) {
            Some(job) => job.progress(site, now),
            None => forgotten(action, site),
        })
    }

    fn reconcile(&self, operation: &str, action: &str, args: &str) -> Result<Finding, Error> {
        let site = match action {
            "sites.create" | "sites.clone" => format!("site-{}", operation.strip_prefix("op_").unwrap_or(operation)),
            _ => json::from_str::<Args>(args)?.site.ok_or_else(|| error::internal("the arguments name no site"))?,
        };
        let now = clock::now();
        let record = self.store.load(&site, now)?.map(|(_, record)| record);
        let Some(job) = record.as_ref().and_then(|record| record.job(operation)) else { return Ok(Finding::Absent) };
        // What has failed is told by `poll`.
        Ok(Finding::Found(job.work(&site, now).unwrap_or_else(|_| Work::Pending(job.pending(&site, now)))))
    }

    fn cancel(&self, operation: &str, handle: &str) -> Result<(), Error> {
        let (_, site) = read(handle)?;
        for _ in 0..ATTEMPTS {
            let now = clock::now();
            let Some((bytes, mut record)) = self.store.load(site, now)? else { return Ok(()) };
            let Some(job) = record.jobs.iter_mut().find(|job| job.operation == operation && !job.settled) else {
                return Ok(());
            };
            job.until = Some(now);
            job.failure = Some(Failure::Canceled);
            if store::write(&mut record, bytes.as_deref(), now)? {
                return Ok(());
            }
        }
        Err(error::unavailable("too many changes of this site at the same time"))
    }
}

fn read(handle: &str) -> Result<(&str, &str), Error> {
    job::read_handle(handle)
        .and_then(|(action, site)| state_key_fits(site).then_some((action, site)))
        .ok_or_else(|| error::invalid_input("handle", "this handle isn't one of ours"))
}

/// A handle comes back as it was given, but a wrong one must not end in an error of the state.
const fn state_key_fits(site: &str) -> bool {
    !site.is_empty() && site.len() <= 200
}

/// The record has lost the job, or there is no record any more: both come only long after the job ended.
fn forgotten(action: &str, site: &str) -> Progress {
    match action {
        "sites.delete" => Progress::Succeeded(Completion::of(site)),
        _ => Progress::Failed(error::not_found("the site was deleted, or this ended too long ago to be known")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn handles_are_checked() {
        assert!(read("sites.create:site-1").is_ok());
        for wrong in ["", "sites.create", "sites.create:"] {
            assert_eq!(read(wrong).unwrap_err().field.as_deref(), Some("handle"), "{wrong}");
        }
    }
}
