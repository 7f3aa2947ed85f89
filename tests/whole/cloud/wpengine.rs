//! The provider `wpengine` as customers meet it, in both dialects: a real gateway, its built-in component, and WP Engines that fail.
//!
//! Invariant: what counts is what is at the host in the end, and how often it was asked for; requests are right by `prism`, not here.

use http::Method;
use portico_tests::{
    Answer, Gateway, Upstream,
    simulators::{Fault, LiveWpEngine, SeedWpEngine, Simulator, World, wpengine},
};
use serde_json::{Value, json};
use std::time::Duration;

struct Scene<W> {
    gateway: Gateway,
    host: Simulator<W>,
}

impl Scene<LiveWpEngine> {
    async fn live() -> Self {
        Self::live_with(wpengine::live::PASSWORD).await
    }

    async fn live_with(password: &str) -> Self {
        let secrets = json!({"username": wpengine::live::USERNAME, "password": password});
        Self::new(LiveWpEngine::new(), json!({}), secrets).await
    }
}

impl Scene<SeedWpEngine> {
    async fn seed() -> Self {
        let scene = Self::new(SeedWpEngine::new(), json!({"dialect": "seed"}), json!({"api_key": wpengine::seed::KEY})).await;
        let base = format!("{}/v1", scene.host.url());
        scene.host.world(|wpengine| wpengine.base = base);
        scene
    }
}

impl<W: World> Scene<W> {
    async fn new(world: W, mut settings: Value, secrets: Value) -> Self {
        let (gateway, host) = (Gateway::start().await, Simulator::start(world).await);
        settings["base_url"] = json!(format!("{}/v1", host.url()));
        let body = json!({"id": "w", "provider": "wpengine", "name": "WP Engine", "settings": settings, "secrets": secrets});
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
            let (status, operation) = (reply.status, reply.json());
            let succeeded = status.is_success() && operation["status"] == "succeeded";
            assert!(succeeded, "{caller}: {method} {path}: {status} {operation}");
            operation
        }
    }

    async fn site(&self, name: &str) -> String {
        let made = self.change(Method::POST, "/sites".into(), json!({"connection": "w", "name": name})).await;
        format!("/sites/{}", made["result"]["id"].as_str().expect("an id"))
    }

    async fn read(&self, path: &str) -> Value {
        self.gateway.api.send(Method::GET, path, &[("cache-control", "no-cache")], bytes::Bytes::new()).await.is(200).json()
    }
}

#[tokio::test]
async fn a_live_site_from_its_creation_to_its_end() {
    let scene = Scene::live().await;
    let body = json!({"connection": "w", "name": "Torque Magazine", "options": {"install_name": "torquemag"}});
    let made = scene.change(Method::POST, "/sites".into(), body).await["result"].clone();
    assert_eq!(
        (&made["name"], &made["status"], &made["slug"]),
        (&json!("Torque Magazine"), &json!("running"), &json!("torquemag"))
    );
    assert_eq!(made["url"], "https://torquemag.wpengine.com", "{made}");
    let site = format!("/sites/{}", made["id"].as_str().expect("an id"));
    let list = scene.read("/sites?connection=w").await;
    assert_eq!((&list["data"][0]["id"], &list["data"][0]["status"]), (&made["id"], &json!("running")), "{list}");

    let backup =
        scene.change(Method::POST, format!("{site}/backups"), json!({"description": "Pre-deploy"})).await["result"].clone();
    assert_eq!((&backup["description"], &backup["status"]), (&json!("Pre-deploy"), &json!("completed")), "{backup}");
    let one = format!("{site}/backups/{}", backup["id"].as_str().expect("an id"));
    assert_eq!(scene.read(&format!("{site}/backups")).await["data"][0]["id"], backup["id"]);
    let restored = scene.change(Method::POST, format!("{one}/restore"), json!({})).await;
    assert!(restored["message"].as_str().is_some_and(|text| text.contains("doesn't say when")), "{restored}");
    // The backup is its result all the same.
    assert_eq!((&restored["verified"], &restored["result"]["id"]), (&json!(false), &backup["id"]), "{restored}");
    let emails = scene.host.world(|host| {
        let install = host.install("torquemag").expect("the install");
        assert_eq!(install.overwritten_by, [install.backups[0].id.clone()]);
        install.backups[0].emails.clone()
    });
    assert_eq!(emails, ["joe@agency.example"]);
    scene.gateway.api.delete(&one).await.problem(501, "unsupported");

    let pending =
        scene.change(Method::POST, format!("{site}/domains"), json!({"name": "www.torque.example", "primary": true})).await;
    assert_eq!(
        (&pending["result"]["status"], &pending["result"]["verification"][0]["type"]),
        (&json!("pending_verification"), &json!("TXT"))
    );
    let verify = format!("{site}/domains/www.torque.example/verify");
    assert_eq!(scene.change(Method::POST, verify.clone(), Value::Null).await["result"]["status"], "active");
    scene.change(Method::POST, verify, Value::Null).await;
    let domain = scene.read(&format!("{site}/domains")).await["data"][0].clone();
    assert_eq!((&domain["primary"], &domain["certificate"]["issuer"]), (&json!(true), &json!("lets_encrypt")), "{domain}");
    assert_eq!(scene.read(&site).await["url"], "https://www.torque.example");
    scene.change(Method::PUT, format!("{site}/domains/www.torque.example/primary"), Value::Null).await;
    scene.change(Method::DELETE, format!("{site}/domains/www.torque.example"), Value::Null).await;

    assert_eq!(scene.change(Method::PATCH, site.clone(), json!({"name": "Torque"})).await["result"]["name"], "Torque");
    scene.change(Method::DELETE, site.clone(), Value::Null).await;
    assert_eq!(scene.host.world(|host| (host.sites.len(), host.installs.len())), (0, 0));
    scene.gateway.api.get(&site).await.problem(404, "not_found");
}

#[tokio::test]
async fn live_environments_copies_caches_and_numbers() {
    let scene = Scene::live().await;
    let site = scene.site("Shop").await;
    let body = json!({"name": "shopstaging", "kind": "staging", "source": "production"});
    let made = scene.change(Method::POST, format!("{site}/environments"), body).await["result"].clone();
    assert_eq!((&made["name"], &made["kind"], &made["status"]), (&json!("shopstaging"), &json!("staging"), &json!("running")));
    scene.change(Method::POST, format!("{site}/environments/staging/push"), json!({"target": "production"})).await;
    let copied = scene.host.world(|host| host.installs.iter().map(|install| install.overwritten_by.len()).collect::<Vec<_>>());
    assert_eq!(copied, [1, 1]);
    let refused = scene.gateway.api.post(&format!("{site}/environments"), &json!({"name": "Not An Install"})).await;
    assert_eq!(refused.status, 422, "{}", refused.text());

    scene.change(Method::POST, format!("{site}/wordpress/cache/flush"), json!({})).await;
    scene.change(Method::POST, format!("{site}/wordpress/cache/purge"), json!({})).await;
    assert_eq!(scene.host.world(|host| host.installs[0].purged.clone()), ["object", "all"]);
    assert_eq!(scene.read(&format!("{site}/wordpress")).await["version"], "6.8.1");
    let usage = scene.read(&format!("{site}/usage")).await;
    assert_eq!((&usage["visits"], &usage["storage"], &usage["bandwidth"]), (&json!(600), &json!(200), &json!(4000)), "{usage}");
    let account = scene.read("/billing/usage?connection=w").await;
    assert!(account.to_string().contains("\"visits\":300"), "{account}");

    let clone = scene.change(Method::POST, format!("{site}/clone"), json!({"name": "Shop two"})).await;
    assert_eq!(clone["result"]["name"], "Shop two", "{clone}");
    scene.change(Method::DELETE, format!("{site}/environments/staging"), Value::Null).await;
    assert_eq!(scene.host.world(|host| host.installs.len()), 2);
    scene.gateway.api.post(&format!("{site}/stop"), &json!({})).await.problem(501, "unsupported");
}

/// Pages of two, and links to a host that isn't this one.
#[tokio::test]
async fn a_live_list_is_walked_to_its_end() {
    let scene = Scene::live().await;
    for n in 0..5 {
        let _ = scene.site(&format!("Site {n}")).await;
    }
    scene.host.world(|host| host.page = 2);
    let list = scene.read("/sites?connection=w&limit=100").await;
    assert_eq!((list["data"].as_array().map(Vec::len), &list["errors"]), (Some(5), &json!([])), "{list}");
    assert!(list["data"].as_array().is_some_and(|sites| sites.iter().all(|site| site["status"] == "running")), "{list}");
}

/// Whatever happens between, the end is the same, and nothing was asked for twice.
#[tokio::test]
async fn trouble_at_the_live_host_changes_nothing() {
    let scene = Scene::live().await;
    scene.host.inject(Method::POST, "/v1/installs", 1, Fault::TooMany(Some(1)));
    scene.host.inject(Method::GET, "/v1/installs/*", 1, Fault::Html(502));
    scene.host.inject(Method::GET, "/v1/installs/*", 1, Fault::Answer(Answer::Raw(503, Vec::new(), bytes::Bytes::new())));
    scene.host.inject(Method::GET, "/v1/installs/*", 1, Fault::Cut);
    scene.host.inject(Method::GET, "/v1/installs/*", 1, Fault::Late(Duration::from_millis(500)));
    let site = scene.site("Shop").await;
    assert_eq!((scene.host.world(|host| (host.sites.len(), host.installs.len())), scene.host.faults_left()), ((1, 1), 0));

    // Done, but nobody heard: marks tell.
    scene.host.inject(Method::POST, "/v1/sites", 1, Fault::Cut);
    let _ = scene.site("Other").await;
    assert_eq!(scene.host.world(|host| host.sites.iter().map(|site| site.name.clone()).collect::<Vec<_>>()), ["Shop", "Other"]);
    scene.host.inject(Method::POST, "/v1/installs/*/backups", 1, Fault::Cut);
    scene.change(Method::POST, format!("{site}/backups"), json!({"description": "once"})).await;
    scene.host.world(|host| host.silent_backups = true);
    scene.change(Method::POST, format!("{site}/backups"), json!({"description": "twice"})).await;
    assert_eq!(scene.host.world(|host| host.installs[0].backups.len()), 2);
    // A restore can be neither repeated nor found, but one that the host had no time for did nothing.
    let backups = scene.read(&format!("{site}/backups")).await;
    let restore = format!("{site}/backups/{}/restore", backups["data"][0]["id"].as_str().expect("an id"));
    scene.host.inject(Method::POST, "/v1/installs/*/backups/*/restore", 1, Fault::TooMany(None));
    scene.change(Method::POST, restore, json!({})).await;
    let overwritten = scene.host.world(|host| host.installs[0].overwritten_by.len());
    let asked = scene.host.count(&Method::POST, "/v1/installs/*/backups/*/restore");
    assert_eq!((overwritten, asked), (1, 2));

    // A name that is taken leaves nothing behind.
    let taken = scene.host.world(|host| host.installs[0].name.clone());
    let body = json!({"connection": "w", "name": "Third", "options": {"install_name": taken}});
    let refused = scene.gateway.api.post("/sites", &body).await;
    assert!(refused.status == 409 && refused.text().contains("WP Engine says: Name is taken"), "{}", refused.text());
    assert_eq!(scene.host.world(|host| host.sites.len()), 2);
}

#[tokio::test]
async fn a_wrong_password_and_a_host_elsewhere() {
    let scene = Scene::live_with("wpe-another-password").await;
    let test = scene.gateway.api.post("/connections/w/test", &json!({})).await.is(200);
    assert!(test.text().contains("Bad Credentials"), "{}", test.text());
    assert!(!test.text().contains("wpe-another-password"), "{}", test.text());

    let scene = Scene::live().await;
    let elsewhere = Upstream::start(|_| Answer::Json(200, json!({"results": []}))).await;
    scene.host.inject(Method::GET, "/v1/sites", 1, Fault::Redirect(format!("{}/v1/sites", elsewhere.url())));
    let list = scene.gateway.api.get("/sites?connection=w").await;
    assert!(list.json()["errors"].as_array().is_none_or(|errors| !errors.is_empty()), "{}", list.text());
    assert_eq!(elsewhere.seen().len(), 0, "the credential left for another host");
}

#[tokio::test]
async fn a_seed_site_from_its_creation_to_its_end() {
    let scene = Scene::seed().await;
    let body = json!({"connection": "w", "name": "Shop", "php_version": "8.1", "template": "blank"});
    let made = scene.change(Method::POST, "/sites".into(), body).await["result"].clone();
    assert_eq!((&made["status"], &made["php_version"]), (&json!("running"), &json!("8.1")), "{made}");
    assert_eq!(made["usage"]["storage"], 2_500_000_000_u64, "{made}");
    let site = format!("/sites/{}", made["id"].as_str().expect("an id"));
    assert_eq!(scene.change(Method::PATCH, site.clone(), json!({"php_version": "8.2"})).await["result"]["php_version"], "8.2");
    assert_eq!(scene.change(Method::POST, format!("{site}/stop"), Value::Null).await["result"]["status"], "stopped");
    assert_eq!(scene.change(Method::POST, format!("{site}/start"), Value::Null).await["result"]["status"], "running");
    assert_eq!(scene.read("/sites?connection=w").await["data"].as_array().map(Vec::len), Some(1));

    let backup =
        scene.change(Method::POST, format!("{site}/backups"), json!({"description": "before"})).await["result"].clone();
    assert_eq!((&backup["description"], &backup["size"]), (&json!("before"), &json!(1_200_000_000)), "{backup}");
    let one = format!("{site}/backups/{}", backup["id"].as_str().expect("an id"));
    assert_eq!(scene.gateway.api.get(&format!("{one}/download")).await.is(200).text(), "the backup's bytes");
    assert_eq!(scene.read(&format!("{site}/backups")).await["data"][0]["id"], backup["id"]);
    let body = json!({"environment": "staging", "database": true, "files": true});
    scene.change(Method::POST, format!("{one}/restore"), body).await;
    let restore =
        json!({"environment": "staging", "contents": {"database": true, "files": true, "plugins": false, "themes": false}});
    assert_eq!(scene.host.world(|host| host.sites[0].restores.clone()), [restore]);

    let source = json!({"type": "git", "repository": "https://github.com/username/repo", "branch": "develop"});
    let deployment =
        scene.change(Method::POST, format!("{site}/deployments"), json!({"environment": "staging", "source": source})).await;
    assert_eq!((&deployment["result"]["status"], &deployment["result"]["changes"]["added"]), (&json!("completed"), &json!(5)));
    let current = scene.read(&format!("{site}/environments/staging/current")).await;
    assert_eq!(current["id"], deployment["result"]["id"], "{current}");
    assert_eq!(scene.read(&format!("{site}/deployments")).await["data"][0]["id"], deployment["result"]["id"]);
    let one_deployment = format!("{site}/deployments/{}", deployment["result"]["id"].as_str().expect("an id"));
    assert_eq!(scene.read(&one_deployment).await["id"], deployment["result"]["id"]);
    let broken = json!({"type": "git", "repository": "https://github.com/username/repo", "branch": "broken"});
    let failed = scene.gateway.api.post(&format!("{site}/deployments"), &json!({"source": broken})).await;
    assert!(failed.text().contains("its logs say why"), "{}", failed.text());

    scene.change(Method::DELETE, one.clone(), Value::Null).await;
    scene.gateway.api.get(&one).await.problem(404, "not_found");
    scene.change(Method::DELETE, site.clone(), Value::Null).await;
    scene.gateway.api.get(&site).await.problem(404, "not_found");
    assert_eq!(scene.host.world(|host| host.sites.len()), 0);
}

#[tokio::test]
async fn trouble_at_the_seed_host_changes_nothing() {
    let scene = Scene::seed().await;
    scene.host.inject(Method::GET, "/v1/sites/*", 1, Fault::TooMany(None));
    scene.host.inject(Method::GET, "/v1/sites/*", 1, Fault::Html(502));
    scene.host.inject(Method::GET, "/v1/sites/*", 1, Fault::Cut);
    let site = scene.site("Shop").await;
    scene.host.inject(Method::POST, "/v1/sites/*/backups", 1, Fault::Cut);
    scene.change(Method::POST, format!("{site}/backups"), json!({"description": "once"})).await;
    let backups = scene.read(&format!("{site}/backups")).await;
    assert_eq!((backups["data"].as_array().map(Vec::len), scene.host.faults_left()), (Some(1), 0), "{backups}");
    // A creation has no mark: what wasn't there before is what it made.
    scene.host.inject(Method::POST, "/v1/sites", 1, Fault::TooMany(None));
    scene.host.inject(Method::POST, "/v1/sites", 1, Fault::Cut);
    let _ = scene.site("Shop").await;
    assert_eq!(scene.host.world(|host| host.sites.iter().filter(|site| site.name() == "Shop").count()), 2);
    assert_eq!((scene.host.count(&Method::POST, "/v1/sites"), scene.host.faults_left()), (3, 0));
    // A restore leaves nothing to find: it isn't sent again.
    let backup = backups["data"][0]["id"].as_str().expect("an id");
    scene.host.inject(Method::POST, "/v1/sites/*/backups/*/restore", 1, Fault::Cut);
    let lost = scene.gateway.api.post(&format!("{site}/backups/{backup}/restore"), &json!({})).await;
    assert!(lost.text().contains("was not sent again"), "{}", lost.text());
    assert_eq!(scene.host.world(|host| host.sites[0].restores.len()), 1);
}
