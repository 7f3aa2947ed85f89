//! The WordPress toolkit: from the contract's records to the model's, and inputs the other way.
//!
//! Invariant: a plugin's id leaves here escaped and arrives native; inputs pass as they are, since the API checked them.

use super::{check_id, native};
use crate::model::{
    CacheAction, Error, Extension, ExtensionAction, ExtensionInstall, ExtensionKind, SearchReplace, SecurityChange, SiteAdmin,
    WordpressCache, WordpressDatabase, WordpressSecurity, WordpressStatus, WordpressTarget, WordpressUpdates, escape,
};
use portico_bindings::exports::portico::provider::wordpress as guest;

pub(in crate::host) fn wordpress_status(status: guest::Status) -> Result<WordpressStatus, Error> {
    let database =
        |db: guest::Database| WordpressDatabase { name: db.name, user: db.user, host: db.host, table_prefix: db.table_prefix };
    let updates =
        |updates: guest::Updates| WordpressUpdates { core: updates.core, plugins: updates.plugins, themes: updates.themes };
    Ok(WordpressStatus {
        version: status.version,
        site_title: status.site_title,
        admin_url: status.admin_url,
        path: status.path,
        wp_cli_available: status.wp_cli_available,
        db: status.db.map(database),
        debug: status.debug,
        multisite: status.multisite,
        maintenance: status.maintenance,
        updates: status.updates.map(updates),
        native: native(status.native)?,
    })
}

pub(in crate::host) fn extension(extension: guest::Extension) -> Result<Extension, Error> {
    check_id("plugin or theme", &extension.id)?;
    Ok(Extension {
        id: escape(&extension.id),
        name: extension.name,
        version: extension.version,
        active: extension.active,
        update: extension.update,
        native: native(extension.native)?,
    })
}

pub(in crate::host) fn wordpress_cache(cache: guest::Cache) -> Result<WordpressCache, Error> {
    Ok(WordpressCache { enabled: cache.enabled, kinds: cache.kinds, native: native(cache.native)? })
}

pub(in crate::host) fn wordpress_security(security: guest::Security) -> Result<WordpressSecurity, Error> {
    Ok(WordpressSecurity {
        file_edit: security.file_edit,
        file_protection: security.file_protection,
        hide_login: security.hide_login,
        debug: security.debug,
        native: native(security.native)?,
    })
}

pub(in crate::host) fn wordpress_target(target: &WordpressTarget) -> guest::Target {
    guest::Target { site: target.site.clone(), environment: target.environment.clone() }
}

pub(in crate::host) const fn extension_kind(kind: ExtensionKind) -> guest::ExtensionKind {
    match kind {
        ExtensionKind::Plugin => guest::ExtensionKind::Plugin,
        ExtensionKind::Theme => guest::ExtensionKind::Theme,
    }
}

pub(in crate::host) const fn extension_action(action: ExtensionAction) -> guest::ExtensionAction {
    match action {
        ExtensionAction::Activate => guest::ExtensionAction::Activate,
        ExtensionAction::Deactivate => guest::ExtensionAction::Deactivate,
        ExtensionAction::Update => guest::ExtensionAction::Update,
        ExtensionAction::Delete => guest::ExtensionAction::Delete,
    }
}

pub(in crate::host) fn install(input: &ExtensionInstall) -> guest::InstallInput {
    guest::InstallInput { source: input.source.clone(), version: input.version.clone(), activate: input.activate }
}

pub(in crate::host) fn search_replace(input: &SearchReplace) -> guest::SearchReplaceInput {
    guest::SearchReplaceInput {
        search: input.search.clone(),
        replace: input.replace.clone(),
        dry_run: input.dry_run,
        tables: input.tables.clone(),
    }
}

/// In the contract an empty list stands for everything.
pub(in crate::host) fn cache_action(action: &CacheAction) -> guest::CacheAction {
    match action {
        CacheAction::Enable => guest::CacheAction::Enable,
        CacheAction::Disable => guest::CacheAction::Disable,
        CacheAction::Flush => guest::CacheAction::Flush,
        CacheAction::Purge(purge) => guest::CacheAction::Purge(purge.urls.clone().unwrap_or_default()),
    }
}

pub(in crate::host) const fn security_change(change: &SecurityChange) -> guest::SecurityChange {
    guest::SecurityChange {
        file_edit: change.file_edit,
        file_protection: change.file_protection,
        hide_login: change.hide_login,
        debug: change.debug,
    }
}

pub(in crate::host) fn admin_create(admin: &SiteAdmin) -> guest::AdminCreate {
    guest::AdminCreate {
        user: admin.user.clone(),
        email: admin.email.clone(),
        password: admin.password.as_ref().map(|password| password.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::CachePurge;

    fn plugin(id: &str, native: Option<&str>) -> guest::Extension {
        let (name, version) = ("Akismet".into(), Some("5.3".into()));
        guest::Extension { id: id.into(), name, version, active: true, update: None, native: native.map(Into::into) }
    }

    #[test]
    fn a_plugin_gets_an_id_that_fits_a_path() {
        let known = extension(plugin("akismet/akismet.php", Some("{\"a\":  1}"))).unwrap();
        assert_eq!((known.id.as_str(), known.native.unwrap().get()), ("akismet=2Fakismet.php", "{\"a\":  1}"));
        for bad in [plugin("", None), plugin(&"x".repeat(513), None), plugin("a", Some("{"))] {
            assert!(extension(bad).is_err());
        }
    }

    #[test]
    fn purging_without_addresses_purges_everything() {
        let purged = |urls: Option<&[&str]>| {
            let urls = urls.map(|urls| urls.iter().map(|&url| url.to_owned()).collect());
            match cache_action(&CacheAction::Purge(CachePurge { urls })) {
                guest::CacheAction::Purge(urls) => urls,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(purged(None), Vec::<String>::new());
        assert_eq!(purged(Some(&["https://a.example/"])), ["https://a.example/"]);
    }
}
