//! Work under way at the seed's API: what to look at next.
//!
//! Pure. Invariant: it names things by their ids; what exists is looked up each time.

use crate::pace;
use serde::{Deserialize, Serialize};

pub type Handle = pace::Handle<Task>;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Task {
    /// A site that is to become active.
    Site {
        site: String,
    },
    /// A site that is to disappear.
    SiteGone {
        site: String,
    },
    Backup {
        site: String,
        backup: String,
    },
    BackupGone {
        site: String,
        backup: String,
    },
    /// Nothing tells its end: it is believed when the time that was estimated is over and the site is active.
    Restore {
        site: String,
        backup: String,
        /// Milliseconds since the epoch.
        #[serde(default)]
        until: Option<u64>,
    },
    Deployment {
        site: String,
        deployment: String,
    },
}

impl Task {
    /// The native id of what it is about.
    pub fn target(&self) -> &str {
        match self {
            Self::Site { site } | Self::SiteGone { site } => site,
            Self::Backup { backup, .. } | Self::BackupGone { backup, .. } | Self::Restore { backup, .. } => backup,
            Self::Deployment { deployment, .. } => deployment,
        }
    }

    pub const fn message(&self) -> &'static str {
        match self {
            Self::Site { .. } => "WP Engine is making the site",
            Self::SiteGone { .. } => "WP Engine is removing the site",
            Self::Backup { .. } => "WP Engine is making the backup",
            Self::BackupGone { .. } => "WP Engine is removing the backup",
            Self::Restore { .. } => "WP Engine is restoring",
            Self::Deployment { .. } => "WP Engine is deploying",
        }
    }
}
