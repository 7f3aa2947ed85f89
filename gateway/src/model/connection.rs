//! Connections: an organization's configured use of a provider, as the rooms below the API see it.
//!
//! Invariant: whatever is kept for a connection is keyed by its uuid and revision, never by its slug or name, so that nothing
//! can pass from a deleted connection to a later one of the same name.

use super::{Error, Kind, Slug};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt, sync::Arc};
use uuid::Uuid;
use zeroize::Zeroizing;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct OrganizationId(pub Uuid);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ConnectionId(pub Uuid);

/// Bytes of a connection's settings as JSON.
const MAX_SETTINGS: usize = 64 * 1024;

/// They are in memory for each connection, and go to its provider with each instance.
pub fn check_settings(settings: &serde_json::Value) -> Result<(), Error> {
    if settings.to_string().len() <= MAX_SETTINGS {
        return Ok(());
    }
    let text = format!("settings may have {MAX_SETTINGS} bytes at most, as JSON");
    Err(Error::new(Kind::InvalidInput, text).with_field("settings"))
}

/// Everything that the host and egress need to serve one revision of a connection.
#[derive(Clone, Debug)]
pub struct ConnectionSpec {
    pub id: ConnectionId,
    /// Grows with every change of settings, secrets or trust.
    pub revision: i64,
    pub organization: OrganizationId,
    /// The organization's slug, by which operators grant.
    pub organization_slug: Arc<str>,
    pub slug: Slug,
    pub provider: Arc<str>,
    /// Validated against the provider's schema.
    pub settings: serde_json::Value,
    pub secrets: Secrets,
    pub tls: TlsTrust,
}

/// Whom to trust at https upstreams instead of the public roots.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TlsTrust {
    /// PEM certificates of a private authority, and nothing else: 16 and 64 KiB at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<String>,
    /// SHA-256 of the server's certificate (DER), 64 hex digits: that one and no other is accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<super::form::Fingerprint>")]
    pub fingerprint: Option<String>,
}

/// Unsealed secrets of one connection by name. They go to egress, and never into a guest.
#[derive(Clone, Default)]
pub struct Secrets(BTreeMap<String, SecretValue>);

pub type SecretValue = Arc<Zeroizing<String>>;

impl Secrets {
    pub fn get(&self, name: &str) -> Option<&SecretValue> {
        self.0.get(name)
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    pub fn values(&self) -> impl Iterator<Item = &SecretValue> {
        self.0.values()
    }
}

impl FromIterator<(String, String)> for Secrets {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(pairs: I) -> Self {
        Self(pairs.into_iter().map(|(name, value)| (name, Arc::new(Zeroizing::new(value)))).collect())
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_bounded_as_they_are_written() {
        let of = |bytes: usize| serde_json::json!({"url": "x".repeat(bytes - "{\"url\":\"\"}".len())});
        assert!(check_settings(&of(MAX_SETTINGS)).is_ok());
        let refused = check_settings(&of(MAX_SETTINGS + 1)).unwrap_err();
        assert_eq!((refused.kind, refused.field.as_deref()), (Kind::InvalidInput, Some("settings")));
    }
}
