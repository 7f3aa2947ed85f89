//! What a connection sets, its JSON Schema, and the configuration that follows from it.
//!
//! Invariant: everything here is pure; the dialect alone decides about features, credentials and limits.

use crate::{live, seed};
use portico_sdk::{
    Auth, Configuration, Error, Rate, UpstreamDeclaration,
    error::{self, invalid_input},
    json,
    provider::BasicAuth,
};
use serde::Deserialize;

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
#[serde(default)]
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

/// As `options.schema.json` has them.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct SiteOptions {
    pub install_name: Option<String>,
}

impl SiteOptions {
    pub fn parse(text: &str) -> Result<Self, Error> {
        json::strict(text).map_err(|error| invalid_input("options", format!("these options don't fit: {}", error.message)))
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
    use serde_json::{Value, json};

    fn settings(value: Value) -> Settings {
        json::read(&value).unwrap()
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
