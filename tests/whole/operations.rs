//! Operations of two organizations on one gateway: a backlog at a host that never answers holds up no other's changes.
//!
//! Invariant: what counts is what had begun when, not how long it took: when the other's change has ended, a part of the backlog has
//! never been tried.

use futures_util::future::join_all;
use http::Method;
use portico_tests::{Answer, Api, Gateway, Setup, Upstream};
use serde_json::{Value, json};

const BACKLOG: usize = 400;
/// Clients that order at the same time.
const TOGETHER: usize = 8;

/// Orders changes without waiting for any.
async fn order(api: &Api, numbers: impl Iterator<Item = usize>) {
    for number in numbers {
        let body = json!({"connection": "slow", "name": format!("Site {number}")});
        let _ = api.json(Method::POST, "/sites", &[("prefer", "respond-async")], &body).await.is(202);
    }
}

/// Some of those of which nothing was tried yet: one that had to wait for its host says so.
async fn untried(api: &Api) -> usize {
    let newest = api.get("/operations?status=queued&limit=100").await.is(200).json();
    newest["data"].as_array().expect("operations").iter().filter(|operation| operation["message"] == Value::Null).count()
}

#[tokio::test]
async fn a_backlog_of_one_organization_keeps_no_other_waiting() {
    let silent = Upstream::start(|_| Answer::Never).await;
    let gateway = Gateway::start_with(Setup { guests: vec!["blind"], ..Setup::default() }).await;
    gateway.connect("slow", "blind", json!({"url": silent.url()})).await;
    let other = gateway.api.with_token(&gateway.new_token("other"));
    let body = json!({"id": "quick", "provider": "sandbox", "name": "Quick", "settings": {"work_seconds": 0}});
    let _ = other.post("/connections", &body).await.is(201);
    join_all((0..TOGETHER).map(|first| order(&gateway.api, (first..BACKLOG).step_by(TOGETHER)))).await;
    let made = other.post("/sites", &json!({"connection": "quick", "name": "Shop"})).await.is(201).json();
    assert_eq!(made["status"], "succeeded", "{made}");
    assert!(untried(&gateway.api).await > 0, "its turn came after the whole backlog");
}
