//! Sites on a real Docker Engine, through the API: made, fetched over HTTP, stopped, started, deleted, and nothing is left.
//!
//! Invariant: what a site does is seen from outside, by its published port and by the Engine's own word. It can't be skipped.

use super::recovery::docker_grant;
use http::Method;
use portico_tests::{
    Api, Gateway, Reply, Setup,
    engine::{DATABASE_IMAGE, Engine, WORDPRESS_IMAGE},
    wait_until,
};
use serde_json::{Value, json};
use std::{collections::BTreeSet, net::SocketAddr, os::unix::fs::MetadataExt, time::Duration};
use tokio::sync::{Mutex, MutexGuard};

/// WordPress that asks nobody outside: without it, its first page takes as long as those are waited for.
pub const QUIET: &str = "define('WP_HTTP_BLOCK_EXTERNAL', true); define('DISABLE_WP_CRON', true);";

/// Seconds for a WordPress site to become healthy: many, since a busy machine is no failure.
pub const HEALTHY_WITHIN: u64 = 600;

/// The Engine. None, and why, for a developer who may not start one; in CI that is a failure.
pub async fn engine() -> Option<Engine> {
    let user = std::fs::metadata("/proc/self").expect("this process").uid();
    if user != 0 && std::env::var_os("CI").is_none() {
        eprintln!("skipped: a Docker Engine can only be started by root");
        return None;
    }
    Some(Engine::start().await.expect("a Docker Engine"))
}

/// The image that must be pulled, for one test at a time: each wants it to be missing at its start.
pub async fn plain_image(engine: &Engine) -> (String, MutexGuard<'static, ()>) {
    static TURN: Mutex<()> = Mutex::const_new(());
    let turn = TURN.lock().await;
    (engine.pullable_image().await.expect("an image to pull"), turn)
}

async fn start(engine: &Engine, settings: Value) -> Gateway {
    let gateway = Gateway::start_with(Setup { config: docker_grant(engine), ..Setup::default() }).await;
    gateway.connect("engine", "docker", settings).await;
    gateway
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("not a text: {value}"))
}

/// Fetches a path of the site from its published port.
async fn fetch(site: &Value, path: &str) -> anyhow::Result<Reply> {
    let address: SocketAddr = text(&site["url"]).trim_start_matches("http://").parse()?;
    Api::new(address, None).try_send(Method::GET, path, &[], bytes::Bytes::new()).await
}

/// Sends a request that starts work, and gives the operation's end and all that it said on the way.
async fn follow(api: &Api, method: Method, path: &str, body: &Value) -> (Value, BTreeSet<String>) {
    let accepted = api.json(method, path, &[("prefer", "respond-async")], body).await;
    assert!(accepted.status.is_success(), "{}", accepted.text());
    let id = accepted.json()["id"].as_str().expect("an operation").to_owned();
    let mut said = BTreeSet::new();
    let end = wait_until(&format!("the end of {path}"), Duration::from_secs(HEALTHY_WITHIN + 60), async || {
        let now = api.get(&format!("/operations/{id}")).await.is(200).json();
        said.insert(format!("{} {}", now["progress"], now["message"]));
        (!["queued", "running"].contains(&text(&now["status"]))).then_some(now)
    })
    .await;
    (end, said)
}

async fn site(api: &Api, id: &str) -> Value {
    api.send(Method::GET, &format!("/sites/{id}"), &[("cache-control", "no-cache")], bytes::Bytes::new()).await.is(200).json()
}

#[tokio::test]
async fn a_wordpress_site_from_create_to_delete() {
    let Some(engine) = engine().await else { return };
    let settings = json!({
        "namespace": "e2e",
        "images": {"wordpress": WORDPRESS_IMAGE, "database": DATABASE_IMAGE},
        "pull": "never",
        "environment": {"WORDPRESS_CONFIG_EXTRA": QUIET},
        "health": {"timeout": HEALTHY_WITHIN},
    });
    let gateway = start(&engine, settings).await;
    let api = &gateway.api;
    let (created, _) = follow(api, Method::POST, "/sites", &json!({"connection": "engine", "name": "Shop"})).await;
    assert_eq!(created["status"], "succeeded", "{created}");
    let made = &created["result"];
    assert_eq!((&made["name"], &made["status"]), (&json!("Shop"), &json!("running")), "{made}");
    let id = text(&made["id"]).to_owned();
    // A browser's first page of a new WordPress.
    let page = fetch(made, "/wp-admin/install.php").await.expect("the site answers").is(200);
    assert!(page.text().contains("WordPress"), "{}", page.text());
    // The Engine's own passwords stay there.
    let shown = site(api, &id).await.to_string();
    assert!(!shown.contains("_PASSWORD=") || shown.contains("_PASSWORD=***"), "a password reached the client: {shown}");

    let (stopped, _) = follow(api, Method::POST, &format!("/sites/{id}/stop"), &json!({})).await;
    assert_eq!(stopped["status"], "succeeded", "{stopped}");
    assert_eq!(site(api, &id).await["status"], "stopped");
    assert!(fetch(made, "/").await.is_err(), "a stopped site answers");

    let (started, _) = follow(api, Method::POST, &format!("/sites/{id}/start"), &json!({})).await;
    assert_eq!(started["status"], "succeeded", "{started}");
    let back = site(api, &id).await;
    assert_eq!(back["status"], "running");
    let _ = fetch(&back, "/wp-admin/install.php").await.expect("it answers again").is(200);

    assert_ne!(engine.labelled("e2e.site").await.expect("what is on the Engine"), Vec::<String>::new());
    let (deleted, _) = follow(api, Method::DELETE, &format!("/sites/{id}"), &json!({})).await;
    assert_eq!(deleted["status"], "succeeded", "{deleted}");
    assert_eq!(engine.labelled("e2e.site").await.expect("what is on the Engine"), Vec::<String>::new());
    api.get(&format!("/sites/{id}")).await.problem(404, "not_found");
}

#[tokio::test]
async fn creations_survive_kills() {
    super::recovery::docker_creations_survive_kills().await;
}

#[tokio::test]
async fn a_missing_image_is_pulled_with_progress() {
    let Some(engine) = engine().await else { return };
    let (image, _turn) = plain_image(&engine).await;
    let gateway = start(&engine, json!({"namespace": "pulls", "images": {"plain": image}})).await;
    let body = json!({"connection": "engine", "name": "Plain", "kind": "plain"});
    let (created, said) = follow(&gateway.api, Method::POST, "/sites", &body).await;
    assert_eq!(created["status"], "succeeded", "{created}");
    assert!(said.iter().any(|line| line.contains("pull")), "the operation never spoke of the pull: {said:?}");
    let page = fetch(&created["result"], "/").await.expect("the site answers");
    assert_eq!(page.status, 200, "{}", page.text());
    let id = text(&created["result"]["id"]).to_owned();
    let _ = gateway.api.delete(&format!("/sites/{id}")).await.is(200);
    assert_eq!(engine.labelled("pulls.site").await.expect("what is on the Engine"), Vec::<String>::new());
}

#[tokio::test]
async fn without_permission_nothing_is_pulled_and_nothing_is_left() {
    let Some(engine) = engine().await else { return };
    let absent = "portico-test/absent:1";
    let gateway = start(&engine, json!({"namespace": "never", "images": {"plain": absent}, "pull": "never"})).await;
    let body = json!({"connection": "engine", "name": "Plain", "kind": "plain"});
    let failed = gateway.api.post("/sites", &body).await;
    assert!(failed.status.is_client_error() || failed.status.is_server_error(), "{}", failed.text());
    assert!(failed.text().contains(absent), "it doesn't say which image is missing: {}", failed.text());
    wait_until("what was begun to be removed", Duration::from_secs(60), async || {
        engine.labelled("never.site").await.expect("what is on the Engine").is_empty().then_some(())
    })
    .await;
}

#[tokio::test]
async fn sites_are_found_again_without_the_gateways_database() {
    let Some(engine) = engine().await else { return };
    let (image, _turn) = plain_image(&engine).await;
    let settings = json!({"namespace": "found", "images": {"plain": image}});
    let gateway = start(&engine, settings.clone()).await;
    let body = json!({"connection": "engine", "name": "Survivor", "kind": "plain"});
    let (created, _) = follow(&gateway.api, Method::POST, "/sites", &body).await;
    assert_eq!(created["status"], "succeeded", "{created}");
    drop(gateway);
    let other = start(&engine, settings).await;
    let list = other.api.get("/sites?connection=engine").await.is(200).json();
    assert_eq!(list["data"][0]["name"], "Survivor", "{list}");
    let id = text(&list["data"][0]["id"]).to_owned();
    let _ = other.api.delete(&format!("/sites/{id}")).await.is(200);
    assert_eq!(engine.labelled("found.site").await.expect("what is on the Engine"), Vec::<String>::new());
}
