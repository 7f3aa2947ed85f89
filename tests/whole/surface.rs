//! What a client meets at the API's surface: where it is led, what it is told, and what is refused rather than ignored.
//!
//! Invariant: what is refused here has changed nothing, and the refusal says what to do instead.

use bytes::Bytes;
use http::Method;
use portico_tests::{Api, Gateway, Reply};
use serde_json::{Value, json};

const JSON: (&str, &str) = ("content-type", "application/json");

fn detail(problem: &Value) -> &str {
    problem["detail"].as_str().expect("a detail")
}

async fn site(api: &Api) -> String {
    let made = api.post("/sites", &json!({"connection": "sandbox", "name": "Surface"})).await.is(201).json();
    format!("/sites/{}", made["result"]["id"].as_str().expect("an id"))
}

async fn total(api: &Api, path: &str) -> Value {
    api.send(Method::GET, path, &[("cache-control", "no-cache")], Bytes::new()).await.is(200).json()["total"].clone()
}

#[tokio::test]
async fn a_parameter_in_the_wrong_place_is_told_where_it_goes() {
    let gateway = Gateway::start().await;
    let site = site(&gateway.api).await;
    let backups = format!("{site}/backups");
    let before = total(&gateway.api, &backups).await;
    let told = gateway.api.post(&format!("{backups}?environment=staging"), &json!({})).await.problem(422, "invalid_input");
    assert_eq!(told["fields"][0]["field"], "environment");
    assert!(detail(&told).ends_with("it goes into the body"), "{told}");
    assert_eq!(total(&gateway.api, &backups).await, before);
    let flush = gateway.api.post(&format!("{site}/wordpress/cache/flush"), &json!({"environment": "production"})).await;
    let told = flush.problem(422, "invalid_input");
    assert!(detail(&told).ends_with("it goes into the query"), "{told}");
    let told = gateway.api.get("/providers?limit=1").await.problem(422, "invalid_input");
    assert_eq!(told["fields"][0]["field"], "limit");
    let told = gateway.api.json(Method::PATCH, &site, &[], &json!({})).await.problem(422, "invalid_input");
    assert!(told["fields"].is_null() && detail(&told).starts_with("there is nothing to change"), "{told}");
}

#[tokio::test]
async fn a_change_takes_no_preconditions() {
    let gateway = Gateway::start().await;
    let site = site(&gateway.api).await;
    let tag = gateway.api.get(&site).await.is(200).header("etag").expect("a tag").to_owned();
    for condition in [
        ("if-match", tag.as_str()),
        ("if-match", "\"another\""),
        ("if-none-match", "*"),
        ("if-unmodified-since", "Thu, 01 Jan 2026 00:00:00 GMT"),
    ] {
        let reply = gateway.api.json(Method::PATCH, &site, &[condition], &json!({"name": "Other"})).await;
        let told = reply.problem(412, "precondition_failed");
        assert!(detail(&told).contains(condition.0), "{told}");
    }
    assert_eq!(gateway.api.get(&site).await.is(200).json()["name"], "Surface");
    let any = [("if-match", "*"), ("prefer", "wait=30")];
    let _ = gateway.api.json(Method::PATCH, &site, &any, &json!({"name": "Other"})).await.is(200);
}

#[tokio::test]
async fn a_stranger_is_told_whether_anything_was_sent() {
    let gateway = Gateway::start().await;
    let told = |reply: Reply| {
        let challenge = reply.header("www-authenticate").expect("a challenge").to_owned();
        (challenge, reply.problem(401, "unauthenticated"))
    };
    let (challenge, problem) = told(Api::new(gateway.api_address, None).get("/api/v1/sites").await);
    assert_eq!(challenge, "Bearer realm=\"portico\"");
    assert!(detail(&problem).starts_with("no token and no session was sent"), "{problem}");
    assert!(detail(&problem).contains("POST /api/v1/auth/login"), "{problem}");
    let other = gateway.api.with_token("ptk_0000000000000000000000000000000000000000000");
    let (challenge, problem) = told(other.get("/sites").await);
    assert_eq!(challenge, "Bearer realm=\"portico\", error=\"invalid_token\"");
    assert!(detail(&problem).contains("isn't valid"), "{problem}");
}

#[tokio::test]
async fn nobody_comes_to_a_dead_end() {
    let gateway = Gateway::start().await;
    let root = Api::new(gateway.api_address, None).get("/").await.is(307);
    assert_eq!(root.header("location"), Some("/docs"));
    let told = gateway.api.get("/none").await.problem(404, "no_such_path");
    assert!(detail(&told).contains("/docs and /openapi.json"), "{told}");
    let told = gateway.api.get("/sites/").await.problem(404, "no_such_path");
    assert!(detail(&told).contains("no path ends with a slash"), "{told}");
}

#[tokio::test]
async fn what_is_kept_of_the_documentation_needs_no_second_reading() {
    let gateway = Gateway::start().await;
    let stranger = Api::new(gateway.api_address, None);
    for path in ["/openapi.json", "/docs", "/docs/start.js", "/docs/ui/swagger-ui-bundle.js", "/docs/ui/swagger-ui.css"] {
        // Whoever asks for the head alone comes first, and leaves the others their body.
        let _ = stranger.send(Method::HEAD, path, &[], Bytes::new()).await.is(200);
        let whole = stranger.get(path).await.is(200);
        assert!(!whole.body.is_empty() && whole.header("content-type").is_some(), "{path}");
        let tag = whole.header("etag").expect("a tag");
        let again = stranger.send(Method::GET, path, &[("if-none-match", tag)], Bytes::new()).await.is(304);
        assert!(again.body.is_empty() && again.header("etag") == Some(tag), "{path}");
        let _ = stranger.send(Method::GET, path, &[("if-none-match", "\"other\"")], Bytes::new()).await.is(200);
    }
}

#[tokio::test]
async fn a_coded_body_is_refused_and_the_codings_are_named() {
    let gateway = Gateway::start().await;
    let body = json!({"connection": "sandbox", "name": "Coded"}).to_string();
    let before = total(&gateway.api, "/sites").await;
    for coding in ["gzip", "br", "identity, gzip"] {
        let headers = [JSON, ("content-encoding", coding)];
        let reply = gateway.api.send(Method::POST, "/sites", &headers, Bytes::from(body.clone())).await;
        assert_eq!(reply.header("accept-encoding"), Some("identity"), "{coding}");
        reply.problem(415, "unsupported_content_coding");
    }
    assert_eq!(total(&gateway.api, "/sites").await, before);
    let headers = [JSON, ("content-encoding", "identity"), ("prefer", "wait=30")];
    let _ = gateway.api.send(Method::POST, "/sites", &headers, Bytes::from(body)).await.is(201);
    let reply = gateway.api.send(Method::POST, "/sites", &[("content-type", "text/plain")], Bytes::from_static(b"{}")).await;
    assert_eq!(reply.header("accept-encoding"), None);
    reply.problem(415, "unsupported_media_type");
}

#[tokio::test]
async fn a_location_is_promised_where_it_is_sent() {
    let gateway = Gateway::start().await;
    let document = Api::new(gateway.api_address, None).get("/openapi.json").await.is(200).json();
    let promised = |path: &str| !document["paths"][path]["post"]["responses"]["201"]["headers"]["Location"].is_null();
    for (path, body) in [
        ("/tokens", json!({"name": "Surface"})),
        ("/connections", json!({"id": "surface", "provider": "sandbox", "name": "Surface"})),
        ("/invitations", json!({"email": "surface@example.com", "role": "viewer"})),
    ] {
        let made = gateway.api.post(path, &body).await.is(201);
        assert_eq!(made.header("location").is_some(), promised(path), "{path}");
    }
}
