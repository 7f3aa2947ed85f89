//! The WordPress toolkit of one environment of a site: what can be asked, and what comes back.
//!
//! Invariant: an environment that isn't named is production; what isn't known is `null`, never a made-up value. What changes
//! something is in [`change`].

mod change;

pub use change::{
    CacheAction, CachePurge, CoreUpdate, ExtensionAction, ExtensionInstall, LoginLink, Maintenance, PasswordReset,
    SearchReplace, SecurityChange, WordpressChange, WordpressMutation,
};

use super::{Action, Native};
use serde::{Deserialize, Serialize};

/// Whose WordPress it is. Ids are native.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct WordpressTarget {
    pub site: String,
    /// None: production.
    pub environment: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ExtensionKind {
    Plugin,
    Theme,
}

impl ExtensionKind {
    pub const ALL: [Self; 2] = [Self::Plugin, Self::Theme];

    /// As an operation's target has it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Plugin => "plugin",
            Self::Theme => "theme",
        }
    }

    /// As paths and features have it.
    pub const fn plural(self) -> &'static str {
        match self {
            Self::Plugin => "plugins",
            Self::Theme => "themes",
        }
    }
}

/// A reading call of the toolkit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WordpressQuery {
    Status,
    Extensions(ExtensionKind),
    Cache,
    Security,
}

impl WordpressQuery {
    pub const fn action(self) -> Action {
        match self {
            Self::Status => Action::WordpressStatus,
            Self::Extensions(ExtensionKind::Plugin) => Action::WordpressPluginsList,
            Self::Extensions(ExtensionKind::Theme) => Action::WordpressThemesList,
            Self::Cache => Action::WordpressCacheGet,
            Self::Security => Action::WordpressSecurityGet,
        }
    }
}

#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub enum WordpressAnswer {
    Status(WordpressStatus),
    Extensions(Vec<Extension>),
    Cache(WordpressCache),
    Security(WordpressSecurity),
}

#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
pub struct WordpressStatus {
    pub version: Option<String>,
    pub site_title: Option<String>,
    pub admin_url: Option<String>,
    /// Where it is installed, on the host.
    pub path: Option<String>,
    pub wp_cli_available: Option<bool>,
    pub db: Option<WordpressDatabase>,
    pub debug: Option<bool>,
    pub multisite: Option<bool>,
    pub maintenance: Option<bool>,
    pub updates: Option<WordpressUpdates>,
    #[schemars(with = "Option<serde_json::Value>")]
    pub native: Native,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct WordpressDatabase {
    pub name: String,
    pub user: String,
    pub host: String,
    pub table_prefix: String,
}

/// What could be updated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct WordpressUpdates {
    /// The newest version of WordPress itself, if it is newer.
    pub core: Option<String>,
    /// So many plugins.
    pub plugins: u32,
    pub themes: u32,
}

/// A plugin or a theme that is installed.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
pub struct Extension {
    /// Native id, escaped: `akismet=2Fakismet.php`, `twentytwentyfive`.
    pub id: String,
    pub name: String,
    pub version: Option<String>,
    pub active: bool,
    /// The version that it can be updated to.
    pub update: Option<String>,
    #[schemars(with = "Option<serde_json::Value>")]
    pub native: Native,
}

#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
pub struct WordpressCache {
    pub enabled: bool,
    /// `object`, `page`, `cdn`
    pub kinds: Vec<String>,
    #[schemars(with = "Option<serde_json::Value>")]
    pub native: Native,
}

#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
pub struct WordpressSecurity {
    /// Whether files can be edited in the dashboard.
    pub file_edit: Option<bool>,
    /// Whether files are protected from being changed.
    pub file_protection: Option<bool>,
    /// Whether the login page has another address.
    pub hide_login: Option<bool>,
    /// Whether WordPress's own debugging is on.
    pub debug: Option<bool>,
    #[schemars(with = "Option<serde_json::Value>")]
    pub native: Native,
}
