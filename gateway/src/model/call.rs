//! Calls to a provider: what can be asked, what can be changed, and what comes back.
//!
//! Invariant: ids in here are native and unescaped on the way in, whole and escaped in answers. Mutations serialize, since an
//! operation keeps its arguments until it ends.

use super::{Backup, BackupKind, Contents, Domain, Error, Labels, Site, SiteKind, Timestamp, resource::words};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

words!(
    /// Every action by its name in features, operations, metrics and the audit log.
    Action {
        SitesList = "sites.list",
        SitesGet = "sites.get",
        SitesCreate = "sites.create",
        SitesUpdate = "sites.update",
        SitesDelete = "sites.delete",
        SitesStart = "sites.start",
        SitesStop = "sites.stop",
        SitesClone = "sites.clone",
        BackupsList = "backups.list",
        BackupsGet = "backups.get",
        BackupsCreate = "backups.create",
        BackupsDelete = "backups.delete",
        BackupsRestore = "backups.restore",
        DomainsList = "domains.list",
        DomainsCreate = "domains.create",
        DomainsDelete = "domains.delete",
        DomainsVerify = "domains.verify",
        DomainsSetPrimary = "domains.set_primary",
    }
);

/// A reading call.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Query {
    /// Every site: the host walks the provider's pages.
    SitesList,
    SitesGet {
        site: String,
    },
    BackupsList {
        site: String,
        environment: Option<String>,
    },
    BackupsGet {
        site: String,
        backup: String,
    },
    DomainsList {
        site: String,
        environment: Option<String>,
    },
}

impl Query {
    pub const fn action(&self) -> Action {
        match self {
            Self::SitesList => Action::SitesList,
            Self::SitesGet { .. } => Action::SitesGet,
            Self::BackupsList { .. } => Action::BackupsList,
            Self::BackupsGet { .. } => Action::BackupsGet,
            Self::DomainsList { .. } => Action::DomainsList,
        }
    }
}

#[derive(Clone, Debug)]
pub enum Answer {
    Sites(Vec<Site>),
    Site(Site),
    Backups(Vec<Backup>),
    Backup(Backup),
    Domains(Vec<Domain>),
}

impl Answer {
    /// Empty when it is an answer of another kind.
    pub fn sites(&self) -> &[Site] {
        match self {
            Self::Sites(sites) => sites,
            _ => &[],
        }
    }

    pub fn backups(&self) -> &[Backup] {
        match self {
            Self::Backups(backups) => backups,
            _ => &[],
        }
    }

    pub fn domains(&self) -> &[Domain] {
        match self {
            Self::Domains(domains) => domains,
            _ => &[],
        }
    }
}

/// A changing call. Its JSON is `{"action": "sites.create", "args": {…}}`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "action", content = "args")]
pub enum Mutation {
    #[serde(rename = "sites.create")]
    SitesCreate(SiteCreate),
    #[serde(rename = "sites.update")]
    SitesUpdate { site: String, input: SiteUpdate },
    #[serde(rename = "sites.delete")]
    SitesDelete { site: String },
    #[serde(rename = "sites.start")]
    SitesStart { site: String },
    #[serde(rename = "sites.stop")]
    SitesStop { site: String },
    #[serde(rename = "sites.clone")]
    SitesClone { site: String, input: SiteClone },
    #[serde(rename = "backups.create")]
    BackupsCreate { site: String, input: BackupCreate },
    #[serde(rename = "backups.delete")]
    BackupsDelete { site: String, backup: String },
    #[serde(rename = "backups.restore")]
    BackupsRestore { site: String, backup: String, input: RestoreInput },
    #[serde(rename = "domains.create")]
    DomainsCreate { site: String, input: DomainCreate },
    #[serde(rename = "domains.delete")]
    DomainsDelete { site: String, environment: Option<String>, name: String },
    #[serde(rename = "domains.verify")]
    DomainsVerify { site: String, environment: Option<String>, name: String },
    #[serde(rename = "domains.set_primary")]
    DomainsSetPrimary { site: String, environment: Option<String>, name: String },
}

impl Mutation {
    pub const fn action(&self) -> Action {
        match self {
            Self::SitesCreate(_) => Action::SitesCreate,
            Self::SitesUpdate { .. } => Action::SitesUpdate,
            Self::SitesDelete { .. } => Action::SitesDelete,
            Self::SitesStart { .. } => Action::SitesStart,
            Self::SitesStop { .. } => Action::SitesStop,
            Self::SitesClone { .. } => Action::SitesClone,
            Self::BackupsCreate { .. } => Action::BackupsCreate,
            Self::BackupsDelete { .. } => Action::BackupsDelete,
            Self::BackupsRestore { .. } => Action::BackupsRestore,
            Self::DomainsCreate { .. } => Action::DomainsCreate,
            Self::DomainsDelete { .. } => Action::DomainsDelete,
            Self::DomainsVerify { .. } => Action::DomainsVerify,
            Self::DomainsSetPrimary { .. } => Action::DomainsSetPrimary,
        }
    }

    /// The native id of the site it is about; none for one that is still to be made.
    pub fn site(&self) -> Option<&str> {
        match self {
            Self::SitesCreate(_) => None,
            Self::SitesUpdate { site, .. }
            | Self::SitesDelete { site }
            | Self::SitesStart { site }
            | Self::SitesStop { site }
            | Self::SitesClone { site, .. }
            | Self::BackupsCreate { site, .. }
            | Self::BackupsDelete { site, .. }
            | Self::BackupsRestore { site, .. }
            | Self::DomainsCreate { site, .. }
            | Self::DomainsDelete { site, .. }
            | Self::DomainsVerify { site, .. }
            | Self::DomainsSetPrimary { site, .. } => Some(site),
        }
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SiteCreate {
    pub name: String,
    pub kind: SiteKind,
    pub domain: Option<String>,
    pub environment: Option<String>,
    pub php_version: Option<String>,
    pub wordpress_version: Option<String>,
    pub locale: Option<String>,
    pub title: Option<String>,
    pub admin: Option<SiteAdmin>,
    pub region: Option<String>,
    pub template: Option<String>,
    pub options: Box<RawValue>,
    /// Ours: no provider sees them; the site has them as soon as it is made.
    #[serde(default, skip_serializing_if = "Labels::is_empty")]
    pub labels: Labels,
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SiteAdmin {
    pub user: String,
    pub email: String,
    /// None: the provider generates one.
    pub password: Option<String>,
}

impl std::fmt::Debug for SiteAdmin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SiteAdmin({})", self.user)
    }
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct SiteUpdate {
    pub name: Option<String>,
    pub php_version: Option<String>,
    pub wordpress_version: Option<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SiteClone {
    pub name: String,
    pub domain: Option<String>,
    pub source_environment: Option<String>,
    pub region: Option<String>,
    pub options: Box<RawValue>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BackupCreate {
    pub environment: Option<String>,
    pub kind: BackupKind,
    pub description: Option<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RestoreInput {
    pub environment: Option<String>,
    pub contents: Contents,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DomainCreate {
    pub name: String,
    pub environment: Option<String>,
    pub primary: bool,
}

/// What a mutating call came to.
#[derive(Clone, Debug)]
pub enum Work {
    Done(Completion),
    Pending(Pending),
}

#[derive(Clone, Debug, Default)]
pub struct Completion {
    /// The native id, unescaped, of what was made or changed.
    pub target: Option<String>,
    pub message: Option<String>,
    pub details: Option<Box<RawValue>>,
    pub secrets: Vec<Secret>,
}

/// Shown once, sealed at rest, zeroized in memory.
#[derive(Clone, Serialize, Deserialize, zeroize::ZeroizeOnDrop)]
pub struct Secret {
    #[zeroize(skip)]
    pub name: String,
    pub value: String,
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Secret({}: …)", self.name)
    }
}

#[derive(Clone, Debug)]
pub struct Pending {
    /// Opaque to the gateway.
    pub handle: String,
    pub target: Option<String>,
    pub progress: Option<u8>,
    pub message: Option<String>,
    pub estimated_completion_at: Option<Timestamp>,
    /// Milliseconds until the next poll, kept between 100 and 60,000.
    pub poll_after: u32,
}

#[derive(Clone, Debug)]
pub enum Progress {
    Running(Pending),
    Succeeded(Completion),
    Failed(Error),
    Canceled,
}

/// What `reconcile` found out about a call that may or may not have been carried out.
#[derive(Clone, Debug)]
pub enum Finding {
    Found(Work),
    Absent,
    Unknown,
}
