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
    ("GET /api/sites", "sites.list", "cloud::siteico::everything_that_siteico_can"),
    ("POST /api/sites", "sites.create", "cloud::siteico::everything_that_siteico_can"),
    ("GET /api/sites/:id", "sites.get", "cloud::siteico::everything_that_siteico_can"),
    ("DELETE /api/sites/:id", "sites.delete", "cloud::siteico::everything_that_siteico_can"),
    ("POST /api/sites/:id/start", "sites.start", "cloud::siteico::everything_that_siteico_can"),
    ("POST /api/sites/:id/stop", "sites.stop", "cloud::siteico::everything_that_siteico_can"),
    ("POST /api/sites/:id/clone", "sites.clone", "cloud::siteico::everything_that_siteico_can"),
    ("GET /api/sites/:id/backups", "backups.list", "cloud::siteico::everything_that_siteico_can"),
    ("POST /api/sites/:id/backups", "backups.create", "cloud::siteico::everything_that_siteico_can"),
    ("POST /api/sites/:id/backups/:backupId/restore", "backups.restore", "cloud::siteico::everything_that_siteico_can"),
    ("DELETE /api/sites/:id/backups/:backupId", "backups.delete", "cloud::siteico::everything_that_siteico_can"),
    ("GET /api/sites/:id/domains", "domains.list", "cloud::siteico::everything_that_siteico_can"),
    ("POST /api/sites/:id/domains", "domains.create", "cloud::siteico::everything_that_siteico_can"),
    ("DELETE /api/sites/:id/domains/:domain", "domains.delete", "cloud::siteico::everything_that_siteico_can"),
    ("PUT /api/sites/:id/domains/:domain/primary", "domains.set_primary", "cloud::siteico::everything_that_siteico_can"),
    ("GET /api/billing/subscription", "billing.subscription", "cloud::siteico::everything_that_siteico_can"),
    ("POST /api/billing/checkout", "billing.checkout", "cloud::siteico::everything_that_siteico_can"),
    ("GET /api/billing/invoices", "billing.invoices", "cloud::siteico::everything_that_siteico_can"),
    ("GET /api/billing/usage", "billing.usage", "cloud::siteico::everything_that_siteico_can"),
];

const WISPANEL: &[Row] = &[
    ("GET /wordpress/installations", "sites.list", "cloud::wispanel::a_list_is_walked_to_its_end_in_every_shape"),
    ("GET /wordpress/status", "wordpress.status", "cloud::wispanel::toolkit::status_core_and_maintenance"),
    ("GET /wordpress/installation", "wordpress.status", "cloud::wispanel::toolkit::status_core_and_maintenance"),
    ("POST /wordpress/install", "sites.create", "cloud::wispanel::a_site_from_its_creation_to_its_end"),
    ("GET /wordpress/install/:id/progress", "operations.get", "cloud::wispanel::a_site_from_its_creation_to_its_end"),
    ("POST /wordpress/clone", "sites.clone", "cloud::wispanel::a_site_from_its_creation_to_its_end"),
    ("POST /wordpress/core/update", "wordpress.core.update", "cloud::wispanel::toolkit::status_core_and_maintenance"),
    ("POST /wordpress/reinstall-core", "wordpress.core.reinstall", "cloud::wispanel::toolkit::status_core_and_maintenance"),
    ("POST /wordpress/maintenance", "wordpress.maintenance", "cloud::wispanel::toolkit::status_core_and_maintenance"),
    ("POST /wordpress/search-replace", "wordpress.search_replace", "cloud::wispanel::toolkit::texts_are_replaced_once"),
    ("DELETE /wordpress/delete", "sites.delete", "cloud::wispanel::a_site_from_its_creation_to_its_end"),
    (
        "POST /wordpress/admin/create",
        "wordpress.admin.create",
        "cloud::wispanel::toolkit::secrets_are_shown_once_and_found_nowhere",
    ),
    (
        "POST /wordpress/auto-login",
        "wordpress.login_link",
        "cloud::wispanel::toolkit::secrets_are_shown_once_and_found_nowhere",
    ),
    (
        "POST /wordpress/password/reset",
        "wordpress.password_reset",
        "cloud::wispanel::toolkit::secrets_are_shown_once_and_found_nowhere",
    ),
    ("GET /wordpress/plugins", "wordpress.plugins.list", "cloud::wispanel::toolkit::plugins_come_and_go"),
    ("POST /wordpress/plugins/install", "wordpress.plugins.install", "cloud::wispanel::toolkit::plugins_come_and_go"),
    ("POST /wordpress/plugins/activate", "wordpress.plugins.activate", "cloud::wispanel::toolkit::plugins_come_and_go"),
    (
        "POST /wordpress/plugins/deactivate",
        "wordpress.plugins.deactivate",
        "cloud::wispanel::toolkit::plugins_are_updated_turned_off_and_deleted",
    ),
    (
        "POST /wordpress/plugins/update",
        "wordpress.plugins.update",
        "cloud::wispanel::toolkit::plugins_are_updated_turned_off_and_deleted",
    ),
    (
        "POST /wordpress/plugins/delete",
        "wordpress.plugins.delete",
        "cloud::wispanel::toolkit::plugins_are_updated_turned_off_and_deleted",
    ),
    ("GET /wordpress/themes", "wordpress.themes.list", "cloud::wispanel::toolkit::themes_come_and_go"),
    ("POST /wordpress/themes/install", "wordpress.themes.install", "cloud::wispanel::toolkit::themes_come_and_go"),
    ("POST /wordpress/themes/activate", "wordpress.themes.activate", "cloud::wispanel::toolkit::themes_come_and_go"),
    ("POST /wordpress/themes/deactivate", "wordpress.themes.deactivate", "cloud::wispanel::toolkit::themes_come_and_go"),
    ("POST /wordpress/themes/update", "wordpress.themes.update", "cloud::wispanel::toolkit::themes_come_and_go"),
    ("POST /wordpress/themes/delete", "wordpress.themes.delete", "cloud::wispanel::toolkit::themes_come_and_go"),
    ("GET /wordpress/cache", "wordpress.cache.get", "cloud::wispanel::toolkit::caches_are_turned_and_emptied"),
    ("POST /wordpress/cache/enable", "wordpress.cache.enable", "cloud::wispanel::toolkit::caches_are_turned_and_emptied"),
    ("POST /wordpress/cache/disable", "wordpress.cache.disable", "cloud::wispanel::toolkit::caches_are_turned_and_emptied"),
    ("POST /wordpress/cache/flush", "wordpress.cache.flush", "cloud::wispanel::toolkit::caches_are_turned_and_emptied"),
    ("POST /wordpress/cache/purge", "wordpress.cache.purge", "cloud::wispanel::toolkit::caches_are_turned_and_emptied"),
    ("GET /wordpress/backups", "backups.list", "cloud::wispanel::a_backup_is_made_found_and_restored"),
    ("POST /wordpress/backup", "backups.create", "cloud::wispanel::a_backup_is_made_found_and_restored"),
    ("POST /wordpress/restore", "backups.restore", "cloud::wispanel::a_backup_is_made_found_and_restored"),
    ("GET /wordpress/security", "wordpress.security.get", "cloud::wispanel::toolkit::security_is_switched_and_checked"),
    (
        "GET /wordpress/verify-checksums",
        "wordpress.security.verify_checksums",
        "cloud::wispanel::toolkit::security_is_switched_and_checked",
    ),
    (
        "POST /wordpress/security/disable-file-edit",
        "wordpress.security.update",
        "cloud::wispanel::toolkit::security_is_switched_and_checked",
    ),
    (
        "POST /wordpress/security/file-protection",
        "wordpress.security.update",
        "cloud::wispanel::toolkit::security_is_switched_and_checked",
    ),
    (
        "POST /wordpress/security/hide-login",
        "wordpress.security.update",
        "cloud::wispanel::toolkit::security_is_switched_and_checked",
    ),
    (
        "POST /wordpress/security/toggle-debug",
        "wordpress.security.update",
        "cloud::wispanel::toolkit::security_is_switched_and_checked",
    ),
];

const WPENGINE: &[Row] = &[
    ("GET /sites", "sites.list", "cloud::wpengine::a_seed_site_from_its_creation_to_its_end"),
    ("GET /sites/{site_id}", "sites.get", "cloud::wpengine::a_seed_site_from_its_creation_to_its_end"),
    ("POST /sites", "sites.create", "cloud::wpengine::a_seed_site_from_its_creation_to_its_end"),
    ("PUT /sites/{site_id}", "sites.update", "cloud::wpengine::a_seed_site_from_its_creation_to_its_end"),
    ("DELETE /sites/{site_id}", "sites.delete", "cloud::wpengine::a_seed_site_from_its_creation_to_its_end"),
    ("GET /sites/{site_id}/backups", "backups.list", "cloud::wpengine::a_seed_site_from_its_creation_to_its_end"),
    ("GET /sites/{site_id}/backups/{backup_id}", "backups.get", "cloud::wpengine::a_seed_site_from_its_creation_to_its_end"),
    (
        "GET …/backups/{backup_id}/download (download_url)",
        "backups.download",
        "cloud::wpengine::a_seed_site_from_its_creation_to_its_end",
    ),
    ("POST /sites/{site_id}/backups", "backups.create", "cloud::wpengine::a_seed_site_from_its_creation_to_its_end"),
    (
        "POST /sites/{site_id}/backups/{backup_id}/restore",
        "backups.restore",
        "cloud::wpengine::a_seed_site_from_its_creation_to_its_end",
    ),
    (
        "DELETE /sites/{site_id}/backups/{backup_id}",
        "backups.delete",
        "cloud::wpengine::a_seed_site_from_its_creation_to_its_end",
    ),
    ("GET /sites/{site_id}/deployments", "deployments.list", "cloud::wpengine::a_seed_site_from_its_creation_to_its_end"),
    (
        "GET /sites/{site_id}/deployments/{deployment_id}",
        "deployments.get",
        "cloud::wpengine::a_seed_site_from_its_creation_to_its_end",
    ),
    ("POST /sites/{site_id}/deployments", "deployments.create", "cloud::wpengine::a_seed_site_from_its_creation_to_its_end"),
];

const SITEPOD: &[Row] = &[
    ("POST /auth/login", "auth.login", "identity::from_the_registration_to_the_logout"),
    ("GET /auth/info", "auth.me", "identity::from_the_registration_to_the_logout"),
    ("DELETE /account", "account.delete", "identity::accounts_end_and_passwords_change"),
    ("POST /plan", "deployments.plan", "cloud::sitepod::deployed_by_content_released_and_rolled_back"),
    ("POST /upload/{plan_id}/{hash}", "deployments.upload", "cloud::sitepod::deployed_by_content_released_and_rolled_back"),
    ("POST /commit", "deployments.commit", "cloud::sitepod::deployed_by_content_released_and_rolled_back"),
    ("POST /release", "deployments.release", "cloud::sitepod::deployed_by_content_released_and_rolled_back"),
    ("POST /rollback", "deployments.rollback", "cloud::sitepod::deployed_by_content_released_and_rolled_back"),
    ("GET /current", "environments.current", "cloud::sitepod::deployed_by_content_released_and_rolled_back"),
    ("GET /history", "deployments.list", "cloud::sitepod::deployed_by_content_released_and_rolled_back"),
    ("GET /health", "connections.test", "hosts::a_connection_is_tested_and_forgotten"),
    ("GET /domains", "domains.list", "cloud::sitepod::domains_lead_to_prod"),
    ("POST /domains", "domains.create", "cloud::sitepod::domains_lead_to_prod"),
    ("POST /domains/{domain}/verify", "domains.verify", "cloud::sitepod::domains_lead_to_prod"),
    ("DELETE /domains/{domain}", "domains.delete", "cloud::sitepod::domains_lead_to_prod"),
];

const KINSTA: &[Row] = &[
    ("GET /sites", "sites.list", "cloud::kinsta::a_site_from_its_creation_to_its_end"),
    ("GET /sites/{site_id}", "sites.get", "cloud::kinsta::a_site_from_its_creation_to_its_end"),
    ("POST /sites", "sites.create", "cloud::kinsta::a_site_from_its_creation_to_its_end"),
    ("POST /sites/plain", "sites.create", "cloud::kinsta::environments_plugins_caches_and_numbers"),
    ("POST /sites/clone", "sites.clone", "cloud::kinsta::environments_plugins_caches_and_numbers"),
    ("DELETE /sites/{site_id}", "sites.delete", "cloud::kinsta::a_site_from_its_creation_to_its_end"),
    ("GET /sites/{site_id}/environments", "environments.list", "cloud::kinsta::environments_plugins_caches_and_numbers"),
    ("GET /operations/{operation_id}", "operations.get", "cloud::kinsta::a_site_from_its_creation_to_its_end"),
];
