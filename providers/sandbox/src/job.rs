//! One mutating call: until when it goes on, what it changes when it ends, and how it is told.
//!
//! Invariant: a job's end is decided when it is accepted; only canceling changes it. Effects are applied once, by
//! `Record::settle`.

use crate::{
    outcomes,
    record::{BackupStatus, DeploymentStatus, DomainStatus, Extension, Record, Status},
};
use portico_sdk::{Completion, Error, ErrorKind, Pending, Progress, Work};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Settled jobs that a record keeps, for calls that arrive again.
const KEPT: usize = 24;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Job {
    pub operation: String,
    pub action: String,
    /// The native id of what was made or changed.
    pub target: Option<String>,
    pub from: u64,
    /// None: never.
    pub until: Option<u64>,
    pub effect: Effect,
    /// Instead of `effect` when it fails or is canceled.
    pub undo: Effect,
    pub failure: Option<Failure>,
    pub settled: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details: Option<Value>,
    /// The name of a secret that the completion shows; its value follows from the operation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Failure {
    Failed,
    Canceled,
}

/// What the end of a job changes.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    #[default]
    Nothing,
    Site(Status),
    /// The site is removed.
    Gone,
    Environment {
        id: String,
        status: Status,
    },
    EnvironmentGone {
        id: String,
    },
    /// The versions of one environment come to another.
    Pushed {
        from: String,
        to: String,
    },
    Backup {
        id: String,
        status: BackupStatus,
    },
    BackupGone {
        id: String,
    },
    Domain {
        name: String,
        status: DomainStatus,
    },
    Deployment {
        id: String,
        status: DeploymentStatus,
    },
    /// An environment serves this deployment.
    Released {
        environment: String,
        id: String,
    },
    Core {
        environment: String,
        version: String,
    },
    Extension {
        environment: String,
        theme: bool,
        extension: Extension,
    },
}

impl Effect {
    pub fn apply(&self, record: &mut Record, at: u64) {
        match self {
            Self::Nothing => {}
            Self::Site(status) => record.status = *status,
            Self::Gone => record.gone_at = Some(at),
            Self::Environment { id, status } => with(&mut record.environments, |it| it.id == *id, |it| it.status = *status),
            Self::EnvironmentGone { id } => record.environments.retain(|environment| environment.id != *id),
            Self::Pushed { from, to } => push(record, from, to),
            Self::Backup { id, status } => with(
                &mut record.backups,
                |it| it.id == *id,
                |it| {
                    it.status = *status;
                    it.completed_at = it.completed_at.or(Some(at));
                },
            ),
            Self::BackupGone { id } => record.backups.retain(|backup| backup.id != *id),
            Self::Domain { name, status } => with(
                &mut record.domains,
                |it| it.name == *name,
                |it| {
                    it.status = *status;
                    it.verified_at = (*status == DomainStatus::Active).then_some(at);
                },
            ),
            Self::Deployment { id, status } => deployed(record, id, *status, at),
            Self::Released { environment, id } => {
                with(&mut record.environments, |it| it.id == *environment, |it| it.released.push(id.clone()));
            }
            Self::Core { environment, version } => {
                with(&mut record.environments, |it| it.id == *environment, |it| it.wordpress_version = Some(version.clone()));
            }
            Self::Extension { environment, theme, extension } => install(record, environment, *theme, extension),
        }
    }
}

fn with<T>(items: &mut [T], is: impl Fn(&T) -> bool, change: impl FnOnce(&mut T)) {
    if let Some(item) = items.iter_mut().find(|item| is(item)) {
        change(item);
    }
}

fn push(record: &mut Record, from: &str, to: &str) {
    let Some(source) = record.environments.iter().find(|environment| environment.id == from).cloned() else { return };
    with(
        &mut record.environments,
        |it| it.id == to,
        |it| {
            it.php_version = source.php_version;
            it.wordpress_version = source.wordpress_version;
            it.wordpress = source.wordpress;
        },
    );
}

fn deployed(record: &mut Record, id: &str, status: DeploymentStatus, at: u64) {
    let Some(deployment) = record.deployments.iter_mut().find(|deployment| deployment.id == id) else { return };
    deployment.status = status;
    deployment.completed_at = Some(at);
    let environment = deployment.environment.clone();
    if status == DeploymentStatus::Completed {
        with(&mut record.environments, |it| it.id == environment, |it| it.released.push(id.to_owned()));
    }
}

fn install(record: &mut Record, environment: &str, theme: bool, extension: &Extension) {
    let admin = record.admin.clone();
    with(
        &mut record.environments,
        |it| it.id == environment,
        |it| {
            let wordpress = it.wordpress.get_or_insert_with(|| crate::record::Wordpress::fresh(admin.as_deref()));
            let list = if theme { &mut wordpress.themes } else { &mut wordpress.plugins };
            // A site has one active theme.
            if theme && extension.active {
                list.iter_mut().for_each(|known| known.active = false);
            }
            list.retain(|known| known.id != extension.id);
            list.push(extension.clone());
        },
    );
}

impl Job {
    /// What the call answers, now and whenever it arrives again.
    pub fn work(&self, site: &str, now: u64) -> Result<Work, Error> {
        match self.progress(site, now) {
            Progress::Running(pending) => Ok(Work::Pending(pending)),
            Progress::Succeeded(completion) => Ok(Work::Done(completion)),
            Progress::Failed(error) => Err(error),
            // A call has no word for that; `poll` has.
            Progress::Canceled => Ok(Work::Pending(self.pending(site, now))),
        }
    }

    pub fn progress(&self, site: &str, now: u64) -> Progress {
        match (self.until, self.failure) {
            (Some(until), _) if until > now => Progress::Running(self.pending(site, now)),
            (None, _) => Progress::Running(self.pending(site, now)),
            (_, Some(Failure::Canceled)) => Progress::Canceled,
            (_, Some(Failure::Failed)) => Progress::Failed(self.error()),
            (_, None) => Progress::Succeeded(self.completion()),
        }
    }

    fn error(&self) -> Error {
        let mut error = outcomes::refusal(ErrorKind::Internal, "name");
        error.message = format!("{} failed, as its name asked for", self.action);
        error
    }

    pub fn pending(&self, site: &str, now: u64) -> Pending {
        // Stuck work comes half way.
        let passed = now.saturating_sub(self.from);
        let percent = self.until.map_or(50, |until| passed * 100 / until.saturating_sub(self.from).max(1));
        let left = self.until.map_or(1000, |until| until.saturating_sub(now));
        Pending {
            handle: handle(&self.action, site),
            target: self.target.clone(),
            progress: Some(percent.min(99) as u8),
            message: None,
            estimated_completion_at: self.until,
            poll_after: Some(left.clamp(100, 1000) as u32),
        }
    }

    fn completion(&self) -> Completion {
        let mut completion = Completion { target: self.target.clone(), message: self.message.clone(), ..Completion::default() };
        completion.details = self.details.as_ref().map(Value::to_string);
        if let Some(name) = &self.secret {
            completion = completion.with_secret(name, secret(name, &self.operation));
        }
        completion
    }
}

/// Says in which record a job is, and of which action it is.
fn handle(action: &str, site: &str) -> String {
    format!("{action}:{site}")
}

/// Action and site of a handle.
pub fn read_handle(handle: &str) -> Option<(&str, &str)> {
    handle.split_once(':')
}

/// Passwords and links of the sandbox open nothing, so they may follow from the operation: polling twice must tell the same.
fn secret(name: &str, operation: &str) -> String {
    let hash = crate::store::hash(&format!("{name} of {operation}"));
    match name {
        "url" => format!("https://sandbox.invalid/wp-login.php?once={hash:032x}"),
        _ => format!("test-{:016x}", hash as u64),
    }
}

/// Forgets the oldest settled jobs.
pub fn prune(jobs: &mut Vec<Job>) {
    let mut surplus = jobs.iter().filter(|job| job.settled).count().saturating_sub(KEPT);
    jobs.retain(|job| {
        let goes = job.settled && surplus > 0;
        surplus -= usize::from(goes);
        !goes
    });
}
