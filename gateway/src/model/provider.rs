//! What a provider says of itself, and what it is for one connection.
//!
//! Invariant: features say what is supported, never what is allowed (grants are egress's).

use super::Action;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// `describe()`: static facts.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
#[schemars(rename = "ProviderDescription")]
pub struct Description {
    pub name: String,
    pub title: String,
    pub summary: String,
    pub version: String,
    pub documentation_url: Option<String>,
    /// JSON Schema of a connection's settings.
    pub settings_schema: serde_json::Value,
    /// JSON Schema of `options` of sites.create; none when it takes none.
    pub site_options_schema: Option<serde_json::Value>,
    pub secrets: Vec<SecretDescription>,
}

#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
pub struct SecretDescription {
    pub name: String,
    pub title: String,
    pub description: String,
    pub required: bool,
}

/// `configure(settings)`: what a connection with these settings can do and needs.
#[derive(Clone, Debug)]
pub struct Configuration {
    pub features: Features,
    pub upstreams: Vec<UpstreamDeclaration>,
    pub recovery: BTreeMap<String, Recovery>,
    /// Seconds, by action name.
    pub cache: BTreeMap<String, u32>,
}

impl Configuration {
    pub fn recovery(&self, action: Action) -> Recovery {
        self.recovery.get(action.as_str()).copied().unwrap_or(Recovery::Neither)
    }
}

/// Names of supported actions (`sites.create`) and fields (`sites.update.php_version`).
#[derive(Clone, Debug, Default, Serialize, schemars::JsonSchema)]
#[serde(transparent)]
pub struct Features(pub BTreeSet<String>);

impl Features {
    pub fn has(&self, feature: &str) -> bool {
        self.0.contains(feature)
    }
}

#[derive(Clone, Debug)]
pub struct UpstreamDeclaration {
    pub name: String,
    pub endpoint: Endpoint,
    pub auth: Auth,
    pub request_headers: Vec<String>,
    pub rate: Option<Rate>,
    pub concurrency: Option<u32>,
    pub blob_origins: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Endpoint {
    Url(String),
    /// The operator's name for a granted Unix socket.
    Socket(String),
}

/// How the host authenticates; the strings name secrets of the connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Auth {
    None,
    Bearer(String),
    Basic { username: String, password: String },
    ApiKey(String),
    Header { name: String, secret: String },
    Session(SessionAuth),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionAuth {
    pub login_path: Vec<String>,
    pub fields: Vec<(String, String)>,
    pub extra: Option<String>,
    pub token_pointer: Option<String>,
    pub refresh_path: Option<Vec<String>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rate {
    pub requests: u32,
    pub per_seconds: u32,
}

/// How a mutating action is recovered after a crash between sending and the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recovery {
    Keyed,
    LookUp,
    Neither,
}
