//! Where a request comes from and on whose trail it is: client addresses behind proxies, traces to upstreams.
//!
//! Invariant: what the gateway believes is read where an operator reads it: in the access and audit logs, and at the upstream.

use bytes::Bytes;
use http::Method;
use portico_tests::{Answer, Gateway, Setup, Upstream};
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
