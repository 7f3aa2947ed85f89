//! What a call into a component costs: the sandbox lists 10 sites, by a warm instance and by a fresh one each time.
//!
//! Through the public face of the host, as dispatch calls it: conversion to the model included, HTTP and caches not. Invariant:
//! both measure the same call; only `reuse_calls` differs.
#![allow(clippy::expect_used, missing_docs, reason = "a benchmark that can't go on panics")]

use criterion::{Criterion, criterion_group, criterion_main};
use portico::{
    egress::{Egress, EgressConfig},
    host::{CallContext, Compile, Configured, Host, Limits},
    metrics::Metrics,
    model::{ConnectionId, ConnectionSpec, OrganizationId, Query, Secrets, Slug, TlsTrust},
    policy::Caller,
    seal::{MasterKey, Sealer},
    store::SqliteStore,
};
use std::{hint::black_box, path::Path, sync::Arc, time::Duration};
use tokio::{runtime::Runtime, time::Instant};
use uuid::Uuid;

struct Stage {
    runtime: Runtime,
    host: Arc<Host>,
    configured: Arc<Configured>,
    _data: tempfile::TempDir,
}

fn stage(reuse_calls: u32) -> Stage {
    let runtime = Runtime::new().expect("a runtime");
    let data = tempfile::tempdir().expect("a data folder");
    let (host, configured) = runtime.block_on(prepare(data.path(), reuse_calls));
    Stage { runtime, host, configured, _data: data }
}

async fn prepare(data: &Path, reuse_calls: u32) -> (Arc<Host>, Arc<Configured>) {
    let component = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/components/sandbox.wasm");
    let bytes = std::fs::read(component).expect("the sandbox isn't built: run `make components`");
    let metrics = Arc::new(Metrics::new().expect("metrics"));
    let key = MasterKey::generate().expect("a key");
    let sealer = Arc::new(Sealer::with_ring(&[key]).expect("a sealer"));
    let store = Arc::new(SqliteStore::open(&data.join("portico.db")).await.expect("a store"));
    let limits = Limits { reuse_calls, ..Limits::default() };
    let cache = data.join("components");
    let host = Host::new(limits, &cache, sealer, Compile::InProcess, store, Arc::clone(&metrics)).expect("a host");
    let egress = Egress::new(EgressConfig::default(), Vec::new(), metrics).expect("egress");
    let provider = host.load("sandbox", &bytes).await.expect("the sandbox loads");
    let connection = connection();
    let configuration = host.configure(&provider, &connection).await.expect("the sandbox is configured");
    let upstreams = egress.bind(&connection, provider.hash(), &configuration.upstreams).expect("no upstreams");
    let configured = host.configured(provider, connection, configuration, upstreams);
    (host, configured)
}

fn connection() -> ConnectionSpec {
    ConnectionSpec {
        id: ConnectionId(Uuid::now_v7()),
        revision: 1,
        organization: OrganizationId(Uuid::now_v7()),
        organization_slug: "bench".into(),
        slug: Slug::parse("bench").expect("a slug"),
        provider: "sandbox".into(),
        settings: serde_json::json!({"seed_sites": 10}),
        secrets: Secrets::default(),
        tls: TlsTrust::default(),
    }
}

fn calls(criterion: &mut Criterion) {
    for (name, reuse_calls) in [("warm", 1_000_000), ("fresh", 1)] {
        let stage = stage(reuse_calls);
        criterion.bench_function(&format!("sandbox sites.list, 10 rows, {name}"), |bencher| {
            bencher.to_async(&stage.runtime).iter(|| async {
                let context = CallContext {
                    deadline: Instant::now() + Duration::from_secs(10),
                    caller: Caller::default(),
                    operation: None,
                };
                let answer = stage.host.query(&stage.configured, &Query::SitesList, &context).await.expect("ten sites");
                assert_eq!(answer.sites().len(), 10);
                black_box(answer)
            });
        });
    }
}

criterion_group!(benches, calls);
criterion_main!(benches);
