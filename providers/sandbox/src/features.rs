//! What the sandbox supports: everything that the contract names, less what the settings switch off.
//!
//! Invariant: an action is in exactly one of `READS` and `WORK`, and all work is recovered by look-up.

use crate::settings::Settings;
use portico_sdk::{Error, error};

const READS: &[&str] = &[
    "sites.list",
    "sites.get",
    "sites.usage",
    "sites.logs",
    "environments.list",
    "environments.current",
    "backups.list",
    "backups.get",
    "backups.download",
    "domains.list",
    "deployments.list",
    "deployments.get",
    "wordpress.status",
    "wordpress.plugins.list",
    "wordpress.themes.list",
    "wordpress.cache.get",
    "wordpress.security.get",
    "billing.subscription",
    "billing.checkout",
    "billing.invoices",
    "billing.usage",
    "operations.cancel",
];

const WORK: &[&str] = &[
    "sites.create",
    "sites.update",
    "sites.delete",
    "sites.start",
    "sites.stop",
    "sites.clone",
    "environments.create",
    "environments.update",
    "environments.delete",
    "environments.push",
    "backups.create",
    "backups.delete",
    "backups.restore",
    "domains.create",
    "domains.delete",
    "domains.verify",
    "domains.set_primary",
    "deployments.create",
    "deployments.create.git",
    "deployments.create.zip",
    "deployments.rollback",
    "deployments.release",
    "deployments.plan",
    "wordpress.plugins.install",
    "wordpress.plugins.activate",
    "wordpress.plugins.deactivate",
    "wordpress.plugins.update",
    "wordpress.plugins.delete",
    "wordpress.themes.install",
    "wordpress.themes.activate",
    "wordpress.themes.deactivate",
    "wordpress.themes.update",
    "wordpress.themes.delete",
    "wordpress.core.update",
    "wordpress.core.reinstall",
    "wordpress.maintenance",
    "wordpress.search_replace",
    "wordpress.cache.enable",
    "wordpress.cache.disable",
    "wordpress.cache.flush",
    "wordpress.cache.purge",
    "wordpress.security.file_edit",
    "wordpress.security.file_protection",
    "wordpress.security.hide_login",
    "wordpress.security.debug",
    "wordpress.security.verify_checksums",
    "wordpress.admin.create",
    "wordpress.password_reset",
    "wordpress.login_link",
];

const FIELDS: &[&str] = &[
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
    "sites.update.name",
    "sites.update.php_version",
    "sites.update.wordpress_version",
    "environments.update.name",
    "environments.update.php_version",
    "environments.update.wordpress_version",
    "backups.create.kind.full",
    "backups.create.kind.database",
    "backups.create.kind.files",
    "backups.create.environment",
    "backups.restore.environment",
    "backups.restore.contents",
    "domains.create.environment",
];

fn all() -> impl Iterator<Item = &'static str> {
    READS.iter().chain(WORK).chain(FIELDS).copied()
}

/// `name` itself, or one of the group `name`.
fn belongs(feature: &str, name: &str) -> bool {
    feature.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// The features of a connection; an unknown name in the settings is refused, so that a typing error doesn't go unseen.
pub fn of(settings: &Settings) -> Result<Vec<&'static str>, Error> {
    for off in &settings.features_off {
        if !all().any(|feature| belongs(feature, off)) {
            return Err(error::invalid_input("features_off", format!("there is no feature {off}")));
        }
    }
    for action in settings.fail.keys() {
        if !READS.iter().chain(WORK).any(|known| known == action) {
            return Err(error::invalid_input(format!("fail.{action}"), format!("there is no action {action}")));
        }
    }
    let on = |feature: &&str| {
        let has_place = *feature != "backups.download" || settings.blob_url.is_some();
        has_place && !settings.features_off.iter().any(|off| belongs(feature, off))
    };
    Ok(all().filter(on).collect())
}

/// The actions that are recovered. One feature stands for planning, uploading and committing, but the commit is an action.
pub fn work() -> impl Iterator<Item = &'static str> {
    WORK.iter().copied().chain(["deployments.commit"])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn features_go_by_name_and_by_group() {
        let settings =
            |off: &[&str]| Settings { features_off: off.iter().map(|&off| off.into()).collect(), ..Settings::default() };
        let all = of(&settings(&[])).unwrap();
        assert!(all.contains(&"sites.clone") && !all.contains(&"backups.download"));
        let some = of(&settings(&["sites.clone", "billing", "sites.create.php_version"])).unwrap();
        assert!(!some.contains(&"sites.clone") && !some.iter().any(|feature| feature.starts_with("billing")));
        assert!(some.contains(&"sites.create") && !some.contains(&"sites.create.php_version"));
        for unknown in ["sites.fly", "site", "sites.", ""] {
            assert_eq!(of(&settings(&[unknown])).unwrap_err().field.as_deref(), Some("features_off"), "{unknown}");
        }
    }
}
