//! The contract 1.0.0: what was built against it once works on every later host.
//!
//! `tests/fixtures/contract-1.0.0.wasm` is the guest `whole` as it was built when the contract was frozen; the guest of the same
//! name is built from today's sources. Invariant: both are asked everything that the API has about a host, and answer all of it. The
//! fixture is never built again: a host that it doesn't load on, or that understands it otherwise, breaks every provider out there.

use crate::tenants::{Endpoint, Ids, endpoints};
use http::Method;
use portico_tests::{Answer, Gateway, Setup, Upstream, gateway::root};
use serde_json::{Value, json};
use std::path::Path;

/// What `Endpoint::send` uploads.
const BLOB: &[u8] = b"a blob";

async fn upstream() -> Upstream {
    Upstream::start(|seen| match (&seen.method, seen.path.split('?').next().unwrap_or_default()) {
        (&Method::GET, "/sites/1") => Answer::Json(200, json!({"name": format!("One {}", seen.path.contains("a=b%20c"))})),
        (&Method::GET, "/stream") => Answer::Bytes(64),
        (&Method::GET, "/files/b1") => Answer::Raw(200, Vec::new(), BLOB.into()),
        (&Method::POST, "/sites") => Answer::Json(201, json!({})),
        (&Method::PUT, _) => Answer::Raw(204, Vec::new(), "".into()),
        _ => Answer::Json(404, json!({})),
    })
    .await
}

/// A gateway with this component, and a connection to it.
async fn world(component: &Path, upstream: &Upstream) -> Gateway {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::copy(component, folder.path().join("whole.wasm")).expect("the component is there");
    let config = format!("[providers]\ndir = {:?}\n", folder.path());
    let gateway = Gateway::start_with(Setup { config, ..Setup::default() }).await;
    let connection = json!({
        "id": "whole", "provider": "whole", "name": "Whole", "settings": {"url": upstream.url()}, "secrets": {"api_key": "a-long-secret"},
    });
    let _ = gateway.api.post("/connections", &connection).await.is(201);
    gateway
}

fn ids() -> Ids {
    let hash = blake3::hash(BLOB).to_hex().to_string();
    let given =
        [("site", "whole~1"), ("environment", "staging"), ("backup", "b1"), ("domain", "a.example.com"), ("deployment", "d1")];
    let more = [("plan", "p1"), ("plugin", "akismet"), ("theme", "twentytwentyfive"), ("hash", hash.as_str())];
    given.into_iter().chain(more).map(|(name, id)| (name, id.to_owned())).collect()
}

async fn ask(gateway: &Gateway, endpoint: &Endpoint) {
    let mut path = endpoint.fill(&ids());
    if endpoint.path.starts_with("/billing") && endpoint.body("whole").is_none() {
        path += "?connection=whole";
    }
    let reply = endpoint.send(&gateway.api, &path, "whole").await;
    assert!(reply.status.is_success(), "{} {}: {} {}", endpoint.method, endpoint.path, reply.status, reply.text());
}

/// Everything that the API has about a host is asked of it.
async fn works(component: &Path) {
    let upstream = upstream().await;
    let gateway = world(component, &upstream).await;
    let mut asked = 0;
    for endpoint in endpoints() {
        if endpoint.path.starts_with("/sites") || endpoint.path.starts_with("/billing") {
            ask(&gateway, &endpoint).await;
            asked += 1;
        }
    }
    assert!(asked > 60, "only {asked} endpoints");
    let operations = gateway.api.walk("/operations?limit=100").await;
    let all: Vec<&Value> = operations.iter().flat_map(|page| page["data"].as_array().expect("operations")).collect();
    assert!(all.len() > 30 && all.iter().all(|one| one["status"] == "succeeded"), "{all:?}");
    // Every import did what it is for.
    let site = gateway.api.send(Method::GET, "/sites/whole~1", &[("cache-control", "no-cache")], Default::default()).await;
    assert_eq!(site.is(200).json()["name"], "One true true true true");
    let sent = upstream.seen();
    let created = sent.iter().find(|seen| seen.method == Method::POST).expect("a site was made");
    assert!(created.headers.contains_key("idempotency-key") && created.headers["authorization"] == "Bearer a-long-secret");
    assert!(sent.iter().any(|seen| seen.method == Method::PUT && seen.body == BLOB), "the blob went there");
}

#[tokio::test]
async fn what_was_built_when_the_contract_was_frozen_works() {
    works(&root().join("tests/fixtures/contract-1.0.0.wasm")).await;
}

#[tokio::test]
async fn a_component_of_today_works() {
    works(&root().join("target/components/whole.wasm")).await;
}

/// Every worker compiles and maps them; what makes one larger is most often the same code made anew for many types.
#[test]
fn a_providers_component_is_small() {
    const MOST: u64 = 400 * 1024;
    let folders = std::fs::read_dir(root().join("providers")).expect("the providers").flatten();
    let names = folders.map(|folder| folder.file_name().to_string_lossy().into_owned());
    let mut providers: Vec<String> = names.filter(|name| !matches!(name.as_str(), "sdk" | "build")).collect();
    providers.sort();
    assert!(providers.len() >= 7, "{providers:?}");
    for name in providers {
        let component = root().join("target/components").join(&name).with_extension("wasm");
        let size = component.metadata().expect("it is built").len();
        assert!(size < MOST, "{name}.wasm has {size} bytes, more than {MOST}");
    }
}
