//! What a connection sets, its JSON Schema, and the configuration that follows from it.
//!
//! Pure. Invariant: every feature that is named here has its code, and every change of one has one recovery or none.

use portico_sdk::{Auth, Configuration, Rate, Recovery, UpstreamDeclaration};
use serde::Deserialize;

pub const UPSTREAM: &str = "panel";

/// Where the API is below a panel's address.
const API: &str = "/api/v1";

#[derive(Clone, Debug, Deserialize)]
pub struct Settings {
    pub base_url: String,
}

const READ: [&str; 18] = [
    "sites.list",
    "sites.get",
    "sites.create.domain",
    "sites.create.title",
    "sites.create.admin",
    "backups.list",
    "backups.get",
    "backups.create.kind.full",
    "backups.create.environment",
    "backups.restore.environment",
    "domains.list",
    "wordpress.status",
    "wordpress.plugins.list",
    "wordpress.themes.list",
    "wordpress.cache.get",
    "wordpress.security.get",
    "billing.subscription",
    "billing.usage",
];

/// What sending twice does no harm: the same state is wanted again, or nothing changes but what is shown once.
const REPEATABLE: [&str; 16] = [
    "wordpress.plugins.activate",
    "wordpress.plugins.deactivate",
    "wordpress.plugins.update",
    "wordpress.themes.activate",
    "wordpress.themes.deactivate",
    "wordpress.themes.update",
    "wordpress.core.update",
    "wordpress.core.reinstall",
    "wordpress.maintenance",
    "wordpress.cache.enable",
    "wordpress.cache.disable",
    "wordpress.cache.flush",
    "wordpress.cache.purge",
    "wordpress.security.verify_checksums",
    "wordpress.password_reset",
    "wordpress.login_link",
];

/// Features of one action, `wordpress.security.update`, which is repeatable as well.
const SWITCHES: [&str; 4] = [
    "wordpress.security.file_edit",
    "wordpress.security.file_protection",
    "wordpress.security.hide_login",
    "wordpress.security.debug",
];

/// Found by what they made or removed, or known not to have been sent.
const LOOKED_UP: [&str; 9] = [
    "sites.create",
    "sites.delete",
    "sites.clone",
    "backups.create",
    "backups.restore",
    "wordpress.plugins.install",
    "wordpress.plugins.delete",
    "wordpress.themes.install",
    "wordpress.themes.delete",
];

/// A second time would find another text, or refuse the name that the first one made.
const NEITHER: [&str; 2] = ["wordpress.search_replace", "wordpress.admin.create"];

impl Settings {
    pub fn configuration(&self) -> Configuration {
        let mut panel = UpstreamDeclaration::url(UPSTREAM, address(&self.base_url), Auth::Bearer("api_key".to_owned()));
        // The vendor's pages: 60 a minute for each token.
        panel.rate = Some(Rate { requests: 60, per: 60 });
        Configuration::new(READ.into_iter().chain(REPEATABLE).chain(SWITCHES).chain(LOOKED_UP).chain(NEITHER))
            .with_upstream(panel)
            .with_recovery(REPEATABLE, Recovery::Keyed)
            .with_recovery(["wordpress.security.update"], Recovery::Keyed)
            .with_recovery(LOOKED_UP, Recovery::LookUp)
            .with_cache("billing.subscription", 60)
            .with_cache("billing.usage", 60)
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
    use portico_sdk::json;
    use serde_json::json;

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
    fn every_recovery_is_of_an_action_that_is_offered() {
        let settings = Settings { base_url: "https://panel.example.com:2083".into() };
        let configuration = settings.configuration();
        let mut names: Vec<&str> = configuration.recovery.iter().map(|(name, _)| name.as_str()).collect();
        let offered = |name: &str| configuration.features.iter().any(|feature| feature == name);
        assert!(names.iter().all(|name| offered(name) || *name == "wordpress.security.update"), "{names:?}");
        names.sort_unstable();
        names.dedup();
        assert_eq!((names.len(), configuration.recovery.len()), (26, 26), "each once");
        let mut features = configuration.features.clone();
        features.sort_unstable();
        features.dedup();
        assert_eq!(features.len(), configuration.features.len());
    }

    #[test]
    fn the_key_and_its_limit_are_the_hosts() {
        let settings: Settings = json::read(&json!({"base_url": "https://panel.example.com:2083"})).unwrap();
        let panel = &settings.configuration().upstreams[0];
        assert!(matches!(&panel.auth, Auth::Bearer(secret) if secret == "api_key"));
        assert_eq!(panel.rate.map(|rate| (rate.requests, rate.per)), Some((60, 60)));
        assert!(json::from_str::<Settings>("{}").is_err());
    }
}
