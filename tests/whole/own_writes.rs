//! A client reads its own writes: whoever was told that a change ended finds it, whatever was kept before and whoever else reads.

use bytes::Bytes;
use http::Method;
use portico_tests::{Api, Gateway, wait_until};
use serde_json::{Value, json};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

const ROUNDS: usize = 20;

/// Keeps the answer fresh in the cache, so that an old one is there to be found.
async fn read_on(api: Api, path: String, over: Arc<AtomicBool>) {
    while !over.load(Ordering::Acquire) {
        let _ = api.get(&path).await.is(200);
    }
}

/// By polling, as a client does that can't wait.
async fn ended(api: &Api, operation: &Value) {
    let path = format!("/operations/{}", operation["id"].as_str().expect("an id"));
    let end = wait_until("the change to end", Duration::from_secs(30), async || {
        let now = api.get(&path).await.is(200).json();
        (!["queued", "running"].contains(&now["status"].as_str().expect("a status"))).then_some(now)
    })
    .await;
    assert_eq!(end["status"], "succeeded", "{end}");
}

#[tokio::test]
async fn who_polls_an_operation_to_its_end_finds_what_it_made() {
    let gateway = Gateway::start().await;
    let api = &gateway.api;
    gateway.connect("quick", "sandbox", json!({"work_seconds": 0, "seed_sites": 1})).await;
    let sites = api.get("/sites?connection=quick").await.is(200).json();
    let path = format!("/sites/{}", sites["data"][0]["id"].as_str().expect("an id"));
    let over = Arc::new(AtomicBool::new(false));
    let readers: Vec<_> = (0..3).map(|_| tokio::spawn(read_on(gateway.fresh_api(), path.clone(), Arc::clone(&over)))).collect();
    for round in 0..ROUNDS {
        let (name, body) = (format!("Name {round}"), json!({"name": format!("Name {round}")}));
        let accepted = api.json(Method::PATCH, &path, &[("prefer", "respond-async")], &body).await;
        assert!(accepted.status.is_success(), "{}", accepted.text());
        ended(api, &accepted.json()).await;
        let site = api.send(Method::GET, &path, &[], Bytes::new()).await.is(200).json();
        assert_eq!(site["name"], name, "an answer of before the change was given after its end");
    }
    over.store(true, Ordering::Release);
    for reader in readers {
        reader.await.expect("reading goes on");
    }
}

/// Long before its operation ends. The sandbox asks nobody, so it isn't a request's leaving that tells, but what the call came to, or
/// that it changed what is kept for the connection: either is enough.
#[tokio::test]
async fn what_a_change_does_before_its_end_is_seen_at_once() {
    let gateway = Gateway::start().await;
    let api = &gateway.api;
    let settings = json!({"seed_sites": 1, "work_seconds": 20, "cache": {"sites.get": 3600, "sites.list": 3600}});
    gateway.connect("slow", "sandbox", settings).await;
    let sites = api.get("/sites?connection=slow").await.is(200).json();
    let path = format!("/sites/{}", sites["data"][0]["id"].as_str().expect("an id"));
    assert_eq!(api.get(&path).await.is(200).json()["status"], "running");
    let accepted = api.send(Method::DELETE, &path, &[("prefer", "respond-async")], Bytes::new()).await.is(202).json();
    let operation = format!("/operations/{}", accepted["id"].as_str().expect("an id"));
    wait_until("the deletion to go on", Duration::from_secs(10), async || {
        let now = api.get(&operation).await.is(200).json();
        (now["status"] == "running" && !now["progress"].is_null()).then_some(())
    })
    .await;
    assert_eq!(api.get(&path).await.is(200).json()["status"], "deleting");
    assert_eq!(api.get("/sites?connection=slow").await.is(200).json()["data"][0]["status"], "deleting");
}
