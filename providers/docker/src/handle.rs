//! What Portico keeps of work under way, and hands back to `poll`.
//!
//! Pure. Invariant: it says what is wanted and why something is being undone, never what exists: that is looked up each time.

use crate::error;
use portico_sdk::{Error, Pending, Progress, Work, json};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Handle {
    #[serde(rename = "do")]
    pub task: Task,
    pub site: String,
    /// Counts what may not go on for ever: ports that were taken, removals that failed.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub tries: u32,
    #[serde(default)]
    pub progress: u8,
    /// The background request that pulls an image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pull: Option<Pull>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undo: Option<Undo>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Task {
    Create,
    Delete,
    Start,
    Stop,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pull {
    pub image: String,
    pub id: String,
}

/// Why a creation is being undone. It is committed with the handle before anything is removed, so a crash can't lose it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Undo {
    Canceled,
    Failed { kind: String, message: String },
}

impl Undo {
    pub fn because(reason: &Error) -> Self {
        Self::Failed { kind: error::kind_word(reason.kind).to_owned(), message: reason.message.chars().take(600).collect() }
    }
}

impl Handle {
    pub fn new(task: Task, site: &str) -> Self {
        Self { task, site: site.to_owned(), tries: 0, progress: 0, pull: None, undo: None }
    }

    pub fn parse(text: &str) -> Result<Self, Error> {
        json::from_str(text)
    }

    /// Progress never goes back.
    #[must_use]
    pub fn at(mut self, progress: u8) -> Self {
        self.progress = self.progress.max(progress);
        self
    }

    /// `poll_after`: milliseconds.
    pub fn pending(&self, message: impl Into<String>, poll_after: u32) -> Result<Pending, Error> {
        let pending = Pending::new(serde_json::to_string(self)?).with_target(&self.site).with_message(message);
        Ok(pending.with_progress(self.progress).with_poll_after(poll_after))
    }

    pub fn running(&self, message: impl Into<String>, poll_after: u32) -> Result<Progress, Error> {
        Ok(Progress::Running(self.pending(message, poll_after)?))
    }

    pub fn work(&self, message: &str) -> Result<Work, Error> {
        Ok(Work::Pending(self.pending(message, 100)?))
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
const fn is_zero(count: &u32) -> bool {
    *count == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn survives_being_stored() {
        let mut handle = Handle::new(Task::Create, &"x".repeat(40)).at(40).at(10);
        handle.tries = 3;
        handle.pull = Some(Pull { image: "i".repeat(255), id: "bg_1".into() });
        handle.undo = Some(Undo::because(&portico_sdk::error::conflict("é".repeat(2000))));
        let pending = handle.pending("…", 100).unwrap();
        assert!(pending.handle.len() <= 4096, "{}", pending.handle.len());
        assert_eq!(Handle::parse(&pending.handle).unwrap(), handle);
        assert_eq!(pending.progress, Some(40));
    }

    #[test]
    fn an_older_handle_is_understood() {
        let handle = Handle::parse(r#"{"do":"stop","site":"a"}"#).unwrap();
        assert_eq!(handle, Handle::new(Task::Stop, "a"));
        assert!(Handle::parse("{}").is_err());
    }
}
