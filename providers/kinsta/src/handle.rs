//! What Portico keeps of work under way, and hands back to `poll`.
//!
//! Pure. Invariant: it names Kinsta's operations and what will be there when they are done; no secret, and never more than the
//! 4096 bytes that a handle may have.

use portico_sdk::{Error, Pending, Work, error, json};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Handle {
    /// Kinsta's operations that haven't ended yet, in the order in which they are watched.
    #[serde(rename = "ops", default)]
    pub operations: Vec<String>,
    pub goal: Goal,
    /// When Kinsta accepted it, in milliseconds of our clock.
    pub since: u64,
    /// The first of the operations was known at least once: a 404 is no longer "not yet".
    #[serde(default)]
    pub seen: bool,
    /// Kinsta named no operation: the goal alone tells the end.
    #[serde(default)]
    pub blind: bool,
    /// How often the goal was looked for after the operations had ended.
    #[serde(default)]
    pub looks: u32,
}

/// What is there when the work is done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Goal {
    /// A site of this name that is none of these.
    Site {
        name: String,
        not: Vec<String>,
    },
    /// An environment of this name that is none of these.
    Environment {
        site: String,
        name: String,
        not: Vec<String>,
    },
    /// A backup whose note carries the operation's id; or else the only manual one that is newer than `after`.
    Backup {
        environment: String,
        operation: String,
        after: u64,
    },
    /// The domain; then it is made the primary one, if that is wanted.
    Domain {
        environment: String,
        name: String,
        primary: bool,
    },
    /// This is gone.
    NoSite {
        id: String,
    },
    NoEnvironment {
        site: String,
        id: String,
    },
    NoBackup {
        environment: String,
        id: u64,
    },
    NoDomain {
        environment: String,
        name: String,
    },
    Extension {
        environment: String,
        theme: bool,
        name: String,
        is: Condition,
    },
    /// The end of the operations is all that can be seen. `verified`: it says that the work was done.
    End {
        target: Option<String>,
        verified: bool,
    },
}

/// What is wanted of a plugin or theme.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    Present,
    Active,
    Inactive,
    Absent,
    Version(String),
}

impl Goal {
    /// Something is to be gone.
    pub const fn is_absence(&self) -> bool {
        matches!(
            self,
            Self::NoSite { .. }
                | Self::NoEnvironment { .. }
                | Self::NoBackup { .. }
                | Self::NoDomain { .. }
                | Self::Extension { is: Condition::Absent, .. }
        )
    }

    /// The native id of what the work is about, where it is known from the beginning.
    pub fn target(&self) -> Option<&str> {
        match self {
            Self::Domain { name, .. } | Self::Extension { name, .. } => Some(name),
            Self::End { target, .. } => target.as_deref(),
            _ => None,
        }
    }
}

impl Handle {
    pub fn new(operations: Vec<String>, goal: Goal, now: u64) -> Self {
        Self { blind: operations.is_empty(), operations, goal, since: now, seen: false, looks: 0 }
    }

    pub fn parse(text: &str) -> Result<Self, Error> {
        json::from_str(text)
    }

    pub const fn age(&self, now: u64) -> u64 {
        now.saturating_sub(self.since)
    }

    /// A young operation is looked at often: most end in seconds, a new site takes minutes.
    pub fn pending(&self, message: impl Into<String>, now: u64) -> Result<Pending, Error> {
        const LONGEST: usize = 4096;
        let text = serde_json::to_string(self)?;
        if text.len() > LONGEST {
            return Err(error::internal("there is more to remember about this operation than Portico keeps"));
        }
        let pause = match self.age(now) {
            0..30_000 => 1_000,
            30_000..180_000 => 3_000,
            _ => 10_000,
        };
        let pending = Pending::new(text).with_message(message).with_poll_after(pause);
        Ok(Pending { target: self.goal.target().map(str::to_owned), ..pending })
    }

    pub fn work(&self, message: impl Into<String>) -> Result<Work, Error> {
        Ok(Work::Pending(self.pending(message, self.since)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn survives_being_stored() {
        let goal = Goal::Site { name: "é".repeat(100), not: vec!["54fb80af-576c-4fdc-ba4f-b596c83f15a1".into(); 60] };
        let handle = Handle::new(vec!["sites:add-54fb80af-576c-4fdc-ba4f-b596c83f15a1".into()], goal, 1_700_000_000_000);
        let pending = handle.pending("adding", handle.since).unwrap();
        assert!(pending.handle.len() <= 4096, "{}", pending.handle.len());
        assert_eq!(Handle::parse(&pending.handle).unwrap(), handle);
        assert_eq!((pending.poll_after, pending.target), (Some(1000), None));
        assert_eq!(handle.pending("adding", handle.since + 200_000).unwrap().poll_after, Some(10_000));
        let many = Goal::Site { name: "x".into(), not: vec!["54fb80af-576c-4fdc-ba4f-b596c83f15a1".into(); 200] };
        assert!(Handle::new(Vec::new(), many, 0).pending("adding", 0).is_err());
    }

    #[test]
    fn an_older_handle_is_understood() {
        let handle = Handle::parse(r#"{"goal":{"end":{"target":null,"verified":true}},"since":5}"#).unwrap();
        assert_eq!(handle, Handle { blind: false, ..Handle::new(Vec::new(), Goal::End { target: None, verified: true }, 5) });
        assert!(Handle::parse("{}").is_err());
    }
}
