//! Labels: given, changed, searched for, kept through crashes, and the one that protects a site.
//!
//! Invariant: hosts know nothing of labels; a read tells them at once, whatever is cached of the host's answer.

use bytes::Bytes;
use http::Method;
use portico_tests::{Answer, Api, Gateway, Reply, Upstream, eventually};
use serde_json::{Value, json};
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("not a text: {value}"))
}

async fn site(api: &Api, name: &str, labels: Value) -> String {
    let body = json!({"connection": "quick", "name": name, "labels": labels});
    let made = api.post("/sites", &body).await.is(201).json();
    assert_eq!(made["result"]["labels"], labels, "{made}");
    text(&made["result"]["id"]).to_owned()
}

async fn patch(api: &Api, site: &str, body: Value) -> Reply {
    api.json(Method::PATCH, &format!("/sites/{site}"), &[("prefer", "wait=30")], &body).await
}

async fn labels(api: &Api, site: &str) -> Value {
    api.get(&format!("/sites/{site}")).await.is(200).json()["labels"].clone()
}

async fn quick() -> Gateway {
    let gateway = Gateway::start().await;
    gateway.connect("quick", "sandbox", json!({"work_seconds": 0})).await;
    gateway
}

#[tokio::test]
async fn labels_are_in_every_answer_and_change_at_once() {
    let mut gateway = quick().await;
    let api = &gateway.api;
    let id = site(api, "Labelled", json!({"team": "web", "example.com/tier": "gold"})).await;
    let other = site(api, "Plain", json!({})).await;
    assert_eq!(labels(api, &id).await, json!({"team": "web", "example.com/tier": "gold"}));
    assert_eq!(labels(api, &other).await, json!({}));
    let list = api.get("/sites?connection=quick").await.is(200).json();
    assert_eq!(list["data"][0]["labels"], json!({"team": "web", "example.com/tier": "gold"}), "{list}");
    assert_eq!(list["data"][1]["labels"], json!({}), "{list}");

    // A merge, answered with the site, without an operation.
    let tag = api.get(&format!("/sites/{id}")).await.header("etag").expect("a tag").to_owned();
    let list_tag = api.get("/sites").await.header("etag").expect("a tag").to_owned();
    let before = api.get("/operations?limit=100").await.json()["data"].as_array().expect("operations").len();
    let changed = patch(api, &id, json!({"labels": {"team": "shop", "example.com/tier": null, "no-such": null}})).await;
    let changed = changed.is(200).json();
    assert_eq!((&changed["id"], &changed["labels"]), (&json!(id), &json!({"team": "shop"})));
    assert_eq!(api.get("/operations?limit=100").await.json()["data"].as_array().expect("operations").len(), before);
    assert_eq!(labels(api, &id).await, json!({"team": "shop"}));
    for (path, tag) in [(format!("/sites/{id}"), tag), ("/sites".to_owned(), list_tag)] {
        let again = api.send(Method::GET, &path, &[("if-none-match", &tag)], Bytes::new()).await;
        assert_ne!(again.is(200).header("etag"), Some(tag.as_str()), "{path}");
    }
    // In the result of an operation on the site, and after a change of the connection.
    let stopped = patch(api, &id, json!({"status": "stopped"})).await.is(200).json();
    assert_eq!(stopped["result"]["labels"], json!({"team": "shop"}), "{stopped}");
    let _ = api.json(Method::PATCH, "/connections/quick", &[], &json!({"name": "Renamed"})).await.is(200);
    let _ = patch(api, &id, json!({"labels": {"more": ""}})).await.is(200);
    assert_eq!(labels(api, &id).await, json!({"team": "shop", "more": ""}));
    // And after a crash.
    gateway.kill9();
    gateway.restart().await;
    assert_eq!(labels(&gateway.api, &id).await, json!({"team": "shop", "more": ""}));
}

#[tokio::test]
async fn what_is_no_label_is_refused_and_changes_nothing() {
    let gateway = quick().await;
    let api = &gateway.api;
    let id = site(api, "Site", json!({"a": "1"})).await;
    let many: Value = (0..33).map(|n| (format!("k{n}"), json!("x"))).collect::<serde_json::Map<_, _>>().into();
    let some: Value = (0..32).map(|n| (format!("k{n}"), json!("x"))).collect::<serde_json::Map<_, _>>().into();
    for bad in [
        json!({"Upper": "x"}),
        json!({"": "x"}),
        json!({"-a": "x"}),
        json!({"a b": "x"}),
        json!({"k".repeat(64): "x"}),
        json!({"k": "x".repeat(256)}),
        json!({"k": "a\nb"}),
        json!({"k": 1}),
        json!({"k": {}}),
        json!(["k"]),
        json!("k"),
        many,
    ] {
        let problem = patch(api, &id, json!({"labels": bad})).await.problem(422, "invalid_input");
        assert!(text(&problem["fields"][0]["field"]).starts_with("labels"), "{bad}: {problem}");
        let body = json!({"connection": "quick", "name": "Never", "labels": bad});
        let problem = api.post("/sites", &body).await.problem(422, "invalid_input");
        assert!(text(&problem["fields"][0]["field"]).starts_with("labels"), "{bad}: {problem}");
    }
    // One more than a site may have, with the one that is there.
    patch(api, &id, json!({"labels": some})).await.problem(422, "invalid_input");
    for (body, field) in [
        (json!({"labels": {"b": "2"}, "name": "New"}), "labels"),
        (json!({"labels": {"b": "2"}, "status": "stopped"}), "labels"),
    ] {
        let problem = patch(api, &id, body).await.problem(422, "invalid_input");
        assert_eq!(problem["fields"][0]["field"], field, "{problem}");
    }
    let nothing = patch(api, &id, json!({"labels": null})).await.problem(422, "invalid_input");
    assert!(nothing.get("fields").is_none() && text(&nothing["detail"]).ends_with(", labels"), "{nothing}");
    patch(api, "quick~none", json!({"labels": {"b": "2"}})).await.problem(404, "not_found");
    patch(api, "none~x", json!({"labels": {"b": "2"}})).await.problem(404, "connection_not_found");
    for query in ["label=Upper", "label=", "label=:x", "label=a%0A", "q=", "q=%00", "kind=castle", "sort=labels"] {
        api.get(&format!("/sites?{query}")).await.problem(422, "invalid_input");
    }
    let often = vec!["label=a"; 33].join("&");
    api.get(&format!("/sites?{often}")).await.problem(422, "invalid_input");
    assert_eq!(labels(api, &id).await, json!({"a": "1"}));
    assert_eq!(api.get("/sites?connection=quick").await.json()["total"], 1);
}

#[tokio::test]
async fn sites_are_found_by_label_text_and_kind() {
    let gateway = quick().await;
    let api = &gateway.api;
    let body = json!({"connection": "quick", "name": "Delta", "kind": "plain", "domain": "www.delta.example"});
    let _ = api.post("/sites", &body).await.is(201);
    site(api, "Alpha", json!({"team": "web", "owner": "Ann:Lee"})).await;
    site(api, "Beta", json!({"team": "web"})).await;
    site(api, "Gamma", json!({"team": "shop", "owner": "Bob"})).await;
    gateway.connect("ten", "sandbox", json!({"seed_sites": 10})).await;
    let names = async |query: &str| {
        let list = api.get(&format!("/sites?{query}")).await.is(200).json();
        let names: Vec<String> =
            list["data"].as_array().expect("sites").iter().map(|site| text(&site["name"]).to_owned()).collect();
        names
    };
    for (query, expected) in [
        ("label=team", &["Alpha", "Beta", "Gamma"][..]),
        ("label=team:web", &["Alpha", "Beta"]),
        ("label=team:web&label=owner", &["Alpha"]),
        ("label=owner:Ann%3ALee", &["Alpha"]),
        ("label=team&name=a&label=owner&order=desc", &["Gamma", "Alpha"]),
        ("label=team:we", &[]),
        ("label=none", &[]),
        ("q=ann", &["Alpha"]),
        ("q=DELTA.example", &["Delta"]),
        ("q=gam&label=team", &["Gamma"]),
        ("kind=plain&connection=quick", &["Delta"]),
        ("kind=wordpress&connection=quick", &["Alpha", "Beta", "Gamma"]),
    ] {
        assert_eq!(names(query).await, expected, "{query}");
    }
    for (sort, keys) in [("url", ["url", "id"]), ("connection", ["connection", "id"])] {
        let list = api.get(&format!("/sites?sort={sort}&limit=100")).await.is(200).json();
        let rows = list["data"].as_array().expect("sites");
        let found: Vec<[Option<&str>; 2]> = rows.iter().map(|site| keys.map(|key| site[key].as_str())).collect();
        assert!(found.len() == 14 && found.is_sorted(), "{sort}: {found:?}");
    }
    // A cursor is good for its own labels alone, and goes on with them.
    let pages = api.walk("/sites?label=team&limit=1").await;
    let walked: Vec<&Value> = pages.iter().map(|page| &page["data"][0]["name"]).collect();
    assert_eq!(walked, ["Alpha", "Beta", "Gamma"]);
    let cursor = text(&pages[0]["next_cursor"]);
    api.get(&format!("/sites?label=owner&limit=1&cursor={cursor}")).await.problem(400, "cursor_invalid");
}

#[tokio::test]
async fn a_protected_site_stays() {
    let gateway = quick().await;
    let api = &gateway.api;
    let id = site(api, "Precious", json!({"protected": ""})).await;
    let path = format!("/sites/{id}");
    let before = api.get("/operations?limit=100").await.json()["data"].as_array().expect("operations").len();
    let problem = api.delete(&path).await.problem(409, "protected");
    assert!(text(&problem["detail"]).contains(&format!("PATCH /api/v1/sites/{id}")), "{problem}");
    let after = api.get("/operations?limit=100").await.json()["data"].as_array().expect("operations").len();
    assert_eq!(before, after, "an operation was made of it");
    // Everything else goes on.
    let _ = patch(api, &id, json!({"status": "stopped"})).await.is(200);
    for value in ["true", "no", "FALSE"] {
        let _ = patch(api, &id, json!({"labels": {"protected": value}})).await.is(200);
        api.delete(&path).await.problem(409, "protected");
    }
    let _ = patch(api, &id, json!({"labels": {"protected": "false", "team": "web"}})).await.is(200);
    let _ = api.delete(&path).await.is(200);
    api.get(&path).await.problem(404, "not_found");
    assert_eq!(api.get("/sites?label=team").await.json()["data"], json!([]));
}

/// A host that asks everybody to wait for an hour, as soon as it is told to.
async fn busy_host(busy: &Arc<AtomicBool>) -> Upstream {
    let busy = Arc::clone(busy);
    Upstream::start(move |_| match busy.load(Ordering::Relaxed) {
        true => Answer::Raw(429, vec![("retry-after", "3600".to_owned())], Bytes::new()),
        false => Answer::Json(200, json!({})),
    })
    .await
}

#[tokio::test]
async fn a_site_that_is_protected_while_its_deletion_waits_stays() {
    let busy = Arc::new(AtomicBool::new(false));
    let host = busy_host(&busy).await;
    let mut gateway = Gateway::start().await;
    let settings = json!({"seed_sites": 2, "work_seconds": 0, "latency_url": host.url(), "cache": {"sites.get": 3600}});
    gateway.connect("busy", "sandbox", settings).await;
    let (id, path) = ("busy~seed-00001", "/sites/busy~seed-00001");
    let _ = gateway.api.get(path).await.is(200);
    busy.store(true, Ordering::Relaxed);
    // Whoever reads this now is the one who is asked to wait.
    let _ = gateway.api.get("/sites/busy~seed-00002").await;
    let accepted = gateway.api.send(Method::DELETE, path, &[("prefer", "respond-async")], Bytes::new()).await.is(202).json();
    let operation = format!("/operations/{}", text(&accepted["id"]));
    eventually("the deletion to wait", async || {
        let now = gateway.api.get(&operation).await.is(200).json();
        (now["status"] == "queued" && now["message"].is_string()).then_some(())
    })
    .await;
    let _ = patch(&gateway.api, id, json!({"labels": {"protected": "yes"}})).await.is(200);
    // The next process knows of no pause, and goes on with it at once.
    busy.store(false, Ordering::Relaxed);
    gateway.kill9();
    gateway.restart().await;
    let end = gateway.api.get(&format!("{operation}?wait=30s")).await.is(200).json();
    assert_eq!((&end["status"], &end["error"]["code"]), (&json!("failed"), &json!("protected")), "{end}");
    let _ = gateway.api.get(path).await.is(200);
}

#[tokio::test]
async fn labels_of_a_new_site_survive_a_crash() {
    let mut gateway = Gateway::start().await;
    gateway.connect("slow", "sandbox", json!({"work_seconds": 2})).await;
    let body = json!({"connection": "slow", "name": "Survivor", "labels": {"team": "web", "protected": "yes"}});
    let accepted = gateway.api.json(Method::POST, "/sites", &[("prefer", "respond-async")], &body).await.is(202).json();
    gateway.kill9();
    gateway.restart().await;
    let path = format!("/operations/{}?wait=30s", text(&accepted["id"]));
    let end = gateway.api.get(&path).await.is(200).json();
    assert_eq!((&end["status"], &end["result"]["labels"]), (&json!("succeeded"), &body["labels"]), "{end}");
    let id = text(&end["result"]["id"]);
    assert_eq!(labels(&gateway.api, id).await, body["labels"]);
    gateway.api.delete(&format!("/sites/{id}")).await.problem(409, "protected");
    // A clone begins without.
    let clone = gateway.api.post(&format!("/sites/{id}/clone"), &json!({"name": "Clone"})).await.is(201).json();
    assert_eq!(clone["result"]["labels"], json!({}), "{clone}");
    // One that failed leaves none behind.
    let body = json!({"connection": "slow", "name": "fail", "labels": {"team": "none"}});
    assert!(!gateway.api.post("/sites", &body).await.status.is_success());
    assert_eq!(gateway.api.get("/sites?label=team:none").await.json()["data"], json!([]));
}
