//! TLS of the listeners: protocols, renewal while serving, and starts that must fail.
//!
//! Invariant: a gateway here listens on loopback; one that is told to listen beyond it must not start.

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use portico_tests::{
    Gateway, Setup, eventually,
    gateway::{binary, stack_alone},
    tls::{Certificate, Http, TlsClient},
    wait_until,
};
use rustls::{
    HandshakeKind, ProtocolVersion,
    version::{TLS12, TLS13},
};
use serde_json::{Value, json};
use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::Command,
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::Instant,
};

const BOTH: &[&str] = &["h2", "http/1.1"];
const SITES: &str = "/api/v1/sites";

/// A gateway with a certificate in a folder of its own.
struct World {
    gateway: Gateway,
    folder: TempDir,
    certificate: Certificate,
    token: String,
}

impl World {
    async fn start(more: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let certificate = Certificate::until(2090);
        certificate.write(folder.path());
        let config = format!("log.level = \"info\"\n{}{more}", section(folder.path()));
        let gateway = Gateway::start_with(Setup { config, ..Setup::default() }).await;
        let token = fs::read_to_string(gateway.data().join("dev-token")).unwrap().trim().to_owned();
        Self { gateway, folder, certificate, token }
    }

    fn client(&self, alpn: &[&str]) -> TlsClient {
        TlsClient::new(self.gateway.api_address, &[&self.certificate], alpn)
    }

    async fn reloads(&self, outcome: &str) -> f64 {
        self.gateway.metric("portico_tls_reloads_total", &[&format!("outcome=\"{outcome}\"")]).await
    }

    /// Asks for a look at the files now; without that, it comes every other second.
    fn hang_up(&self) {
        let pid = self.gateway.pid().to_string();
        assert!(Command::new("kill").args(["-HUP", &pid]).status().unwrap().success());
    }

    async fn expiry(&self) -> f64 {
        self.gateway.metric("portico_tls_certificate_expiry_timestamp_seconds", &[]).await
    }
}

fn section(folder: &Path) -> String {
    let (certificate, key) = (folder.join("certificate.pem"), folder.join("key.pem"));
    format!("[tls]\ncertificate = {certificate:?}\nkey = {key:?}\n")
}

#[tokio::test]
async fn http_1_and_2_by_alpn() {
    let world = World::start("").await;
    for (alpn, two) in [(BOTH, true), (&["h2"], true), (&["http/1.1"], false), (&[], false)] {
        let mut http = world.client(alpn).connect().await.unwrap();
        assert_eq!(matches!(http, Http::Two(_)), two, "{alpn:?}");
        let answer = http.get(SITES, &world.token).await;
        assert_eq!(answer.status(), 200, "{alpn:?}");
        assert_eq!(answer.headers()["strict-transport-security"], "max-age=31536000");
        // Also on refusals.
        let refused = http.get(SITES, "ptk_wrong").await;
        assert_eq!(
            (refused.status().as_u16(), &refused.headers()["strict-transport-security"]),
            (401, &"max-age=31536000".parse().unwrap())
        );
    }
    // And where there was no request.
    let mut stream = world.client(&["http/1.1"]).handshake().await.unwrap();
    stream.write_all(b"NONSENSE\r\n\r\n").await.unwrap();
    let mut said = String::new();
    stream.read_to_string(&mut said).await.unwrap();
    assert!(
        said.starts_with("HTTP/1.1 400 ") && said.contains("\r\nstrict-transport-security: max-age=31536000\r\n"),
        "{said}"
    );
    assert!(said.contains("\"code\":\"malformed\""), "{said}");
    let stranger = world.client(&["spdy/3"]).handshake().await;
    assert!(stranger.is_err(), "a protocol that nobody speaks was agreed");
    // 2090-01-01.
    assert_eq!(world.expiry().await, 3_786_912_000.0);
    assert!(world.gateway.metric("portico_tls_handshakes_total", &["outcome=\"ok\""]).await >= 4.0);
    // The admin listener stays plain unless asked for.
    let _ = world.gateway.admin.get("/livez").await.is(200);
    // Plain HTTP isn't answered on a TLS port.
    let mut plain = TcpStream::connect(world.gateway.api_address).await.unwrap();
    plain.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    let mut said = Vec::new();
    drop(plain.read_to_end(&mut said).await);
    assert!(!said.starts_with(b"HTTP"), "{said:?}");
}

#[tokio::test]
async fn versions_and_resumption() {
    let world = World::start("").await;
    for (version, name) in [(&TLS12, ProtocolVersion::TLSv1_2), (&TLS13, ProtocolVersion::TLSv1_3)] {
        let client = TlsClient::with_versions(world.gateway.api_address, &[&world.certificate], &["http/1.1"], &[version]);
        let mut kinds = Vec::new();
        for _ in 0..2 {
            let mut stream = client.handshake().await.unwrap();
            assert_eq!(stream.get_ref().1.protocol_version(), Some(name));
            // Tickets come with the first bytes.
            stream.write_all(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await.unwrap();
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).await.unwrap();
            kinds.push(stream.get_ref().1.handshake_kind());
        }
        assert_eq!(kinds, [Some(HandshakeKind::Full), Some(HandshakeKind::Resumed)], "{name:?}");
    }
}

#[tokio::test]
async fn tls_1_1_is_refused() {
    let world = World::start("").await;
    // A ClientHello of TLS 1.1 with two suites that it knew; with signature algorithms, so that nothing but the version is wrong.
    let mut hello = vec![3, 2];
    hello.extend([7; 32]);
    hello.extend([0, 0, 4, 0xc0, 0x13, 0x00, 0x2f, 1, 0]);
    hello.extend([0, 8, 0, 0x0d, 0, 4, 0, 2, 4, 3]);
    let length = u8::try_from(hello.len()).unwrap();
    let record = [&[22, 3, 1, 0, length + 4, 1, 0, 0, length][..], &hello].concat();
    let mut stream = TcpStream::connect(world.gateway.api_address).await.unwrap();
    stream.write_all(&record).await.unwrap();
    let mut answer = Vec::new();
    drop(stream.read_to_end(&mut answer).await);
    // An alert: fatal, protocol_version.
    assert_eq!((answer.first(), answer.get(5..7)), (Some(&21), Some(&[2, 70][..])), "{answer:?}");
}

#[tokio::test]
async fn a_renewed_certificate_is_taken_and_connections_stay() {
    // Idle HTTP/1.1 connections end after it.
    let world = World::start("[server]\nheader_timeout_ms = 60000\n").await;
    let (renewed, again) = (Certificate::until(2091), Certificate::until(2092));
    let old = world.client(BOTH);
    let mut kept = [old.connect().await.unwrap(), world.client(&["http/1.1"]).connect().await.unwrap()];
    renewed.write(world.folder.path());
    let new = TlsClient::new(world.gateway.api_address, &[&renewed], BOTH);
    let mut http = wait_until("the renewed certificate", Duration::from_secs(30), async || new.connect().await.ok()).await;
    assert_eq!(http.get(SITES, &world.token).await.status(), 200);
    assert_eq!((world.reloads("ok").await, world.reloads("failed").await), (1.0, 0.0));
    assert_eq!(world.expiry().await, 3_818_448_000.0);
    assert!(world.client(BOTH).connect().await.is_err(), "the old certificate is still shown");
    for http in &mut kept {
        assert_eq!(http.get(SITES, &world.token).await.status(), 200);
    }
    // At once, when asked.
    again.write(world.folder.path());
    world.hang_up();
    let newest = TlsClient::new(world.gateway.api_address, &[&again], BOTH);
    eventually("the certificate after SIGHUP", async || newest.connect().await.ok()).await;
    assert_eq!(kept[0].get(SITES, &world.token).await.status(), 200);
}

#[tokio::test]
async fn a_bad_pair_leaves_the_old_in_place() {
    let world = World::start("").await;
    let other = Certificate::until(2091);
    let file = |name: &str| world.folder.path().join(name);
    let mut failures = 0.0;
    let expired = Certificate::until(2020);
    let attempts: [(&dyn Fn(), &str); 5] = [
        (&|| fs::write(file("certificate.pem"), &other.pem).unwrap(), "isn't the private key of"),
        (&|| fs::write(file("certificate.pem"), "nonsense").unwrap(), "no certificate"),
        (&|| fs::remove_file(file("certificate.pem")).unwrap(), "`tls.certificate`"),
        (&|| expired.write(world.folder.path()), "expired at"),
        (
            &|| {
                other.write(world.folder.path());
                fs::set_permissions(file("key.pem"), fs::Permissions::from_mode(0o644)).unwrap();
            },
            "chmod",
        ),
    ];
    for (spoil, why) in attempts {
        spoil();
        // The first is found without being asked for.
        if failures > 0.0 {
            world.hang_up();
        }
        failures += 1.0;
        wait_until(why, Duration::from_secs(30), async || (world.reloads("failed").await >= failures).then_some(())).await;
        world.gateway.logged(&["stays as it was", why]).await;
        assert_eq!(world.client(BOTH).connect().await.unwrap().get(SITES, &world.token).await.status(), 200);
    }
    assert_eq!(world.expiry().await, 3_786_912_000.0, "the gauge tells of the one in use");
    // Each is told once, and a good one is taken after all.
    fs::set_permissions(file("key.pem"), fs::Permissions::from_mode(0o600)).unwrap();
    let new = TlsClient::new(world.gateway.api_address, &[&other], BOTH);
    wait_until("the good pair", Duration::from_secs(30), async || new.connect().await.ok()).await;
    assert_eq!((world.reloads("failed").await, world.reloads("ok").await), (failures, 1.0));
}

/// Seconds after now that a certificate for `localhost` begins to be valid.
fn from_now(seconds: u64) -> Certificate {
    #[expect(clippy::disallowed_methods, reason = "certificates are valid by the time of day")]
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let mut params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    params.not_before = rcgen::date_time_ymd(1970, 1, 1) + now + Duration::from_secs(seconds);
    params.not_after = rcgen::date_time_ymd(2091, 1, 1);
    let key = rcgen::KeyPair::generate().unwrap();
    Certificate { pem: params.self_signed(&key).unwrap().pem(), key: key.serialize_pem() }
}

#[tokio::test]
async fn a_certificate_that_comes_early_is_taken_in_its_time() {
    let world = World::start("").await;
    let early = from_now(25);
    early.write(world.folder.path());
    world.hang_up();
    world.gateway.logged(&["stays as it was", "which is to come"]).await;
    let new = TlsClient::new(world.gateway.api_address, &[&early], BOTH);
    wait_until("its time", Duration::from_secs(60), async || new.connect().await.ok()).await;
    assert_eq!(world.reloads("ok").await, 1.0);
}

#[tokio::test]
async fn what_expired_behind_the_own_certificate_does_not_keep_it_out() {
    let world = World::start("").await;
    let mut renewed = Certificate::until(2091);
    renewed.pem.push_str(&Certificate::until(2020).pem);
    renewed.write(world.folder.path());
    world.hang_up();
    world.gateway.logged(&["took the TLS certificate"]).await;
    world.gateway.logged(&["a further certificate", "expired at"]).await;
    assert_eq!((world.reloads("failed").await, world.expiry().await), (0.0, 3_818_448_000.0));
}

#[tokio::test]
async fn handshakes_end_in_time_and_the_oldest_makes_room() {
    let world = World::start("handshake_timeout_ms = 3000\nmax_handshakes = 3\n").await;
    let mut silent = Vec::new();
    for _ in 0..20 {
        silent.push(TcpStream::connect(world.gateway.api_address).await.unwrap());
    }
    let mut http = world.client(BOTH).connect().await.unwrap();
    assert_eq!(http.get(SITES, &world.token).await.status(), 200);
    for stream in &mut silent {
        let mut said = Vec::new();
        // A reset is an end as well.
        drop(tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut said)).await.expect("it was left open"));
    }
    let count =
        async |outcome: &str| world.gateway.metric("portico_tls_handshakes_total", &[&format!("outcome=\"{outcome}\"")]).await;
    eventually("all to be counted", async || (count("evicted").await + count("timeout").await == 20.0).then_some(())).await;
    assert!(count("evicted").await >= 17.0);
}

#[tokio::test]
async fn the_admin_listener_speaks_tls_when_asked() {
    let folder = tempfile::tempdir().unwrap();
    let certificate = Certificate::until(2090);
    certificate.write(folder.path());
    let config = format!("{}admin = true\nhsts_seconds = 0\n", section(folder.path()));
    let gateway = Gateway::start_with(Setup { config, ..Setup::default() }).await;
    let mut http = TlsClient::new(gateway.admin_address, &[&certificate], BOTH).connect().await.unwrap();
    let ready = http.get("/readyz", "").await;
    assert_eq!((ready.status().as_u16(), ready.headers().get("strict-transport-security")), (200, None));
    let token = fs::read_to_string(gateway.data().join("dev-token")).unwrap();
    let mut http = TlsClient::new(gateway.api_address, &[&certificate], BOTH).connect().await.unwrap();
    assert_eq!(http.get(SITES, token.trim()).await.status(), 200);
    // It tells where to find it.
    gateway.logged(&["listening on https://"]).await;
}

/// Sends it as browsers do, a POST where there is a body.
async fn send(http: &mut Http, request: http::request::Builder, path: &str, body: Option<Value>) -> http::Response<Bytes> {
    let request = request.method(if body.is_some() { "POST" } else { "GET" }).header("content-type", "application/json");
    let body = Full::new(body.map_or_else(Bytes::new, |body| Bytes::from(body.to_string())));
    // The host is a field in the one protocol, and part of the target in the other.
    let answer = match http {
        Http::One(sender) => {
            let request = request.uri(path).header("host", "localhost").body(body);
            sender.send_request(request.expect("a request")).await
        }
        Http::Two(sender) => {
            let request = request.uri(format!("https://localhost{path}")).body(body);
            sender.send_request(request.expect("a request")).await
        }
    };
    let (parts, body) = answer.expect("an answer").into_parts();
    http::Response::from_parts(parts, body.collect().await.expect("a body").to_bytes())
}

/// What a page of this origin sends with its cookie; the answer's status, cookie and JSON come out.
async fn ask(http: &mut Http, origin: &str, path: &str, cookie: &str, body: Option<Value>) -> (u16, Option<String>, Value) {
    let request = http::Request::builder().header("origin", origin).header("cookie", cookie);
    let (parts, body) = send(http, request, path, body).await.into_parts();
    let mut cookies = parts.headers.get_all("set-cookie").iter().map(|cookie| cookie.to_str().expect("text").to_owned());
    let given = cookies.next();
    assert_eq!(cookies.next(), None, "one cookie is enough");
    (parts.status.as_u16(), given, serde_json::from_slice(&body).expect("JSON"))
}

/// The pair that a browser sends back, of a cookie that it takes for this host alone and only over TLS.
#[track_caller]
fn kept(given: Option<String>) -> String {
    let given = given.expect("a cookie");
    let (pair, attributes) = given.split_once("; ").expect("attributes");
    let attributes: Vec<&str> = attributes.split("; ").collect();
    assert!(["Secure", "HttpOnly", "SameSite=Lax", "Path=/"].iter().all(|wanted| attributes.contains(wanted)), "{given}");
    assert!(!given.to_ascii_lowercase().contains("domain="), "{given}");
    assert!(pair.strip_prefix("__Host-portico_session=").is_some_and(|value| !value.is_empty()), "{given}");
    pair.to_owned()
}

#[tokio::test]
async fn a_session_over_tls_is_in_a_cookie_of_this_host_alone() {
    const OWN: &str = "https://localhost";
    const ME: &str = "/api/v1/auth/me";
    const REFRESH: &str = "/api/v1/auth/refresh";
    let world = World::start("").await;
    for (alpn, email) in [("h2", "anna@example.com"), ("http/1.1", "bert@example.com")] {
        let mut http = world.client(&[alpn]).connect().await.unwrap();
        let account = json!({"email": email, "password": "several words that I remember"});
        let (status, given, me) = ask(&mut http, OWN, "/api/v1/auth/register", "", Some(account)).await;
        assert_eq!(status, 201, "{me}");
        let first = kept(given);
        let (status, _, me) = ask(&mut http, OWN, ME, &first, None).await;
        assert_eq!((status, &me["user"]["email"]), (200, &json!(email)), "{me}");
        // The name without the prefix is one that another host of the domain may set.
        let bare = first.trim_start_matches("__Host-");
        assert_eq!(ask(&mut http, OWN, ME, bare, None).await.0, 401);
        // A page that came without TLS is another's.
        let (status, given, problem) = ask(&mut http, "http://localhost", REFRESH, &first, Some(json!({}))).await;
        assert_eq!((status, given, &problem["code"]), (403, None, &json!("cross_origin")), "{problem}");
        let (status, given, me) = ask(&mut http, OWN, REFRESH, &first, Some(json!({}))).await;
        assert_eq!(status, 200, "{me}");
        let second = kept(given);
        assert_ne!(first, second);
        assert_eq!(ask(&mut http, OWN, ME, &second, None).await.0, 200);
        assert_eq!(ask(&mut http, OWN, ME, &first, None).await.0, 401, "the old cookie still opens");
    }
}

#[tokio::test]
async fn what_is_kept_is_answered_with_strict_transport_security() {
    const SITE: &str = "/api/v1/sites/kept~seed-00001";
    let world = World::start("").await;
    let hot = async || world.gateway.metric("portico_hot_path_answers_total", &[]).await;
    let settings = json!({"seed_sites": 1, "work_seconds": 0, "cache": {"sites.get": 3600}});
    let body = json!({"id": "kept", "provider": "sandbox", "name": "Kept", "settings": settings});
    let request = http::Request::builder().header("authorization", format!("Bearer {}", world.token));
    let mut http = world.client(BOTH).connect().await.unwrap();
    assert_eq!(send(&mut http, request, "/api/v1/connections", Some(body)).await.status(), 201);
    for alpn in ["http/1.1", "h2"] {
        let mut http = world.client(&[alpn]).connect().await.unwrap();
        // From here on the site is kept, and the token is known.
        let first = http.get(SITE, &world.token).await;
        let before = hot().await;
        let second = http.get(SITE, &world.token).await;
        assert_eq!(hot().await - before, if stack_alone() { 0.0 } else { 1.0 }, "{alpn}");
        for answer in [&first, &second] {
            assert_eq!((answer.status().as_u16(), answer.body()), (200, first.body()), "{alpn}");
            assert_eq!(answer.headers()["strict-transport-security"], "max-age=31536000", "{alpn}");
        }
    }
}

/// What a command says, whose configuration must be refused.
fn refused(command: &str, config: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("portico.toml");
    fs::write(&file, config).unwrap();
    let mut command_line = Command::new(binary());
    command_line.args([command, "--config"]).arg(&file).current_dir(folder.path());
    command_line.env("PORTICO_DATA_DIR", folder.path().join("data"));
    if !config.contains("admin_listen") {
        command_line.env("PORTICO_ADMIN_LISTEN", "127.0.0.1:0");
    }
    let before = Instant::now();
    let output = command_line.output().unwrap();
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(!output.status.success(), "{command} with {config:?}: {said}");
    assert!(before.elapsed() < Duration::from_secs(30), "{said}");
    assert!(!folder.path().join("data").exists(), "a start that fails makes nothing");
    said
}

#[tokio::test]
async fn what_would_be_unsafe_does_not_start() {
    let folder = tempfile::tempdir().unwrap();
    Certificate::until(2090).write(folder.path());
    let (certificate, key) = (folder.path().join("certificate.pem"), folder.path().join("key.pem"));
    let tls = section(folder.path());
    let half = |name: &str, path: &Path| format!("listen = \"127.0.0.1:0\"\n[tls]\n{name} = {path:?}\n");
    let open = folder.path().join("open.pem");
    fs::copy(&key, &open).unwrap();
    fs::set_permissions(&open, fs::Permissions::from_mode(0o644)).unwrap();
    let with_key = |key: &Path| format!("listen = \"127.0.0.1:0\"\n[tls]\ncertificate = {certificate:?}\nkey = {key:?}\n");
    for (config, words) in [
        // Without TLS; the message names both ways out.
        ("listen = \"0.0.0.0:0\"".to_owned(), &["tls.certificate", "server.plain_http = true"][..]),
        ("listen = \"[::]:0\"".to_owned(), &["tls.certificate", "server.plain_http = true"]),
        ("listen = \"127.0.0.1:0\"\nadmin_listen = \"0.0.0.0:0\"".to_owned(), &["tls.admin", "server.plain_admin_http = true"]),
        (
            format!("listen = \"127.0.0.1:0\"\nadmin_listen = \"[::]:0\"\n{tls}"),
            &["tls.admin", "server.plain_admin_http = true"],
        ),
        (half("certificate", &certificate), &["tls.key"]),
        (half("key", &key), &["tls.certificate"]),
        (with_key(&open), &["chmod"]),
        (with_key(&certificate), &["tls.key"]),
        (format!("{tls}admin = 3"), &["tls.admin"]),
        ("listen = \"127.0.0.1:0\"\n[tls]\nadmin = true".to_owned(), &["tls.admin", "tls.certificate"]),
        ("[cors]\norigins = [\"*\"]".to_owned(), &["cors.origins", "is not an origin"]),
        ("[server]\ntrusted_proxies = [\"0.0.0.0/0\"]".to_owned(), &["server.trusted_proxies"]),
    ] {
        for command in ["check", "serve"] {
            let said = refused(command, &config);
            assert!(words.iter().all(|word| said.contains(word)), "{command} with {config:?}: {said}");
        }
    }
}

/// Nothing is to be read again then, and nothing ends.
#[tokio::test]
async fn a_hangup_without_tls_is_survived() {
    let gateway = Gateway::start().await;
    let pid = gateway.pid().to_string();
    assert!(Command::new("kill").args(["-HUP", &pid]).status().unwrap().success());
    for _ in 0..5 {
        let _ = gateway.api.get("/providers").await.is(200);
    }
}
