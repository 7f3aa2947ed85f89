//! Calls to a provider: what can be asked, what can be changed, and what comes back.
//!
//! Invariant: ids in here are native and unescaped on the way in, whole and escaped in answers. Mutations serialize, since an
//! operation keeps its arguments until it ends.

mod deployments;
mod environments;
mod work;

pub use deployments::{DeploymentCreate, DeploymentSource, PlanFile, PlanInput};
pub use environments::{EnvironmentCreate, EnvironmentUpdate, PushInput};
pub use work::{Completion, Finding, Pending, Progress, Secret, Work};

use super::{
    Backup, BackupKind, BillingAnswer, BillingQuery, CheckoutInput, Contents, Deployment, Domain, Environment, Extension,
    Invoice, Labels, LogLine, Plan, Site, SiteKind, SiteUsage, Usage, WordpressAnswer, WordpressMutation, WordpressQuery,
    WordpressTarget, form, resource::words,
};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::value::RawValue;
use zeroize::Zeroizing;

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
        SitesUsage = "sites.usage",
        SitesLogs = "sites.logs",
        EnvironmentsList = "environments.list",
        EnvironmentsCreate = "environments.create",
        EnvironmentsUpdate = "environments.update",
        EnvironmentsDelete = "environments.delete",
        EnvironmentsPush = "environments.push",
        EnvironmentsCurrent = "environments.current",
        DeploymentsList = "deployments.list",
        DeploymentsGet = "deployments.get",
        DeploymentsCreate = "deployments.create",
        DeploymentsRollback = "deployments.rollback",
        DeploymentsRelease = "deployments.release",
        DeploymentsPlan = "deployments.plan",
        DeploymentsCommit = "deployments.commit",
        BackupsList = "backups.list",
        BackupsGet = "backups.get",
        BackupsCreate = "backups.create",
        BackupsDelete = "backups.delete",
        BackupsRestore = "backups.restore",
        BackupsDownload = "backups.download",
        DomainsList = "domains.list",
        DomainsCreate = "domains.create",
        DomainsDelete = "domains.delete",
        DomainsVerify = "domains.verify",
        DomainsSetPrimary = "domains.set_primary",
        DeploymentsUpload = "deployments.upload",
        WordpressStatus = "wordpress.status",
        WordpressPluginsList = "wordpress.plugins.list",
        WordpressPluginsInstall = "wordpress.plugins.install",
        WordpressPluginsActivate = "wordpress.plugins.activate",
        WordpressPluginsDeactivate = "wordpress.plugins.deactivate",
        WordpressPluginsUpdate = "wordpress.plugins.update",
        WordpressPluginsDelete = "wordpress.plugins.delete",
        WordpressThemesList = "wordpress.themes.list",
        WordpressThemesInstall = "wordpress.themes.install",
        WordpressThemesActivate = "wordpress.themes.activate",
        WordpressThemesDeactivate = "wordpress.themes.deactivate",
        WordpressThemesUpdate = "wordpress.themes.update",
        WordpressThemesDelete = "wordpress.themes.delete",
        WordpressCoreUpdate = "wordpress.core.update",
        WordpressCoreReinstall = "wordpress.core.reinstall",
        WordpressMaintenance = "wordpress.maintenance",
        WordpressSearchReplace = "wordpress.search_replace",
        WordpressCacheGet = "wordpress.cache.get",
        WordpressCacheEnable = "wordpress.cache.enable",
        WordpressCacheDisable = "wordpress.cache.disable",
        WordpressCacheFlush = "wordpress.cache.flush",
        WordpressCachePurge = "wordpress.cache.purge",
        WordpressSecurityGet = "wordpress.security.get",
        WordpressSecurityUpdate = "wordpress.security.update",
        WordpressSecurityVerifyChecksums = "wordpress.security.verify_checksums",
        WordpressAdminCreate = "wordpress.admin.create",
        WordpressPasswordReset = "wordpress.password_reset",
        WordpressLoginLink = "wordpress.login_link",
        BillingSubscription = "billing.subscription",
        BillingCheckout = "billing.checkout",
        BillingInvoices = "billing.invoices",
        BillingUsage = "billing.usage",
    }
);

impl Action {
    /// Whether it is a [`Preparation`].
    pub const fn prepares(self) -> bool {
        matches!(self, Self::DeploymentsPlan | Self::BillingCheckout)
    }
}

/// A reading call.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Query {
    /// Every site: the host walks the provider's pages.
    SitesList,
    SitesGet {
        site: String,
    },
    SitesUsage {
        site: String,
    },
    /// The last `lines` lines.
    SitesLogs {
        site: String,
        environment: Option<String>,
        source: Option<String>,
        lines: u32,
    },
    EnvironmentsList {
        site: String,
    },
    EnvironmentsCurrent {
        site: String,
        environment: String,
    },
    DeploymentsList {
        site: String,
        environment: Option<String>,
    },
    DeploymentsGet {
        site: String,
        deployment: String,
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
    Wordpress {
        target: WordpressTarget,
        asked: WordpressQuery,
    },
    Billing(BillingQuery),
}

impl Query {
    /// The native id of the site it is about; none where it is about many, or about the account.
    pub fn site(&self) -> Option<&str> {
        match self {
            Self::SitesList | Self::Billing(_) => None,
            Self::SitesGet { site }
            | Self::SitesUsage { site }
            | Self::SitesLogs { site, .. }
            | Self::EnvironmentsList { site }
            | Self::EnvironmentsCurrent { site, .. }
            | Self::DeploymentsList { site, .. }
            | Self::DeploymentsGet { site, .. }
            | Self::BackupsList { site, .. }
            | Self::BackupsGet { site, .. }
            | Self::DomainsList { site, .. } => Some(site),
            Self::Wordpress { target, .. } => Some(&target.site),
        }
    }

    pub const fn action(&self) -> Action {
        match self {
            Self::SitesList => Action::SitesList,
            Self::SitesGet { .. } => Action::SitesGet,
            Self::SitesUsage { .. } => Action::SitesUsage,
            Self::SitesLogs { .. } => Action::SitesLogs,
            Self::EnvironmentsList { .. } => Action::EnvironmentsList,
            Self::EnvironmentsCurrent { .. } => Action::EnvironmentsCurrent,
            Self::DeploymentsList { .. } => Action::DeploymentsList,
            Self::DeploymentsGet { .. } => Action::DeploymentsGet,
            Self::BackupsList { .. } => Action::BackupsList,
            Self::BackupsGet { .. } => Action::BackupsGet,
            Self::DomainsList { .. } => Action::DomainsList,
            Self::Wordpress { asked, .. } => asked.action(),
            Self::Billing(asked) => asked.action(),
        }
    }
}

#[derive(Clone, Debug)]
pub enum Answer {
    Sites(Vec<Site>),
    Site(Site),
    SiteUsage(SiteUsage),
    SiteLogs(Vec<LogLine>),
    Environments(Vec<Environment>),
    /// None: nothing is deployed there.
    Current(Option<Deployment>),
    Deployments(Vec<Deployment>),
    Deployment(Deployment),
    Backups(Vec<Backup>),
    Backup(Backup),
    Domains(Vec<Domain>),
    Wordpress(WordpressAnswer),
    Billing(BillingAnswer),
}

impl Answer {
    /// Empty when it is an answer of another kind.
    pub fn sites(&self) -> &[Site] {
        match self {
            Self::Sites(sites) => sites,
            _ => &[],
        }
    }

    pub fn environments(&self) -> &[Environment] {
        match self {
            Self::Environments(environments) => environments,
            _ => &[],
        }
    }

    pub fn deployments(&self) -> &[Deployment] {
        match self {
            Self::Deployments(deployments) => deployments,
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

    pub fn extensions(&self) -> &[Extension] {
        match self {
            Self::Wordpress(WordpressAnswer::Extensions(extensions)) => extensions,
            _ => &[],
        }
    }

    pub fn invoices(&self) -> &[Invoice] {
        match self {
            Self::Billing(BillingAnswer::Invoices(invoices)) => invoices,
            _ => &[],
        }
    }

    /// None when it is an answer of another kind.
    pub const fn usage(&self) -> Option<&Usage> {
        match self {
            Self::Billing(BillingAnswer::Usage(usage)) => Some(usage),
            _ => None,
        }
    }
}

/// A preparing call. It may send a POST to the upstream, but what that makes is seen by nobody but who asked, binds nobody and
/// goes away by itself: so there is no operation, and repeating or losing it does no harm.
#[derive(Clone, Debug)]
pub enum Preparation {
    DeploymentsPlan {
        site: String,
        input: PlanInput,
    },
    /// Nothing is bought before the customer pays at the address that it answers.
    BillingCheckout {
        input: CheckoutInput,
    },
}

impl Preparation {
    pub const fn action(&self) -> Action {
        match self {
            Self::DeploymentsPlan { .. } => Action::DeploymentsPlan,
            Self::BillingCheckout { .. } => Action::BillingCheckout,
        }
    }
}

/// What a preparing call made.
#[derive(Clone, Debug)]
pub enum Prepared {
    Plan(Plan),
    /// The address of a page where the customer pays.
    Checkout(String),
}

/// A changing call. Its JSON is `{"action": "sites.create", "args": {…}}`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(remote = "Self", tag = "action", content = "args")]
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
    #[serde(rename = "environments.create")]
    EnvironmentsCreate { site: String, input: EnvironmentCreate },
    #[serde(rename = "environments.update")]
    EnvironmentsUpdate { site: String, environment: String, input: EnvironmentUpdate },
    #[serde(rename = "environments.delete")]
    EnvironmentsDelete { site: String, environment: String },
    /// From `environment` to the input's target.
    #[serde(rename = "environments.push")]
    EnvironmentsPush { site: String, environment: String, input: PushInput },
    #[serde(rename = "deployments.create")]
    DeploymentsCreate { site: String, input: DeploymentCreate },
    /// Without a deployment: to the one before the current.
    #[serde(rename = "deployments.rollback")]
    DeploymentsRollback { site: String, environment: Option<String>, deployment: Option<String> },
    #[serde(rename = "deployments.release")]
    DeploymentsRelease { site: String, environment: String, deployment: String },
    #[serde(rename = "deployments.commit")]
    DeploymentsCommit { site: String, plan: String, message: Option<String> },
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
    /// A family with actions of its own, so it reads and writes them itself.
    #[serde(skip)]
    Wordpress(WordpressMutation),
}

impl Serialize for Mutation {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Wordpress(mutation) => mutation.serialize(serializer),
            other => Self::serialize(other, serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Mutation {
    /// The action decides who reads the rest. It is kept as text until then: raw JSON in arguments survives no other buffer.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Named {
            action: Action,
        }
        let whole = Box::<RawValue>::deserialize(deserializer)?;
        let Named { action } = serde_json::from_str(whole.get()).map_err(de::Error::custom)?;
        if action.as_str().starts_with("wordpress.") {
            return serde_json::from_str(whole.get()).map(Self::Wordpress).map_err(de::Error::custom);
        }
        Self::deserialize(&mut serde_json::Deserializer::from_str(whole.get())).map_err(de::Error::custom)
    }
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
            Self::EnvironmentsCreate { .. } => Action::EnvironmentsCreate,
            Self::EnvironmentsUpdate { .. } => Action::EnvironmentsUpdate,
            Self::EnvironmentsDelete { .. } => Action::EnvironmentsDelete,
            Self::EnvironmentsPush { .. } => Action::EnvironmentsPush,
            Self::DeploymentsCreate { .. } => Action::DeploymentsCreate,
            Self::DeploymentsRollback { .. } => Action::DeploymentsRollback,
            Self::DeploymentsRelease { .. } => Action::DeploymentsRelease,
            Self::DeploymentsCommit { .. } => Action::DeploymentsCommit,
            Self::BackupsCreate { .. } => Action::BackupsCreate,
            Self::BackupsDelete { .. } => Action::BackupsDelete,
            Self::BackupsRestore { .. } => Action::BackupsRestore,
            Self::DomainsCreate { .. } => Action::DomainsCreate,
            Self::DomainsDelete { .. } => Action::DomainsDelete,
            Self::DomainsVerify { .. } => Action::DomainsVerify,
            Self::DomainsSetPrimary { .. } => Action::DomainsSetPrimary,
            Self::Wordpress(mutation) => mutation.change.action(),
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
            | Self::EnvironmentsCreate { site, .. }
            | Self::EnvironmentsUpdate { site, .. }
            | Self::EnvironmentsDelete { site, .. }
            | Self::EnvironmentsPush { site, .. }
            | Self::DeploymentsCreate { site, .. }
            | Self::DeploymentsRollback { site, .. }
            | Self::DeploymentsRelease { site, .. }
            | Self::DeploymentsCommit { site, .. }
            | Self::BackupsCreate { site, .. }
            | Self::BackupsDelete { site, .. }
            | Self::BackupsRestore { site, .. }
            | Self::DomainsCreate { site, .. }
            | Self::DomainsDelete { site, .. }
            | Self::DomainsVerify { site, .. }
            | Self::DomainsSetPrimary { site, .. } => Some(site),
            Self::Wordpress(mutation) => Some(&mutation.target.site),
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

/// An administrator of WordPress who is to be made.
#[derive(Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SiteAdmin {
    /// The login name, at most 60 characters.
    #[schemars(with = "form::Text<60>")]
    pub user: String,
    #[schemars(with = "form::Email")]
    pub email: String,
    /// At most 200 characters. None: one is generated, and shown once in the operation's `secrets`.
    #[schemars(with = "Option<form::Text<200>>")]
    pub password: Option<Zeroizing<String>>,
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
