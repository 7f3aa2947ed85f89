//! Bulk bytes: what is sent arrives, byte for byte, and nothing of it is held; what is wrong is never kept and never silent.
//!
//! Each test has a gateway of its own, with the guest `bulky` and an upstream that does what a file's name says.

mod client;
mod host;

use client::{Client, Got, Sends, Then};
use host::{Host, Takes, hash};
use portico_tests::{Gateway, Setup, eventually};
use serde_json::json;
use std::time::Duration;
use tokio::time::Instant;

const SECRET: &str = "a-secret-of-the-upstream";
const LARGE: u64 = 300 << 20;
const SHORT_IDLE: &str = "[egress]\ntransfer_idle_ms = 300\n";

struct World {
    gateway: Gateway,
    host: Host,
    client: Client,
}

impl World {
    async fn new(takes: Takes, config: &str) -> Self {
        let setup = Setup { config: config.to_owned(), guests: vec!["bulky"], ..Setup::default() };
        let (gateway, host) = (Gateway::start_with(setup).await, Host::start(takes).await);
        let body = json!({
            "id": "bulk", "provider": "bulky", "name": "bulk", "settings": {"url": host.url()}, "secrets": {"api_key": SECRET},
        });
        let _ = gateway.api.post("/connections", &body).await.is(201);
        let token = std::fs::read_to_string(gateway.data().join("dev-token")).expect("the token").trim().to_owned();
        let client = Client { address: gateway.api_address, token };
        Self { gateway, host, client }
    }

    async fn download(&self, backup: &str) -> Got {
        self.client.get(&format!("/sites/bulk~s/backups/{backup}/download")).await
    }

    async fn upload(&self, size: u64) -> Got {
        self.client.put(&blob(size), "", Sends::whole(size)).await
    }

    async fn bytes(&self, direction: &str) -> f64 {
        let labels = ["provider=\"bulky\"", &format!("direction=\"{direction}\"")];
        self.gateway.metric("portico_transfer_bytes_total", &labels).await
    }
}

fn blob(size: u64) -> String {
    named(&hash(size).to_hex())
}

fn named(hash: &str) -> String {
    format!("/sites/bulk~s/deployments/plans/p/blobs/{hash}")
}

#[tokio::test]
async fn what_is_sent_arrives() {
    let world = World::new(Takes::All, "").await;
    for name in ["whole-0", "whole-1", "whole-5000000", "chunked-0", "chunked-5000000"] {
        let size: u64 = name.split('-').nth(1).and_then(|text| text.parse().ok()).expect("a size");
        let got = match name.starts_with("chunked") {
            // Without a length, the end of the connection ends the reading.
            true => world.client.get(&format!("/sites/bulk~s/backups/{name}/download")).await,
            false => world.download(name).await,
        };
        assert_eq!((got.status, got.is_whole, got.received), (200, true, size), "{name}: {got:?}");
        assert_eq!(got.hash, hash(size), "{name}");
    }
    for size in [0, 1, 100_000, 5_000_000] {
        let got = world.upload(size).await;
        assert_eq!(got.status, 201, "{got:?}");
        let view: serde_json::Value = serde_json::from_str(&got.text).expect("JSON");
        assert_eq!(view, json!({"plan": "p", "hash": hash(size).to_hex().as_str(), "size": size}));
        let came = world.host.saw("the blob", |came| came.is_whole && came.received == size && came.hash.is_some()).await;
        assert_eq!(came.hash, Some(hash(size)));
        assert_eq!(host::header(&came.head, "content-length"), Some(size.to_string().as_str()));
    }
    // Also under a digest that is right: this is the SHA-256 of nothing.
    let digest = "content-digest: sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:\r\nidempotency-key: k\r\n";
    assert_eq!(world.client.put(&blob(0), digest, Sends::whole(0)).await.status, 201);
    assert!(world.bytes("download").await >= 10_000_001.0);
    assert!(world.bytes("upload").await >= 5_100_001.0);
    let came = world.host.came();
    let credential = format!("Bearer {SECRET}");
    assert!(came.iter().all(|came| host::header(&came.head, "authorization") == Some(&credential)), "{came:?}");
}

#[tokio::test]
async fn a_download_is_an_attachment_and_nothing_else() {
    let world = World::new(Takes::All, "").await;
    let got = world.download("whole-10").await;
    for (name, expected) in [
        ("content-type", Some("application/octet-stream")),
        (
            "content-disposition",
            Some("attachment; filename=\"B_ro _whole-10_.tar.gz\"; filename*=UTF-8''B%C3%BCro%20_whole-10_.tar.gz"),
        ),
        ("x-content-type-options", Some("nosniff")),
        ("cache-control", Some("no-store")),
        ("content-length", Some("10")),
        ("etag", Some("\"1\"")),
        ("set-cookie", None),
        ("x-inside", None),
    ] {
        assert_eq!(got.header(name), expected, "{name}: {}", got.head);
    }
    // It is all of a site: who took it stands in the audit log.
    let told = world.gateway.api.get("/audit?action=backups.download").await.is(200).json();
    let rows: Vec<_> = told["data"].as_array().expect("rows").iter().map(|row| (&row["target"], &row["outcome"])).collect();
    assert_eq!(rows, [(&json!("/sites/bulk~s/backups/whole-10/download"), &json!("done"))]);
    let got = world.download("nameless").await;
    assert_eq!(got.header("content-disposition"), Some("attachment; filename=\"backup-nameless\""));
}

async fn stays_small(size: u64) {
    let world = World::new(Takes::All, "").await;
    // The first of each kind brings code and buffers into memory.
    assert!(world.download("whole-1000000").await.is_whole);
    assert_eq!(world.upload(1_000_000).await.status, 201);
    let started = Instant::now();
    let (got, grown) = world.gateway.growth(world.download(&format!("whole-{size}"))).await;
    eprintln!("download of {} MiB: {} KiB more, {:?}", size >> 20, grown >> 10, started.elapsed());
    assert_eq!((got.is_whole, got.received, got.hash), (true, size, hash(size)));
    assert!(grown < 20 << 20, "a download of {size} bytes took {grown} bytes of memory");
    let path = blob(size);
    let started = Instant::now();
    let (got, grown) = world.gateway.growth(world.client.put(&path, "", Sends::whole(size))).await;
    eprintln!("upload of {} MiB: {} KiB more, {:?}", size >> 20, grown >> 10, started.elapsed());
    assert_eq!(got.status, 201, "{got:?}");
    assert!(grown < 20 << 20, "an upload of {size} bytes took {grown} bytes of memory");
}

#[tokio::test]
async fn large_files_take_no_memory() {
    stays_small(LARGE).await;
}

/// A client that doesn't read keeps the upstream from sending, and the gateway from holding.
#[tokio::test]
async fn a_slow_client_slows_the_upstream() {
    let world = World::new(Takes::All, "").await;
    assert!(world.download("whole-1000000").await.is_whole);
    let path = format!("/sites/bulk~s/backups/whole-{LARGE}/download");
    let gateway = &world.gateway;
    let ((), grown) = gateway
        .growth(async {
            let stream = world.client.begin("GET", &path, "").await;
            stream.readable().await.expect("it begins");
            let mut before = -1.0;
            eventually("the upstream to be held back", async || {
                let now = world.bytes("download").await;
                // Once the buffers of all sockets on the way are full.
                (std::mem::replace(&mut before, now) == now && now > 1_000_000.0).then_some(())
            })
            .await;
            assert!(world.bytes("download").await < 64.0 * 1024.0 * 1024.0, "the upstream was read on and on");
        })
        .await;
    assert!(grown < 20 << 20, "{grown} bytes of memory for a client that doesn't read");
    // It leaves, and the upstream sees it.
    world.host.saw("the download to be left", |came| came.left).await;
}

#[tokio::test]
async fn wrong_bytes_are_never_kept() {
    let world = World::new(Takes::All, "").await;
    let size = 3_000_000;
    let other = named(&hash(size + 1).to_hex());
    let got = world.client.put(&other, "", Sends::whole(size)).await;
    got.problem(422, "hash_mismatch");
    assert!(got.text.contains("\"field\":\"hash\""), "{}", got.text);
    let came = world.host.saw("the broken upload", |came| came.received > 0).await;
    assert!(!came.is_whole && came.received < size, "a wrong blob was completed: {came:?}");
    // A SHA-256 that is wrong, beside a BLAKE3 hash that is right.
    let digest = "content-digest: sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:\r\n";
    let got = world.client.put(&blob(size), digest, Sends::whole(size)).await;
    got.problem(422, "hash_mismatch");
    assert!(got.text.contains("\"field\":\"Content-Digest\""), "{}", got.text);
    // A small one is all held back, and an empty one doesn't even begin.
    for size in [10, 0] {
        let got = world.client.put(&other, "", Sends::whole(size)).await;
        got.problem(422, "hash_mismatch");
    }
    eventually("the broken uploads", async || (world.host.came().len() >= 2).then_some(())).await;
    assert!(world.host.came().iter().all(|came| !came.is_whole), "{:?}", world.host.came());
}

#[tokio::test]
async fn bytes_that_are_missing_are_missed() {
    let world = World::new(Takes::All, SHORT_IDLE).await;
    let size = 3_000_000;
    // The client says that it has ended.
    let sends = Sends { length: size, sent: size - 1000, then: Then::Ends };
    world.client.put(&blob(size), "", sends).await.problem(400, "body_incomplete");
    // It only stops.
    let sends = Sends { then: Then::Waits, ..sends };
    world.client.put(&blob(size), "", sends).await.problem(408, "body_too_slow");
    // It is gone.
    let stream = world.client.begin("PUT", &blob(size), &format!("content-length: {size}\r\n")).await;
    drop(stream);
    eventually("three broken uploads", async || (world.host.came().len() >= 2).then_some(())).await;
    assert!(world.host.came().iter().all(|came| !came.is_whole), "{:?}", world.host.came());
    let got = world.upload(size).await;
    assert_eq!(got.status, 201, "{got:?}");
}

#[tokio::test]
async fn a_client_that_leaves_ends_the_upstreams_request() {
    let world = World::new(Takes::All, "").await;
    let path = "/sites/bulk~s/backups/stalls-2000000/download";
    let stream = world.client.begin("GET", path, "").await;
    stream.readable().await.expect("it begins");
    drop(stream);
    // Long before anything is idle for too long.
    world.host.saw("the download to be left", |came| came.left).await;
    let stream = world.client.begin("PUT", &blob(LARGE), &format!("content-length: {LARGE}\r\n")).await;
    let mut stream = stream;
    tokio::io::AsyncWriteExt::write_all(&mut stream, &[7; 200_000]).await.expect("it is read");
    eventually("the upload to begin", async || (world.bytes("upload").await > 0.0).then_some(())).await;
    drop(stream);
    let came = world.host.saw("the upload to be left", |came| came.head.starts_with("PUT")).await;
    assert!(!came.is_whole);
}

#[tokio::test]
async fn a_silent_upstream_is_not_waited_for() {
    let world = World::new(Takes::Nothing, SHORT_IDLE).await;
    let started = Instant::now();
    let got = world.download("stalls-2000000").await;
    assert_eq!((got.status, got.is_whole), (200, false), "{got:?}");
    world.host.saw("the download to be left", |came| came.left).await;
    let got = world.client.put(&blob(30 << 20), "", Sends::whole(30 << 20)).await;
    got.problem(504, "upstream_timeout");
    assert!(started.elapsed() < Duration::from_secs(15), "{:?}", started.elapsed());
}

#[tokio::test]
async fn a_short_file_is_a_broken_one() {
    let world = World::new(Takes::All, "").await;
    for name in ["short-2000000", "chunkedshort-2000000"] {
        let got = world.download(name).await;
        assert_eq!(got.status, 200, "{got:?}");
        assert!(!got.is_whole, "{name}: a file that is short looks whole: {got:?}");
    }
    world.gateway.logged(&["a download was cut", "bulk"]).await;
}

#[tokio::test]
async fn an_upstreams_refusal_is_a_problem_before_the_first_byte() {
    let world = World::new(Takes::Refuses(403), "").await;
    for (status, expected, code) in [
        (404, 404, "not_found"),
        (401, 502, "upstream_credentials"),
        (403, 502, "upstream_credentials"),
        (400, 502, "upstream_invalid"),
        (206, 502, "upstream_invalid"),
        (302, 502, "upstream_invalid"),
        (500, 503, "upstream_unavailable"),
    ] {
        let got = world.download(&format!("status-{status}")).await;
        got.problem(expected, code);
        assert!(got.text.contains(&format!("\"upstream_status\":{status}")), "{}", got.text);
        assert_eq!(got.header("content-disposition"), None);
    }
    world.upload(1000).await.problem(502, "upstream_credentials");
    world.upload(20 << 20).await.problem(502, "upstream_credentials");
    world.download("forbidden-header").await.problem(502, "request_refused");
}

#[tokio::test]
async fn what_cannot_be_done_is_said_before_any_call() {
    let world = World::new(Takes::All, "[egress]\ntransfer_max_bytes = 1000000\n").await;
    let hash = "0".repeat(64);
    // A place that nobody granted, by name and never by its signature.
    for got in [
        world.download("elsewhere").await,
        world.client.put(&blob(5).replace("/plans/p/", "/plans/elsewhere/"), "", Sends::whole(5)).await,
    ] {
        got.problem(502, "grant_missing");
        assert!(got.text.contains("blob_origins = [\\\"https://blobs.example:8443\\\"]"), "{}", got.text);
        assert!(!got.text.contains("signature"), "{}", got.text);
    }
    world.gateway.connect("plain", "sandbox", json!({"features_off": ["deployments.plan"]})).await;
    let plain = |path: String| path.replace("bulk~s", "plain~s");
    world.client.get(&plain("/sites/bulk~s/backups/b/download".into())).await.problem(501, "unsupported");
    world.client.put(&plain(named(&hash)), "", Sends::whole(5)).await.problem(501, "unsupported");
    world.upload(1_000_001).await.problem(413, "body_too_large");
    // Who asks first whether to send is not asked to.
    let sends = Sends { length: 2_000_000, sent: 0, then: Then::Waits };
    world.client.put(&blob(2), "expect: 100-continue\r\n", sends).await.problem(413, "body_too_large");
    world.download("whole-1000001").await.problem(502, "upstream_invalid");
    let got = world.download("chunked-3000000").await;
    assert_eq!((got.status, got.is_whole), (200, false), "{got:?}");
    world.client.put(&named("ABC"), "", Sends::whole(5)).await.problem(400, "invalid_id");
    world.client.put(&named(&hash), "content-digest: sha-256=AAAA\r\n", Sends::whole(5)).await.problem(400, "malformed");
    let chunked = world.gateway.api.clone();
    let reply = chunked.send(http::Method::PUT, &named(&hash), &[("transfer-encoding", "chunked")], "x".into()).await;
    reply.problem(411, "length_required");
    assert!(world.host.came().iter().all(|came| came.head.starts_with("GET")), "{:?}", world.host.came());
}

#[tokio::test]
async fn the_eleventh_upload_of_a_plan_waits() {
    let world = World::new(Takes::Held, "").await;
    let running: Vec<_> = (1..=10)
        .map(|size| {
            let client = world.client.clone();
            tokio::spawn(async move { client.put(&blob(size), "", Sends::whole(size)).await })
        })
        .collect();
    eventually("ten uploads", async || (world.host.came().len() == 10).then_some(())).await;
    let got = world.upload(11).await;
    got.problem(429, "too_many_uploads");
    assert_eq!(got.header("retry-after"), Some("1"));
    // Another plan has turns of its own.
    world.host.release(11);
    let got = world.client.put(&blob(11).replace("/plans/p/", "/plans/q/"), "", Sends::whole(11)).await;
    assert_eq!(got.status, 201, "{got:?}");
    for upload in running {
        assert_eq!(upload.await.expect("it ends").status, 201);
    }
    world.host.release(1);
    assert_eq!(world.upload(11).await.status, 201);
}

#[tokio::test]
#[ignore = "because it moves 4 GiB: run it by hand to see the memory it takes"]
async fn huge_files_take_no_memory() {
    stays_small(2 << 30).await;
}
