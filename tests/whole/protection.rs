//! The label `protected` holds against the deletion of the connection, too.
//!
//! Invariant: protection isn't lost without a word: who deletes a connection is told of its protected sites, and forces it knowingly.

use http::Method;
use portico_tests::{Api, Gateway};
use serde_json::{Value, json};

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("not a text: {value}"))
}

async fn label(api: &Api, site: &str, value: Value) {
    let body = json!({"labels": {"protected": value}});
    let _ = api.json(Method::PATCH, &format!("/sites/{site}"), &[], &body).await.is(200);
}

#[tokio::test]
async fn a_connection_with_protected_sites_goes_only_by_force() {
    let gateway = Gateway::start().await;
    let api = &gateway.api;
    gateway.connect("client", "sandbox", json!({"work_seconds": 0, "seed_sites": 6})).await;
    let site = |number: u32| format!("client~seed-0000{number}");
    for number in 1..=5 {
        label(api, &site(number), json!("yes")).await;
    }
    label(api, &site(6), json!("false")).await;
    let problem = api.delete("/connections/client").await.problem(409, "protected");
    let detail = text(&problem["detail"]);
    assert!(detail.contains(&format!("{}, {}, {} and 2 more", site(1), site(2), site(3))), "{detail}");
    assert!(detail.contains("?force=true") && detail.contains("PATCH /api/v1/sites/"), "{detail}");
    // It changed nothing, and what isn't forced isn't forced.
    api.delete("/connections/client?force=false").await.problem(409, "protected");
    api.delete(&format!("/sites/{}", site(1))).await.problem(409, "protected");
    let _ = api.delete("/connections/client?force=true").await.is(204);
    api.get("/connections/client").await.problem(404, "connection_not_found");
}

#[tokio::test]
async fn a_connection_whose_protection_was_lifted_goes() {
    let gateway = Gateway::start().await;
    let api = &gateway.api;
    gateway.connect("client", "sandbox", json!({"work_seconds": 0, "seed_sites": 2})).await;
    label(api, "client~seed-00001", json!("yes")).await;
    api.delete("/connections/client").await.problem(409, "protected");
    label(api, "client~seed-00001", Value::Null).await;
    let _ = api.delete("/connections/client").await.is(204);
}

/// Who would force it for the operations alone would lose the protection without a word.
#[tokio::test]
async fn the_refusal_tells_of_protection_and_of_operations() {
    let gateway = Gateway::start().await;
    let api = &gateway.api;
    gateway.connect("slow", "sandbox", json!({"work_seconds": 3600, "seed_sites": 1})).await;
    label(api, "slow~seed-00001", json!("yes")).await;
    let body = json!({"connection": "slow", "name": "Long"});
    let accepted = api.json(Method::POST, "/sites", &[("prefer", "respond-async")], &body).await.is(202).json();
    let operation = text(&accepted["id"]);
    let both = api.delete("/connections/slow").await.problem(409, "protected");
    assert!(text(&both["detail"]).contains("slow~seed-00001") && text(&both["detail"]).contains(operation), "{both}");
    label(api, "slow~seed-00001", Value::Null).await;
    let running = api.delete("/connections/slow").await.problem(409, "operations_running");
    assert!(text(&running["detail"]).contains(operation) && text(&running["detail"]).contains("?force=true"), "{running}");
    let _ = api.delete("/connections/slow?force=true").await.is(204);
}
