//! What Portico keeps of work under way, and hands back to `poll`.
//!
//! Pure. Invariant: it says what is waited for and since when; how far it is, is looked up each time.

use portico_sdk::{Completion, Error, ErrorKind, Pending, Progress, Work, json};
use serde::{Deserialize, Serialize};

/// Milliseconds. With 60 requests a minute, an operation that is looked at takes a sixth of them.
const POLL: u32 = 6_000;
/// Much of the panel's work is done when it answers.
const AT_FIRST: u32 = 100;
const MINUTE: u64 = 60_000;
/// Minutes that any work may take.
const LONGEST: u64 = 60;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Handle {
    #[serde(rename = "do")]
    pub task: Task,
    /// What the panel's progress is asked for, where it told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<String>,
    /// When it was begun, in milliseconds.
    pub since: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Task {
    /// A new installation at this place.
    Appear(Place),
    Delete {
        site: String,
    },
    /// The new backup, where the panel tells of it.
    Backup {
        site: String,
        backup: Option<String>,
    },
    Restore {
        backup: String,
    },
    /// Work in an installation; `target` is what it is about.
    Work {
        target: Option<String>,
    },
}

/// Where an installation is; there is at most one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    pub domain: String,
    /// Inside the domain's home; none where only the domain was chosen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
}

impl Task {
    const fn words(&self) -> &'static str {
        match self {
            Self::Appear(_) => "installing WordPress",
            Self::Delete { .. } => "removing the installation",
            Self::Backup { .. } => "making the backup",
            Self::Restore { .. } => "restoring the backup",
            Self::Work { .. } => "working in the installation",
        }
    }

    fn target(&self) -> Option<&String> {
        match self {
            Self::Appear(_) => None,
            Self::Delete { site } => Some(site),
            Self::Backup { backup, .. } => backup.as_ref(),
            Self::Restore { backup } => Some(backup),
            Self::Work { target } => target.as_ref(),
        }
    }
}

impl Handle {
    pub const fn new(task: Task, job: Option<String>, now: u64) -> Self {
        Self { task, job, since: now }
    }

    pub fn parse(text: &str) -> Result<Self, Error> {
        json::from_str(text)
    }

    fn pending(&self, poll_after: u32) -> Result<Pending, Error> {
        let pending = Pending::new(serde_json::to_string(self)?).with_message(self.task.words()).with_poll_after(poll_after);
        Ok(Pending { target: self.task.target().cloned(), ..pending })
    }

    pub fn work(&self) -> Result<Work, Error> {
        Ok(Work::Pending(self.pending(AT_FIRST)?))
    }

    /// It goes on, as the panel says.
    pub fn running(&self, percent: Option<u8>, now: u64) -> Result<Progress, Error> {
        self.unless_late(LONGEST, percent, now)
    }

    /// Nothing is to be seen of it, and nothing says that it goes on.
    pub fn unseen(&self, now: u64) -> Result<Progress, Error> {
        self.unless_late(10, None, now)
    }

    pub const fn is_late(&self, now: u64) -> bool {
        now.saturating_sub(self.since) > LONGEST * MINUTE
    }

    fn unless_late(&self, minutes: u64, percent: Option<u8>, now: u64) -> Result<Progress, Error> {
        if now.saturating_sub(self.since) > minutes * MINUTE {
            let message = format!("{} didn't end in {minutes} minutes; look at the panel", self.task.words());
            return Ok(Progress::Failed(Error::new(ErrorKind::Timeout, message)));
        }
        Ok(Progress::Running(Pending { progress: percent, ..self.pending(POLL)? }))
    }

    /// `verified`: a look has shown it. `target`: where it wasn't known before.
    pub fn succeeded(&self, target: Option<String>, verified: bool) -> Progress {
        let completion = Completion { target: target.or_else(|| self.task.target().cloned()), ..Completion::default() };
        Progress::Succeeded(if verified {
            completion
        } else {
            completion.with_details(&serde_json::json!({"verified": false}))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn survives_being_stored_and_ends() {
        let place = Place { domain: "d".repeat(253), path: Some("p".repeat(200)) };
        for task in [
            Task::Appear(place),
            Task::Backup { site: "s".repeat(512), backup: Some("b".repeat(512)) },
            Task::Work { target: None },
            Task::Delete { site: "s".into() },
        ] {
            let handle = Handle::new(task, Some("j".repeat(128)), 5);
            let Work::Pending(pending) = handle.work().unwrap() else { panic!("it isn't done") };
            assert!(pending.handle.len() <= 4096);
            assert_eq!(Handle::parse(&pending.handle).unwrap(), handle);
            assert_eq!(pending.target.as_ref(), handle.task.target());
            assert!(matches!(
                handle.running(Some(3), 5 + 60 * MINUTE),
                Ok(Progress::Running(Pending { progress: Some(3), .. }))
            ));
            assert!(matches!(handle.running(None, 6 + 60 * MINUTE), Ok(Progress::Failed(_))));
            assert!(matches!(handle.unseen(6 + 10 * MINUTE), Ok(Progress::Failed(_))));
        }
        assert!(Handle::parse("{}").is_err());
    }
}
