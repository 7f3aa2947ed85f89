//! Looking how far work has come.
//!
//! Invariant: looking changes nothing at the panel; a state that nobody documented ends the wait, as a success that says
//! `verified: false` where the thing is there.

use crate::{
    WisPanel, backups, client,
    convert::{self, State},
    handle::{Handle, Place, Task},
    reconcile, sent, sites,
};
use portico_sdk::{
    BackupStatus, Error, ErrorKind, Finding, Operations, Progress, clock,
    error::{internal, not_found},
    json,
};

impl Operations for WisPanel {
    fn poll(&self, operation: &str, handle: &str) -> Result<Progress, Error> {
        let handle = Handle::parse(handle)?;
        let now = clock::now();
        let progress = match look(&handle, now) {
            // Answers that make no sense aren't waited for without end either.
            Err(error) if error.is(ErrorKind::Internal) && handle.is_late(now) => Progress::Failed(error),
            looked => looked?,
        };
        if !matches!(progress, Progress::Running(_)) {
            sent::clear(operation)?;
        }
        Ok(progress)
    }

    fn reconcile(&self, operation: &str, action: &str, args: &str) -> Result<Finding, Error> {
        reconcile::reconcile(operation, action, args)
    }
}

fn look(handle: &Handle, now: u64) -> Result<Progress, Error> {
    match &handle.task {
        Task::Appear(place) => appears(handle, place, now),
        Task::Delete { site } => match client::installation(site)? {
            None => Ok(handle.succeeded(None, true)),
            Some(_) => handle.unseen(now),
        },
        Task::Backup { site, backup } => backed_up(handle, site, backup.as_deref(), now),
        // Nothing of it is to be seen afterwards but what its progress says.
        Task::Restore { .. } | Task::Work { .. } => match told(handle)? {
            Some(State::Running(percent)) => handle.running(percent, now),
            Some(State::Done) => Ok(handle.succeeded(None, true)),
            Some(State::Failed(why)) => Ok(failed("the work has failed", why)),
            Some(State::Unknown) | None => Ok(handle.succeeded(None, false)),
        },
    }
}

/// What the panel tells of the work's progress; none where it knows nothing of it.
fn told(handle: &Handle) -> Result<Option<State>, Error> {
    let Some(job) = &handle.job else { return Ok(None) };
    let response = client::get(&["wordpress", "install", job, "progress"]).send_any()?;
    match response.status {
        // What isn't JSON says nothing.
        200..=299 => Ok(Some(convert::state(&json::parse(&response.body).unwrap_or_default()))),
        400 | 404 | 405 | 409 | 410 | 422 => Ok(None),
        _ => Err(response.to_error(Some(crate::error::parse))),
    }
}

fn appears(handle: &Handle, place: &Place, now: u64) -> Result<Progress, Error> {
    let told = told(handle)?;
    match told {
        Some(State::Running(percent)) => return handle.running(percent, now),
        Some(State::Failed(why)) => return Ok(failed("the installation has failed", why)),
        Some(State::Done | State::Unknown) | None => {}
    }
    match sites::at(place)? {
        Some(there) => {
            let site = convert::site(&there)?;
            // Listed is installed, unless the panel speaks of it in words that we don't know.
            Ok(handle.succeeded(Some(site.id), told != Some(State::Unknown)))
        }
        None => handle.unseen(now),
    }
}

fn backed_up(handle: &Handle, site: &str, backup: Option<&str>, now: u64) -> Result<Progress, Error> {
    match told(handle)? {
        Some(State::Running(percent)) => return handle.running(percent, now),
        Some(State::Failed(why)) => return Ok(failed("the backup has failed", why)),
        Some(State::Done | State::Unknown) | None => {}
    }
    let Some(id) = backup else { return Ok(handle.succeeded(None, false)) };
    match backups::look(site, id)?.map(|backup| backup.status) {
        Some(BackupStatus::Completed) => Ok(handle.succeeded(None, true)),
        Some(BackupStatus::Failed) => Ok(failed("the backup has failed", None)),
        Some(BackupStatus::Pending | BackupStatus::Running) => handle.running(None, now),
        Some(BackupStatus::Deleting) => Ok(Progress::Failed(not_found("the backup is being removed"))),
        None => handle.unseen(now),
    }
}

fn failed(what: &str, why: Option<String>) -> Progress {
    let message = match why {
        Some(why) => format!("{what}; WisPanel says: {why}"),
        None => format!("{what}, and WisPanel doesn't say why"),
    };
    Progress::Failed(internal(message))
}
