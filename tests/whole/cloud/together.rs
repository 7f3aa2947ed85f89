//! One organization with every host behind one door: one list, a backup on each that can, one host down and another slow.
//!
//! The hosts are simulators, but for the real Docker Engine. Invariant: what one host does to its own connection, no other
//! connection's answer shows; and the secrets of all of them, each of its own kind, are found in nothing that the gateway gives away
//! or keeps.

use crate::{
    engine_e2e::{engine, plain_image},
    recovery::docker_grant,
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::Bytes;
use http::Method;
use portico_tests::{
    Gateway, Setup,
    memory::Memories,
    simulators::{Dialect, Fault, Kinsta, LiveWpEngine, Simulator, SiteIco, SitePod, WisPanel, kinsta, wispanel, wpengine},
};
use serde_json::{Value, json};
use std::{collections::BTreeSet, path::Path, time::Duration};
use tokio::time::Instant;

const ICO: &str = "canary-of-siteico-7391";
const POD: &str = "canary-of-sitepod-7392";
/// Of the administrators that sites are made with.
const PASSWORD: &str = "canary of administrators 7393";

/// With any grant of its own, a configuration has to allow the simulators, too.
const LOOPBACK: &str = "[[grants]]\norganization = \"*\"\nprovider = \"*\"\nnetworks = [\"127.0.0.0/8\"]\nhttp = true\n";

struct World {
    gateway: Gateway,
    kinsta: Simulator<Kinsta>,
    wpengine: Simulator<LiveWpEngine>,
    siteico: Simulator<SiteIco>,
    sitepod: Simulator<SitePod>,
    /// Behind a certificate of its own making.
    wispanel: Simulator<WisPanel>,
}

impl World {
    async fn new() -> Self {
        Self::configured(String::new()).await
    }

    async fn configured(config: String) -> Self {
        let certificate = wispanel::certificate();
        let world = Self {
            gateway: Gateway::start_with(Setup { config, ..Setup::default() }).await,
            kinsta: Simulator::start(Kinsta::new()).await,
            wpengine: Simulator::start(LiveWpEngine::new()).await,
            siteico: Simulator::start(SiteIco::new("me@example.com", ICO)).await,
            sitepod: Simulator::start(SitePod::new(Dialect::Live, "me@example.com", POD)).await,
            wispanel: Simulator::start_tls(WisPanel::new(&["blog.example"]), &certificate).await,
        };
        let url = |simulator: String, base: &str| format!("{simulator}{base}");
        for (provider, settings, secrets) in [
            (
                "kinsta",
                json!({"base_url": url(world.kinsta.url(), "/v2"), "region": "us-central1"}),
                json!({"api_key": kinsta::KEY}),
            ),
            (
                "wpengine",
                json!({"base_url": url(world.wpengine.url(), "/v1")}),
                json!({"username": wpengine::live::USERNAME, "password": wpengine::live::PASSWORD}),
            ),
            ("siteico", json!({"url": world.siteico.url()}), json!({"username": "me@example.com", "password": ICO})),
            ("sitepod", json!({"url": world.sitepod.url()}), json!({"email": "me@example.com", "password": POD})),
            ("wispanel", json!({"base_url": world.wispanel.url()}), json!({"api_key": wispanel::KEY})),
        ] {
            let mut body =
                json!({"id": provider, "provider": provider, "name": provider, "settings": settings, "secrets": secrets});
            if provider == "wispanel" {
                body["tls"] = json!({"fingerprint": certificate.fingerprint()});
            }
            let _ = world.gateway.api.post("/connections", &body).await.is(201);
        }
        world
    }

    /// Without its connections, the gateway has no use for their secrets, in whatever form they were sent.
    async fn ends_without_a_trace(self, canaries: &[&str]) {
        let before = Memories::of_all(self.gateway.pid());
        assert!(canaries[..5].iter().all(|canary| before.hold(canary)), "what is in use isn't found");
        drop(before);
        let api = &self.gateway.api;
        for connection in ["sandbox", "kinsta", "wpengine", "siteico", "sitepod", "wispanel"] {
            let _ = api.send(Method::DELETE, &format!("/connections/{connection}?force=true"), &[], Bytes::new()).await.is(204);
        }
        // The hosts go, and with them the connections to them.
        let Self { gateway, kinsta, wpengine, siteico, sitepod, wispanel } = self;
        drop((kinsta, wpengine, siteico, sitepod, wispanel));
        let basic = BASE64_STANDARD.encode(format!("{}:{}", wpengine::live::USERNAME, wpengine::live::PASSWORD));
        let forms = canaries.iter().chain([&PASSWORD]).map(|canary| (*canary).to_owned()).chain([basic]);
        // What frees memory may write over their beginnings.
        let tails: Vec<Vec<u8>> = forms.map(|form| form.as_bytes()[8..].to_vec()).collect();
        let look = async || {
            let _ = gateway.api.fresh().get("/connections").await;
            let memories = Memories::of_all(gateway.pid());
            let found: Vec<String> = tails.iter().flat_map(|tail| memories.around(tail)).collect();
            found.is_empty().then_some(()).ok_or(found)
        };
        let end = Instant::now() + Duration::from_secs(40);
        while let Err(found) = look().await {
            assert!(Instant::now() < end, "still in memory: {found:#?}");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    async fn done(&self, path: &str, body: &Value) -> Value {
        let operation = self.gateway.api.json(Method::POST, path, &[("prefer", "wait=60")], body).await.json();
        assert_eq!(operation["status"], "succeeded", "{path}: {operation}");
        operation
    }

    async fn live(&self, path: &str) -> Value {
        let headers = [("cache-control", "no-cache")];
        self.gateway.api.send(Method::GET, path, &headers, Bytes::new()).await.is(200).json()
    }

    async fn features(&self, connection: &str) -> BTreeSet<String> {
        let shown = self.gateway.api.get(&format!("/connections/{connection}")).await.is(200).json();
        let features = shown["features"].as_array().expect("features").iter();
        features.map(|name| name.as_str().expect("a name").to_owned()).collect()
    }

    /// Plans, uploads what is missing, and commits.
    async fn deploy_content(&self, site: &str) -> Value {
        let page = Bytes::from_static(b"<h1>all of them</h1>");
        let hash = blake3::hash(&page).to_hex().to_string();
        // The host looks only at the form of this one.
        let sha256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        let file =
            json!({"path": "/index.html", "blake3": hash, "sha256": sha256, "size": page.len(), "content_type": "text/html"});
        let plan = self.gateway.api.post(&format!("{site}/deployments/plans"), &json!({"files": [file]})).await.is(201).json();
        let plan = format!("{site}/deployments/plans/{}", plan["id"].as_str().expect("an id"));
        let headers = [("content-type", "application/octet-stream")];
        let _ = self.gateway.api.send(Method::PUT, &format!("{plan}/blobs/{hash}"), &headers, page).await.is(201);
        self.done(&format!("{plan}/commit"), &json!({})).await
    }

    /// A site on each host that can make one, with a backup where that can be: their paths.
    async fn furnish(&self) -> Vec<String> {
        let mut sites = Vec::new();
        for connection in ["sandbox", "kinsta", "wpengine", "siteico", "wispanel"] {
            let admin = json!({"user": "anna", "email": "anna@shop.example", "password": PASSWORD});
            let mut body = json!({"connection": connection, "name": format!("Shop {connection}")});
            match connection {
                "kinsta" => body["admin"] = admin,
                "wispanel" => {
                    body["admin"] = admin;
                    body["domain"] = json!("shop.example");
                    body["options"] = json!({"add_domain": true});
                }
                _ => {}
            }
            let made = self.done("/sites", &body).await;
            let site = format!("/sites/{}", made["result"]["id"].as_str().expect("an id"));
            assert!(self.features(connection).await.contains("backups.create"), "{connection}");
            let backup = self.done(&format!("{site}/backups"), &json!({"description": "before"})).await;
            assert!(!backup["result"]["id"].is_null(), "{connection}: {backup}");
            sites.push(site);
        }
        sites
    }
}

fn connections(list: &Value) -> BTreeSet<String> {
    let ids = list["data"].as_array().expect("sites").iter().map(|site| site["id"].as_str().expect("an id"));
    ids.filter_map(|id| Some(id.split_once('~')?.0.to_owned())).collect()
}

#[tokio::test]
async fn one_list_of_all_hosts_whatever_one_of_them_does() {
    let engine = engine().await;
    let world = World::configured(engine.as_ref().map(docker_grant).unwrap_or_default() + LOOPBACK).await;
    let mut sites = world.furnish().await;
    let mut hosts = BTreeSet::from(["sandbox", "kinsta", "wpengine", "siteico", "wispanel", "sitepod"]);
    if let Some(engine) = &engine {
        let (image, _turn) = plain_image(engine).await;
        world.gateway.connect("docker", "docker", json!({"namespace": "together", "images": {"plain": image}})).await;
        let made = world.done("/sites", &json!({"connection": "docker", "name": "Shop", "kind": "plain"})).await;
        sites.push(format!("/sites/{}", made["result"]["id"].as_str().expect("an id")));
        hosts.insert("docker");
    }
    // A project of SitePod begins with its first deployment.
    world.deploy_content("/sites/sitepod~my-site").await;
    let whole = world.live("/sites?limit=100").await;
    assert_eq!((&whole["errors"], whole["total"].is_u64()), (&json!([]), true), "{whole}");
    let all = connections(&whole);
    assert!(hosts.iter().all(|one| all.contains(*one)), "{all:?}");

    // A backup where there are none is refused by name, before anything is sent.
    let seen = world.sitepod.seen().len();
    let refused = world.gateway.api.post("/sites/sitepod~my-site/backups", &json!({})).await.is(501).json();
    assert_eq!((&refused["code"], world.sitepod.seen().len()), (&json!("unsupported"), seen), "{refused}");
    assert!(refused["detail"].as_str().expect("words").contains("backups"), "{refused}");

    // One host is down and another slow: the others' sites are all there, and the list says who is missing and why.
    world.siteico.inject(Method::GET, "/api/**", 1000, Fault::Html(500));
    world.wpengine.inject(Method::GET, "/v1/**", 1, Fault::Late(Duration::from_secs(1)));
    let started = Instant::now();
    let partial = world.live("/sites?limit=100").await;
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
    let errors = partial["errors"].as_array().expect("errors");
    assert_eq!((errors.len(), &errors[0]["connection"], &partial["total"]), (1, &json!("siteico"), &json!(null)), "{partial}");
    assert!(errors[0]["code"].as_str().expect("a code").starts_with("upstream_"), "{errors:?}");
    let mut others = all.clone();
    others.remove("siteico");
    assert_eq!(connections(&partial), others, "{partial}");
    for site in sites.iter().filter(|site| !site.contains("siteico")) {
        let _ = world.live(site).await;
    }

    // What a support person reads of each host that was asked for a site that isn't there.
    for connection in ["sandbox", "kinsta", "wpengine", "wispanel"] {
        let problem = world.gateway.api.get(&format!("/sites/{connection}~absent-1")).await.is(404).json();
        let words = problem["detail"].as_str().expect("words");
        assert!(problem["code"] == "not_found" && words.len() > 8, "{connection}: {problem}");
    }
}

/// A deployment on each that can: from git where the host takes that, by content elsewhere; and what all of them use, in one sum.
#[tokio::test]
async fn deployments_and_one_sum_of_what_is_used() {
    let world = World::new().await;
    let mut sites = world.furnish().await;
    sites.push("/sites/sitepod~my-site".to_owned());
    let mut deployed = Vec::new();
    for site in &sites {
        let connection = site.trim_start_matches("/sites/").split('~').next().expect("a connection");
        let features = world.features(connection).await;
        let deployment = if features.contains("deployments.create.git") {
            let source = json!({"type": "git", "repository": "https://git.example.com/shop.git", "branch": "main"});
            world.done(&format!("{site}/deployments"), &json!({"source": source})).await
        } else if features.contains("deployments.plan") {
            world.deploy_content(site).await
        } else {
            world.gateway.api.get(&format!("{site}/deployments")).await.problem(501, "unsupported");
            continue;
        };
        let id = deployment["result"]["id"].as_str().unwrap_or_else(|| panic!("no id: {deployment}"));
        assert_eq!(world.live(&format!("{site}/deployments")).await["data"][0]["id"], *id, "{connection}");
        deployed.push(connection);
    }
    assert_eq!(deployed, ["sandbox", "sitepod"]);

    let sum = world.live("/billing/usage").await;
    assert_eq!(sum["errors"], json!([]), "{sum}");
    let counted: Vec<&str> = sum["connections"].as_array().expect("connections").iter().filter_map(Value::as_str).collect();
    assert_eq!(counted, ["kinsta", "sandbox", "siteico", "wispanel", "wpengine"], "{sum}");
    for key in ["sites", "storage", "bandwidth", "visits"] {
        let mut parts = Vec::new();
        for connection in &counted {
            parts.push(world.live(&format!("/billing/usage?connection={connection}")).await[key].as_u64());
        }
        let known: Vec<u64> = parts.iter().flatten().copied().collect();
        let wanted = if known.is_empty() { Value::Null } else { json!(known.iter().sum::<u64>()) };
        assert_eq!(sum[key], wanted, "{key}: {parts:?}");
    }
}

#[tokio::test]
async fn secrets_of_every_host_are_found_nowhere() {
    let world = World::new().await;
    world.furnish().await;
    // The last is in what the panel tells of its sites.
    let canaries = [kinsta::KEY, wpengine::live::PASSWORD, ICO, POD, wispanel::KEY, wispanel::DB_PASSWORD];
    let mut told = String::new();
    for path in ["/sites?limit=100", "/connections", "/operations?limit=100", "/audit?limit=100", "/providers"] {
        told += &world.gateway.api.get(path).await.is(200).text();
    }
    for connection in ["kinsta", "wpengine", "siteico", "sitepod", "wispanel"] {
        let path = format!("/connections/{connection}");
        told += &world.gateway.api.get(&path).await.is(200).text();
        told += &world.gateway.api.post(&format!("{path}/test"), &json!({})).await.text();
    }
    told += &world.gateway.admin.fresh().get("/metrics").await.is(200).text();
    // Hosts that repeat what they were sent: the answers don't, nor do the guests remember.
    world.kinsta.inject(Method::GET, "/v2/**", 1000, Fault::Echo(200));
    world.wpengine.inject(Method::GET, "/v1/**", 1000, Fault::Echo(400));
    world.siteico.inject(Method::GET, "/api/**", 1000, Fault::Echo(500));
    world.sitepod.inject(Method::GET, "/api/**", 1000, Fault::Echo(200));
    world.wispanel.inject(Method::GET, "/**", 1000, Fault::Echo(404));
    told += &world.live("/sites?limit=100").await.to_string();
    let memories = Memories::of(world.gateway.pid());
    assert!(memories.count() >= 5 && memories.hold("[redacted]"), "what hosts repeated isn't in any guest's memory");
    for canary in [kinsta::KEY, wpengine::live::PASSWORD, ICO, POD, wispanel::KEY] {
        assert!(!memories.hold(canary), "{canary} is in a guest's memory");
    }
    told += &world.gateway.log();
    let sent = [
        world
            .kinsta
            .seen()
            .iter()
            .any(|request| request.header("authorization").is_some_and(|value| value.contains(kinsta::KEY))),
        world.siteico.seen().iter().any(|request| String::from_utf8_lossy(&request.body).contains(ICO)),
        world
            .wispanel
            .seen()
            .iter()
            .any(|request| request.header("authorization").is_some_and(|value| value.contains(wispanel::KEY))),
    ];
    assert_eq!(sent, [true, true, true], "the canaries never were in use, so their absence says nothing");
    for canary in canaries {
        assert!(!told.contains(canary), "{canary} is in an answer, the metrics or the log");
    }
    for file in files(&world.gateway.data()) {
        let bytes = std::fs::read(&file).unwrap_or_default();
        for canary in canaries {
            let found = bytes.windows(canary.len()).any(|window| window == canary.as_bytes());
            assert!(!found, "{canary} is in {}", file.display());
        }
    }
    world.ends_without_a_trace(&canaries).await;
}

fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder).expect("the data folder").map(|entry| entry.expect("an entry").path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}
