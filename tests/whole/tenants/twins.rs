//! The same id of a connection, the same site, the same question, the same key: each organization has its own.
//!
//! Invariant: the first organization and somebody of the second ask in turns, so that what is kept for one (answers, warm
//! instances, keys, events) would be met by the other.

use super::{
    MARK,
    askers::{Asker, everybody},
    tells_nothing, text,
};
use bytes::Bytes;
use http::Method;
use portico_tests::{Api, Gateway, Sse};
use serde_json::{Value, json};

const SITE: &str = "/sites/twin~seed-00001";

/// Makes the connection that both have.
async fn furnish(api: &Api) {
    let settings = json!({"work_seconds": 0, "seed_sites": 3});
    let body = json!({"id": "twin", "provider": "sandbox", "name": "Twin", "settings": settings});
    let _ = api.post("/connections", &body).await.is(201);
}

async fn name(api: &Api) -> String {
    text(&api.get(SITE).await.is(200).json()["name"])
}

/// The first one's sites are marked, and the second's aren't.
async fn read_in_turns(first: &Api, asker: &Asker, original: &str) {
    let (api, who) = (&asker.api, &asker.who);
    assert_eq!(name(first).await, format!("{MARK} one"));
    assert_eq!(name(api).await, original, "{who}");
    let lists = [first.get("/sites").await.is(200), api.get("/sites").await.is(200)];
    assert!(lists[0].text().contains(MARK) && !lists[1].text().contains(MARK), "{who}: {}", lists[1].text());
    assert_ne!(lists[0].header("etag"), lists[1].header("etag"), "{who}");
    let live = api.send(Method::GET, SITE, &[("cache-control", "no-cache")], Bytes::new()).await;
    tells_nothing(&live.is(200), &format!("{who}: a live read"));
}

/// One key, one body: two operations, whose ids are the answer, and each organization gets its own again.
async fn change_with_one_key(first: &Api, asker: &Asker) -> [Value; 2] {
    let (key, body) = (asker.who.as_str(), json!({"connection": "twin", "name": format!("By {}", asker.who)}));
    let send = async |api: &Api| {
        let headers = [("idempotency-key", key), ("prefer", "wait=30")];
        api.json(Method::POST, "/sites", &headers, &body).await.is(201).json()
    };
    let (one, other) = (send(first).await, send(&asker.api).await);
    assert_ne!(one["id"], other["id"], "{key}");
    assert_ne!(one["result"]["id"], other["result"]["id"], "{key}");
    assert_eq!((&send(first).await["id"], &send(&asker.api).await["id"]), (&one["id"], &other["id"]), "{key}");
    asker.api.get(&format!("/sites/{}", text(&one["result"]["id"]))).await.problem(404, "not_found");
    [one["id"].clone(), other["id"].clone()]
}

/// The stream tells of the second one's own operations alone, up to the end of the last.
async fn hear(watch: &mut Sse, theirs: &[Value], last: &Value, who: &str) {
    loop {
        let event = watch.next().await.expect("an event");
        let id = &event.json["data"]["id"];
        assert!(!event.json.to_string().contains(MARK) && !theirs.contains(id), "{who}: {}", event.json);
        if id == last && event.json["data"]["status"] == "succeeded" {
            break;
        }
    }
}

#[tokio::test]
async fn the_same_names_in_both_organizations_are_two_things() {
    let gateway = Gateway::start().await;
    let first = gateway.api.with_token(&gateway.new_token("first"));
    let askers = everybody(&gateway, "second").await;
    let second = &askers[0].api;
    furnish(&first).await;
    furnish(second).await;
    let original = name(second).await;
    let mut watches = Vec::new();
    for asker in &askers {
        watches.push(asker.api.watch("/events", &[]).await);
    }
    let renamed = json!({"name": format!("{MARK} one")});
    let _ = first.json(Method::PATCH, SITE, &[("prefer", "wait=30")], &renamed).await.is(200);
    let _ = first.json(Method::PATCH, "/sites/twin~seed-00002", &[], &json!({"labels": {"client": MARK}})).await.is(200);
    for asker in askers.iter().cycle().take(5 * askers.len()) {
        read_in_turns(&first, asker, &original).await;
    }
    let (mut theirs, mut last) = (Vec::new(), Value::Null);
    // A viewer makes no sites.
    for asker in askers.iter().filter(|one| one.role != "viewer") {
        let [one, other] = change_with_one_key(&first, asker).await;
        theirs.push(one);
        last = other;
    }
    assert_eq!(theirs.len(), 6);
    for (watch, asker) in watches.iter_mut().zip(&askers) {
        hear(watch, &theirs, &last, &asker.who).await;
    }
}
