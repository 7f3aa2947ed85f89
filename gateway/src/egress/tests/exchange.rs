//! Requests and answers: what is sent, what comes back, and what is refused.

use super::{
    server::{ok, redirect},
    *,
};
use crate::model::Rate;
use http::{HeaderValue, Method};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

#[tokio::test]
async fn a_request_carries_the_credential_and_nothing_that_was_not_allowed() {
    let basic = Auth::Basic { username: "user".to_owned(), password: "key".to_owned() };
    let header = Auth::Header { name: "x-auth-token".to_owned(), secret: "key".to_owned() };
    for (auth, name, value) in [
        (Auth::Bearer("key".to_owned()), "authorization", "Bearer s3cret"),
        (Auth::ApiKey("key".to_owned()), "authorization", "ApiKey s3cret"),
        (basic, "authorization", "Basic bWU6czNjcmV0"),
        (header, "x-auth-token", "s3cret"),
    ] {
        let server = Server::http(|_| ok("{}")).await;
        let declaration = UpstreamDeclaration { auth, ..upstream(&format!("{}/v2/", server.url())) };
        let upstreams = bound_with(EgressConfig::default(), declaration, &[("key", "s3cret"), ("user", "me")]);
        let mut request = get(&["sites", "a b"]);
        request.query.push(("q".to_owned(), "1&2".to_owned()));
        request.headers.push(("Accept".to_owned(), "application/json".to_owned()));
        let response = upstreams.send(request, &reading()).await.unwrap();
        assert_eq!((response.status, &response.body[..]), (200, &b"{}"[..]));
        let (seen, _) = server.seen().remove(0);
        assert_eq!(seen.uri, "/v2/sites/a%20b?q=1%262");
        assert_eq!(seen.headers[name], value);
        assert_eq!(seen.headers["host"], format!("127.0.0.1:{}", server.port));
        let mut names: Vec<&str> = seen.headers.keys().map(|name| name.as_str()).collect();
        names.sort_unstable();
        let mut expected = vec!["accept", "host", "user-agent", name];
        expected.sort_unstable();
        assert_eq!(names, expected);
    }
}

#[tokio::test]
async fn what_would_break_out_is_refused_before_anything_is_sent() {
    let server = Server::http(|_| ok("")).await;
    let upstreams = bound(upstream(&server.url()));
    let with_header = |name: &str, value: &str| Request { headers: vec![(name.to_owned(), value.to_owned())], ..get(&[]) };
    for (request, kind) in [
        (get(&["..", "admin"]), Kind::InvalidInput),
        (get(&["a/../b"]), Kind::InvalidInput),
        (get(&["a\r\nhost: evil"]), Kind::InvalidInput),
        (with_header("host", "evil"), Kind::Forbidden),
        (with_header("content-length", "7"), Kind::Forbidden),
        (with_header("accept", "a\r\nx: y"), Kind::InvalidInput),
        (with_header("x-unknown", "y"), Kind::Forbidden),
        (Request { upstream: "other".to_owned(), ..get(&[]) }, Kind::Forbidden),
        (Request { body: Some(Bytes::from_static(b"x")), ..get(&[]) }, Kind::InvalidInput),
        (request(Method::OPTIONS, &[]), Kind::InvalidInput),
        (request(Method::POST, &[]), Kind::Forbidden),
        (request(Method::DELETE, &[]), Kind::Forbidden),
    ] {
        let shown = format!("{request:?}");
        let error = upstreams.send(request, &reading()).await.unwrap_err();
        assert_eq!(error.kind, kind, "{shown}: {error}");
        assert_eq!((error.connection.as_deref(), error.provider.as_deref()), (Some("main"), Some("kinsta")));
    }
    let other = Request { upstream: "other".to_owned(), ..get(&[]) };
    let error = upstreams.send(other, &reading()).await.unwrap_err();
    assert_eq!(error.message, "the upstream \"other\" isn't granted: configure() doesn't declare it; declared: api");
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn the_intent_is_committed_before_the_first_byte() {
    let server = Server::http(|_| ok("done")).await;
    let upstreams = bound(upstream(&server.url()));
    let journal = Journal::new(&server, false);
    let post =
        |body: &'static str| Request { body: Some(Bytes::from_static(body.as_bytes())), ..request(Method::POST, &["a"]) };
    for body in ["1", "2", "1"] {
        upstreams.send(post(body), &changing(&journal)).await.unwrap();
    }
    upstreams.send(get(&["a"]), &changing(&journal)).await.unwrap();
    let entries = journal.entries();
    assert_eq!(entries.iter().map(|(_, seen)| *seen).collect::<Vec<_>>(), [0, 1, 2], "reads have no intent");
    assert_eq!(entries[0].0, entries[2].0);
    assert_ne!(entries[0].0, entries[1].0);

    let failing = Journal::new(&server, true);
    let error = upstreams.send(post("3"), &changing(&failing)).await.unwrap_err();
    assert_eq!(error.kind, Kind::Gateway);
    assert_eq!((failing.entries().len(), server.seen().len()), (1, 4), "nothing was sent");
}

#[tokio::test]
async fn a_preparing_call_sends_post_and_nothing_else_that_changes() {
    let server = Server::http(|_| ok("done")).await;
    let upstreams = bound(upstream(&server.url()));
    upstreams.send(get(&["a"]), &preparing()).await.unwrap();
    upstreams.send(request(Method::POST, &["a"]), &preparing()).await.unwrap();
    for method in [Method::PUT, Method::PATCH, Method::DELETE] {
        let error = upstreams.send(request(method, &["a"]), &preparing()).await.unwrap_err();
        assert!(error.message.starts_with("a preparing call may not send"), "{error}");
    }
    let error = upstreams.start("key", request(Method::POST, &["a"]), &preparing()).await.unwrap_err();
    assert_eq!((error.kind, error.code()), (Kind::Forbidden, "request_refused"));
    assert_eq!(server.seen().len(), 2, "what was refused was not sent");
}

#[tokio::test]
async fn redirects_of_reads_are_followed_within_the_base_only() {
    let server = Server::http(|(parts, _)| match parts.uri.path() {
        "/v2/near" => redirect(302, "/v2/end"),
        "/v2/far" => redirect(302, "http://127.0.0.2:1/v2/end"),
        "/v2/up" => redirect(301, "/admin"),
        "/v2/loop" => redirect(307, "/v2/loop"),
        "/v2/end" => ok("end"),
        other => panic!("{other} was asked for"),
    })
    .await;
    let upstreams = bound(upstream(&format!("{}/v2", server.url())));
    for (path, status, requests) in [("near", 200, 2), ("far", 302, 1), ("up", 301, 1), ("loop", 307, 4), ("end", 200, 1)] {
        let before = server.seen().len();
        let response = upstreams.send(get(&[path]), &reading()).await.unwrap();
        assert_eq!((response.status, server.seen().len() - before), (status, requests), "{path}");
    }
    let journal = Journal::new(&server, false);
    let response = upstreams.send(request(Method::POST, &["near"]), &changing(&journal)).await.unwrap();
    assert_eq!(
        (response.status, response.headers.iter().any(|(name, value)| name == "location" && value == "/v2/end")),
        (302, true)
    );
}

#[tokio::test]
async fn answers_lose_credentials_and_echoed_secrets() {
    let server = Server::http(|(parts, _)| {
        let mut answer = ok(format!("you sent {}", parts.headers["authorization"].to_str().unwrap()));
        for (name, value) in [
            ("set-cookie", "session=1"),
            ("www-authenticate", "Basic"),
            ("authentication-info", "x"),
            ("retry-after", "Wed, 21 Oct 2026 07:28:00 GMT"),
            ("x-echo", "key=correct-horse-battery"),
        ] {
            answer.headers_mut().insert(name, value.parse().unwrap());
        }
        *answer.status_mut() = http::StatusCode::TOO_MANY_REQUESTS;
        answer
    })
    .await;
    let declaration = UpstreamDeclaration { auth: Auth::Bearer("key".to_owned()), ..upstream(&server.url()) };
    let upstreams = bound_with(EgressConfig::default(), declaration, &[("key", "correct-horse-battery")]);
    let response = upstreams.send(get(&[]), &reading()).await.unwrap();
    assert_eq!(response.status, 429);
    assert_eq!(response.body, "you sent Bearer [redacted]***********");
    let header = |name: &str| response.headers.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str());
    assert_eq!(header("retry-after"), Some("Wed, 21 Oct 2026 07:28:00 GMT"));
    assert_eq!(header("x-echo"), Some("key=[redacted]***********"));
    for name in ["set-cookie", "www-authenticate", "authentication-info"] {
        assert_eq!(header(name), None, "{name}");
    }
}

/// A line for each.
fn encoded(encodings: &[&'static str]) -> http::Response<http_body_util::Full<Bytes>> {
    let mut answer = ok("hidden");
    for encoding in encodings {
        answer.headers_mut().append("content-encoding", HeaderValue::from_static(encoding));
    }
    answer
}

#[tokio::test]
async fn sizes_are_capped_on_both_ways() {
    let server = Server::http(|(parts, _)| match parts.uri.path() {
        "/body" => ok(vec![b'x'; 1001]),
        "/headers" => {
            let mut answer = ok("");
            for index in 0..20 {
                answer.headers_mut().append("x-many", index.into());
            }
            answer
        }
        "/bytes" => {
            let mut answer = ok("");
            answer.headers_mut().append("x-long", "y".repeat(9000).parse().unwrap());
            answer
        }
        "/gzip" => encoded(&["gzip"]),
        "/behind" => encoded(&["identity", "gzip"]),
        "/listed" => encoded(&["identity, br"]),
        "/plain" => encoded(&["Identity", "identity"]),
        _ => ok(vec![b'x'; 1000]),
    })
    .await;
    let config = EgressConfig {
        response_body_bytes: 1000,
        request_body_bytes: 10,
        response_headers: 10,
        response_header_bytes: 8192,
        ..EgressConfig::default()
    };
    let upstreams = bound_with(config, upstream(&server.url()), &[]);
    assert_eq!(upstreams.send(get(&["fits"]), &reading()).await.unwrap().body.len(), 1000);
    assert_eq!(upstreams.send(get(&["plain"]), &reading()).await.unwrap().body, "hidden");
    for path in ["body", "headers", "bytes", "gzip", "behind", "listed"] {
        assert_eq!(upstreams.send(get(&[path]), &reading()).await.unwrap_err().kind, Kind::Internal, "{path}");
    }
    let before = server.seen().len();
    let long = Request { body: Some(Bytes::from_static(b"01234567890")), ..request(Method::PUT, &[]) };
    let error = upstreams.send(long, &changing(&Journal::new(&server, false))).await.unwrap_err();
    assert_eq!((error.kind, server.seen().len()), (Kind::InvalidInput, before));
}

#[tokio::test]
async fn a_silent_upstream_ends_at_the_shortest_deadline() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let upstreams = bound(upstream(&url));
    let request = Request { timeout: Some(Duration::from_millis(50)), ..get(&[]) };
    let error = upstreams.send(request, &reading()).await.unwrap_err();
    assert_eq!(error.kind, Kind::Timeout, "{error}");
    let context = SendContext { deadline: Instant::now() + Duration::from_millis(50), ..reading() };
    assert_eq!(upstreams.send(get(&[]), &context).await.unwrap_err().kind, Kind::Timeout);
}

#[tokio::test]
async fn nothing_there_is_unavailable_with_words() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let error = bound(upstream(&format!("http://{address}"))).send(get(&[]), &reading()).await.unwrap_err();
    assert_eq!(error.kind, Kind::Unavailable);
    assert_eq!(error.message, format!("{address} refuses connections; check the port, and that its service runs"));
}

/// Answers the first request of the first connection and closes it when the second arrives; later connections answer all.
async fn forgetful() -> (u16, Arc<std::sync::atomic::AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let requests = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counted = Arc::clone(&requests);
    tokio::spawn(async move {
        let mut buffer = [0; 4096];
        for connection in 0.. {
            let (mut stream, _) = listener.accept().await.unwrap();
            while stream.read(&mut buffer).await.unwrap() > 0 {
                let number = counted.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                if connection == 0 && number == 1 {
                    break;
                }
                stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
            }
        }
    });
    (port, requests)
}

#[tokio::test]
async fn a_stale_connection_is_retried_once_where_that_is_harmless() {
    let server = Server::http(|_| ok("")).await;
    for (method, keyed, good) in [(Method::GET, false, true), (Method::POST, true, true), (Method::POST, false, false)] {
        let (port, requests) = forgetful().await;
        let upstreams = bound(upstream(&format!("http://127.0.0.1:{port}")));
        upstreams.send(get(&[]), &reading()).await.unwrap();
        let second = Request { keyed, ..request(method.clone(), &[]) };
        let result = upstreams.send(second, &changing(&Journal::new(&server, false))).await;
        let count = requests.load(std::sync::atomic::Ordering::SeqCst);
        assert_eq!((result.is_ok(), count), (good, if good { 3 } else { 2 }), "{method} keyed={keyed}");
        if let Err(error) = result {
            assert_eq!(error.kind, Kind::Unavailable);
        }
    }
}

#[tokio::test]
async fn a_used_up_rate_is_refused_with_the_time_to_wait() {
    let server = Server::http(|_| ok("")).await;
    let rate = Some(Rate { requests: 1, per_seconds: 60 });
    let upstreams = bound(UpstreamDeclaration { rate, ..upstream(&server.url()) });
    upstreams.send(get(&[]), &reading()).await.unwrap();
    let error = upstreams.send(get(&[]), &reading()).await.unwrap_err();
    assert_eq!((error.kind, error.retry_after), (Kind::RateLimited, Some(61)));
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn an_upstream_that_asks_for_a_pause_gets_it() {
    for (status, kind) in [(429, Kind::RateLimited), (503, Kind::Unavailable)] {
        let server = Server::http(move |_| {
            let mut answer = redirect(status, "/");
            answer.headers_mut().insert("retry-after", 40.into());
            answer
        })
        .await;
        let upstreams = bound(upstream(&server.url()));
        assert_eq!(upstreams.send(get(&[]), &reading()).await.unwrap().status, status);
        let error = upstreams.send(get(&[]), &reading()).await.unwrap_err();
        assert_eq!(error.kind, kind);
        let wait = error.retry_after.unwrap();
        assert!((40..=44).contains(&wait), "never sooner than it asked, and a little later than others: {wait}");
        assert_eq!(error.message, format!("the upstream \"api\" asked to be left alone for {wait} s"));
        assert_eq!(server.seen().len(), 1, "the second wasn't sent");
    }
}

#[tokio::test]
async fn connections_are_kept_and_never_shared() {
    let server = Server::http(|_| ok("")).await;
    let egress = egress(EgressConfig::default(), &[LOOPBACK]);
    let declaration = [upstream(&server.url())];
    let first = egress.bind(&connection(&[]), &COMPONENT, &declaration).unwrap();
    let second = egress.bind(&connection(&[]), &COMPONENT, &declaration).unwrap();
    for _ in 0..3 {
        first.send(get(&[]), &reading()).await.unwrap();
    }
    assert_eq!(server.connections(), 1);
    second.send(get(&[]), &reading()).await.unwrap();
    assert_eq!(server.connections(), 2);
}

#[tokio::test]
async fn calls_are_counted_by_class_and_code() {
    let server = Server::http(|_| redirect(404, "/")).await;
    let metrics = Arc::new(Metrics::new().unwrap());
    let egress = Egress::new(EgressConfig::default(), vec![grant(LOOPBACK)], Arc::clone(&metrics)).unwrap();
    let upstreams = egress.bind(&connection(&[]), &COMPONENT, &[upstream(&server.url())]).unwrap();
    upstreams.send(get(&[]), &reading()).await.unwrap();
    upstreams.send(get(&[".."]), &reading()).await.unwrap_err();
    upstreams.send(request(Method::POST, &[]), &reading()).await.unwrap_err();
    let text = String::from_utf8(metrics.render().unwrap()).unwrap();
    for line in [
        "portico_upstream_calls_total{outcome=\"4xx\",provider=\"kinsta\"} 1",
        "portico_upstream_calls_total{outcome=\"invalid_input\",provider=\"kinsta\"} 1",
        "portico_upstream_calls_total{outcome=\"request_refused\",provider=\"kinsta\"} 1",
        "portico_upstream_seconds_count{provider=\"kinsta\"} 3",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
}
