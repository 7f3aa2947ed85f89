//! SitePod through the gateway: real bytes on their way to a server that checks them, in both dialects.
//!
//! The server is a simulator (`portico_tests::simulators`). Invariant: what an environment serves is, byte for byte, what a client
//! uploaded for the image that is released there.

use bytes::Bytes;
use http::Method;
use portico_tests::{
    Api, Gateway,
    simulators::{Dialect, Fault, Request, Simulator, SitePod},
};
use serde_json::{Value, json};

const PASSWORD: &str = "sitepod-secret-canary-2";

async fn world(dialect: Dialect) -> (Gateway, Simulator<SitePod>) {
    let pods = Simulator::start(SitePod::new(dialect, "me@example.com", PASSWORD)).await;
    let gateway = Gateway::start().await;
    let mut settings = json!({"url": pods.url()});
    if dialect == Dialect::Seed {
        settings["dialect"] = json!("seed");
        settings["projects"] = json!(["my-site"]);
    }
    let connection = json!({
        "id": "pods", "provider": "sitepod", "name": "pods", "settings": settings,
        "secrets": {"email": "me@example.com", "password": PASSWORD},
    });
    let _ = gateway.api.post("/connections", &connection).await.is(201);
    (gateway, pods)
}

const SITE: &str = "/sites/pods~my-site";

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("not a text: {value}"))
}

struct Content {
    path: &'static str,
    bytes: Bytes,
}

fn content(path: &'static str, bytes: impl Into<Bytes>) -> Content {
    Content { path, bytes: bytes.into() }
}

impl Content {
    fn hash(&self) -> String {
        blake3::hash(&self.bytes).to_hex().to_string()
    }

    fn entry(&self) -> Value {
        // The gateway hands it on, and the server only looks at its form.
        let sha256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        json!({"path": self.path, "blake3": self.hash(), "sha256": sha256, "size": self.bytes.len(), "content_type": "text/html"})
    }
}

async fn done(api: &Api, method: Method, path: &str, body: &Value) -> Value {
    let operation = api.json(method, path, &[("prefer", "wait=30")], body).await.json();
    assert_eq!(operation["status"], "succeeded", "{path}: {operation}");
    operation
}

/// Plans, and gives the plan's id with the hashes that are missing.
async fn plan(api: &Api, contents: &[Content], message: &str) -> (String, Vec<String>) {
    let files: Vec<Value> = contents.iter().map(Content::entry).collect();
    let plan =
        api.post(&format!("{SITE}/deployments/plans"), &json!({"files": files, "message": message})).await.is(201).json();
    let missing = plan["missing"].as_array().expect("hashes").iter().map(|hash| text(hash).to_owned()).collect();
    (text(&plan["id"]).to_owned(), missing)
}

async fn upload(api: &Api, plan: &str, content: &Content) -> portico_tests::Reply {
    let path = format!("{SITE}/deployments/plans/{plan}/blobs/{}", content.hash());
    api.send(Method::PUT, &path, &[("content-type", "application/octet-stream")], content.bytes.clone()).await
}

/// Plan, upload of what is missing, commit: the image's id.
async fn deploy(api: &Api, contents: &[Content], message: &str) -> String {
    let (plan, missing) = plan(api, contents, message).await;
    for hash in &missing {
        let content = contents.iter().find(|content| content.hash() == *hash).expect("one of the plan's");
        let _ = upload(api, &plan, content).await.is(201);
    }
    let committed = done(api, Method::POST, &format!("{SITE}/deployments/plans/{plan}/commit"), &json!({})).await;
    assert_eq!(committed["result"]["status"], "committed", "{committed}");
    text(&committed["result"]["id"]).to_owned()
}

async fn current(api: &Api, environment: &str) -> Value {
    api.get(&format!("{SITE}/environments/{environment}/current")).await.json()["id"].clone()
}

fn page(version: u32) -> Vec<Content> {
    vec![
        content("/index.html", format!("<h1>version {version}</h1>")),
        content("/assets/logo.bin", vec![7_u8; 300_000]),
        content("/copy.html", format!("<h1>version {version}</h1>")),
    ]
}

#[tokio::test]
async fn deployed_by_content_released_and_rolled_back() {
    let (gateway, pods) = world(Dialect::Live).await;
    let api = &gateway.api;
    let first = deploy(api, &page(1), "one").await;
    assert_eq!(pods.count(&Method::POST, "/api/v1/upload/*/*"), 2, "each content once");
    api.get(&format!("{SITE}/environments/prod/current")).await.problem(404, "nothing_deployed");
    let release = |id: &str| format!("{SITE}/deployments/{id}/release");
    let released = done(api, Method::POST, &release(&first), &json!({"environment": "production"})).await;
    assert_eq!(released["result"]["status"], "completed", "{released}");
    let serves = |path: &str| pods.world(|pods| pods.serves("my-site", "prod", path));
    assert_eq!(serves("index.html"), Some(Bytes::from("<h1>version 1</h1>")));
    assert_eq!(serves("assets/logo.bin"), Some(Bytes::from(vec![7_u8; 300_000])));

    let second = deploy(api, &page(2), "two").await;
    assert_eq!(pods.count(&Method::POST, "/api/v1/upload/*/*"), 3, "what is there isn't sent again");
    done(api, Method::POST, &release(&second), &json!({"environment": "beta"})).await;
    done(api, Method::POST, &release(&second), &json!({"environment": "prod"})).await;
    assert_eq!((current(api, "prod").await, current(api, "beta").await), (json!(second), json!(second)));
    let list = api.get(&format!("{SITE}/deployments")).await.is(200).json();
    let rows: Vec<(&str, &str, &str)> = list["data"]
        .as_array()
        .expect("deployments")
        .iter()
        .map(|one| (text(&one["id"]), text(&one["status"]), text(&one["message"])))
        .collect();
    assert_eq!(rows, [(second.as_str(), "completed", "two"), (first.as_str(), "committed", "one")]);
    done(api, Method::POST, &format!("{SITE}/deployments/previous/rollback"), &json!({})).await;
    assert_eq!(current(api, "prod").await, json!(first));
    assert_eq!(serves("index.html"), Some(Bytes::from("<h1>version 1</h1>")));
    done(api, Method::POST, &format!("{SITE}/deployments/{second}/rollback"), &json!({})).await;
    assert_eq!(current(api, "prod").await, json!(second));

    let sites = api.get("/sites?connection=pods").await.is(200).json();
    assert_eq!((&sites["total"], &sites["data"][0]["kind"]), (&json!(1), &json!("static")), "{sites}");
    assert_eq!(pods.world(|pods| pods.logins), 1);
}

/// A plan isn't an operation: what it sends is on the trail of who asked for it, through every task on the way.
#[tokio::test]
async fn a_plan_is_on_the_trail_of_its_request() {
    let (gateway, pods) = world(Dialect::Live).await;
    let files: Vec<Value> = page(1).iter().map(Content::entry).collect();
    let body = json!({"files": files, "message": "one"});
    let path = format!("{SITE}/deployments/plans");
    for headers in [&[("x-request-id", "plain")][..], &[("x-request-id", "keyed"), ("idempotency-key", "k")][..]] {
        let _ = gateway.api.json(Method::POST, &path, headers, &body).await.is(201);
        let on_trail = |request: &Request| request.header("x-request-id") == Some(headers[0].1);
        assert!(pods.seen().iter().any(on_trail), "nothing came on the trail of {headers:?}");
    }
}

#[tokio::test]
async fn wrong_blobs_are_kept_by_nobody_and_a_plan_is_committed_once() {
    let (gateway, pods) = world(Dialect::Live).await;
    let api = &gateway.api;
    let contents = page(1);
    let (plan, missing) = plan(api, &contents, "one").await;
    assert_eq!(missing.len(), 2);
    let commit = format!("{SITE}/deployments/plans/{plan}/commit");
    let early = api.post(&commit, &json!({})).await.problem(409, "conflict");
    assert!(text(&early["detail"]).contains("missing blob"), "{early}");
    // Bytes of another content under this hash: broken off by the gateway, before the server has all of them.
    let path = format!("{SITE}/deployments/plans/{plan}/blobs/{}", contents[0].hash());
    let wrong = Bytes::from("<h1>version x</h1>");
    api.send(Method::PUT, &path, &[], wrong).await.problem(422, "hash_mismatch");
    // And of another length than planned: refused by the server.
    let other = content("/other.html", "not in the plan");
    let refused = upload(api, &plan, &other).await;
    assert!(refused.status.is_server_error() || refused.status.is_client_error(), "{}", refused.text());
    assert!(pods.world(|pods| pods.blobs.is_empty()));
    for content in &contents[..2] {
        let _ = upload(api, &plan, content).await.is(201);
    }
    done(api, Method::POST, &commit, &json!({})).await;
    let again = api.post(&commit, &json!({})).await.problem(409, "conflict");
    assert!(text(&again["detail"]).contains("plan is not pending"), "{again}");
}

#[tokio::test]
async fn a_token_that_runs_out_costs_a_login_and_an_upload_one_more_try() {
    let (gateway, pods) = world(Dialect::Live).await;
    let api = &gateway.api;
    let contents = page(1);
    let (plan, _) = plan(api, &contents, "one").await;
    pods.world(SitePod::end_sessions);
    // Its bytes are gone with the refusal, so the client sends them again; the session is there by then.
    let refused = upload(api, &plan, &contents[0]).await.problem(503, "upstream_unavailable");
    assert!(text(&refused["detail"]).contains("send the blob again"), "{refused}");
    for content in &contents[..2] {
        let _ = upload(api, &plan, content).await.is(201);
    }
    pods.world(SitePod::end_sessions);
    let commit = format!("{SITE}/deployments/plans/{plan}/commit");
    done(api, Method::POST, &commit, &json!({})).await;
    assert_eq!(pods.world(|pods| pods.logins), 3);
    let log = gateway.log();
    assert!(!log.contains(PASSWORD) && !log.contains("eyJhbGci"), "{log}");
}

#[tokio::test]
async fn a_commit_or_release_whose_answer_is_lost_is_found() {
    let (gateway, pods) = world(Dialect::Live).await;
    let api = &gateway.api;
    pods.inject(Method::POST, "/api/v1/commit", 1, Fault::Cut);
    let image = deploy(api, &page(1), "one").await;
    pods.inject(Method::POST, "/api/v1/release", 1, Fault::Cut);
    done(api, Method::POST, &format!("{SITE}/deployments/{image}/release"), &json!({"environment": "prod"})).await;
    assert_eq!(current(api, "prod").await, json!(image));
    let counts = (pods.count(&Method::POST, "/api/v1/commit"), pods.count(&Method::POST, "/api/v1/release"));
    assert_eq!((counts, pods.faults_left()), ((1, 1), 0));
}

#[tokio::test]
async fn domains_lead_to_prod() {
    let (gateway, _pods) = world(Dialect::Live).await;
    let api = &gateway.api;
    deploy(api, &page(1), "one").await;
    let domains = format!("{SITE}/domains");
    let added = done(api, Method::POST, &domains, &json!({"name": "shop.pods.example"})).await;
    assert_eq!((&added["result"]["status"], &added["result"]["environment"]), (&json!("active"), &json!("prod")), "{added}");
    let own = api.post(&domains, &json!({"name": "www.example.com"})).await.problem(502, "upstream_credentials");
    assert!(text(&own["detail"]).contains("admin privileges"), "{own}");
    done(api, Method::POST, &format!("{domains}/shop.pods.example/verify"), &json!({})).await;
    done(api, Method::DELETE, &format!("{domains}/shop.pods.example"), &json!({})).await;
    assert_eq!(api.get(&domains).await.is(200).json()["data"], json!([]));
}

#[tokio::test]
async fn the_seeds_dialect_deploys_as_well() {
    let (gateway, pods) = world(Dialect::Seed).await;
    let api = &gateway.api;
    assert_eq!(api.get("/sites?connection=pods").await.is(200).json()["total"], 1);
    let image = deploy(api, &page(1), "one").await;
    done(api, Method::POST, &format!("{SITE}/deployments/{image}/release"), &json!({"environment": "prod"})).await;
    assert_eq!(current(api, "prod").await, json!(image));
    assert_eq!(pods.world(|pods| pods.serves("my-site", "prod", "copy.html")), Some(Bytes::from("<h1>version 1</h1>")));
    let report = api.post("/connections/pods/test", &json!({})).await.is(200).json();
    assert_eq!(report["ok"], true, "{report}");
}
