//! What a connection sets, its JSON Schema, and the configuration that follows from it.
//!
//! Pure. Invariant: every feature that is named here has its code, and every change of one has one recovery or none.

use portico_sdk::{Auth, Configuration, Rate, UpstreamDeclaration};
use serde::Deserialize;
use serde_json::{Value, json};

pub const UPSTREAM: &str = "panel";

/// Where the API is below a panel's address.
const API: &str = "/api/v1";

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    pub base_url: String,
}

pub fn schema() -> Value {
    json!({
        "type": "object",
        "title": "WisPanel",
        "additionalProperties": false,
        "required": ["base_url"],
        "properties": {
            "base_url": {
                "type": "string", "pattern": "^https?://[^/?#]+(/[^?#]*)?$", "maxLength": 500, "title": "Address of the panel",
                "description": "With its port, such as https://panel.example.com:2083 (some panels have 3082). Without a path, /api/v1 is added",
            },
        },
    })
}

/// `options` of a new site and of a clone.
pub fn site_options() -> Value {
    json!({
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "path": {"type": "string", "default": "public_html", "pattern": "^[A-Za-z0-9._/-]{1,200}$", "title": "Folder",
                "description": "Where WordPress goes, inside the domain's home"},
            "db_name": {"type": "string", "pattern": "^[A-Za-z0-9_]{1,32}$", "title": "Database",
                "description": "Without it, a name is made up"},
            "add_domain": {"type": "boolean", "default": false, "title": "Add the domain",
                "description": "Add the domain to the account first; without it, it must be there"},
        },
    })
}

const READ: [&str; 3] = ["sites.list", "sites.get", "wordpress.status"];

impl Settings {
    pub fn configuration(&self) -> Configuration {
        let mut panel = UpstreamDeclaration::url(UPSTREAM, address(&self.base_url), Auth::Bearer("api_key".to_owned()));
        // The vendor's pages: 60 a minute for each token.
        panel.rate = Some(Rate { requests: 60, per: 60 });
        Configuration::new(READ).with_upstream(panel)
    }
}

/// The API's address: a panel's own without a path gets the usual one.
fn address(base: &str) -> String {
    let base = base.trim_end_matches('/');
    let has_path = base.split_once("://").is_some_and(|(_, rest)| rest.contains('/'));
    if has_path { base.to_owned() } else { format!("{base}{API}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panel_is_named_by_its_address_or_by_its_apis() {
        for (given, expected) in [
            ("https://203.0.113.5:2083", "https://203.0.113.5:2083/api/v1"),
            ("https://panel.example.com:3082/", "https://panel.example.com:3082/api/v1"),
            ("https://panel.example.com:2083/api/v1", "https://panel.example.com:2083/api/v1"),
            ("https://proxy.example.com/wis/api/v1/", "https://proxy.example.com/wis/api/v1"),
        ] {
            assert_eq!(address(given), expected);
        }
    }

    #[test]
    fn the_key_and_its_limit_are_the_hosts() {
        let settings: Settings = serde_json::from_value(json!({"base_url": "https://panel.example.com:2083"})).unwrap();
        let panel = &settings.configuration().upstreams[0];
        assert!(matches!(&panel.auth, Auth::Bearer(secret) if secret == "api_key"));
        assert_eq!(panel.rate.map(|rate| (rate.requests, rate.per)), Some((60, 60)));
        assert!(serde_json::from_str::<Settings>("{}").is_err());
    }
}
