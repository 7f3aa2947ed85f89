//! A real Prometheus scrapes the admin listener while traffic runs, and promtool finds nothing to say.
//!
//! Invariant: no label value comes from a tenant or a path, so the number of series doesn't grow with what clients send.

use bytes::Bytes;
use http::Method;
use portico_tests::{Answer, Api, Gateway, Setup, Upstream, eventually, wait_until};
use serde_json::{Value, json};
use std::{
    io::Write as _,
    net::{SocketAddr, TcpListener},
    ops::Range,
    process::{Child, Command, Stdio},
    time::Duration,
};

/// In every text that the tenant chooses below.
const MARK: &str = "zebra";

struct Prometheus {
    child: Child,
    api: Api,
    folder: tempfile::TempDir,
}

impl Prometheus {
    fn start(target: SocketAddr) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let config = json!({
            "global": {"scrape_interval": "250ms", "scrape_timeout": "250ms"},
            "scrape_configs": [{"job_name": "portico", "static_configs": [{"targets": [target.to_string()]}]}],
        });
        // JSON is YAML.
        std::fs::write(folder.path().join("prometheus.yml"), config.to_string()).expect("its configuration");
        let address = free_address();
        let log = std::fs::File::create(folder.path().join("log")).expect("its log");
        let mut command = Command::new("prometheus");
        command.arg(format!("--config.file={}", folder.path().join("prometheus.yml").display()));
        command.arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()));
        command.arg(format!("--web.listen-address={address}"));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let child = command.spawn().expect("prometheus isn't installed: run `scripts/bootstrap test`");
        Self { child, api: Api::new(address, None), folder }
    }

    /// The value of a query with one result.
    async fn value(&self, query: &str) -> Option<f64> {
        let path = format!("/api/v1/query?query={query}");
        let reply = self.api.try_send(Method::GET, &path, &[], Bytes::new()).await.ok()?;
        // It answers in plain words until it has started.
        let answer: Value = serde_json::from_slice(&reply.body).ok()?;
        answer.pointer("/data/result/0/value/1")?.as_str()?.parse().ok()
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        // It has nothing that must be kept.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Prometheus doesn't tell which port it got, so it is given one that was free just now.
fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port")
}

/// Requests with a different tenant-chosen text for each number.
async fn traffic(gateway: &Gateway, numbers: Range<usize>) {
    let api = &gateway.api;
    for n in numbers {
        let body = json!({"connection": "sandbox", "name": format!("{MARK} {n}")});
        let _ = api.json(Method::POST, "/sites", &[("prefer", "respond-async")], &body).await.is(202);
        let _ = api.get(&format!("/sites/sandbox~{MARK}-{n}")).await.is(404);
        let _ = api.get(&format!("/{MARK}/{n}")).await.is(404);
        let _ = api.get(&format!("/sites?name={MARK}{n}&connection={MARK}{n}")).await;
        let method = Method::from_bytes(format!("{}{n}", MARK.to_uppercase()).as_bytes()).expect("a method");
        let _ = api.send(method, "/sites", &[("user-agent", MARK)], Bytes::new()).await;
        let stranger = api.with_token(&format!("ptk_{MARK}{n}"));
        let _ = stranger.get("/sites").await.is(401);
    }
}

async fn metrics(gateway: &Gateway) -> String {
    let reply = gateway.admin.get("/metrics").await.is(200);
    String::from_utf8(reply.body.to_vec()).expect("metrics are text")
}

fn series(metrics: &str) -> usize {
    metrics.lines().filter(|line| !line.starts_with('#')).count()
}

#[tokio::test]
async fn scrapes_while_traffic_runs() {
    let gateway = Gateway::start_with(Setup { guests: vec!["hostile"], ..Setup::default() }).await;
    gateway.connect(MARK, "hostile", json!({})).await;
    let prometheus = Prometheus::start(gateway.admin_address);
    let requests = async || prometheus.value("sum(portico_requests_total)").await;
    let before = wait_until("the first scrape", Duration::from_secs(60), async || requests().await).await;
    traffic(&gateway, 0..20).await;
    let _ = gateway.api.get(&format!("/sites/{MARK}~trap")).await.is(502);
    wait_until("a scrape that saw the traffic", Duration::from_secs(30), async || {
        requests().await.filter(|now| *now >= before + 120.0)
    })
    .await;
    assert_eq!(prometheus.value("up").await, Some(1.0), "{}", prometheus.log());
    // That scrape may have come before the trap.
    let traps = async || prometheus.value("sum(portico_guest_traps_total)").await;
    let traps = wait_until("a scrape that saw the trap", Duration::from_secs(30), traps).await;
    assert!((traps - 1.0).abs() < f64::EPSILON, "{traps} traps");
    for metric in ["portico_request_seconds_count", "portico_guest_calls_total", "portico_operations_finished_total"] {
        let sum = format!("sum({metric})");
        wait_until(metric, Duration::from_secs(30), async || prometheus.value(&sum).await.filter(|sum| *sum > 0.0)).await;
    }
}

#[tokio::test]
async fn promtool_has_nothing_to_say_and_labels_are_bounded() {
    let gateway = Gateway::start().await;
    gateway.connect(MARK, "sandbox", json!({})).await;
    traffic(&gateway, 0..10).await;
    let few = metrics(&gateway).await;
    traffic(&gateway, 10..50).await;
    let many = metrics(&gateway).await;
    promtool(&many);
    assert!(!many.to_lowercase().contains(MARK), "a tenant's text is a label: {many}");
    let grown = series(&many).saturating_sub(series(&few));
    // An outcome that happened for the first time makes a histogram of its own; another request of the same kind must not.
    assert!(grown < 40, "{grown} more series for 240 more requests: {many}");
}

/// The values of all labels.
fn label_values(metrics: &str) -> impl Iterator<Item = &str> {
    let series = metrics.lines().filter(|line| !line.starts_with('#'));
    series.flat_map(|line| line.split('"').skip(1).step_by(2))
}

/// Reads and changes of sites on the host `MARK`, of which some are there, and work on another connection that goes on.
async fn work(gateway: &Gateway) {
    let api = &gateway.api;
    for n in 0..3 {
        let _ = api.get(&format!("/sites/{MARK}~{MARK}-{n}")).await.is(200);
    }
    let _ = api.get(&format!("/sites/{MARK}~{MARK}-gone")).await.is(404);
    let _ = api.post(&format!("/sites/{MARK}~{MARK}-0/start"), &json!({})).await.is(200);
    let _ = api.post(&format!("/sites/{MARK}~{MARK}-gone/stop"), &json!({})).await.is(404);
    gateway.connect(&format!("{MARK}-slow"), "sandbox", json!({"work_seconds": 3600})).await;
    let body = json!({"connection": format!("{MARK}-slow"), "name": MARK});
    let _ = api.json(Method::POST, "/sites", &[("prefer", "respond-async")], &body).await.is(202);
}

#[tokio::test]
async fn what_is_asked_of_a_host_is_counted_and_the_host_is_not_named() {
    let gone = |path: &str| path.contains("-gone");
    let upstream = Upstream::start(move |seen| Answer::Json(if gone(&seen.path) { 404 } else { 200 }, json!({}))).await;
    let gateway = Gateway::start_with(Setup { guests: vec!["courteous"], ..Setup::default() }).await;
    gateway.connect(MARK, "courteous", json!({"url": upstream.url()})).await;
    work(&gateway).await;
    let (missed, answered): (Vec<_>, Vec<_>) = upstream.seen().into_iter().partition(|seen| gone(&seen.path));
    assert!(missed.len() == 2 && answered.len() >= 4, "{missed:?} {answered:?}");
    let host = "provider=\"courteous\"";
    for (name, labels, wanted) in [
        ("portico_upstream_calls_total", [host, "outcome=\"2xx\""], answered.len()),
        ("portico_upstream_calls_total", [host, "outcome=\"4xx\""], missed.len()),
        ("portico_instances", [host, "state=\"busy\""], 0),
        ("portico_operations_finished_total", ["action=\"sites.start\"", "status=\"succeeded\""], 1),
        ("portico_operations_finished_total", ["action=\"sites.stop\"", "status=\"failed\""], 1),
        ("portico_operations", ["", "status=\"running\""], 1),
        ("portico_operations", ["", "status=\"queued\""], 0),
    ] {
        let what = format!("{name} {labels:?} to be {wanted}");
        eventually(&what, async || (gateway.metric(name, &labels).await == wanted as f64).then_some(())).await;
    }
    assert!(gateway.metric("portico_instances_created_total", &[host]).await >= 1.0);
    assert!(gateway.metric("portico_upstream_seconds_count", &[host]).await >= 6.0);
    let text = metrics(&gateway).await;
    for series in ["portico_instances{provider=\"courteous\",state=\"idle\"}", "portico_operations{status=\"queued\"}"] {
        assert!(text.contains(series), "no {series} in {text}");
    }
    let port = upstream.address().port().to_string();
    for value in label_values(&text) {
        let told = [MARK, port.as_str(), "127.0.0.1"].into_iter().find(|word| value.to_lowercase().contains(*word));
        assert_eq!(told, None, "the label value {value:?} tells of a tenant or its host");
    }
}

fn promtool(metrics: &str) {
    let mut command = Command::new("promtool");
    command.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("promtool isn't installed: run `scripts/bootstrap test`");
    child.stdin.take().expect("its input").write_all(metrics.as_bytes()).expect("it reads");
    let output = child.wait_with_output().expect("it ends");
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success() && said.is_empty(), "{}", String::from_utf8_lossy(&said));
}
