//! What changes a WordPress: one family of mutations, with an action of its own for each thing that can be done.
//!
//! In go inputs as the API's bodies have them; the JSON of a mutation is `{"action": "wordpress.core.update", "args": {…}}`, and
//! `args` is the body with `site`, `environment` and, for a plugin or theme, its `id` beside it. Invariant: the action and the
//! arguments together say all, and a password is in no Debug output.

use super::{ExtensionKind, WordpressTarget};
use crate::model::{Action, SiteAdmin, form};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, DeserializeOwned},
    ser::SerializeStruct as _,
};
use serde_json::{Map, Value};
use std::fmt;
use zeroize::Zeroizing;

#[derive(Clone, Debug)]
pub struct WordpressMutation {
    pub target: WordpressTarget,
    pub change: WordpressChange,
}

/// Serialized, it is the arguments without the target; the action says which of these it is.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub enum WordpressChange {
    Install {
        #[serde(skip)]
        kind: ExtensionKind,
        #[serde(flatten)]
        input: ExtensionInstall,
    },
    Extension {
        #[serde(skip)]
        kind: ExtensionKind,
        #[serde(skip)]
        action: ExtensionAction,
        /// Native.
        id: String,
    },
    UpdateCore(CoreUpdate),
    ReinstallCore,
    Maintenance(Maintenance),
    SearchReplace(SearchReplace),
    Cache(CacheAction),
    Security(SecurityChange),
    VerifyChecksums,
    CreateAdmin(SiteAdmin),
    ResetPassword(PasswordReset),
    LoginLink(LoginLink),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExtensionAction {
    Activate,
    Deactivate,
    Update,
    Delete,
}

#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub enum CacheAction {
    Enable,
    Disable,
    Flush,
    Purge(CachePurge),
}

#[derive(Clone, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExtensionInstall {
    /// A slug of the wordpress.org directory, or the https address of a zip, which the host fetches.
    #[schemars(with = "form::ExtensionSource")]
    pub source: String,
    /// At most 32 characters. None: the newest.
    #[schemars(with = "Option<form::Text<32>>")]
    pub version: Option<String>,
    #[serde(default)]
    pub activate: bool,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CoreUpdate {
    /// At most 32 characters. None: the newest.
    #[schemars(with = "Option<form::Text<32>>")]
    pub version: Option<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Maintenance {
    pub enabled: bool,
}

#[derive(Clone, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SearchReplace {
    /// 1 to 4096 characters.
    #[schemars(with = "form::Content", length(min = 1))]
    pub search: String,
    /// At most 4096 characters; may be empty.
    #[schemars(with = "form::Content")]
    pub replace: String,
    /// Count, and replace nothing.
    #[serde(default)]
    pub dry_run: bool,
    /// 1 to 200 names. None: every table with the prefix.
    #[schemars(with = "Option<Vec<form::Text<64>>>", length(min = 1, max = 200))]
    pub tables: Option<Vec<String>>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CachePurge {
    /// 1 to 100 http or https addresses. None: everything.
    #[schemars(with = "Option<Vec<form::HttpUrl>>", length(min = 1, max = 100))]
    pub urls: Option<Vec<String>>,
}

/// Only what is to change is given; each field is a feature of its own.
#[derive(Clone, Debug, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[schemars(transform = form::something)]
#[serde(deny_unknown_fields)]
pub struct SecurityChange {
    /// Whether files can be edited in the dashboard.
    pub file_edit: Option<bool>,
    /// Whether files are protected from being changed.
    pub file_protection: Option<bool>,
    /// Whether the login page has another address.
    pub hide_login: Option<bool>,
    /// Whether WordPress's own debugging is on.
    pub debug: Option<bool>,
}

#[derive(Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PasswordReset {
    /// The login name, at most 60 characters.
    #[schemars(with = "form::Text<60>")]
    pub user: String,
    /// At most 200 characters. None: one is generated, and shown once in the operation's `secrets`.
    #[schemars(with = "Option<form::Text<200>>")]
    pub password: Option<Zeroizing<String>>,
}

impl fmt::Debug for PasswordReset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PasswordReset({})", self.user)
    }
}

#[derive(Clone, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LoginLink {
    /// The login name, at most 60 characters.
    #[schemars(with = "form::Text<60>")]
    pub user: String,
}

impl ExtensionAction {
    pub const ALL: [Self; 4] = [Self::Activate, Self::Deactivate, Self::Update, Self::Delete];

    const fn on(self, kind: ExtensionKind) -> Action {
        use ExtensionKind::{Plugin, Theme};
        match (kind, self) {
            (Plugin, Self::Activate) => Action::WordpressPluginsActivate,
            (Plugin, Self::Deactivate) => Action::WordpressPluginsDeactivate,
            (Plugin, Self::Update) => Action::WordpressPluginsUpdate,
            (Plugin, Self::Delete) => Action::WordpressPluginsDelete,
            (Theme, Self::Activate) => Action::WordpressThemesActivate,
            (Theme, Self::Deactivate) => Action::WordpressThemesDeactivate,
            (Theme, Self::Update) => Action::WordpressThemesUpdate,
            (Theme, Self::Delete) => Action::WordpressThemesDelete,
        }
    }

    fn of(wanted: Action) -> Option<(ExtensionKind, Self)> {
        let pairs = ExtensionKind::ALL.into_iter().flat_map(|kind| Self::ALL.map(|action| (kind, action)));
        pairs.into_iter().find(|(kind, action)| action.on(*kind) == wanted)
    }
}

impl WordpressChange {
    pub const fn action(&self) -> Action {
        match self {
            Self::Install { kind: ExtensionKind::Plugin, .. } => Action::WordpressPluginsInstall,
            Self::Install { kind: ExtensionKind::Theme, .. } => Action::WordpressThemesInstall,
            Self::Extension { kind, action, .. } => action.on(*kind),
            Self::UpdateCore(_) => Action::WordpressCoreUpdate,
            Self::ReinstallCore => Action::WordpressCoreReinstall,
            Self::Maintenance(_) => Action::WordpressMaintenance,
            Self::SearchReplace(_) => Action::WordpressSearchReplace,
            Self::Cache(CacheAction::Enable) => Action::WordpressCacheEnable,
            Self::Cache(CacheAction::Disable) => Action::WordpressCacheDisable,
            Self::Cache(CacheAction::Flush) => Action::WordpressCacheFlush,
            Self::Cache(CacheAction::Purge(_)) => Action::WordpressCachePurge,
            Self::Security(_) => Action::WordpressSecurityUpdate,
            Self::VerifyChecksums => Action::WordpressSecurityVerifyChecksums,
            Self::CreateAdmin(_) => Action::WordpressAdminCreate,
            Self::ResetPassword(_) => Action::WordpressPasswordReset,
            Self::LoginLink(_) => Action::WordpressLoginLink,
        }
    }

    fn read(action: Action, input: Map<String, Value>) -> Result<Self, serde_json::Error> {
        #[derive(Deserialize)]
        struct Id {
            id: String,
        }
        fn from<T: DeserializeOwned>(input: Map<String, Value>) -> Result<T, serde_json::Error> {
            serde_json::from_value(Value::Object(input))
        }
        if let Some((kind, action)) = ExtensionAction::of(action) {
            return from(input).map(|Id { id }| Self::Extension { kind, action, id });
        }
        let install = |kind| move |input| Self::Install { kind, input };
        match action {
            Action::WordpressPluginsInstall => from(input).map(install(ExtensionKind::Plugin)),
            Action::WordpressThemesInstall => from(input).map(install(ExtensionKind::Theme)),
            Action::WordpressCoreUpdate => from(input).map(Self::UpdateCore),
            Action::WordpressCoreReinstall => Ok(Self::ReinstallCore),
            Action::WordpressMaintenance => from(input).map(Self::Maintenance),
            Action::WordpressSearchReplace => from(input).map(Self::SearchReplace),
            Action::WordpressCacheEnable => Ok(Self::Cache(CacheAction::Enable)),
            Action::WordpressCacheDisable => Ok(Self::Cache(CacheAction::Disable)),
            Action::WordpressCacheFlush => Ok(Self::Cache(CacheAction::Flush)),
            Action::WordpressCachePurge => from(input).map(CacheAction::Purge).map(Self::Cache),
            Action::WordpressSecurityUpdate => from(input).map(Self::Security),
            Action::WordpressSecurityVerifyChecksums => Ok(Self::VerifyChecksums),
            Action::WordpressAdminCreate => from(input).map(Self::CreateAdmin),
            Action::WordpressPasswordReset => from(input).map(Self::ResetPassword),
            Action::WordpressLoginLink => from(input).map(Self::LoginLink),
            other => Err(de::Error::custom(format_args!("{} changes no WordPress", other.as_str()))),
        }
    }
}

impl Serialize for WordpressMutation {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Arguments<'a> {
            #[serde(flatten)]
            target: &'a WordpressTarget,
            #[serde(flatten)]
            change: &'a WordpressChange,
        }
        let mut whole = serializer.serialize_struct("Mutation", 2)?;
        whole.serialize_field("action", &self.change.action())?;
        whole.serialize_field("args", &Arguments { target: &self.target, change: &self.change })?;
        whole.end()
    }
}

impl<'de> Deserialize<'de> for WordpressMutation {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Whole {
            action: Action,
            args: Arguments,
        }
        #[derive(Deserialize)]
        struct Arguments {
            site: String,
            environment: Option<String>,
            #[serde(flatten)]
            input: Map<String, Value>,
        }
        let Whole { action, args: Arguments { site, environment, input } } = Whole::deserialize(deserializer)?;
        let change = WordpressChange::read(action, input).map_err(de::Error::custom)?;
        Ok(Self { target: WordpressTarget { site, environment }, change })
    }
}

#[cfg(test)]
mod tests;
