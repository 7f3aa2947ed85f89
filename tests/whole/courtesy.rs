//! Courtesy to upstreams, through the whole gateway: rates, fair shares, refusals at once, circuits and retries.
//!
//! Invariant: what is sent is counted at the upstream, which judges by its own limits and clock.

use bytes::Bytes;
use http::Method;
use portico_tests::{Answer, Api, Gateway, Reply, Seen, Setup, Upstream, eventually};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU16, AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{task::JoinSet, time::Instant};

async fn gateway() -> Gateway {
    Gateway::start_with(Setup { guests: vec!["courteous"], ..Setup::default() }).await
}

async fn limits(api: &Api) -> Value {
    api.get("/connections/c").await.is(200).json()["limits"][0].clone()
}

/// An upstream that allows so many requests in any such time, and answers 429 to more.
async fn strict(most: usize, period: Duration) -> Upstream {
    let recent: Mutex<VecDeque<Instant>> = Mutex::default();
    Upstream::start(move |_| {
        let now = Instant::now();
        let mut recent = recent.lock().unwrap();
        while recent.front().is_some_and(|first| now - *first >= period) {
            recent.pop_front();
        }
        if recent.len() >= most {
            return Answer::Json(429, json!({}));
        }
        recent.push_back(now);
        Answer::Json(200, json!({}))
    })
    .await
}

/// Clients with a token each.
fn clients<const N: usize>(gateway: &Gateway) -> [Api; N] {
    [(); N].map(|()| gateway.fresh_api().with_token(&gateway.new_token("demo")))
}

/// So many reads at once, of sites that nobody else reads; what came of each, and after how long.
fn readers(api: &Api, name: &str, count: usize) -> JoinSet<(Reply, Duration)> {
    let mut reads = JoinSet::new();
    for n in 0..count {
        let (api, path) = (api.clone(), format!("/sites/c~{name}-{n}"));
        reads.spawn(async move {
            let started = Instant::now();
            (api.get(&path).await, started.elapsed())
        });
    }
    reads
}

fn served(replies: &[(Reply, Duration)]) -> usize {
    replies.iter().filter(|(reply, _)| reply.status == 200).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_readers_keep_to_the_rate_and_share_it() {
    const READERS: usize = 5;
    const EACH: usize = 20;
    let gateway = gateway().await;
    let upstream = strict(60, Duration::from_secs(3)).await;
    gateway.connect("c", "courteous", json!({"url": upstream.url(), "requests": 60, "per_seconds": 3})).await;
    let apis = clients::<READERS>(&gateway);
    let started = Instant::now();
    let all: Vec<_> = apis.iter().enumerate().map(|(reader, api)| readers(api, &format!("r{reader}"), EACH)).collect();
    for reads in all {
        for (reply, _) in reads.join_all().await {
            assert_eq!(reply.status, 200, "{}", reply.text());
        }
    }
    let took = started.elapsed();
    assert!(took >= Duration::from_secs(4), "85 of them were spaced: {took:?}");
    let seen = upstream.seen();
    assert_eq!(seen.len(), READERS * EACH, "nothing was refused by the upstream, and nothing sent again");
    let mut shares: BTreeMap<String, usize> = BTreeMap::new();
    // Those that may go at once belong to who came first.
    for one in &seen[15..40] {
        *shares.entry(one.path[.."/sites/r0".len()].to_owned()).or_default() += 1;
    }
    assert!(shares.len() == READERS && shares.values().all(|share| (3..=7).contains(share)), "{shares:?}");
    let waited = gateway.metric("portico_upstream_wait_seconds_count", &["provider=\"courteous\""]).await;
    assert!(waited >= 50.0, "{waited} calls waited");
}

/// One token asks for much, and others come after it: they don't wait behind it, and whoever can't be served any more is told so.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixty_a_minute_are_shared_between_a_greedy_token_and_four_others() {
    let gateway = gateway().await;
    let upstream = strict(60, Duration::from_secs(60)).await;
    gateway.connect("c", "courteous", json!({"url": upstream.url(), "requests": 60, "per_seconds": 60})).await;
    let [greedy, others @ ..] = clients::<5>(&gateway);
    let greedy = readers(&greedy, "greedy", 60);
    eventually("the burst of the greedy one", async || (upstream.seen().len() >= 15).then_some(())).await;
    let others: Vec<_> = others.iter().enumerate().map(|(other, api)| readers(api, &format!("other{other}"), 10)).collect();
    let greedy = greedy.join_all().await;
    let mut all = vec![served(&greedy)];
    let mut replies = greedy;
    for other in others {
        let other = other.join_all().await;
        all.push(served(&other));
        replies.extend(other);
    }
    let sent = upstream.seen().len();
    assert_eq!(all.iter().sum::<usize>(), sent, "the upstream refused nothing");
    assert!((32..=44).contains(&sent), "{sent} were sent, of 15 at once and 22 in 30 s");
    assert!(all[1..].iter().all(|share| *share >= 2) && all[0] <= 15 + 12, "{all:?}");
    let refused: Vec<_> = replies.iter().filter(|(reply, _)| reply.status != 200).collect();
    for (reply, _) in &refused {
        assert!(reply.header("retry-after").is_some(), "{}", reply.text());
        assert_eq!(reply.json()["code"], "upstream_rate_limited", "{}", reply.text());
    }
    let at_once = refused.iter().filter(|(_, after)| *after < Duration::from_secs(3)).count();
    assert!(at_once * 10 >= refused.len() * 8, "{at_once} of {} were refused at once", refused.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deadline_that_cannot_be_met_is_refused_at_once() {
    let gateway = gateway().await;
    let upstream = strict(4, Duration::from_secs(60)).await;
    let settings = json!({"url": upstream.url(), "requests": 4, "per_seconds": 60, "timeout": 2000});
    gateway.connect("c", "courteous", settings.clone()).await;
    let _ = gateway.api.get("/sites/c~first").await.is(200);
    let mut waits = Vec::new();
    for n in 0..10 {
        let started = Instant::now();
        let reply = gateway.api.get(&format!("/sites/c~late{n}")).await;
        waits.push(started.elapsed());
        let wait: u32 = reply.header("retry-after").expect("Retry-After").parse().expect("seconds");
        assert!((10..=21).contains(&wait), "{wait}");
        let problem = reply.problem(429, "upstream_rate_limited");
        assert!(problem["detail"].as_str().unwrap().contains("the upstream \"api\""), "{problem}");
    }
    // None at its deadline of two seconds, and not all of them as late as a busy machine can make one.
    let (quickest, slowest) = (waits.iter().min().unwrap(), waits.iter().max().unwrap());
    assert!(*quickest < Duration::from_millis(100) && *slowest < Duration::from_millis(1500), "{waits:?}");
    assert_eq!(upstream.seen().len(), 1);
    // Neither another name nor another deadline makes the upstream allow more.
    let changed =
        json!({"name": "renamed", "settings": {"url": upstream.url(), "requests": 4, "per_seconds": 60, "timeout": 1000}});
    let _ = gateway.api.json(Method::PATCH, "/connections/c", &[], &changed).await.is(200);
    gateway.api.get("/sites/c~again").await.problem(429, "upstream_rate_limited");
    assert_eq!(upstream.seen().len(), 1);
    let limits = limits(&gateway.api).await;
    assert_eq!((&limits["upstream"], &limits["rate"]), (&json!("api"), &json!({"requests": 4, "per_seconds": 60})));
    assert_eq!(limits["breaker"], json!({"state": "closed", "until": null}));
    let labels = ["provider=\"courteous\"", "reason=\"rate\""];
    assert!(gateway.metric("portico_upstream_refused_total", &labels).await >= 11.0);
}

/// More calls than an organization may have at once wait for one host; another of its hosts is read all the while.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_that_hangs_leaves_the_others_room() {
    // Long enough to look at those who wait.
    let config =
        "[host]\nwait_ms = 20000\nwaiting_per_organization = 200\n[limits]\nin_flight_per_organization = 104\n".to_owned();
    let gateway = Gateway::start_with(Setup { config, guests: vec!["courteous"], ..Setup::default() }).await;
    let (silent, good) = (Upstream::start(|_| Answer::Never).await, Upstream::start(|_| Answer::Json(200, json!({}))).await);
    gateway.connect("c", "courteous", json!({"url": silent.url()})).await;
    gateway.connect("good", "courteous", json!({"url": good.url()})).await;
    let mut hanging = readers(&gateway.api, "x", 100);
    let calls = eventually("a full house", async || {
        let connection = gateway.api.get("/connections/c").await.is(200).json();
        (connection["calls"]["waiting"].as_u64()? >= 50).then(|| connection["calls"].clone())
    })
    .await;
    assert_eq!(calls["running"], 48, "of 64: {calls}");
    assert!(gateway.metric("portico_guest_calls_waiting", &["provider=\"courteous\""]).await >= 1.0);
    for n in 0..20 {
        let _ = gateway.api.get(&format!("/sites/good~{n}")).await.is(200);
    }
    // Others that want what one of them waits for take no room, and neither do those who wait for a turn at that host.
    let mut popular = JoinSet::new();
    for _ in 0..300 {
        let api = gateway.api.clone();
        popular.spawn(async move { api.get("/sites/c~x-1").await.status });
    }
    let all = async || (gateway.metric("portico_requests_in_flight", &[]).await >= 400.0).then_some(());
    eventually("all of them", all).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    for n in 20..40 {
        let _ = gateway.api.get(&format!("/sites/good~{n}")).await.is(200);
        let _ = gateway.api.get("/operations?limit=1").await.is(200);
    }
    // Nor do changes that stand there for a moment, which run in tasks of their own; a few don't get so far.
    for _ in 0..60 {
        let api = gateway.api.clone();
        popular.spawn(async move { api.post("/connections/c/test", &json!({})).await.status });
    }
    let all = async || (gateway.metric("portico_requests_in_flight", &[]).await >= 450.0).then_some(());
    eventually("those, too", all).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let renamed = gateway.api.json(Method::PATCH, "/connections/good", &[], &json!({"name": "Good"})).await;
    let _ = renamed.is(200);
    hanging.abort_all();
    popular.abort_all();
    while hanging.join_next().await.is_some() || popular.join_next().await.is_some() {}
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_upstream_says_is_left_is_kept() {
    let gateway = gateway().await;
    let upstream = Upstream::start(|_| {
        let headers = vec![("x-ratelimit-remaining", "0".to_owned()), ("x-ratelimit-reset", "1".to_owned())];
        Answer::Raw(200, headers, "{}".into())
    })
    .await;
    gateway.connect("c", "courteous", json!({"url": upstream.url()})).await;
    let _ = gateway.api.get("/sites/c~a").await.is(200);
    let started = Instant::now();
    let _ = gateway.api.get("/sites/c~b").await.is(200);
    assert!(started.elapsed() >= Duration::from_millis(800), "{:?}", started.elapsed());
    let limits = limits(&gateway.api).await;
    assert_eq!((&limits["remaining"], limits["reset_at"].is_string()), (&json!(0), true), "{limits}");
}

/// None of them is answered, so that all stay where they are.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_more_are_at_the_upstream_at_once_than_was_declared() {
    let gateway = gateway().await;
    let upstream = Upstream::start(|_| Answer::Never).await;
    gateway.connect("c", "courteous", json!({"url": upstream.url(), "concurrency": 2})).await;
    let reads = readers(&gateway.api, "x", 12);
    let told = eventually("all of them", async || {
        let told = limits(&gateway.api).await;
        (told["running"] == 2 && told["queued"] == 10 && upstream.seen().len() >= 2).then_some(told)
    })
    .await;
    assert_eq!((&told["concurrency"], upstream.seen().len()), (&json!(2), 2), "{told}");
    drop(reads);
}

/// An upstream whose status can be set; GETs and POSTs alike.
async fn moody() -> (Upstream, Arc<AtomicU16>) {
    let status = Arc::new(AtomicU16::new(200));
    let own = Arc::clone(&status);
    let upstream = Upstream::start(move |_| Answer::Json(own.load(Ordering::SeqCst), json!({}))).await;
    (upstream, status)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failing_upstream_is_left_alone_and_operations_wait_for_it() {
    let gateway = gateway().await;
    let (upstream, status) = moody().await;
    gateway.connect("c", "courteous", json!({"url": upstream.url()})).await;
    status.store(500, Ordering::SeqCst);
    // Until the circuit has been opened a few times, so that it stays open for long enough to look at.
    eventually("a circuit that is open for seconds", async || {
        let reply = gateway.api.get("/sites/c~x").await;
        assert!(reply.status.is_server_error(), "{}", reply.text());
        let wait: u32 = reply.header("retry-after")?.parse().ok()?;
        // Any other failure says to come back, too.
        (wait >= 3 && reply.text().contains("is open until")).then_some(())
    })
    .await;
    let before = upstream.seen().len();
    for n in 0..20 {
        let problem = gateway.api.get(&format!("/sites/c~{n}")).await.problem(503, "upstream_unavailable");
        assert!(problem["detail"].as_str().unwrap().contains("is open until"), "{problem}");
    }
    let limits = limits(&gateway.api).await;
    assert_eq!((&limits["breaker"]["state"], limits["breaker"]["until"].is_string()), (&json!("open"), true), "{limits}");
    assert_eq!(gateway.metric("portico_upstream_breakers", &["state=\"open\""]).await, 1.0);
    let line = gateway.logged(&["the circuit to an upstream opened", "it answered 500", "WARN"]).await;
    assert!(line.contains("organization=demo") && line.contains("connection=c") && line.contains("upstream=api"), "{line}");
    let headers = [("prefer", "respond-async")];
    let operation = gateway.api.send(Method::POST, "/sites/c~a/start", &headers, Bytes::new()).await.is(202).json();
    assert_eq!(upstream.seen().len(), before, "the upstream was left alone");
    status.store(200, Ordering::SeqCst);
    let path = format!("/operations/{}?wait=20s", operation["id"].as_str().unwrap());
    let ended = eventually("the end of the operation", async || {
        let now = gateway.api.get(&path).await.is(200).json();
        (!["queued", "running"].contains(&now["status"].as_str()?)).then_some(now)
    })
    .await;
    assert_eq!(ended["status"], "succeeded", "{ended}");
    assert_eq!(upstream.count(&Method::POST, "/sites/a/start"), 1);
    gateway.logged(&["the circuit to an upstream closed", "connection=c", "upstream=api", "INFO"]).await;
    let opened = gateway.log().matches("the circuit to an upstream opened").count();
    assert_eq!(opened, 1, "it is told once, and not each time that it is tried in vain");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_what_is_keyed_is_sent_twice() {
    let gateway = gateway().await;
    let posts = AtomicUsize::new(0);
    let upstream = Upstream::start(move |seen: &Seen| {
        let fails = seen.method == Method::POST && posts.fetch_add(1, Ordering::SeqCst).is_multiple_of(2);
        Answer::Json(if fails { 503 } else { 200 }, json!({}))
    })
    .await;
    gateway.connect("c", "courteous", json!({"url": upstream.url()})).await;
    let act = async |what: &str| gateway.api.send(Method::POST, what, &[("prefer", "wait=30")], Bytes::new()).await;
    let _ = act("/sites/c~a/stop").await.is(200);
    assert_eq!(upstream.count(&Method::POST, "/sites/a/stop"), 2, "the first one failed");
    let keys: Vec<_> = upstream.seen().iter().filter_map(|seen| seen.headers.get("idempotency-key").cloned()).collect();
    assert!(keys.len() == 2 && keys[0] == keys[1], "{keys:?}");
    let reply = act("/sites/c~a/start").await;
    assert!(!reply.status.is_success(), "{}", reply.text());
    assert_eq!(upstream.count(&Method::POST, "/sites/a/start"), 1);
    assert!(gateway.metric("portico_upstream_retries_total", &["provider=\"courteous\""]).await >= 1.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_holds_a_connection_back_is_shown_with_it() {
    let gateway = gateway().await;
    let upstream = Upstream::start(|seen| match seen.path.contains("slow") {
        true => Answer::After(Duration::from_secs(2), Box::new(Answer::Json(200, json!({})))),
        false => Answer::Raw(429, vec![("retry-after", "30".to_owned())], "{}".into()),
    })
    .await;
    gateway.connect("c", "courteous", json!({"url": upstream.url(), "timeout": 5000})).await;
    let before = limits(&gateway.api).await;
    assert_eq!(
        (&before["paused_until"], &before["running"], &before["queued"]),
        (&Value::Null, &json!(0), &json!(0)),
        "{before}"
    );
    assert!(before["concurrency"].as_u64() > Some(0) && before["retries_left"].is_u64(), "{before}");
    let api = gateway.api.clone();
    let slow = tokio::spawn(async move { api.get("/sites/c~slow").await });
    let running = async || (limits(&gateway.api).await["running"] == 1).then_some(());
    eventually("the request to be under way", running).await;
    gateway.api.get("/sites/c~a").await.problem(429, "upstream_rate_limited");
    let told = limits(&gateway.api).await;
    assert!(told["paused_until"].is_string(), "{told}");
    let sent = upstream.seen().len();
    gateway.api.get("/sites/c~b").await.problem(429, "upstream_rate_limited");
    assert_eq!(upstream.seen().len(), sent, "it wasn't left alone");
    drop(slow.await);
    assert_eq!(limits(&gateway.api).await["running"], 0);
}
