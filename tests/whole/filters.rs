//! Filters of lists: one by which nothing could be found is refused by its name, and what was there once is looked for.

use portico_tests::Gateway;
use serde_json::json;

#[tokio::test]
async fn a_provider_that_nobody_has_is_refused_by_its_name() {
    let gateway = Gateway::start().await;
    for list in ["/sites", "/connections"] {
        for provider in ["", "sandbx", "SANDBOX"] {
            let problem = gateway.api.get(&format!("{list}?provider={provider}")).await.problem(422, "invalid_input");
            assert_eq!(problem["fields"][0]["field"], "provider", "{problem}");
            let detail = problem["detail"].as_str().expect("words");
            assert!(detail.starts_with("provider: ") && detail.contains("docker") && detail.contains("sandbox"), "{problem}");
        }
        // One that is loaded, and that no connection has.
        let none = gateway.api.get(&format!("{list}?provider=docker")).await.is(200).json();
        assert_eq!((&none["data"], &none["total"]), (&json!([]), &json!(0)), "{none}");
        let _ = gateway.api.get(&format!("{list}?provider=sandbox")).await.is(200);
    }
    let listed = gateway.api.get("/connections?provider=sandbox").await.is(200).json();
    assert_eq!(listed["data"][0]["id"], "sandbox", "{listed}");
}

/// Operations outlive their connection.
#[tokio::test]
async fn operations_are_found_by_a_connection_that_is_gone() {
    let gateway = Gateway::start().await;
    gateway.connect("gone", "sandbox", json!({"work_seconds": 0})).await;
    let made = gateway.api.post("/sites", &json!({"connection": "gone", "name": "Shop"})).await.is(201).json();
    let _ = gateway.api.delete("/connections/gone").await.is(204);
    let found = gateway.api.get("/operations?connection=gone").await.is(200).json();
    assert_eq!(found["data"][0]["id"], made["id"], "{found}");
    let none = gateway.api.get("/operations?connection=none").await.is(200).json();
    assert_eq!(none["data"], json!([]), "{none}");
    for bad in ["", "UPPER", "gone,sandbox"] {
        let problem = gateway.api.get(&format!("/operations?connection={bad}")).await.problem(422, "invalid_input");
        assert_eq!(problem["fields"][0]["field"], "connection", "{problem}");
    }
}
