//! Settings of a connection, their JSON Schema, and what follows from them: features, the upstream, recovery.
//!
//! Pure. Invariant: every feature that is named here has its code, and every one that has its code is named here.

use crate::client::UPSTREAM;
use portico_sdk::{Auth, Configuration, Recovery, UpstreamDeclaration};
use serde::Deserialize;

#[derive(Clone, Debug, Deserialize)]
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
const REPEATABLE: [&str; 17] = [
    "sites.update",
    "environments.update",
    "domains.set_primary",
    "wordpress.plugins.install",
    "wordpress.plugins.activate",
    "wordpress.plugins.deactivate",
    "wordpress.plugins.update",
    "wordpress.themes.install",
    "wordpress.themes.activate",
    "wordpress.themes.update",
    "wordpress.core.update",
    "wordpress.core.reinstall",
    "wordpress.maintenance",
    "wordpress.cache.enable",
    "wordpress.cache.disable",
    "wordpress.cache.flush",
    "wordpress.cache.purge",
];

/// Found by what they made or removed, or known to have been refused. Deletions are all here: of what is gone already, a second one is
/// refused.
const LOOKED_UP: [&str; 13] = [
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
    "wordpress.plugins.delete",
    "wordpress.themes.delete",
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

#[cfg(test)]
mod tests {
    use super::*;
    use portico_sdk::json;
    use serde_json::{Value, json};

    #[test]
    fn the_schema_tells_the_default() {
        let schema = json::parse(include_bytes!("settings.schema.json")).unwrap();
        assert_eq!(schema["properties"]["base_url"]["default"], json!(base_url()));
    }

    #[test]
    fn nothing_is_downloaded_from_nowhere() {
        let settings = |json: Value| json::read::<Settings>(&json).unwrap().configuration();
        let has = |configuration: &Configuration, name: &str| configuration.features.iter().any(|feature| feature == name);
        let plain = settings(json!({}));
        assert!(!has(&plain, "backups.download") && has(&plain, "backups.create"));
        let open = settings(json!({"download_origins": ["https://storage.example"]}));
        assert!(has(&open, "backups.download"));
        assert_eq!(open.upstreams[0].blob_origins, ["https://storage.example"]);
    }

    #[test]
    fn every_change_has_one_recovery() {
        let configuration = json::read::<Settings>(&json!({})).unwrap().configuration();
        let mut names: Vec<&str> = configuration.recovery.iter().map(|(name, _)| name.as_str()).collect();
        assert!(names.iter().all(|name| configuration.features.iter().any(|feature| feature == name)));
        names.sort_unstable();
        let all = names.len();
        names.dedup();
        assert_eq!((names.len(), all), (30, 30));
    }

    #[test]
    fn every_deletion_is_looked_up() {
        let configuration = json::read::<Settings>(&json!({})).unwrap().configuration();
        let deletions: Vec<_> = configuration.recovery.iter().filter(|(name, _)| name.ends_with(".delete")).collect();
        assert_eq!(deletions.len(), 6);
        assert!(deletions.iter().all(|(_, recovery)| matches!(recovery, Recovery::LookUp)), "{deletions:?}");
    }
}
