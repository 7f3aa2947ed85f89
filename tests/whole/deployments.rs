//! Deployments: from git, from a zip file, by content; rolled back and released.
//!
//! Invariant: what an environment serves is told by `current`, and every deployment can be read again by the Location it got.

use http::Method;
use portico_tests::{Answer, Api, Gateway, Setup, Upstream};
use serde_json::{Value, json};

/// A gateway with a sandbox whose work takes no time, and the path of a site there.
async fn world(more: Value) -> (Gateway, String) {
    let gateway = Gateway::start().await;
    let mut settings = json!({"work_seconds": 0});
    settings.as_object_mut().expect("settings").extend(more.as_object().expect("settings").clone());
    gateway.connect("quick", "sandbox", settings).await;
    let made = gateway.api.post("/sites", &json!({"connection": "quick", "name": "Shop"})).await.is(201).json();
    let path = format!("/sites/{}", text(&made["result"]["id"]));
    (gateway, path)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("not a text: {value}"))
}

#[track_caller]
fn field(problem: &Value, name: &str) {
    assert_eq!(problem["fields"][0]["field"], name, "{problem}");
}

fn git() -> Value {
    json!({"type": "git", "repository": "https://git.example/shop.git", "branch": "main"})
}

/// The deployment that was made, read by its Location.
async fn deploy(api: &Api, path: &str, body: &Value) -> Value {
    let made = api.post(path, body).await.is(201);
    let location = made.header("location").expect("where the deployment is").to_owned();
    let operation = made.json();
    let deployment = api.get(&location).await.is(200).json();
    assert_eq!(deployment, operation["result"], "{operation}");
    assert_eq!(operation["target"]["type"], "deployment", "{operation}");
    assert_eq!(operation["target"]["id"], deployment["id"], "{operation}");
    deployment
}

async fn current(api: &Api, site: &str) -> Value {
    api.get(&format!("{site}/environments/production/current")).await.is(200).json()["id"].clone()
}

fn file(path: &str, hash: char, size: u64) -> Value {
    json!({"path": path, "blake3": hash.to_string().repeat(64), "sha256": hash.to_string().repeat(64), "size": size})
}

#[tokio::test]
async fn deployed_rolled_back_and_released() {
    let (gateway, site) = world(json!({})).await;
    let api = &gateway.api;
    let deployments = format!("{site}/deployments");
    let nothing = api.post(&format!("{deployments}/previous/rollback"), &json!({})).await;
    nothing.problem(409, "conflict");

    let first = deploy(api, &deployments, &json!({"source": git(), "message": "one"})).await;
    let source =
        json!({"type": "git", "repository": "https://git.example/shop.git", "branch": "main", "commit": null, "zip_url": null});
    assert_eq!((&first["source"], &first["status"], &first["message"]), (&source, &json!("completed"), &json!("one")));
    assert!(text(&first["logs"]).contains("completed"), "{first}");
    assert_eq!((&first["site"], &first["environment"]), (&json!(site.trim_start_matches("/sites/")), &json!("production")));
    let zip = json!({"type": "zip", "zip_url": "https://files.example/shop.zip?signature=x"});
    let second = deploy(api, &deployments, &json!({"environment": "production", "source": zip})).await;
    assert_eq!(second["source"]["zip_url"], zip["zip_url"], "{second}");
    assert_eq!(second["source"]["repository"], json!(null), "{second}");
    assert_eq!(current(api, &site).await, second["id"]);

    let list = api.get(&format!("{deployments}?environment=production")).await.is(200).json();
    let rows: Vec<_> = list["data"].as_array().expect("deployments").iter().map(|one| (&one["id"], &one["logs"])).collect();
    assert_eq!(rows, [(&second["id"], &json!(null)), (&first["id"], &json!(null))], "newest first, without logs");
    field(&api.get(&format!("{deployments}?environment=none-such")).await.problem(422, "invalid_input"), "environment");

    let back = api.post(&format!("{deployments}/previous/rollback?environment=production"), &json!({})).await.is(200).json();
    assert_eq!((&back["result"]["id"], &back["target"]["id"]), (&first["id"], &first["id"]), "{back}");
    assert_eq!(current(api, &site).await, first["id"]);
    let second_path = format!("{deployments}/{}", text(&second["id"]));
    let _ = api.post(&format!("{second_path}/rollback"), &json!({})).await.is(200);
    assert_eq!(current(api, &site).await, second["id"]);

    // Released where it wasn't deployed.
    let _ = api.post(&format!("{site}/environments"), &json!({"name": "staging"})).await.is(201);
    let release = api.post(&format!("{second_path}/release"), &json!({"environment": "staging"})).await.is(200).json();
    assert_eq!((&release["action"], &release["result"]["id"]), (&json!("deployments.release"), &second["id"]), "{release}");
    let staging = api.get(&format!("{site}/environments/staging/current")).await.is(200).json();
    assert_eq!((&staging["id"], staging["logs"].is_string()), (&second["id"], true));

    // One that fails is told by its own problem, and changes nothing that is served.
    let failed = api.post(&deployments, &json!({"source": git(), "message": "fail"})).await;
    assert!(failed.status.is_client_error() || failed.status.is_server_error(), "{}", failed.text());
    let failed = failed.json();
    assert!(text(&failed["operation"]).starts_with("op_"), "{failed}");
    assert_eq!(current(api, &site).await, second["id"]);
}

#[tokio::test]
async fn planned_committed_and_released() {
    let (gateway, site) = world(json!({"blob_url": "http://127.0.0.1:9"})).await;
    let api = &gateway.api;
    let plans = format!("{site}/deployments/plans");
    let files = json!([file("/index.html", 'a', 5), file("/css/site.css", 'b', 7), file("/copy.html", 'a', 5)]);
    let plan = api.post(&plans, &json!({"files": files, "environment": "production"})).await.is(201);
    assert_eq!(plan.header("cache-control"), Some("no-store"));
    let plan = plan.json();
    let mut keys: Vec<&str> = plan.as_object().expect("a plan").keys().map(String::as_str).collect();
    keys.sort_unstable();
    assert_eq!(keys, ["expires_at", "id", "missing", "site"]);
    assert_eq!(plan["missing"], json!(["a".repeat(64), "b".repeat(64)]), "each hash once");
    assert_eq!(plan["site"], site.trim_start_matches("/sites/"));
    let operations = api.get("/operations").await.is(200).json();
    assert_eq!(operations["total"].as_u64().unwrap_or(1), 1, "a plan is no operation: {operations}");

    let commit = format!("{plans}/{}/commit", text(&plan["id"]));
    let committed = deploy(api, &commit, &json!({"message": "by content"})).await;
    assert_eq!((&committed["status"], &committed["source"]["type"]), (&json!("committed"), &json!("files")), "{committed}");
    assert_eq!(committed["changes"], json!({"added": 3, "modified": 0, "deleted": 0}), "{committed}");
    assert_eq!(committed["message"], "by content");
    api.get(&format!("{site}/environments/production/current")).await.problem(404, "nothing_deployed");
    let release = format!("{site}/deployments/{}/release", text(&committed["id"]));
    let _ = api.post(&release, &json!({"environment": "production"})).await.is(200);
    assert_eq!(current(api, &site).await, committed["id"]);
    // A plan is good for one commit.
    api.post(&commit, &json!({})).await.problem(404, "not_found");
}

#[tokio::test]
async fn a_key_makes_a_plan_and_its_commit_safe_to_repeat() {
    let (gateway, site) = world(json!({})).await;
    let plans = format!("{site}/deployments/plans");
    let keyed = [("idempotency-key", "k"), ("prefer", "wait=30")];
    let body = json!({"files": [file("/a", 'a', 1)]});
    let plan = gateway.api.json(Method::POST, &plans, &keyed, &body).await.is(201).json();
    assert_eq!(gateway.api.json(Method::POST, &plans, &keyed, &body).await.is(201).json(), plan);
    let commit = format!("{plans}/{}/commit", text(&plan["id"]));
    let first = gateway.api.json(Method::POST, &commit, &keyed, &json!({})).await.is(201).json();
    let again = gateway.api.json(Method::POST, &commit, &keyed, &json!({})).await.is(201).json();
    assert_eq!(first["id"], again["id"]);
}

#[tokio::test]
async fn plans_are_bounded() {
    let (gateway, site) = world(json!({})).await;
    let plans = format!("{site}/deployments/plans");
    let body = |count: usize, path: &str| {
        let hash = |index: usize| format!("{index:064x}");
        let one = |index| json!({"path": format!("/{path}{index}"), "blake3": hash(index), "sha256": hash(index), "size": 1});
        json!({"files": (0..count).map(one).collect::<Vec<_>>()})
    };
    let _ = gateway.api.post(&plans, &body(10_000, "a/long/enough/path/to/a/file-")).await.is(201);
    field(&gateway.api.post(&plans, &body(10_001, "")).await.problem(422, "invalid_input"), "files");
    gateway.api.post(&plans, &body(10_000, &"x".repeat(250))).await.problem(413, "body_too_large");
}

#[tokio::test]
async fn bad_requests_about_deployments_name_the_field() {
    let (gateway, site) = world(json!({})).await;
    let api = &gateway.api;
    let deployments = format!("{site}/deployments");
    let hash = "a".repeat(64);
    let plan = |file: Value| json!({"files": [file]});
    for (path, body, wrong) in [
        (deployments.clone(), json!({}), "source"),
        (deployments.clone(), json!({"source": {}}), "source"),
        (deployments.clone(), json!({"source": {"type": "files"}}), "source.type"),
        (deployments.clone(), json!({"source": {"type": "git"}}), "source.repository"),
        (deployments.clone(), json!({"source": {"type": "zip", "zip_url": "shop.zip"}}), "source.zip_url"),
        (deployments.clone(), json!({"source": {"type": "zip", "zip_url": "https://u:p@a.example/"}}), "source.zip_url"),
        (deployments.clone(), json!({"source": git(), "message": ""}), "message"),
        (deployments.clone(), json!({"source": git(), "environment": "none-such"}), "environment"),
        (format!("{deployments}/plans"), json!({}), "files"),
        (format!("{deployments}/plans"), json!({"files": []}), "files"),
        (format!("{deployments}/plans"), plan(json!({"path": "/a"})), "files[0]"),
        (format!("{deployments}/plans"), plan(file("a", 'a', 1)), "files[0].path"),
        (format!("{deployments}/plans"), plan(file("/../a", 'a', 1)), "files[0].path"),
        (format!("{deployments}/plans"), plan(file("/a", 'A', 1)), "files[0].blake3"),
        (
            format!("{deployments}/plans"),
            plan(json!({"path": "/a", "blake3": hash, "sha256": hash, "size": -1})),
            "files[0].size",
        ),
        (format!("{deployments}/plans"), json!({"files": [file("/a", 'a', 1)], "environment": "none-such"}), "environment"),
    ] {
        let problem = api.post(&path, &body).await.problem(422, "invalid_input");
        field(&problem, wrong);
    }
    let made = deploy(api, &deployments, &json!({"source": git()})).await;
    let release = format!("{deployments}/{}/release", text(&made["id"]));
    for (body, wrong) in [(json!({}), "environment"), (json!({"environment": "none-such"}), "environment")] {
        field(&api.post(&release, &body).await.problem(422, "invalid_input"), wrong);
    }
    let here = json!({"environment": "production"});
    api.post(&format!("{deployments}/none-such/release"), &here).await.problem(404, "not_found");
    api.post(&format!("{deployments}/none-such/rollback"), &json!({})).await.problem(404, "not_found");
    api.post(&format!("{deployments}/plans/none-such/commit"), &json!({})).await.problem(404, "not_found");
    api.get(&format!("{deployments}/none-such")).await.problem(404, "not_found");
    api.get("/sites/quick~none-such/deployments").await.problem(404, "not_found");
    let list = api.get(&deployments).await.is(200).json();
    assert_eq!(list["total"], 1, "{list}");
}

#[tokio::test]
async fn what_is_switched_off_is_501_and_makes_no_operation() {
    let off = ["deployments.create.zip", "deployments.plan", "deployments.rollback", "deployments.release", "deployments.list"];
    let (gateway, site) = world(json!({ "features_off": off })).await;
    let api = &gateway.api;
    let deployments = format!("{site}/deployments");
    let zip = json!({"source": {"type": "zip", "zip_url": "https://a.example/z.zip"}});
    let refused = [
        (api.post(&deployments, &zip).await, "deployments.create.zip"),
        (api.post(&format!("{deployments}/plans"), &json!({"files": [file("/a", 'a', 1)]})).await, "deployments.plan"),
        (api.post(&format!("{deployments}/plans/p/commit"), &json!({})).await, "deployments.plan"),
        (api.post(&format!("{deployments}/previous/rollback"), &json!({})).await, "deployments.rollback"),
        (api.post(&format!("{deployments}/d/release"), &json!({"environment": "production"})).await, "deployments.release"),
        (api.get(&deployments).await, "deployments.list"),
    ];
    for (reply, feature) in refused {
        field(&reply.problem(501, "unsupported"), feature);
    }
    let operations = api.get("/operations").await.is(200).json();
    assert_eq!(operations["data"].as_array().map(Vec::len), Some(1), "{operations}");
}

/// A plan may be made at the upstream without an operation; a reading call sends no POST.
#[tokio::test]
async fn a_plan_sends_a_post_and_a_reading_call_does_not() {
    let upstream = Upstream::start(|_| Answer::Json(201, json!({}))).await;
    let gateway = Gateway::start_with(Setup { guests: vec!["planner"], ..Setup::default() }).await;
    gateway.connect("planner", "planner", json!({"url": upstream.url()})).await;
    let body = json!({"files": [file("/a", 'a', 1)]});
    let plan = gateway.api.post("/sites/planner~1/deployments/plans", &body).await.is(201).json();
    assert_eq!((&plan["id"], &plan["missing"]), (&json!("a=2F1"), &json!(["a".repeat(64)])), "{plan}");
    gateway.api.get("/sites/planner~1/deployments/1").await.problem(502, "request_refused");
    let seen = upstream.seen();
    assert_eq!(seen.len(), 1, "{seen:?}");
    assert_eq!((&seen[0].method, seen[0].path.as_str(), seen[0].json()), (&Method::POST, "/plans", json!({"paths": ["/a"]})));
    assert_eq!(gateway.api.get("/operations").await.is(200).json()["data"], json!([]));
}
