//! Sites, environments, backups and domains in the one model.
//!
//! Invariant: unknown is `null`, never a made-up value; `native` is the upstream's own JSON, passed along byte for byte.

use super::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;
use std::{collections::BTreeMap, sync::Arc};

/// The upstream's own JSON for a thing, unaltered.
pub type Native = Option<Box<RawValue>>;

/// What an organization says of a site: key and value. Ours, not the upstream's.
pub type Labels = BTreeMap<String, String>;

/// A site has at most so many.
pub const MAX_LABELS: u32 = 32;

macro_rules! words {
    ($(#[$meta:meta])* $name:ident { $($variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
        )]
        pub enum $name { $(#[serde(rename = $word)] $variant),+ }

        impl $name {
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }
    };
}
pub(super) use words;

words!(SiteKind { Wordpress = "wordpress", Plain = "plain", Static = "static" });
words!(SiteStatus {
    Provisioning = "provisioning",
    Running = "running",
    Stopped = "stopped",
    Suspended = "suspended",
    Deleting = "deleting",
    Error = "error",
    Unknown = "unknown",
});
words!(EnvironmentKind { Production = "production", Staging = "staging", Development = "development" });
words!(BackupKind { Full = "full", Database = "database", Files = "files" });
words!(BackupStatus {
    Pending = "pending",
    Running = "running",
    Completed = "completed",
    Failed = "failed",
    Deleting = "deleting",
});
words!(DomainStatus { PendingVerification = "pending_verification", Active = "active", Error = "error" });

/// It is written as a [`SiteView`].
#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub struct Site {
    /// `<connection>~<native id, escaped>`
    pub id: String,
    pub connection: Arc<str>,
    pub provider: Arc<str>,
    pub name: String,
    pub slug: Option<String>,
    pub kind: SiteKind,
    pub status: SiteStatus,
    pub url: Option<String>,
    pub wordpress_version: Option<String>,
    pub php_version: Option<String>,
    pub environments: Vec<Environment>,
    pub usage: Option<SiteUsage>,
    /// Empty in what a provider answered: they are put in where the answer is written.
    pub labels: Labels,
    pub created_at: Option<Timestamp>,
    pub updated_at: Option<Timestamp>,
    #[schemars(with = "Option<serde_json::Value>")]
    pub native: Native,
}

/// A site as it is written, with labels from elsewhere: an answer that many share is not copied for them.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct SiteView<'a> {
    id: &'a str,
    connection: &'a str,
    provider: &'a str,
    name: &'a str,
    slug: &'a Option<String>,
    kind: SiteKind,
    status: SiteStatus,
    url: &'a Option<String>,
    wordpress_version: &'a Option<String>,
    php_version: &'a Option<String>,
    environments: &'a [Environment],
    usage: Option<SiteUsage>,
    labels: &'a Labels,
    created_at: Option<Timestamp>,
    updated_at: Option<Timestamp>,
    native: &'a Native,
}

impl Site {
    pub fn with<'a>(&'a self, labels: &'a Labels) -> SiteView<'a> {
        // Named one by one, so that a new field can't be forgotten.
        let Self {
            id,
            connection,
            provider,
            name,
            slug,
            kind,
            status,
            url,
            wordpress_version,
            php_version,
            environments,
            usage,
            labels: _,
            created_at,
            updated_at,
            native,
        } = self;
        SiteView {
            id,
            connection,
            provider,
            name,
            slug,
            kind: *kind,
            status: *status,
            url,
            wordpress_version,
            php_version,
            environments,
            usage: *usage,
            labels,
            created_at: *created_at,
            updated_at: *updated_at,
            native,
        }
    }
}

impl Serialize for Site {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.with(&self.labels).serialize(serializer)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SiteUsage {
    /// Bytes on disk.
    pub storage: Option<u64>,
    /// Bytes served in the current period.
    pub bandwidth: Option<u64>,
    /// In the current period.
    pub visits: Option<u64>,
}

/// A line of a site's log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LogLine {
    pub at: Option<Timestamp>,
    /// `access`, `error`, or what the host calls its logs.
    pub source: String,
    pub text: String,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Environment {
    /// Native id, escaped.
    pub id: String,
    pub name: String,
    pub kind: EnvironmentKind,
    pub status: SiteStatus,
    pub url: Option<String>,
    pub primary_domain: Option<String>,
    pub php_version: Option<String>,
    pub wordpress_version: Option<String>,
    #[schemars(with = "Option<serde_json::Value>")]
    pub native: Native,
}

#[derive(Clone, Debug, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Backup {
    /// Native id, escaped.
    pub id: String,
    /// The site's whole id.
    pub site: String,
    pub environment: Option<String>,
    pub kind: BackupKind,
    pub status: BackupStatus,
    pub description: Option<String>,
    /// Bytes.
    pub size: Option<u64>,
    pub contents: Contents,
    pub created_at: Option<Timestamp>,
    pub completed_at: Option<Timestamp>,
    #[schemars(with = "Option<serde_json::Value>")]
    pub native: Native,
}

/// Which parts of a site a backup holds, or a restore brings back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Contents {
    pub database: bool,
    pub files: bool,
    pub plugins: bool,
    pub themes: bool,
}

#[derive(Clone, Debug, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Domain {
    /// The name, escaped as ids are.
    pub id: String,
    /// A-label form, lower-case, without a trailing dot.
    pub name: String,
    pub site: String,
    pub environment: Option<String>,
    pub primary: bool,
    pub status: DomainStatus,
    pub verification: Vec<DnsRecord>,
    pub certificate: Option<Certificate>,
    #[schemars(with = "Option<serde_json::Value>")]
    pub native: Native,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct DnsRecord {
    #[serde(rename = "type")]
    pub record_type: String,
    pub name: String,
    pub value: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Certificate {
    pub issuer: Option<String>,
    pub expires_at: Option<Timestamp>,
    pub status: Option<String>,
}
