//! The short way of a cached read and the stack behind it answer the same.
//!
//! Invariant: whatever is asked, both ways give the same status, headers and body; only what names one request or one moment differs.
//! A `Cache-Control` that changes nothing (`no-transform`) sends a request through the stack.

use bytes::Bytes;
use http::Method;
use portico_tests::{Api, Gateway, Reply, Setup};
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
    let labels = ["route=\"/api/v1/sites/{site}\"", "status=\"200\""];
    let (all, hot) = ("portico_requests_total", "portico_hot_path_answers_total");
    let before = (gateway.metric(all, &labels).await, gateway.metric(hot, &[]).await);
    let api = &gateway.api;
    let one = short(api, SITE, &[("x-request-id", "req-short")]).await.is(200);
    let other = long(api, SITE, &[("x-request-id", "req-long")]).await.is(200);
    assert_eq!((one.header("x-request-id"), other.header("x-request-id")), (Some("req-short"), Some("req-long")));
    // Only one of them went the short way, or there is none.
    let after = (gateway.metric(all, &labels).await, gateway.metric(hot, &[]).await);
    assert_eq!((after.0 - before.0, after.1 - before.1), (2.0, 1.0));
}

/// What the short way must not answer, however fresh the answer is that it holds.
#[tokio::test]
async fn both_ways_refuse_the_same() {
    let gateway = fixture().await;
    let hot = async || gateway.metric("portico_hot_path_answers_total", &[]).await;
    for (options, status, code) in [
        (&["--scope", "backups:read"][..], 403, "forbidden"),
        (&["--connection", "sandbox"], 403, "forbidden"),
        (&["--allow-ip", "203.0.113.0/24"], 403, "address_not_allowed"),
    ] {
        let api = gateway.api.with_token(&gateway.new_token_with("demo", options));
        // The first one makes the credential known.
        let _ = long(&api, SITE, &[]).await;
        let before = hot().await;
        let (one, other) = (short(&api, SITE, &[]).await, long(&api, SITE, &[]).await);
        same(&one, &other, &format!("{options:?}"));
        assert_eq!(one.problem(status, code)["code"], code);
        assert_eq!(hot().await, before, "{options:?}");
    }
    let made = json!({"name": "short-lived"});
    let token = gateway.api.json(Method::POST, "/tokens", &[], &made).await.is(201).json();
    let api = gateway.api.with_token(token["token"].as_str().expect("a value"));
    let _ = long(&api, SITE, &[]).await.is(200);
    let before = hot().await;
    let _ = short(&api, SITE, &[]).await.is(200);
    assert_eq!(hot().await, before + 1.0);
    let path = format!("/tokens/{}", token["id"].as_str().expect("an id"));
    let _ = gateway.api.send(Method::DELETE, &path, &[], Bytes::new()).await.is(204);
    for reply in [short(&api, SITE, &[]).await, long(&api, SITE, &[]).await] {
        reply.problem(401, "unauthenticated");
    }
}

#[tokio::test]
async fn both_ways_count_for_the_same_limits() {
    let setup = Setup { config: "[limits]\ntoken = \"4/h\"\n".to_owned(), ..Setup::default() };
    let gateway = Gateway::start_with(setup).await;
    let settings = json!({"seed_sites": 3, "cache": {"sites.get": 3600}});
    gateway.connect("hot", "sandbox", settings).await;
    let _ = gateway.api.get(SITE).await.is(200);
    let api = gateway.api.with_token(&gateway.new_token("demo"));
    let left = |reply: &Reply| reply.header("x-ratelimit-remaining").expect("what is left").to_owned();
    let _ = long(&api, SITE, &[]).await.is(200);
    let before = gateway.metric("portico_hot_path_answers_total", &[]).await;
    for remaining in ["2", "1", "0"] {
        assert_eq!(left(&short(&api, SITE, &[]).await.is(200)), remaining);
    }
    assert_eq!(gateway.metric("portico_hot_path_answers_total", &[]).await, before + 3.0);
    for reply in [short(&api, SITE, &[]).await, long(&api, SITE, &[]).await] {
        assert!(reply.header("retry-after").is_some());
        reply.problem(429, "rate_limited");
    }
}
