//! Work under way at the seed's API: polls, and look-ups after a crash.
//!
//! Invariant: a deletion is over when the thing is no longer found; a restore, which nothing shows, ends with
//! `verified: false`.

use super::{
    Seed, backups, client,
    client::API,
    convert, deployments,
    handle::{Handle, Task},
    sites,
    trace::{self, New},
    types::{Backup, Deployment},
};
use crate::{args::Arguments, pace};
use portico_sdk::{
    BackupStatus, Completion, DeploymentStatus, Error, Finding, Operations, Progress, SiteStatus, Work, clock,
    error::unsupported, json,
};

impl Operations for Seed {
    fn poll(&self, operation_id: &str, handle: &str) -> Result<Progress, Error> {
        let handle = Handle::parse(handle)?;
        let target = handle.task.target().to_owned();
        let end = match &handle.task {
            Task::Site { site } => made(client::site_if_found(site)?.map(|site| convert::site_status(site.status.as_deref()))),
            Task::SiteGone { site } => gone(client::site_if_found(site)?.is_none()),
            Task::Backup { site, backup } => backed_up(find_backup(site, backup)?),
            Task::BackupGone { site, backup } => gone(find_backup(site, backup)?.is_none()),
            Task::Restore { site, until, .. } => return restored(site, *until, handle.clone(), &target),
            Task::Deployment { site, deployment } => deployed(site, deployment)?,
        };
        if !matches!(end, End::NotYet) && matches!(handle.task, Task::Site { .. } | Task::Deployment { .. }) {
            trace::forget(operation_id)?;
        }
        match end {
            End::Done => Ok(Progress::Succeeded(Completion::of(target))),
            End::Gone => Ok(Progress::Succeeded(Completion::default())),
            End::Failed(why) => Ok(pace::failed(why)),
            End::Canceled => Ok(Progress::Canceled),
            End::NotYet => {
                let message = handle.task.message();
                handle.running(&target, message)
            }
        }
    }

    fn reconcile(&self, operation_id: &str, action: &str, args: &str) -> Result<Finding, Error> {
        let args = Arguments::parse(args)?;
        match action {
            "sites.create" => find_creation(operation_id, &args),
            "deployments.create" => find_deployment(operation_id, &args),
            "sites.update" => find_update(&args),
            "sites.start" => find_status(&args, "active"),
            "sites.stop" => find_status(&args, "inactive"),
            "sites.delete" => find_site_deletion(args.site()?),
            "backups.create" => find_backup_creation(operation_id, args.site()?),
            "backups.delete" => find_backup_deletion(args.site()?, args.need("backup")?),
            _ => Ok(Finding::Unknown),
        }
    }

    fn cancel(&self, _operation_id: &str, _handle: &str) -> Result<(), Error> {
        Err(unsupported("operations.cancel"))
    }
}

enum End {
    Done,
    Gone,
    NotYet,
    Canceled,
    Failed(&'static str),
}

fn made(status: Option<SiteStatus>) -> End {
    match status {
        None => End::Failed("the new site has disappeared at WP Engine"),
        Some(SiteStatus::Error) => End::Failed("WP Engine couldn't make the site"),
        Some(SiteStatus::Running | SiteStatus::Stopped | SiteStatus::Suspended) => End::Done,
        Some(SiteStatus::Deleting) => End::Failed("the new site is being deleted at WP Engine"),
        Some(_) => End::NotYet,
    }
}

const fn gone(is_gone: bool) -> End {
    if is_gone { End::Gone } else { End::NotYet }
}

fn find_backup(site: &str, backup: &str) -> Result<Option<Backup>, Error> {
    API.get(["sites", site, "backups", backup]).json_if_found()
}

fn backed_up(backup: Option<Backup>) -> End {
    match backup.map(|backup| convert::backup_status(&backup.status)) {
        None => End::Failed("the new backup has disappeared at WP Engine"),
        Some(BackupStatus::Completed) => End::Done,
        Some(BackupStatus::Failed) => End::Failed("WP Engine couldn't make the backup"),
        Some(BackupStatus::Deleting) => End::Failed("the new backup is being deleted at WP Engine"),
        Some(_) => End::NotYet,
    }
}

fn deployed(site: &str, deployment: &str) -> Result<End, Error> {
    let found: Option<Deployment> = API.get(["sites", site, "deployments", deployment]).json_if_found()?;
    Ok(match found.map(|deployment| convert::deployment_status(&deployment.status)) {
        None => End::Failed("the deployment has disappeared at WP Engine"),
        Some(DeploymentStatus::Completed) => End::Done,
        Some(DeploymentStatus::Failed) => End::Failed("the deployment has failed at WP Engine: its logs say why"),
        Some(DeploymentStatus::Canceled) => End::Canceled,
        Some(_) => End::NotYet,
    })
}

fn restored(site: &str, until: Option<u64>, handle: Handle, target: &str) -> Result<Progress, Error> {
    let message = handle.task.message();
    let busy = match client::site(site)?.status.as_deref() {
        Some("active" | "inactive") => until.is_some_and(|until| clock::now() < until),
        _ => true,
    };
    if busy {
        return handle.running(target, message);
    }
    Ok(Progress::Succeeded(pace::unverified(
        target,
        "restored, as far as WP Engine tells: it doesn't say when a restore is complete",
    )))
}

fn done_if(done: bool, target: &str) -> Finding {
    if done { Finding::Found(Work::done_with(target)) } else { Finding::Absent }
}

fn find_creation(operation: &str, args: &Arguments) -> Result<Finding, Error> {
    match trace::look(operation, sites::named(args.need("name")?)?)? {
        New::Nothing => Ok(Finding::Absent),
        New::One(site) => found(Task::Site { site }),
        New::Several => Ok(Finding::Unknown),
    }
}

fn find_deployment(operation: &str, args: &Arguments) -> Result<Finding, Error> {
    let (site, source) = (args.site()?, args.object("source"));
    let environment = args.get("environment").unwrap_or("production");
    match trace::look(operation, deployments::alike(site, environment, &json::from_str(&source)?)?)? {
        New::Nothing => Ok(Finding::Absent),
        New::One(deployment) => found(Task::Deployment { site: site.to_owned(), deployment }),
        New::Several => Ok(Finding::Unknown),
    }
}

fn find_update(args: &Arguments) -> Result<Finding, Error> {
    let site = client::site(args.site()?)?;
    let same = |wanted: Option<&str>, now: Option<&str>| wanted.is_none() || wanted == now;
    let done = same(args.get("name"), Some(&site.name))
        && same(args.get("php_version"), site.php_version.as_deref())
        && same(args.get("wordpress_version"), site.wordpress_version.as_deref());
    Ok(done_if(done, &site.id))
}

fn find_status(args: &Arguments, status: &str) -> Result<Finding, Error> {
    let site = client::site(args.site()?)?;
    Ok(done_if(site.status.as_deref() == Some(status), &site.id))
}

fn find_site_deletion(id: &str) -> Result<Finding, Error> {
    match client::site_if_found(id)? {
        None => Ok(Finding::Found(Work::done())),
        Some(site) if site.status.as_deref() == Some("deleting") => found(Task::SiteGone { site: id.to_owned() }),
        Some(_) => Ok(Finding::Absent),
    }
}

fn find_backup_creation(operation: &str, site: &str) -> Result<Finding, Error> {
    match backups::find(site, operation)? {
        None => Ok(Finding::Absent),
        Some(backup) => found(Task::Backup { site: site.to_owned(), backup }),
    }
}

fn find_backup_deletion(site: &str, id: &str) -> Result<Finding, Error> {
    match find_backup(site, id)? {
        None => Ok(Finding::Found(Work::done())),
        Some(backup) if backup.status == "deleting" => found(Task::BackupGone { site: site.to_owned(), backup: id.to_owned() }),
        Some(_) => Ok(Finding::Absent),
    }
}

fn found(task: Task) -> Result<Finding, Error> {
    Ok(Finding::Found(super::going_on(task)?))
}
