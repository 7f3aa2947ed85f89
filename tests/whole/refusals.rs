//! Refusals by which a client can be mended: the code that the document has, the field, and what to do.
//!
//! Invariant: a refusal names nothing that isn't there, and has the code that its document tells.

use bytes::Bytes;
use http::Method;
use portico_tests::{Gateway, Setup};
use serde_json::{Value, json};

fn fields(problem: &Value) -> Vec<&str> {
    let fields = problem["fields"].as_array().into_iter().flatten();
    fields.filter_map(|field| field["field"].as_str()).collect()
}

#[tokio::test]
async fn a_connection_that_cannot_be_made_says_why_and_has_no_name_yet() {
    // With a grant of its own, the gateway has none for loopback addresses.
    let grant = "[[grants]]\norganization = \"nobody\"\nprovider = \"none\"\nnetworks = [\"127.0.0.0/8\"]\n";
    let gateway = Gateway::start_with(Setup { config: grant.to_owned(), ..Setup::default() }).await;
    let missing = json!({ "provider": "wpengine", "name": "W", "secrets": { "password": "p" } });
    let problem = gateway.api.post("/connections", &missing).await.problem(422, "invalid_input");
    assert_eq!((fields(&problem), problem.get("connection")), (vec!["secrets.username"], None), "{problem}");
    let secrets = json!({ "username": "u", "password": "p" });
    let settings = json!({ "base_url": "https://127.0.0.1:9/v1" });
    let local = json!({ "provider": "wpengine", "name": "W", "settings": settings, "secrets": secrets });
    let problem = gateway.api.post("/connections", &local).await.problem(422, "grant_missing");
    assert_eq!(problem.get("connection"), None, "{problem}");
    let wrong = json!({ "provider": "sandbox", "name": "S", "settings": { "work_seconds": "long" } });
    let problem = gateway.api.post("/connections", &wrong).await.problem(422, "invalid_input");
    let detail = problem["detail"].as_str().expect("words");
    assert!(detail.starts_with("settings.work_seconds: "), "{problem}");
}

#[tokio::test]
async fn what_is_wrong_in_a_query_or_a_path_is_named() {
    let gateway = Gateway::start().await;
    let api = &gateway.api;
    for path in ["/sites?connection=UPPER", "/events?connection=UPPER", "/billing/usage?connection=UPPER"] {
        assert_eq!(fields(&api.get(path).await.problem(422, "invalid_input")), ["connection"], "{path}");
    }
    let twice = api.get("/connections?limit=5&limit=6").await.problem(422, "invalid_input");
    assert_eq!(fields(&twice), ["limit"], "{twice}");
    let problem = api.get("/sites/sandbox~a/environments/QA%202/current").await.problem(400, "invalid_id");
    assert!(problem["detail"].as_str().is_some_and(|detail| detail.ends_with("write it as QA=202")), "{problem}");
    let problem = api.json(Method::POST, "/connections/sandbox/test", &[], &json!({ "deep": true })).await;
    let problem = problem.problem(422, "invalid_input");
    assert!(problem["detail"].as_str().is_some_and(|detail| detail.ends_with("this endpoint takes no body")), "{problem}");
    let made = api.post("/sites", &json!({ "connection": "sandbox", "name": "S" })).await.is(201).json();
    let site = made["result"]["id"].as_str().expect("its id");
    let logs = api.get(&format!("/sites/{site}/logs?environment=nope")).await.problem(422, "invalid_input");
    assert!(logs["detail"].as_str().is_some_and(|detail| detail.ends_with("…/environments")), "{logs}");
    // HEAD is GET without a body.
    let head = api.send(Method::HEAD, &format!("/sites/{site}"), &[], Bytes::new()).await.is(200);
    assert!(head.header("etag").is_some() && head.body.is_empty(), "{head:?}");
}
