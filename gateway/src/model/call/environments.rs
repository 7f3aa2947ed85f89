//! What calls on environments take.
//!
//! Invariant: an environment is named by its native id or its unique name, as the user did; the provider resolves it.

use crate::model::EnvironmentKind;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EnvironmentCreate {
    pub name: String,
    pub kind: EnvironmentKind,
    /// The environment to copy; none: an empty one.
    pub source: Option<String>,
    pub php_version: Option<String>,
    pub wordpress_version: Option<String>,
    pub options: Box<RawValue>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct EnvironmentUpdate {
    pub name: Option<String>,
    pub php_version: Option<String>,
    pub wordpress_version: Option<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PushInput {
    /// The environment to push to.
    pub target: String,
    pub database: bool,
    pub files: bool,
    /// Replaces the source's addresses by the target's in the database.
    pub search_replace: bool,
}
