//! The provider `kinsta` as customers meet it: a real gateway, its built-in component, and a Kinsta that fails in many ways.
//!
//! Invariant: what counts is what is at the host in the end, and how often it was asked for; requests are right by `prism`, not here.

use http::Method;
use portico_tests::{
    Answer, Gateway, Upstream,
    simulators::{Fault, Kinsta, Simulator, kinsta},
};
use serde_json::{Value, json};
use std::time::Duration;

struct World {
    gateway: Gateway,
    host: Simulator<Kinsta>,
}

impl World {
    async fn new() -> Self {
        Self::with_key(kinsta::KEY).await
    }

    async fn with_key(key: &str) -> Self {
        let (gateway, host) = (Gateway::start().await, Simulator::start(Kinsta::new()).await);
        let settings = json!({"base_url": format!("{}/v2", host.url()), "region": "us-central1"});
        let body =
            json!({"id": "k", "provider": "kinsta", "name": "Kinsta", "settings": settings, "secrets": {"api_key": key}});
        let _ = gateway.api.post("/connections", &body).await.is(201);
        Self { gateway, host }
    }

    /// A change that succeeds; the operation.
    #[track_caller]
    fn change(&self, method: Method, path: String, body: Value) -> impl Future<Output = Value> {
        let caller = std::panic::Location::caller();
        async move {
            let headers = [("prefer", "wait=60")];
            let reply = if body.is_null() {
                self.gateway.api.send(method.clone(), &path, &headers, bytes::Bytes::new()).await
            } else {
                self.gateway.api.json(method.clone(), &path, &headers, &body).await
            };
            let status = reply.status;
            let operation = reply.json();
            assert!(
                status.is_success() && operation["status"] == "succeeded",
                "{caller}: {method} {path}: {status} {operation}"
            );
            operation
        }
    }

    /// A plain site, and its path.
    async fn site(&self, name: &str) -> String {
        let made = self.change(Method::POST, "/sites".into(), json!({"connection": "k", "name": name, "kind": "plain"})).await;
        format!("/sites/{}", made["result"]["id"].as_str().expect("an id"))
    }

    async fn read(&self, path: &str) -> Value {
        let path = path.to_owned();
        self.gateway.api.send(Method::GET, &path, &[("cache-control", "no-cache")], bytes::Bytes::new()).await.is(200).json()
    }

    fn begun(&self, what: &str) -> usize {
        self.host.world(|kinsta| kinsta.begun.get(what).copied().unwrap_or_default())
    }
}

#[tokio::test]
async fn a_site_from_its_creation_to_its_end() {
    let world = World::new().await;
    let admin = json!({"user": "anna", "email": "anna@shop.example", "password": "correct horse"});
    let body = json!({"connection": "k", "name": "Shop", "admin": admin, "options": {"woocommerce": true}});
    let made = world.change(Method::POST, "/sites".into(), body).await;
    let site = format!("/sites/{}", made["result"]["id"].as_str().expect("an id"));
    assert_eq!(
        (&made["result"]["kind"], &made["result"]["wordpress_version"]),
        (&json!("wordpress"), &json!("6.3.1")),
        "{made}"
    );
    assert_eq!(world.host.world(|kinsta| kinsta.last_change())["woocommerce"], true);
    let list = world.read("/sites?connection=k").await;
    assert_eq!(list["data"].as_array().map(Vec::len), Some(1), "{list}");
    let changed = world.change(Method::PATCH, site.clone(), json!({"php_version": "8.1"})).await;
    assert_eq!(changed["result"]["php_version"], "8.1", "{changed}");

    let backup =
        world.change(Method::POST, format!("{site}/backups"), json!({"description": "before"})).await["result"].clone();
    assert_eq!((&backup["description"], &backup["status"]), (&json!("before"), &json!("completed")), "{backup}");
    assert_eq!(backup["created_at"], "2022-10-10T06:16:40.77Z", "{backup}");
    let path = format!("{site}/backups/{}", backup["id"].as_str().expect("an id"));
    world.change(Method::POST, format!("{path}/restore"), json!({})).await;
    assert_eq!(world.begun("backups:restore"), 1);
    let kept = world.read(&format!("/operations/{}", made["id"].as_str().expect("an id"))).await;
    assert_eq!((&kept["status"], &kept["result"]["id"]), (&json!("succeeded"), &made["result"]["id"]), "{kept}");

    world.change(Method::POST, format!("{site}/domains"), json!({"name": "www.shop.example", "primary": true})).await;
    let domains = world.read(&format!("{site}/domains")).await;
    let www = domains["data"].as_array().expect("domains").iter().find(|one| one["name"] == "www.shop.example").expect("it");
    assert_eq!((&www["primary"], &www["status"]), (&json!(true), &json!("pending_verification")), "{www}");
    assert_eq!(www["verification"][0]["type"], "CNAME", "{www}");
    world.change(Method::DELETE, format!("{site}/domains/www.shop.example"), Value::Null).await;

    world.change(Method::DELETE, path.clone(), Value::Null).await;
    world.gateway.api.get(&path).await.problem(404, "not_found");
    world.change(Method::DELETE, site.clone(), Value::Null).await;
    assert_eq!(world.host.world(|kinsta| kinsta.sites().len()), 0);
    world.gateway.api.get(&site).await.problem(404, "not_found");
}

#[tokio::test]
async fn environments_plugins_caches_and_numbers() {
    let world = World::new().await;
    let site = world.site("Shop").await;
    let made = world.change(Method::POST, format!("{site}/environments"), json!({"name": "QA", "source": "Live"})).await;
    assert_eq!(made["result"]["kind"], "staging", "{made}");
    world.change(Method::POST, format!("{site}/environments/QA/push"), json!({"target": "Live"})).await;
    let toolkit = format!("{site}/wordpress");
    let plugin = format!("{toolkit}/plugins/akismet");
    world.change(Method::POST, format!("{plugin}/update"), Value::Null).await;
    world.change(Method::POST, format!("{plugin}/activate"), Value::Null).await;
    let plugins = world.read(&format!("{toolkit}/plugins")).await;
    let akismet = &plugins["data"][0];
    assert_eq!((&akismet["version"], &akismet["active"]), (&json!("1.0.1"), &json!(true)), "{plugins}");
    world.change(Method::POST, format!("{toolkit}/plugins"), json!({"source": "hello-dolly"})).await;
    world.change(Method::DELETE, format!("{toolkit}/plugins/hello-dolly"), Value::Null).await;
    world.change(Method::POST, format!("{toolkit}/cache/purge"), json!({})).await;
    assert_eq!(world.begun("cache:clear"), 3);
    let usage = world.read(&format!("{site}/usage")).await;
    assert_eq!(
        (&usage["visits"], &usage["bandwidth"], &usage["storage"]),
        (&json!(100), &json!(5000), &json!(1000)),
        "{usage}"
    );
    let logs = world.read(&format!("{site}/logs?source=access")).await;
    assert_eq!(logs["data"][0]["at"], "2025-10-28T10:30:00Z", "{logs}");
    let environments = world.read(&format!("{site}/environments")).await;
    assert_eq!(environments["data"].as_array().map(Vec::len), Some(2), "{environments}");
    world.change(Method::DELETE, format!("{site}/environments/QA"), Value::Null).await;
    let clone = world.change(Method::POST, format!("{site}/clone"), json!({"name": "Shop two"})).await;
    assert_eq!(clone["result"]["name"], "Shop two", "{clone}");
    // What Kinsta can't do names itself.
    let refused = world.gateway.api.post(&format!("{site}/stop"), &json!({})).await.problem(501, "unsupported");
    assert!(refused.to_string().contains("sites.stop"), "{refused}");
}

/// Whatever happens between, the end is the same, and nothing was asked for twice.
#[tokio::test]
async fn trouble_while_it_is_watched_changes_nothing() {
    let world = World::new().await;
    let operations = "/v2/operations/*";
    world.host.inject(Method::GET, operations, 1, Fault::Html(502));
    world.host.inject(Method::GET, operations, 1, Fault::Cut);
    world.host.inject(Method::GET, operations, 1, Fault::TooMany(Some(1)));
    world.host.inject(Method::GET, operations, 1, Fault::Late(Duration::from_millis(500)));
    world.host.inject(Method::GET, operations, 1, Fault::Redirect("http://127.0.0.1:1/".to_owned()));
    let site = world.site("Shop").await;
    assert_eq!((world.begun("sites:add-plain"), world.host.faults_left()), (1, 0));
    assert_eq!(world.read(&site).await["name"], "Shop");
}

#[tokio::test]
async fn a_change_that_was_refused_for_now_is_sent_again_and_one_that_is_lost_is_looked_up() {
    let world = World::new().await;
    // 429 without a word when: Kinsta didn't do it.
    world.host.inject(Method::POST, "/v2/sites/plain", 1, Fault::TooMany(None));
    let site = world.site("Shop").await;
    assert_eq!((world.begun("sites:add-plain"), world.host.count(&Method::POST, "/v2/sites/plain")), (1, 2));
    // Done, but nobody heard: its note tells.
    world.host.world(|kinsta| (kinsta.unknown_for, kinsta.running_for) = (0, 0));
    world.host.inject(Method::POST, "/v2/sites/environments/*/manual-backups", 1, Fault::Cut);
    let backup = world.change(Method::POST, format!("{site}/backups"), json!({"description": "once"})).await;
    assert_eq!(backup["result"]["description"], "once", "{backup}");
    assert_eq!(world.host.world(|kinsta| kinsta.backups()), 1);
    // The same with what is gone.
    world.host.inject(Method::DELETE, "/v2/sites/*", 1, Fault::Cut);
    world.change(Method::DELETE, site, Value::Null).await;
    assert_eq!(world.begun("sites:delete"), 1);
    // A creation can't be told from an older one of the same name: it isn't sent again.
    world.host.inject(Method::POST, "/v2/sites/plain", 1, Fault::Cut);
    let lost = world.gateway.api.post("/sites", &json!({"connection": "k", "name": "Shop", "kind": "plain"})).await;
    assert!(lost.text().contains("was not sent again"), "{}", lost.text());
    assert_eq!(world.begun("sites:add-plain"), 2);
}

#[tokio::test]
async fn a_plugin_whose_deletion_nobody_heard_of_is_deleted_once_and_that_succeeds() {
    let world = World::new().await;
    let site = world.site("Shop").await;
    world.host.world(|kinsta| (kinsta.unknown_for, kinsta.running_for) = (0, 0));
    for extension in ["plugins/akismet", "themes/twentytwentyfour"] {
        let path = format!("{site}/wordpress/{extension}");
        world.host.inject(Method::POST, "/v2/sites/environments/*/run-wp-cli-command", 1, Fault::Cut);
        world.change(Method::DELETE, path.clone(), Value::Null).await;
        // What isn't there is refused from the beginning.
        let never = world.gateway.api.delete(&path).await;
        assert_eq!(never.status, 404, "{}", never.text());
    }
    assert_eq!((world.begun("environment:run-wp-cli-command"), world.host.faults_left()), (2, 0));
}

/// The first one goes on while it is looked up, so a second one is begun, which finds nothing to delete.
#[tokio::test]
async fn a_deletion_that_fails_since_an_earlier_one_was_carried_out_has_succeeded() {
    let world = World::new().await;
    let site = world.site("Shop").await;
    world.host.world(|kinsta| (kinsta.unknown_for, kinsta.running_for) = (0, 6));
    world.host.inject(Method::POST, "/v2/sites/environments/*/run-wp-cli-command", 1, Fault::Cut);
    world.change(Method::DELETE, format!("{site}/wordpress/plugins/akismet"), Value::Null).await;
    assert_eq!((world.begun("environment:run-wp-cli-command"), world.host.faults_left()), (2, 0));
    world.gateway.api.delete(&format!("{site}/wordpress/plugins/akismet")).await.problem(404, "not_found");
}

#[tokio::test]
async fn what_fails_at_the_host_says_why() {
    let world = World::new().await;
    let site = world.site("Shop").await;
    world.host.world(|kinsta| kinsta.next_fails = Some("The site is locked by another operation."));
    let failed = world.gateway.api.post(&format!("{site}/backups"), &json!({})).await;
    assert!(failed.status.is_server_error(), "{}", failed.text());
    assert!(failed.text().contains("Kinsta says: The site is locked by another operation"), "{}", failed.text());
    let unknown = world.gateway.api.post(&format!("{site}/backups"), &json!({"environment": "none"})).await;
    assert_eq!(unknown.status, 404, "{}", unknown.text());
}

#[tokio::test]
async fn a_wrong_key_and_a_host_elsewhere() {
    let world = World::with_key("another-key").await;
    let test = world.gateway.api.post("/connections/k/test", &json!({})).await.is(200);
    assert!(test.text().contains("No or invalid API key provided to the request"), "{}", test.text());
    assert!(!test.text().contains("another-key"), "{}", test.text());

    let world = World::new().await;
    let elsewhere = Upstream::start(|_| Answer::Json(200, json!({"company": {"sites": []}}))).await;
    world.host.inject(Method::GET, "/v2/sites", 1, Fault::Redirect(format!("{}/v2/sites", elsewhere.url())));
    let list = world.gateway.api.get("/sites?connection=k").await;
    assert!(list.json()["errors"].as_array().is_none_or(|errors| !errors.is_empty()), "{}", list.text());
    assert_eq!(elsewhere.seen().len(), 0, "the credential left for another host");
}
