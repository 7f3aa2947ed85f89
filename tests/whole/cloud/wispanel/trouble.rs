//! A panel that is slow, refuses, breaks off and speaks in pages: what clients read of it, and what is at the panel in the end.
//!
//! Invariant: what may have been done is done again only where that does no harm, and an error's kind says who can mend it.

use super::scene::{Scene, text};
use bytes::Bytes;
use http::Method;
use portico_tests::{
    Answer, Setup, Upstream,
    simulators::{
        Fault,
        wispanel::{self, KEY},
    },
};
use serde_json::{Value, json};
use std::time::Duration;

const LIST: &str = "/api/v1/wordpress/installations";
const INSTALL: &str = "/api/v1/wordpress/install";

/// 429 in the panel's own words; its limit ends in so many seconds.
fn limited(seconds: u64) -> Fault {
    let told = |name, value: u64| (name, value.to_string());
    let headers = vec![
        told("x-ratelimit-limit", 60),
        told("x-ratelimit-remaining", 0),
        told("x-ratelimit-reset", wispanel::now() / 1000 + seconds),
        ("content-type", "application/json".to_owned()),
    ];
    let body = json!({"error": {"code": "RATE_LIMITED", "message": "Too many requests", "details": {}}});
    Fault::Answer(Answer::Raw(429, headers, Bytes::from(body.to_string())))
}

fn refused(status: u16, body: Value) -> Fault {
    Fault::Answer(Answer::Json(status, body))
}

fn new_site() -> Value {
    let admin = json!({"user": "anna", "email": "a@blog.example", "password": "correct horse battery"});
    json!({"connection": "w", "name": "Blog", "domain": "new.example", "admin": admin})
}

#[tokio::test]
async fn errors_have_their_kind_whatever_their_shape() {
    let setup = Setup { config: "[egress]\ntotal_seconds = 2\n".to_owned(), ..Setup::default() };
    let scene = Scene::with(&["blog.com"], setup).await;
    let site = scene.site().await;
    for (fault, status, code, words) in [
        (
            refused(401, json!({"success": false, "code": "UNAUTHORIZED", "error": "Key revoked.", "status": 401})),
            502,
            "upstream_credentials",
            "Key revoked",
        ),
        (
            refused(404, json!({"success": false, "error": "No such user", "code": "NOT_FOUND"})),
            404,
            "not_found",
            "No such user",
        ),
        (
            refused(200, json!({"success": false, "error": "No such user", "code": "NOT_FOUND"})),
            404,
            "not_found",
            "No such user",
        ),
        (
            refused(500, json!({"error": {"code": "INTERNAL_ERROR", "message": "wp-cli exited with 1", "details": {}}})),
            503,
            "upstream_unavailable",
            "wp-cli exited with 1",
        ),
        (Fault::Html(500), 503, "upstream_unavailable", "failed to answer"),
        (Fault::Answer(Answer::Raw(502, Vec::new(), Bytes::new())), 503, "upstream_unavailable", "failed to answer"),
        (Fault::Html(200), 502, "upstream_invalid", "JSON"),
        (refused(200, json!({"hello": 1})), 502, "upstream_invalid", "holds no list"),
        (Fault::Cut, 503, "upstream_unavailable", ""),
        (Fault::Silent, 504, "upstream_timeout", ""),
        (Fault::TooMany(None), 429, "upstream_rate_limited", ""),
        (limited(90), 429, "upstream_rate_limited", "Too many requests"),
    ] {
        // Between them all is well, so that no circuit opens.
        let _ = scene.read(&site).await;
        let what = format!("{fault:?}");
        scene.panel.inject(Method::GET, LIST, 1, fault);
        let reply = scene.gateway.api.send(Method::GET, &site, &[("cache-control", "no-cache")], Bytes::new()).await;
        assert_eq!((reply.status.as_u16(), &reply.json()["code"]), (status, &json!(code)), "{what}: {}", reply.text());
        assert!(text(&reply.json()["detail"]).contains(words), "{what}: {}", reply.text());
        assert!(!reply.text().contains('<') && !reply.text().contains(KEY), "{what}: {}", reply.text());
    }
    // The panel has no Retry-After, and says when its limit ends.
    let reply = scene.gateway.api.send(Method::GET, &site, &[("cache-control", "no-cache")], Bytes::new()).await;
    let wait: u32 = reply.header("retry-after").expect("Retry-After").parse().expect("seconds");
    // And a tenth later the gateway asks again, at most.
    assert!((20..=99).contains(&wait), "{wait}");
    assert_eq!(scene.panel.faults_left(), 0);
}

#[tokio::test]
async fn a_slow_answer_is_waited_for_and_one_elsewhere_is_not_followed() {
    let scene = Scene::new(&["blog.com"]).await;
    let site = scene.site().await;
    scene.panel.inject(Method::GET, LIST, 1, Fault::Late(Duration::from_secs(1)));
    assert_eq!(scene.read(&site).await["url"], "https://blog.com");
    let elsewhere = Upstream::start(|_| Answer::Json(200, json!([]))).await;
    scene.panel.inject(Method::GET, LIST, 1, Fault::Redirect(format!("{}{LIST}", elsewhere.url())));
    let list = scene.gateway.api.send(Method::GET, "/sites?connection=w", &[("cache-control", "no-cache")], Bytes::new()).await;
    assert_eq!(list.json()["errors"][0]["connection"], "w", "{}", list.text());
    assert_eq!((elsewhere.seen().len(), scene.panel.faults_left()), (0, 0), "the key left for another host");
}

/// Whatever happens while it is watched, there is one installation in the end.
#[tokio::test]
async fn trouble_while_it_is_watched_changes_nothing() {
    let scene = Scene::new(&[]).await;
    scene.panel.world(|panel| panel.add_domain("new.example"));
    let progress = "/api/v1/wordpress/install/*/progress";
    scene.panel.inject(Method::POST, INSTALL, 1, Fault::TooMany(None));
    scene.panel.inject(Method::GET, progress, 1, Fault::Html(502));
    scene.panel.inject(Method::GET, progress, 1, Fault::Cut);
    scene.panel.inject(Method::GET, progress, 1, limited(1));
    let made = scene.change(Method::POST, "/sites", &new_site()).await;
    assert_eq!(made["result"]["url"], "https://new.example", "{made}");
    let counts = scene.panel.world(|panel| (panel.begun, panel.installations.len()));
    assert_eq!((counts, scene.panel.count(&Method::POST, INSTALL), scene.panel.faults_left()), ((1, 1), 2, 0));
}

#[tokio::test]
async fn an_answer_that_is_lost_is_looked_up() {
    let scene = Scene::new(&[]).await;
    scene.panel.world(|panel| panel.add_domain("new.example"));
    scene.panel.inject(Method::POST, INSTALL, 1, Fault::Cut);
    let made = scene.change(Method::POST, "/sites", &new_site()).await;
    let site = format!("/sites/{}", text(&made["result"]["id"]));
    assert_eq!(scene.panel.world(|panel| (panel.begun, panel.installations.len())), (1, 1));
    let plugins = format!("{site}/wordpress/plugins");
    scene.panel.inject(Method::POST, "/api/v1/wordpress/plugins/install", 1, Fault::Cut);
    scene.change(Method::POST, &plugins, &json!({"source": "wordfence"})).await;
    assert_eq!(scene.panel.count(&Method::POST, "/api/v1/wordpress/plugins/install"), 1);
    scene.panel.inject(Method::DELETE, "/api/v1/wordpress/delete", 1, Fault::Cut);
    scene.change(Method::DELETE, &site, &Value::Null).await;
    assert_eq!(scene.panel.count(&Method::DELETE, "/api/v1/wordpress/delete"), 1);
    assert_eq!(scene.panel.world(|panel| panel.installations.len()), 0);
    assert_eq!(scene.panel.faults_left(), 0);
}

#[tokio::test]
async fn what_can_not_be_looked_up_is_sent_again_only_where_it_does_no_harm() {
    let scene = Scene::new(&["blog.com"]).await;
    let site = scene.site().await;
    let toolkit = format!("{site}/wordpress");
    let count = |path: &str| scene.panel.count(&Method::POST, &format!("/api/v1/wordpress/{path}"));
    // The same state is wanted again, whether the panel answered with its page or not at all.
    scene.panel.inject(Method::POST, "/api/v1/wordpress/maintenance", 1, Fault::Html(200));
    scene.change(Method::PUT, &format!("{toolkit}/maintenance"), &json!({"enabled": true})).await;
    assert!(scene.panel.world(|panel| panel.installation("blog.com").maintenance));
    scene.panel.inject(Method::POST, "/api/v1/wordpress/cache/flush", 1, Fault::Cut);
    scene.change(Method::POST, &format!("{toolkit}/cache/flush"), &json!({})).await;
    assert_eq!((count("maintenance"), count("cache/flush")), (2, 2));
    // A second search would find another text, and a second backup be one too many.
    scene.panel.inject(Method::POST, "/api/v1/wordpress/search-replace", 1, Fault::Cut);
    let lost =
        scene.send(Method::POST, &format!("{toolkit}/search-replace"), &json!({"search": "http", "replace": "https"})).await;
    assert!(lost.text().contains("was not sent again"), "{}", lost.text());
    scene.panel.inject(Method::POST, "/api/v1/wordpress/backup", 1, Fault::Cut);
    let lost = scene.send(Method::POST, &format!("{site}/backups"), &json!({})).await;
    assert!(lost.text().contains("was not sent again"), "{}", lost.text());
    assert_eq!((count("search-replace"), count("backup"), scene.panel.faults_left()), (1, 1, 0));
}

#[tokio::test]
async fn what_fails_or_is_refused_says_why() {
    let scene = Scene::new(&["blog.com"]).await;
    // The three shapes of a refusal, of the same request.
    let elsewhere = scene.send(Method::POST, "/sites", &new_site()).await.problem(422, "invalid_input");
    assert!(text(&elsewhere["detail"]).contains("isn't one of this account"), "{elsewhere}");
    assert_eq!(elsewhere["fields"][0]["field"], "domain", "{elsewhere}");
    let mut taken = new_site();
    taken["domain"] = json!("blog.com");
    scene.send(Method::POST, "/sites", &taken).await.problem(409, "conflict");
    let mut added = new_site();
    added["options"] = json!({"add_domain": true});
    let full = json!({"success": false, "error": "Domain limit reached", "code": "FORBIDDEN"});
    scene.panel.inject(Method::POST, "/api/v1/domains", 1, refused(403, full));
    let full = scene.send(Method::POST, "/sites", &added).await;
    assert_eq!(full.json()["code"], "quota_exceeded", "{}", full.text());
    assert_eq!(scene.panel.count(&Method::POST, INSTALL), 1);

    scene.panel.world(|panel| panel.next_fails = Some("no space left on the device."));
    let failed = scene.send(Method::POST, "/sites", &added).await;
    assert!(failed.status.is_server_error(), "{}", failed.text());
    assert!(failed.text().contains("WisPanel says: no space left on the device"), "{}", failed.text());
    assert_eq!(scene.panel.world(|panel| (panel.begun, panel.installations.len())), (1, 1));
    // What the panel would need is asked for before anything is sent.
    let seen = scene.panel.seen().len();
    let refused = scene.send(Method::POST, "/sites", &json!({"connection": "w", "name": "Blog", "domain": "x.example"})).await;
    refused.problem(422, "invalid_input");
    assert_eq!(scene.panel.seen().len(), seen);
}
