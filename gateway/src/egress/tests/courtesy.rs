//! Courtesy over real connections: retries and their budget, circuits, and what upstreams say of their limits.

use super::{server::ok, *};
use crate::model::Kind;
use http::{Method, Response};
use http_body_util::Full;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

fn answer(status: u16, headers: &[(&'static str, &str)]) -> Response<Full<Bytes>> {
    let mut answer = ok("");
    *answer.status_mut() = http::StatusCode::from_u16(status).unwrap();
    for (name, value) in headers {
        answer.headers_mut().insert(*name, value.parse().unwrap());
    }
    answer
}

/// The first answer is this one, the others are 200.
async fn once(status: u16, headers: &'static [(&'static str, &'static str)]) -> Arc<Server> {
    let asked = AtomicUsize::new(0);
    Server::http(move |_| if asked.fetch_add(1, Ordering::SeqCst) == 0 { answer(status, headers) } else { ok("") }).await
}

#[tokio::test]
async fn what_failed_for_a_moment_is_tried_again_where_that_is_harmless() {
    let unasked = [(Method::GET, false, 2), (Method::HEAD, false, 2), (Method::POST, true, 2), (Method::POST, false, 1)];
    for (method, keyed, sent) in unasked {
        let server = once(503, &[]).await;
        let journal = Journal::new(&server, false);
        let upstreams = bound(upstream(&server.url()));
        let asked = Request { keyed, ..request(method.clone(), &["a"]) };
        let response = upstreams.send(asked, &changing(&journal)).await.unwrap();
        let expected = (if sent == 2 { 200 } else { 503 }, sent);
        assert_eq!((response.status, server.seen().len()), expected, "{method} keyed={keyed}");
        assert_eq!(journal.entries().len(), usize::from(method == Method::POST), "one intent for both");
    }
    for status in [400, 404, 409, 429, 500, 501, 502, 504] {
        let server = once(status, &[]).await;
        let response = bound(upstream(&server.url())).send(get(&[]), &reading()).await.unwrap();
        assert_eq!((response.status, server.seen().len()), (status, 1), "that may have been carried out, or won't change");
    }
}

#[tokio::test]
async fn a_change_that_was_answered_429_each_time_is_known_to_be_undone() {
    // Of a keyed request, which is sent again after 503.
    for (statuses, declined) in [(&[429][..], 1), (&[503, 429], 0), (&[200], 0), (&[500], 0)] {
        let asked = AtomicUsize::new(0);
        let server = Server::http(move |_| answer(statuses[asked.fetch_add(1, Ordering::SeqCst)], &[])).await;
        let journal = Journal::new(&server, false);
        let sent = Request { keyed: true, ..request(Method::POST, &["a"]) };
        bound(upstream(&server.url())).send(sent, &changing(&journal)).await.unwrap();
        assert_eq!((journal.declined.load(Ordering::SeqCst), server.seen().len()), (declined, statuses.len()), "{statuses:?}");
    }
}

#[tokio::test]
async fn a_short_retry_after_is_waited_for_in_both_forms() {
    for status in [429, 503] {
        let server = once(status, &[("retry-after", "1")]).await;
        let started = Instant::now();
        let response = bound(upstream(&server.url())).send(get(&[]), &reading()).await.unwrap();
        assert_eq!((response.status, server.seen().len()), (200, 2));
        assert!(started.elapsed() >= Duration::from_secs(1), "{:?}", started.elapsed());
    }
    let date = &[("date", "Wed, 21 Oct 2026 07:28:00 GMT"), ("retry-after", "Wed, 21 Oct 2026 07:28:01 GMT")];
    let server = once(429, date).await;
    let started = Instant::now();
    assert_eq!(bound(upstream(&server.url())).send(get(&[]), &reading()).await.unwrap().status, 200);
    assert!(started.elapsed() >= Duration::from_secs(1), "{:?}", started.elapsed());
}

#[tokio::test]
async fn a_retry_that_would_be_too_late_gives_the_answer_that_is_there() {
    let server = once(429, &[("retry-after", "2")]).await;
    let context = SendContext { deadline: Instant::now() + Duration::from_secs(1), ..reading() };
    let response = bound(upstream(&server.url())).send(get(&[]), &context).await.unwrap();
    assert_eq!((response.status, server.seen().len()), (429, 1));
}

#[tokio::test]
async fn retries_are_a_tenth_of_the_calls_at_most() {
    let asked = AtomicUsize::new(0);
    // Fewer than half: the circuit stays closed.
    let server =
        Server::http(move |_| if asked.fetch_add(1, Ordering::SeqCst).is_multiple_of(3) { answer(503, &[]) } else { ok("") })
            .await;
    let upstreams = bound(upstream(&server.url()));
    for _ in 0..100 {
        upstreams.send(get(&[]), &reading()).await.unwrap();
    }
    let seen = server.seen().len();
    assert!((105..=111).contains(&seen), "{seen} requests for 100 calls: a tenth more, and one");
}

/// The connection is well, so each request is one that broke off on a connection that has answered before.
#[tokio::test]
async fn requests_that_are_reset_on_a_shared_connection_are_sent_again_within_the_budget() {
    let authority = trust::Authority::new();
    let asked = AtomicUsize::new(0);
    let answer = move |_: &server::Seen| if asked.fetch_add(1, Ordering::SeqCst) == 0 { ok("") } else { server::reset() };
    let server = Server::https(authority.server("127.0.0.1", false).0, answer).await;
    let upstreams = trust::bind_tls(server.port, TlsTrust { ca: Some(authority.pem()), fingerprint: None });
    upstreams.send(get(&[]), &reading()).await.unwrap();
    // Too few to open the circuit.
    for _ in 0..3 {
        assert_eq!(upstreams.send(get(&[]), &reading()).await.unwrap_err().kind, Kind::Unavailable);
    }
    assert_eq!(server.seen().len(), 5, "four calls, and the one retry that an upstream has from the start");
}

#[tokio::test]
async fn a_retry_earns_no_further_one() {
    let asked = AtomicUsize::new(0);
    // Every other one, the first of them.
    let server =
        Server::http(move |_| if asked.fetch_add(1, Ordering::SeqCst).is_multiple_of(2) { answer(503, &[]) } else { ok("") })
            .await;
    let config = EgressConfig { retry_percent: 50, ..EgressConfig::default() };
    let upstreams = bound_with(config, upstream(&server.url()), &[]);
    let mut statuses = Vec::new();
    for _ in 0..8 {
        statuses.push(upstreams.send(get(&[]), &reading()).await.unwrap().status);
    }
    // If retries earned, too, each of these calls could be tried again, and all would be well in the end.
    assert_eq!((statuses, server.seen().len()), (vec![200, 200, 503, 200, 200, 200, 503, 200], 12));
}

#[tokio::test]
async fn a_failing_upstream_is_left_alone_until_a_probe_finds_it_well() {
    let failing = Arc::new(AtomicBool::new(true));
    let seen = Arc::clone(&failing);
    let server = Server::http(move |_| if seen.load(Ordering::SeqCst) { answer(500, &[]) } else { ok("") }).await;
    let upstreams = bound(upstream(&server.url()));
    for _ in 0..5 {
        assert_eq!(upstreams.send(get(&[]), &reading()).await.unwrap().status, 500);
    }
    let started = Instant::now();
    for _ in 0..100 {
        let error = upstreams.send(get(&[]), &reading()).await.unwrap_err();
        assert_eq!((error.kind, error.retry_after.is_some()), (Kind::Unavailable, true), "{error}");
    }
    assert!(started.elapsed() < Duration::from_millis(500), "{:?}", started.elapsed());
    assert_eq!(server.seen().len(), 5, "it wasn't touched");
    failing.store(false, Ordering::SeqCst);
    tokio::time::sleep(Duration::from_millis(1300)).await;
    assert_eq!(upstreams.send(get(&[]), &reading()).await.unwrap().status, 200);
    assert_eq!(upstreams.limits()[0].breaker.state, BreakerState::Closed);
}

#[tokio::test]
async fn an_upstream_that_says_nothing_is_left_is_left_alone() {
    for headers in [
        &[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1")][..],
        &[("ratelimit", "\"default\";r=0;t=1")],
        &[("ratelimit-remaining", "0"), ("ratelimit-reset", "1")],
    ] {
        let server = Server::http(move |_| answer(200, headers)).await;
        let upstreams = bound(upstream(&server.url()));
        upstreams.send(get(&[]), &reading()).await.unwrap();
        let started = Instant::now();
        let soon = SendContext { deadline: Instant::now() + Duration::from_millis(300), ..reading() };
        let error = upstreams.send(get(&[]), &soon).await.unwrap_err();
        // It comes back a little later than it may.
        assert_eq!((error.kind, matches!(error.retry_after, Some(1 | 2))), (Kind::RateLimited, true), "{error:?}");
        assert!(started.elapsed() < Duration::from_millis(100), "refused at once: {:?}", started.elapsed());
        assert_eq!(upstreams.limits()[0].remaining, Some(0));
        upstreams.send(get(&[]), &reading()).await.unwrap();
        assert!(started.elapsed() >= Duration::from_millis(900), "{:?}", started.elapsed());
        assert_eq!(server.seen().len(), 2);
    }
}

#[tokio::test]
async fn limits_outlive_the_revisions_of_a_connection() {
    let server = Server::http(|_| ok("")).await;
    let egress = egress(EgressConfig::default(), &[LOOPBACK]);
    let rate = Some(crate::model::Rate { requests: 1, per_seconds: 60 });
    let declaration = [UpstreamDeclaration { rate, ..upstream(&server.url()) }];
    let spec = connection(&[]);
    let first = egress.bind(&spec, &COMPONENT, &declaration).unwrap();
    first.send(get(&[]), &reading()).await.unwrap();
    drop(first);
    let revised = ConnectionSpec { revision: 2, ..spec.clone() };
    let second = egress.bind(&revised, &COMPONENT, &declaration).unwrap();
    assert_eq!(second.send(get(&[]), &reading()).await.unwrap_err().kind, Kind::RateLimited);
    let other = egress.bind(&connection(&[]), &COMPONENT, &declaration).unwrap();
    other.send(get(&[]), &reading()).await.expect("another connection has limits of its own");
    egress.forget(spec.id);
    let again = egress.bind(&revised, &COMPONENT, &declaration).unwrap();
    again.send(get(&[]), &reading()).await.expect("a deleted one leaves nothing behind");
}

#[tokio::test]
async fn a_429_without_a_word_pauses_the_connection_for_a_moment() {
    let server = once(429, &[]).await;
    let upstreams = bound(upstream(&server.url()));
    let started = Instant::now();
    assert_eq!(upstreams.send(get(&[]), &reading()).await.unwrap().status, 429);
    let soon = SendContext { deadline: started + Duration::from_millis(500), ..reading() };
    assert_eq!(upstreams.send(get(&[]), &soon).await.unwrap_err().kind, Kind::RateLimited);
    assert_eq!(server.seen().len(), 1);
    assert_eq!(upstreams.send(get(&[]), &reading()).await.unwrap().status, 200);
    assert!(started.elapsed() >= Duration::from_millis(750), "{:?}", started.elapsed());
}
