//! SiteICO through the gateway: everything that it can, sessions that end in the middle, answers that get lost.
//!
//! The panel is a simulator (`portico_tests::simulators`), which says what of it is our assumption. Invariant: whatever happens to
//! a session, clients never see it, and its cookie and password are nowhere but on the way to the panel.

use http::Method;
use portico_tests::{
    Api, Gateway, eventually,
    simulators::{Fault, Simulator, SiteIco},
};
use serde_json::{Value, json};

const PASSWORD: &str = "siteico-secret-canary-1";

async fn world() -> (Gateway, Simulator<SiteIco>) {
    let (gateway, panel) = (Gateway::start().await, Simulator::start(SiteIco::new("me@example.com", PASSWORD)).await);
    let connection = json!({
        "id": "ico", "provider": "siteico", "name": "ico", "settings": {"url": panel.url()},
        "secrets": {"username": "me@example.com", "password": PASSWORD},
    });
    let _ = gateway.api.post("/connections", &connection).await.is(201);
    (gateway, panel)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("not a text: {value}"))
}

async fn done(api: &Api, method: Method, path: &str, body: &Value) -> Value {
    let operation = api.json(method, path, &[("prefer", "wait=60")], body).await.json();
    assert_eq!(operation["status"], "succeeded", "{path}: {operation}");
    operation
}

async fn make(api: &Api, name: &str) -> String {
    let made = done(api, Method::POST, "/sites", &json!({"connection": "ico", "name": name})).await;
    format!("/sites/{}", text(&made["result"]["id"]))
}

#[tokio::test]
async fn everything_that_siteico_can() {
    let (gateway, panel) = world().await;
    let api = &gateway.api;
    let site = make(api, "Shop").await;
    let shown = api.get(&site).await.is(200).json();
    assert_eq!((&shown["name"], &shown["status"], &shown["php_version"]), (&json!("Shop"), &json!("running"), &json!("8.3")));
    assert!(!shown.to_string().contains("never-to-be-seen-1"), "{shown}");
    assert_eq!(done(api, Method::POST, &format!("{site}/stop"), &json!({})).await["result"]["status"], "stopped");
    assert_eq!(done(api, Method::POST, &format!("{site}/start"), &json!({})).await["result"]["status"], "running");
    let clone = done(api, Method::POST, &format!("{site}/clone"), &json!({"name": "Copy"})).await;
    assert_eq!(api.get("/sites?connection=ico").await.is(200).json()["total"], 2);

    let backup = done(api, Method::POST, &format!("{site}/backups"), &json!({"kind": "full", "description": "before"})).await;
    assert_eq!(
        (&backup["result"]["status"], &backup["result"]["description"]),
        (&json!("completed"), &json!("before")),
        "{backup}"
    );
    let path = format!("{site}/backups/{}", text(&backup["result"]["id"]));
    let restored = done(api, Method::POST, &format!("{path}/restore"), &json!({})).await;
    assert_eq!(restored["result"]["id"], backup["result"]["id"], "{restored}");
    done(api, Method::DELETE, &path, &json!({})).await;
    assert_eq!(api.get(&format!("{site}/backups")).await.is(200).json()["data"], json!([]));

    let domain =
        done(api, Method::POST, &format!("{site}/domains"), &json!({"name": "www.example.com", "primary": true})).await;
    assert_eq!((&domain["result"]["status"], &domain["result"]["primary"]), (&json!("active"), &json!(true)), "{domain}");
    assert_eq!(api.get(&site).await.is(200).json()["url"], "https://www.example.com");
    done(api, Method::POST, &format!("{site}/domains"), &json!({"name": "example.com"})).await;
    let primary = done(api, Method::PUT, &format!("{site}/domains/example.com/primary"), &json!({})).await;
    assert_eq!((&primary["result"]["name"], &primary["result"]["primary"]), (&json!("example.com"), &json!(true)), "{primary}");
    done(api, Method::DELETE, &format!("{site}/domains/www.example.com"), &json!({})).await;
    let domains = api.send(Method::GET, &format!("{site}/domains"), &[("cache-control", "no-cache")], Default::default()).await;
    assert_eq!(domains.is(200).json()["data"].as_array().map(Vec::len), Some(1));

    let subscription = api.get("/billing/subscription?connection=ico").await.is(200).json();
    assert_eq!((&subscription["plan"], &subscription["price"]["amount"]), (&json!("pro"), &json!(1900)), "{subscription}");
    assert_eq!(api.get("/billing/invoices?connection=ico").await.is(200).json()["total"], 3);
    let usage = api.get("/billing/usage?connection=ico").await.is(200).text();
    assert!(usage.contains("\"sites\":2"), "{usage}");
    let checkout = api.post("/billing/checkout", &json!({"connection": "ico", "plan": "agency"})).await.json();
    assert!(text(&checkout["url"]).starts_with("https://checkout.stripe.com/"), "{checkout}");
    api.get(&format!("{site}/environments")).await.problem(501, "unsupported");

    done(api, Method::DELETE, &format!("/sites/{}", text(&clone["result"]["id"])), &json!({})).await;
    done(api, Method::DELETE, &site, &json!({})).await;
    assert_eq!(api.get("/sites?connection=ico").await.is(200).json()["total"], 0);
    assert_eq!(panel.world(|panel| (panel.logins, panel.refreshes)), (1, 0), "one session for all of it");
}

#[tokio::test]
async fn a_session_that_ends_in_the_middle_is_nobodys_business() {
    let (gateway, panel) = world().await;
    let api = &gateway.api;
    let site = make(api, "Shop").await;
    // It has run out: one refresh.
    panel.world(SiteIco::run_out);
    assert_eq!(done(api, Method::POST, &format!("{site}/stop"), &json!({})).await["result"]["status"], "stopped");
    assert_eq!(panel.world(|panel| (panel.logins, panel.refreshes)), (1, 1));
    // It is over: no refresh helps, one login does. The operation's own polls are in the middle of it.
    let begun = api.json(Method::POST, &format!("{site}/start"), &[], &json!({})).await.is(202).json();
    panel.world(SiteIco::end_sessions);
    let ended = api.get(&format!("/operations/{}?wait=30", text(&begun["id"]))).await.is(200).json();
    assert_eq!((&ended["status"], &ended["result"]["status"]), (&json!("succeeded"), &json!("running")), "{ended}");
    assert_eq!(panel.world(|panel| (panel.logins, panel.refreshes)), (2, 2));
    // A hundred clients at once meet the end of it: one login for all.
    panel.world(SiteIco::end_sessions);
    let reads = (0..100).map(|number| {
        let (api, path) = (gateway.fresh_api(), format!("{site}/{}", if number % 2 == 0 { "backups" } else { "domains" }));
        tokio::spawn(
            async move { api.send(Method::GET, &path, &[("cache-control", "no-cache")], Default::default()).await.is(200) },
        )
    });
    for read in reads.collect::<Vec<_>>() {
        let reply = read.await.expect("it doesn't panic");
        assert!(reply.header("set-cookie").is_none() && !reply.text().contains("s3ss10n"));
    }
    assert_eq!(panel.world(|panel| (panel.logins, panel.refreshes)), (3, 3));
    assert!(gateway.metric("portico_upstream_logins_total", &["provider=\"siteico\"", "outcome=\"ok\""]).await >= 4.0);
    let log = gateway.log();
    assert!(!log.contains(PASSWORD) && !log.contains("s3ss10n"), "{log}");
}

#[tokio::test]
async fn what_is_wrong_with_a_connection_is_told() {
    let (gateway, panel) = world().await;
    let api = &gateway.api;
    let report = api.post("/connections/ico/test", &json!({})).await.is(200).json();
    let names: Vec<&str> = report["checks"].as_array().expect("checks").iter().map(|check| text(&check["check"])).collect();
    let expected =
        ["configuration", "upstream.panel.dns", "upstream.panel.grant", "upstream.panel.connect", "upstream.panel.login"];
    assert_eq!((&names[..5], &names[5..]), (&expected[..], &["credentials", "read"][..]), "{report}");
    assert_eq!(report["ok"], true);

    let last = async || {
        let report = api.post("/connections/ico/test", &json!({})).await.is(200).json();
        assert_eq!(report["ok"], false, "{report}");
        let last = report["checks"].as_array().and_then(|checks| checks.last()).expect("a check").clone();
        (text(&last["check"]).to_owned(), text(&last["detail"]).to_owned())
    };
    for (fault, name, words) in [
        (
            Fault::Answer(portico_tests::Answer::Json(403, json!({"error": "api access is off"}))),
            "scope",
            "the right to list sites",
        ),
        (Fault::Html(502), "read", "502"),
        (Fault::Answer(portico_tests::Answer::Json(200, json!({"hello": 1}))), "version", "the address in the settings"),
    ] {
        panel.inject(Method::GET, "/api/sites", 1, fault);
        let (check, detail) = last().await;
        assert_eq!(check, name, "{detail}");
        assert!(detail.contains(words), "{detail}");
    }
    panel.world(|panel| panel.change_password("another"));
    // The session is over, and the read finds that out.
    let (check, detail) = last().await;
    assert_eq!(check, "credentials", "{detail}");
    assert!(detail.contains("refused the login (401)") && detail.contains("the secret password"), "{detail}");
    let (check, _) = last().await;
    assert_eq!(check, "upstream.panel.login");
    api.get("/billing/subscription?connection=ico").await.problem(502, "upstream_credentials");
    let patched = json!({"secrets": {"password": "another"}});
    let _ = api.json(Method::PATCH, "/connections/ico", &[], &patched).await.is(200);
    assert_eq!(api.post("/connections/ico/test", &json!({})).await.is(200).json()["ok"], true);
    // Nothing listens there any more, as soon as the panel's task has ended.
    let address = panel.address();
    drop(panel);
    let is_closed = async || tokio::net::TcpStream::connect(address).await.is_err().then_some(());
    eventually("the panel's port to be closed", is_closed).await;
    let (check, detail) = last().await;
    assert_eq!(check, "upstream.panel.connect");
    assert!(detail.contains("refuses connections; check the port"), "{detail}");
}

#[tokio::test]
async fn an_answer_that_is_lost_is_looked_up_and_nothing_is_made_twice() {
    let (gateway, panel) = world().await;
    let api = &gateway.api;
    panel.inject(Method::POST, "/api/sites", 1, Fault::Cut);
    let site = make(api, "Shop").await;
    assert_eq!((panel.count(&Method::POST, "/api/sites"), panel.world(|panel| panel.sites.len())), (1, 1));
    panel.inject(Method::POST, "/api/sites/*/domains", 1, Fault::Cut);
    done(api, Method::POST, &format!("{site}/domains"), &json!({"name": "www.example.com"})).await;
    assert_eq!(panel.count(&Method::POST, "/api/sites/*/domains"), 1);
    // A name that is taken is told, and by the panel's own words where it knows better.
    let taken = api.post("/sites", &json!({"connection": "ico", "name": "Shop"})).await.problem(409, "conflict");
    assert!(text(&taken["detail"]).contains("of this name already"), "{taken}");
    assert_eq!(panel.faults_left(), 0);
}

#[tokio::test]
async fn a_host_that_takes_an_id_in_another_spelling_opens_no_way_around_labels_or_past_the_cache() {
    let (gateway, panel) = world().await;
    let api = &gateway.api;
    panel.world(|panel| panel.reads_numbers = true);
    let site = make(api, "Shop").await;
    let other = site.replace("~", "~0");
    let change = async |path: &str, body: Value| api.json(Method::PATCH, path, &[], &body).await.is(200).json();
    // Given by the other spelling, it is the site's own.
    let labelled = change(&other, json!({"labels": {"protected": "yes"}})).await;
    assert_eq!(format!("/sites/{}", text(&labelled["id"])), site);
    assert_eq!(api.get(&site).await.is(200).json()["labels"], json!({"protected": "yes"}));
    for path in [&site, &other] {
        let problem = api.delete(path).await.problem(409, "protected");
        assert!(text(&problem["detail"]).contains(&format!("/api/v1{site} and")), "{problem}");
    }
    // One that isn't there is said so by the host.
    api.delete("/sites/ico~77").await.problem(404, "not_found");
    // Whoever reads by the one spelling sees what was done by the other.
    assert_eq!(api.get(&site).await.is(200).json()["status"], "running");
    done(api, Method::POST, &format!("{other}/stop"), &json!({})).await;
    assert_eq!(api.get(&site).await.is(200).json()["status"], "stopped");
    // What is deleted by the other is deleted as the site's own, and nothing is left of it.
    change(&other, json!({"labels": {"protected": null, "team": "web"}})).await;
    let deleted = done(api, Method::DELETE, &other, &json!({})).await;
    assert_eq!(format!("/sites/{}", text(&deleted["target"]["id"])), site, "{deleted}");
    api.get(&site).await.problem(404, "not_found");
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(gateway.data().join("portico.db")).read_only(true);
    let mut database = sqlx::ConnectOptions::connect(&options).await.expect("the database");
    let left: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM labels").fetch_one(&mut database).await.expect("a number");
    assert_eq!(left, 0);
}

/// It is protected by its own name, and was to go by the other.
#[tokio::test]
async fn a_label_stops_a_waiting_deletion_by_another_spelling() {
    let (mut gateway, panel) = world().await;
    panel.world(|panel| panel.reads_numbers = true);
    let site = make(&gateway.api, "Shop").await;
    let other = site.replace("~", "~0");
    let _ = gateway.api.get(&site).await.is(200);
    panel.inject(Method::GET, "/api/sites/*", 1, Fault::TooMany(Some(3600)));
    // Whoever reads this now is the one who is asked to wait.
    let _ = gateway.api.get(&other).await;
    assert_eq!(panel.faults_left(), 0);
    let accepted = gateway.api.json(Method::DELETE, &other, &[("prefer", "respond-async")], &json!({})).await.is(202).json();
    let operation = format!("/operations/{}", text(&accepted["id"]));
    eventually("the deletion to wait", async || {
        let now = gateway.api.get(&operation).await.is(200).json();
        (now["status"] == "queued" && now["message"].is_string()).then_some(())
    })
    .await;
    let _ = gateway.api.json(Method::PATCH, &site, &[], &json!({"labels": {"protected": "yes"}})).await.is(200);
    // The next process knows of no pause, and goes on with it at once.
    gateway.kill9();
    gateway.restart().await;
    let end = gateway.api.get(&format!("{operation}?wait=30s")).await.is(200).json();
    assert_eq!((&end["status"], &end["error"]["code"]), (&json!("failed"), &json!("protected")), "{end}");
    assert_eq!(panel.count(&Method::DELETE, "/api/sites/*"), 0);
    assert_eq!(gateway.api.get(&site).await.is(200).json()["labels"], json!({"protected": "yes"}));
}
