//! The WordPress of an install: what WP Engine tells of it, and its caches.
//!
//! Invariant: a cache is asked to be purged, never said to be empty: WP Engine answers "accepted".

use super::{Live, client, client::API, types::Install};
use portico_sdk::{
    Call, Completion, Error, Wordpress, Work,
    error::unsupported,
    json, native,
    wordpress::{CacheAction, Status, Target},
};
use serde_json::json;

impl Wordpress for Live {
    fn get_status(&self, target: &Target) -> Result<Status, Error> {
        let found = client::resolve(&target.site, target.environment.as_deref())?;
        let value = client::install_value(&found.id)?;
        let install: Install = json::read(&value)?;
        Ok(Status {
            version: install.wp_version,
            multisite: install.is_multisite,
            site_title: None,
            admin_url: None,
            path: None,
            wp_cli_available: None,
            db: None,
            debug: None,
            maintenance: None,
            updates: None,
            native: native::secret_free(value, &[]),
        })
    }

    /// `flush` is the object cache, `purge` everything.
    fn change_cache(&self, _call: &Call, target: &Target, action: CacheAction) -> Result<Work, Error> {
        let kind = match action {
            CacheAction::Flush => "object",
            CacheAction::Purge(urls) if urls.is_empty() => "all",
            CacheAction::Purge(_) => {
                let message = "WP Engine purges whole caches, not single addresses: leave `urls` out";
                return Err(Error { message: message.into(), ..unsupported("wordpress.cache.purge.urls") });
            }
            CacheAction::Enable => return Err(unsupported("wordpress.cache.enable")),
            CacheAction::Disable => return Err(unsupported("wordpress.cache.disable")),
        };
        let install = client::resolve(&target.site, target.environment.as_deref())?;
        API.post(["installs", &install.id, "purge_cache"]).json_body(&json!({"type": kind})).repeatable().send()?;
        Ok(Work::Done(Completion::default().with_message("WP Engine has accepted to purge the cache")))
    }
}
