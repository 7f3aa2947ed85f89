//! Hostile guests: whatever one does, its caller gets a problem, the operator the reason, and everybody else their answers.
//!
//! Each test asks `tests/guests/examples/hostile.rs` for one behaviour. Invariant: meanwhile the sandbox is read without a pause,
//! and every read must succeed in time. One gateway serves all of them, one after the other, and must outlive them all.

use http::Method;
use portico_tests::{Answer, Api, Gateway, Reply, Setup, Upstream, eventually};
use serde_json::{Value, json};
use std::{
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::{Mutex, MutexGuard},
    time::Instant,
};

/// What a sandbox read may take while a guest misbehaves. The machine is shared with the other tests.
const UNDISTURBED: Duration = Duration::from_secs(2);

/// What the gateway's memory may grow by meanwhile: all that one guest may have, and a little.
const MOST_GROWTH: u64 = 512 << 20;

/// Room for 100 MB in a guest's memory, so that the limit on answers is what is tested; and computing for longer than a read may
/// take, so that one guest can't hold up a read for all its time unseen.
const CONFIG: &str = "[host]\nmemory = 402653184\ncpu_ms = 2500\n\
    [[grants]]\norganization = \"*\"\nprovider = \"hostile\"\nnetworks = [\"127.0.0.1/32\"]\nhttp = true\n";

struct Stage {
    gateway: Arc<Gateway>,
    api: Api,
    _turn: MutexGuard<'static, ()>,
}

/// The gateway that all tests here share, and the turn to use it.
async fn stage() -> Stage {
    static SHARED: Mutex<Weak<Gateway>> = Mutex::const_new(Weak::new());
    static TURN: Mutex<()> = Mutex::const_new(());
    let gateway = {
        let mut shared = SHARED.lock().await;
        match shared.upgrade() {
            Some(gateway) => gateway,
            None => {
                let setup = Setup { config: CONFIG.to_owned(), guests: vec!["hostile", "panics"], ..Setup::default() };
                let gateway = Arc::new(Gateway::start_with(setup).await);
                *shared = Arc::downgrade(&gateway);
                gateway
            }
        }
    };
    // A client of its own: connections belong to the runtime of the test that opened them.
    let api = gateway.fresh_api();
    Stage { api, gateway, _turn: TURN.lock().await }
}

impl Stage {
    /// A connection that no other test uses.
    async fn connect(&self, id: &str, settings: Value) {
        let body = json!({"id": id, "provider": "hostile", "name": id, "settings": settings});
        let _ = self.api.post("/connections", &body).await.is(201);
    }

    /// Asks for a behaviour, and reads the sandbox all the while. The last read, too, must end, and in time.
    async fn ask(&self, connection: &str, behaviour: &str) -> Reply {
        let over = Arc::new(AtomicBool::new(false));
        let reads = tokio::spawn(read_sandbox(self.gateway.fresh_api(), Arc::clone(&over)));
        let path = format!("/sites/{connection}~{behaviour}");
        let (reply, grown) = self.gateway.growth(live(&self.api, &path)).await;
        over.store(true, Ordering::Release);
        if let Err(error) = reads.await {
            std::panic::resume_unwind(error.into_panic());
        }
        assert!(grown < MOST_GROWTH, "the gateway's memory grew by {} MiB", grown >> 20);
        reply
    }

    /// The behaviour ends in `provider_failed`, is counted under this reason, and the log has these words.
    async fn fails(&self, connection: &str, behaviour: &str, reason: &str, logged: &[&str]) -> Value {
        let labels = ["provider=\"hostile\"", &format!("reason=\"{reason}\"")];
        let before = self.gateway.metric("portico_guest_traps_total", &labels).await;
        let problem = self.ask(connection, behaviour).await.problem(502, "provider_failed");
        assert_eq!(problem["connection"], connection, "{problem}");
        assert_eq!(problem["provider"], "hostile", "{problem}");
        let after = self.gateway.metric("portico_guest_traps_total", &labels).await;
        assert!(after > before, "{behaviour} is not counted as {reason}");
        let words = [&[connection], logged].concat();
        self.gateway.logged(&words).await;
        // The connection itself goes on.
        let _ = live(&self.api, &format!("/sites/{connection}~kind")).await.is(200);
        problem
    }
}

async fn live(api: &Api, path: &str) -> Reply {
    api.send(Method::GET, path, &[("cache-control", "no-cache")], bytes::Bytes::new()).await
}

async fn read_sandbox(api: Api, over: Arc<AtomicBool>) {
    while !over.load(Ordering::Acquire) {
        let started = Instant::now();
        let _ = live(&api, "/sites?connection=sandbox").await.is(200);
        let took = started.elapsed();
        assert!(took < UNDISTURBED, "a read of the sandbox took {took:?} beside a hostile guest");
    }
}

#[tokio::test]
async fn spins_for_ever() {
    let stage = stage().await;
    stage.connect("spins", json!({})).await;
    stage.fails("spins", "spin", "cpu", &["computed"]).await;
}

#[tokio::test]
async fn grows_memory_without_end() {
    let stage = stage().await;
    stage.connect("grows", json!({})).await;
    stage.fails("grows", "grow", "memory", &["memory"]).await;
}

#[tokio::test]
async fn traps() {
    let stage = stage().await;
    stage.connect("traps", json!({})).await;
    stage.fails("traps", "trap", "unreachable", &["unreachable"]).await;
}

#[tokio::test]
async fn panics_with_a_secret_in_its_message() {
    let stage = stage().await;
    stage.connect("panicky", json!({})).await;
    let problem = stage.fails("panicky", "panic", "unreachable", &[]).await;
    assert!(!problem.to_string().contains("hunter2"), "the panic reached the client: {problem}");
    stage.gateway.logged(&["the password is hunter2"]).await;
}

#[tokio::test]
async fn panics_in_describe() {
    let stage = stage().await;
    let line = stage.gateway.logged(&["panics.wasm", "left out"]).await;
    assert!(line.contains("describe"), "{line}");
    stage.gateway.logged(&["describe panicked: hunter2"]).await;
    let providers = stage.api.get("/providers").await.is(200);
    assert!(!providers.text().contains("panics") && !providers.text().contains("hunter2"), "{}", providers.text());
    let body = json!({"id": "p", "provider": "panics", "name": "p"});
    stage.api.post("/connections", &body).await.problem(422, "invalid_input");
}

#[tokio::test]
async fn answers_100_megabytes() {
    let stage = stage().await;
    stage.connect("answers", json!({})).await;
    stage.fails("answers", "answer", "lift", &["lift"]).await;
}

#[tokio::test]
async fn answers_strings_that_lift_to_10_gigabytes() {
    let stage = stage().await;
    stage.connect("aliases", json!({})).await;
    stage.fails("aliases", "alias", "lift", &["lift"]).await;
}

#[tokio::test]
async fn recurses_to_stack_overflow() {
    let stage = stage().await;
    stage.connect("recurses", json!({})).await;
    stage.fails("recurses", "recurse", "stack", &["stack"]).await;
}

#[tokio::test]
async fn fails_to_lift_and_is_not_reused() {
    let stage = stage().await;
    stage.connect("malformed", json!({})).await;
    let calls = async || live(&stage.api, "/sites/malformed~kind").await.is(200).json()["native"]["calls"].clone();
    assert_eq!(calls().await, 1);
    assert_eq!(calls().await, 2, "a good instance is reused, else this test shows nothing");
    stage.ask("malformed", "malformed").await.problem(502, "provider_failed");
    assert_eq!(calls().await, 1, "an instance whose answer could not be read was used again");
}

#[tokio::test]
async fn floods_the_log() {
    let stage = stage().await;
    stage.connect("floods", json!({})).await;
    let before = stage.gateway.log().len();
    let _ = stage.ask("floods", "flood").await.is(200);
    eventually("the count of what was cut", async || {
        let log = stage.gateway.log();
        log[before..].lines().any(|line| line.contains("floods") && line.contains("99900")).then_some(())
    })
    .await;
    let written = stage.gateway.log().len() - before;
    assert!(written < 1 << 20, "{written} bytes of log for one call");
}

#[tokio::test]
async fn calls_the_upstream_10000_times() {
    let stage = stage().await;
    let upstream = Upstream::start(|_| Answer::Json(200, json!({}))).await;
    stage.connect("calls", json!({"url": upstream.url()})).await;
    stage.fails("calls", "calls", "limit", &["upstream_calls"]).await;
    let count = upstream.count(&Method::GET, "/often");
    assert!((1..=200).contains(&count), "{count} requests reached the upstream");
}

/// Ticks go by while a host takes its time, and none of them counts as computing: it ends by the number of its calls.
#[tokio::test]
async fn waiting_for_an_upstream_is_not_computing() {
    let config = CONFIG.replace("cpu_ms = 2500", "cpu_ms = 200\nupstream_calls = 60");
    let gateway = Gateway::start_with(Setup { config, guests: vec!["hostile"], ..Setup::default() }).await;
    let slow = || Answer::After(Duration::from_millis(15), Box::new(Answer::Json(200, json!({}))));
    let upstream = Upstream::start(move |_| slow()).await;
    gateway.connect("slow", "hostile", json!({"url": upstream.url()})).await;
    live(&gateway.api, "/sites/slow~calls").await.problem(502, "provider_failed");
    assert_eq!(upstream.count(&Method::GET, "/often"), 60);
    gateway.logged(&["slow", "upstream_calls"]).await;
}

#[tokio::test]
async fn smuggles_headers_and_paths() {
    let stage = stage().await;
    let upstream = Upstream::start(|_| Answer::Json(200, json!({}))).await;
    stage.connect("smuggles", json!({"url": upstream.url()})).await;
    let native = stage.ask("smuggles", "smuggle").await.is(200).json()["native"].clone();
    let attempts = native.as_object().expect("what the host said to each attempt");
    assert!(attempts.len() > 15, "{native}");
    let passed: Vec<&String> = attempts.iter().filter(|(_, said)| said.is_null()).map(|(attempt, _)| attempt).collect();
    assert!(passed.is_empty(), "let through: {passed:?}");
    assert_eq!(upstream.seen().len(), 0, "{:?}", upstream.seen());
}

#[tokio::test]
async fn names_an_upstream_that_it_was_not_granted() {
    let stage = stage().await;
    let upstream = Upstream::start(|_| Answer::Json(200, json!({}))).await;
    stage.connect("wanders", json!({"url": upstream.url()})).await;
    let reply = stage.ask("wanders", "ungranted").await;
    assert!(reply.text().contains("elsewhere"), "it isn't named: {}", reply.text());
    reply.problem(502, "upstream_not_granted");
    assert_eq!(upstream.seen().len(), 0);
}

#[tokio::test]
async fn wants_an_address_that_was_not_granted() {
    let stage = stage().await;
    let body = json!({"id": "lurks", "provider": "hostile", "name": "lurks", "settings": {"url": "http://127.0.0.2:9"}});
    let made = stage.api.post("/connections", &body).await;
    // Refused when it is made, or at the first call: in both cases with the lines that would grant it.
    let refused = if made.status == 201 { live(&stage.api, "/sites/lurks~kind").await } else { made };
    assert!(refused.status.is_client_error() || refused.status == 502, "{}", refused.text());
    let problem = refused.json();
    let detail = problem["detail"].as_str().unwrap_or_default();
    assert!(detail.contains("[[grants]]") && detail.contains("hostile"), "it doesn't say which grant is missing: {problem}");
}

#[tokio::test]
async fn keeps_a_secret_for_another_connection() {
    const SECRET: &str = "tangerine-4711";
    let stage = stage().await;
    let nothing = json!({"memory": null, "state": null});
    let read = async |api: &Api, connection: &str| {
        live(api, &format!("/sites/{connection}~read")).await.is(200).json()["native"].clone()
    };
    stage.connect("keeper", json!({"secret": SECRET})).await;
    let _ = live(&stage.api, "/sites/keeper~keep").await.is(200);
    assert_eq!(read(&stage.api, "keeper").await, json!({"memory": SECRET, "state": SECRET}), "it could keep nothing");
    // Another connection of the organization.
    stage.connect("thief", json!({})).await;
    assert_eq!(read(&stage.api, "thief").await, nothing);
    // A connection of the same id in another organization.
    let other = stage.api.with_token(&stage.gateway.new_token("other"));
    let body = json!({"id": "keeper", "provider": "hostile", "name": "keeper"});
    let _ = other.post("/connections", &body).await.is(201);
    assert_eq!(read(&other, "keeper").await, nothing);
    // Made again after it was deleted: never under the same id, and under the same name it is another.
    let _ = stage.api.delete("/connections/keeper").await.is(204);
    stage.api.post("/connections", &body).await.problem(409, "conflict");
    let again = json!({"id": "keeper-2", "provider": "hostile", "name": "keeper"});
    let _ = stage.api.post("/connections", &again).await.is(201);
    assert_eq!(read(&stage.api, "keeper-2").await, nothing);
}

#[tokio::test]
async fn a_changed_connection_gets_instances_of_its_own() {
    let stage = stage().await;
    stage.connect("changes", json!({"secret": "one"})).await;
    let _ = live(&stage.api, "/sites/changes~keep").await.is(200);
    let body = json!({"settings": {"secret": "two"}});
    let _ = stage.api.json(Method::PATCH, "/connections/changes", &[], &body).await.is(200);
    let native = live(&stage.api, "/sites/changes~read").await.is(200).json()["native"].clone();
    assert_eq!(native, json!({"memory": null, "state": "one"}), "memory of an older revision was used again");
}
