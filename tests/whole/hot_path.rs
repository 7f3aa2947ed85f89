//! The short way of a cached read and the stack behind it answer the same.
//!
//! Invariant: whatever is asked, both ways give the same status, headers and body; only what names one request or one moment differs.
//! A `Cache-Control` that changes nothing (`no-transform`) sends a request through the stack. Here no gateway is overloaded: then what is
//! kept is answered on the short way alone, as `overload` shows.

use bytes::Bytes;
use http::Method;
use portico_tests::{Api, Gateway, Reply, Setup, wait_until};
use serde_json::{Value, json};
use std::{collections::BTreeMap, time::Duration};

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
    fixture_with("").await
}

/// Two requests are made: one that connects, and one that has the site kept.
async fn fixture_with(config: &str) -> Gateway {
    let gateway = Gateway::start_with(Setup { config: config.to_owned(), ..Setup::default() }).await;
    let settings = json!({"seed_sites": 3, "work_seconds": 0, "cache": {"sites.get": 3600}});
    gateway.connect("hot", "sandbox", settings).await;
    let _ = gateway.api.get(SITE).await.is(200);
    gateway
}

/// Answers that went the short way.
async fn hot(gateway: &Gateway) -> f64 {
    gateway.metric("portico_hot_path_answers_total", &[]).await
}

async fn both_answer(gateway: &Gateway, api: &Api, headers: &[(&str, &str)]) {
    // The first one makes the credential known.
    let _ = long(api, SITE, headers).await.is(200);
    let before = hot(gateway).await;
    let _ = short(api, SITE, headers).await.is(200);
    assert_eq!(hot(gateway).await, before + 1.0);
}

async fn both_refuse(gateway: &Gateway, api: &Api, headers: &[(&str, &str)], (status, code): (u16, &str)) {
    let before = hot(gateway).await;
    let (one, other) = (short(api, SITE, headers).await, long(api, SITE, headers).await);
    same(&one, &other, code);
    one.problem(status, code);
    assert_eq!(hot(gateway).await, before, "{code}");
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("not a text: {value}"))
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
async fn both_ways_are_named_and_counted() {
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

/// The access log's line of this request, without what differs from one to the next.
async fn access_line(gateway: &Gateway, id: &str) -> Value {
    let line = gateway.logged(&[&format!("\"request_id\":\"{id}\""), "\"target\":\"access\""]).await;
    let mut line: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
    for passing in ["timestamp", "request_id", "micros"] {
        let removed = line.as_object_mut().expect("fields").remove(passing);
        assert!(removed.is_some(), "no {passing}: {line}");
    }
    line
}

#[tokio::test]
async fn both_ways_write_the_same_line_of_the_access_log() {
    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    let gateway = fixture_with("log.format = \"json\"\nlog.level = \"info\"\n").await;
    let api = &gateway.api;
    let parent = format!("00-{TRACE}-00f067aa0ba902b7-01");
    let tag = long(api, SITE, &[]).await.is(200).header("etag").expect("a tag").to_owned();
    let unless = [("if-none-match", tag.as_str())];
    let me = api.get("/auth/me").await.is(200).json();
    let principal = format!("token:{}", text(&me["token"]["id"]));
    let before = hot(&gateway).await;
    for (headers, status) in [(&unless[..0], 200), (&unless[..], 304)] {
        let expected = json!({
            "level": "INFO", "trace_id": TRACE, "client": "127.0.0.1", "principal": principal, "method": "GET",
            "path": format!("/api/v1{SITE}"), "status": status, "target": "access",
        });
        for (id, is_short) in [(format!("short-{status}"), true), (format!("long-{status}"), false)] {
            let headers = [headers, &[("x-request-id", id.as_str()), ("traceparent", parent.as_str())]].concat();
            let reply = if is_short { short(api, SITE, &headers).await } else { long(api, SITE, &headers).await };
            let _ = reply.is(status);
            assert_eq!(access_line(&gateway, &id).await, expected, "{id}");
        }
    }
    assert_eq!(hot(&gateway).await, before + 2.0);
    // Refusals behind authentication are somebody's, and those by it nobody's.
    let headers = [("x-request-id", "refused")];
    let _ = api.send(Method::GET, "/sites/nowhere~1", &headers, Bytes::new()).await.is(404);
    assert_eq!(access_line(&gateway, "refused").await["principal"], principal);
    let headers = [("x-request-id", "nobody")];
    let _ = api.with_token("ptk_x").send(Method::GET, "/sites", &headers, Bytes::new()).await.is(401);
    assert_eq!(access_line(&gateway, "nobody").await.get("principal"), None);
}

/// What the short way must not answer, however fresh the answer is that it holds.
#[tokio::test]
async fn both_ways_refuse_the_same() {
    let gateway = fixture().await;
    for (options, status, code) in [
        (&["--scope", "backups:read"][..], 403, "forbidden"),
        (&["--connection", "sandbox"], 403, "forbidden"),
        (&["--allow-ip", "203.0.113.0/24"], 403, "address_not_allowed"),
    ] {
        let api = gateway.api.with_token(&gateway.new_token_with("demo", options));
        // The first one makes the credential known.
        let _ = long(&api, SITE, &[]).await;
        both_refuse(&gateway, &api, &[], (status, code)).await;
    }
    let made = json!({"name": "short-lived"});
    let token = gateway.api.json(Method::POST, "/tokens", &[], &made).await.is(201).json();
    let api = gateway.api.with_token(text(&token["token"]));
    both_answer(&gateway, &api, &[]).await;
    let path = format!("/tokens/{}", text(&token["id"]));
    let _ = gateway.api.send(Method::DELETE, &path, &[], Bytes::new()).await.is(204);
    both_refuse(&gateway, &api, &[], (401, "unauthenticated")).await;
}

#[tokio::test]
async fn both_ways_look_at_where_a_known_token_comes_from() {
    let gateway = fixture_with("[server]\ntrusted_proxies = [\"127.0.0.1\"]\n").await;
    let api = gateway.api.with_token(&gateway.new_token_with("demo", &["--allow-ip", "203.0.113.0/24"]));
    let (inside, outside) = ([("x-forwarded-for", "203.0.113.7")], [("x-forwarded-for", "198.51.100.7")]);
    for _ in 0..2 {
        both_answer(&gateway, &api, &inside).await;
        both_refuse(&gateway, &api, &outside, (403, "address_not_allowed")).await;
    }
}

#[tokio::test]
async fn both_ways_take_a_value_until_its_end() {
    let gateway = fixture().await;
    let make = async |body: Value| gateway.api.post("/tokens", &body).await.is(201).json();
    let made = make(json!({"name": "Rotated"})).await;
    let path = format!("/tokens/{}/rotate", text(&made["id"]));
    let rotate = async |seconds: u64| gateway.api.post(&path, &json!({"overlap_seconds": seconds})).await.is(200).json();
    let first = gateway.api.with_token(text(&made["token"]));
    both_answer(&gateway, &first, &[]).await;
    let second = gateway.api.with_token(text(&rotate(3600).await["token"]));
    for api in [&first, &second] {
        both_answer(&gateway, api, &[]).await;
    }
    // Less than a look-up is trusted for: what ends them is their end.
    let rotated = rotate(4).await;
    let expiring = make(json!({"name": "Expiring", "expires_at": rotated["previous_until"]})).await;
    let expiring = gateway.api.with_token(text(&expiring["token"]));
    // The value before the last one has no overlap any more.
    both_refuse(&gateway, &first, &[], (401, "unauthenticated")).await;
    for api in [&second, &expiring] {
        let ended = async || (short(api, SITE, &[]).await.status == 401).then_some(());
        wait_until("the value's end", Duration::from_secs(30), ended).await;
        both_refuse(&gateway, api, &[], (401, "unauthenticated")).await;
    }
    both_answer(&gateway, &gateway.api.with_token(text(&rotated["token"])), &[]).await;
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
    let before = hot(&gateway).await;
    for remaining in ["2", "1", "0"] {
        assert_eq!(left(&short(&api, SITE, &[]).await.is(200)), remaining);
    }
    assert_eq!(hot(&gateway).await, before + 3.0);
    for reply in [short(&api, SITE, &[]).await, long(&api, SITE, &[]).await] {
        assert!(reply.header("retry-after").is_some());
        reply.problem(429, "rate_limited");
    }
}

/// What somebody gets who asks eight times by one of the ways, from an address that nobody else asked from.
async fn asked_on(limits: &str, is_short: bool) -> Vec<Reply> {
    let config = format!("[limits]\n{limits}\n[server]\ntrusted_proxies = [\"127.0.0.1\"]\n");
    let gateway = fixture_with(&config).await;
    let api = gateway.api.with_token(&gateway.new_token("demo"));
    let from = [("x-forwarded-for", "203.0.113.7")];
    let mut replies = Vec::new();
    for _ in 0..8 {
        replies.push(if is_short { short(&api, SITE, &from).await } else { long(&api, SITE, &from).await });
    }
    let refused = replies.iter().filter(|reply| reply.status == 429).count() as f64;
    let labels = ["route=\"/api/v1/sites/{site}\"", "status=\"429\"", "provider=\"\""];
    assert_eq!(gateway.metric("portico_requests_total", &labels).await, refused, "{limits}");
    assert_eq!(gateway.metric("portico_requests_refused_total", &[]).await, refused, "{limits}");
    assert_eq!(hot(&gateway).await > 0.0, is_short, "{limits}");
    replies
}

/// The status, and the name of the limit that is told with what is left of it.
fn told(reply: &Reply) -> (u16, &str, &str) {
    let header = |name: &str| reply.header(name).unwrap_or_else(|| panic!("no {name}: {reply:?}"));
    let policy = header("ratelimit-policy").split('"').nth(1).expect("a name");
    (reply.status.as_u16(), policy, header("x-ratelimit-remaining"))
}

/// Whichever limit refuses, a request takes one of each that was asked, so a limited token uses its address up no faster.
#[tokio::test]
async fn both_ways_count_a_refused_request_once() {
    let [token, ip, organization] = ["token", "ip", "organization"].map(|policy| (429_u16, policy, "0"));
    for (limits, expected) in [
        ("ip = \"3/h\"", [(200, "ip", "2"), (200, "ip", "1"), (200, "ip", "0"), ip, ip, ip, ip, ip]),
        ("ip = \"6/h\"\ntoken = \"2/h\"", [(200, "token", "1"), (200, "token", "0"), token, token, token, token, ip, ip]),
        // Two of the organization's five are the fixture's; what the organization refuses, the token was asked about before.
        (
            "ip = \"6/h\"\ntoken = \"4/h\"\norganization = \"5/h\"",
            [
                (200, "organization", "2"),
                (200, "organization", "1"),
                (200, "organization", "0"),
                organization,
                token,
                token,
                ip,
                ip,
            ],
        ),
    ] {
        let (one, other) = tokio::join!(asked_on(limits, true), asked_on(limits, false));
        for replies in [&one, &other] {
            assert_eq!(replies.iter().map(told).collect::<Vec<_>>(), expected, "{limits}");
        }
        for (one, other) in one.into_iter().zip(other).filter(|(one, _)| one.status == 429) {
            // Their values tell seconds, which pass meanwhile.
            assert!(lasting(&one).keys().eq(lasting(&other).keys()), "{one:?} {other:?}");
            let [one, other] = [one, other].map(|reply| reply.problem(429, "rate_limited"));
            assert_eq!(one["instance"], other["instance"], "{limits}");
            assert!(one.as_object().expect("fields").keys().eq(other.as_object().expect("fields").keys()), "{one} {other}");
        }
    }
}
