//! Work under way at the live API: polls, and look-ups after a crash.
//!
//! WP Engine has no object for an operation: the backup, the install or the report that the work is about is looked at.
//! Invariant: what nothing tells the end of ends as succeeded with `verified: false`, and says so.

use super::{
    Live, backups, client,
    client::API,
    convert, domains,
    handle::{Copy, Handle, Task, Unseen},
    make,
    types::{Backup, ReportAnswer},
};
use crate::{args::Arguments, mark, pace};
use portico_sdk::{BackupStatus, Completion, Error, ErrorKind, Finding, Operations, Progress, Work, error::unsupported, json};
use serde_json::json;

/// So often an accepted backup may be missing in the list.
const MISSING: u32 = 20;

impl Operations for Live {
    fn poll(&self, operation_id: &str, handle: &str) -> Result<Progress, Error> {
        let handle = Handle::parse(handle)?;
        match &handle.task {
            Task::Site { .. } => make::poll_site(handle, || self.emails()),
            Task::Install { .. } => make::poll_install(handle, || self.emails()),
            Task::Backup { .. } => poll_backup(operation_id, handle),
            Task::Unseen { .. } => poll_unseen(handle),
            Task::Report { .. } => poll_report(handle),
        }
    }

    fn reconcile(&self, operation_id: &str, action: &str, args: &str) -> Result<Finding, Error> {
        let args = Arguments::parse(args)?;
        match action {
            "sites.create" => self.find_site(operation_id, &args, args.get("environment"), None),
            "sites.clone" => self.find_clone(operation_id, &args),
            "sites.update" => Ok(done_if(client::site(args.site()?)?.name == args.need("name")?, args.site()?)),
            "sites.delete" => Ok(done_if(client::site_if_found(args.site()?)?.is_none(), args.site()?)),
            "environments.create" => find_environment(&args),
            "environments.delete" => find_deleted_environment(&args),
            "backups.create" => find_backup(operation_id, &args),
            "domains.create" | "domains.delete" | "domains.set_primary" => find_domain(action, &args),
            _ => Ok(Finding::Unknown),
        }
    }

    fn cancel(&self, _operation_id: &str, _handle: &str) -> Result<(), Error> {
        Err(unsupported("operations.cancel"))
    }
}

fn poll_backup(operation: &str, handle: Handle) -> Result<Progress, Error> {
    let Task::Backup { install, backup } = &handle.task else { return Ok(pace::failed("the handle isn't one of a backup")) };
    let value = match backup {
        Some(id) => Some(API.get(["installs", install, "backups", id]).json()?),
        None => backups::find(install, operation)?,
    };
    let Some(value) = value else {
        if handle.polls >= MISSING {
            return Ok(pace::failed("WP Engine accepted the backup, but doesn't list it"));
        }
        return handle.running("", "WP Engine has accepted the backup").map(without_target);
    };
    let found: Backup = json::read(&value)?;
    let id = convert::backup_id(install, &found.id);
    match convert::backup_status(&found.status) {
        BackupStatus::Completed => Ok(Progress::Succeeded(Completion::of(id))),
        BackupStatus::Failed => Ok(pace::failed("WP Engine has aborted the backup")),
        _ => {
            let task = Task::Backup { install: install.clone(), backup: Some(found.id) };
            Handle { task, polls: handle.polls }.running(&id, "WP Engine is making the backup")
        }
    }
}

fn without_target(progress: Progress) -> Progress {
    match progress {
        Progress::Running(mut pending) => {
            pending.target = None;
            Progress::Running(pending)
        }
        other => other,
    }
}

fn poll_unseen(handle: Handle) -> Result<Progress, Error> {
    let Task::Unseen { install, target, what } = handle.task.clone() else { return Ok(pace::failed("an unknown handle")) };
    if client::install(&install)?.status.as_deref() == Some("pending") {
        return handle.running(&target, what.middle());
    }
    Ok(Progress::Succeeded(pace::unverified(&target, Unseen::end(what))))
}

fn poll_report(handle: Handle) -> Result<Progress, Error> {
    let Task::Report { install, report, domain } = handle.task.clone() else { return Ok(pace::failed("an unknown handle")) };
    let answer: ReportAnswer = API.get(["installs", &install, "domains", "check_status", &report]).json()?;
    if !answer.report.complete {
        return handle.running(&domain, "WP Engine is looking at the domain");
    }
    let results: Vec<String> = answer.report.domains.into_iter().filter_map(|checked| checked.result).collect();
    Ok(Progress::Succeeded(Completion::of(domain).with_details(&json!({"results": results}))))
}

fn done_if(done: bool, target: &str) -> Finding {
    if done { Finding::Found(Work::done_with(target)) } else { Finding::Absent }
}

impl Live {
    /// By the mark in its name, or under its own name by the install that it was made with.
    fn find_site(
        &self,
        operation: &str,
        args: &Arguments,
        environment: Option<&str>,
        copy: Option<Copy>,
    ) -> Result<Finding, Error> {
        let name = args.need("name")?;
        let marked = mark::site_name(name, operation);
        let install = make::install_name(name, &args.object("options"), operation)?;
        let found = client::find(&["sites"], self.account_filter(), |site| {
            let inside = site["installs"].as_array().map(Vec::as_slice).unwrap_or_default();
            let has_install = inside.iter().any(|one| one["name"] == install.as_str());
            let is_it = site["name"] == marked.as_str() || (site["name"] == name && has_install);
            Ok(site["id"].as_str().filter(|_| is_it).map(str::to_owned))
        })?;
        let Some(site) = found else { return Ok(Finding::Absent) };
        Ok(Finding::Found(make::work(&site, name, &install, convert::environment_word(environment)?, copy)?))
    }

    fn find_clone(&self, operation: &str, args: &Arguments) -> Result<Finding, Error> {
        let from = client::resolve(args.site()?, args.get("source_environment"))?;
        self.find_site(operation, args, None, Some(Copy::from(&from.id)))
    }
}

/// The call looked before it sent: an install of this name in the site is what it made.
fn find_environment(args: &Arguments) -> Result<Finding, Error> {
    let installs = client::installs(&client::site(args.site()?)?)?;
    let name = args.need("name")?;
    let Some(made) = installs.iter().find(|install| install.name == name) else { return Ok(Finding::Absent) };
    let copy = match args.get("source") {
        Some(source) => Some(Copy::from(&convert::pick(&installs, Some(source))?.id)),
        None => None,
    };
    let task = Task::Install { install: made.id.clone(), copy };
    Ok(Finding::Found(Handle::new(task).work(&made.id, make::MAKING)?))
}

fn find_deleted_environment(args: &Arguments) -> Result<Finding, Error> {
    let environment = args.need("environment")?;
    match client::resolve(args.site()?, Some(environment)) {
        Ok(_) => Ok(Finding::Absent),
        Err(error) if error.kind == ErrorKind::NotFound => Ok(Finding::Found(Work::done())),
        Err(error) => Err(error),
    }
}

fn find_backup(operation: &str, args: &Arguments) -> Result<Finding, Error> {
    let install = client::resolve(args.site()?, args.get("environment"))?.id;
    let Some(backup) = backups::find(&install, operation)? else { return Ok(Finding::Absent) };
    let id = backup["id"].as_str().map(str::to_owned);
    Ok(Finding::Found(backups::work(&install, id)?))
}

fn find_domain(action: &str, args: &Arguments) -> Result<Finding, Error> {
    let name = args.need("name")?;
    let environment = match action {
        // Without a name, a new domain goes to the production's install.
        "domains.create" => Some(client::resolve(args.site()?, args.get("environment"))?.id),
        _ => args.get("environment").map(str::to_owned),
    };
    let found = domains::if_found(args.site()?, environment.as_deref(), name)?;
    Ok(match (action, found) {
        ("domains.delete", None) => Finding::Found(Work::done()),
        ("domains.create", Some(_)) => Finding::Found(Work::done_with(name)),
        ("domains.set_primary", Some(domain)) if domain.primary => Finding::Found(Work::done_with(name)),
        _ => Finding::Absent,
    })
}
