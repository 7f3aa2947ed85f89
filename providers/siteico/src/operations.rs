//! Looking how far work has come, and whether a call whose answer was lost was carried out.
//!
//! Invariant: looking changes nothing; a state that nobody documented ends the wait as a success that says `verified: false`.

use crate::{
    SiteIco, backups, domains,
    handle::{Handle, Task},
    sites,
};
use portico_sdk::{
    BackupStatus, Error, Finding, Operations, Progress, SiteStatus, Work, clock,
    error::{internal, not_found},
    json,
};
use serde_json::Value;

/// A new site may be unknown for the first minute.
const UNKNOWN_AT_FIRST: u64 = 60_000;

impl Operations for SiteIco {
    fn poll(&self, _operation: &str, handle: &str) -> Result<Progress, Error> {
        let handle = Handle::parse(handle)?;
        let now = clock::now();
        match handle.task {
            Task::Appear => appears(handle, now),
            Task::Start => reaches(&handle, SiteStatus::Running, now),
            Task::Stop => reaches(&handle, SiteStatus::Stopped, now),
            Task::Delete => match sites::look(site(&handle)?)? {
                None => Ok(handle.succeeded(true)),
                Some(_) => handle.running(now),
            },
            Task::Backup => backed_up(&handle, now),
            Task::Unbackup => match backups::look(site(&handle)?, what(&handle)?)? {
                None => Ok(handle.succeeded(true)),
                Some(_) => handle.running(now),
            },
            Task::Restore => restored(handle, now),
        }
    }

    fn reconcile(&self, _operation: &str, action: &str, args: &str) -> Result<Finding, Error> {
        let args = Arguments(json::from_str(args)?);
        let found = |work: Work| Ok(Finding::Found(work));
        match action {
            "sites.create" | "sites.clone" => match sites::named(args.text("name")?)? {
                None => Ok(Finding::Absent),
                Some(site) => found(Handle::new(Task::Appear, Some(site.id), Some(site.name), clock::now()).work()?),
            },
            "sites.start" => is_already(args.text("site")?, SiteStatus::Running),
            "sites.stop" => is_already(args.text("site")?, SiteStatus::Stopped),
            "sites.delete" => {
                let site = args.text("site")?;
                match sites::look(site)? {
                    None => found(Work::done_with(site)),
                    Some(present) if present.status == SiteStatus::Deleting => {
                        found(Handle::new(Task::Delete, Some(present.id), None, clock::now()).work()?)
                    }
                    Some(_) => Ok(Finding::Absent),
                }
            }
            "backups.delete" => {
                let backup = args.text("backup")?;
                let gone = backups::look(args.text("site")?, backup)?.is_none();
                Ok(if gone { Finding::Found(Work::done_with(backup)) } else { Finding::Absent })
            }
            "domains.create" | "domains.delete" | "domains.set_primary" => domain(action, &args),
            _ => Ok(Finding::Unknown),
        }
    }
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

fn site(handle: &Handle) -> Result<&str, Error> {
    handle.site.as_deref().ok_or_else(|| internal("a handle without its site"))
}

fn what(handle: &Handle) -> Result<&str, Error> {
    handle.what.as_deref().ok_or_else(|| internal("a handle without its backup"))
}

fn appears(mut handle: Handle, now: u64) -> Result<Progress, Error> {
    let found = match (&handle.site, &handle.what) {
        (Some(id), _) => sites::look(id)?,
        (None, Some(name)) => sites::named(name)?,
        (None, None) => return Err(internal("a handle without a site and its name")),
    };
    let Some(found) = found else {
        let early = now.saturating_sub(handle.since) < UNKNOWN_AT_FIRST;
        let gone = || Ok(Progress::Failed(not_found("the new site is gone: SiteICO doesn't know it any more")));
        return if early { handle.running(now) } else { gone() };
    };
    handle.site = Some(found.id);
    match found.status {
        SiteStatus::Provisioning => handle.running(now),
        SiteStatus::Error => Ok(failed("SiteICO says that the new site has failed")),
        SiteStatus::Unknown => Ok(handle.succeeded(false)),
        _ => Ok(handle.succeeded(true)),
    }
}

fn reaches(handle: &Handle, wanted: SiteStatus, now: u64) -> Result<Progress, Error> {
    let Some(found) = sites::look(site(handle)?)? else {
        return Ok(Progress::Failed(not_found("SiteICO doesn't know this site any more")));
    };
    match found.status {
        status if status == wanted => Ok(handle.succeeded(true)),
        SiteStatus::Error => Ok(failed("SiteICO says that the site has failed")),
        SiteStatus::Unknown => Ok(handle.succeeded(false)),
        _ => handle.running(now),
    }
}

fn backed_up(handle: &Handle, now: u64) -> Result<Progress, Error> {
    match backups::look(site(handle)?, what(handle)?)?.map(|backup| backup.status) {
        Some(BackupStatus::Completed) => Ok(handle.succeeded(true)),
        Some(BackupStatus::Failed) => Ok(failed("SiteICO says that the backup has failed")),
        Some(BackupStatus::Pending | BackupStatus::Running) => handle.running(now),
        Some(BackupStatus::Deleting) => Ok(failed("the backup is being removed")),
        None if now.saturating_sub(handle.since) < UNKNOWN_AT_FIRST => handle.running(now),
        None => Ok(Progress::Failed(not_found("the new backup is gone: SiteICO doesn't list it"))),
    }
}

/// Only a site that was seen to be at work, and then isn't any more, shows that it was restored.
fn restored(mut handle: Handle, now: u64) -> Result<Progress, Error> {
    match sites::look(site(&handle)?)?.map(|site| site.status) {
        None => Ok(Progress::Failed(not_found("SiteICO doesn't know this site any more"))),
        Some(SiteStatus::Provisioning) => {
            handle.seen = true;
            handle.running(now)
        }
        Some(SiteStatus::Error) => Ok(failed("SiteICO says that the site has failed")),
        Some(_) => Ok(handle.succeeded(handle.seen)),
    }
}

fn failed(why: &str) -> Progress {
    Progress::Failed(internal(why))
}

fn is_already(site: &str, wanted: SiteStatus) -> Result<Finding, Error> {
    let status = sites::look(site)?.map(|site| site.status);
    Ok(if status == Some(wanted) { Finding::Found(Work::done_with(site)) } else { Finding::Absent })
}

fn domain(action: &str, args: &Arguments) -> Result<Finding, Error> {
    let name = args.text("name")?;
    let present = domains::all(args.text("site")?)?.into_iter().find(|domain| domain.name == name);
    let primary = args.get("primary").and_then(Value::as_bool).unwrap_or(false);
    let done = match action {
        "domains.delete" => present.is_none(),
        "domains.set_primary" => present.is_some_and(|domain| domain.primary),
        // One that is there and not primary needs the second request; sending the first again would be refused.
        _ => match present {
            Some(domain) if primary && !domain.primary => return Ok(Finding::Unknown),
            present => present.is_some(),
        },
    };
    Ok(if done { Finding::Found(Work::done_with(name)) } else { Finding::Absent })
}
