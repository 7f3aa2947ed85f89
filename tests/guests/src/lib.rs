//! What the test guests share: their settings.
//!
//! Each guest is an example of this package (`examples/`), since each must be a component of its own. Invariant: a guest is
//! written on the SDK like any provider, and breaks the rules only inside its calls.

use portico_sdk::{Auth, UpstreamDeclaration};
use serde::Deserialize;
use serde_json::{Value, json};

/// What a test tells its guest.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Settings {
    /// Where the test's upstream listens.
    #[serde(default)]
    pub url: Option<String>,
    /// Something that no other connection may ever see.
    #[serde(default)]
    pub secret: Option<String>,
}

impl Settings {
    pub fn schema() -> Value {
        json!({
            "type": "object",
            "properties": { "url": { "type": "string" }, "secret": { "type": "string" } },
            "additionalProperties": false,
        })
    }

    /// The upstream `api`, if the test has one.
    pub fn upstream(&self) -> Option<UpstreamDeclaration> {
        self.url.as_ref().map(|url| UpstreamDeclaration::url("api", url, Auth::None))
    }
}
