//! The host by its public face, with guests that are written by hand.

mod bounds;
mod guest;

use super::*;
use crate::{
    egress::{Egress, EgressConfig},
    model::{Kind, Secrets, Site, TlsTrust},
    store::{SqliteStore, suite},
};
use guest::Guest;
use serde_json::json;
use std::time::Duration;

struct Fixture {
    host: Arc<Host>,
    provider: Arc<Provider>,
    metrics: Arc<Metrics>,
    store: Arc<SqliteStore>,
    folder: tempfile::TempDir,
}

fn small() -> Limits {
    Limits { instances: 4, memory: 4 << 20, cpu_ms: 100, wait_ms: 200, ..Limits::default() }
}

fn new_host(folder: &Path, limits: Limits, store: Arc<dyn Store>, metrics: Arc<Metrics>) -> Arc<Host> {
    let sealer = Arc::new(Sealer::new(&[7; 32]).unwrap());
    Host::new(limits, &folder.join("cache"), sealer, Compile::InProcess, store, metrics).unwrap()
}

async fn fixture_with(limits: Limits) -> Fixture {
    let folder = tempfile::tempdir().unwrap();
    let metrics = Arc::new(Metrics::new().unwrap());
    let store = Arc::new(SqliteStore::open(&folder.path().join("db").join("portico.db")).await.unwrap());
    let host = new_host(folder.path(), limits, store.clone(), metrics.clone());
    let provider = host.load("test.wasm", &Guest::default().build()).await.unwrap();
    Fixture { host, provider, metrics, store, folder }
}

async fn fixture() -> Fixture {
    fixture_with(small()).await
}

impl Fixture {
    /// A connection that is stored, configured and bound to no upstream.
    async fn connection(&self, slug: &str) -> Arc<Configured> {
        self.connection_of("org", slug).await
    }

    async fn connection_of(&self, organization: &str, slug: &str) -> Arc<Configured> {
        let known = self.store.organization_by_slug(&crate::model::Slug::parse(organization).unwrap()).await.unwrap();
        let organization = match known {
            Some(organization) => organization.id,
            None => suite::organization(&*self.store, organization).await,
        };
        let record = suite::connection_record(organization, slug);
        self.store.connection_insert(&record).await.unwrap();
        self.configured(&spec(record.id, organization, slug)).await
    }

    async fn configured(&self, spec: &ConnectionSpec) -> Arc<Configured> {
        let configuration = self.host.configure(&self.provider, spec).await.unwrap();
        let upstreams = upstreams(spec, &configuration, &self.metrics);
        self.host.configured(self.provider.clone(), spec.clone(), configuration, upstreams)
    }

    async fn get(&self, on: &Arc<Configured>, id: &str) -> Result<Site, Error> {
        let query = Query::SitesGet { site: id.to_owned() };
        match self.host.query(on, &query, &context()).await? {
            Answer::Site(site) => Ok(site),
            other => panic!("{other:?}"),
        }
    }

    fn traps(&self, reason: &str) -> u64 {
        self.metrics.guest_traps.with_label_values(&["test", reason]).get()
    }
}

fn spec(id: ConnectionId, organization: crate::model::OrganizationId, slug: &str) -> ConnectionSpec {
    ConnectionSpec {
        id,
        revision: 1,
        organization,
        organization_slug: "org".into(),
        slug: crate::model::Slug::parse(slug).unwrap(),
        provider: "test".into(),
        settings: json!({}),
        secrets: Secrets::default(),
        tls: TlsTrust::default(),
    }
}

fn upstreams(spec: &ConnectionSpec, configuration: &Configuration, metrics: &Arc<Metrics>) -> Arc<Upstreams> {
    let egress = Egress::new(EgressConfig::default(), Vec::new(), metrics.clone()).unwrap();
    egress.bind(spec, &[0; 32], &configuration.upstreams).unwrap()
}

fn context() -> CallContext {
    CallContext { deadline: Instant::now() + Duration::from_secs(30), caller: Caller::default(), operation: None }
}

struct NoIntent;

#[async_trait::async_trait]
impl Intent for NoIntent {
    async fn sent(&self, _digest: [u8; 32]) -> Result<(), Error> {
        Ok(())
    }
}

fn operation() -> CallContext {
    let operation = OperationContext { id: OperationId::generate(), idempotency_key: "key".into(), intent: Arc::new(NoIntent) };
    CallContext { operation: Some(operation), ..context() }
}

#[tokio::test]
async fn lists_and_gets_with_whole_ids() {
    let fixture = fixture().await;
    let on = fixture.connection("agency").await;
    let Answer::Sites(sites) = fixture.host.query(&on, &Query::SitesList, &context()).await.unwrap() else { panic!() };
    let ids: Vec<&str> = sites.iter().map(|site| site.id.as_str()).collect();
    assert_eq!(ids.len(), 10);
    assert_eq!((ids[0], ids[9]), ("agency~0", "agency~9"));
    assert_eq!(sites[3].native.as_ref().unwrap().get(), "{\"upstream\": \"says\", \"number\": 12345}");
    let error = fixture.get(&on, "e").await.unwrap_err();
    assert_eq!((error.kind, error.message.as_str()), (Kind::NotFound, "no such site"));
    assert_eq!((error.connection.as_deref(), error.provider.as_deref()), (Some("agency"), Some("test")));
}

/// The guest counts its calls in its memory, and names the site by the count.
#[tokio::test]
async fn an_instance_is_reused_by_its_connection_only() {
    let fixture = fixture().await;
    let (one, two) = (fixture.connection("one").await, fixture.connection("two").await);
    for count in ["1", "2", "3"] {
        assert_eq!(fixture.get(&one, "c").await.unwrap().name, count);
    }
    assert_eq!(fixture.get(&two, "c").await.unwrap().name, "1");
    // A guest's own error is an answer: the instance goes on.
    fixture.get(&one, "e").await.unwrap_err();
    assert_eq!(fixture.get(&one, "c").await.unwrap().name, "4");
    assert_eq!(fixture.metrics.instances_created.with_label_values(&["test"]).get(), 4, "two of them to configure");
}

#[tokio::test]
async fn a_new_revision_and_a_forgotten_connection_start_afresh() {
    let fixture = fixture().await;
    let on = fixture.connection("one").await;
    assert_eq!(fixture.get(&on, "c").await.unwrap().name, "1");
    assert_eq!(fixture.host.stats().resting, 1);
    fixture.host.forget(on.state.connection());
    assert_eq!(fixture.host.stats(), Stats { instances: 0, resting: 0 });
    assert_eq!(fixture.get(&on, "c").await.unwrap().name, "1");
    assert_eq!(fixture.host.stats().resting, 0, "nothing rests on a retired shelf");
}

#[tokio::test]
async fn whatever_ends_a_guest_is_counted_and_hidden_and_the_next_call_works() {
    let fixture = fixture().await;
    let on = fixture.connection("one").await;
    let table =
        [("s", "cpu"), ("m", "memory"), ("u", "unreachable"), ("r", "stack"), ("l", "lift"), ("h", "lift"), ("x", "limit")];
    for (id, reason) in table {
        let before = fixture.traps(reason);
        assert_eq!(fixture.get(&on, "c").await.unwrap().name, "1", "a fresh instance before {id}");
        let error = fixture.get(&on, id).await.unwrap_err();
        assert_eq!(error.kind, Kind::Trapped, "{id}: {error:?}");
        assert!(!error.message.contains("boom") && !error.message.contains("wasm"), "{}", error.message);
        assert_eq!(fixture.traps(reason) - before, 1, "{id}: {:?}", error.internal);
    }
    assert_eq!(fixture.host.stats(), Stats { instances: 0, resting: 0 });
}

#[tokio::test]
async fn a_flood_of_lines_is_cut_and_the_call_goes_on() {
    let fixture = fixture().await;
    let on = fixture.connection("one").await;
    fixture.get(&on, "f").await.unwrap();
    assert_eq!(fixture.metrics.guest_log_lines.with_label_values(&["test", "info"]).get(), 100);
}

#[tokio::test]
async fn a_spinning_guest_leaves_other_connections_alone() {
    let fixture = fixture_with(Limits { cpu_ms: 30_000, ..small() }).await;
    let (bad, good) = (fixture.connection("bad").await, fixture.connection("good").await);
    let spin = fixture.get(&bad, "s");
    let others = async {
        for _ in 0..20 {
            fixture.get(&good, "c").await.unwrap();
        }
    };
    // On one thread: the others get through only because the spinning guest yields.
    tokio::select! {
        biased;
        outcome = spin => panic!("it ended before the others: {outcome:?}"),
        () = others => {}
    }
}

#[tokio::test]
async fn a_deadline_ends_a_call() {
    let fixture = fixture_with(Limits { cpu_ms: 60_000, ..small() }).await;
    let on = fixture.connection("one").await;
    let context = CallContext { deadline: Instant::now() + Duration::from_millis(100), ..context() };
    let error = fixture.host.query(&on, &Query::SitesGet { site: "s".into() }, &context).await.unwrap_err();
    assert_eq!((error.kind, fixture.traps("wall")), (Kind::Trapped, 1));
}

#[tokio::test]
async fn without_a_free_slot_the_oldest_at_rest_goes_and_then_calls_are_refused() {
    let fixture = fixture_with(Limits { instances: 2, cpu_ms: 60_000, computing_per_organization: 4, ..small() }).await;
    let mut connections = Vec::new();
    for slug in ["a", "b", "c"] {
        connections.push(fixture.connection(slug).await);
    }
    for on in &connections {
        assert_eq!(fixture.get(on, "c").await.unwrap().name, "1");
    }
    assert_eq!(fixture.host.stats(), Stats { instances: 2, resting: 2 });
    assert_eq!(fixture.get(&connections[2], "c").await.unwrap().name, "2", "the newest was kept");
    let busy = async { tokio::join!(fixture.get(&connections[0], "s"), fixture.get(&connections[1], "s")) };
    let refused = async {
        while fixture.host.stats() != (Stats { instances: 2, resting: 0 }) {
            tokio::task::yield_now().await;
        }
        fixture.get(&connections[2], "c").await.unwrap_err()
    };
    let error = tokio::select! {
        _ = busy => panic!("the spinning guests ended"),
        error = refused => error,
    };
    assert_eq!((error.kind, error.retry_after), (Kind::Overloaded, Some(1)));
}

#[tokio::test]
async fn state_is_kept_for_the_connection_and_nobody_else() {
    let fixture = fixture().await;
    let (one, two) = (fixture.connection("one").await, fixture.connection("two").await);
    assert_eq!(fixture.get(&one, "g").await.unwrap_err().kind, Kind::NotFound);
    fixture.get(&one, "k").await.unwrap();
    fixture.get(&one, "g").await.unwrap();
    assert_eq!(fixture.get(&two, "g").await.unwrap_err().kind, Kind::NotFound);
    let stored = fixture.store.state_load(one.state.connection()).await.unwrap();
    assert_eq!(stored, [("key".to_owned(), b"0123456789".to_vec())]);
    // Another gateway on the same store sees it.
    let again = new_host(&fixture.folder.path().join("again"), small(), fixture.store.clone(), fixture.metrics.clone());
    let provider = again.load("test.wasm", &Guest::default().build()).await.unwrap();
    let spec = spec(one.state.connection(), crate::model::OrganizationId(uuid::Uuid::new_v4()), "one");
    let configuration = again.configure(&provider, &spec).await.unwrap();
    let upstreams = upstreams(&spec, &configuration, &fixture.metrics);
    let on = again.configured(provider, spec, configuration, upstreams);
    again.query(&on, &Query::SitesGet { site: "g".into() }, &context()).await.unwrap();
}

#[tokio::test]
async fn changing_calls_need_an_operation_and_pending_needs_a_way_to_follow() {
    let fixture = fixture().await;
    let on = fixture.connection("one").await;
    let start = Mutation::SitesStart { site: "1".into() };
    assert!(matches!(fixture.host.mutate(&on, &start, &operation()).await.unwrap(), Work::Done(_)));
    assert_eq!(fixture.host.mutate(&on, &start, &context()).await.unwrap_err().kind, Kind::Gateway);
    let stop = Mutation::SitesStop { site: "1".into() };
    let error = fixture.host.mutate(&on, &stop, &operation()).await.unwrap_err();
    assert!(error.message.contains("portico:provider/operations"), "{error}");
    assert_eq!(fixture.host.poll(&on, "h", &operation()).await.unwrap_err().kind, Kind::Unsupported);
    let backups = Query::BackupsList { site: "1".into(), environment: None };
    let error = fixture.host.query(&on, &backups, &context()).await.unwrap_err();
    assert_eq!((error.kind, error.field.as_deref()), (Kind::Unsupported, Some("backups.list")));
}

#[tokio::test]
async fn components_that_cannot_be_used_are_refused_with_the_reason() {
    let fixture = fixture().await;
    let other_world = "package test:guest; world guest { import wasi:clocks/now@0.2.0; }
        package wasi:clocks@0.2.0 { interface now { now: func(); } }";
    let other_module = "(module (import \"wasi:clocks/now@0.2.0\" \"now\" (func)))";
    let table: [(Vec<u8>, &str); 7] = [
        (b"text".to_vec(), "could not be compiled"),
        (wat::parse_str("(module)").unwrap(), "core module"),
        (wat::parse_str("(component)").unwrap(), "doesn't export portico:provider/provider@1.0.0"),
        (guest::alone(other_world, other_module), "wasi:clocks/now@0.2.0"),
        (Guest { name: "No Slug", ..Guest::default() }.build(), "No Slug"),
        (Guest { schema: "{\"type\": 3}", ..Guest::default() }.build(), "settings-schema"),
        (Guest { describe: "(loop $spin (br $spin))", ..Guest::default() }.build(), "describe failed (cpu)"),
    ];
    for (bytes, part) in table {
        let error = fixture.host.load("bad.wasm", &bytes).await.unwrap_err();
        assert!(error.message.starts_with("bad.wasm: ") && error.message.contains(part), "{}", error.message);
    }
    let ill_typed = "package portico:provider@1.0.0; interface provider { describe: func() -> string; configure: func(); }
        world guest { export provider; }";
    let module = "(module (memory (export \"memory\") 1)
        (func (export \"portico:provider/provider@1.0.0#describe\") (result i32) (i32.const 0))
        (func (export \"portico:provider/provider@1.0.0#configure\")))";
    let error = fixture.host.load("bad.wasm", &guest::alone(ill_typed, module)).await.unwrap_err();
    assert!(error.message.contains("its export portico:provider/provider doesn't fit"), "{}", error.message);
}

#[tokio::test]
async fn a_feature_without_its_interface_is_refused_when_a_connection_is_configured() {
    let fixture = fixture().await;
    for (feature, part) in [("backups.list", "portico:provider/backups@1.0.0"), ("sites.fly", "sites.fly")] {
        let bytes = Guest { features: &["sites.list", feature], ..Guest::default() }.build();
        let provider = fixture.host.load("test.wasm", &bytes).await.unwrap();
        let spec = spec(ConnectionId(uuid::Uuid::new_v4()), crate::model::OrganizationId(uuid::Uuid::new_v4()), "one");
        let error = fixture.host.configure(&provider, &spec).await.unwrap_err();
        assert!(error.message.contains(part), "{}", error.message);
    }
}

#[tokio::test]
async fn settings_are_checked_against_the_schema_before_the_guest_sees_them() {
    let fixture = fixture().await;
    let schema = r#"{"type":"object","properties":{"latency":{"type":"integer"}},"additionalProperties":false}"#;
    let provider = fixture.host.load("test.wasm", &Guest { schema, ..Guest::default() }.build()).await.unwrap();
    let mut spec = spec(ConnectionId(uuid::Uuid::new_v4()), crate::model::OrganizationId(uuid::Uuid::new_v4()), "one");
    spec.settings = json!({"latency": "hunter22"});
    let error = fixture.host.configure(&provider, &spec).await.unwrap_err();
    assert_eq!((error.kind, error.field.as_deref()), (Kind::InvalidInput, Some("settings.latency")));
    assert!(!error.message.contains("hunter22"), "{}", error.message);
    assert_eq!(provider.check_site_options(&json!({})), Ok(()));
    assert_eq!(provider.check_site_options(&json!({"a": 1})).unwrap_err().field.as_deref(), Some("options"));
}

#[tokio::test]
async fn a_folder_is_loaded_file_by_file() {
    let fixture = fixture().await;
    let folder = fixture.folder.path().join("providers");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("a.wasm"), "text").unwrap();
    std::fs::write(folder.join("b.wasm"), Guest::default().build()).unwrap();
    std::fs::write(folder.join("README.md"), "not a component").unwrap();
    let loaded = fixture.host.load_folder(&folder).await.unwrap();
    let names: Vec<_> = loaded.iter().map(|(path, provider)| (path.file_name().unwrap(), provider.is_ok())).collect();
    assert_eq!(names, [(std::ffi::OsStr::new("a.wasm"), false), (std::ffi::OsStr::new("b.wasm"), true)]);
}

#[tokio::test]
async fn inspecting_tells_what_a_component_is() {
    let bytes = Guest::default().build();
    let inspection = inspect("test.wasm", &bytes).await.unwrap();
    assert_eq!((inspection.size, inspection.description.name.as_str()), (bytes.len(), "test"));
    assert!(inspection.interfaces.exports.contains(&"portico:provider/sites@1.0.0".to_owned()), "{inspection:?}");
    assert!(inspection.interfaces.imports.contains(&"portico:provider/state@1.0.0".to_owned()), "{inspection:?}");
}
