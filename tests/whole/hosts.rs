//! What the five hosts' own APIs offer has a home in ours: the table, and the tests that no other module has.
//!
//! Invariant: `HOSTS.md` is written from the table alone; an endpoint or a test that it names and that isn't there is a failure, and so
//! is a test that ends without having gone where it says (`portico_tests::routes`).

#[path = "hosts/table.rs"]
mod table;

use http::Method;
use portico_tests::{Api, Gateway, gateway::root};
use serde_json::{Value, json};
use std::fmt::Write as _;
use table::HOSTS;

const HEAD: &str = "# Which endpoint of which host has which home

Every endpoint of the hosts' own APIs, as their documents have them, the endpoint of Portico that does the same for all hosts, and
the test that goes there, which fails if it doesn't. Written by a test from `tests/whole/hosts/table.rs`: `UPDATE_GOLDEN=1 cargo
test --workspace --test whole hosts::`.
";

/// Method and path of an operation of the document.
fn endpoint(document: &Value, id: &str) -> Option<String> {
    document["paths"].as_object()?.iter().find_map(|(path, methods)| {
        let (method, _) = methods.as_object()?.iter().find(|(_, operation)| operation["operationId"] == id)?;
        Some(format!("`{} {path}`", method.to_uppercase()))
    })
}

fn is_a_test(name: &str) -> bool {
    let Some((module, function)) = name.rsplit_once("::") else { return false };
    let file = format!("tests/whole/{}.rs", module.replace("::", "/"));
    let source = std::fs::read_to_string(root().join(file)).unwrap_or_default();
    source.contains(&format!("#[tokio::test]\nasync fn {function}("))
}

#[test]
fn every_endpoint_of_every_host_has_a_home() {
    let document = std::fs::read(root().join("gateway/openapi.json")).expect("the API's document");
    let document: Value = serde_json::from_slice(&document).expect("JSON");
    let mut text = HEAD.to_owned();
    for (host, rows) in HOSTS {
        write!(text, "\n## {host}\n\n| its endpoint | ours | test |\n| --- | --- | --- |\n").expect("a text");
        for (theirs, ours, test) in rows {
            let is_id = ours.contains('.') && !ours.contains(' ');
            let home = if is_id { endpoint(&document, ours) } else { Some((*ours).to_owned()) };
            let home = home.unwrap_or_else(|| panic!("{host} {theirs}: there is no {ours}"));
            assert!(is_a_test(test), "{host} {theirs}: there is no test {test}");
            writeln!(text, "| `{theirs}` | {home} | `{test}` |").expect("a text");
        }
    }
    let file = root().join("HOSTS.md");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&file, &text).expect("the table");
    }
    let written = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(written == text, "HOSTS.md isn't what the table says: run this test with UPDATE_GOLDEN=1");
}

/// A connection whose work is done at once, and the path of a site on it.
async fn quick(gateway: &Gateway) -> String {
    gateway.connect("quick", "sandbox", json!({"work_seconds": 0})).await;
    let site = gateway.api.post("/sites", &json!({"connection": "quick", "name": "Site"})).await.is(201).json();
    format!("/sites/{}", site["result"]["id"].as_str().expect("an id"))
}

async fn done(api: &Api, method: Method, path: &str, body: &Value) -> Value {
    let operation = api.json(method, path, &[("prefer", "wait=30")], body).await.json();
    assert_eq!(operation["status"], "succeeded", "{path}: {operation}");
    operation["result"].clone()
}

#[tokio::test]
async fn a_site_stops_starts_changes_and_is_cloned() {
    let gateway = Gateway::start().await;
    let api = &gateway.api;
    let site = quick(&gateway).await;
    assert_eq!(done(api, Method::POST, &format!("{site}/stop"), &json!({})).await["status"], "stopped");
    assert_eq!(api.get(&site).await.is(200).json()["status"], "stopped");
    assert_eq!(done(api, Method::POST, &format!("{site}/start"), &json!({})).await["status"], "running");
    // The same by its desired state.
    assert_eq!(done(api, Method::PATCH, &site, &json!({"status": "stopped"})).await["status"], "stopped");
    let changed = done(api, Method::PATCH, &site, &json!({"name": "Other", "php_version": "8.4"})).await;
    assert_eq!((&changed["name"], &changed["php_version"]), (&json!("Other"), &json!("8.4")));
    let clone = done(api, Method::POST, &format!("{site}/clone"), &json!({"name": "Copy"})).await;
    assert_eq!((&clone["name"], &clone["php_version"]), (&json!("Copy"), &json!("8.4")));
    assert_ne!(clone["id"], changed["id"]);
    let plain = json!({"connection": "quick", "name": "Plain", "kind": "plain"});
    assert_eq!(done(api, Method::POST, "/sites", &plain).await["kind"], "plain");
    assert_eq!(api.get("/sites").await.is(200).json()["total"], 3);
}

#[tokio::test]
async fn a_backup_is_restored_and_deleted() {
    let gateway = Gateway::start().await;
    let api = &gateway.api;
    let site = quick(&gateway).await;
    let backup = done(api, Method::POST, &format!("{site}/backups"), &json!({"kind": "full"})).await;
    let path = format!("{site}/backups/{}", backup["id"].as_str().expect("an id"));
    assert_eq!(api.get(&path).await.is(200).json()["status"], "completed");
    let restored = done(api, Method::POST, &format!("{path}/restore"), &json!({"database": true, "files": false})).await;
    assert_eq!(restored["id"], backup["id"]);
    done(api, Method::DELETE, &path, &json!({})).await;
    api.get(&path).await.problem(404, "not_found");
    assert_eq!(api.get(&format!("{site}/backups")).await.is(200).json()["data"], json!([]));
}

#[tokio::test]
async fn a_domain_is_verified_made_primary_and_removed() {
    let gateway = Gateway::start().await;
    let api = &gateway.api;
    let site = quick(&gateway).await;
    let added = done(api, Method::POST, &format!("{site}/domains"), &json!({"name": "www.example.com"})).await;
    assert_eq!((&added["status"], &added["primary"]), (&json!("pending_verification"), &json!(false)));
    let path = format!("{site}/domains/www.example.com");
    assert_eq!(done(api, Method::POST, &format!("{path}/verify"), &json!({})).await["status"], "active");
    assert_eq!(done(api, Method::PUT, &format!("{path}/primary"), &json!({})).await["primary"], true);
    assert_eq!(api.get(&site).await.is(200).json()["url"], "https://www.example.com");
    done(api, Method::DELETE, &path, &json!({})).await;
    assert_eq!(api.get(&format!("{site}/domains")).await.is(200).json()["data"], json!([]));
}

#[tokio::test]
async fn a_connection_is_tested_and_forgotten() {
    let gateway = Gateway::start().await;
    let api = &gateway.api;
    let site = quick(&gateway).await;
    let report = api.post("/connections/quick/test", &json!({})).await.is(200).json();
    assert_eq!(report["ok"], true, "{report}");
    let _ = api.delete("/connections/quick").await.is(204);
    api.get("/connections/quick").await.problem(404, "connection_not_found");
    api.get(&site).await.problem(404, "connection_not_found");
}
