//! Reads are kept: what clients are told of it, and how little of it reaches the upstream.
//!
//! The sandbox asks its `latency_url` once a call, so that upstream's count is the number of calls. Invariant: an answer says
//! whence it came; a client reads its own writes; what is old is given for a while when the host fails, and then no longer.

use futures_util::future::join_all;
use http::Method;
use portico_tests::{Answer, Api, Gateway, Reply, Setup, Upstream, eventually, gateway::stack_alone, wait_until};
use serde_json::{Value, json};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};

const SITE: &str = "/sites/kept~seed-00001";

struct Fixture {
    gateway: Gateway,
    upstream: Upstream,
    down: Arc<AtomicBool>,
}

/// A sandbox whose every call asks an upstream that takes its time, and fails when it is told to.
async fn fixture(config: &str, cache: Value) -> Fixture {
    let gateway = Gateway::start_with(Setup { config: config.to_owned(), ..Setup::default() }).await;
    let down = Arc::new(AtomicBool::new(false));
    let is_down = Arc::clone(&down);
    let upstream = Upstream::start(move |_| match is_down.load(Ordering::Relaxed) {
        // A body that ends early is no answer.
        true => Answer::Raw(200, vec![("content-length", "10".to_owned())], "x".into()),
        false => Answer::After(Duration::from_millis(50), Box::new(Answer::Json(200, json!({})))),
    })
    .await;
    let settings = json!({"seed_sites": 5, "work_seconds": 0, "latency_url": upstream.url(), "cache": cache});
    gateway.connect("kept", "sandbox", settings).await;
    Fixture { gateway, upstream, down }
}

impl Fixture {
    fn api(&self) -> &Api {
        &self.gateway.api
    }

    fn calls(&self) -> usize {
        self.upstream.seen().len()
    }

    /// Without a wish it may go the short way.
    async fn read(&self, wish: &str) -> Reply {
        let wish = [("cache-control", wish)];
        let headers = if wish[0].1.is_empty() { &[] } else { &wish[..] };
        self.api().send(Method::GET, SITE, headers, bytes::Bytes::new()).await
    }
}

fn whence(reply: &Reply) -> String {
    let status = reply.header("cache-status").expect("a Cache-Status").to_owned();
    // How long it is still fresh is a matter of the clock.
    status.split("; ").filter(|part| !part.starts_with("ttl=")).collect::<Vec<_>>().join("; ")
}

#[tokio::test]
async fn an_answer_says_whence_it_came() {
    let fixture = fixture("", json!({"sites.get": 60, "sites.list": 0})).await;
    for (wish, expected, calls) in [
        ("", "portico; fwd=uri-miss; stored", 1),
        ("", "portico; hit", 1),
        ("max-age=60", "portico; hit", 1),
        ("no-cache", "portico; fwd=request; stored", 2),
        ("max-age=0", "portico; fwd=request; stored", 3),
    ] {
        let reply = fixture.read(wish).await.is(200);
        assert_eq!((whence(&reply).as_str(), fixture.calls()), (expected, calls), "{wish:?}");
        assert!(reply.header("age").is_some() && reply.header("etag").is_some());
    }
    // What is kept goes the short way, unless these tests are told to do without it.
    let short = fixture.gateway.metric("portico_hot_path_answers_total", &[]).await;
    assert_eq!(short > 0.0, !stack_alone(), "{short} answers went the short way");
    let list = fixture.api().get("/sites?connection=kept").await.is(200);
    assert_eq!(whence(&list), "portico; fwd=bypass");
    let age = async |wish| fixture.read(wish).await.header("age").and_then(|age| age.parse::<u64>().ok()).expect("an age");
    assert_eq!(age("no-cache").await, 0);
    tokio::time::sleep(Duration::from_millis(1100)).await;
    for wish in ["", "max-age=60"] {
        assert!((1..30).contains(&age(wish).await), "it was made a second ago: {wish:?}");
    }
    assert_eq!(age("max-age=0").await, 0);
    // A tag that still stands spares the body, and says whence the answer came all the same.
    let tag = fixture.read("").await.header("etag").expect("a tag").to_owned();
    let reply = fixture.api().send(Method::GET, SITE, &[("if-none-match", &tag)], bytes::Bytes::new()).await.is(304);
    assert_eq!((whence(&reply).as_str(), reply.body.len()), ("portico; hit", 0));
}

/// When a list was read is no news; whatever else it says is.
#[tokio::test]
async fn a_list_that_was_read_again_and_says_the_same_is_304() {
    let fixture = fixture("", json!({"sites.get": 3600, "sites.list": 3600})).await;
    let unless = async |path: &str, tag: &str| {
        let headers = [("cache-control", "no-cache"), ("if-none-match", tag)];
        fixture.api().send(Method::GET, path, &headers, bytes::Bytes::new()).await
    };
    let tag = |reply: &Reply| reply.header("etag").expect("a tag").to_owned();
    let (whole, paged) = ("/sites?connection=kept", "/sites?connection=kept&limit=2");
    let mut tags = Vec::new();
    for path in [whole, paged] {
        let first = fixture.api().get(path).await.is(200);
        assert!(tag(&first).starts_with("W/\""), "{first:?}");
        let again = unless(path, &tag(&first)).await.is(304);
        assert_eq!((whence(&again).as_str(), tag(&again)), ("portico; fwd=request; stored", tag(&first)), "{path}");
        let (first, now) = (first.json(), fixture.api().get(path).await.is(200).json());
        assert_ne!(now["as_of"], first["as_of"], "it was read again: {path}");
        assert_eq!((&now["data"], &now["next_cursor"]), (&first["data"], &first["next_cursor"]), "{path}");
        tags.push((path, tag(&again)));
    }
    // So does the page that a cursor leads to, which is as new as the one before it.
    let first = fixture.api().get(paged).await.is(200).json();
    let next = format!("{paged}&cursor={}", first["next_cursor"].as_str().expect("a second page"));
    let second = fixture.api().get(&next).await.is(200);
    let _ = unless(paged, &tags[1].1).await.is(304);
    let _ = unless(&next, &tag(&second)).await.is(304);
    assert_ne!(fixture.api().get(&next).await.is(200).json()["as_of"], second.json()["as_of"]);
    // Another word is another list, and the cursors of the one before lead on in that.
    let change = json!({"name": "Changed"});
    let _ = fixture.api().json(Method::PATCH, SITE, &[("prefer", "wait=10")], &change).await.is(200);
    for (path, before) in &tags {
        assert_ne!(tag(&unless(path, before).await.is(200)), *before, "{path}");
    }
    assert_ne!(fixture.api().get(paged).await.is(200).json()["next_cursor"], first["next_cursor"]);
    assert_eq!(fixture.api().get(&next).await.is(200).json()["data"], second.json()["data"]);
}

/// An upstream that was asked, and answers nobody before it may.
#[derive(Clone)]
struct Held {
    asked: Arc<AtomicUsize>,
    may: Arc<Semaphore>,
}

impl Held {
    /// With its address.
    async fn start() -> (Self, String) {
        let held = Self { asked: Arc::default(), may: Arc::new(Semaphore::new(0)) };
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port on loopback");
        let url = format!("http://{}", listener.local_addr().expect("its address"));
        let answering = held.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answering.clone().answer(stream));
            }
        });
        (held, url)
    }

    async fn answer(self, mut stream: TcpStream) {
        let mut head = [0; 4096];
        if stream.read(&mut head).await.is_ok_and(|read| read > 0) {
            self.asked.fetch_add(1, Ordering::Relaxed);
            drop(self.may.acquire().await);
            drop(stream.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n").await);
        }
    }
}

#[tokio::test]
async fn a_thousand_readers_of_a_cold_key_make_one_call() {
    // All of them are in progress at once, which is eight times the places that there are, and have time for it.
    let config = "[limits]\nin_flight_per_organization = 128\n[cache]\nread_deadline_ms = 55000\n";
    let gateway = Gateway::start_with(Setup { config: config.to_owned(), ..Setup::default() }).await;
    let (held, url) = Held::start().await;
    let settings = json!({"seed_sites": 5, "work_seconds": 0, "latency_url": url, "cache": {"sites.get": 60}});
    gateway.connect("kept", "sandbox", settings).await;
    let reads = join_all((0..1000).map(|_| gateway.api.get(SITE)));
    let answer = async {
        wait_until("a thousand reads in progress", Duration::from_secs(45), async || {
            (gateway.metric("portico_requests_in_flight", &[]).await >= 1000.0).then_some(())
        })
        .await;
        // They count from their head on: the last ones ask a moment later.
        tokio::time::sleep(Duration::from_secs(1)).await;
        held.may.add_permits(1000);
    };
    let (replies, ()) = tokio::join!(reads, answer);
    let first = replies[0].json();
    assert!(replies.iter().all(|reply| reply.status == 200 && reply.json() == first), "{:?}", replies[0]);
    assert_eq!(held.asked.load(Ordering::Relaxed), 1);
    assert_eq!(gateway.metric("portico_upstream_calls_total", &[]).await, 1.0);
    let collapsed = replies.iter().filter(|reply| whence(reply) == "portico; fwd=uri-miss; collapsed").count();
    assert!((990..1000).contains(&collapsed), "{collapsed}");
    assert_eq!(gateway.metric("portico_snapshots_total", &["result=\"joined\""]).await, collapsed as f64);
}

#[tokio::test]
async fn a_client_reads_its_own_writes_and_other_sites_stay_kept() {
    let fixture = fixture("", json!({"sites.get": 3600, "sites.list": 3600})).await;
    let other = "/sites/kept~seed-00002";
    for name in ["One", "Two", "Three"] {
        let _ = fixture.api().get(other).await.is(200);
        let _ = fixture.api().json(Method::PATCH, SITE, &[("prefer", "wait=10")], &json!({"name": name})).await.is(200);
        assert_eq!(fixture.read("").await.is(200).json()["name"], name);
        let list = fixture.api().get("/sites?connection=kept&sort=name").await.is(200).json();
        let names = list["data"].as_array().expect("data").iter().filter(|site| site["name"] == name).count();
        assert_eq!(names, 1, "{list}");
        assert_eq!(whence(&fixture.api().get(other).await.is(200)), "portico; hit");
    }
    // What isn't there is believed for a moment, but not after it was made here.
    let made = json!({"connection": "kept", "name": "fresh"});
    let site = fixture.api().json(Method::POST, "/sites", &[("prefer", "wait=10")], &made).await.is(201).json();
    let path = format!("/sites/{}", site["result"]["id"].as_str().expect("an id"));
    let _ = fixture.api().get(&path).await.is(200);
    let _ = fixture.api().send(Method::DELETE, &path, &[("prefer", "wait=10")], bytes::Bytes::new()).await.is(200);
    fixture.api().get(&path).await.problem(404, "not_found");
    let calls = fixture.calls();
    fixture.api().get(&path).await.problem(404, "not_found");
    assert_eq!(fixture.calls(), calls, "a 404 is kept, too");
}

#[tokio::test]
async fn a_host_that_fails_leaves_old_answers_that_say_so_and_then_honest_503s() {
    let config = "[cache]\nstale_while_revalidate_seconds = 0\nstale_if_error_seconds = 4\n";
    let fixture = fixture(config, json!({"sites.get": 1})).await;
    let good = fixture.read("").await.is(200).json();
    fixture.down.store(true, Ordering::Relaxed);
    let old = eventually("the answer to be old", async || {
        let reply = fixture.read("").await.is(200);
        (whence(&reply) != "portico; hit").then_some(reply)
    })
    .await;
    assert_eq!((whence(&old).as_str(), old.json()), ("portico; hit; detail=upstream_unavailable", good));
    assert!(old.header("cache-status").expect("one").contains("ttl=-"));
    // Who insists is told the truth at once; so is everybody when the answer is too old.
    fixture.read("no-cache").await.problem(503, "upstream_unavailable");
    eventually("the answer to be too old", async || {
        let reply = fixture.read("").await;
        if reply.status == 200 {
            assert_eq!(whence(&reply), "portico; hit; detail=upstream_unavailable");
            return None;
        }
        Some(reply.problem(503, "upstream_unavailable"))
    })
    .await;
    fixture.down.store(false, Ordering::Relaxed);
    eventually("the host to be back", async || (fixture.read("").await.status == 200).then_some(())).await;
}

/// Until it failed, or waits to be tried again: it was refused before anything left.
async fn until_refused(api: &Api, operation: &Value) {
    let path = format!("/operations/{}", operation["id"].as_str().expect("an id"));
    eventually("the change to be refused", async || {
        let now = api.get(&path).await.is(200).json();
        assert_ne!(now["status"], "succeeded", "{now}");
        (now["status"] == "failed" || now["status"] == "queued" && now["message"].is_string()).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_change_that_never_left_takes_no_old_answer_away() {
    let config = "[cache]\nstale_while_revalidate_seconds = 0\nstale_if_error_seconds = 3600\n";
    let fixture = fixture(config, json!({"sites.get": 1, "sites.list": 1})).await;
    let paths = [SITE, "/sites?connection=kept"];
    let is_old = async |path: &str| {
        let reply = fixture.api().get(path).await.is(200);
        whence(&reply).contains("detail=upstream_unavailable")
    };
    for path in paths {
        let _ = fixture.api().get(path).await.is(200);
    }
    fixture.down.store(true, Ordering::Relaxed);
    for path in paths {
        eventually("the answer to be old", async || is_old(path).await.then_some(())).await;
    }
    for (method, path, body) in [
        (Method::POST, "/sites", json!({"connection": "kept", "name": "Never"})),
        (Method::PATCH, SITE, json!({"name": "Never"})),
    ] {
        let accepted = fixture.api().json(method.clone(), path, &[("prefer", "respond-async")], &body).await.is(202).json();
        until_refused(fixture.api(), &accepted).await;
        for read in paths {
            assert!(is_old(read).await, "{read} after {method} {path}");
        }
    }
}

#[tokio::test]
async fn an_answer_past_its_time_is_renewed_behind_the_clients_back() {
    let fixture = fixture("[cache]\nstale_while_revalidate_seconds = 3600\n", json!({"sites.get": 1})).await;
    let _ = fixture.read("").await.is(200);
    eventually("a stale answer", async || {
        let began = tokio::time::Instant::now();
        let reply = fixture.read("").await.is(200);
        (whence(&reply) == "portico; hit; detail=revalidating").then(|| assert!(began.elapsed() < Duration::from_millis(50)))
    })
    .await;
    eventually("the renewal", async || (whence(&fixture.read("").await.is(200)) == "portico; hit").then_some(())).await;
    assert!(fixture.calls() >= 2);
}

/// One connection is read anew each time, the other fails: what is old of the second is said of the whole.
#[tokio::test]
async fn a_part_that_is_old_since_its_host_fails_marks_every_page_and_the_sum() {
    let config = "[cache]\nstale_while_revalidate_seconds = 0\nstale_if_error_seconds = 3600\n";
    let fixture = fixture(config, json!({"sites.list": 1, "billing.usage": 1})).await;
    let unkept = json!({"seed_sites": 5, "work_seconds": 0, "cache": {"sites.list": 0, "billing.usage": 0}});
    fixture.gateway.connect("unkept", "sandbox", unkept).await;
    let (list, usage) = ("/sites?connection=kept,unkept&limit=6", "/billing/usage");
    for path in [list, usage] {
        assert_eq!(whence(&fixture.api().get(path).await.is(200)), "portico; fwd=bypass", "{path}");
    }
    fixture.down.store(true, Ordering::Relaxed);
    for path in [list, usage] {
        let marked = eventually("the answer to say that a part is old", async || {
            let reply = fixture.api().get(path).await.is(200);
            (whence(&reply) != "portico; fwd=bypass").then_some(reply)
        })
        .await;
        assert_eq!(whence(&marked), "portico; fwd=bypass; detail=upstream_unavailable", "{path}");
        assert_eq!(marked.json()["errors"], json!([]), "{path}");
        assert_ne!(marked.header("age"), Some("0"), "it is as old as its oldest part: {path}");
    }
    let first = fixture.api().get(list).await.is(200).json();
    let next = format!("{list}&cursor={}", first["next_cursor"].as_str().expect("a second page"));
    let second = fixture.api().get(&next).await.is(200);
    assert_eq!(whence(&second), "portico; hit; detail=upstream_unavailable");
    assert!(second.header("cache-status").expect("one").contains("ttl=-"), "{second:?}");
}
