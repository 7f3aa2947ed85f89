//! A site with all that belongs to it, as one value of the state.
//!
//! One value, because a value changes as a whole: a site, its backups and the work on it can't disagree after a crash.
//! Invariant: a record says what will be, too: work that is going on is in `jobs`, and `settle` carries out what the clock says is
//! over. Nothing here reads the clock or the state.

use crate::job::Job;
use portico_sdk as sdk;
use serde::{Deserialize, Serialize};

macro_rules! words {
    ($name:ident = $model:path { $($variant:ident),+ }) => {
        /// As in the contract.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum $name { $($variant),+ }

        impl From<$model> for $name {
            fn from(model: $model) -> Self {
                match model { $(<$model>::$variant => Self::$variant),+ }
            }
        }

        impl From<$name> for $model {
            fn from(word: $name) -> Self {
                match word { $($name::$variant => Self::$variant),+ }
            }
        }
    };
}

words!(Kind = sdk::SiteKind { Wordpress, Plain, StaticFiles });
words!(Status = sdk::SiteStatus { Provisioning, Running, Stopped, Suspended, Deleting, Error, Unknown });
words!(EnvironmentKind = sdk::EnvironmentKind { Production, Staging, Development });
words!(BackupKind = sdk::BackupKind { Full, Database, Files });
words!(BackupStatus = sdk::BackupStatus { Pending, Running, Completed, Failed, Deleting });
words!(DomainStatus = sdk::DomainStatus { PendingVerification, Active, Error });
words!(DeploymentStatus = sdk::DeploymentStatus { Pending, Running, Committed, Completed, Failed, Canceled });

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Record {
    pub id: String,
    pub name: String,
    pub kind: Kind,
    pub status: Status,
    pub locale: Option<String>,
    pub title: Option<String>,
    pub region: Option<String>,
    pub template: Option<String>,
    pub admin: Option<String>,
    #[serde(default)]
    pub multisite: bool,
    pub created_at: u64,
    pub updated_at: u64,
    /// The first is the default one.
    pub environments: Vec<Environment>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub domains: Vec<Domain>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub backups: Vec<Backup>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub deployments: Vec<Deployment>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub plans: Vec<Plan>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub jobs: Vec<Job>,
    /// When it was deleted. It is kept for a while, so that the deletion can be told from a site that never was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gone_at: Option<u64>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Environment {
    pub id: String,
    pub name: String,
    pub kind: EnvironmentKind,
    pub status: Status,
    pub php_version: Option<String>,
    pub wordpress_version: Option<String>,
    /// What is deployed, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub released: Vec<String>,
    /// None: as it was installed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wordpress: Option<Wordpress>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Domain {
    pub name: String,
    pub environment: String,
    pub primary: bool,
    pub status: DomainStatus,
    pub verified_at: Option<u64>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Backup {
    pub id: String,
    pub environment: String,
    pub kind: BackupKind,
    pub status: BackupStatus,
    pub description: Option<String>,
    pub created_at: u64,
    pub completed_at: Option<u64>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Deployment {
    pub id: String,
    pub environment: String,
    pub source: Source,
    pub status: DeploymentStatus,
    pub message: Option<String>,
    pub created_at: u64,
    pub completed_at: Option<u64>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    Git { repository: String, branch: Option<String>, commit: Option<String> },
    Zip(String),
    Files { files: u32 },
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Plan {
    pub id: String,
    pub environment: String,
    pub files: u32,
    pub expires_at: u64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Wordpress {
    pub plugins: Vec<Extension>,
    pub themes: Vec<Extension>,
    pub maintenance: bool,
    pub cache: bool,
    pub file_edit: bool,
    pub file_protection: bool,
    pub hide_login: bool,
    pub debug: bool,
    pub admins: Vec<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Extension {
    pub id: String,
    pub name: String,
    pub version: String,
    pub active: bool,
    pub update: Option<String>,
}

impl Wordpress {
    /// A fresh installation.
    pub fn fresh(admin: Option<&str>) -> Self {
        let extension = |id: &str, name: &str, version: &str, active, update: Option<&str>| Extension {
            id: id.to_owned(),
            name: name.to_owned(),
            version: version.to_owned(),
            active,
            update: update.map(str::to_owned),
        };
        Self {
            plugins: vec![
                extension("akismet/akismet.php", "Akismet Anti-spam", "5.3", false, Some("5.5")),
                extension("hello.php", "Hello Dolly", "1.7.2", false, None),
            ],
            themes: vec![
                extension("twentytwentyfive", "Twenty Twenty-Five", "1.3", true, None),
                extension("twentytwentyfour", "Twenty Twenty-Four", "1.2", false, Some("1.3")),
            ],
            maintenance: false,
            cache: true,
            file_edit: true,
            file_protection: false,
            hide_login: false,
            debug: false,
            admins: vec![admin.unwrap_or("admin").to_owned()],
        }
    }
}

impl Record {
    /// Carries out what is over by `now`, in the order in which it ended. True if that changed anything.
    pub fn settle(&mut self, now: u64) -> bool {
        let mut changed = false;
        while let Some(index) = self.next_due(now) {
            let job = self.jobs[index].clone();
            let at = job.until.unwrap_or(now);
            let effect = if job.failure.is_none() { &job.effect } else { &job.undo };
            effect.apply(self, at);
            self.updated_at = self.updated_at.max(at);
            self.jobs[index].settled = true;
            changed = true;
        }
        changed
    }

    fn next_due(&self, now: u64) -> Option<usize> {
        let due = self.jobs.iter().enumerate().filter(|(_, job)| !job.settled && job.until.is_some_and(|until| until <= now));
        due.min_by_key(|(_, job)| job.until).map(|(index, _)| index)
    }

    /// When `settle` has something to do next.
    pub fn next_change(&self) -> Option<u64> {
        self.jobs.iter().filter(|job| !job.settled).filter_map(|job| job.until).min()
    }

    pub fn is_gone(&self) -> bool {
        self.gone_at.is_some()
    }

    pub fn job(&self, operation: &str) -> Option<&Job> {
        self.jobs.iter().find(|job| job.operation == operation)
    }

    pub fn primary_domain(&self, environment: &str) -> Option<&str> {
        let of_it = || self.domains.iter().filter(|domain| domain.environment == environment);
        of_it().find(|domain| domain.primary).or_else(|| of_it().next()).map(|domain| domain.name.as_str())
    }
}
