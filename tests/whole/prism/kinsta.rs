//! Kinsta's row: every call that the provider `kinsta` can make.
//!
//! Invariant: a feature that the provider gains gets a call here, and the number of operations rises with it.

use super::{Call, Row};
use http::Method;
use serde_json::{Value, json};

pub const ROW: Row = Row {
    provider: "kinsta",
    specification: "kinsta-openapi-1.87.0.json",
    settings: |url| json!({"base_url": url, "region": "us-central1", "download_origins": []}),
    secrets: || json!({"api_key": "any-key"}),
    calls,
    adapt,
    operations: 40,
};

const SITE: &str = "/sites/c~54fb80af-576c-4fdc-ba4f-b596c83f15a1";
const LIVE: &str = "54fb80af-576c-4fdc-ba4f-b596c83f15a1";
const STAGING: &str = "0010cdaf-0b94-472e-86bd-7edf6fceaa1c";

/// The example has one environment; a site with a second one can be asked for more.
fn adapt(method: &Method, path: &str, mut answer: Value) -> Value {
    let environments = answer.pointer_mut("/site/environments").and_then(Value::as_array_mut);
    if let Some(environments) = environments
        && method == Method::GET
        && path.ends_with("/environments")
    {
        let mut second = environments.first().cloned().unwrap_or_default();
        second["id"] = json!(STAGING);
        second["name"] = json!("staging");
        second["display_name"] = json!("Staging");
        // A domain that no environment calls its own is pending, and its records are asked for.
        second["domains"] = json!([]);
        environments.push(second);
    }
    // One that isn't active, and so can be deleted.
    for (path_end, list) in [("/plugins", "wp_plugins"), ("/themes", "wp_themes")] {
        let extensions = answer.pointer_mut(&format!("/environment/container_info/{list}/data")).and_then(Value::as_array_mut);
        if let Some(extensions) = extensions
            && path.ends_with(path_end)
        {
            let mut second = extensions.first().cloned().unwrap_or_default();
            second["name"] = json!("unused");
            second["status"] = json!("inactive");
            extensions.push(second);
        }
    }
    answer
}

fn calls() -> Vec<Call> {
    [sites(), environments(), backups(), domains(), toolkit(), extensions(), caches()].into_iter().flatten().collect()
}

fn on_site(path: &str) -> String {
    format!("{SITE}{path}")
}

fn post(path: &str, body: Value) -> Call {
    Call::change(Method::POST, on_site(path), body)
}

fn delete(path: &str) -> Call {
    Call::change(Method::DELETE, on_site(path), Value::Null)
}

fn create(body: Value) -> Call {
    Call::change(Method::POST, "/sites", body)
}

fn sites() -> Vec<Call> {
    let admin = json!({"user": "admin", "email": "admin@example.com", "password": "vJnFnN-~v)PxF[6k"});
    let wordpress = json!({"connection": "c", "name": "Blog", "region": "europe-west3", "title": "My blog", "locale": "de_DE", "admin": admin,
        "options": {"is_multisite": true, "is_subdomain_multisite": false, "woocommerce": true, "wordpressseo": true}});
    vec![
        Call::get("/sites?connection=c"),
        Call::get(SITE),
        create(wordpress),
        create(json!({"connection": "c", "name": "Plain", "kind": "plain"})),
        post("/clone", json!({"name": "Copy", "source_environment": "Staging"})),
        Call::change(Method::PATCH, SITE, json!({"php_version": "8.1"})),
        Call::get(on_site("/usage")),
        Call::get("/billing/usage"),
        Call::get(on_site("/logs")),
        Call::get(on_site("/logs?source=access&lines=5&environment=Staging")),
        Call::get(on_site("/logs?source=kinsta-cache-perf&lines=1000")),
        delete(""),
    ]
}

fn environments() -> Vec<Call> {
    let admin = json!({"user": "admin", "email": "admin@example.com", "password": "vJnFnN-~v)PxF[6k"});
    vec![
        Call::get(on_site("/environments")),
        post("/environments", json!({"name": "Empty", "options": {"premium": true}})),
        post("/environments", json!({"name": "New", "options": {"wordpress": {"admin": admin}}})),
        post("/environments", json!({"name": "Copied", "source": "Live"})),
        Call::change(Method::PATCH, on_site("/environments/Staging"), json!({"php_version": "8.3"})),
        post("/environments/Staging/push", json!({"target": "Live"})),
        post("/environments/Staging/push", json!({"target": "Live", "files": true, "search_replace": false})),
        delete("/environments/Staging"),
    ]
}

fn backups() -> Vec<Call> {
    let stored = format!("/backups/{LIVE}.123456789");
    vec![
        Call::get(on_site("/backups")),
        Call::get(on_site("/backups?environment=Staging")),
        Call::get(on_site(&stored)),
        Call::get(on_site(&format!("/backups/{LIVE}.d-1915fa3a-7ef4-4766-806d-71104be7deb0"))),
        post("/backups", json!({})),
        post("/backups", json!({"description": "before the update", "environment": "Staging"})),
        post(&format!("{stored}/restore"), json!({})),
        post(&format!("{stored}/restore"), json!({"environment": "Staging"})),
        delete(&stored),
    ]
}

fn domains() -> Vec<Call> {
    vec![
        Call::get(on_site("/domains")),
        post("/domains", json!({"name": "new.example.com"})),
        post("/domains", json!({"name": "xn--bcher-kva.example", "environment": "Staging", "primary": true})),
        Call::change(Method::PUT, on_site("/domains/mydomain.com/primary"), Value::Null),
        delete("/domains/mydomain.com"),
    ]
}

fn toolkit() -> Vec<Call> {
    vec![
        Call::get(on_site("/wordpress")),
        post("/wordpress/core/update", json!({"version": "6.4.3"})),
        post("/wordpress/core/update", json!({})),
        post("/wordpress/core/reinstall", Value::Null),
        Call::change(Method::PUT, on_site("/wordpress/maintenance"), json!({"enabled": true})),
        Call::change(Method::PUT, on_site("/wordpress/maintenance?environment=Staging"), json!({"enabled": false})),
    ]
}

fn extensions() -> Vec<Call> {
    let mut calls = Vec::new();
    for (kind, name) in [("plugins", "akismet"), ("themes", "twentytwentythree")] {
        let all = format!("/wordpress/{kind}");
        calls.extend([
            Call::get(on_site(&all)),
            post(&all, json!({"source": "astra", "version": "4.6.5", "activate": true})),
            post(&all, json!({"source": "https://downloads.wordpress.org/theme/astra.4.6.5.zip"})),
            post(&format!("{all}/{name}/update"), Value::Null),
            post(&format!("{all}/{name}/activate"), Value::Null),
            delete(&format!("{all}/unused")),
        ]);
    }
    calls.push(post("/wordpress/plugins/akismet/deactivate", Value::Null));
    calls
}

fn caches() -> Vec<Call> {
    vec![
        Call::get(on_site("/wordpress/cache")),
        post("/wordpress/cache/enable", Value::Null),
        post("/wordpress/cache/disable", Value::Null),
        post("/wordpress/cache/flush", Value::Null),
        post("/wordpress/cache/purge", json!({})),
        post("/wordpress/cache/purge", json!({"urls": ["https://example.com/", "https://example.com/a?b=c"]})),
    ]
}
