//! Settings of a connection, their JSON Schema, and what follows from them: features, the upstream, recovery.
//!
//! Pure. Invariant: every feature that is named here has its code, and every one that has its code is named here.

use crate::client::UPSTREAM;
use portico_sdk::{Auth, Configuration, Recovery, UpstreamDeclaration};
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    #[serde(default = "base_url")]
    pub base_url: String,
    pub company_id: Option<String>,
    pub notified_user_id: Option<String>,
    pub region: Option<String>,
    #[serde(default)]
    pub wildcard_domains: bool,
    #[serde(default)]
    pub search_replace_on_primary: bool,
    #[serde(default)]
    pub download_origins: Vec<String>,
}

/// What sending twice does no harm: the same state is wanted again.
const REPEATABLE: [&str; 19] = [
    "sites.update",
    "environments.update",
    "domains.set_primary",
    "wordpress.plugins.install",
    "wordpress.plugins.activate",
    "wordpress.plugins.deactivate",
    "wordpress.plugins.update",
    "wordpress.plugins.delete",
    "wordpress.themes.install",
    "wordpress.themes.activate",
    "wordpress.themes.update",
    "wordpress.themes.delete",
    "wordpress.core.update",
    "wordpress.core.reinstall",
    "wordpress.maintenance",
    "wordpress.cache.enable",
    "wordpress.cache.disable",
    "wordpress.cache.flush",
    "wordpress.cache.purge",
];

/// Found by what they made or removed, or known to have been refused.
const LOOKED_UP: [&str; 11] = [
    "sites.create",
    "sites.clone",
    "sites.delete",
    "environments.create",
    "environments.delete",
    "environments.push",
    "backups.create",
    "backups.delete",
    "backups.restore",
    "domains.create",
    "domains.delete",
];

const MORE_FEATURES: [&str; 25] = [
    "sites.list",
    "sites.get",
    "sites.create.kind.plain",
    "sites.create.locale",
    "sites.create.title",
    "sites.create.admin",
    "sites.create.region",
    "sites.update.php_version",
    "sites.usage",
    "sites.logs",
    "environments.list",
    "environments.update.php_version",
    "backups.list",
    "backups.get",
    "backups.create.kind.full",
    "backups.create.environment",
    "backups.restore.environment",
    "domains.list",
    "domains.create.environment",
    "wordpress.status",
    "wordpress.plugins.list",
    "wordpress.themes.list",
    "wordpress.cache.get",
    "billing.usage",
    "backups.download",
];

fn base_url() -> String {
    "https://api.kinsta.com/v2".to_owned()
}

impl Settings {
    pub fn configuration(&self) -> Configuration {
        let without_download = |feature: &&str| *feature != "backups.download" || !self.download_origins.is_empty();
        let features = REPEATABLE.into_iter().chain(LOOKED_UP).chain(MORE_FEATURES).filter(without_download);
        let mut api = UpstreamDeclaration::url(UPSTREAM, &self.base_url, Auth::Bearer("api_key".to_owned()));
        api.blob_origins.clone_from(&self.download_origins);
        Configuration::new(features)
            .with_upstream(api)
            .with_recovery(REPEATABLE, Recovery::Keyed)
            .with_recovery(LOOKED_UP, Recovery::LookUp)
            // Counted by Kinsta once in a while, and dear to ask: three requests a site.
            .with_cache("sites.usage", 300)
            .with_cache("billing.usage", 600)
    }
}

pub fn schema() -> Value {
    let uuid = |title: &str, description: &str| json!({"type": "string", "title": title, "description": description, "pattern": "^[0-9a-fA-F-]{36}$"});
    let switch = |title: &str, description: &str| json!({"type": "boolean", "title": title, "description": description, "default": false});
    json!({
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "base_url": {"type": "string", "title": "Base URL", "default": base_url(), "pattern": "^https?://", "maxLength": 500,
                "description": "Where Kinsta's API is; only for tests and proxies another one"},
            "company_id": uuid("Company", "MyKinsta, Company settings, Billing details. Without it, the company of the API key is taken"),
            "notified_user_id": uuid("Notified user", "The user whom Kinsta tells that a backup is restored. Without it, the company's first user is taken"),
            "region": {"type": "string", "title": "Region", "pattern": "^[a-z0-9-]{1,64}$",
                "description": "Where new sites are made when the request names no region, such as us-central1"},
            "wildcard_domains": switch("Wildcard domains", "Add every domain together with its wildcard, as Kinsta does by default"),
            "search_replace_on_primary": switch("Rewrite URLs", "When the primary domain changes, replace the old one in the database"),
            "download_origins": {"type": "array", "title": "Download origins", "maxItems": 10, "uniqueItems": true, "default": [],
                "items": {"type": "string", "pattern": "^https://[^/]+$", "maxLength": 260},
                "description": "Where Kinsta's links to archives point to, such as https://storage.example; the operator grants them in egress.blob_origins. Without any, nothing can be downloaded"},
        },
    })
}

/// `options` of a new site.
pub fn site_options() -> Value {
    let switch = |title: &str| json!({"type": "boolean", "title": title, "default": false});
    json!({
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "is_multisite": switch("WordPress multisite"),
            "is_subdomain_multisite": switch("Multisite by subdomains"),
            "woocommerce": switch("Install WooCommerce"),
            "wordpressseo": switch("Install Yoast SEO"),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_downloaded_from_nowhere() {
        let settings = |json: Value| serde_json::from_value::<Settings>(json).unwrap().configuration();
        let has = |configuration: &Configuration, name: &str| configuration.features.iter().any(|feature| feature == name);
        let plain = settings(json!({}));
        assert!(!has(&plain, "backups.download") && has(&plain, "backups.create"));
        let open = settings(json!({"download_origins": ["https://storage.example"]}));
        assert!(has(&open, "backups.download"));
        assert_eq!(open.upstreams[0].blob_origins, ["https://storage.example"]);
    }

    #[test]
    fn every_change_has_one_recovery() {
        let configuration = serde_json::from_value::<Settings>(json!({})).unwrap().configuration();
        let mut names: Vec<&str> = configuration.recovery.iter().map(|(name, _)| name.as_str()).collect();
        assert!(names.iter().all(|name| configuration.features.iter().any(|feature| feature == name)));
        names.sort_unstable();
        let all = names.len();
        names.dedup();
        assert_eq!((names.len(), all), (30, 30));
    }
}
