//! Work under way at the live API: what to look at next.
//!
//! Pure. Invariant: it names what is wanted, by ids; what exists is looked up each time.

use crate::pace;
use serde::{Deserialize, Serialize};

pub type Handle = pace::Handle<Task>;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Task {
    /// A site that needs its install, and then its name.
    Site {
        site: String,
        name: String,
        install: String,
        environment: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        copy: Option<Copy>,
    },
    /// An install that is to become active.
    Install {
        install: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        copy: Option<Copy>,
    },
    /// Without an id it is found by the operation in its description.
    Backup {
        install: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        backup: Option<String>,
    },
    /// Something whose end nothing tells; the install is watched as long as it is busy.
    Unseen { install: String, target: String, what: Unseen },
    /// A look at a domain's DNS.
    Report { install: String, report: String, domain: String },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Copy {
    pub from: String,
    #[serde(default)]
    pub sent: bool,
}

impl Copy {
    pub fn from(install: &str) -> Self {
        Self { from: install.to_owned(), sent: false }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unseen {
    Restore,
    Push,
}

impl Unseen {
    pub const fn end(self) -> &'static str {
        match self {
            Self::Restore => "restored, as far as WP Engine tells: it doesn't say when a restore is complete",
            Self::Push => "pushed, as far as WP Engine tells: it doesn't say when a copy is complete",
        }
    }

    pub const fn middle(self) -> &'static str {
        match self {
            Self::Restore => "WP Engine is restoring",
            Self::Push => "WP Engine is copying",
        }
    }
}
