//! The audit log: every change is in it, and nobody alters it unseen.
//!
//! Invariant: rows are read through the API, the log is checked by `portico audit verify` beside the running gateway, and its
//! attacker has the database's file and nothing else.

use http::Method;
use portico_tests::{Answer, Api, Gateway, Setup, Upstream, gateway::binary};
use serde_json::{Value, json};
use std::process::{Command, Output};

async fn rows(api: &Api) -> Vec<Value> {
    let pages = api.walk("/audit?limit=100").await;
    pages.into_iter().flat_map(|page| page["data"].as_array().cloned().expect("rows")).collect()
}

/// actor, action, target, outcome, status
fn told(row: &Value) -> (String, String, String, String, Value) {
    let text = |name: &str| row[name].as_str().unwrap_or_default().to_owned();
    (text("actor"), text("action"), text("target"), text("outcome"), row["status"].clone())
}

fn verify(gateway: &Gateway, more: &[&str]) -> (bool, String) {
    let mut command = Command::new(binary());
    command.args(["audit", "verify", "--data-dir"]).arg(gateway.data()).args(more);
    let Output { status, stdout, stderr } = command.output().expect("portico audit verify runs");
    (status.success(), String::from_utf8_lossy(&stdout).into_owned() + &String::from_utf8_lossy(&stderr))
}

/// What somebody can do who may write the database's file.
async fn alter(gateway: &Gateway, statements: &str) {
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(gateway.data().join("portico.db"));
    let mut connection = sqlx::ConnectOptions::connect(&options).await.expect("the database");
    let all = format!("DROP TRIGGER IF EXISTS audit_stays_as_it_is; DROP TRIGGER IF EXISTS audit_goes_by_age; {statements}");
    sqlx::raw_sql(sqlx::AssertSqlSafe(all)).execute(&mut connection).await.expect("it is altered");
    sqlx::Connection::close(connection).await.expect("it is closed");
}

#[tokio::test]
async fn every_change_tells_who_did_what_with_which_result() {
    let gateway = Gateway::start().await;
    let api = &gateway.api;
    let before = rows(api).await;
    assert_eq!(before.len(), 1, "the token of the start: {before:?}");
    assert_eq!((&before[0]["actor"], &before[0]["action"]), (&json!("operator"), &json!("tokens.create")));

    let secret = json!({"id": "a", "provider": "sandbox", "name": "A", "settings": {"work_seconds": 0}});
    let headers = [("x-request-id", "told-1")];
    let _ = api.json(Method::POST, "/connections", &headers, &secret).await.is(201);
    let _ = api.json(Method::PATCH, "/connections/a", &[], &json!({"name": "B"})).await.is(200);
    let site = api.post("/sites", &json!({"connection": "a", "name": "Shop"})).await.is(201).json();
    let id = site["result"]["id"].as_str().expect("an id").to_owned();
    let _ = api.json(Method::PATCH, &format!("/sites/{id}"), &[], &json!({"labels": {"team": "web"}})).await.is(200);
    let plan = json!({"files": [{"path": "/a", "size": 1, "blake3": "a".repeat(64), "sha256": "a".repeat(64)}]});
    let _ = api.post(&format!("/sites/{id}/deployments/plans"), &plan).await.is(201);
    let _ = api.post("/connections/a/test", &json!({})).await.is(200);
    let backup = api.send(Method::POST, &format!("/sites/{id}/backups"), &[], bytes::Bytes::new()).await.is(201).json();
    let backup = format!("/sites/{id}/backups/{}", backup["result"]["id"].as_str().expect("an id"));
    // Refused before the host hears of it, and nothing was given away.
    api.get(&format!("{backup}/download")).await.problem(501, "unsupported");
    // What is refused for its form has changed nothing, and reads are no changes.
    let _ = api.post("/connections", &json!({"id": "b"})).await.is(422);
    let _ = api.get("/sites").await.is(200);
    let _ = api.delete("/connections/a").await.is(204);

    let all = rows(api).await;
    let actor = all[0]["actor"].as_str().expect("an actor").to_owned();
    assert!(actor.starts_with("token:"), "{actor}");
    let found: Vec<_> = all.iter().rev().skip(1).map(told).collect();
    let row = |action: &str, target: &str, outcome: &str, status: Value| {
        (actor.clone(), action.to_owned(), target.to_owned(), outcome.to_owned(), status)
    };
    let expected = [
        row("connections.create", "/connections/a", "done", Value::Null),
        row("connections.update", "/connections/a", "done", Value::Null),
        row("sites.create", "/connections/a", "accepted", Value::Null),
        row("sites.create", &format!("/sites/{id}"), "succeeded", Value::Null),
        row("sites.update", &format!("/sites/{id}"), "done", Value::Null),
        row("deployments.plan", &format!("/sites/{id}/deployments/plans"), "done", json!(201)),
        row("connections.test", "/connections/a/test", "done", json!(200)),
        row("backups.create", &format!("/sites/{id}"), "accepted", Value::Null),
        row("backups.create", &backup, "succeeded", Value::Null),
        row("connections.delete", "/connections/a", "done", Value::Null),
    ];
    assert_eq!(found, expected);
    let made = &all[all.len() - 2];
    assert_eq!(made["request_id"], "told-1", "{made}");
    let accepted = &all[all.len() - 4];
    assert_eq!((&accepted["operation"], accepted["request_id"].is_string()), (&site["id"], true), "{accepted}");

    // Filters and pages.
    let page = api.get("/audit?action=connections.create&limit=1").await.is(200).json();
    assert_eq!((page["data"].as_array().map(Vec::len), &page["next_cursor"]), (Some(1), &Value::Null), "{page}");
    let none = api.get("/audit?actor=nobody&action=sites.stop").await.is(200).json();
    assert_eq!(none["data"], json!([]));
    let at = made["at"].as_str().expect("a time");
    let until = api.get(&format!("/audit?until={at}&limit=100")).await.is(200).json();
    assert_eq!(until["data"].as_array().map(Vec::len), Some(1), "{until}");
    let paged: usize = api.walk("/audit?limit=2").await.iter().filter_map(|page| page["data"].as_array()).map(Vec::len).sum();
    assert_eq!(paged, all.len());
    api.get("/audit?since=yesterday").await.problem(422, "invalid_input");
    api.get("/audit?cursor=x").await.problem(400, "cursor_invalid");
    // Another organization has a log of its own.
    let other = api.with_token(&gateway.new_token("other"));
    let theirs = rows(&other).await;
    assert_eq!(theirs.iter().map(|row| row["action"].as_str().unwrap_or_default()).collect::<Vec<_>>(), ["tokens.create"]);
    assert!(verify(&gateway, &[]).0, "{}", verify(&gateway, &[]).1);
}

#[tokio::test]
async fn no_secret_is_in_the_log() {
    const SECRET: &str = "correct-horse-battery-staple";
    let gateway = Gateway::start_with(Setup { guests: vec!["keyed"], ..Default::default() }).await;
    let body = json!({"id": "keyed", "provider": "keyed", "name": "Keyed", "secrets": {"api_key": SECRET}});
    let _ = gateway.api.json(Method::POST, "/connections", &[("idempotency-key", "k")], &body).await.is(201);
    let _ = gateway.api.json(Method::PATCH, "/connections/keyed", &[], &json!({"secrets": {"api_key": SECRET}})).await.is(200);
    let all = rows(&gateway.api).await;
    assert!(all.len() >= 3 && !json!(all).to_string().contains(SECRET), "{all:?}");
    for file in ["portico.db", "portico.db-wal"] {
        let bytes = std::fs::read(gateway.data().join(file)).unwrap_or_default();
        assert!(!bytes.windows(SECRET.len()).any(|window| window == SECRET.as_bytes()), "it is in {file}");
    }
}

/// Whoever tries to delete what is protected is told of, though nothing was changed.
#[tokio::test]
async fn a_deletion_that_protection_stopped_is_told_as_refused() {
    let gateway = Gateway::start().await;
    let api = &gateway.api;
    gateway.connect("a", "sandbox", json!({"work_seconds": 0})).await;
    let site = json!({"connection": "a", "name": "Shop", "labels": {"protected": "yes"}});
    let made = api.post("/sites", &site).await.is(201).json();
    let site = format!("/sites/{}", made["result"]["id"].as_str().expect("an id"));
    let before = rows(api).await.len();
    api.delete(&site).await.problem(409, "protected");
    api.delete("/connections/a").await.problem(409, "protected");
    // Any other conflict changes nothing, and is none of the log's affairs.
    let taken = json!({"id": "a", "provider": "sandbox", "name": "A"});
    api.post("/connections", &taken).await.problem(409, "conflict");
    let _ = api.delete("/connections/a?force=true").await.is(204);
    let all = rows(api).await;
    let found: Vec<_> = all[..all.len() - before].iter().rev().map(told).collect();
    let actor = all[0]["actor"].as_str().expect("an actor");
    let row = |action: &str, target: &str, outcome: &str, status: Value| {
        (actor.to_owned(), action.to_owned(), target.to_owned(), outcome.to_owned(), status)
    };
    let expected = [
        row("sites.delete", &site, "refused", json!(409)),
        row("connections.delete", "/connections/a", "refused", json!(409)),
        row("connections.delete", "/connections/a", "done", Value::Null),
    ];
    assert_eq!(found, expected);
    assert!(verify(&gateway, &[]).0, "{}", verify(&gateway, &[]).1);
}

/// Paths are what clients like, and what somebody may not do has a row, too.
#[tokio::test]
async fn a_row_is_short_and_holds_no_value_of_a_token() {
    let environment = vec![("PORTICO_LOG__LEVEL".to_owned(), "info".to_owned())];
    let gateway = Gateway::start_with(Setup { environment, ..Setup::default() }).await;
    // Each by somebody else: of one's own refusals that are equal, one is told.
    let viewer = async || gateway.api.post("/tokens", &json!({"name": "Viewer", "role": "viewer"})).await.is(201).json();
    let made = viewer().await;
    let value = made["token"].as_str().expect("a value");
    for id in [value.to_owned(), value.replace("ptk_", "%70tk_"), "x".repeat(8000)] {
        let viewer = gateway.api.with_token(viewer().await["token"].as_str().expect("a value"));
        viewer.delete(&format!("/tokens/{id}")).await.problem(403, "forbidden");
    }
    let refused = rows(&gateway.api).await.into_iter().filter(|row| row["outcome"] == "refused");
    let targets: Vec<String> = refused.map(|row| row["target"].as_str().unwrap_or_default().to_owned()).collect();
    let shown = format!("/tokens/{}…", made["prefix"].as_str().expect("its beginning"));
    assert_eq!(targets[1..], [shown.clone(), shown.clone()]);
    assert_eq!(targets[0], format!("/tokens/{}…", "x".repeat(128 - "/tokens/".len())));
    // Nor do the lines of the access log.
    let _line = gateway.logged(&[&shown, "403"]).await;
    let rest = &value[shown.len() - "/tokens/…".len()..];
    assert!(!gateway.log().contains(rest), "it is in the log");
    for file in ["portico.db", "portico.db-wal"] {
        let bytes = std::fs::read(gateway.data().join(file)).unwrap_or_default();
        assert!(!bytes.windows(rest.len()).any(|window| window == rest.as_bytes()), "it is in {file}");
    }
}

#[tokio::test]
async fn whoever_alters_the_database_is_found_beside_the_running_gateway() {
    let mut gateway = Gateway::start().await;
    for n in 0..5 {
        gateway.connect(&format!("c{n}"), "sandbox", json!({})).await;
    }
    let (whole, said) = verify(&gateway, &[]);
    assert!(whole && said.contains("6 rows, from 1 to 6"), "{said}");
    let noted = said.split_whitespace().last().expect("the row to note").to_owned();
    alter(&gateway, "UPDATE audit SET principal = 'token:nobody' WHERE id = 3").await;
    let (whole, said) = verify(&gateway, &[]);
    assert!(!whole && said.contains("row 3: ") && said.contains("the first bad row is 3"), "{said}");
    // Neither the next row nor the next start makes it good.
    gateway.connect("next", "sandbox", json!({})).await;
    gateway.kill9();
    gateway.restart().await;
    assert!(verify(&gateway, &[]).1.contains("the first bad row is 3"));
    alter(&gateway, "UPDATE audit SET principal = 'operator' WHERE id = 3").await;
    assert!(!verify(&gateway, &[]).0, "it was another before");
    // The newest rows cut off; then the head record, too.
    alter(&gateway, "DELETE FROM audit WHERE id > 2").await;
    let (whole, said) = verify(&gateway, &["--noted", &noted]);
    assert!(!whole && said.contains("the first bad row is 3") && said.contains("row 6: it was noted"), "{said}");
    alter(&gateway, "UPDATE audit_head SET last_id = 2, last_mac = (SELECT mac FROM audit WHERE id = 2)").await;
    let (whole, said) = verify(&gateway, &[]);
    assert!(!whole && said.contains("head record was altered"), "{said}");
    // Nor is one without a seal taken for none.
    alter(&gateway, "UPDATE audit_head SET seal = x''").await;
    let (whole, said) = verify(&gateway, &[]);
    assert!(!whole && said.contains("head record was altered"), "{said}");
    // The gateway goes on, and says in the log that it found this.
    gateway.connect("after", "sandbox", json!({})).await;
    let (whole, said) = verify(&gateway, &[]);
    assert!(!whole && said.contains("found the head record altered"), "{said}");
    let _line = gateway.logged(&["audit log was altered"]).await;
    let (whole, said) = verify(&gateway, &["--noted", "nonsense"]);
    assert!(!whole && said.contains("--noted"), "{said}");
}

#[tokio::test]
async fn what_cannot_be_recorded_is_not_done() {
    let gateway = Gateway::start().await;
    let api = &gateway.api;
    alter(&gateway, "ALTER TABLE audit RENAME TO out_of_reach").await;
    let body = json!({"id": "a", "provider": "sandbox", "name": "A"});
    api.post("/connections", &body).await.problem(500, "internal");
    api.get("/connections/a").await.problem(404, "connection_not_found");
    let site = api.post("/sites", &json!({"connection": "sandbox", "name": "Shop"})).await;
    site.problem(500, "internal");
    assert_eq!(api.get("/operations").await.is(200).json()["data"], json!([]));
    let register = json!({"email": "anna@example.com", "password": "several words that I remember"});
    let stranger = Api::new(gateway.api_address, None);
    stranger.json(Method::POST, "/api/v1/auth/register", &[], &register).await.problem(500, "internal");
    // What is done elsewhere can't be taken back, and isn't passed over in silence either.
    let checkout = json!({"connection": "sandbox", "plan": "starter"});
    api.post("/billing/checkout", &checkout).await.problem(500, "internal");
    let _line = gateway.logged(&["audit log could not be written", "billing.checkout"]).await;
    assert!(gateway.metric("portico_audit_failures_total", &[]).await >= 1.0);
    alter(&gateway, "ALTER TABLE out_of_reach RENAME TO audit").await;
    let _ = api.post("/connections", &body).await.is(201);
    let _ = stranger.json(Method::POST, "/api/v1/auth/register", &[], &register).await.is(201);
    let (whole, said) = verify(&gateway, &[]);
    assert!(whole && said.contains("3 rows, from 1 to 3"), "{said}");
}

/// Tells when the first one was acknowledged; how many were is the answer.
async fn connections_until_it_ends(api: Api, round: usize, first: tokio::sync::oneshot::Sender<()>) -> usize {
    let (mut first, mut made) = (Some(first), 0);
    loop {
        let body = json!({"id": format!("r{round}-{made}"), "provider": "sandbox", "name": "R"});
        let headers = [("content-type", "application/json")];
        match api.try_send(Method::POST, "/connections", &headers, body.to_string().into()).await {
            Ok(reply) => drop(reply.is(201)),
            Err(_) => return made,
        }
        made += 1;
        if let Some(first) = first.take() {
            let _ = first.send(());
        }
        // About as long as one takes: half of the kills come in one, and other tests have a use for the processors, too.
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_change_and_its_row_survive_a_kill_together() {
    let mut gateway = Gateway::start().await;
    let mut chance = portico_tests::Chance::new();
    let mut sent = 0;
    for round in 0..8 {
        let (first, begun) = tokio::sync::oneshot::channel();
        let making = tokio::spawn(connections_until_it_ends(gateway.fresh_api(), round, first));
        // How soon the first one comes is the machine's affair.
        begun.await.expect("the first one is made");
        tokio::time::sleep(chance.instant(std::time::Duration::from_millis(400))).await;
        gateway.kill9();
        sent += making.await.expect("the client goes on");
        gateway.restart().await;
    }
    let pages = gateway.api.walk("/connections?limit=100").await;
    let made: std::collections::BTreeSet<String> = pages
        .iter()
        .flat_map(|page| page["data"].as_array().cloned().unwrap_or_default())
        .filter_map(|one| one["id"].as_str().map(|id| format!("/connections/{id}")))
        .filter(|path| path.starts_with("/connections/r"))
        .collect();
    let told: Vec<String> = rows(&gateway.api)
        .await
        .iter()
        .filter(|row| row["action"] == "connections.create" && row["outcome"] == "done")
        .filter_map(|row| row["target"].as_str().map(str::to_owned))
        .collect();
    assert!(made.len() >= sent && sent >= 8, "{} of {sent} are left", made.len());
    assert_eq!(told.iter().cloned().collect::<std::collections::BTreeSet<_>>(), made);
    assert_eq!(told.len(), made.len(), "told twice");
    let (whole, said) = verify(&gateway, &[]);
    assert!(whole, "{said}");
    assert!(gateway.sigterm().await.success());
    assert!(verify(&gateway, &[]).0, "{}", verify(&gateway, &[]).1);
}

#[tokio::test]
async fn failed_logins_are_in_the_log_of_whom_they_were_tried_for() {
    let gateway = Gateway::start().await;
    let api = &gateway.api;
    gateway.run(&["user", "create", "--organization", "demo", "--email", "ann@example.com"]);
    let before = rows(api).await.len();
    let login = async |email: &str| {
        let body = json!({"email": email, "password": "quite-another-password"});
        api.json(Method::POST, "/auth/login", &[("sec-fetch-site", "none")], &body).await.problem(401, "wrong_credentials");
    };
    login("ann@example.com").await;
    login("nobody@example.com").await;
    let all = rows(api).await;
    assert_eq!(all.len(), before + 1, "who isn't known has no organization: {all:?}");
    let (actor, action, _, outcome, status) = told(&all[0]);
    assert_eq!((action.as_str(), outcome.as_str(), status), ("auth.login", "refused", json!(401)));
    assert!(actor.starts_with("user:") && all[0]["client"].is_string(), "{}", all[0]);
    gateway.run(&["user", "reset", "ann@example.com"]);
    let (actor, action, ..) = told(&rows(api).await[0]);
    assert_eq!((actor.as_str(), action.as_str()), ("operator", "users.reset"));
    assert!(verify(&gateway, &[]).0, "{}", verify(&gateway, &[]).1);
}

/// The host may have done what was asked, though its answer never came whole.
#[tokio::test]
async fn a_change_whose_answer_was_lost_is_told() {
    let upstream = Upstream::start(|_| Answer::Cut(200, bytes::Bytes::from_static(b"https://pay.exam"))).await;
    let gateway = Gateway::start_with(Setup { guests: vec!["keyed"], ..Setup::default() }).await;
    let keyed = json!({
        "id": "keyed", "provider": "keyed", "name": "Keyed",
        "settings": {"url": upstream.url()}, "secrets": {"api_key": "a-key"},
    });
    let _ = gateway.api.post("/connections", &keyed).await.is(201);
    let lost = gateway.api.post("/billing/checkout", &json!({"connection": "keyed", "plan": "starter"})).await;
    assert!(upstream.count(&Method::POST, "/checkouts") > 0 && lost.status.is_server_error(), "{lost:?}");
    let (_, action, _, outcome, status) = told(&rows(&gateway.api).await[0]);
    assert_eq!((action.as_str(), outcome.as_str()), ("billing.checkout", "failed"));
    assert_eq!(status, json!(lost.status.as_u16()));
}

/// They are about no organization, and stand in no organization's log; the chain has them all the same.
#[tokio::test]
async fn commands_about_the_whole_gateway_are_told() {
    let gateway = Gateway::start().await;
    let elsewhere = tempfile::tempdir().expect("a folder");
    let copy = elsewhere.path().join("copy.db");
    gateway.run(&["secrets", "rotate"]);
    gateway.run(&["backup", copy.to_str().expect("a name")]);
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(gateway.data().join("portico.db"));
    let mut connection = sqlx::ConnectOptions::connect(&options).await.expect("the database");
    let select = "SELECT principal, action, outcome FROM audit WHERE organization IS NULL ORDER BY id";
    let told: Vec<(String, String, String)> = sqlx::query_as(select).fetch_all(&mut connection).await.expect("rows");
    let row = |action: &str| ("operator".to_owned(), action.to_owned(), "done".to_owned());
    assert_eq!(told, [row("secrets.rotate"), row("backup")]);
    assert!(verify(&gateway, &[]).0, "{}", verify(&gateway, &[]).1);
}
