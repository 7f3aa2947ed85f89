//! The names that `configure` may use: the features and actions that the contract's comments list.
//!
//! Invariant: a name belongs to exactly one interface, the one it begins with. Kept in step with `wit/` by hand; a provider
//! with a name that isn't here doesn't load, so a forgotten one shows at once.

const SITES: &[&str] = &[
    "sites.list",
    "sites.get",
    "sites.create",
    "sites.create.domain",
    "sites.create.environment",
    "sites.create.php_version",
    "sites.create.wordpress_version",
    "sites.create.locale",
    "sites.create.title",
    "sites.create.admin",
    "sites.create.region",
    "sites.create.template",
    "sites.create.kind.plain",
    "sites.create.kind.static",
    "sites.update",
    "sites.update.name",
    "sites.update.php_version",
    "sites.update.wordpress_version",
    "sites.delete",
    "sites.start",
    "sites.stop",
    "sites.clone",
    "sites.usage",
    "sites.logs",
];
const ENVIRONMENTS: &[&str] = &[
    "environments.list",
    "environments.create",
    "environments.update",
    "environments.update.name",
    "environments.update.php_version",
    "environments.update.wordpress_version",
    "environments.delete",
    "environments.push",
    "environments.current",
];
const BACKUPS: &[&str] = &[
    "backups.list",
    "backups.get",
    "backups.create",
    "backups.create.kind.full",
    "backups.create.kind.database",
    "backups.create.kind.files",
    "backups.create.environment",
    "backups.delete",
    "backups.restore",
    "backups.restore.environment",
    "backups.restore.contents",
    "backups.download",
];
const DOMAINS: &[&str] = &[
    "domains.list",
    "domains.create",
    "domains.create.environment",
    "domains.delete",
    "domains.verify",
    "domains.set_primary",
];
const DEPLOYMENTS: &[&str] = &[
    "deployments.list",
    "deployments.get",
    "deployments.create",
    "deployments.create.git",
    "deployments.create.zip",
    "deployments.rollback",
    "deployments.release",
    "deployments.plan",
];
const WORDPRESS: &[&str] = &[
    "wordpress.status",
    "wordpress.plugins.list",
    "wordpress.plugins.install",
    "wordpress.plugins.activate",
    "wordpress.plugins.deactivate",
    "wordpress.plugins.update",
    "wordpress.plugins.delete",
    "wordpress.themes.list",
    "wordpress.themes.install",
    "wordpress.themes.activate",
    "wordpress.themes.deactivate",
    "wordpress.themes.update",
    "wordpress.themes.delete",
    "wordpress.core.update",
    "wordpress.core.reinstall",
    "wordpress.maintenance",
    "wordpress.search_replace",
    "wordpress.cache.get",
    "wordpress.cache.enable",
    "wordpress.cache.disable",
    "wordpress.cache.flush",
    "wordpress.cache.purge",
    "wordpress.security.get",
    "wordpress.security.file_edit",
    "wordpress.security.file_protection",
    "wordpress.security.hide_login",
    "wordpress.security.debug",
    "wordpress.security.verify_checksums",
    "wordpress.admin.create",
    "wordpress.password_reset",
    "wordpress.login_link",
];
const BILLING: &[&str] = &["billing.subscription", "billing.checkout", "billing.invoices", "billing.usage"];
const OPERATIONS: &[&str] = &["operations.cancel"];

/// Actions that no feature names.
const ACTIONS: &[(&str, &str)] =
    &[("deployments.upload", "deployments"), ("deployments.commit", "deployments"), ("wordpress.security.update", "wordpress")];

const ALL: [(&str, &[&str]); 8] = [
    ("sites", SITES),
    ("environments", ENVIRONMENTS),
    ("backups", BACKUPS),
    ("domains", DOMAINS),
    ("deployments", DEPLOYMENTS),
    ("wordpress", WORDPRESS),
    ("billing", BILLING),
    ("operations", OPERATIONS),
];

/// The interface behind a feature; none for a name that the contract doesn't list.
pub(super) fn interface_of(feature: &str) -> Option<&'static str> {
    ALL.iter().find(|(_, features)| features.contains(&feature)).map(|(interface, _)| *interface)
}

pub(super) fn interface_of_action(action: &str) -> Option<&'static str> {
    let extra = || ACTIONS.iter().find(|(name, _)| *name == action).map(|(_, interface)| *interface);
    interface_of(action).or_else(extra)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Action;

    #[test]
    fn every_feature_begins_with_its_interface() {
        for (interface, features) in ALL {
            for feature in features {
                assert_eq!(feature.split('.').next(), Some(interface));
            }
        }
    }

    #[test]
    fn every_action_of_the_model_is_listed() {
        for action in Action::ALL {
            assert!(interface_of_action(action.as_str()).is_some(), "{}", action.as_str());
        }
    }
}
