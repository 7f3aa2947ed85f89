//! Limits on requests, as clients meet them: rates with their headers, room, and time.
//!
//! Invariant: rates here are so slow that none comes back while a test runs, or the test waits as long as it is told to.

use bytes::Bytes;
use futures_util::future::join_all;
use http::Method;
use http_body_util::Empty;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use portico_tests::{Answer, Api, Gateway, Reply, Setup, Upstream, api::LIMIT_FIELDS, eventually, gateway::binary, wait_until};
use serde_json::json;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::{net::TcpStream, time::Instant};

/// A gateway with these lines under `[limits]`.
async fn limited(lines: &str) -> Gateway {
    let config = format!("[limits]\n{lines}\n");
    Gateway::start_with(Setup { config, guests: vec!["keyed"], ..Setup::default() }).await
}

/// A site that is read from memory, as the short way does: the first token was counted twice for it.
async fn kept(gateway: &Gateway) -> &'static str {
    const KEPT: &str = "/sites/kept~seed-00001";
    gateway.connect("kept", "sandbox", json!({"seed_sites": 1, "cache": {"sites.get": 3600}})).await;
    let _ = gateway.api.get(KEPT).await.is(200);
    KEPT
}

/// The policy, its limit and what is left of it, after all five headers were compared with each other.
#[track_caller]
fn left(reply: &Reply) -> (String, u64, u64) {
    let header = |name: &str| reply.header(name).unwrap_or_else(|| panic!("no {name}: {reply:?}")).to_owned();
    let number = |name: &str| header(name).parse::<u64>().unwrap_or_else(|_| panic!("{name}: {reply:?}"));
    let (limit, remaining) = (number("x-ratelimit-limit"), number("x-ratelimit-remaining"));
    #[expect(clippy::disallowed_methods, reason = "what the gateway tells is compared with the time of day")]
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock").as_secs();
    let reset = number("x-ratelimit-reset");
    assert!((now.saturating_sub(60)..=now + 3601).contains(&reset), "{reset} at {now}: {reply:?}");
    let (rate, policy) = (header("ratelimit"), header("ratelimit-policy"));
    let name = policy.split('"').nth(1).expect("a policy's name").to_owned();
    let window = policy.strip_prefix(&format!("\"{name}\";q={limit};w=")).unwrap_or_else(|| panic!("{policy} for {limit}"));
    assert!([1, 60, 3600].contains(&window.parse().expect("seconds")), "{policy}");
    let wait = rate.strip_prefix(&format!("\"{name}\";r={remaining};t=")).unwrap_or_else(|| panic!("{rate} for {remaining}"));
    assert!((1..=3600).contains(&wait.parse().expect("seconds")), "{rate}");
    (name, limit, remaining)
}

/// 429, and after how many seconds to come back.
#[track_caller]
fn refused(reply: Reply, policy: &str) -> u64 {
    let (name, _, remaining) = left(&reply);
    assert_eq!((name.as_str(), remaining), (policy, 0));
    let wait = reply.header("retry-after").and_then(|value| value.parse().ok()).expect("when to come back");
    let rate = reply.header("ratelimit").expect("what is left").to_owned();
    let problem = reply.problem(429, "rate_limited");
    assert_eq!(problem["retry_after"], wait, "{problem}");
    assert!(problem["detail"].as_str().is_some_and(|detail| detail.contains(policy)), "{problem}");
    assert!(problem["request_id"].is_string() && problem["instance"].is_string(), "{problem}");
    assert!(rate.ends_with(&format!(";t={wait}")), "{rate}");
    wait
}

#[tokio::test]
async fn every_answer_tells_what_is_left_and_every_kind_counts() {
    let gateway = limited("ip = \"100/h\"\ntoken = \"50/h\"\norganization = \"80/h\"").await;
    let kept = kept(&gateway).await;
    let api = &gateway.api.with_token(&gateway.new_token("demo"));
    let send = async |method: Method, path: &str, headers: &[(&str, &str)]| api.send(method, path, headers, Bytes::new()).await;
    let list = api.get("/sites").await.is(200);
    let tag = list.header("etag").expect("an entity tag").to_owned();
    let made = json!({"id": "more", "provider": "sandbox", "name": "More"});
    let replies = [
        list,
        // From memory, and nothing at all.
        api.get("/sites").await.is(200),
        api.get(kept).await.is(200),
        api.get(kept).await.is(200),
        send(Method::GET, "/sites", &[("if-none-match", &tag)]).await.is(304),
        send(Method::HEAD, "/sites", &[]).await.is(200),
        api.get("/sites/sandbox~nope").await.is(404),
        api.get("/nothing/here").await.is(404),
        send(Method::PUT, "/sites", &[]).await.is(405),
        api.get("/sites?limit=x").await.is(422),
        api.post("/connections", &made).await.is(201),
        api.delete("/connections/more").await.is(204),
        api.get("/operations/op_0000").await.is(400),
    ];
    for (number, reply) in (1..).zip(&replies) {
        assert_eq!(left(reply), ("token".to_owned(), 50, 50 - number), "{reply:?}");
    }
    // A stream counts once, when it begins.
    let stream = api.watch("/events", &[]).await;
    assert_eq!(stream.headers["x-ratelimit-remaining"], "36");
    assert_eq!(left(&api.get("/sites").await.is(200)), ("token".to_owned(), 50, 35));
    drop(stream);
    // So does a request that waits.
    let body = json!({"connection": "sandbox", "name": "Slow"});
    let made = api.json(Method::POST, "/sites", &[("prefer", "respond-async")], &body).await.is(202);
    assert_eq!(left(&made), ("token".to_owned(), 50, 34));
    let path = format!("/operations/{}?wait=5s", made.json()["id"].as_str().expect("an id"));
    assert_eq!(left(&api.get(&path).await.is(200)), ("token".to_owned(), 50, 33));
    // Who has no token has only an address.
    let stranger = Api::new(gateway.api_address, None);
    let first = left(&stranger.get("/api/v1/sites").await.is(401)).2;
    for (number, path) in (1..).zip(["/docs", "/openapi.json", "/api/v1/sites"]) {
        assert_eq!(left(&stranger.get(path).await), ("ip".to_owned(), 100, first - number), "{path}");
    }
}

#[tokio::test]
async fn who_is_refused_is_served_after_the_time_that_was_told() {
    let gateway = limited("token = \"30/min\"").await;
    let kept = kept(&gateway).await;
    let api = gateway.api.with_token(&gateway.new_token("demo"));
    let mut answers = 0;
    let wait = loop {
        let reply = api.get(kept).await;
        if reply.status == 429 {
            break refused(reply, "token");
        }
        answers += 1;
        assert!(answers < 300, "thirty a minute are not three hundred");
    };
    assert!(answers >= 30 && wait <= 2, "{answers} answers, {wait} s");
    tokio::time::sleep(Duration::from_secs(wait)).await;
    let _ = api.get(kept).await.is(200);
    assert!(gateway.metric("portico_requests_refused_total", &["policy=\"token\""]).await >= 1.0);
}

#[tokio::test]
async fn an_address_is_limited_before_its_credential_is_looked_at() {
    let gateway = limited("ip = \"3/h\"").await;
    let stranger = Api::new(gateway.api_address, None);
    for _ in 0..3 {
        stranger.get("/api/v1/sites").await.problem(401, "unauthenticated");
    }
    refused(stranger.get("/api/v1/sites").await, "ip");
    refused(gateway.api.get("/sites").await, "ip");
    refused(stranger.get("/docs").await, "ip");
    // Operators are let in, and load balancers: they ask from where clients' requests come.
    let _ = gateway.admin.get("/livez").await.is(200);
    assert_eq!(left(&stranger.get("/livez").await.is(200)), ("ip".to_owned(), 3, 0));
}

#[tokio::test]
async fn tokens_share_the_limit_of_their_organization() {
    let gateway = limited("token = \"2/h\"\norganization = \"7/h\"").await;
    let kept = kept(&gateway).await;
    let [first, second, third] = [0; 3].map(|_| gateway.api.with_token(&gateway.new_token("demo")));
    let get = async |api: &Api| api.get(kept).await;
    for _ in 0..2 {
        let _ = get(&first).await.is(200);
    }
    // What a token's own limit refuses takes nothing of the organization's.
    for _ in 0..5 {
        refused(get(&first).await, "token");
    }
    for _ in 0..2 {
        let _ = get(&second).await.is(200);
    }
    assert_eq!(left(&get(&third).await.is(200)), ("organization".to_owned(), 7, 0));
    refused(get(&third).await, "organization");
    let other = gateway.api.with_token(&gateway.new_token("other"));
    assert_eq!(left(&get(&other).await.is(404)), ("token".to_owned(), 2, 1));
}

#[tokio::test]
async fn logins_have_a_limit_that_nothing_else_uses_up() {
    let gateway = limited("login = \"3/h\"\n[server]\ntrusted_proxies = [\"127.0.0.1\"]").await;
    let stranger = Api::new(gateway.api_address, None);
    let ask = async |door: &str, from: &str, password: &str| {
        let body = json!({"email": "anna@example.com", "password": password});
        let headers = [("sec-fetch-site", "same-origin"), ("x-forwarded-for", from)];
        stranger.json(Method::POST, &format!("/api/v1/auth/{door}"), &headers, &body).await
    };
    const RIGHT: &str = "several words that I remember";
    const HERE: &str = "198.51.100.1";
    // Who registers has a password hashed as well.
    let registered = ask("register", HERE, RIGHT).await.is(201);
    assert_eq!(left(&registered), ("login".to_owned(), 3, 2));
    let cookie = registered.header("set-cookie").and_then(|cookie| cookie.split(';').next()).expect("a session").to_owned();
    // Another site's page can't use up its visitor's attempts.
    for _ in 0..4 {
        let headers = [("sec-fetch-site", "cross-site"), ("origin", "https://evil.example"), ("x-forwarded-for", HERE)];
        let body = json!({"email": "a@example.com", "password": "x"});
        let login = stranger.json(Method::POST, "/api/v1/auth/login", &headers, &body).await;
        assert_ne!(left(&login.is(403)).0, "login");
    }
    // Right and wrong ones count, and from the third on nobody looks which it is.
    assert_eq!(left(&ask("login", HERE, RIGHT).await.is(200)), ("login".to_owned(), 3, 1));
    assert_eq!(left(&ask("login", HERE, "a wrong password").await.is(401)), ("login".to_owned(), 3, 0));
    refused(ask("login", HERE, RIGHT).await, "login");
    assert_eq!(gateway.metric("portico_requests_refused_total", &["policy=\"login\""]).await, 1.0);
    // The same client goes on with everything else, and others log in.
    let session = [("cookie", cookie.as_str()), ("x-forwarded-for", HERE)];
    let me = stranger.send(Method::GET, "/api/v1/auth/me", &session, Bytes::new()).await.is(200);
    assert_ne!(left(&me).0, "login");
    let sites = gateway.api.send(Method::GET, "/sites", &[("x-forwarded-for", HERE)], Bytes::new()).await.is(200);
    assert_ne!(left(&sites).0, "login");
    assert_eq!(left(&ask("login", "203.0.113.7", RIGHT).await.is(200)), ("login".to_owned(), 3, 2));
}

#[tokio::test]
async fn what_is_off_is_not_told() {
    let off = |name: &str| (format!("PORTICO_LIMITS__{name}"), "off".to_owned());
    let environment = ["IP", "TOKEN", "ORGANIZATION", "LOGIN"].map(off).to_vec();
    let gateway = Gateway::start_with(Setup { environment, ..Setup::default() }).await;
    let (api, stranger) = (gateway.api.unlimited(), Api::new(gateway.api_address, None).unlimited());
    for reply in [api.get("/sites").await.is(200), stranger.get("/api/v1/sites").await.is(401), stranger.get("/docs").await] {
        assert!(LIMIT_FIELDS.iter().all(|name| reply.header(name).is_none()), "{reply:?}");
    }
}

#[tokio::test]
async fn a_rate_that_is_none_is_refused_at_start() {
    let folder = tempfile::tempdir().expect("a folder");
    for (key, value) in [("TOKEN", "600 a minute"), ("IP", "5"), ("LOGIN", "0/s"), ("WAITING", "0")] {
        let mut command = tokio::process::Command::new(binary());
        command.arg("serve").env(format!("PORTICO_LIMITS__{key}"), value).current_dir(folder.path());
        let output = command.output().await.expect("portico runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && said.contains(&format!("limits.{}", key.to_lowercase())), "{key}={value}: {said}");
        assert!(key == "WAITING" || said.contains("600/min"), "{key}={value}: {said}");
    }
}

#[tokio::test]
async fn a_full_gateway_refuses_at_once_and_still_tells_how_operations_are() {
    const SLOW: Duration = Duration::from_secs(3);
    let upstream = Upstream::start(|_| Answer::After(SLOW, Box::new(Answer::Json(200, json!("slow"))))).await;
    let gateway = limited("in_flight = 4\nin_flight_per_organization = 8").await;
    let body = json!({"id": "slow", "provider": "keyed", "name": "Slow", "settings": {"url": upstream.url()},
        "secrets": {"api_key": "k"}});
    let _ = gateway.api.post("/connections", &body).await.is(201);
    let site = gateway.api.post("/sites", &json!({"connection": "sandbox", "name": "A"})).await.is(201).json();
    let operation = format!("/operations/{}", site["id"].as_str().expect("an operation"));
    let full = async {
        eventually("four requests at the host", async || (upstream.seen().len() >= 4).then_some(())).await;
        let started = Instant::now();
        let refusals = join_all((0..40).map(|_| gateway.api.get("/providers"))).await;
        let looked_up = join_all((0..4).map(|_| gateway.api.get(&operation))).await;
        let alive = gateway.admin.get("/livez").await;
        let _ = Api::new(gateway.api_address, None).get("/livez").await.is(200);
        (started.elapsed(), refusals, looked_up, alive)
    };
    let slow = join_all((0..4).map(async |number| {
        let reply = gateway.api.get(&format!("/sites/slow~{number}")).await;
        (Instant::now(), reply)
    }));
    let (slow, (took, refusals, looked_up, alive)) = tokio::join!(slow, full);
    for reply in refusals {
        assert!(reply.header("retry-after").is_some(), "{reply:?}");
        left(&reply);
        reply.problem(503, "overloaded");
    }
    for reply in looked_up {
        let _ = reply.is(200);
    }
    let _ = alive.is(200);
    assert!(took < SLOW, "refusals took {took:?}");
    for (_, reply) in slow {
        let _ = reply.is(200);
    }
    assert!(gateway.metric("portico_requests_refused_total", &["policy=\"in_flight\""]).await >= 40.0);
    let _ = gateway.api.get("/providers").await.is(200);
}

#[tokio::test]
async fn one_organization_does_not_take_all_the_room() {
    let upstream = Upstream::start(|_| Answer::After(Duration::from_secs(4), Box::new(Answer::Json(200, json!("slow"))))).await;
    let gateway = limited("in_flight = 16\nin_flight_per_organization = 2\ntoken = \"600/h\"").await;
    let other = gateway.api.with_token(&gateway.new_token("other"));
    let body = json!({"id": "slow", "provider": "keyed", "name": "Slow", "settings": {"url": upstream.url()},
        "secrets": {"api_key": "k"}});
    let _ = gateway.api.post("/connections", &body).await.is(201);
    let slow = join_all((0..2).map(async |number| gateway.api.get(&format!("/sites/slow~{number}")).await));
    let meanwhile = async {
        eventually("two requests at the host", async || (upstream.seen().len() >= 2).then_some(())).await;
        (gateway.api.get("/providers").await, gateway.api.get("/providers").await, other.get("/providers").await)
    };
    let (slow, (first, refused, served)) = tokio::join!(slow, meanwhile);
    assert!(refused.header("retry-after").is_some());
    // It counts for its token as any other.
    let left =
        |reply: &Reply| reply.header("x-ratelimit-remaining").and_then(|text| text.parse::<u32>().ok()).expect("a number");
    assert!(left(&refused) < left(&first), "{refused:?} after {first:?}");
    first.problem(503, "overloaded");
    refused.problem(503, "overloaded");
    let _ = served.is(200);
    for reply in slow {
        let _ = reply.is(200);
    }
}

/// A refusal by the stack costs as much as a cheap answer: of requests that come together, none goes there to find no place.
#[tokio::test]
async fn of_many_that_come_together_those_without_a_place_are_refused_at_the_door() {
    const TOGETHER: usize = 60;
    let upstream = Upstream::start(|_| Answer::After(Duration::from_secs(2), Box::new(Answer::Json(200, json!("slow"))))).await;
    // With a queue for turns, in which all may have to wait: too few for anybody to be refused there.
    let gateway = limited("in_flight = 96\nin_flight_per_organization = 2\ntoken = \"600/min\"\nqueue_ms = 1").await;
    let body = json!({"id": "slow", "provider": "keyed", "name": "Slow", "settings": {"url": upstream.url()},
        "secrets": {"api_key": "k"}});
    // It is known from now on, for some seconds.
    let _ = gateway.api.post("/connections", &body).await.is(201);
    let replies = join_all((0..TOGETHER).map(async |number| gateway.api.get(&format!("/sites/slow~{number}")).await)).await;
    let (served, refused): (Vec<_>, Vec<_>) = replies.into_iter().partition(|reply| reply.status == 200);
    assert_eq!(served.len(), 2);
    for reply in refused {
        assert!(reply.header("retry-after").is_some(), "{reply:?}");
        reply.problem(503, "overloaded");
    }
    let refused = async |route: &str| gateway.metric("portico_requests_total", &[route, "status=\"503\""]).await;
    assert_eq!(refused("route=\"unmatched\"").await, (TOGETHER - 2) as f64);
    assert_eq!(refused("route=\"/api/v1/sites/{site}\"").await, 0.0);
}

/// A burst of what is answered at once is no overload, however few places there are: who waits for a turn holds none.
#[tokio::test]
async fn a_burst_over_one_connection_is_served() {
    const TOGETHER: usize = 200;
    let gateway = limited("in_flight_per_organization = 16\ntoken = \"600/min\"\nqueue_ms = 1").await;
    let token = gateway.new_token("demo");
    // It is known from now on.
    let _ = gateway.api.with_token(&token).get("/providers").await.is(200);
    let stream = TcpStream::connect(gateway.api_address).await.expect("the gateway listens");
    let (sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.expect("HTTP/2");
    tokio::spawn(connection);
    let answers = join_all((0..TOGETHER).map(async |_| {
        let request = http::Request::get(format!("http://{}/api/v1/providers", gateway.api_address));
        let request = request.header("authorization", format!("Bearer {token}"));
        let answer = sender.clone().send_request(request.body(Empty::<Bytes>::new()).expect("a request")).await;
        answer.expect("an answer").status().as_u16()
    }));
    let (served, refused): (Vec<u16>, Vec<u16>) = answers.await.into_iter().partition(|status| *status == 200);
    // On a machine that is busy with something else some may not have had their turn in time, of which many are forgiven.
    let of_queue = gateway.metric("portico_requests_refused_total", &["policy=\"queue\""]).await;
    assert_eq!((refused.len() as f64, refused.iter().all(|status| *status == 503)), (of_queue, true), "{refused:?}");
    assert!(served.len() >= TOGETHER / 2, "{} were served", served.len());
}

#[tokio::test]
async fn who_waits_takes_no_room_and_too_many_do_not_wait() {
    let gateway = limited("in_flight = 1\nin_flight_per_organization = 1\nwaiting = 4").await;
    gateway.connect("busy", "sandbox", json!({"work_seconds": 5})).await;
    let create = async |name: &str| gateway.api.post("/sites", &json!({"connection": "busy", "name": name})).await;
    let meanwhile = async {
        let running = async || {
            // Only then is there no danger of taking the one place from it.
            if gateway.metric("portico_requests_in_flight", &[]).await < 1.0 {
                return None;
            }
            let list = gateway.api.get("/operations?connection=busy").await;
            if list.status == 200 { list.json()["data"][0]["id"].as_str().map(str::to_owned) } else { None }
        };
        let id = eventually("an operation that is waited for", running).await;
        // A long poll is the second that waits, and half of the places are taken by this organization; the third is answered at once,
        // with how it is.
        let path = format!("/operations/{id}?wait=30s");
        let poll = gateway.api.get(&path);
        let others = async {
            eventually("two that wait", async || {
                (gateway.metric("portico_requests_in_flight", &[]).await >= 2.0).then_some(())
            })
            .await;
            let list =
                eventually("room", async || Some(gateway.api.get("/sites").await).filter(|list| list.status == 200)).await;
            (list, gateway.api.get(&path).await)
        };
        tokio::join!(poll, others)
    };
    let (created, (polled, (listed, third))) = tokio::join!(create("A"), meanwhile);
    assert_eq!(created.is(201).json()["status"], "succeeded");
    assert_eq!(polled.is(200).json()["status"], "succeeded");
    let _ = listed.is(200);
    let third = third.is(200);
    assert!(third.header("retry-after").is_some() && third.json()["status"] != "succeeded", "{third:?}");
}

/// A change goes on when its client has left, and so it is one of those in progress.
#[tokio::test]
async fn changes_whose_clients_leave_keep_their_places() {
    let upstream = Upstream::start(|_| Answer::After(Duration::from_secs(7), Box::new(Answer::Json(200, json!("slow"))))).await;
    let gateway = limited("in_flight = 16\nin_flight_per_organization = 2\ntoken = \"600/min\"").await;
    let body = json!({"id": "slow", "provider": "keyed", "name": "Slow", "settings": {"url": upstream.url()},
        "secrets": {"api_key": "k"}});
    let _ = gateway.api.post("/connections", &body).await.is(201);
    for number in 1..=2 {
        let api = gateway.fresh_api();
        let body = json!({"connection": "slow", "plan": "starter"});
        let left = tokio::spawn(async move { api.post("/billing/checkout", &body).await });
        eventually("the change to be at the host", async || (upstream.seen().len() >= number).then_some(())).await;
        left.abort();
        let _ = left.await.expect_err("it left");
    }
    gateway.api.get("/providers").await.problem(503, "overloaded");
    let served = async || (gateway.api.get("/providers").await.status == 200).then_some(());
    wait_until("both to end", Duration::from_secs(30), served).await;
}

/// Whoever waits longer than a request may take is answered before, with where to look.
#[tokio::test]
async fn who_waits_is_answered_in_time() {
    let gateway = limited("request_seconds = 4").await;
    gateway.connect("slow", "sandbox", json!({"work_seconds": 60})).await;
    let body = json!({"connection": "slow", "name": "Slow"});
    let accepted = gateway.api.json(Method::POST, "/sites", &[("prefer", "wait=30")], &body).await.is(202);
    let operation = accepted.header("location").expect("where it is").to_owned();
    let polled = gateway.api.get(&format!("{operation}?wait=30s")).await.is(200);
    assert_eq!(polled.json()["id"], accepted.json()["id"]);
}

#[tokio::test]
async fn an_answer_that_does_not_come_is_given_up() {
    let upstream = Upstream::start(|_| Answer::Never).await;
    let gateway = limited("request_seconds = 1").await;
    let body = json!({"id": "dead", "provider": "keyed", "name": "Dead", "settings": {"url": upstream.url()},
        "secrets": {"api_key": "k"}});
    let _ = gateway.api.post("/connections", &body).await.is(201);
    let late = gateway.api.get("/sites/dead~1").await;
    left(&late);
    late.problem(504, "request_timeout");
    let _ = gateway.api.get("/providers").await.is(200);
}
