//! Floods: clients that hold connections, or misuse HTTP/2, while a normal client is served.
//!
//! Each test is one attack, bounded in time and count. Invariant: the normal client opens a connection for each request, as the
//! worst case, and every one of them is answered; what the gateway took of memory for the attack is bounded.

mod frames;

use bytes::Bytes;
use frames::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, HEADERS, PING, RST_STREAM, SETTINGS, WINDOW_UPDATE, ask_on, begun, closed,
    connect, field, frame, get, indexed_field, pour, setting,
};
use http::Method;
use portico_tests::{Api, Gateway, Setup, eventually, wait_until};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::json;
use std::{io::Write as _, ops::Deref, time::Duration};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::{Mutex, MutexGuard},
    time::Instant,
};

/// An answer that takes longer isn't served.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long an attack without an end of its own goes on.
const ATTACK: Duration = Duration::from_secs(2);
/// An attacker that is still connected then was not sent away.
const GONE: Duration = Duration::from_secs(40);

/// Less than the kernel holds for a listening socket, if only it may be as many as a common `net.core.somaxconn`.
const AT_ONCE: usize = 500;

/// A gateway, and the turn to attack: one flood at a time leaves the machine to the normal client and to other tests.
struct Target {
    gateway: Gateway,
    _turn: MutexGuard<'static, ()>,
}

impl Deref for Target {
    type Target = Gateway;

    fn deref(&self) -> &Gateway {
        &self.gateway
    }
}

async fn gateway(config: &str) -> Target {
    static TURN: Mutex<()> = Mutex::const_new(());
    let turn = TURN.lock().await;
    Target { gateway: Gateway::start_with(Setup { config: config.to_owned(), ..Setup::default() }).await, _turn: turn }
}

/// One request over a connection of its own.
async fn served(gateway: &Gateway) {
    let before = Instant::now();
    let answer = gateway.api.fresh().try_send(Method::GET, "/sites", &[], Bytes::new()).await;
    let _ = answer.expect("a normal client is answered").is(200);
    assert!(before.elapsed() < PATIENCE, "a normal client waited for {:?}", before.elapsed());
}

/// Runs the attack, and normal requests until it ends, and a few after it.
async fn served_during<T>(gateway: &Gateway, attack: impl Future<Output = T>) -> T {
    let before = gateway.resident_kib() / 1024;
    let mut attack = std::pin::pin!(attack);
    let mut count = 0;
    let result = loop {
        tokio::select! {
            result = &mut attack => break result,
            () = served(gateway) => count += 1,
        }
    };
    for _ in 0..3 {
        served(gateway).await;
    }
    let grown = (gateway.resident_kib() / 1024).saturating_sub(before);
    assert!(grown < 200, "the attack took {grown} MiB; {count} normal requests");
    result
}

async fn cut(gateway: &Gateway, reason: &str) -> f64 {
    gateway.metric("portico_connections_closed_total", &[&format!("reason=\"{reason}\"")]).await
}

/// So many sockets, or as many as this process may have.
fn as_many_as(wanted: u64) -> usize {
    let limit = getrlimit(Resource::Nofile);
    let hard = limit.maximum.unwrap_or(u64::MAX);
    if limit.current.is_some_and(|soft| soft < hard) {
        setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }).expect("the soft limit may be raised");
    }
    // Other tests of this process have theirs.
    usize::try_from(wanted.min(hard.saturating_sub(1000))).expect("a count")
}

/// As many slow clients as are promised, or fewer where this machine has no room for them: that is told, and a failure in CI.
fn slow_clients() -> usize {
    const PROMISED: usize = 10_000;
    let many = as_many_as(PROMISED as u64);
    // `eprintln` would keep it from who sees only that the test passed.
    writeln!(std::io::stderr(), "slow loris: {many} of {PROMISED} clients").expect("standard error");
    assert!(many == PROMISED || std::env::var_os("CI").is_none(), "the limit of open files leaves room for {many} clients");
    many
}

/// Opens connections, a hundred at a time, and says the first words on each. What the kernel holds for the gateway stays less than
/// it may: a connection beyond that would be lost, and tried again only after seconds.
async fn crowd(gateway: &Gateway, count: usize, words: &[u8]) -> Vec<TcpStream> {
    let open = async || {
        let mut stream = TcpStream::connect(gateway.api_address).await.expect("the kernel takes it");
        // The gateway may have sent it away already.
        drop(stream.write_all(words).await);
        stream
    };
    let mut all = Vec::with_capacity(count);
    while all.len() < count {
        let some = 100.min(count - all.len());
        all.extend(futures_util::future::join_all((0..some).map(|_| open())).await);
        if all.len().is_multiple_of(AT_ONCE) {
            taken(gateway, all.len()).await;
        }
    }
    all
}

/// Waits until the gateway has this many connections.
async fn taken(gateway: &Gateway, count: usize) {
    wait_until("the crowd to be taken in", Duration::from_secs(60), async || {
        (gateway.metric("portico_connections_open", &[]).await >= count as f64).then_some(())
    })
    .await;
}

#[tokio::test]
async fn ten_thousand_slow_loris_clients_hold_nobody_up() {
    let many = slow_clients();
    // None of them ends by itself while this lasts: places are only made.
    let gateway = gateway(&format!("[server]\nmax_connections = {many}\nheader_timeout_ms = 300000\n")).await;
    let crowd = crowd(&gateway, many, b"GET /api/v1/sites HTTP/1.1\r\nhost: a\r\nx-slow: ").await;
    // All places are taken, and more come all the time.
    let more = async {
        for _ in 0..20 {
            drop(self::crowd(&gateway, 20, b"GET / HTTP/1.1\r\nx").await);
            served(&gateway).await;
        }
    };
    served_during(&gateway, more).await;
    assert!(cut(&gateway, "full").await > 0.0, "the crowd didn't fill the places");
    drop(crowd);
}

#[tokio::test]
async fn who_asked_once_and_rests_makes_room_too() {
    let gateway = gateway("[server]\nmax_connections = 50\n").await;
    // Over HTTP/2, since idle HTTP/1.1 ones end by themselves.
    let mut resting = Vec::new();
    for _ in 0..80 {
        let mut stream = connect(&gateway, &[]).await;
        stream.write_all(&frame(HEADERS, END_HEADERS | END_STREAM, 1, &get("/docs"))).await.expect("it is open");
        let mut some = [0; 9];
        stream.read_exact(&mut some).await.expect("an answer");
        resting.push(stream);
    }
    for _ in 0..10 {
        served(&gateway).await;
    }
    assert!(cut(&gateway, "full").await >= 30.0);
}

#[tokio::test]
async fn rapid_resets_end_the_connection() {
    let gateway = gateway("").await;
    let attack = async {
        let (mut ended, end) = (0, Instant::now() + ATTACK);
        while Instant::now() < end {
            let mut stream = connect(&gateway, &[]).await;
            let head = get("/api/v1/sites");
            let pairs: Vec<u8> = (0..5000_u32)
                .flat_map(|n| {
                    let open = frame(HEADERS, END_HEADERS | END_STREAM, 2 * n + 1, &head);
                    [open, frame(RST_STREAM, 0, 2 * n + 1, &8_u32.to_be_bytes())].concat()
                })
                .collect();
            let poured = pour(&mut stream, &pairs, 1, PATIENCE).await;
            ended += usize::from(poured.closed || closed(&mut stream, PATIENCE).await);
        }
        ended
    };
    assert!(served_during(&gateway, attack).await > 0, "no connection was ended");
}

#[tokio::test]
async fn who_breaks_off_everything_it_asks_is_sent_away() {
    // Each answer has begun when it is reset, so the protocol library sees nothing wrong.
    let gateway = gateway("").await;
    let mut stream = connect(&gateway, &[]).await;
    let mut sent = 0_u32;
    let head = [get("/api/v1/events"), credential(&gateway)].concat();
    let ended = wait_until("the end of the connection", Duration::from_secs(30), async || {
        for _ in 0..10 {
            let id = 2 * sent + 1;
            sent += 1;
            stream.write_all(&frame(HEADERS, END_HEADERS | END_STREAM, id, &head)).await.ok();
        }
        let begun = tokio::time::timeout(PATIENCE, begun(&mut stream, 10)).await;
        if begun.expect("answers, or an end").is_err() {
            return Some(());
        }
        for n in sent - 10..sent {
            if stream.write_all(&frame(RST_STREAM, 0, 2 * n + 1, &8_u32.to_be_bytes())).await.is_err() {
                return Some(());
            }
        }
        None
    });
    served_during(&gateway, ended).await;
    assert_eq!(cut(&gateway, "aborts").await, 1.0);
    assert!(sent < 1000, "{sent} requests were begun");
}

#[tokio::test]
async fn endless_continuations_and_huge_heads_are_refused() {
    let gateway = gateway("").await;
    let attack = async {
        let mut stream = connect(&gateway, &[]).await;
        stream.write_all(&frame(HEADERS, END_STREAM, 1, &get("/"))).await.expect("it is open");
        let filler: Vec<u8> = (0..20).flat_map(|n| field(&format!("x-filler-{n}"), &"y".repeat(500))).collect();
        let endless = pour(&mut stream, &frame(CONTINUATION, 0, 1, &filler), 100_000, PATIENCE).await;
        // Empty ones, which add nothing to any size.
        let mut stream = connect(&gateway, &[]).await;
        stream.write_all(&frame(HEADERS, END_STREAM, 1, &get("/"))).await.expect("it is open");
        let empty = pour(&mut stream, &frame(CONTINUATION, 0, 1, &[]), 1_000_000, PATIENCE).await;
        (endless, empty)
    };
    let (endless, empty) = served_during(&gateway, attack).await;
    assert!(endless.closed && endless.sent < 1000, "{} pieces of 10 KiB were taken", endless.sent);
    assert!(empty.closed, "{} empty pieces were taken", empty.sent);
}

#[tokio::test]
async fn compressed_bombs_are_refused() {
    let gateway = gateway("").await;
    let attack = async {
        for _ in 0..20 {
            let mut stream = connect(&gateway, &[]).await;
            // A field of 4000 bytes, and 16,000 references to it of one byte each: 64 MB.
            let bomb = [get("/"), indexed_field("x-bomb", &"b".repeat(3950)), vec![0xbe; 12_000]].concat();
            drop(stream.write_all(&frame(HEADERS, END_HEADERS | END_STREAM, 1, &bomb)).await);
            let mut answer = [0; 4096];
            let read = tokio::time::timeout(PATIENCE, stream.read(&mut answer)).await;
            read.expect("it is answered, if only by its end").ok();
        }
    };
    served_during(&gateway, attack).await;
    // The same over HTTP/1.1: a head without an end.
    let mut stream = TcpStream::connect(gateway.api_address).await.expect("the gateway listens");
    stream.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n").await.expect("it is open");
    let line = format!("x-filler: {}\r\n", "y".repeat(1000));
    let poured = pour(&mut stream, line.as_bytes(), 100_000, PATIENCE).await;
    assert!(poured.closed && poured.sent < 20_000, "{} lines of 1 KB were taken", poured.sent);
}

#[tokio::test]
async fn settings_and_pings_without_end() {
    let gateway = gateway("[server]\nheader_timeout_ms = 1000\n").await;
    // 100 frames a write.
    let settings = frame(SETTINGS, 0, 0, &setting(3, 100)).repeat(100);
    let ping = frame(PING, 0, 0, &[7; 8]).repeat(100);
    let empty = frame(DATA, 0, 1, &[]).repeat(100);
    let attack = async {
        let mut all = Vec::new();
        for bytes in [&settings, &ping, &empty] {
            for reads in [true, false] {
                let gateway = &gateway;
                all.push(async move {
                    let mut stream = connect(gateway, &[]).await;
                    if reads {
                        return pour(&mut stream, bytes, usize::MAX, GONE).await.closed;
                    }
                    let end = tokio::time::timeout(GONE, async { while stream.write_all(bytes).await.is_ok() {} });
                    end.await.is_ok() || closed(&mut stream, GONE).await
                });
            }
        }
        futures_util::future::join_all(all).await
    };
    // Answered pings are no requests: all of them lose the connection.
    assert_eq!(served_during(&gateway, attack).await, [true; 6]);
}

#[tokio::test]
async fn who_takes_nothing_of_its_answers_is_cut() {
    let gateway = gateway("[server]\nstall_timeout_ms = 1000\nidle_timeout_ms = 1000\n").await;
    let attack = async {
        // A window of nothing for the answers, on 200 streams of 20 connections.
        let mut streams = Vec::new();
        for _ in 0..20 {
            let mut stream = connect(&gateway, &setting(4, 0)).await;
            let asked: Vec<u8> =
                (0..200_u32).flat_map(|n| frame(HEADERS, END_HEADERS | END_STREAM, 2 * n + 1, &get("/openapi.json"))).collect();
            stream.write_all(&asked).await.expect("it is open");
            streams.push(stream);
        }
        // It goes on answering pings, so it is alive.
        let ping = frame(PING, 0, 0, &[7; 8]);
        for stream in &mut streams {
            let poured = pour(stream, &ping, usize::MAX, Duration::from_secs(20)).await;
            assert!(poured.closed, "a stalled connection stays open");
        }
        // One answer is enough to be cut for, also beside others that are taken twice in that time.
        let mut stream = connect(&gateway, &setting(4, 0)).await;
        stream.write_all(&frame(HEADERS, END_HEADERS | END_STREAM, 1, &get("/openapi.json"))).await.expect("it is open");
        let ended = ask_on(&mut stream, 3, Duration::from_millis(500), Duration::from_secs(20)).await;
        assert!(ended, "a stalled connection stays open for what it asks beside");
        // Nor is it enough to take a part, even if that is all but the end.
        let size = Api::new(gateway.api_address, None).get("/openapi.json").await.is(200).body.len();
        let mut before = cut(&gateway, "stalled").await;
        for window in [1, 65_535, u32::try_from(size).expect("a size") - 1] {
            let mut stream = connect(&gateway, &setting(4, window)).await;
            // The connection has a window of its own.
            stream.write_all(&frame(WINDOW_UPDATE, 0, 0, &(1_u32 << 24).to_be_bytes())).await.expect("it is open");
            stream.write_all(&frame(HEADERS, END_HEADERS | END_STREAM, 1, &get("/openapi.json"))).await.expect("it is open");
            let poured = pour(&mut stream, &ping, usize::MAX, Duration::from_secs(20)).await;
            assert!(poured.closed, "a connection that takes {window} of {size} bytes stays open");
            // It is counted when it has been closed.
            let what = format!("one that takes {window} of {size} bytes to be cut as stalled");
            before = eventually(&what, async || Some(cut(&gateway, "stalled").await).filter(|now| *now > before)).await;
        }
        // Over HTTP/1.1: a hundred answers that nobody reads, more than the kernel keeps.
        let mut stream = TcpStream::connect(gateway.api_address).await.expect("the gateway listens");
        let asked = b"GET /openapi.json HTTP/1.1\r\nhost: a\r\n\r\n".repeat(300);
        drop(stream.write_all(&asked).await);
        eventually("the stalled HTTP/1.1 connection to be cut", async || {
            (gateway.metric("portico_connections_open", &[]).await <= 2.0).then_some(())
        })
        .await;
    };
    tokio::time::timeout(Duration::from_secs(60), served_during(&gateway, attack)).await.expect("all are cut");
    assert!(cut(&gateway, "stalled").await >= 24.0);
}

/// The field that says who asks, as the gateway's own developer does.
fn credential(gateway: &Gateway) -> Vec<u8> {
    let token = std::fs::read_to_string(gateway.data().join("dev-token")).expect("its token");
    field("authorization", &format!("Bearer {}", token.trim()))
}

#[tokio::test]
async fn what_nobody_takes_of_large_answers_is_bounded() {
    // A quarter is one organization's: three of the lists below. None of them ends by itself while this lasts.
    let gateway = gateway("[server]\nstall_timeout_ms = 300000\n[limits]\nunsent_bytes = 1000000\n").await;
    // Twice in each of a hundred rows, it makes the list longer than 64 KiB.
    let id = "m".repeat(63);
    let other = gateway.api.with_token(&gateway.new_token("other"));
    let settings = json!({"seed_sites": 100, "cache": {"sites.list": 3600}});
    gateway.connect(&id, "sandbox", settings.clone()).await;
    let body = json!({"id": id, "provider": "sandbox", "name": "Many", "settings": settings});
    let _ = other.post("/connections", &body).await.is(201);
    let (large, small) = (format!("/sites?connection={id}&limit=100"), format!("/sites?connection={id}&limit=10"));
    let whole = gateway.api.get(&large).await.is(200);
    let size = whole.body.len();
    assert_eq!(whole.header("content-length"), Some(&*size.to_string()));
    assert!((65_537..83_333).contains(&size), "{size} bytes");
    let unsent = async |bytes: usize| {
        let now = async || (gateway.metric("portico_unsent_bytes", &[]).await == bytes as f64).then_some(());
        eventually(&format!("{bytes} bytes that wait"), now).await;
    };
    unsent(0).await;
    let mut stream = connect(&gateway, &setting(4, 0)).await;
    let head = [get(&format!("/api/v1{large}")), credential(&gateway)].concat();
    let asked: Vec<u8> = (0..10_u32).flat_map(|n| frame(HEADERS, END_HEADERS | END_STREAM, 2 * n + 1, &head)).collect();
    stream.write_all(&asked).await.expect("it is open");
    let begun = tokio::time::timeout(PATIENCE, begun(&mut stream, 10)).await;
    begun.expect("answers in time").expect("the heads of answers");
    let refused =
        async || gateway.metric("portico_requests_refused_total", &["policy=\"unsent_bytes_per_organization\""]).await;
    assert_eq!(refused().await, 7.0);
    unsent(3 * size).await;
    // Neither small answers nor other organizations are held up by it.
    let refusal = gateway.api.get(&large).await;
    assert!(refusal.header("retry-after").is_some(), "{refusal:?}");
    refusal.problem(503, "overloaded");
    assert_eq!(refused().await, 8.0);
    let _ = gateway.api.get(&small).await.is(200);
    let _ = other.get(&large).await.is(200);
    drop(stream);
    unsent(0).await;
    let _ = gateway.api.get(&large).await.is(200);
}

#[tokio::test]
async fn who_takes_nothing_of_its_answers_makes_room() {
    // None of them ends by itself while this lasts.
    let gateway = gateway("[server]\nmax_connections = 50\nstall_timeout_ms = 300000\n").await;
    let mut crowd = Vec::new();
    for _ in 0..50 {
        let mut stream = connect(&gateway, &setting(4, 0)).await;
        stream.write_all(&frame(HEADERS, END_HEADERS | END_STREAM, 1, &get("/openapi.json"))).await.expect("it is open");
        let begun = tokio::time::timeout(PATIENCE, begun(&mut stream, 1)).await;
        begun.expect("an answer in time").expect("the head of an answer");
        crowd.push(stream);
    }
    for _ in 0..10 {
        served(&gateway).await;
    }
    assert!(cut(&gateway, "full").await >= 1.0, "the crowd didn't fill the places");
    assert_eq!(cut(&gateway, "stalled").await, 0.0);
}

#[tokio::test]
async fn an_idle_http_2_connection_is_closed_although_it_answers_pings() {
    let gateway = gateway("[server]\nidle_timeout_ms = 500\n").await;
    let mut stream = connect(&gateway, &[]).await;
    stream.write_all(&frame(HEADERS, END_HEADERS | END_STREAM, 1, &get("/docs"))).await.expect("it is open");
    let before = Instant::now();
    assert!(closed(&mut stream, Duration::from_secs(20)).await);
    assert!(before.elapsed() >= Duration::from_millis(400), "it was closed after {:?}", before.elapsed());
}

#[tokio::test]
async fn a_connection_may_rest_longer_than_a_head_may_take() {
    let gateway = gateway("[server]\nheader_timeout_ms = 1000\nidle_timeout_ms = 60000\n").await;
    let mut stream = TcpStream::connect(gateway.api_address).await.expect("the gateway listens");
    const ASKED: &[u8] = b"HEAD /docs HTTP/1.1\r\nhost: a\r\n\r\n";
    let mut answer = [0; 4096];
    for _ in 0..2 {
        stream.write_all(ASKED).await.expect("it is open");
        assert!(stream.read(&mut answer).await.expect("it is open") > 0);
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
    // The next head begins and doesn't end.
    stream.write_all(&ASKED[..ASKED.len() - 1]).await.expect("it is open");
    let before = Instant::now();
    assert!(closed(&mut stream, Duration::from_secs(20)).await);
    assert!(before.elapsed() >= Duration::from_millis(900), "it was closed after {:?}", before.elapsed());
    assert!(cut(&gateway, "no_request").await >= 1.0);
}
