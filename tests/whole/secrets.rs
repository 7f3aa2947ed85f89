//! The master key is replaced while the gateway serves, and nothing that it sealed is lost.
//!
//! In goes a load of reads and of changed secrets, and rotations that are killed anywhere. Invariant: what counts is what the
//! upstream was sent, and what clients get.

use http::Method;
use portico_tests::{Answer, Api, Chance, Gateway, Setup, Upstream};
use serde_json::{Value, json};
use std::{
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

const CONNECTIONS: usize = 12;
const PATCHERS: usize = 3;

async fn upstream() -> Arc<Upstream> {
    Arc::new(Upstream::start(|_| Answer::Json(200, json!({}))).await)
}

fn keyed() -> Setup {
    Setup { guests: vec!["keyed"], ..Setup::default() }
}

async fn connect(api: &Api, upstream: &Upstream, id: &str, secret: &str) {
    let settings = json!({"url": upstream.url()});
    let body = json!({"id": id, "provider": "keyed", "name": id, "settings": settings, "secrets": {"api_key": secret}});
    let _ = api.post("/connections", &body).await.is(201);
}

/// Reads through this connection; the upstream was sent this secret then.
async fn arrives(api: &Api, upstream: &Upstream, id: &str, secret: &str) {
    let reply = api.send(Method::GET, &format!("/sites/{id}~echo"), &[("cache-control", "no-cache")], Default::default()).await;
    let _ = reply.is(200);
    let wanted = format!("Bearer {secret}");
    assert!(upstream.seen().iter().any(|seen| seen.headers["authorization"] == wanted.as_str()), "{id}: {secret} never came");
}

/// Gives its connections new secrets, one after the other, and uses each; the last round's number.
async fn patch_on(api: Api, upstream: Arc<Upstream>, first: usize, stop: Arc<AtomicBool>) -> usize {
    let mut round = 0;
    while !stop.load(Ordering::Acquire) {
        round += 1;
        for index in (first..CONNECTIONS).step_by(PATCHERS) {
            let (id, secret) = (format!("k{index}"), secret(index, round));
            let body = json!({"secrets": {"api_key": secret}});
            loop {
                let reply = api.json(Method::PATCH, &format!("/connections/{id}"), &[], &body).await;
                // What was sealed before the key was retired, and would have been stored after, is refused.
                if reply.status.as_u16() != 503 {
                    let _ = reply.is(200);
                    break;
                }
            }
            arrives(&api, &upstream, &id, &secret).await;
            // Other tests have a use for the processors, too.
            tokio::time::sleep(Duration::from_millis(40)).await;
        }
    }
    round
}

fn secret(index: usize, round: usize) -> String {
    format!("secret-of-{index}-in-round-{round}")
}

fn keys(gateway: &Gateway) -> Vec<String> {
    let text = std::fs::read_to_string(gateway.data().join("key")).expect("the key's file");
    text.lines().map(str::to_owned).collect()
}

/// The commands block this thread, and the load goes on in others.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rotation_under_load_that_is_killed_anywhere_loses_nothing() {
    let upstream = upstream().await;
    let mut gateway = Gateway::start_with(keyed()).await;
    for index in 0..CONNECTIONS {
        connect(&gateway.api, &upstream, &format!("k{index}"), &secret(index, 0)).await;
    }
    // In memory, and not used before the key is replaced.
    connect(&gateway.api, &upstream, "idle", "secret-of-idle").await;
    let waiting = one_time_secret(&gateway.api).await;
    let cursor = gateway.api.get("/connections?limit=1").await.is(200).json()["next_cursor"].clone();
    let next = format!("/connections?limit=1&cursor={}", cursor.as_str().expect("a cursor"));
    let keyed = [("idempotency-key", "once"), ("prefer", "wait=30")];
    let body = json!({"connection": "sandbox", "name": "Once"});
    let once = gateway.api.json(Method::POST, "/sites", &keyed, &body).await.is(201).json();

    let stop = Arc::new(AtomicBool::new(false));
    let load = |first| tokio::spawn(patch_on(gateway.fresh_api(), Arc::clone(&upstream), first, Arc::clone(&stop)));
    let load: Vec<_> = (0..PATCHERS).map(load).collect();
    let mut chance = Chance::new();
    for _ in 0..3 {
        let before = keys(&gateway);
        for _ in 0..3 {
            let mut rotation = gateway.command(&["secrets", "rotate"]);
            let mut rotation = rotation.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the command runs");
            tokio::time::sleep(chance.instant(Duration::from_millis(2500))).await;
            rotation.kill().expect("it can be killed");
            rotation.wait().expect("it is gone");
        }
        let said = gateway.run(&["secrets", "rotate"]);
        assert!(said.contains("everything is sealed under master key"), "{said}");
        let after = keys(&gateway);
        assert!(after.len() == 1 && before.len() == 1 && after != before, "{} keys, then {}", before.len(), after.len());
        let status = gateway.run(&["secrets", "status"]);
        assert!(status.contains("seals and opens") && !status.contains(": opens") && !status.contains("MISSING"), "{status}");
    }
    assert_eq!(gateway.api.get(&next).await.is(200).json()["data"].as_array().map(Vec::len), Some(1), "while it runs");
    stop.store(true, Ordering::Release);
    let mut rounds = Vec::new();
    for task in load {
        rounds.push(task.await.expect("the load met no error"));
    }
    assert!(gateway.sigterm().await.success());
    gateway.restart().await;
    for index in 0..CONNECTIONS {
        arrives(&gateway.api, &upstream, &format!("k{index}"), &secret(index, rounds[index % PATCHERS])).await;
    }
    arrives(&gateway.api, &upstream, "idle", "secret-of-idle").await;
    gateway.api.get(&next).await.problem(410, "cursor_expired");
    let shown = gateway.api.get(&waiting).await.is(200).json();
    assert!(shown["secrets"]["password"].is_string(), "{shown}");
    let again = gateway.api.json(Method::POST, "/sites", &keyed, &body).await.json();
    assert_eq!(again["id"], once["id"], "the key was used for the same request: {again}");
    let other = json!({"connection": "sandbox", "name": "Twice"});
    gateway.api.json(Method::POST, "/sites", &keyed, &other).await.problem(422, "idempotency_key_reused");
    assert!(!gateway.log().contains("secret-of-"), "a secret is in the log");
}

/// Where a generated password waits that nobody has read yet.
async fn one_time_secret(api: &Api) -> String {
    let site = api.post("/sites", &json!({"connection": "sandbox", "name": "Blog"})).await.is(201).json();
    let site = site["result"]["id"].as_str().expect("a site").to_owned();
    let path = format!("/sites/{site}/wordpress/admins");
    let accepted = api
        .json(Method::POST, &path, &[("prefer", "respond-async")], &json!({"user": "anna", "email": "anna@example.com"}))
        .await
        .is(202);
    let location = accepted.header("location").expect("where the operation is").to_owned();
    let id = accepted.json()["id"].as_str().expect("an id").to_owned();
    // The list shows how it ended, and takes no secret out.
    portico_tests::eventually("the administrator to be made", async || {
        let operations = api.get("/operations?limit=100").await.is(200).json();
        let mine = operations["data"].as_array()?.iter().find(|one| one["id"] == id.as_str())?.clone();
        (mine["status"] == "succeeded").then_some(())
    })
    .await;
    location
}

#[tokio::test]
async fn an_old_key_is_kept_as_long_as_cursors_need_it() {
    let mut gateway = Gateway::start().await;
    gateway.connect("second", "sandbox", json!({})).await;
    let cursor = gateway.api.get("/connections?limit=1").await.is(200).json()["next_cursor"].clone();
    let next = format!("/connections?limit=1&cursor={}", cursor.as_str().expect("a cursor"));
    let said = gateway.run(&["secrets", "rotate", "--keep-old"]);
    assert!(said.contains("still opening") && keys(&gateway).len() == 2, "{said}");
    assert_eq!(gateway.metric("portico_master_keys", &[]).await, 2.0);
    assert!(gateway.sigterm().await.success());
    gateway.restart().await;
    let _ = gateway.api.get(&next).await.is(200);
    gateway.run(&["secrets", "rotate"]);
    assert_eq!(keys(&gateway).len(), 1);
}

#[tokio::test]
async fn a_key_in_the_environment_is_replaced_by_two_starts() {
    let upstream = upstream().await;
    let mut gateway = Gateway::start_with(keyed()).await;
    connect(&gateway.api, &upstream, "keyed", "secret-of-keyed").await;
    let (old, new) = (keys(&gateway)[0].clone(), gateway.run(&["secrets", "generate"]).trim().to_owned());
    std::fs::remove_file(gateway.data().join("key")).expect("the key's file");
    let with = |keys: String| {
        move |setup: &mut Setup| {
            setup.environment = vec![("PORTICO_KEYS__SOURCE".to_owned(), "environment".to_owned())];
            setup.environment.push(("PORTICO_MASTER_KEY".to_owned(), keys));
        }
    };
    assert!(gateway.sigterm().await.success());
    gateway.restart_with(with(old.clone())).await;
    arrives(&gateway.api, &upstream, "keyed", "secret-of-keyed").await;
    let said = gateway.refused(&["secrets", "rotate"]);
    assert!(said.contains("let PORTICO_MASTER_KEY hold both") && !said.contains(&old), "{said}");
    let mut early = gateway.command(&["secrets", "rotate"]);
    let early = early.env("PORTICO_MASTER_KEY", format!("{new} {old}")).output().expect("the command runs");
    let said = String::from_utf8_lossy(&early.stderr).into_owned();
    assert!(!early.status.success() && said.contains("the running gateway doesn't seal under master key"), "{said}");

    assert!(gateway.sigterm().await.success());
    gateway.restart_with(with(format!("{new} {old}"))).await;
    let said = gateway.run(&["secrets", "rotate"]);
    assert!(said.contains("take it out of the environment"), "{said}");
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(gateway.data().join("portico.db")).read_only(true);
    let mut database = sqlx::ConnectOptions::connect(&options).await.expect("the database");
    let select = "SELECT outcome FROM audit WHERE action = 'secrets.rotate' ORDER BY id";
    let told: Vec<(String,)> = sqlx::query_as(select).fetch_all(&mut database).await.expect("rows");
    assert_eq!(told.iter().map(|row| row.0.as_str()).collect::<Vec<_>>(), ["failed", "failed", "done"]);
    drop(database);
    assert!(gateway.sigterm().await.success());
    let mut with_the_old = gateway.command(&["serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"]);
    let refused = with_the_old.env("PORTICO_MASTER_KEY", &old).output().expect("it ends");
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && said.contains("restore the key that belongs to this database"), "{said}");
    gateway.restart_with(with(new.clone())).await;
    arrives(&gateway.api, &upstream, "keyed", "secret-of-keyed").await;
    let log = gateway.log();
    assert!(!gateway.data().join("key").exists() && !log.contains(&old) && !log.contains(&new));
}

#[tokio::test]
async fn a_key_comes_from_a_command() {
    let mut gateway = Gateway::start().await;
    let key = keys(&gateway)[0].clone();
    let elsewhere = tempfile::tempdir().expect("a folder");
    let file = elsewhere.path().join("vault");
    std::fs::write(&file, &key).expect("the key elsewhere");
    std::fs::remove_file(gateway.data().join("key")).expect("the key's file");
    assert!(gateway.sigterm().await.success());
    let command = json!(["cat", file]);
    gateway.restart_with(move |setup| setup.config = format!("[keys]\nsource = \"command\"\ncommand = {command}\n")).await;
    let connections: Value = gateway.api.get("/connections").await.is(200).json();
    assert_eq!(connections["data"][0]["id"], "sandbox");
    assert!(!gateway.data().join("key").exists());
}

#[tokio::test]
async fn a_key_from_a_command_is_replaced_while_the_gateway_serves() {
    let upstream = upstream().await;
    let mut gateway = Gateway::start_with(keyed()).await;
    connect(&gateway.api, &upstream, "keyed", "secret-of-keyed").await;
    let (old, new) = (keys(&gateway)[0].clone(), gateway.run(&["secrets", "generate"]).trim().to_owned());
    std::fs::remove_file(gateway.data().join("key")).expect("the key's file");
    let elsewhere = tempfile::tempdir().expect("a folder");
    let vault = elsewhere.path().join("vault");
    let lay = |keys: &str| std::fs::write(&vault, keys).expect("the keys elsewhere");
    lay(&old);
    assert!(gateway.sigterm().await.success());
    // In the environment, so that the commands know it, too.
    let command = json!(["cat", vault]).to_string();
    gateway
        .restart_with(|setup| {
            setup.environment = vec![("PORTICO_KEYS__SOURCE".to_owned(), "command".to_owned())];
            setup.environment.push(("PORTICO_KEYS__COMMAND".to_owned(), command));
        })
        .await;
    let process = gateway.pid();
    let said = gateway.refused(&["secrets", "rotate"]);
    assert!(said.contains("send the gateway SIGHUP") && !said.contains(&old), "{said}");
    lay("nonsense");
    hang_up(&gateway);
    gateway.logged(&["what keys.command prints now can't be used"]).await;
    lay(&format!("{new} {old}"));
    let said = gateway.refused(&["secrets", "rotate"]);
    assert!(said.contains("the running gateway doesn't seal under master key") && said.contains("send it SIGHUP"), "{said}");
    hang_up(&gateway);
    let both = async || (gateway.metric("portico_master_keys", &[]).await == 2.0).then_some(());
    portico_tests::eventually("both keys", both).await;
    let said = gateway.run(&["secrets", "rotate"]);
    assert!(said.contains("take it out of what keys.command prints"), "{said}");
    arrives(&gateway.api, &upstream, "keyed", "secret-of-keyed").await;
    assert_eq!(gateway.pid(), process, "it was never started again");
    assert!(gateway.sigterm().await.success());
    lay(&new);
    gateway.restart().await;
    arrives(&gateway.api, &upstream, "keyed", "secret-of-keyed").await;
    let log = gateway.log();
    assert!(!gateway.data().join("key").exists() && !log.contains(&old) && !log.contains(&new));
}

/// It is killed by it unless it listens.
fn hang_up(gateway: &Gateway) {
    let status = std::process::Command::new("kill").args(["-HUP", &gateway.pid().to_string()]).status();
    assert!(status.expect("kill runs").success());
}
