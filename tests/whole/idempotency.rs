//! Idempotency-Key on everything that changes something: one key is one change and one answer, also across a kill.
//!
//! Changes that a provider carries out have the key in their operation (see `recovery` for kills there); here are the changes that
//! Portico makes itself, what a key does to secrets, and how long it is kept. `keys` asks every endpoint. Invariant: what is counted
//! is counted where the change is.

use http::Method;
use portico_tests::{Answer, Api, Chance, Gateway, Reply, Setup, Upstream, eventually};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// What gives or ends a session, and keeps no answer.
pub const UNKEYED: [(Method, &str); 7] = [
    (Method::POST, "/auth/register"),
    (Method::POST, "/auth/login"),
    (Method::POST, "/auth/refresh"),
    (Method::POST, "/auth/logout"),
    (Method::PATCH, "/auth/password"),
    (Method::DELETE, "/account"),
    (Method::POST, "/invitations/accept"),
];

async fn keyed(api: &Api, method: Method, path: &str, key: &str, body: &Value) -> Reply {
    api.json(method, path, &[("idempotency-key", key)], body).await
}

#[track_caller]
pub fn same(first: &Reply, again: &Reply) {
    assert_eq!((first.status, &first.body), (again.status, &again.body), "{again:?}");
    for header in ["location", "content-type", "cache-control", "etag"] {
        assert_eq!(first.header(header), again.header(header), "{header}: {again:?}");
    }
    let replayed = (first.header("idempotency-replayed"), again.header("idempotency-replayed"));
    assert_eq!(replayed, (None, Some("true")), "{again:?}");
}

fn files() -> Value {
    json!({"files": [{"path": "/a", "size": 1, "blake3": "a".repeat(64), "sha256": "a".repeat(64)}]})
}

#[tokio::test]
async fn every_change_is_made_once_and_answered_the_same() {
    let mut gateway = Gateway::start().await;
    let api = gateway.api.clone();
    let body = json!({"provider": "sandbox", "name": "Client", "settings": {"work_seconds": 0}});
    let made = keyed(&api, Method::POST, "/connections", "make", &body).await.is(201);
    same(&made, &keyed(&api, Method::POST, "/connections", "make", &body).await);
    let other = json!({"provider": "sandbox", "name": "Other"});
    keyed(&api, Method::POST, "/connections", "make", &other).await.problem(422, "idempotency_key_reused");
    let site = api.post("/sites", &json!({"connection": "client", "name": "Shop"})).await.is(201).json();
    let site = format!("/sites/{}", site["result"]["id"].as_str().expect("an id"));
    let plans = format!("{site}/deployments/plans");
    let checkout = json!({"connection": "sandbox", "plan": "starter"});
    let changes = [
        (Method::PATCH, "/connections/client", json!({"name": "New name"})),
        (Method::PATCH, site.as_str(), json!({"labels": {"team": "web"}})),
        (Method::POST, plans.as_str(), files()),
        (Method::POST, "/billing/checkout", checkout),
        (Method::POST, "/connections/client/test", json!({})),
    ];
    let mut answers = Vec::new();
    for (method, path, body) in &changes {
        let first = keyed(&api, method.clone(), path, "k", body).await;
        assert!(first.status.is_success(), "{path}: {}", first.text());
        same(&first, &keyed(&api, method.clone(), path, "k", body).await);
        answers.push(first);
    }
    // After a change by someone else, the answer is still the one that was given.
    let _ = api.json(Method::PATCH, "/connections/client", &[], &json!({"name": "Newer"})).await.is(200);
    // And after a restart.
    assert!(gateway.sigterm().await.success());
    gateway.restart().await;
    let api = &gateway.api;
    for ((method, path, body), first) in changes.iter().zip(&answers) {
        same(first, &keyed(api, method.clone(), path, "k", body).await);
    }
    assert_eq!(api.get("/connections/client").await.json()["name"], "Newer");
    same(&made, &keyed(api, Method::POST, "/connections", "make", &body).await);
    // Gone is gone, and the answer stays.
    let gone = keyed(api, Method::DELETE, "/connections/client", "gone", &json!({})).await.is(204);
    same(&gone, &keyed(api, Method::DELETE, "/connections/client", "gone", &json!({})).await);
    let forced = keyed(api, Method::DELETE, "/connections/client?force=true", "gone", &json!({})).await;
    forced.problem(422, "idempotency_key_reused");
    // One key of another caller is another key.
    let neighbour = api.with_token(&gateway.new_token("demo"));
    keyed(&neighbour, Method::DELETE, "/connections/client", "gone", &json!({})).await.problem(404, "connection_not_found");
    let replayed: Vec<Value> = api.walk("/audit?limit=100").await;
    assert!(json!(replayed).to_string().contains("replayed"), "a replay isn't told");
    // What was answered isn't readable in the database.
    for file in ["portico.db", "portico.db-wal"] {
        let bytes = std::fs::read(gateway.data().join(file)).unwrap_or_default();
        let (url, name) = (b"sandbox.invalid/checkout".as_slice(), b"idempotency".as_slice());
        let has = |words: &[u8]| bytes.windows(words.len()).any(|window| window == words);
        assert!(!has(url), "an answer is readable in {file}");
        assert!(file != "portico.db" || has(name), "the wrong file was looked at");
    }
}

#[tokio::test]
async fn what_was_refused_leaves_the_key_free() {
    let gateway = Gateway::start().await;
    let api = &gateway.api;
    keyed(api, Method::POST, "/connections", "k", &json!({"provider": "sandbox"})).await.problem(422, "invalid_input");
    keyed(api, Method::POST, "/connections", "k", &json!({"provider": "none", "name": "A"}))
        .await
        .problem(422, "invalid_input");
    let good = json!({"provider": "sandbox", "name": "A", "id": "a"});
    let made = keyed(api, Method::POST, "/connections", "k", &good).await.is(201);
    same(&made, &keyed(api, Method::POST, "/connections", "k", &good).await);
    for bad in ["", &"x".repeat(256), "a\u{7f}b"] {
        let reply = api.try_send(Method::DELETE, "/connections/a", &[("idempotency-key", bad)], bytes::Bytes::new()).await;
        if let Ok(reply) = reply {
            reply.problem(400, "malformed");
        }
    }
    let twice = [("idempotency-key", "a"), ("idempotency-key", "b")];
    api.send(Method::DELETE, "/connections/a", &twice, bytes::Bytes::new()).await.problem(400, "malformed");
    let _ = api.get("/connections/a").await.is(200);
    assert!(gateway.metric("portico_keyed_requests_total", &["outcome=\"replayed\""]).await >= 1.0);
}

#[tokio::test]
async fn a_second_request_waits_its_turn_and_a_passing_failure_frees_the_key() {
    let asked = AtomicUsize::new(0);
    let upstream = Upstream::start(move |_| match asked.fetch_add(1, Ordering::SeqCst) {
        0 => Answer::Json(503, json!({})),
        1 => Answer::Json(429, json!({})),
        _ => Answer::After(Duration::from_secs(2), Box::new(Answer::Json(200, json!({})))),
    })
    .await;
    let gateway = Gateway::start_with(Setup { guests: vec!["planner"], ..Setup::default() }).await;
    gateway.connect("p", "planner", json!({"url": upstream.url()})).await;
    let path = "/sites/p~1/deployments/plans";
    let api = &gateway.api;
    assert_eq!(keyed(api, Method::POST, path, "k", &files()).await.status, 503);
    assert_eq!(keyed(api, Method::POST, path, "k", &files()).await.status, 429);
    let first = {
        let api = gateway.fresh_api();
        tokio::spawn(async move { keyed(&api, Method::POST, path, "k", &files()).await })
    };
    eventually("the request to arrive", async || (upstream.count(&Method::POST, "/plans") == 3).then_some(())).await;
    let early = keyed(api, Method::POST, path, "k", &files()).await;
    assert_eq!(early.header("retry-after"), Some("1"));
    early.problem(409, "idempotency_in_progress");
    let changed = json!({"files": files()["files"], "message": "other"});
    keyed(api, Method::POST, path, "k", &changed).await.problem(422, "idempotency_key_reused");
    let first = first.await.expect("the client goes on").is(201);
    same(&first, &keyed(api, Method::POST, path, "k", &files()).await);
    assert_eq!(upstream.count(&Method::POST, "/plans"), 3);
}

#[tokio::test]
async fn a_client_that_leaves_finds_its_answer() {
    let slow = || Answer::After(Duration::from_secs(1), Box::new(Answer::Json(200, json!({}))));
    let upstream = Upstream::start(move |_| slow()).await;
    let gateway = Gateway::start_with(Setup { guests: vec!["planner"], ..Setup::default() }).await;
    gateway.connect("p", "planner", json!({"url": upstream.url()})).await;
    let path = "/sites/p~1/deployments/plans";
    let api = gateway.fresh_api();
    let leaving = tokio::spawn(async move { keyed(&api, Method::POST, path, "k", &files()).await });
    eventually("the request to arrive", async || (upstream.count(&Method::POST, "/plans") == 1).then_some(())).await;
    leaving.abort();
    let answer = eventually("its answer", async || {
        let again = keyed(&gateway.api, Method::POST, path, "k", &files()).await;
        (again.status != 409).then_some(again)
    })
    .await
    .is(201);
    assert_eq!((answer.header("idempotency-replayed"), upstream.count(&Method::POST, "/plans")), (Some("true"), 1));
}

#[tokio::test]
async fn what_nothing_was_changed_under_runs_again_after_a_kill() {
    let upstream = Upstream::start(|_| Answer::Never).await;
    let mut gateway = Gateway::start_with(Setup { guests: vec!["planner"], ..Setup::default() }).await;
    gateway.connect("p", "planner", json!({"url": upstream.url()})).await;
    let path = "/sites/p~1/deployments/plans";
    let api = gateway.fresh_api();
    let headers = [("content-type", "application/json"), ("idempotency-key", "k")];
    let body = files().to_string();
    let cut = tokio::spawn(async move { api.try_send(Method::POST, path, &headers, body.into()).await.is_err() });
    eventually("the request to arrive", async || (upstream.count(&Method::POST, "/plans") == 1).then_some(())).await;
    gateway.kill9();
    assert!(cut.await.expect("the client goes on"));
    gateway.restart().await;
    let api = gateway.fresh_api();
    let again = tokio::spawn(async move { keyed(&api, Method::POST, path, "k", &files()).await });
    eventually("the request to arrive again", async || (upstream.count(&Method::POST, "/plans") == 2).then_some(())).await;
    again.abort();
}

/// The client knows no id before it has an answer, so a change that is made twice is there twice.
#[tokio::test]
async fn nothing_is_made_twice_whenever_the_kill_comes() {
    const KILLS: usize = 20;
    let mut gateway = Gateway::start().await;
    let mut chance = Chance::new();
    let mut lost = 0;
    for n in 0..KILLS {
        let (api, key) = (gateway.fresh_api(), format!("k-{n}"));
        let body = json!({"provider": "sandbox", "name": format!("C {n}")});
        let headers = [("content-type".to_owned(), "application/json".to_owned()), ("idempotency-key".to_owned(), key.clone())];
        let text = body.to_string();
        let sent = tokio::spawn(async move {
            let headers: Vec<_> = headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            api.try_send(Method::POST, "/connections", &headers, text.into()).await
        });
        tokio::time::sleep(chance.instant(Duration::from_millis(120))).await;
        gateway.kill9();
        let answered = sent.await.expect("the client goes on").ok();
        gateway.restart().await;
        let again = keyed(&gateway.api, Method::POST, "/connections", &key, &body).await;
        match answered {
            Some(first) => same(&first, &again),
            None if again.status == 409 => {
                again.problem(409, "idempotency_answer_lost");
                lost += 1;
            }
            None => assert_eq!(again.status, 201, "{}", again.text()),
        }
    }
    let pages = gateway.api.walk("/connections?limit=100").await;
    let mut names: BTreeMap<String, usize> = BTreeMap::new();
    for one in pages.iter().flat_map(|page| page["data"].as_array().cloned().unwrap_or_default()) {
        *names.entry(one["name"].as_str().unwrap_or_default().to_owned()).or_default() += 1;
    }
    names.remove("Sandbox");
    let expected: BTreeMap<String, usize> = (0..KILLS).map(|n| (format!("C {n}"), 1)).collect();
    assert_eq!(names, expected, "{lost} answers were lost");
}

#[tokio::test]
async fn the_key_that_was_shown_a_secret_is_shown_it_again() {
    let gateway = Gateway::start().await;
    let api = &gateway.api;
    gateway.connect("quick", "sandbox", json!({"work_seconds": 0})).await;
    let site = api.post("/sites", &json!({"connection": "quick", "name": "Blog"})).await.is(201).json();
    let admins = format!("/sites/{}/wordpress/admins", site["result"]["id"].as_str().expect("an id"));
    let headers = [("idempotency-key", "k"), ("prefer", "wait=30")];
    let body = json!({"user": "anna", "email": "a@example.com"});
    let first = api.json(Method::POST, &admins, &headers, &body).await.is(200).json();
    assert!(first["secrets"]["password"].is_string(), "{first}");
    let again = api.json(Method::POST, &admins, &headers, &body).await.is(200);
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    assert_eq!((&again.json()["secrets"], &again.json()["id"]), (&first["secrets"], &first["id"]));
    // Whoever asks without the key is shown nothing.
    let operation = api.get(&format!("/operations/{}", first["id"].as_str().expect("an id"))).await.is(200).json();
    assert_eq!(operation["secrets"], Value::Null, "{operation}");
    let password = first["secrets"]["password"].as_str().expect("a password").as_bytes();
    for file in ["portico.db", "portico.db-wal"] {
        let bytes = std::fs::read(gateway.data().join(file)).unwrap_or_default();
        assert!(!bytes.windows(password.len()).any(|window| window == password), "the password is in {file}");
    }
    // Once it was shown elsewhere, the key gets nothing.
    let asynchronous = [("idempotency-key", "k2"), ("prefer", "respond-async")];
    let body = json!({"user": "bert", "email": "b@example.com"});
    let accepted = api.json(Method::POST, &admins, &asynchronous, &body).await.is(202).json();
    let shown = api.get(&format!("/operations/{}?wait=30s", accepted["id"].as_str().expect("an id"))).await.is(200).json();
    assert!(shown["secrets"]["password"].is_string(), "{shown}");
    let late = api.json(Method::POST, &admins, &asynchronous, &body).await.is(200).json();
    assert_eq!((&late["id"], &late["secrets"]), (&accepted["id"], &Value::Null));
}

/// Silence would make a retry look safe.
#[tokio::test]
async fn where_a_key_cannot_be_kept_it_is_refused_and_nothing_happens() {
    let gateway = Gateway::start().await;
    let body = json!({"email": "anna@example.com", "password": "correct horse battery", "name": "Anna"});
    for (method, path) in UNKEYED {
        let body = if path == "/auth/register" { &body } else { &json!({"email": "anna@example.com", "password": "x"}) };
        let reply = gateway.api.json(method, path, &[("idempotency-key", "k")], body).await;
        reply.problem(400, "idempotency_unsupported");
    }
    let login = json!({"email": "anna@example.com", "password": "correct horse battery"});
    let _ = gateway.api.post("/auth/login", &login).await.is(401);
}

#[tokio::test]
async fn a_repetition_gets_its_operation_whatever_has_changed_since() {
    let gateway = Gateway::start().await;
    let api = &gateway.api;
    let _ = gateway.connect("slow", "sandbox", json!({"work_seconds": 8})).await;
    let quick = [("prefer", "wait=30")];
    let made = api.json(Method::POST, "/sites", &quick, &json!({"connection": "slow", "name": "Shop"})).await.is(201).json();
    let site = format!("/sites/{}", made["result"]["id"].as_str().expect("an id"));
    let delete = async |key: &str, prefer: &str| {
        let headers = [("idempotency-key", key), ("prefer", prefer)];
        api.send(Method::DELETE, &format!("/api/v1{site}"), &headers, bytes::Bytes::new()).await
    };
    let first = delete("once", "respond-async").await.is(202).json();
    let operation = format!("/operations/{}", first["id"].as_str().expect("an id"));
    eventually("the deletion to have left, or the label would stop it", async || {
        let now = api.get(&operation).await.is(200).json();
        (now["status"] == "running" && !now["progress"].is_null()).then_some(())
    })
    .await;
    let _ = api.json(Method::PATCH, &site, &[], &json!({"labels": {"protected": "yes"}})).await.is(200);
    // Another one would be refused; this one is what it was.
    delete("twice", "respond-async").await.problem(409, "protected");
    let again = delete("once", "respond-async").await;
    assert_eq!(again.header("idempotency-replayed"), Some("true"), "{}", again.text());
    assert_eq!(again.json()["id"], first["id"]);
}

/// Not even the provider has to be there any more: what was asked for was accepted when it was.
#[tokio::test]
async fn a_repetition_needs_no_provider() {
    let upstream = Upstream::start(|_| Answer::Json(200, json!({}))).await;
    let mut gateway = Gateway::start_with(Setup { guests: vec!["whole"], ..Setup::default() }).await;
    let connection = json!({"id": "w", "provider": "whole", "name": "Whole", "settings": {"url": upstream.url()},
        "secrets": {"api_key": "a-long-secret"}});
    let _ = gateway.api.post("/connections", &connection).await.is(201);
    let clone = async |gateway: &Gateway, key: &str| {
        let headers = [("idempotency-key", key), ("prefer", "wait=30")];
        let body = json!({"name": "Copy", "options": {"size": 1}});
        gateway.api.json(Method::POST, "/sites/w~a/clone", &headers, &body).await
    };
    let first = clone(&gateway, "once").await.json();
    assert_eq!(first["action"], "sites.clone", "{first}");
    assert!(gateway.sigterm().await.success());
    gateway.restart_with(|setup| setup.guests.clear()).await;
    let again = clone(&gateway, "once").await;
    assert_eq!(again.header("idempotency-replayed"), Some("true"), "{}", again.text());
    assert_eq!(again.json()["id"], first["id"]);
    assert!(!clone(&gateway, "twice").await.status.is_success());
}

/// Where the store fails the key can't be kept, and that is no failure of the request: it is sent again with the same key.
#[tokio::test]
async fn a_key_that_cannot_be_kept_is_told_as_that() {
    let gateway = Gateway::start().await;
    let body = json!({"connection": "sandbox", "name": "Shop"});
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(gateway.data().join("portico.db"));
    let mut database = sqlx::ConnectOptions::connect(&options).await.expect("the database");
    let break_it = "CREATE TRIGGER broken BEFORE INSERT ON operations BEGIN SELECT RAISE(ABORT, 'the disk is full'); END";
    sqlx::query(break_it).execute(&mut database).await.expect("a trigger");
    let problem = keyed(&gateway.api, Method::POST, "/sites", "k", &body).await.problem(503, "idempotency_unavailable");
    assert!(problem["detail"].as_str().is_some_and(|detail| detail.contains("the same key")), "{problem}");
    gateway.api.post("/sites", &body).await.problem(500, "internal");
    sqlx::query("DROP TRIGGER broken").execute(&mut database).await.expect("no trigger");
    let made =
        gateway.api.json(Method::POST, "/sites", &[("idempotency-key", "k"), ("prefer", "wait=30")], &body).await.is(201);
    assert_eq!(made.header("idempotency-replayed"), None);
}

/// The disk was full when a change's answer was to be kept, and for longer than that was tried.
#[tokio::test]
async fn a_key_whose_end_cannot_be_written_is_in_progress_only_while_it_runs() {
    let gateway = Gateway::start().await;
    let body = json!({"id": "own", "provider": "sandbox", "name": "Own"});
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(gateway.data().join("portico.db"));
    let mut database = sqlx::ConnectOptions::connect(&options).await.expect("the database");
    // That something was changed is still marked, in the change's own transaction.
    let break_it = "CREATE TRIGGER broken BEFORE UPDATE OF answer, owner ON idempotency BEGIN SELECT RAISE(ABORT, 'full'); END";
    sqlx::query(break_it).execute(&mut database).await.expect("a trigger");
    let first = keyed(&gateway.api, Method::POST, "/connections", "k", &body);
    let meanwhile = async {
        let _line = gateway.logged(&["an answer could not be kept for its key"]).await;
        keyed(&gateway.api, Method::POST, "/connections", "k", &body).await.problem(409, "idempotency_in_progress");
    };
    let (first, ()) = futures_util::future::join(first, meanwhile).await;
    let _ = first.is(201);
    sqlx::query("DROP TRIGGER broken").execute(&mut database).await.expect("no trigger");
    keyed(&gateway.api, Method::POST, "/connections", "k", &body).await.problem(409, "idempotency_answer_lost");
    assert!(gateway.metric("portico_store_failures_total", &[]).await >= 6.0);
}

/// However its path is escaped: of an operation, and of what Portico changes itself.
#[tokio::test]
async fn one_key_of_one_resource_is_one_key() {
    let gateway = Gateway::start().await;
    let api = &gateway.api;
    let _ = gateway.connect("own", "sandbox", json!({"work_seconds": 0, "seed_sites": 1})).await;
    let token = api.post("/tokens", &json!({"name": "Rotated"})).await.is(201).json();
    let rotate = format!("/tokens/{}/rotate", token["id"].as_str().expect("an id"));
    let escaped = rotate.replace('-', "%2d");
    assert_ne!(rotate, escaped);
    let headers = [("idempotency-key", "k"), ("prefer", "wait=30")];
    let backups = "/sites/own~seed-00001/backups";
    let kept = api.get(backups).await.is(200).json()["total"].as_u64().expect("a number");
    for (method, plain, escaped, body) in [
        (Method::POST, backups, "/sites/own%7Eseed%2D00001/backups", json!({})),
        (Method::PATCH, "/sites/own~seed-00001", "/sites/own%7eseed-00001", json!({"labels": {"team": "web"}})),
        (Method::PATCH, "/connections/own", "/connections/%6fwn", json!({"name": "Changed"})),
        (Method::POST, rotate.as_str(), escaped.as_str(), json!({})),
    ] {
        let first = api.json(method.clone(), plain, &headers, &body).await;
        assert!(first.status.is_success(), "{first:?}");
        same(&first, &api.json(method.clone(), escaped, &headers, &body).await);
        same(&first, &api.json(method, plain, &headers, &body).await);
    }
    assert_eq!(api.get(backups).await.is(200).json()["total"], kept + 1);
}

#[tokio::test]
async fn a_body_asks_the_same_in_whatever_order_it_says_it() {
    let gateway = Gateway::start().await;
    let send = async |body: &'static str| {
        let headers = [("content-type", "application/json"), ("idempotency-key", "k")];
        gateway.api.send(Method::POST, "/connections", &headers, bytes::Bytes::from(body)).await
    };
    let first = send(r#"{"provider":"sandbox","name":"Own","settings":{"work_seconds":0,"seed_sites":1}}"#).await.is(201);
    let again = r#" { "settings": {"seed_sites": 1, "work_seconds": 0}, "name": "\u004fwn", "provider": "sandbox" } "#;
    same(&first, &send(again).await);
    let other = r#"{"provider":"sandbox","name":"Own","settings":{"work_seconds":0,"seed_sites":2}}"#;
    send(other).await.problem(422, "idempotency_key_reused");
}

/// Of an operation, and of what Portico changes itself.
#[tokio::test]
async fn one_key_of_two_methods_is_two_keys() {
    let gateway = Gateway::start().await;
    let _ = gateway.connect("own", "sandbox", json!({"work_seconds": 0, "seed_sites": 1})).await;
    let headers = [("idempotency-key", "k"), ("prefer", "wait=30")];
    for (path, absent) in [("/sites/own~seed-00001", "not_found"), ("/connections/own", "connection_not_found")] {
        let change = async || gateway.api.json(Method::PATCH, path, &headers, &json!({"name": "Changed"})).await;
        let delete = async || gateway.api.json(Method::DELETE, path, &headers, &json!({})).await;
        let changed = change().await.is(200);
        assert_eq!(gateway.api.get(path).await.is(200).json()["name"], "Changed");
        let deleted = delete().await;
        assert!(deleted.status.is_success(), "{deleted:?}");
        gateway.api.get(path).await.problem(404, absent);
        // Each has its own answer, and the first of the second method was none of the other's.
        same(&changed, &change().await);
        same(&deleted, &delete().await);
    }
}

/// In milliseconds of the Unix epoch, as the database has it.
fn now() -> i64 {
    #[expect(clippy::disallowed_methods, reason = "how long a key is kept is compared with the time of day")]
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock");
    i64::try_from(now.as_millis()).expect("a time")
}

#[tokio::test]
async fn a_key_is_kept_for_a_day() {
    const DAY: i64 = 24 * 60 * 60 * 1000;
    const MINUTE: i64 = 60 * 1000;
    let gateway = Gateway::start().await;
    let before = now();
    for (path, body) in [
        ("/sites", json!({"connection": "sandbox", "name": "Shop"})),
        ("/connections", json!({"provider": "sandbox", "name": "Client"})),
    ] {
        let made = keyed(&gateway.api, Method::POST, path, "k", &body).await;
        assert!(made.status.is_success(), "{made:?}");
    }
    let until = before + DAY - MINUTE..=now() + DAY + MINUTE;
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(gateway.data().join("portico.db")).read_only(true);
    let mut database = sqlx::ConnectOptions::connect(&options).await.expect("the database");
    let select = "SELECT operation IS NOT NULL, expires_at FROM idempotency WHERE key = 'k' ORDER BY 1";
    let kept: Vec<(bool, i64)> = sqlx::query_as(select).fetch_all(&mut database).await.expect("rows");
    assert_eq!(kept.iter().map(|row| row.0).collect::<Vec<_>>(), [false, true], "of a change, and of an operation");
    assert!(kept.iter().all(|row| until.contains(&row.1)), "{kept:?} and not {until:?}");
}
