//! What of work under way is stored, and how soon it is looked at again.
//!
//! Pure. Invariant: a handle names what to look at, never what was seen there, and no secret.

use portico_sdk::{Completion, Error, Pending, Progress, Work, error, json};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::json;

const FIRST_MILLIS: u32 = 250;
const LONGEST_MILLIS: u32 = 15_000;

/// A task of one dialect, and how often it was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Handle<T> {
    #[serde(rename = "do")]
    pub task: T,
    #[serde(default)]
    pub polls: u32,
}

impl<T: Serialize + DeserializeOwned> Handle<T> {
    pub const fn new(task: T) -> Self {
        Self { task, polls: 0 }
    }

    pub fn parse(text: &str) -> Result<Self, Error> {
        json::from_str(text)
    }

    /// `target`: the native id of what is being made or changed.
    pub fn pending(&self, target: &str, message: &str) -> Result<Pending, Error> {
        let pending = Pending::new(serde_json::to_string(self)?).with_target(target).with_message(message);
        Ok(pending.with_poll_after(self.pause()))
    }

    pub fn work(&self, target: &str, message: &str) -> Result<Work, Error> {
        Ok(Work::Pending(self.pending(target, message)?))
    }

    pub fn running(self, target: &str, message: &str) -> Result<Progress, Error> {
        let later = Self { polls: self.polls.saturating_add(1), ..self };
        Ok(Progress::Running(later.pending(target, message)?))
    }

    /// Doubles from a quarter of a second to a quarter of a minute: WP Engine's work takes seconds or many minutes.
    fn pause(&self) -> u32 {
        FIRST_MILLIS.saturating_mul(1 << self.polls.min(10)).min(LONGEST_MILLIS)
    }
}

/// Accepted, and nothing tells when it is over.
pub fn unverified(target: &str, message: &str) -> Completion {
    Completion::of(target).with_message(message).with_details(&json!({"verified": false}))
}

pub fn failed(message: impl Into<String>) -> Progress {
    Progress::Failed(error::internal(message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Task {
        Wait { site: String },
    }

    #[test]
    fn survives_being_stored_and_slows_down() {
        let mut handle = Handle::new(Task::Wait { site: "s".into() });
        let mut pauses = Vec::new();
        for _ in 0..9 {
            let Progress::Running(pending) = handle.clone().running("s", "waits").unwrap() else { unreachable!() };
            pauses.push(pending.poll_after.unwrap());
            handle = Handle::parse(&pending.handle).unwrap();
        }
        assert_eq!(pauses, [500, 1000, 2000, 4000, 8000, 15_000, 15_000, 15_000, 15_000]);
        assert_eq!(Handle::parse(r#"{"do":{"wait":{"site":"s"}}}"#).unwrap(), Handle::new(Task::Wait { site: "s".into() }));
        assert!(Handle::<Task>::parse("{}").is_err());
    }
}
