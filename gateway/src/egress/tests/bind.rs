//! Binding: grants, secrets, URLs, sockets.

use super::{server::ok, *};
use crate::model::{Rate, SessionAuth};

fn bind(grants: &[&str], declaration: UpstreamDeclaration) -> Result<Arc<Upstreams>, Error> {
    egress(EgressConfig::default(), grants).bind(&connection(&[("key", "s3cret")]), &COMPONENT, &[declaration])
}

#[tokio::test]
async fn a_missing_grant_is_spelled_out() {
    let error = bind(&[], upstream("http://127.0.0.1:9000")).err().unwrap();
    assert_eq!((error.kind, error.code()), (Kind::Forbidden, "grant_missing"));
    let lines = error.message.split_once("configuration:\n").unwrap().1;
    assert!(error.message.starts_with("upstream \"api\": 127.0.0.1 is at a loopback address; "), "{error}");
    #[derive(serde::Deserialize)]
    struct File {
        grants: Vec<Grant>,
    }
    let file: File = toml::from_str(lines).unwrap();
    let egress = Egress::new(EgressConfig::default(), file.grants, Arc::new(Metrics::new().unwrap())).unwrap();
    assert!(egress.bind(&connection(&[]), &COMPONENT, &[upstream("http://127.0.0.1:9000")]).is_ok());
}

#[tokio::test]
async fn grants_cover_what_they_name() {
    let hash = "07".repeat(32);
    let private = "networks = [\"10.0.0.0/8\"]";
    for (grant, url, good) in [
        (String::new(), "https://api.example", true),
        (String::new(), "http://api.example", false),
        (String::new(), "https://10.1.2.3", false),
        (String::new(), "https://169.254.169.254", false),
        (String::new(), "https://[::1]", false),
        (String::new(), "https://[::ffff:10.1.2.3]", false),
        (String::new(), "https://0x7f.1", false),
        (String::new(), "https://2130706433", false),
        (format!("organization = \"acme\"\nprovider = \"kinsta\"\n{private}"), "https://10.1.2.3", true),
        (format!("organization = \"acme\"\nprovider = \"kinsta\"\n{private}"), "http://10.1.2.3", false),
        (format!("organization = \"acme\"\nprovider = \"kinsta\"\n{private}\nhttp = true"), "http://10.1.2.3", true),
        (format!("organization = \"*\"\nprovider = \"kinsta\"\n{private}"), "https://10.1.2.3", true),
        (format!("organization = \"other\"\nprovider = \"kinsta\"\n{private}"), "https://10.1.2.3", false),
        (format!("organization = \"*\"\nprovider = \"docker\"\n{private}"), "https://10.1.2.3", false),
        (format!("organization = \"*\"\nprovider = \"kinsta\"\nupstream = \"api\"\n{private}"), "https://10.1.2.3", true),
        (format!("organization = \"*\"\nprovider = \"kinsta\"\nupstream = \"b\"\n{private}"), "https://10.1.2.3", false),
        (format!("organization = \"*\"\nprovider = \"kinsta\"\ncomponent = \"{hash}\"\n{private}"), "https://10.1.2.3", true),
        (
            format!("organization = \"*\"\nprovider = \"kinsta\"\ncomponent = \"{}\"\n{private}", "a".repeat(64)),
            "https://10.1.2.3",
            false,
        ),
        ("organization = \"*\"\nprovider = \"kinsta\"\nhttp = true".to_owned(), "http://api.example", true),
    ] {
        let grants: Vec<&str> = [grant.as_str()].into_iter().filter(|grant| !grant.is_empty()).collect();
        let result = bind(&grants, upstream(url));
        assert_eq!(result.is_ok(), good, "{grant} {url}: {:?}", result.err());
    }
}

#[tokio::test]
async fn a_name_is_judged_by_what_it_resolves_to() {
    let server = Server::http(|_| ok("")).await;
    let public_http = "organization = \"acme\"\nprovider = \"kinsta\"\nhttp = true";
    let upstreams = bind(&[public_http], upstream(&format!("http://localhost:{}", server.port))).unwrap();
    let error = upstreams.send(get(&[]), &reading()).await.unwrap_err();
    assert_eq!((error.kind, error.code()), (Kind::Forbidden, "grant_missing"));
    assert_eq!(error.message, "localhost isn't at a public address; ask the operator for a grant with its network and http");
    assert!(error.internal.is_some_and(|internal| internal.contains("127.0.0.0/8")), "the log tells where it is");
    assert_eq!(server.connections(), 0);
    let upstreams = bind(&[LOOPBACK], upstream(&format!("http://localhost:{}", server.port))).unwrap();
    assert_eq!(upstreams.send(get(&[]), &reading()).await.unwrap().status, 200);
}

#[tokio::test]
async fn declarations_are_checked() {
    let plain = || SessionAuth {
        login_path: vec!["login".to_owned()],
        fields: vec![("password".to_owned(), "key".to_owned())],
        extra: None,
        token_pointer: None,
        refresh_path: None,
    };
    let good = || upstream("https://api.example");
    let session = |auth: SessionAuth| UpstreamDeclaration { auth: Auth::Session(auth), ..good() };
    let header = |name: &str| Auth::Header { name: name.to_owned(), secret: "key".to_owned() };
    for (declaration, kind) in [
        (good(), None),
        (upstream("https://api.example/base/path/"), None),
        (upstream("ftp://api.example"), Some(Kind::InvalidInput)),
        (upstream("api.example"), Some(Kind::InvalidInput)),
        (upstream("https://user:pass@api.example"), Some(Kind::InvalidInput)),
        (upstream("https://api.example?key=1"), Some(Kind::InvalidInput)),
        (upstream("https://api.example#x"), Some(Kind::InvalidInput)),
        (upstream("unix:///run/docker.sock"), Some(Kind::InvalidInput)),
        (UpstreamDeclaration { name: "A b".to_owned(), ..good() }, Some(Kind::Internal)),
        (UpstreamDeclaration { endpoint: Endpoint::Socket("engine".to_owned()), ..good() }, Some(Kind::Forbidden)),
        (UpstreamDeclaration { auth: Auth::Bearer("key".to_owned()), ..good() }, None),
        (UpstreamDeclaration { auth: Auth::Bearer("other".to_owned()), ..good() }, Some(Kind::Unauthenticated)),
        (UpstreamDeclaration { auth: header("x-key"), ..good() }, None),
        (UpstreamDeclaration { auth: header("host"), ..good() }, Some(Kind::Forbidden)),
        (session(plain()), None),
        (
            session(SessionAuth { fields: vec![("password".to_owned(), "other".to_owned())], ..plain() }),
            Some(Kind::Unauthenticated),
        ),
        (session(SessionAuth { login_path: Vec::new(), ..plain() }), Some(Kind::Internal)),
        (session(SessionAuth { login_path: vec!["..".to_owned()], ..plain() }), Some(Kind::InvalidInput)),
        (session(SessionAuth { refresh_path: Some(vec!["a/b".to_owned()]), ..plain() }), Some(Kind::InvalidInput)),
        (session(SessionAuth { extra: Some("{\"action\": \"login\"}".to_owned()), ..plain() }), None),
        (session(SessionAuth { extra: Some("[]".to_owned()), ..plain() }), Some(Kind::Internal)),
        (session(SessionAuth { token_pointer: Some("/token".to_owned()), ..plain() }), None),
        (session(SessionAuth { token_pointer: Some("token".to_owned()), ..plain() }), Some(Kind::Internal)),
        (UpstreamDeclaration { request_headers: vec!["x-version".to_owned()], ..good() }, None),
        (UpstreamDeclaration { request_headers: vec!["host".to_owned()], ..good() }, Some(Kind::Forbidden)),
        (UpstreamDeclaration { blob_origins: vec!["https://b.example".to_owned()], ..good() }, Some(Kind::Forbidden)),
        (UpstreamDeclaration { rate: Some(Rate { requests: 0, per_seconds: 0 }), concurrency: Some(0), ..good() }, None),
    ] {
        let shown = format!("{declaration:?}");
        assert_eq!(bind(&[], declaration).err().map(|error| error.kind), kind, "{shown}");
    }
    let missing = bind(&[], UpstreamDeclaration { auth: Auth::Bearer("api_key".to_owned()), ..good() }).err().unwrap();
    assert_eq!(missing.message, "the connection's secret api_key is missing; set it in the connection's secrets");
    let egress = egress(EgressConfig::default(), &[]);
    assert!(egress.bind(&connection(&[]), &COMPONENT, &[good(), good()]).is_err(), "names are unique");
    let line = connection(&[("key", "a\r\nb")]);
    let bearer = UpstreamDeclaration { auth: Auth::Bearer("key".to_owned()), ..good() };
    let error = egress.bind(&line, &COMPONENT, &[bearer]).err().unwrap();
    assert_eq!(error.message, "the secret key has characters that can't stand in a header");
}

#[tokio::test]
async fn a_granted_socket_is_reached_under_the_guard() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("engine.sock");
    let server = Server::unix(&path, |_| ok("OK"));
    let engine = UpstreamDeclaration { endpoint: Endpoint::Socket("engine".to_owned()), ..upstream("") };
    let grant = format!(
        "organization = \"acme\"\nprovider = \"kinsta\"\nsocket = {path:?}\nsocket_name = \"engine\"\nguard = \"docker-engine\""
    );
    let upstreams = bind(&[&grant], engine.clone()).unwrap();
    assert_eq!(upstreams.send(get(&["_ping"]), &reading()).await.unwrap().body, "OK");
    let error = upstreams.send(get(&["swarm"]), &reading()).await.unwrap_err();
    assert_eq!(error.kind, Kind::Forbidden);
    assert_eq!(server.seen().len(), 1);
    let checks = upstreams.probe("api").await.unwrap();
    assert_eq!(checks.iter().map(|check| (check.name, check.ok)).collect::<Vec<_>>(), [("grant", true), ("connect", true)]);

    let error = bind(&[&grant.replace("socket_name = \"engine\"", "socket_name = \"other\"")], engine.clone()).err().unwrap();
    assert!(error.message.contains("organization = \"acme\"\nprovider = \"kinsta\"\n"), "{error}");
    assert!(error.message.contains("socket_name = \"engine\""), "{error}");
    std::fs::remove_file(&path).unwrap();
    let upstreams = bind(&[&grant], engine).unwrap();
    let error = upstreams.send(get(&["_ping"]), &reading()).await.unwrap_err();
    assert_eq!(
        (error.kind, error.message.as_str()),
        (Kind::Unavailable, "the socket \"engine\" isn't there; check that its service runs")
    );
}
