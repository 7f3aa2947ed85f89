//! More requests than the gateway can answer in time: who is refused, with which words, and who is served all the same.
//!
//! Nothing here is timed: the flood goes on until somebody is refused. Invariant: health, operations and what is kept are answered
//! throughout, a refusal is as whole as any other answer, and when the flood is over nobody is refused any more.

use portico_tests::{Api, Gateway, Reply, Setup, eventually, wait_until};
use serde_json::json;
use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    thread::JoinHandle,
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// So many that each waits far longer than the queue may hold it up.
const CONNECTIONS: usize = 200;

/// Connections that ask as fast as they are answered, on a thread of their own, until this is dropped.
struct Flood {
    over: Arc<AtomicBool>,
    refused: Arc<AtomicU64>,
    served: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
}

impl Flood {
    fn of(address: SocketAddr, token: &str) -> Self {
        let request = format!(
            "GET /api/v1/sites?connection=ten HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {token}\r\ncache-control: no-cache\r\n\r\n"
        );
        let (over, refused, served) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default(), Arc::<AtomicU64>::default());
        let counts = (Arc::clone(&over), Arc::clone(&refused), Arc::clone(&served));
        let ask = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            let (over, refused, served) = counts;
            let one = || keep_asking(address, request.clone(), Arc::clone(&over), Arc::clone(&refused), Arc::clone(&served));
            runtime.block_on(async { futures_util::future::join_all((0..CONNECTIONS).map(|_| one())).await });
        };
        Self { over, refused, served, thread: Some(std::thread::spawn(ask)) }
    }

    fn end(mut self) {
        self.over.store(true, Relaxed);
        self.thread.take().expect("it runs").join().expect("the flood ends well");
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        self.over.store(true, Relaxed);
    }
}

async fn keep_asking(
    address: SocketAddr,
    request: String,
    over: Arc<AtomicBool>,
    refused: Arc<AtomicU64>,
    served: Arc<AtomicU64>,
) {
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    while !over.load(Relaxed) {
        stream.write_all(request.as_bytes()).await.expect("the gateway listens");
        match status(&mut stream).await.as_str() {
            "200" => served.fetch_add(1, Relaxed),
            "503" => refused.fetch_add(1, Relaxed),
            other => panic!("answered {other}"),
        };
    }
}

/// Reads an answer to its end.
async fn status(stream: &mut TcpStream) -> String {
    let mut read = Vec::new();
    loop {
        let more = stream.read_buf(&mut read).await.expect("an answer");
        assert!(more > 0, "the gateway broke the connection off: {}", String::from_utf8_lossy(&read));
        let Some(end) = memchr::memmem::find(&read, b"\r\n\r\n") else { continue };
        let head = String::from_utf8_lossy(&read[..end]).to_ascii_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length:")).expect("a length");
        if read.len() >= end + 4 + length.trim().parse::<usize>().expect("a number") {
            return head.split(' ').nth(1).expect("a status").to_owned();
        }
    }
}

#[tokio::test]
async fn a_flood_is_refused_in_part_and_what_matters_is_served() {
    flooded("", !portico_tests::gateway::stack_alone()).await;
}

/// Where other origins may call there is no short way of reads; refusals come before the stack all the same.
#[tokio::test]
async fn a_flood_is_refused_where_other_origins_may_call() {
    flooded("[cors]\norigins = [\"https://app.example\"]\n", false).await;
}

async fn flooded(more: &str, spares_kept: bool) {
    // The flood shares the processors with the gateway, so a short wait has to be enough.
    let config = format!("[limits]\nqueue_ms = 1\n{more}");
    let gateway = Gateway::start_with(Setup { config, ..Setup::default() }).await;
    gateway.connect("ten", "sandbox", json!({"seed_sites": 10, "cache": {"sites.get": 3600}})).await;
    let started = gateway.api.post("/sites", &json!({"connection": "sandbox", "name": "Shop"})).await.is(201).json();
    let operation = format!("/operations/{}", started["id"].as_str().expect("an id"));
    let kept = "/sites/ten~seed-00001";
    let _ = gateway.api.get(kept).await.is(200);
    let token = std::fs::read_to_string(gateway.data().join("dev-token")).expect("the token");
    let flood = Flood::of(gateway.api_address, token.trim());
    // One of many that ask beside the flood meets a refusal, and sees all of it.
    let refusal = wait_until("a refusal", Duration::from_secs(60), async || {
        let _ = gateway.admin.get("/livez").await.is(200);
        let _ = gateway.api.get(&operation).await.is(200);
        refused(&gateway.api).await
    })
    .await;
    assert!(flood.served.load(Relaxed) > 0, "nobody was served");
    // While many are refused, these aren't.
    let so_many = flood.refused.load(Relaxed) + 100;
    let mut looks = 0;
    wait_until("the flood to be refused", Duration::from_secs(60), async || {
        let _ = gateway.admin.get("/livez").await.is(200);
        let _ = gateway.api.get(&operation).await.is(200);
        if spares_kept {
            let _ = gateway.api.get(kept).await.is(200);
        }
        looks += 1;
        (looks >= 5 && flood.refused.load(Relaxed) > so_many).then_some(())
    })
    .await;
    flood.end();
    is_whole(&refusal);
    let varies = refusal.header("vary").is_some_and(|names| names.contains("Origin"));
    assert_eq!(varies, !more.is_empty() || portico_tests::gateway::stack_alone(), "{refusal:?}");
    let counted = gateway.metric("portico_requests_refused_total", &["policy=\"queue\""]).await;
    assert!(counted > 100.0, "{counted}");
    // Before a route was looked for.
    let unmatched = gateway.metric("portico_requests_total", &["route=\"unmatched\"", "status=\"503\""]).await;
    assert!(unmatched > 100.0, "{unmatched} of {counted}");
    // Then everybody is answered again.
    eventually("the calm after it", async || refused(&gateway.api).await.is_none().then_some(())).await;
    for _ in 0..20 {
        let _ = gateway
            .api
            .send(http::Method::GET, "/sites?connection=ten", &[("cache-control", "no-cache")], "".into())
            .await
            .is(200);
    }
}

async fn refused(api: &Api) -> Option<Reply> {
    let headers = [("cache-control", "no-cache")];
    let reply = api.send(http::Method::GET, "/sites?connection=ten", &headers, "".into()).await;
    (reply.status == 503).then_some(reply)
}

fn is_whole(refusal: &Reply) {
    for name in ["x-request-id", "x-ratelimit-limit", "x-ratelimit-remaining", "ratelimit", "ratelimit-policy"] {
        assert!(refusal.header(name).is_some(), "no {name}: {refusal:?}");
    }
    let wait: u64 = refusal.header("retry-after").and_then(|value| value.parse().ok()).expect("when to come back");
    assert!((1..=60).contains(&wait), "{refusal:?}");
    let problem = refusal.clone().problem(503, "overloaded");
    assert_eq!((&problem["retry_after"], &problem["instance"]), (&json!(wait), &json!("/api/v1/sites")), "{problem}");
    assert_eq!(problem["request_id"].as_str(), refusal.header("x-request-id"), "{problem}");
    assert!(problem["detail"].as_str().is_some_and(|detail| detail.contains("more requests come")), "{problem}");
}
