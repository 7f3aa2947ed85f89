//! The one list of providers under test: how each is connected to a host of its own, and what it takes where others take something else.
//!
//! Invariant: a provider is added here and nowhere else.

use super::{
    backups::BYTES,
    subject::{Basis, Behind, Host, Start, Subject, admin},
};
use crate::engine_e2e::plain_image;
use portico_tests::{
    Answer, Upstream,
    engine::{DATABASE_IMAGE, Engine, WORDPRESS_IMAGE},
    simulators::{
        Dialect, Kinsta, LiveWpEngine, SeedWpEngine, Simulator, SiteIco, SitePod, WisPanel, World, kinsta, wispanel, wpengine,
    },
    tls::Certificate,
};
use serde_json::{Value, json};
use std::pin::Pin;

const EMAIL: &str = "me@example.com";
const PASSWORD: &str = "a-password-of-the-host";

/// Archives that a host keeps elsewhere: behind a certificate, at an origin that the operator has to allow.
pub struct Archives {
    server: Upstream,
    certificate: Certificate,
}

impl Archives {
    pub async fn start() -> Self {
        let certificate = Certificate::until(2090);
        let server = Upstream::start_tls(certificate.acceptor(), |_| Answer::Raw(200, Vec::new(), BYTES.into())).await;
        Self { server, certificate }
    }

    /// By the name that the certificate has.
    pub fn origin(&self) -> String {
        self.server.url().replace("127.0.0.1", "localhost")
    }
}

/// All but docker, which needs its Engine.
pub fn simulated(archives: &Archives) -> Vec<Subject> {
    let (origin, ca) = (archives.origin(), archives.certificate.pem.clone());
    let kinsta = move |sites| kinsta(origin.clone(), ca.clone(), sites);
    let simulated = |column, provider, hints, start| Subject { column, provider, basis: Basis::Simulator, hints, start };
    vec![
        Subject { column: "sandbox", provider: "sandbox", basis: Basis::Itself, hints: of_sandbox, start: start(sandbox) },
        simulated("kinsta", "kinsta", of_kinsta, start(kinsta)),
        simulated("siteico", "siteico", of_siteico, start(siteico)),
        simulated("sitepod-live", "sitepod", of_sitepod, start(|sites| sitepod(Dialect::Live, sites))),
        simulated("sitepod-seed", "sitepod", of_seed_sitepod, start(|sites| sitepod(Dialect::Seed, sites))),
        simulated("wispanel", "wispanel", of_wispanel, start(wispanel)),
        simulated("wpengine-live", "wpengine", of_live_wpengine, start(live_wpengine)),
        simulated("wpengine-seed", "wpengine", of_seed_wpengine, start(seed_wpengine)),
    ]
}

/// On an Engine that runs.
pub async fn docker(engine: &Engine) -> Subject {
    // What others pull and remove has its turn; this one stays.
    let (_, turn) = plain_image(engine).await;
    let image = engine.kept_image().await.expect("an image");
    drop(turn);
    let begin = move |_| {
        // Each group's sites have a namespace of their own.
        let namespace = format!("conformance-{}", uuid());
        let images = json!({"plain": image, "wordpress": WORDPRESS_IMAGE, "database": DATABASE_IMAGE});
        let settings = json!({"namespace": namespace, "images": images});
        async move { Behind { settings, secrets: json!({}), tls: Value::Null, host: Box::new(Nobody), sites: 0 } }
    };
    let hints =
        || json!({"sites.create": {"kind": "plain"}, "native": "web", "body of what takes long": {"kind": "wordpress"}});
    Subject { column: "docker", provider: "docker", basis: Basis::Engine, hints, start: start(begin) }
}

fn uuid() -> u64 {
    use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
    static LAST: AtomicU64 = AtomicU64::new(0);
    LAST.fetch_add(1, Relaxed)
}

fn start<F: Future<Output = Behind> + Send + 'static>(begin: impl Fn(usize) -> F + Send + Sync + 'static) -> Start {
    Box::new(move |sites| Box::pin(begin(sites)) as Pin<Box<dyn Future<Output = Behind> + Send>>)
}

/// A host that nobody can listen to, or make trouble at.
struct Nobody;

impl Host for Nobody {}

/// Bulk bytes of the sandbox; it ends with the group.
struct Bulk(#[expect(dead_code, reason = "it is there to be dropped")] Upstream);

impl Host for Bulk {}

async fn sandbox(sites: usize) -> Behind {
    let bulk = Upstream::start(|seen| match seen.method {
        http::Method::GET => Answer::Raw(200, Vec::new(), BYTES.into()),
        _ => Answer::Raw(201, Vec::new(), "".into()),
    })
    .await;
    // More than the gateway asks a provider for at once.
    let seeds = if sites == 0 { 0 } else { 600 + sites };
    let settings = json!({"work_seconds": 0, "seed_sites": seeds, "blob_url": bulk.url()});
    Behind { settings, secrets: json!({}), tls: Value::Null, host: Box::new(Bulk(bulk)), sites: seeds }
}

fn of_sandbox() -> Value {
    json!({
        "sites.create": {"wordpress_version": "6.6", "title": "Shop"}, "native": "title", "sites.create.region": "eu-central",
        "body of sites.create.kind.plain": {"kind": "plain"}, "body of sites.create.kind.static": {"kind": "static"},
        "billing.checkout": "starter", "name of what takes long": "stuck",
        "sites.create.template": "blog", "plugin": "query-monitor", "theme": "astra",
        "trouble credentials": "unauthenticated", "trouble limit": "rate-limited", "trouble down": "unavailable",
        "trouble nonsense": "internal",
    })
}

async fn behind<W: World>(world: W, sites: usize, settings: impl FnOnce(&str) -> Value, secrets: Value) -> Behind {
    let host = Simulator::start(world).await;
    Behind { settings: settings(&host.url()), secrets, tls: Value::Null, host: Box::new(host), sites }
}

fn names(sites: usize) -> impl Iterator<Item = String> {
    (1..=sites).map(|number| format!("there-before-{number}"))
}

async fn kinsta(origin: String, ca: String, sites: usize) -> Behind {
    let mut world = Kinsta::new();
    world.archive = Some(format!("{origin}/archive.zip?signature=a-key-to-it"));
    // An operation is looked at each second.
    (world.unknown_for, world.running_for) = (1, 0);
    names(sites).for_each(|name| world.add_site(&name));
    let settings = |url: &str| json!({"base_url": format!("{url}/v2"), "region": "us-central1", "download_origins": [origin]});
    let behind = behind(world, sites, settings, json!({"api_key": kinsta::KEY})).await;
    Behind { tls: json!({ "ca": ca }), ..behind }
}

fn of_kinsta() -> Value {
    json!({
        "sites.create": {"admin": admin()}, "body of sites.create.kind.plain": {"kind": "plain"}, "production": "Live",
        "sites.create.region": "europe-west3", "environments.create": {"name": "QA", "source": "Live"},
        "native": "siteLabels", "backups that can be downloaded": ".d-", "wordpress.core.update": "6.4.3", "theme": "astra",
    })
}

async fn siteico(sites: usize) -> Behind {
    let mut world = SiteIco::new(EMAIL, PASSWORD);
    names(sites).for_each(|name| world.add_site(&name));
    behind(world, sites, |url| json!({"url": url}), json!({"username": EMAIL, "password": PASSWORD})).await
}

fn of_siteico() -> Value {
    json!({"native": "webserver", "absent": "999"})
}

async fn sitepod(dialect: Dialect, sites: usize) -> Behind {
    let projects: Vec<String> = ["my-site".to_owned()].into_iter().chain(names(sites)).collect();
    let mut world = SitePod::new(dialect, EMAIL, PASSWORD);
    projects.iter().for_each(|name| world.add_project(name));
    let settings = |url: &str| match dialect {
        Dialect::Live => json!({"url": url}),
        Dialect::Seed => json!({"url": url, "dialect": "seed", "projects": projects}),
    };
    behind(world, projects.len(), settings, json!({"email": EMAIL, "password": PASSWORD})).await
}

/// Its seed has no call that tells of a project.
fn of_seed_sitepod() -> Value {
    let mut hints = of_sitepod();
    hints["native"] = Value::Null;
    hints
}

fn of_sitepod() -> Value {
    json!({
        "site": "my-site", "production": "prod", "domains.create": "shop.pods.example",
        "domains.create.environment": "second.pods.example", "native": "owner",
    })
}

async fn wispanel(sites: usize) -> Behind {
    let certificate = wispanel::certificate();
    let domains: Vec<String> = names(sites).map(|name| format!("{name}.example")).collect();
    let domains: Vec<&str> = domains.iter().map(String::as_str).collect();
    let mut world = WisPanel::new(&domains);
    world.lists = wispanel::Lists::Paged(3);
    world.limit = 1000;
    let host = Simulator::start_tls(world, &certificate).await;
    let (settings, secrets) = (json!({"base_url": host.url()}), json!({"api_key": wispanel::KEY}));
    Behind { settings, secrets, tls: json!({"fingerprint": certificate.fingerprint()}), host: Box::new(host), sites }
}

fn of_wispanel() -> Value {
    let least = |domain: &str| json!({"admin": admin(), "domain": domain, "options": {"add_domain": true}});
    let copy = json!({"domain": "copy.example", "options": {"add_domain": true}});
    json!({
        "sites.create": least("shop.example"), "sites.clone": copy, "native": "table_prefix",
        "wordpress.core.update": "6.9.4", "theme": "astra", "an active theme can be turned off": true,
    })
}

async fn live_wpengine(sites: usize) -> Behind {
    let mut world = LiveWpEngine::new();
    world.page = 2;
    names(sites).for_each(|name| world.add_site(&name));
    let secrets = json!({"username": wpengine::live::USERNAME, "password": wpengine::live::PASSWORD});
    behind(world, sites, |url| json!({"base_url": format!("{url}/v1")}), secrets).await
}

fn of_live_wpengine() -> Value {
    json!({
        "environments.create": {"name": "shopstaging", "kind": "staging", "source": "production"}, "native": "tags",
        "backups.restore.contents": {"files": true, "plugins": true, "themes": true},
    })
}

async fn seed_wpengine(sites: usize) -> Behind {
    let mut world = SeedWpEngine::new();
    world.page = 3;
    names(sites).for_each(|name| world.add_site(&name));
    let host = Simulator::start(world).await;
    let base = format!("{}/v1", host.url());
    host.world(|world| world.base.clone_from(&base));
    let settings = json!({"base_url": base, "dialect": "seed"});
    Behind { settings, secrets: json!({"api_key": wpengine::seed::KEY}), tls: Value::Null, host: Box::new(host), sites }
}

fn of_seed_wpengine() -> Value {
    json!({"native": "disk_usage", "sites.create.template": "blank"})
}
