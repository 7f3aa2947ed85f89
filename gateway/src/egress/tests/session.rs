//! Session logins: who logs in, how often, and what becomes of it.

use super::{
    server::{Seen, ok, redirect},
    *,
};
use crate::model::{Rate, SessionAuth, Transfer, TransferPlace};
use http::{Method, Response, StatusCode};
use http_body_util::Full;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::net::TcpListener;

type Answer = Response<Full<Bytes>>;

const SECRETS: [(&str, &str); 2] = [("user", "me"), ("password", "correct-horse-battery")];

fn auth(token: Option<&str>, refresh: bool) -> SessionAuth {
    let path = |name: &str| vec!["auth".to_owned(), name.to_owned()];
    SessionAuth {
        login_path: path("login"),
        fields: vec![("name".to_owned(), "user".to_owned()), ("word".to_owned(), "password".to_owned())],
        extra: Some(r#"{"action":"login"}"#.to_owned()),
        token_pointer: token.map(str::to_owned),
        refresh_path: refresh.then(|| path("refresh")),
    }
}

fn declared(server: &Server, auth: SessionAuth) -> UpstreamDeclaration {
    UpstreamDeclaration { auth: Auth::Session(auth), ..upstream(&server.url()) }
}

fn client(server: &Server, auth: SessionAuth) -> Arc<Upstreams> {
    bound_with(EgressConfig::default(), declared(server, auth), &SECRETS)
}

fn answer(status: u16, fields: &[(&'static str, &str)], body: &str) -> Answer {
    let mut answer = ok(body.to_owned());
    *answer.status_mut() = StatusCode::from_u16(status).unwrap();
    for (name, value) in fields {
        answer.headers_mut().append(*name, value.parse().unwrap());
    }
    answer
}

fn header(seen: &Seen, name: &str) -> String {
    seen.0.headers.get(name).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default()
}

fn count(server: &Server, path: &str) -> usize {
    server.seen().iter().filter(|(parts, _)| parts.uri.path() == path).count()
}

/// Gives the session `number` to the login, or to a refresh.
fn cookie(number: usize) -> Answer {
    answer(200, &[("set-cookie", &format!("sid=session-{number}; Path=/; HttpOnly"))], "{}")
}

/// A server whose sessions up to `ended` are over.
struct House {
    logins: AtomicUsize,
    ended: AtomicUsize,
}

impl House {
    fn new() -> Arc<Self> {
        Arc::new(Self { logins: AtomicUsize::new(0), ended: AtomicUsize::new(0) })
    }

    async fn open(self: &Arc<Self>) -> Arc<Server> {
        let house = Arc::clone(self);
        Server::http(move |seen| house.answer(seen)).await
    }

    fn end_all(&self) {
        self.ended.store(self.logins.load(Ordering::SeqCst), Ordering::SeqCst);
    }

    fn answer(&self, seen: &Seen) -> Answer {
        match seen.0.uri.path() {
            "/auth/login" | "/auth/refresh" => cookie(self.logins.fetch_add(1, Ordering::SeqCst) + 1),
            _ => {
                let sid = header(seen, "cookie").strip_prefix("sid=session-").and_then(|number| number.parse().ok());
                let good = sid.is_some_and(|number: usize| number > self.ended.load(Ordering::SeqCst));
                if good { answer(200, &[("set-cookie", "other=x; Path=/elsewhere")], "{}") } else { answer(401, &[], "{}") }
            }
        }
    }
}

#[tokio::test]
async fn the_host_logs_in_and_guests_see_nothing_of_it() {
    let house = House::new();
    let server = house.open().await;
    let upstreams = client(&server, auth(None, false));
    for _ in 0..3 {
        let response = upstreams.send(get(&["sites"]), &reading()).await.unwrap();
        assert_eq!(response.status, 200);
        assert!(!response.headers.iter().any(|(name, _)| name.contains("cookie")), "{:?}", response.headers);
    }
    let seen = server.seen();
    assert_eq!(seen.len(), 4, "one login, three requests");
    let (login, body) = &seen[0];
    assert_eq!((login.method.as_str(), login.uri.path()), ("POST", "/auth/login"));
    assert_eq!(login.headers["content-type"], "application/json");
    let body: serde_json::Value = serde_json::from_slice(body).unwrap();
    assert_eq!(body, serde_json::json!({"action": "login", "name": "me", "word": "correct-horse-battery"}));
    assert!(seen[1..].iter().all(|seen| header(seen, "cookie") == "sid=session-1"));
}

#[tokio::test]
async fn a_token_is_sent_as_bearer_and_redacted_where_it_is_echoed() {
    let server = Server::http(|seen| match seen.0.uri.path() {
        "/auth/login" => answer(200, &[], r#"{"data": {"token": "jwt.with-a/slash"}}"#),
        _ => ok(format!("you sent {}", header(seen, "authorization"))),
    })
    .await;
    let upstreams = client(&server, auth(Some("/data/token"), false));
    let response = upstreams.send(get(&["sites"]), &reading()).await.unwrap();
    assert_eq!(response.body, "you sent Bearer [redacted]******");
    assert_eq!(header(&server.seen()[1], "authorization"), "Bearer jwt.with-a/slash");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_requests_that_meet_401_share_one_login() {
    for (refresh, concurrency) in [(false, None), (true, None), (false, Some(2))] {
        let house = House::new();
        let server = house.open().await;
        let declaration = UpstreamDeclaration { concurrency, ..declared(&server, auth(None, refresh)) };
        let upstreams = bound_with(EgressConfig::default(), declaration, &SECRETS);
        upstreams.send(get(&["sites"]), &reading()).await.unwrap();
        house.end_all();
        let calls = (0..100).map(|_| {
            let upstreams = Arc::clone(&upstreams);
            tokio::spawn(async move { upstreams.send(get(&["sites"]), &reading()).await.unwrap().status })
        });
        for call in calls.collect::<Vec<_>>() {
            assert_eq!(call.await.unwrap(), 200);
        }
        let asked = (count(&server, "/auth/login"), count(&server, "/auth/refresh"));
        assert_eq!(asked, if refresh { (1, 1) } else { (2, 0) }, "refresh={refresh} {concurrency:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_first_requests_share_one_login() {
    let house = House::new();
    let server = house.open().await;
    let upstreams = client(&server, auth(None, false));
    let calls = (0..100).map(|_| {
        let upstreams = Arc::clone(&upstreams);
        tokio::spawn(async move { upstreams.send(get(&["sites"]), &reading()).await.unwrap().status })
    });
    for call in calls.collect::<Vec<_>>() {
        assert_eq!(call.await.unwrap(), 200);
    }
    assert_eq!(count(&server, "/auth/login"), 1);
}

#[tokio::test]
async fn a_refresh_that_fails_or_does_not_help_ends_in_a_login() {
    for helps in [false, true] {
        let server = Server::http(move |seen| match (seen.0.uri.path(), header(seen, "cookie").as_str()) {
            ("/auth/login", _) => cookie(1),
            ("/auth/refresh", "sid=session-1") if helps => cookie(2),
            ("/auth/refresh", _) => answer(403, &[], "{}"),
            _ => answer(401, &[], "{}"),
        })
        .await;
        let upstreams = client(&server, auth(None, true));
        let response = upstreams.send(get(&["sites"]), &reading()).await.unwrap();
        assert_eq!(response.status, 401, "it is the guest's to read");
        assert_eq!((count(&server, "/sites"), count(&server, "/auth/refresh")), (2, 1), "once more, and no more");
        assert_eq!(count(&server, "/auth/login"), if helps { 1 } else { 2 });
        upstreams.send(get(&["sites"]), &reading()).await.unwrap();
        // What a refresh gave and was refused isn't refreshed again; what a login gave and was refused isn't asked for again.
        let asked = (count(&server, "/sites"), count(&server, "/auth/login"), count(&server, "/auth/refresh"));
        assert_eq!(asked, if helps { (4, 2, 2) } else { (3, 2, 1) });
    }
}

#[tokio::test]
async fn a_login_that_is_no_login_says_what_to_do() {
    for (reply, kind, words) in [
        (
            answer(401, &[], "{}"),
            Kind::Unauthenticated,
            "refused the login (401); check the connection's secrets user and password",
        ),
        (answer(400, &[], "{}"), Kind::Unauthenticated, "refused the login (400)"),
        (answer(403, &[], "{}"), Kind::Unauthenticated, "that the account isn't locked"),
        (answer(404, &[], "{}"), Kind::Unauthenticated, "knows no login at this address (404); check the address"),
        (
            answer(200, &[("content-type", "text/html; charset=utf-8"), ("set-cookie", "a=1; Path=/")], "<html>"),
            Kind::Unauthenticated,
            "with a web page",
        ),
        (answer(200, &[], "{}"), Kind::Unauthenticated, "gave no session cookie"),
        (answer(200, &[("set-cookie", "a=1; Path=/; Secure")], "{}"), Kind::Unauthenticated, "can't be used over http"),
        (answer(200, &[("set-cookie", "a=1; Path=/; Domain=evil.example")], "{}"), Kind::Unauthenticated, "no session cookie"),
        (redirect(302, "https://evil.example/login"), Kind::Unauthenticated, "redirects the login elsewhere (302)"),
        (redirect(307, "/auth/login2"), Kind::Unauthenticated, "redirects the login elsewhere (307)"),
        (answer(429, &[("retry-after", "40")], ""), Kind::RateLimited, "takes no further login for now"),
        (answer(502, &[], "<html>"), Kind::Unavailable, "failed at the login (502)"),
    ] {
        let shown = format!("{reply:?}");
        let server = Server::http(move |_| reply.clone()).await;
        let upstreams = client(&server, auth(None, false));
        let error = upstreams.send(get(&["sites"]), &reading()).await.unwrap_err();
        assert_eq!(error.kind, kind, "{shown}: {error}");
        assert!(error.message.contains(words), "{error}");
        assert!(!format!("{error:?}").contains("correct-horse"), "{error:?}");
        // It isn't tried again at once: accounts are locked for less.
        upstreams.send(get(&["sites"]), &reading()).await.unwrap_err();
        assert_eq!(server.seen().len(), 1, "{shown}");
    }
    let tokens =
        [("[]", "/token"), (r#"{"token": 7}"#, "/token"), (r#"{"token": ""}"#, "/token"), ("no", "/token"), ("{}", "")];
    for (body, pointer) in tokens {
        let server = Server::http(move |_| ok(body)).await;
        let error = client(&server, auth(Some(pointer), false)).send(get(&["sites"]), &reading()).await.unwrap_err();
        assert!(error.message.contains("gave no session token"), "{body}: {error}");
    }
}

#[tokio::test]
async fn a_slow_login_ends_at_the_callers_deadline() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let declaration = UpstreamDeclaration { auth: Auth::Session(auth(None, false)), ..upstream(&url) };
    let upstreams = bound_with(EgressConfig { total_seconds: 1, ..EgressConfig::default() }, declaration, &SECRETS);
    let context = SendContext { deadline: Instant::now() + Duration::from_millis(50), ..reading() };
    let error = upstreams.send(get(&["sites"]), &context).await.unwrap_err();
    assert_eq!(error.kind, Kind::Timeout);
    assert!(error.message.starts_with("the login at 127.0.0.1:"), "{error}");
    let error = upstreams.send(get(&["sites"]), &reading()).await.unwrap_err();
    assert_eq!(error.kind, Kind::Timeout, "the login itself has an end");
}

#[tokio::test]
async fn a_change_is_recorded_after_the_login_and_sent_again_once_after_a_401() {
    let house = House::new();
    let server = house.open().await;
    let upstreams = client(&server, auth(None, false));
    let journal = Journal::new(&server, false);
    let post = || Request { body: Some(Bytes::from_static(b"{}")), ..request(Method::POST, &["sites"]) };
    upstreams.send(post(), &changing(&journal)).await.unwrap();
    assert_eq!(journal.entries()[0].1, 1, "the login came first");
    house.end_all();
    assert_eq!(upstreams.send(post(), &changing(&journal)).await.unwrap().status, 200);
    assert_eq!((count(&server, "/sites"), count(&server, "/auth/login"), journal.entries().len()), (3, 2, 2));
    // Without a session nothing is recorded, and nothing sent.
    let closed = Server::http(|_| answer(401, &[], "{}")).await;
    let journal = Journal::new(&closed, false);
    let error = client(&closed, auth(None, false)).send(post(), &changing(&journal)).await.unwrap_err();
    assert_eq!((error.kind, journal.entries().len(), count(&closed, "/sites")), (Kind::Unauthenticated, 0, 0));
}

#[tokio::test]
async fn a_change_whose_session_cannot_be_renewed_is_certainly_undone() {
    let logins = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&logins);
    let server = Server::http(move |seen| match seen.0.uri.path() {
        "/auth/login" if counted.fetch_add(1, Ordering::SeqCst) == 0 => cookie(1),
        "/auth/login" => answer(500, &[], ""),
        _ => answer(401, &[], "{}"),
    })
    .await;
    let journal = Journal::new(&server, false);
    let error =
        client(&server, auth(None, false)).send(request(Method::DELETE, &["a"]), &changing(&journal)).await.unwrap_err();
    assert_eq!((error.kind, journal.entries().len()), (Kind::Unauthenticated, 1), "{error}");
}

#[tokio::test]
async fn guests_cannot_ask_for_the_login_or_the_refresh() {
    let house = House::new();
    let server = house.open().await;
    let upstreams = client(&server, auth(None, true));
    let journal = Journal::new(&server, false);
    for path in [&["auth", "login"][..], &["auth", "login", ""], &["auth", "LOGIN"], &["auth", "refresh"]] {
        for method in [Method::GET, Method::POST] {
            let error = upstreams.send(request(method, path), &changing(&journal)).await.unwrap_err();
            assert_eq!((error.kind, error.code()), (Kind::Forbidden, "request_refused"), "{path:?}");
        }
    }
    assert!(server.seen().is_empty() && journal.entries().is_empty());
    assert_eq!(upstreams.send(get(&["auth", "me"]), &reading()).await.unwrap().status, 200);
}

#[tokio::test]
async fn a_redirect_to_the_login_is_not_followed() {
    let server = Server::http(|seen| match seen.0.uri.path() {
        "/auth/login" => cookie(1),
        _ => redirect(302, "/auth/login?next=/sites"),
    })
    .await;
    assert_eq!(client(&server, auth(None, false)).send(get(&["sites"]), &reading()).await.unwrap().status, 302);
    assert_eq!(server.seen().len(), 2);
}

#[tokio::test]
async fn logins_count_against_the_rate_and_are_counted() {
    let house = House::new();
    let server = house.open().await;
    let rate = Some(Rate { requests: 4, per_seconds: 3600 });
    let metrics = Arc::new(Metrics::new().unwrap());
    let egress = Egress::new(EgressConfig::default(), vec![grant(LOOPBACK)], Arc::clone(&metrics)).unwrap();
    let declaration = UpstreamDeclaration { rate, ..declared(&server, auth(None, false)) };
    let upstreams = egress.bind(&connection(&SECRETS), &COMPONENT, &[declaration]).unwrap();
    // A quarter of the rate may leave at once: that is the call's own turn, so its login is too much.
    let error = upstreams.send(get(&["sites"]), &reading()).await.unwrap_err();
    assert_eq!((error.kind, server.seen().len()), (Kind::RateLimited, 0));
    let text = String::from_utf8(metrics.render().unwrap()).unwrap();
    assert!(text.contains("portico_upstream_logins_total{outcome=\"failed\",provider=\"kinsta\"} 1"), "{text}");
    assert!(!text.contains("correct-horse"));
}

#[tokio::test]
async fn cookies_of_later_answers_are_kept() {
    let server = Server::http(|seen| match seen.0.uri.path() {
        "/auth/login" => cookie(1),
        _ => answer(200, &[("set-cookie", "sid=rolling-0001; Path=/")], &header(seen, "cookie")),
    })
    .await;
    let upstreams = client(&server, auth(None, false));
    upstreams.send(get(&["a"]), &reading()).await.unwrap();
    let second = upstreams.send(get(&["a"]), &reading()).await.unwrap();
    assert_eq!(header(&server.seen()[2], "cookie"), "sid=rolling-0001");
    assert_eq!(second.body, "sid=[redacted]**");
}

/// Its bytes can't be sent a second time, but those of the next try meet a session that is there.
#[tokio::test]
async fn an_upload_whose_session_had_ended_is_to_be_sent_again() {
    const BLOB: &[u8] = b"the bytes of a blob";
    let house = House::new();
    let server = house.open().await;
    let upstreams = client(&server, auth(None, false));
    let transfer = Transfer {
        place: TransferPlace::Upstream { name: "api".to_owned(), path: vec!["blob".to_owned()], query: Vec::new() },
        method: "POST".to_owned(),
        headers: Vec::new(),
        size: None,
        file_name: None,
    };
    let send = || {
        let expected = Expected { size: BLOB.len() as u64, blake3: blake3::hash(BLOB).into(), sha256: None };
        upstreams.upload(&transfer, expected, Full::new(Bytes::from_static(BLOB)))
    };
    send().await.unwrap();
    house.end_all();
    let Err(UploadError::Upstream(error)) = send().await else { panic!("it went through") };
    assert_eq!((error.kind, error.retry_after), (Kind::Unavailable, Some(1)), "{error}");
    send().await.unwrap();
    assert_eq!((count(&server, "/auth/login"), count(&server, "/blob")), (2, 3));
}

#[tokio::test]
async fn a_session_belongs_to_one_revision() {
    let house = House::new();
    let server = house.open().await;
    let egress = egress(EgressConfig::default(), &[LOOPBACK]);
    let spec = connection(&SECRETS);
    for expected in [1, 2] {
        let upstreams = egress.bind(&spec, &COMPONENT, &[declared(&server, auth(None, false))]).unwrap();
        upstreams.send(get(&["a"]), &reading()).await.unwrap();
        assert_eq!(count(&server, "/auth/login"), expected);
    }
}
