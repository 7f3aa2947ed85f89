//! Every endpoint of the five hosts' own APIs, its home in ours, and the test that goes there.
//!
//! Invariant: no row is empty. Where ours isn't an endpoint, the row says what it is instead.

/// Of one host: its endpoint, our operation's id (or words, where it is none), the test.
pub type Row = (&'static str, &'static str, &'static str);

pub const HOSTS: [(&str, &[Row]); 5] =
    [("SiteICO", SITEICO), ("WisPanel", WISPANEL), ("WP Engine", WPENGINE), ("SitePod", SITEPOD), ("Kinsta", KINSTA)];

const SITEICO: &[Row] = &[
    ("POST /api/auth/login", "auth.login", "identity::from_the_registration_to_the_logout"),
    ("POST /api/auth/logout", "auth.logout", "identity::from_the_registration_to_the_logout"),
    ("POST /api/auth/register", "auth.register", "identity::from_the_registration_to_the_logout"),
    ("POST /api/auth/refresh", "auth.refresh", "identity::from_the_registration_to_the_logout"),
    ("GET /api/sites", "sites.list", "siteico::everything_that_siteico_can"),
    ("POST /api/sites", "sites.create", "siteico::everything_that_siteico_can"),
    ("GET /api/sites/:id", "sites.get", "siteico::everything_that_siteico_can"),
    ("DELETE /api/sites/:id", "sites.delete", "siteico::everything_that_siteico_can"),
    ("POST /api/sites/:id/start", "sites.start", "siteico::everything_that_siteico_can"),
    ("POST /api/sites/:id/stop", "sites.stop", "siteico::everything_that_siteico_can"),
    ("POST /api/sites/:id/clone", "sites.clone", "siteico::everything_that_siteico_can"),
    ("GET /api/sites/:id/backups", "backups.list", "siteico::everything_that_siteico_can"),
    ("POST /api/sites/:id/backups", "backups.create", "siteico::everything_that_siteico_can"),
    ("POST /api/sites/:id/backups/:backupId/restore", "backups.restore", "siteico::everything_that_siteico_can"),
    ("DELETE /api/sites/:id/backups/:backupId", "backups.delete", "siteico::everything_that_siteico_can"),
    ("GET /api/sites/:id/domains", "domains.list", "siteico::everything_that_siteico_can"),
    ("POST /api/sites/:id/domains", "domains.create", "siteico::everything_that_siteico_can"),
    ("DELETE /api/sites/:id/domains/:domain", "domains.delete", "siteico::everything_that_siteico_can"),
    ("PUT /api/sites/:id/domains/:domain/primary", "domains.set_primary", "siteico::everything_that_siteico_can"),
    ("GET /api/billing/subscription", "billing.subscription", "siteico::everything_that_siteico_can"),
    ("POST /api/billing/checkout", "billing.checkout", "siteico::everything_that_siteico_can"),
    ("GET /api/billing/invoices", "billing.invoices", "siteico::everything_that_siteico_can"),
    ("GET /api/billing/usage", "billing.usage", "billing::usage_is_summed_and_says_what_is_missing"),
];

const WISPANEL: &[Row] = &[
    ("GET /wordpress/installations", "sites.list", "spine::the_readme_walk_from_create_to_delete"),
    ("GET /wordpress/status", "wordpress.status", "wordpress::status_core_and_maintenance"),
    ("GET /wordpress/installation", "wordpress.status", "wordpress::status_core_and_maintenance"),
    ("POST /wordpress/install", "sites.create", "spine::the_readme_walk_from_create_to_delete"),
    ("GET /wordpress/install/:id/progress", "operations.get", "spine::the_readme_walk_from_create_to_delete"),
    ("POST /wordpress/clone", "sites.clone", "hosts::a_site_stops_starts_changes_and_is_cloned"),
    ("POST /wordpress/core/update", "wordpress.core.update", "wordpress::status_core_and_maintenance"),
    ("POST /wordpress/reinstall-core", "wordpress.core.reinstall", "wordpress::status_core_and_maintenance"),
    ("POST /wordpress/maintenance", "wordpress.maintenance", "wordpress::status_core_and_maintenance"),
    ("POST /wordpress/search-replace", "wordpress.search_replace", "wordpress::what_an_action_tells_is_the_result"),
    ("DELETE /wordpress/delete", "sites.delete", "spine::the_readme_walk_from_create_to_delete"),
    ("POST /wordpress/admin/create", "wordpress.admin.create", "wordpress::secrets_are_shown_once_and_sealed"),
    ("POST /wordpress/auto-login", "wordpress.login_link", "wordpress::secrets_are_shown_once_and_sealed"),
    ("POST /wordpress/password/reset", "wordpress.password_reset", "wordpress::secrets_are_shown_once_and_sealed"),
    ("GET /wordpress/plugins", "wordpress.plugins.list", "wordpress::plugins_come_and_go"),
    ("POST /wordpress/plugins/install", "wordpress.plugins.install", "wordpress::plugins_come_and_go"),
    ("POST /wordpress/plugins/activate", "wordpress.plugins.activate", "wordpress::plugins_come_and_go"),
    ("POST /wordpress/plugins/deactivate", "wordpress.plugins.deactivate", "wordpress::plugins_come_and_go"),
    ("POST /wordpress/plugins/update", "wordpress.plugins.update", "wordpress::plugins_come_and_go"),
    ("POST /wordpress/plugins/delete", "wordpress.plugins.delete", "wordpress::plugins_come_and_go"),
    ("GET /wordpress/themes", "wordpress.themes.list", "wordpress::themes_come_and_go"),
    ("POST /wordpress/themes/install", "wordpress.themes.install", "wordpress::themes_come_and_go"),
    ("POST /wordpress/themes/activate", "wordpress.themes.activate", "wordpress::themes_come_and_go"),
    ("POST /wordpress/themes/deactivate", "wordpress.themes.deactivate", "wordpress::themes_come_and_go"),
    ("POST /wordpress/themes/update", "wordpress.themes.update", "wordpress::themes_come_and_go"),
    ("POST /wordpress/themes/delete", "wordpress.themes.delete", "wordpress::themes_come_and_go"),
    ("GET /wordpress/cache", "wordpress.cache.get", "wordpress::caches_and_switches_stay_as_they_are_set"),
    ("POST /wordpress/cache/enable", "wordpress.cache.enable", "wordpress::caches_and_switches_stay_as_they_are_set"),
    ("POST /wordpress/cache/disable", "wordpress.cache.disable", "wordpress::caches_and_switches_stay_as_they_are_set"),
    ("POST /wordpress/cache/flush", "wordpress.cache.flush", "wordpress::caches_and_switches_stay_as_they_are_set"),
    ("POST /wordpress/cache/purge", "wordpress.cache.purge", "wordpress::caches_and_switches_stay_as_they_are_set"),
    ("GET /wordpress/backups", "backups.list", "spine::the_readme_walk_from_create_to_delete"),
    ("POST /wordpress/backup", "backups.create", "spine::the_readme_walk_from_create_to_delete"),
    ("POST /wordpress/restore", "backups.restore", "hosts::a_backup_is_restored_and_deleted"),
    ("GET /wordpress/security", "wordpress.security.get", "wordpress::caches_and_switches_stay_as_they_are_set"),
    ("GET /wordpress/verify-checksums", "wordpress.security.verify_checksums", "wordpress::what_an_action_tells_is_the_result"),
    (
        "POST /wordpress/security/disable-file-edit",
        "wordpress.security.update",
        "wordpress::caches_and_switches_stay_as_they_are_set",
    ),
    (
        "POST /wordpress/security/file-protection",
        "wordpress.security.update",
        "wordpress::caches_and_switches_stay_as_they_are_set",
    ),
    ("POST /wordpress/security/hide-login", "wordpress.security.update", "wordpress::caches_and_switches_stay_as_they_are_set"),
    (
        "POST /wordpress/security/toggle-debug",
        "wordpress.security.update",
        "wordpress::caches_and_switches_stay_as_they_are_set",
    ),
];

const WPENGINE: &[Row] = &[
    ("GET /sites", "sites.list", "spine::the_readme_walk_from_create_to_delete"),
    ("GET /sites/{site_id}", "sites.get", "spine::the_readme_walk_from_create_to_delete"),
    ("POST /sites", "sites.create", "spine::the_readme_walk_from_create_to_delete"),
    ("PUT /sites/{site_id}", "sites.update", "hosts::a_site_stops_starts_changes_and_is_cloned"),
    ("DELETE /sites/{site_id}", "sites.delete", "spine::the_readme_walk_from_create_to_delete"),
    ("GET /sites/{site_id}/backups", "backups.list", "spine::the_readme_walk_from_create_to_delete"),
    ("GET /sites/{site_id}/backups/{backup_id}", "backups.get", "hosts::a_backup_is_restored_and_deleted"),
    ("GET …/backups/{backup_id}/download (download_url)", "backups.download", "transfers::what_is_sent_arrives"),
    ("POST /sites/{site_id}/backups", "backups.create", "spine::the_readme_walk_from_create_to_delete"),
    ("POST /sites/{site_id}/backups/{backup_id}/restore", "backups.restore", "hosts::a_backup_is_restored_and_deleted"),
    ("DELETE /sites/{site_id}/backups/{backup_id}", "backups.delete", "hosts::a_backup_is_restored_and_deleted"),
    ("GET /sites/{site_id}/deployments", "deployments.list", "deployments::deployed_rolled_back_and_released"),
    ("GET /sites/{site_id}/deployments/{deployment_id}", "deployments.get", "deployments::deployed_rolled_back_and_released"),
    ("POST /sites/{site_id}/deployments", "deployments.create", "deployments::deployed_rolled_back_and_released"),
];

const SITEPOD: &[Row] = &[
    ("POST /auth/login", "auth.login", "identity::from_the_registration_to_the_logout"),
    ("GET /auth/info", "auth.me", "identity::from_the_registration_to_the_logout"),
    ("DELETE /account", "account.delete", "identity::accounts_end_and_passwords_change"),
    ("POST /plan", "deployments.plan", "sitepod::deployed_by_content_released_and_rolled_back"),
    ("POST /upload/{plan_id}/{hash}", "deployments.upload", "sitepod::deployed_by_content_released_and_rolled_back"),
    ("POST /commit", "deployments.commit", "sitepod::deployed_by_content_released_and_rolled_back"),
    ("POST /release", "deployments.release", "sitepod::deployed_by_content_released_and_rolled_back"),
    ("POST /rollback", "deployments.rollback", "sitepod::deployed_by_content_released_and_rolled_back"),
    ("GET /current", "environments.current", "sitepod::deployed_by_content_released_and_rolled_back"),
    ("GET /history", "deployments.list", "sitepod::deployed_by_content_released_and_rolled_back"),
    ("GET /health", "connections.test", "hosts::a_connection_is_tested_and_forgotten"),
    ("GET /domains", "domains.list", "sitepod::domains_lead_to_prod"),
    ("POST /domains", "domains.create", "sitepod::domains_lead_to_prod"),
    ("POST /domains/{domain}/verify", "domains.verify", "sitepod::domains_lead_to_prod"),
    ("DELETE /domains/{domain}", "domains.delete", "sitepod::domains_lead_to_prod"),
];

const KINSTA: &[Row] = &[
    ("GET /sites", "sites.list", "spine::the_readme_walk_from_create_to_delete"),
    ("GET /sites/{site_id}", "sites.get", "spine::the_readme_walk_from_create_to_delete"),
    ("POST /sites", "sites.create", "spine::the_readme_walk_from_create_to_delete"),
    ("POST /sites/plain", "sites.create", "hosts::a_site_stops_starts_changes_and_is_cloned"),
    ("POST /sites/clone", "sites.clone", "hosts::a_site_stops_starts_changes_and_is_cloned"),
    ("DELETE /sites/{site_id}", "sites.delete", "spine::the_readme_walk_from_create_to_delete"),
    ("GET /sites/{site_id}/environments", "environments.list", "environments::an_environment_from_its_creation_to_its_end"),
    ("GET /operations/{operation_id}", "operations.get", "spine::the_readme_walk_from_create_to_delete"),
];
