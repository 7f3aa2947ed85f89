//! Prism (npm) serves the vendors' own specifications and judges every request that our providers send.
//!
//! In go a specification and a table of calls for each provider; a failure comes out for any request that the specification
//! doesn't allow, and for a provider that sent fewer kinds of requests than it can. Prism's answers are examples, so an
//! operation may end badly here; what counts is what was asked. Invariant: no request reaches a provider's upstream but through
//! the relay, which writes down prism's judgement of it.

mod kinsta;
mod relay;
mod server;
mod wpengine;

use http::Method;
use portico_tests::{Api, Gateway, gateway::root, wait_until};
use relay::{Judged, Relay};
use serde_json::{Value, json};
use server::Prism;
use std::{collections::BTreeSet, time::Duration};

/// One row of the table.
struct Row {
    provider: &'static str,
    /// In `tests/specs`.
    specification: &'static str,
    /// Of a connection whose upstream is at this URL.
    settings: fn(&str) -> Value,
    secrets: fn() -> Value,
    calls: fn() -> Vec<Call>,
    /// Changes an answer so that the provider goes on with its work (an example has one environment where two are needed).
    adapt: fn(&Method, &str, Value) -> Value,
    /// So many operations of the specification are exercised, neither more nor fewer.
    operations: usize,
}

/// A call of Portico's API on the connection `c`.
struct Call {
    method: Method,
    path: String,
    body: Value,
}

impl Call {
    fn get(path: impl Into<String>) -> Self {
        Self { method: Method::GET, path: path.into(), body: Value::Null }
    }

    /// A null body is none.
    fn change(method: Method, path: impl Into<String>, body: Value) -> Self {
        Self { method, path: path.into(), body }
    }
}

/// The calls that are judged of a provider in this dialect, as the table of all providers has its columns.
pub fn calls(column: &str) -> Vec<(Method, String, Value)> {
    let row = match column {
        "kinsta" => &kinsta::ROW,
        "wpengine-live" => &wpengine::ROW,
        _ => return Vec::new(),
    };
    (row.calls)().into_iter().map(|call| (call.method, call.path, call.body)).collect()
}

#[tokio::test]
async fn every_request_to_kinsta_is_valid() {
    judge(&kinsta::ROW).await;
}

#[tokio::test]
async fn every_request_to_wpengine_is_valid() {
    judge(&wpengine::ROW).await;
}

/// What would say nothing about a wrong request proves nothing about a right one.
#[tokio::test]
async fn a_wrong_request_is_noticed() {
    let prism = Prism::start(&root().join("tests/specs").join(kinsta::ROW.specification)).await;
    let relay = Relay::start(prism.address(), |_, _, answer| answer).await;
    let api = Api::new(relay.address(), None);
    let authorized = [("authorization", "Bearer any")];
    let clone = json!({"company": "c", "display_name": "d", "source_env_id": "e"});
    for (path, headers, body, what) in [
        ("/sites/clone", &authorized[..], clone.clone(), None),
        ("/sites/clone", &authorized[..], json!({"company": "c", "display_name": 7}), Some("source_env_id")),
        ("/sites/clone", &[], clone.clone(), Some("401")),
        ("/nowhere", &authorized[..], clone, Some("404")),
    ] {
        let _ = api.json(Method::POST, path, headers, &body).await;
        let violation = relay.judged().pop().and_then(|judged| judged.violation);
        assert_eq!(violation.is_some(), what.is_some(), "{body}: {violation:?}");
        assert!(violation.unwrap_or_default().contains(what.unwrap_or_default()), "{body}");
    }
}

async fn judge(row: &Row) {
    let specification = root().join("tests/specs").join(row.specification);
    let prism = Prism::start(&specification).await;
    let relay = Relay::start(prism.address(), row.adapt).await;
    let gateway = Gateway::start().await;
    let body = json!({"id": "c", "provider": row.provider, "name": "c", "settings": (row.settings)(&relay.url()), "secrets": (row.secrets)()});
    let _ = gateway.api.post("/connections", &body).await.is(201);
    let mut begun = Vec::new();
    for call in (row.calls)() {
        begun.extend(send(&gateway, &call).await);
    }
    for (call, operation) in begun {
        end(&gateway, &call, &operation).await;
    }
    report(row, &relay.judged(), &specification);
}

/// The operation that was begun, if it was a change.
async fn send(gateway: &Gateway, call: &Call) -> Option<(String, String)> {
    let headers = [("prefer", "respond-async"), ("cache-control", "no-cache")];
    let Call { method, path, body } = call;
    let reply = match body {
        Value::Null => gateway.api.send(method.clone(), path, &headers, bytes::Bytes::new()).await,
        body => gateway.api.json(method.clone(), path, &headers, body).await,
    };
    // A call that the gateway itself refuses never reaches the provider: the table is wrong, or a feature is missing.
    let refused = [400, 404, 405, 415, 422, 501].contains(&reply.status.as_u16());
    assert!(!refused, "{method} {path}: {} {}", reply.status, reply.text());
    let id = (reply.status == 202).then(|| reply.json()["id"].as_str().map(str::to_owned)).flatten();
    id.map(|id| (format!("{method} {path}"), id))
}

async fn end(gateway: &Gateway, call: &str, operation: &str) {
    let path = format!("/operations/{operation}");
    let ended = wait_until(&format!("the end of {call}"), Duration::from_secs(90), async || {
        let now = gateway.api.get(&path).await.is(200).json();
        (!["queued", "running"].contains(&now["status"].as_str().unwrap_or_default())).then_some(now)
    })
    .await;
    if ended["status"] != "succeeded" {
        eprintln!("prism: {call}: {} {}", ended["status"], ended["error"]["detail"]);
    }
}

fn report(row: &Row, judged: &[Judged], specification: &std::path::Path) {
    let text = std::fs::read_to_string(specification).expect("the specification");
    let document: Value = serde_json::from_str(&text).expect("JSON");
    let templates = document["paths"].as_object().expect("paths");
    let exercised: BTreeSet<String> = judged.iter().map(|judged| operation(templates, judged)).collect();
    let violations: Vec<&Judged> = judged.iter().filter(|judged| judged.violation.is_some()).collect();
    eprintln!(
        "prism: {}: {} requests, {} operations of {}, {} violations",
        row.provider,
        judged.len(),
        exercised.len(),
        row.specification,
        violations.len()
    );
    exercised.iter().for_each(|operation| eprintln!("prism:   {operation}"));
    assert!(violations.is_empty(), "{violations:#?}");
    assert_eq!(exercised.len(), row.operations, "{exercised:#?}");
}

/// Method and path as the specification has them: the template that fits with most of its segments written out.
fn operation(templates: &serde_json::Map<String, Value>, judged: &Judged) -> String {
    let asked: Vec<&str> = judged.path.split('?').next().unwrap_or_default().split('/').collect();
    let method = judged.method.as_str().to_ascii_lowercase();
    let fits = |template: &&String| {
        let segments: Vec<&str> = template.split('/').collect();
        let same = |(segment, asked): (&&str, &&str)| segment == asked || segment.starts_with('{');
        segments.len() == asked.len() && segments.iter().zip(&asked).all(same) && templates[*template].get(&method).is_some()
    };
    let best = templates.keys().filter(fits).min_by_key(|template| template.matches('{').count());
    format!("{} {}", judged.method, best.unwrap_or(&judged.path))
}
