//! What a connection sets, its JSON Schema, and the configuration that follows from it.
//!
//! Invariant: everything here is pure; the dialect alone decides about features, credentials and limits.

use crate::{json, live, seed};
use portico_sdk::{
    Auth, Configuration, Error, Rate, UpstreamDeclaration,
    error::{self, invalid_input},
    provider::BasicAuth,
};
use serde::Deserialize;
use serde_json::{Value, json};

/// The upstream's name.
pub const API: &str = "api";

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DialectName {
    /// The vendor's published API, 1.17.0.
    #[default]
    Live,
    /// The API as the seed document has it.
    Seed,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    pub dialect: DialectName,
    pub base_url: Option<String>,
    pub account_id: Option<String>,
    pub notification_emails: Vec<String>,
}

impl Settings {
    /// What the schema can't say.
    pub fn check(&self) -> Result<(), Error> {
        if self.base_url.as_ref().is_some_and(|url| url.contains(['?', '#', '@'])) {
            return Err(invalid_input("settings.base_url", "an address without user, query and fragment"));
        }
        if self.dialect == DialectName::Live {
            return Ok(());
        }
        for (given, name) in
            [(self.account_id.is_some(), "account_id"), (!self.notification_emails.is_empty(), "notification_emails")]
        {
            if given {
                return Err(invalid_input(format!("settings.{name}"), "only the dialect `live` has this"));
            }
        }
        Ok(())
    }

    /// Without a slash at the end.
    pub fn base(&self) -> &str {
        let default = match self.dialect {
            DialectName::Live => "https://api.wpengineapi.com/v1",
            DialectName::Seed => "https://wpengineapi.com/v1",
        };
        self.base_url.as_deref().unwrap_or(default).trim_end_matches('/')
    }

    pub fn configuration(&self) -> Configuration {
        match self.dialect {
            DialectName::Live => live::configuration().with_upstream(self.upstream(None)),
            // 100 a minute for an address; the account's 1000 an hour are told by its headers.
            DialectName::Seed => seed::configuration().with_upstream(self.upstream(Some(Rate { requests: 100, per: 60 }))),
        }
    }

    fn upstream(&self, rate: Option<Rate>) -> UpstreamDeclaration {
        let auth = match self.dialect {
            DialectName::Live => Auth::Basic(BasicAuth { username: "username".into(), password: "password".into() }),
            DialectName::Seed => Auth::ApiKey("api_key".into()),
        };
        UpstreamDeclaration { rate, ..UpstreamDeclaration::url(API, self.base(), auth) }
    }
}

pub fn schema() -> Value {
    json!({
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "dialect": {"enum": ["live", "seed"], "title": "Dialect", "default": "live",
                "description": "`live` is the API that WP Engine publishes (user name and password). `seed` is the older one with an API key"},
            "base_url": {"type": "string", "title": "Base URL", "pattern": "^https?://[^/?#@]+(/[^?#]*)?$", "maxLength": 500,
                "description": "Where the API is, if it isn't at WP Engine's own address"},
            "account_id": {"type": "string", "title": "Account", "format": "uuid",
                "pattern": "^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$",
                "description": "Only this account's sites (`live`). Needed to create sites when the user has several accounts"},
            "notification_emails": {"type": "array", "title": "Notification addresses", "maxItems": 20, "uniqueItems": true,
                "items": {"type": "string", "minLength": 3, "maxLength": 254, "pattern": "^[^@\\s]+@[^@\\s]+$"},
                "description": "Whom WP Engine writes to when a backup, a restore or a copy is complete (`live`). Without any, the API user's own address"},
        },
    })
}

/// `options` of a new site.
pub fn site_options() -> Value {
    json!({
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "install_name": {"type": "string", "title": "Name of the install", "pattern": "^[a-z][a-z0-9]{2,13}$",
                "description": "Unique at WP Engine (`live`); becomes NAME.wpengine.com. Without it, one is made from the site's name"},
        },
    })
}

/// As [`site_options`] has them.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SiteOptions {
    pub install_name: Option<String>,
}

impl SiteOptions {
    pub fn parse(text: &str) -> Result<Self, Error> {
        json::parse(text).map_err(|error| invalid_input("options", format!("these options don't fit: {}", error.message)))
    }

    /// For calls that take none.
    pub fn refuse(text: &str, action: &str) -> Result<(), Error> {
        match Self::parse(text)?.install_name {
            None => Ok(()),
            Some(_) => Err(error::unsupported(&format!("{action}.options.install_name"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use portico_sdk::Endpoint;

    fn settings(value: Value) -> Settings {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn a_dialect_decides_about_address_credential_and_rate() {
        for (given, url, auth, rate) in [
            (json!({}), "https://api.wpengineapi.com/v1", "Basic", None),
            (json!({"dialect": "live", "base_url": "http://127.0.0.1:1/v1/"}), "http://127.0.0.1:1/v1", "Basic", None),
            (json!({"dialect": "seed"}), "https://wpengineapi.com/v1", "ApiKey", Some((100, 60))),
        ] {
            let upstream = settings(given).configuration().upstreams.remove(0);
            assert_eq!(upstream.endpoint, Endpoint::Url(url.into()));
            assert!(format!("{:?}", upstream.auth).contains(auth), "{:?}", upstream.auth);
            assert_eq!(upstream.rate.map(|rate| (rate.requests, rate.per)), rate);
        }
    }

    #[test]
    fn what_belongs_to_the_other_dialect_is_refused() {
        for (given, field) in [
            (json!({"dialect": "seed", "account_id": "a"}), "settings.account_id"),
            (json!({"dialect": "seed", "notification_emails": ["a@b"]}), "settings.notification_emails"),
            (json!({"base_url": "https://user@example.com"}), "settings.base_url"),
        ] {
            assert_eq!(settings(given).check().unwrap_err().field.as_deref(), Some(field));
        }
        assert!(settings(json!({"account_id": "a", "notification_emails": ["a@b"]})).check().is_ok());
    }

    #[test]
    fn options_are_read() {
        assert_eq!(SiteOptions::parse("{}").unwrap().install_name, None);
        assert_eq!(SiteOptions::parse(r#"{"install_name":"torquemag"}"#).unwrap().install_name.as_deref(), Some("torquemag"));
        assert!(SiteOptions::parse(r#"{"other":1}"#).is_err());
        assert!(SiteOptions::refuse(r#"{"install_name":"torquemag"}"#, "sites.create").is_err());
    }
}
