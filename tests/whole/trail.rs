//! Where a request comes from and on whose trail it is: client addresses behind proxies, traces to upstreams, who was shown what, and
//! who was refused.
//!
//! Invariant: what the gateway believes is read where an operator reads it: in the access and audit logs, and at the upstream.

use bytes::Bytes;
use http::Method;
use portico_tests::{Answer, Api, Gateway, Setup, Upstream};
use serde_json::{Value, json};

/// Both headers that proxies may write: two hops in the one, another client in the other.
const SENT: [(&str, &str); 2] = [("x-forwarded-for", "198.51.100.1, 203.0.113.7"), ("forwarded", "for=192.0.2.9")];
const TRUSTING: &str = "[server]\ntrusted_proxies = [\"127.0.0.1\", \"203.0.113.0/24\"]\n";

/// Text lines leave out what a filter would need, so these tests read JSON.
fn logging(config: &str) -> Setup {
    Setup { config: format!("log.format = \"json\"\nlog.level = \"info\"\n{config}"), ..Setup::default() }
}

/// The access log's line of one request with these headers.
async fn logged(gateway: &Gateway, name: &str, headers: &[(&str, &str)]) -> Value {
    let headers = [headers, &[("x-request-id", name)]].concat();
    let reply = gateway.api.send(Method::GET, "/sites", &headers, Bytes::new()).await.is(200);
    assert_eq!(reply.header("x-request-id"), Some(name));
    let line = gateway.logged(&[&format!("\"request_id\":\"{name}\""), "\"target\":\"access\""]).await;
    serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"))
}

#[tokio::test]
async fn forwarding_headers_count_from_trusted_proxies_alone() {
    let gateway = Gateway::start_with(logging("")).await;
    assert_eq!(logged(&gateway, "nobody-is-trusted", &SENT).await["client"], "127.0.0.1");
    let gateway = Gateway::start_with(logging("[server]\ntrusted_proxies = [\"10.0.0.0/8\"]\n")).await;
    assert_eq!(logged(&gateway, "others-are-trusted", &SENT).await["client"], "127.0.0.1");
    let gateway = Gateway::start_with(logging(TRUSTING)).await;
    assert_eq!(logged(&gateway, "skips-trusted-hops", &SENT).await["client"], "198.51.100.1");
    let spoofed = [("x-forwarded-for", "10.0.0.1, 198.51.100.1")];
    assert_eq!(logged(&gateway, "right-to-left", &spoofed).await["client"], "198.51.100.1");
    assert_eq!(logged(&gateway, "no-header", &[]).await["client"], "127.0.0.1");
    let gateway = Gateway::start_with(logging(&format!("{TRUSTING}forwarded_header = \"forwarded\"\n"))).await;
    assert_eq!(logged(&gateway, "forwarded", &SENT).await["client"], "192.0.2.9");
}

#[tokio::test]
async fn a_change_is_told_with_the_address_that_is_believed() {
    for (config, client) in [("", "127.0.0.1"), (TRUSTING, "198.51.100.1")] {
        let gateway = Gateway::start_with(logging(config)).await;
        let body = json!({"id": "told", "provider": "sandbox", "name": "Told"});
        let _ = gateway.api.json(Method::POST, "/connections", &SENT, &body).await.is(201);
        let log = gateway.api.get("/audit?action=connections.create").await.is(200).json();
        let told = (log["data"].as_array().map(Vec::len), &log["data"][0]["target"], &log["data"][0]["client"]);
        assert_eq!(told, (Some(1), &json!("/connections/told"), &json!(client)), "{config}: {log}");
    }
}

#[tokio::test]
async fn a_trace_is_kept_and_goes_on_at_the_upstream() {
    const ID: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    let sent = format!("00-{ID}-00f067aa0ba902b7-01");
    let upstream = Upstream::start(|_| Answer::Json(200, json!("hello"))).await;
    let gateway = Gateway::start_with(Setup { guests: vec!["keyed", "blind"], ..logging("") }).await;
    let connection = json!({
        "id": "keyed", "provider": "keyed", "name": "Keyed",
        "settings": {"url": upstream.url()}, "secrets": {"api_key": "abc-secret-key"},
    });
    let _ = gateway.api.post("/connections", &connection).await.is(201);
    let read = async |site: &str, name: &str, headers: &[(&str, &str)]| {
        let headers = [headers, &[("x-request-id", name), ("cache-control", "no-cache")]].concat();
        let path = format!("/sites/keyed~{site}");
        let _ = gateway.api.send(Method::GET, &path, &headers, Bytes::new()).await.is(200);
        upstream.seen().pop().expect("the upstream was asked")
    };
    let header =
        |seen: &portico_tests::Seen, name: &str| seen.headers.get(name).map(|value| value.to_str().unwrap().to_owned());

    let one = read("a", "one", &[("traceparent", &sent)]).await;
    assert_eq!(header(&one, "x-request-id").as_deref(), Some("one"));
    let outgoing = header(&one, "traceparent").expect("a trace");
    let parts: Vec<&str> = outgoing.split('-').collect();
    assert_eq!((parts[0], parts[1], parts[3], parts[2].len()), ("00", ID, "01", 16));
    let other = header(&read("a", "other", &[("traceparent", &sent)]).await, "traceparent").expect("a trace");
    assert!(other != outgoing && outgoing != sent, "{outgoing} {other}: each request has a parent of its own");
    let line = gateway.logged(&["\"request_id\":\"one\"", "\"target\":\"access\""]).await;
    assert!(line.contains(&format!("\"trace_id\":\"{ID}\"")), "{line}");

    // Cached reads are filled in a task of their own, which is on the same trail.
    let headers = [("x-request-id", "cached"), ("traceparent", sent.as_str())];
    let _ = gateway.api.send(Method::GET, "/sites/keyed~cached", &headers, Bytes::new()).await.is(200);
    let filled = upstream.seen().pop().expect("the upstream was asked");
    assert_eq!(header(&filled, "x-request-id").as_deref(), Some("cached"));
    assert!(header(&filled, "traceparent").is_some_and(|trace| trace.contains(ID)));

    // Changes go on after their request, and stay on its trail.
    let headers = [("x-request-id", "changed"), ("traceparent", sent.as_str()), ("prefer", "wait=20")];
    let _ = gateway.connect("blind", "blind", json!({"url": upstream.url()})).await;
    let _ = gateway.api.json(Method::POST, "/sites", &headers, &json!({"connection": "blind", "name": "n"})).await.is(201);
    let changed = upstream.seen().into_iter().rfind(|seen| seen.method != Method::GET).expect("something was sent");
    assert_eq!(header(&changed, "x-request-id").as_deref(), Some("changed"));
    assert!(header(&changed, "traceparent").is_some_and(|trace| trace.contains(ID) && trace != sent));

    for (name, wrong) in [("upper", sent.to_uppercase()), ("short", sent[..50].to_owned()), ("none", String::new())] {
        let seen = read("a", name, &[("traceparent", &wrong)]).await;
        assert_eq!((header(&seen, "traceparent"), header(&seen, "x-request-id").as_deref()), (None, Some(name)));
    }
}

/// A token of this body: what it is called in the log, and a client that has it.
async fn token(gateway: &Gateway, body: &Value) -> (String, Api) {
    let made = gateway.api.post("/tokens", body).await.is(201).json();
    let text = |name: &str| made[name].as_str().expect("a text").to_owned();
    (format!("token:{}", text("id")), gateway.api.with_token(&text("token")))
}

/// Rows of the audit log, the newest first.
async fn rows(gateway: &Gateway, query: &str) -> Vec<Value> {
    let log = gateway.api.get(&format!("/audit?limit=100&{query}")).await.is(200).json();
    log["data"].as_array().expect("rows").clone()
}

#[tokio::test]
async fn whoever_is_shown_what_is_shown_once_is_told() {
    let gateway = Gateway::start().await;
    gateway.connect("quick", "sandbox", json!({"work_seconds": 0})).await;
    let made = gateway.api.post("/sites", &json!({"connection": "quick", "name": "Shop"})).await.is(201).json();
    let path = format!("/sites/{}/wordpress/login-link", made["result"]["id"].as_str().expect("an id"));
    let (asker, asking) = token(&gateway, &json!({"name": "A", "role": "operator"})).await;
    let (looker, looking) = token(&gateway, &json!({"name": "B", "role": "operator"})).await;
    let body = json!({"user": "admin"});
    let accepted = asking.json(Method::POST, &path, &[("prefer", "respond-async")], &body).await.is(202).json();
    let id = accepted["id"].as_str().expect("an id");
    let operation = format!("/operations/{id}?wait=60s");
    let seen = looking.send(Method::GET, &operation, &[("x-request-id", "looked")], Bytes::new()).await.is(200).json();
    assert!(seen["secrets"].as_object().is_some_and(|secrets| !secrets.is_empty()), "{seen}");
    for api in [&asking, &looking] {
        assert_eq!(api.get(&operation).await.is(200).json()["secrets"], Value::Null);
    }
    let found = rows(&gateway, "action=operations.secrets").await;
    assert_eq!(found.len(), 1, "{found:?}");
    let told = (&found[0]["actor"], &found[0]["target"], &found[0]["operation"], &found[0]["outcome"]);
    assert_eq!(told, (&json!(looker), &json!(format!("/operations/{id}")), &json!(id), &json!("done")));
    assert_eq!((&found[0]["request_id"], &found[0]["client"]), (&json!("looked"), &json!("127.0.0.1")));
    // Nor is the one passed over who has it in the answer to what they asked for.
    let own = asking.json(Method::POST, &path, &[("prefer", "wait=60")], &body).await.is(200).json();
    assert!(own["secrets"].is_object(), "{own}");
    let found = rows(&gateway, "action=operations.secrets").await;
    assert_eq!((found.len(), &found[0]["actor"], &found[0]["operation"]), (2, &json!(asker), &own["id"]));
}

#[tokio::test]
async fn a_token_from_elsewhere_is_told_by_name_and_not_each_time() {
    let gateway = Gateway::start_with(logging("")).await;
    let body = json!({"name": "Elsewhere", "allowed_ips": ["203.0.113.0/24"]});
    for (first, action) in [("/sites", "sites.list"), ("/nothing", "authenticate")] {
        let (who, elsewhere) = token(&gateway, &body).await;
        for (number, path) in [first, "/sites", "/tokens", first].into_iter().enumerate() {
            let name = format!("{action}-{number}");
            let reply = elsewhere.send(Method::GET, path, &[("x-request-id", name.as_str())], Bytes::new()).await;
            reply.problem(403, "address_not_allowed");
            let line = gateway.logged(&[&format!("\"request_id\":\"{name}\""), "\"target\":\"access\""]).await;
            let line: Value = serde_json::from_str(&line).expect("JSON");
            assert_eq!((&line["principal"], &line["status"]), (&json!(who), &json!(403)), "{line}");
        }
        let found = rows(&gateway, &format!("actor={who}")).await;
        assert_eq!(found.len(), 1, "{found:?}");
        let told = (&found[0]["action"], &found[0]["target"], &found[0]["outcome"], &found[0]["status"]);
        assert_eq!(told, (&json!(action), &json!(first), &json!("refused"), &json!(403)));
        assert_eq!((&found[0]["client"], &found[0]["request_id"]), (&json!("127.0.0.1"), &json!(format!("{action}-0"))));
    }
}

#[tokio::test]
async fn equal_refusals_are_told_once_and_what_was_done_each_time() {
    let gateway = Gateway::start().await;
    let (who, viewer) = token(&gateway, &json!({"name": "Viewer", "role": "viewer"})).await;
    for number in 0..20 {
        viewer.delete(&format!("/sites/sandbox~{number}")).await.problem(403, "forbidden");
    }
    viewer.delete("/connections/sandbox").await.problem(403, "forbidden");
    let found = rows(&gateway, &format!("actor={who}")).await;
    let told: Vec<_> = found.iter().map(|row| (row["action"].clone(), row["target"].clone())).collect();
    let expected = [("connections.delete", "/connections/sandbox"), ("sites.delete", "/sites/sandbox~0")];
    assert_eq!(told, expected.map(|(action, target)| (json!(action), json!(target))));
    // Those of another are told as well.
    let (other, another) = token(&gateway, &json!({"name": "Other", "role": "viewer"})).await;
    another.delete("/sites/sandbox~1").await.problem(403, "forbidden");
    assert_eq!(rows(&gateway, &format!("actor={other}")).await.len(), 1);
    for number in 0..5 {
        let change = json!({"name": format!("Name {number}")});
        let _ = gateway.api.json(Method::PATCH, "/connections/sandbox", &[], &change).await.is(200);
    }
    assert_eq!(rows(&gateway, "action=connections.update").await.len(), 5);
}
