//! What a connection sets, its JSON Schema, and the configuration that follows from it.
//!
//! Invariant: everything here is pure; the schema and the struct describe the same fields.

use portico_sdk::{
    Auth, Configuration, Error, Rate, Recovery, UpstreamDeclaration, error::invalid_input, provider::SessionAuth,
};
use serde::Deserialize;
use serde_json::json;

pub const UPSTREAM: &str = "api";
const BASE: &str = "/api/v1";

#[derive(Clone, Debug, Deserialize)]
pub struct Settings {
    url: String,
    #[serde(default)]
    pub dialect: Dialect,
    #[serde(default)]
    credential: Credential,
    /// What the seed's API can't list.
    #[serde(default)]
    pub projects: Vec<String>,
    #[serde(default)]
    blob_origins: Vec<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Dialect {
    /// As the server's code has it.
    #[default]
    Live,
    /// As the first page of its documentation has it.
    Seed,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Credential {
    #[default]
    Login,
    Token,
}

const FEATURES: [&str; 13] = [
    "sites.list",
    "sites.get",
    "environments.list",
    "environments.current",
    "deployments.list",
    "deployments.get",
    "deployments.plan",
    "deployments.release",
    "deployments.rollback",
    "domains.list",
    "domains.create",
    "domains.delete",
    "domains.verify",
];

const LOOKED_UP: [&str; 5] =
    ["deployments.release", "deployments.rollback", "domains.create", "domains.delete", "domains.verify"];

impl Settings {
    pub fn check(&self) -> Result<(), Error> {
        if self.dialect == Dialect::Live && !self.projects.is_empty() {
            return Err(invalid_input("settings.projects", "a live server lists its projects itself; leave this out"));
        }
        Ok(())
    }

    pub fn configuration(&self) -> Configuration {
        let mut api = UpstreamDeclaration::url(UPSTREAM, self.base(), self.auth());
        api.blob_origins.clone_from(&self.blob_origins);
        if self.dialect == Dialect::Seed {
            api.rate = Some(Rate { requests: 100, per: 60 });
            api.concurrency = Some(10);
        }
        let configuration = Configuration::new(FEATURES).with_upstream(api).with_recovery(LOOKED_UP, Recovery::LookUp);
        match self.dialect {
            // Only a live plan tells the hash by which its image is found again.
            Dialect::Live => configuration.with_recovery(["deployments.commit"], Recovery::LookUp),
            Dialect::Seed => configuration,
        }
    }

    fn base(&self) -> String {
        let url = self.url.trim_end_matches('/');
        if url.ends_with(BASE) { url.to_owned() } else { format!("{url}{BASE}") }
    }

    fn auth(&self) -> Auth {
        if self.credential == Credential::Token {
            return Auth::Bearer("token".to_owned());
        }
        let field = |name: &str| (name.to_owned(), name.to_owned());
        Auth::Session(SessionAuth {
            login_path: vec!["auth".to_owned(), "login".to_owned()],
            fields: vec![field("email"), field("password")],
            // Without it, a server may make an account of a mistyped address.
            extra: (self.dialect == Dialect::Live).then(|| json!({"action": "login"}).to_string()),
            token_pointer: Some("/token".to_owned()),
            refresh_path: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use portico_sdk::Endpoint;
    use portico_sdk::json;
    use serde_json::Value;

    fn settings(value: Value) -> Settings {
        json::read(&value).unwrap()
    }

    #[test]
    fn the_api_is_below_the_servers_address() {
        for (url, expected) in [
            ("https://pods.example.com", "https://pods.example.com/api/v1"),
            ("https://pods.example.com/", "https://pods.example.com/api/v1"),
            ("https://example.com/pods/api/v1/", "https://example.com/pods/api/v1"),
        ] {
            let configuration = settings(json!({"url": url})).configuration();
            assert!(matches!(&configuration.upstreams[0].endpoint, Endpoint::Url(url) if url == expected), "{configuration:?}");
        }
    }

    #[test]
    fn dialects_differ_in_login_limits_and_recovery() {
        for (value, action, rate, commit) in [
            (json!({"url": "https://a.example"}), Some("login"), None, true),
            (json!({"url": "https://a.example", "dialect": "seed"}), None, Some(100), false),
        ] {
            let configuration = settings(value).configuration();
            let api = &configuration.upstreams[0];
            let Auth::Session(session) = &api.auth else { panic!("{:?}", api.auth) };
            assert_eq!(session.extra.as_ref().map(|extra| extra.contains("login")), action.map(|_| true));
            assert_eq!(session.token_pointer.as_deref(), Some("/token"));
            assert_eq!(api.rate.map(|rate| rate.requests), rate);
            assert_eq!(configuration.recovery.iter().any(|(action, _)| action == "deployments.commit"), commit);
        }
        let token = settings(json!({"url": "https://a.example", "credential": "token"})).configuration();
        assert!(matches!(&token.upstreams[0].auth, Auth::Bearer(secret) if secret == "token"));
        let listed = settings(json!({"url": "https://a.example", "projects": ["a"]}));
        assert_eq!(listed.check().unwrap_err().field.as_deref(), Some("settings.projects"));
    }
}
