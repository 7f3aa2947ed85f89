//! `poll`: Kinsta's operations are watched one after the other, then it is looked whether what was wanted is there.
//!
//! Invariant: polling changes nothing but in one case, a new domain that is to be the primary one, and that may be repeated. A 404
//! is no end as long as the operation is young and was never seen.

use crate::{
    Kinsta, backups, client,
    client::Sender,
    domains,
    error::{self, State},
    handle::{Condition, Goal, Handle},
    reconcile, sites, types, wordpress,
};
use portico_sdk::{
    Completion, Error, ErrorKind, Finding, Operations, Progress, clock, error as sdk_error, json, wordpress::ExtensionKind,
};
use serde_json::json;

/// So long may an operation be unknown after it was accepted; Kinsta speaks of seconds.
const UNKNOWN_MILLIS: u64 = 120_000;
/// So often is the effect looked for after Kinsta said that all is done: lists may lag.
const LOOKS: u32 = 10;
/// The same, where Kinsta named no operation to wait for.
const BLIND_MILLIS: u64 = 15 * 60_000;

impl Operations for Kinsta {
    fn poll(&self, operation_id: &str, handle: &str) -> Result<Progress, Error> {
        let handle = Handle::parse(handle)?;
        match handle.operations.first() {
            Some(first) => {
                let state = error::state(&client::operation(first)?)?;
                self.watch(operation_id, handle, state)
            }
            None => self.look(operation_id, handle),
        }
    }

    fn reconcile(&self, operation_id: &str, action: &str, args: &str) -> Result<Finding, Error> {
        reconcile::reconcile(operation_id, action, args)
    }
}

/// What looking for the goal showed.
enum Sight {
    There(Completion),
    NotYet,
    /// Something more was begun; this is the handle that goes on with it.
    Next(Handle),
}

impl Kinsta {
    fn watch(&self, operation_id: &str, mut handle: Handle, state: State) -> Result<Progress, Error> {
        let now = clock::now();
        match state {
            State::Running => {
                handle.seen = true;
                running(&handle, "Kinsta is working on it", now)
            }
            State::Succeeded => {
                handle.operations.remove(0);
                handle.seen = false;
                if handle.operations.is_empty() {
                    self.look(operation_id, handle)
                } else {
                    running(&handle, "Kinsta is working on it", now)
                }
            }
            // Of two deletions of one thing, the second fails.
            State::Failed(error) if handle.goal.is_absence() => match self.sight(operation_id, &handle)? {
                Sight::There(completion) => Ok(Progress::Succeeded(completion)),
                _ => Ok(Progress::Failed(error)),
            },
            State::Failed(error) => Ok(Progress::Failed(error)),
            State::Unknown if !handle.seen && handle.age(now) < UNKNOWN_MILLIS => running(&handle, "Kinsta begins soon", now),
            State::Unknown => self.forgotten(operation_id, &handle),
        }
    }

    /// Kinsta doesn't know the operation any more, or never did: only its effect can tell.
    fn forgotten(&self, operation_id: &str, handle: &Handle) -> Result<Progress, Error> {
        let unseen = matches!(handle.goal, Goal::End { .. });
        match if unseen { Sight::NotYet } else { self.sight(operation_id, handle)? } {
            Sight::There(completion) => Ok(Progress::Succeeded(completion)),
            Sight::Next(handle) => running(&handle, "Kinsta goes on", clock::now()),
            Sight::NotYet => {
                let text =
                    "Kinsta doesn't know the operation that it announced, and there is nothing to see of it: look in MyKinsta";
                Ok(Progress::Failed(sdk_error::internal(text)))
            }
        }
    }

    fn look(&self, operation_id: &str, mut handle: Handle) -> Result<Progress, Error> {
        let now = clock::now();
        match self.sight(operation_id, &handle)? {
            Sight::There(completion) => Ok(Progress::Succeeded(completion)),
            Sight::Next(handle) => running(&handle, "Kinsta goes on", now),
            Sight::NotYet if handle.blind && handle.age(now) < BLIND_MILLIS => running(&handle, "waiting to see it", now),
            Sight::NotYet if !handle.blind && handle.looks < LOOKS => {
                handle.looks += 1;
                running(&handle, "Kinsta is done; waiting to see it", now)
            }
            Sight::NotYet => Ok(unseen(&handle)),
        }
    }

    fn sight(&self, operation_id: &str, handle: &Handle) -> Result<Sight, Error> {
        Ok(match &handle.goal {
            Goal::Site { name, not } => target(sites::find_new(client::sites(self.company()?)?, name, not)?),
            Goal::Environment { site, name, not } => target(sites::find_new(client::environments(site)?, name, not)?),
            Goal::Backup { environment, operation, after } => target(backups::made_by(environment, operation, Some(*after))?),
            Goal::Domain { environment, name, primary } => match domains::id_of(environment, name)? {
                Some(id) if *primary => {
                    let started = self.make_primary(Sender::of_operation(operation_id), environment, &id)?;
                    let goal = Goal::End { target: Some(name.clone()), verified: true };
                    Sight::Next(Handle::new(started.into_iter().collect(), goal, clock::now()))
                }
                found => target(found.map(|_| name.clone())),
            },
            Goal::NoSite { id } => gone(client::site_exists(id)?),
            Goal::NoEnvironment { site, id } => gone(environment_exists(site, id)?),
            Goal::NoBackup { environment, id } => gone(backups::exists(environment, *id)?),
            Goal::NoDomain { environment, name } => gone(domains::id_of(environment, name)?.is_some()),
            Goal::Extension { environment, theme, name, is } => extension(environment, *theme, name, is)?,
            Goal::End { target, verified } => {
                let verified = *verified && !handle.blind;
                let completion = Completion { target: target.clone(), ..Completion::default() };
                Sight::There(if verified { completion } else { completion.with_details(&json!({"verified": false})) })
            }
        })
    }
}

fn running(handle: &Handle, message: &str, now: u64) -> Result<Progress, Error> {
    Ok(Progress::Running(handle.pending(message, now)?))
}

fn target(found: Option<String>) -> Sight {
    found.map_or(Sight::NotYet, |id| Sight::There(Completion::of(id)))
}

fn gone(exists: bool) -> Sight {
    if exists { Sight::NotYet } else { Sight::There(Completion::default()) }
}

pub fn environment_exists(site: &str, id: &str) -> Result<bool, Error> {
    let all = match client::environments(site) {
        Err(error) if error.is(ErrorKind::NotFound) => return Ok(false),
        all => all?,
    };
    let known = all.iter().map(json::read::<types::Environment>).collect::<Result<Vec<_>, _>>()?;
    Ok(known.iter().any(|environment| environment.id == id))
}

fn extension(environment: &str, theme: bool, name: &str, is: &Condition) -> Result<Sight, Error> {
    let kind = if theme { ExtensionKind::Theme } else { ExtensionKind::Plugin };
    let found = wordpress::extensions(environment, kind)?.into_iter().find(|one| one.id == name);
    let as_wanted = match (is, &found) {
        (Condition::Absent, found) => found.is_none(),
        (_, None) => false,
        (Condition::Present, Some(_)) => true,
        (Condition::Active, Some(found)) => found.active,
        (Condition::Inactive, Some(found)) => !found.active,
        (Condition::Version(version), Some(found)) => found.version.as_ref() == Some(version),
    };
    let there = if found.is_some() { Completion::of(name) } else { Completion::default() };
    Ok(if as_wanted { Sight::There(there) } else { Sight::NotYet })
}

/// Kinsta said that it is done, or nothing, and there is still nothing to see.
fn unseen(handle: &Handle) -> Progress {
    let said_done = !handle.blind;
    match &handle.goal {
        Goal::Extension { name, .. } => {
            let text = format!("Kinsta ended the work, but {name} isn't as it was asked for: does the site run?");
            Progress::Failed(sdk_error::internal(text))
        }
        _ if said_done => {
            let completion = Completion::default().with_details(&json!({"verified": false}));
            Progress::Succeeded(completion.with_message("Kinsta says that it is done, but its lists don't show it yet"))
        }
        _ => Progress::Failed(sdk_error::internal("Kinsta accepted it, but there is nothing to see of it: look in MyKinsta")),
    }
}
