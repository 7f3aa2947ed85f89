//! The short way of a cached read and the stack behind it answer the same.
//!
//! Invariant: whatever is asked, both ways give the same status, headers and body; only what names one request or one moment differs.
//! A `Cache-Control` that changes nothing (`no-transform`) sends a request through the stack.

use bytes::Bytes;
use http::Method;
use portico_tests::{Api, Gateway, Reply};
use serde_json::json;
use std::collections::BTreeMap;

const SITE: &str = "/sites/hot~seed-00001";

/// What differs from one request to the next.
const PASSING: [&str; 8] =
    ["x-request-id", "date", "age", "ratelimit", "x-ratelimit-remaining", "x-ratelimit-reset", "cache-status", "traceparent"];

async fn short(api: &Api, path: &str, headers: &[(&str, &str)]) -> Reply {
    api.send(Method::GET, path, headers, Bytes::new()).await
}

async fn long(api: &Api, path: &str, headers: &[(&str, &str)]) -> Reply {
    let headers = [headers, &[("cache-control", "no-transform")]].concat();
    api.send(Method::GET, path, &headers, Bytes::new()).await
}

fn lasting(reply: &Reply) -> BTreeMap<String, String> {
    let all = reply.headers.iter();
    let named = all.map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()));
    named.filter(|(name, _)| !PASSING.contains(&name.as_str())).collect()
}

fn same(short: &Reply, long: &Reply, what: &str) {
    assert_eq!((short.status, lasting(short)), (long.status, lasting(long)), "{what}");
    let text = |reply: &Reply| {
        // A problem names its request.
        let mut json: serde_json::Value = serde_json::from_slice(&reply.body).unwrap_or_default();
        json.as_object_mut().map(|object| object.remove("request_id"));
        json
    };
    assert_eq!(text(short), text(long), "{what}");
    for reply in [short, long] {
        assert!(reply.header("x-request-id").is_some(), "{what}");
    }
}

async fn fixture() -> Gateway {
    let gateway = Gateway::start().await;
    let settings = json!({"seed_sites": 3, "work_seconds": 0, "cache": {"sites.get": 3600}});
    gateway.connect("hot", "sandbox", settings).await;
    let _ = gateway.api.get(SITE).await.is(200);
    gateway
}

#[tokio::test]
async fn both_ways_answer_the_same() {
    let gateway = fixture().await;
    let api = &gateway.api;
    let tag = api.get(SITE).await.is(200).header("etag").expect("a tag").to_owned();
    let stranger = api.with_token(&gateway.new_token("strangers"));
    let unknown = api.with_token(&format!("ptk_{}", "A".repeat(43)));
    for (who, api) in [("owner", api), ("stranger", &stranger), ("unknown", &unknown)] {
        for path in
            [SITE, "/sites/hot~seed-00009", "/sites/none~a", "/sites/hot~", "/sites/hot~=zz", "/sites/x", "/sites/hot~a=2Fb"]
        {
            for headers in
                [&[][..], &[("if-none-match", tag.as_str())], &[("if-none-match", "\"other\"")], &[("x-api-key", "ptk_x")]]
            {
                let (short, long) = (short(api, path, headers).await, long(api, path, headers).await);
                same(&short, &long, &format!("{who} {path} {headers:?}"));
            }
        }
    }
}

#[tokio::test]
async fn both_ways_see_a_change_at_once() {
    let gateway = fixture().await;
    let api = &gateway.api;
    for round in 0..20 {
        let name = format!("Name {round}");
        let _ = api.json(Method::PATCH, SITE, &[("prefer", "wait=10")], &json!({"name": name})).await.is(200);
        let labels = json!({"labels": {"round": round.to_string()}});
        let _ = api.json(Method::PATCH, SITE, &[], &labels).await.is(200);
        let (one, other) = (short(api, SITE, &[]).await.is(200), long(api, SITE, &[]).await.is(200));
        let again = short(api, SITE, &[]).await.is(200);
        for reply in [&one, &other, &again] {
            assert_eq!((&reply.json()["name"], &reply.json()["labels"]["round"]), (&json!(name), &json!(round.to_string())));
        }
        same(&one, &other, "after a change");
        same(&again, &other, "after a change");
    }
    // What a deleted connection kept is nobody's.
    let _ = api.send(Method::DELETE, "/connections/hot", &[], Bytes::new()).await.is(204);
    for reply in [short(api, SITE, &[]).await, long(api, SITE, &[]).await] {
        reply.problem(404, "connection_not_found");
    }
}

#[tokio::test]
async fn both_ways_are_logged_and_counted() {
    let gateway = fixture().await;
    let count = async || {
        let reply = gateway.admin.get("/metrics").await.is(200);
        let text = String::from_utf8(reply.body.to_vec()).expect("metrics are text");
        let line = text.lines().find(|line| {
            line.starts_with("portico_requests_total{") && line.contains("sites/{site}\"") && line.contains("status=\"200\"")
        });
        line.and_then(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).unwrap_or_default()
    };
    let before = count().await;
    let api = &gateway.api;
    let ids = [
        ("short", short(api, SITE, &[("x-request-id", "req-short")]).await),
        ("long", long(api, SITE, &[("x-request-id", "req-long")]).await),
    ];
    for (name, reply) in ids {
        assert_eq!(reply.is(200).header("x-request-id"), Some(format!("req-{name}").as_str()));
    }
    assert_eq!(count().await, before + 2);
}
