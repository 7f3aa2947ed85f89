//! What Portico keeps of work under way, and hands back to `poll`.
//!
//! Pure. Invariant: it says what is waited for and since when; how far it is, is looked up each time.

use portico_sdk::{Completion, Error, ErrorKind, Pending, Progress, Work, json};
use serde::{Deserialize, Serialize};

/// Milliseconds.
const POLL: u32 = 2_000;
const MINUTE: u64 = 60_000;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Handle {
    #[serde(rename = "do")]
    pub task: Task,
    /// The site; of a new one, as soon as it is known.
    pub site: Option<String>,
    /// A new site's name, or a backup's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub what: Option<String>,
    /// When it was begun, in milliseconds.
    pub since: u64,
    /// The work was seen to be going on.
    #[serde(default)]
    pub seen: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Task {
    /// A new site.
    Appear,
    Start,
    Stop,
    Delete,
    Backup,
    Unbackup,
    Restore,
}

impl Task {
    /// How long it may take; then it has failed as far as anybody can tell.
    const fn patience(self) -> u64 {
        match self {
            Self::Appear | Self::Backup | Self::Restore => 60 * MINUTE,
            Self::Start | Self::Stop | Self::Delete | Self::Unbackup => 15 * MINUTE,
        }
    }

    const fn words(self) -> &'static str {
        match self {
            Self::Appear => "making the site",
            Self::Start => "starting the site",
            Self::Stop => "stopping the site",
            Self::Delete => "removing the site",
            Self::Backup => "making the backup",
            Self::Unbackup => "removing the backup",
            Self::Restore => "restoring the backup",
        }
    }

    /// What the completion is about: the backup, or the site.
    const fn is_of_backup(self) -> bool {
        matches!(self, Self::Backup | Self::Unbackup | Self::Restore)
    }
}

impl Handle {
    pub fn new(task: Task, site: Option<String>, what: Option<String>, now: u64) -> Self {
        Self { task, site, what, since: now, seen: false }
    }

    pub fn parse(text: &str) -> Result<Self, Error> {
        json::from_str(text)
    }

    pub fn target(&self) -> Option<String> {
        if self.task.is_of_backup() { self.what.clone() } else { self.site.clone() }
    }

    /// `poll_after`: milliseconds.
    fn pending(&self, poll_after: u32) -> Result<Pending, Error> {
        let pending = Pending::new(serde_json::to_string(self)?).with_message(self.task.words()).with_poll_after(poll_after);
        Ok(Pending { target: self.target(), ..pending })
    }

    pub fn work(&self) -> Result<Work, Error> {
        Ok(Work::Pending(self.pending(100)?))
    }

    /// It goes on, unless it has for too long.
    pub fn running(&self, now: u64) -> Result<Progress, Error> {
        if now.saturating_sub(self.since) > self.task.patience() {
            let minutes = self.task.patience() / MINUTE;
            let message = format!("{} didn't end in {minutes} minutes; look at the panel", self.task.words());
            return Ok(Progress::Failed(Error::new(ErrorKind::Timeout, message)));
        }
        Ok(Progress::Running(self.pending(POLL)?))
    }

    /// `verified`: a look has shown it.
    pub fn succeeded(&self, verified: bool) -> Progress {
        let completion = Completion { target: self.target(), ..Completion::default() };
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
        let handle = Handle { seen: true, ..Handle::new(Task::Restore, Some("s".repeat(512)), Some("b".repeat(512)), 5) };
        let Work::Pending(pending) = handle.work().unwrap() else { panic!("it isn't done") };
        assert!(pending.handle.len() <= 4096);
        assert_eq!(Handle::parse(&pending.handle).unwrap(), handle);
        assert_eq!(pending.target, handle.what);
        assert!(matches!(handle.running(5 + 60 * MINUTE), Ok(Progress::Running(_))));
        assert!(matches!(handle.running(6 + 60 * MINUTE), Ok(Progress::Failed(_))));
    }

    #[test]
    fn an_older_handle_is_understood() {
        let handle = Handle::parse(r#"{"do":"stop","site":"a","since":1}"#).unwrap();
        assert_eq!(handle, Handle::new(Task::Stop, Some("a".into()), None, 1));
        assert!(Handle::parse("{}").is_err());
    }
}
