//! WP Engine's row: every call that the provider `wpengine` can make in the dialect `live`.
//!
//! Without settings, the accounts and the user are asked for, too. Invariant: a feature that the provider gains gets a call here,
//! and the number of operations rises with it.

use super::{Call, Row};
use http::Method;
use serde_json::{Value, json};

pub const ROW: Row = Row {
    provider: "wpengine",
    specification: "wpengine-openapi-1.17.0.prism.json",
    settings: |url| json!({"base_url": url}),
    secrets: || json!({"username": "any", "password": "any"}),
    calls,
    adapt,
    operations: 27,
};

const SITE: &str = "/sites/c~28c78b6d-c2da-4f09-85f5-1ad588089b2d";
const INSTALL: &str = "294deacc-d8b8-4005-82c4-0727ba8ddde0";
const BACKUP: &str = "e41fa98f-ea80-4654-b229-a9b765d0863a";
const STAGING: &str = "c9f0f895-fb98-4f3c-9f0f-c9f0f895fb98";
const PENDING: &str = "6977805b-1f65-4a5d-8d36-6fe609a4d9f3";

/// The examples of lists have one item and a link that leads in circles. A site gets a second install, and an install a second
/// domain that waits to be verified; a backup that is looked at is complete.
fn adapt(method: &Method, path: &str, mut answer: Value) -> Value {
    if method != Method::GET {
        return answer;
    }
    if answer.get("next").is_some() {
        answer["next"] = Value::Null;
    }
    if let Some(installs) = answer.get_mut("installs").and_then(Value::as_array_mut) {
        doubled(installs, &[("id", json!(STAGING)), ("name", json!("torquestg")), ("environment", json!("staging"))]);
    }
    if path.contains("/backups/") {
        answer["status"] = json!("completed");
    }
    let is_domains = path.split('?').next().is_some_and(|path| path.ends_with("/domains"));
    if let Some(domains) = answer.get_mut("results").and_then(Value::as_array_mut).filter(|_| is_domains) {
        let waits = json!("TXT_VERIFICATION_PENDING");
        doubled(domains, &[("id", json!(PENDING)), ("name", json!("pending.example")), ("ownership_status", waits)]);
    }
    answer
}

/// A second item like the first, but for these fields.
fn doubled(items: &mut Vec<Value>, fields: &[(&str, Value)]) {
    let mut second = items.first().cloned().unwrap_or_default();
    fields.iter().for_each(|(name, value)| second[*name] = value.clone());
    items.push(second);
}

fn calls() -> Vec<Call> {
    [sites(), environments(), backups(), domains()].into_iter().flatten().collect()
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

fn sites() -> Vec<Call> {
    vec![
        Call::get("/sites?connection=c"),
        Call::get(SITE),
        Call::change(Method::POST, "/sites", json!({"connection": "c", "name": "New site"})),
        Call::change(
            Method::POST,
            "/sites",
            json!({"connection": "c", "name": "Named", "environment": "staging", "options": {"install_name": "named"}}),
        ),
        post("/clone", json!({"name": "Copy", "source_environment": "staging"})),
        Call::change(Method::PATCH, SITE, json!({"name": "My New Name"})),
        Call::get(on_site("/usage")),
        Call::get("/billing/usage"),
        Call::get(on_site("/wordpress")),
        post("/wordpress/cache/flush", json!({})),
        post("/wordpress/cache/purge?environment=staging", json!({})),
        delete(""),
    ]
}

fn environments() -> Vec<Call> {
    vec![
        Call::get(on_site("/environments")),
        post("/environments", json!({"name": "torquedev", "kind": "development"})),
        post("/environments", json!({"name": "torquecopy", "kind": "staging", "source": "production"})),
        post("/environments/staging/push", json!({"target": "production"})),
        post("/environments/staging/push", json!({"target": "production", "files": true})),
        delete("/environments/staging"),
    ]
}

fn backups() -> Vec<Call> {
    let one = format!("/backups/{INSTALL}.{BACKUP}");
    vec![
        Call::get(on_site("/backups")),
        Call::get(on_site("/backups?environment=staging")),
        Call::get(on_site(&one)),
        post("/backups", json!({})),
        post("/backups", json!({"description": "before the update", "environment": "staging"})),
        post(&format!("{one}/restore"), json!({})),
        post(&format!("{one}/restore"), json!({"files": true, "plugins": true, "themes": true})),
    ]
}

fn domains() -> Vec<Call> {
    vec![
        Call::get(on_site("/domains?environment=production")),
        post("/domains", json!({"name": "new.example.com"})),
        post("/domains", json!({"name": "xn--bcher-kva.example", "environment": "staging", "primary": true})),
        post("/domains/pending.example/verify?environment=production", Value::Null),
        post("/domains/torquemag.io/verify?environment=production", Value::Null),
        Call::change(Method::PUT, on_site("/domains/torquemag.io/primary?environment=production"), Value::Null),
        delete("/domains/torquemag.io?environment=production"),
    ]
}
