//! CORS: pages of listed origins may call and read, others are told nothing, and without a list there is nothing at all.
//!
//! Invariant: a preflight is answered before authentication, and so is everything that a page must be able to read of a refusal.

use bytes::Bytes;
use http::Method;
use portico_tests::{Api, Gateway, Reply, Setup};
use serde_json::{Value, json};

const OURS: &str = "https://app.example.com";

async fn preflight(api: &Api, origin: &str) -> Reply {
    let headers = [
        ("origin", origin),
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", "authorization,content-type,idempotency-key"),
    ];
    api.send(Method::OPTIONS, "/api/v1/sites", &headers, Bytes::new()).await
}

#[tokio::test]
async fn listed_origins_may_call_and_read() {
    let config = format!("[cors]\norigins = [\"https://other.example\", \"{OURS}\"]\n");
    let gateway = Gateway::start_with(Setup { config, ..Setup::default() }).await;
    let stranger = Api::new(gateway.api_address, None);
    let allowed = preflight(&stranger, OURS).await.is(204);
    assert_eq!(allowed.header("access-control-allow-origin"), Some(OURS));
    assert_eq!(allowed.header("access-control-allow-credentials"), Some("true"));
    assert!(allowed.header("access-control-allow-methods").unwrap().contains("PATCH"));
    let headers = allowed.header("access-control-allow-headers").unwrap().to_lowercase();
    for wanted in ["authorization", "content-type", "idempotency-key", "prefer", "last-event-id", "if-none-match"] {
        assert!(headers.contains(wanted), "{wanted}: {headers}");
    }
    assert!(allowed.body.is_empty() && allowed.header("x-request-id").is_some());
    // It counts for its address, like any other request.
    let remaining = |reply: &Reply| reply.header("x-ratelimit-remaining").and_then(|text| text.parse::<u64>().ok());
    let again = preflight(&stranger, OURS).await.is(204);
    assert!(remaining(&again).expect("what is left") <= remaining(&allowed).expect("what is left"), "{again:?}");
    assert!(allowed.header("ratelimit").is_some_and(|text| text.starts_with("\"ip\"")), "{allowed:?}");

    let read = gateway.api.send(Method::GET, "/sites", &[("origin", OURS)], Bytes::new()).await.is(200);
    assert_eq!(read.header("access-control-allow-origin"), Some(OURS));
    let exposed = read.header("access-control-expose-headers").unwrap();
    for wanted in ["X-Request-Id", "RateLimit", "ETag", "Location", "Retry-After", "X-RateLimit-Remaining"] {
        assert!(exposed.split(", ").any(|name| name == wanted), "{wanted}: {exposed}");
    }
    // A refusal can be read, too.
    let refused = stranger.send(Method::GET, "/api/v1/sites", &[("origin", OURS)], Bytes::new()).await;
    assert_eq!(refused.header("access-control-allow-origin"), Some(OURS));
    refused.problem(401, "unauthenticated");
}

#[tokio::test]
async fn other_origins_are_told_nothing() {
    let config = format!("[cors]\norigins = [\"{OURS}\"]\n");
    let gateway = Gateway::start_with(Setup { config, ..Setup::default() }).await;
    for origin in ["https://evil.example", "https://app.example.com.evil.example", "http://app.example.com", "null"] {
        let stranger = Api::new(gateway.api_address, None);
        let refused = preflight(&stranger, origin).await;
        assert!(refused.status.is_client_error(), "{origin}: {}", refused.status);
        let read = gateway.api.send(Method::GET, "/sites", &[("origin", origin)], Bytes::new()).await.is(200);
        for reply in [&refused, &read] {
            let told = reply.headers.keys().find(|name| name.as_str().starts_with("access-control-"));
            assert_eq!(told, None, "{origin}");
            // A shared cache must not give it to a listed one.
            let varies = reply.headers.get_all("vary").iter().any(|value| value.as_bytes().eq_ignore_ascii_case(b"origin"));
            assert!(varies, "{origin}: {:?}", reply.headers);
        }
    }
}

/// A page of this origin posts, and browsers say how far away it is.
async fn post(api: &Api, path: &str, (origin, site): (&str, &str), cookie: Option<&str>, body: &Value) -> Reply {
    let mut headers = vec![("origin", origin), ("sec-fetch-site", site)];
    headers.extend(cookie.map(|cookie| ("cookie", cookie)));
    api.json(Method::POST, &format!("/api/v1{path}"), &headers, body).await
}

fn account() -> Value {
    json!({"email": "anna@example.com", "password": "several words that I remember"})
}

/// Name and value of the cookie that was given.
fn session(reply: &Reply) -> String {
    let given = reply.header("set-cookie").expect("a cookie");
    given.split(';').next().expect("a pair").to_owned()
}

#[tokio::test]
async fn pages_of_listed_origins_act_with_a_session_and_others_do_not() {
    let config = format!("[cors]\norigins = [\"{OURS}\"]\n");
    let gateway = Gateway::start_with(Setup { config, ..Setup::default() }).await;
    let stranger = Api::new(gateway.api_address, None);
    let registered = post(&stranger, "/auth/register", (OURS, "same-site"), None, &account()).await.is(201);
    assert_eq!(registered.header("access-control-allow-credentials"), Some("true"));
    let body = json!({"email": "bert@example.com", "role": "viewer"});
    for site in ["same-site", "cross-site"] {
        let login = post(&stranger, "/auth/login", (OURS, site), None, &account()).await.is(200);
        let cookie = session(&login);
        let _ = post(&stranger, "/invitations", (OURS, site), Some(&cookie), &body).await.is(201);
        for other in ["https://evil.example", "http://app.example.com", "null"] {
            let refused = post(&stranger, "/invitations", (other, site), Some(&cookie), &body).await;
            let problem = refused.problem(403, "cross_origin");
            assert!(problem["detail"].as_str().expect("words").contains("`[cors] origins`"), "{problem}");
            post(&stranger, "/auth/login", (other, site), None, &account()).await.problem(403, "cross_origin");
        }
        // Of two, one may be anybody's.
        let twice =
            [("origin", OURS), ("origin", "https://evil.example"), ("sec-fetch-site", site), ("cookie", cookie.as_str())];
        stranger.json(Method::POST, "/api/v1/invitations", &twice, &body).await.problem(403, "cross_origin");
    }
}

#[tokio::test]
async fn without_a_list_no_other_page_acts_with_a_session() {
    let gateway = Gateway::start().await;
    let stranger = Api::new(gateway.api_address, None);
    let registered = post(&stranger, "/auth/register", (OURS, "same-origin"), None, &account()).await.is(201);
    let cookie = session(&registered);
    for site in ["same-site", "cross-site"] {
        post(&stranger, "/auth/login", (OURS, site), None, &account()).await.problem(403, "cross_origin");
        post(&stranger, "/auth/logout", (OURS, site), Some(&cookie), &json!({})).await.problem(403, "cross_origin");
    }
}

#[tokio::test]
async fn without_a_list_there_is_no_cors() {
    let gateway = Gateway::start().await;
    let refused = preflight(&Api::new(gateway.api_address, None), OURS).await;
    assert!(refused.status.is_client_error());
    let read = gateway.api.send(Method::GET, "/sites", &[("origin", OURS)], Bytes::new()).await.is(200);
    for reply in [refused, read] {
        assert!(!reply.headers.keys().any(|name| name.as_str().starts_with("access-control-")), "{:?}", reply.headers);
    }
}
