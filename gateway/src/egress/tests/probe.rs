//! Probes: what a customer is told about the way to an upstream.

use super::{server::ok, trust::Authority, *};
use crate::model::SessionAuth;
use tokio::net::TcpListener;

async fn last(upstreams: &Upstreams) -> (String, bool, String) {
    let checks = upstreams.probe("api").await.unwrap();
    let (last, before) = checks.split_last().unwrap();
    assert!(before.iter().all(|check| check.ok), "{checks:?}");
    (last.name.to_owned(), last.ok, last.detail.clone())
}

#[tokio::test]
async fn each_step_says_what_is_wrong() {
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let authority = Authority::new();
    let secure = Server::https(authority.server("127.0.0.1", false).0, |_| ok("")).await;
    let plain = Server::http(|_| ok("")).await;
    for (url, name, good, words) in [
        ("https://no-such-name.invalid".to_owned(), "dns", false, "can't be resolved; check it for typos"),
        (format!("http://{closed}"), "connect", false, "refuses connections; check the port"),
        (format!("https://127.0.0.1:{}", secure.port), "tls", false, "unknown issuer; give the authority in tls.ca, or pin"),
        (format!("https://127.0.0.1:{}", plain.port), "tls", false, "doesn't answer with TLS; check the port"),
        (plain.url(), "connect", true, "accepts connections"),
    ] {
        let (step, ok, detail) = last(&bound(upstream(&url))).await;
        assert_eq!((step.as_str(), ok), (name, good), "{url}: {detail}");
        assert!(detail.contains(words), "{detail}");
    }
    assert!(plain.seen().is_empty(), "nothing was asked");
}

#[tokio::test]
async fn a_session_is_probed_by_its_login_and_again_when_it_was_mended() {
    let mended = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let open = Arc::clone(&mended);
    let server = Server::http(move |_| {
        let mut answer = ok("{}");
        if open.load(std::sync::atomic::Ordering::SeqCst) {
            answer.headers_mut().insert("set-cookie", "sid=12345678; Path=/".parse().unwrap());
        } else {
            *answer.status_mut() = http::StatusCode::UNAUTHORIZED;
        }
        answer
    })
    .await;
    let auth = SessionAuth {
        login_path: vec!["login".to_owned()],
        fields: vec![("password".to_owned(), "password".to_owned())],
        extra: None,
        token_pointer: None,
        refresh_path: None,
    };
    let declaration = UpstreamDeclaration { auth: Auth::Session(auth), ..upstream(&server.url()) };
    let upstreams = bound_with(EgressConfig::default(), declaration, &[("password", "correct-horse-battery")]);
    let (step, good, detail) = last(&upstreams).await;
    assert_eq!((step.as_str(), good), ("login", false));
    assert!(detail.ends_with("refused the login (401); check the connection's secrets password"), "{detail}");
    mended.store(true, std::sync::atomic::Ordering::SeqCst);
    assert!(matches!(last(&upstreams).await, (step, true, _) if step == "login"));
}
