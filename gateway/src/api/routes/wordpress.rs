//! The WordPress toolkit of a site.

use crate::{
    api::{
        spec::{
            Cursors::Pinned,
            Endpoint,
            Makes::{AChange, AResource},
            delete, get, patch, post, put,
        },
        wordpress::{
            self, Parameters, cache,
            extensions::{self, Plugins, Themes},
            security, users,
        },
    },
    model::{
        CachePurge, CoreUpdate, Extension, ExtensionInstall, LoginLink, Maintenance, PasswordReset, SearchReplace,
        SecurityChange, SiteAdmin, WordpressCache, WordpressSecurity, WordpressStatus,
    },
};

pub fn endpoints() -> Vec<Endpoint> {
    [core(), plugins(), themes(), caches(), protection()].into_iter().flatten().collect()
}

fn core() -> Vec<Endpoint> {
    vec![
        get("/sites/{site}/wordpress", "wordpress.status", wordpress::status, "Version, database, updates")
            .query::<Parameters>()
            .resource::<WordpressStatus>(),
        post("/sites/{site}/wordpress/core/update", "wordpress.core.update", wordpress::update_core, "Update WordPress")
            .query::<Parameters>()
            .optional_body::<CoreUpdate>(r#"{"version": "6.8"}"#)
            .operation(AChange),
        post(
            "/sites/{site}/wordpress/core/reinstall",
            "wordpress.core.reinstall",
            wordpress::reinstall_core,
            "Install WordPress's own files again",
        )
        .query::<Parameters>()
        .operation(AChange),
        put(
            "/sites/{site}/wordpress/maintenance",
            "wordpress.maintenance",
            wordpress::set_maintenance,
            "Maintenance mode on or off",
        )
        .query::<Parameters>()
        .body::<Maintenance>(r#"{"enabled": true}"#)
        .operation(AChange),
        post(
            "/sites/{site}/wordpress/search-replace",
            "wordpress.search_replace",
            wordpress::search_replace,
            "Search and replace in the database",
        )
        .query::<Parameters>()
        .body::<SearchReplace>(r#"{"search": "http://example.com", "replace": "https://example.com", "dry_run": true}"#)
        .operation(AChange),
    ]
}

/// Plugins and themes differ in their words alone.
macro_rules! extensions {
    ($function:ident, $which:ident, $path:literal, $name:literal, $example:literal) => {
        fn $function() -> Vec<Endpoint> {
            const LIST: &str = concat!("/sites/{site}/wordpress/", $path, "s");
            const ONE: &str = concat!("/sites/{site}/wordpress/", $path, "s/{", $path, "}");
            vec![
                get(LIST, concat!("wordpress.", $name, ".list"), extensions::list::<$which>, concat!("Installed ", $path, "s"))
                    .query::<extensions::ListParameters>()
                    .list::<Extension>(Pinned),
                post(
                    LIST,
                    concat!("wordpress.", $name, ".install"),
                    extensions::install::<$which>,
                    concat!("Install a ", $path),
                )
                .query::<Parameters>()
                .body::<ExtensionInstall>($example)
                .operation(AResource),
                delete(ONE, concat!("wordpress.", $name, ".delete"), extensions::delete::<$which>, concat!("Delete a ", $path))
                    .query::<Parameters>()
                    .operation(AChange),
                post(
                    concat!("/sites/{site}/wordpress/", $path, "s/{", $path, "}/activate"),
                    concat!("wordpress.", $name, ".activate"),
                    extensions::activate::<$which>,
                    concat!("Activate a ", $path),
                )
                .query::<Parameters>()
                .operation(AChange),
                post(
                    concat!("/sites/{site}/wordpress/", $path, "s/{", $path, "}/deactivate"),
                    concat!("wordpress.", $name, ".deactivate"),
                    extensions::deactivate::<$which>,
                    concat!("Deactivate a ", $path),
                )
                .query::<Parameters>()
                .operation(AChange),
                post(
                    concat!("/sites/{site}/wordpress/", $path, "s/{", $path, "}/update"),
                    concat!("wordpress.", $name, ".update"),
                    extensions::update::<$which>,
                    concat!("Update a ", $path),
                )
                .query::<Parameters>()
                .operation(AChange),
            ]
        }
    };
}
extensions!(plugins, Plugins, "plugin", "plugins", r#"{"source": "akismet", "activate": true}"#);
extensions!(themes, Themes, "theme", "themes", r#"{"source": "astra"}"#);

fn caches() -> Vec<Endpoint> {
    vec![
        get("/sites/{site}/wordpress/cache", "wordpress.cache.get", cache::get, "Whether caches are on, and which")
            .query::<Parameters>()
            .resource::<WordpressCache>(),
        post("/sites/{site}/wordpress/cache/enable", "wordpress.cache.enable", cache::enable, "Turn caches on")
            .query::<Parameters>()
            .operation(AChange),
        post("/sites/{site}/wordpress/cache/disable", "wordpress.cache.disable", cache::disable, "Turn caches off")
            .query::<Parameters>()
            .operation(AChange),
        post("/sites/{site}/wordpress/cache/flush", "wordpress.cache.flush", cache::flush, "Empty the object cache")
            .query::<Parameters>()
            .operation(AChange),
        post("/sites/{site}/wordpress/cache/purge", "wordpress.cache.purge", cache::purge, "Drop pages from the cache")
            .details("Without `urls`, everything goes.")
            .query::<Parameters>()
            .optional_body::<CachePurge>(r#"{"urls": ["https://www.example.com/"]}"#)
            .operation(AChange),
    ]
}

fn protection() -> Vec<Endpoint> {
    vec![
        get("/sites/{site}/wordpress/security", "wordpress.security.get", security::get, "What is protected, and how")
            .query::<Parameters>()
            .resource::<WordpressSecurity>(),
        patch("/sites/{site}/wordpress/security", "wordpress.security.update", security::update, "Change the protection")
            .details("Give what is to be changed, in the state that it shall have.")
            .query::<Parameters>()
            .body::<SecurityChange>(r#"{"file_edit": false}"#)
            .operation(AChange),
        post(
            "/sites/{site}/wordpress/security/verify-checksums",
            "wordpress.security.verify_checksums",
            security::verify_checksums,
            "Compare WordPress's files with the released ones",
        )
        .query::<Parameters>()
        .operation(AChange),
        post("/sites/{site}/wordpress/admins", "wordpress.admin.create", users::create_admin, "Create an administrator")
            .details("Without `password` one is made, and shown once in the operation's `secrets`.")
            .query::<Parameters>()
            .body::<SiteAdmin>(r#"{"user": "anna", "email": "anna@example.com"}"#)
            .operation(AChange),
        post(
            "/sites/{site}/wordpress/password-reset",
            "wordpress.password_reset",
            users::reset_password,
            "Set a user's password",
        )
        .details("Without `password` one is made, and shown once in the operation's `secrets`.")
        .query::<Parameters>()
        .body::<PasswordReset>(r#"{"user": "admin"}"#)
        .operation(AChange),
        post("/sites/{site}/wordpress/login-link", "wordpress.login_link", users::login_link, "A link that logs in once")
            .details("The link is shown once, in the operation's `secrets`.")
            .query::<Parameters>()
            .body::<LoginLink>(r#"{"user": "admin"}"#)
            .operation(AChange),
    ]
}
