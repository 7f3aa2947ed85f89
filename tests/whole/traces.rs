//! What is over leaves no trace: no secret is in the gateway's memory once nobody has a use for it.
//!
//! In go secrets by every way that takes or gives one; then all memory that the process can write is read, stacks and guests included.
//! Invariant: only the latter half of a secret is looked for, since what frees memory may write over its beginning; and whoever finds
//! none looks in a memory where something else is found, which is in use.

use bytes::Bytes;
use http::Method;
use portico_tests::{
    Answer, Api, Gateway, Reply, Setup, Upstream,
    memory::Memories,
    tls::{Certificate, TlsClient},
    wait_until,
};
use ring::rand::{SecureRandom as _, SystemRandom};
use rustls::pki_types::{PrivateKeyDer, pem::PemObject as _};
use serde_json::{Value, json};
use std::{fs, sync::Mutex, time::Duration};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::Instant,
};

const OWN_PAGE: (&str, &str) = ("sec-fetch-site", "same-origin");

/// The secrets that were used, by what they are.
#[derive(Default)]
struct Secrets(Mutex<Vec<(String, Vec<u8>)>>);

impl Secrets {
    /// A new one.
    fn make(&self, what: &str) -> String {
        let mut bytes = [0_u8; 32];
        SystemRandom::new().fill(&mut bytes).expect("randomness");
        let value: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        self.keep(what, &value);
        value
    }

    fn keep(&self, what: &str, value: impl AsRef<[u8]>) {
        let value = value.as_ref();
        assert!(value.len() >= 32, "{what} is too short to be looked for");
        self.0.lock().unwrap().push((what.to_owned(), value[value.len() / 2..].to_vec()));
    }

    /// What an answer gave away, and is told once.
    fn given(&self, what: &str, value: &Value) -> String {
        let value = value.as_str().unwrap_or_else(|| panic!("{what} isn't given")).to_owned();
        self.keep(what, &value);
        value
    }

    fn cookie(&self, what: &str, reply: &Reply) -> String {
        let cookie = reply.header("set-cookie").unwrap_or_else(|| panic!("{what}: no cookie"));
        let cookie = cookie.split(';').next().expect("a pair").to_owned();
        self.keep(what, &cookie);
        cookie
    }

    /// All of them are gone soon, while what `present` puts there is found. Nobody else asks meanwhile, who would write over stacks.
    async fn are_gone(&self, gateway: &Gateway, present: impl AsyncFn() -> (Option<TcpStream>, Vec<u8>)) {
        let end = Instant::now() + Duration::from_secs(60);
        loop {
            let (held, control) = present().await;
            let (found, is_read) = self.look(gateway, &control);
            drop(held);
            if is_read && found.is_empty() {
                return;
            }
            assert!(Instant::now() < end, "still in memory, and what is in use is found: {is_read}: {found:#?}");
        }
    }

    /// One at a time: it takes as much memory as the gateway.
    fn look(&self, gateway: &Gateway, control: &[u8]) -> (Vec<(String, Vec<String>)>, bool) {
        static TURN: Mutex<()> = Mutex::new(());
        let _turn = TURN.lock();
        let memories = Memories::of_all(gateway.pid());
        let secrets = self.0.lock().unwrap();
        let around = |(what, value): &(String, Vec<u8>)| (what.clone(), memories.around(value));
        let found = secrets.iter().map(around).filter(|(_, around)| !around.is_empty()).collect();
        (found, memories.hold(control))
    }
}

/// A body that is held back: it is there, and nothing is done with it.
async fn held_back(gateway: &Gateway, token: &str) -> (Option<TcpStream>, Vec<u8>) {
    let canary = Secrets::default().make("what is held back");
    let stream = begin(gateway, token, "/connections", 4096, &format!("{{\"x\": \"{canary}")).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    (Some(stream), canary.into_bytes())
}

/// Connections of its own, which end with the value.
fn stranger(gateway: &Gateway) -> Api {
    Api::new(gateway.api_address, None)
}

async fn say(gateway: &Gateway, method: Method, path: &str, cookie: &str, body: &Value) -> Reply {
    let headers = [OWN_PAGE, ("cookie", cookie)];
    let headers = if cookie.is_empty() { &headers[..1] } else { &headers };
    stranger(gateway).json(method, &format!("/api/v1{path}"), headers, body).await
}

#[tokio::test]
async fn people_leave_none() {
    let (gateway, secrets) = (Gateway::start().await, Secrets::default());
    let post = async |path: &str, cookie: &str, body: &Value| say(&gateway, Method::POST, path, cookie, body).await;
    let (first, second) = (secrets.make("the first password"), secrets.make("the second password"));
    let login = |password: &str| json!({"email": "anna@example.com", "password": password});
    let registered = post("/auth/register", "", &login(&first)).await.is(201);
    let cookie = secrets.cookie("the cookie of registering", &registered);
    post("/auth/login", "", &login(&secrets.make("a wrong password"))).await.problem(401, "wrong_credentials");
    post("/auth/login", "", &json!({"email": "anna@example.com", "password": secrets.make("an unread password"), "x": 1}))
        .await
        .problem(422, "invalid_input");
    let refreshed = post("/auth/refresh", &cookie, &json!({})).await.is(200);
    let cookie = secrets.cookie("the refreshed cookie", &refreshed);
    let body = json!({"email": "bert@example.com", "role": "viewer"});
    let invited = post("/invitations", &cookie, &body).await.is(201).json();
    let invitation = secrets.given("the invitation", &invited["token"]);
    let body = json!({"token": invitation, "password": secrets.make("the password of who was invited")});
    let accepted = post("/invitations/accept", "", &body).await.is(201);
    secrets.cookie("the cookie of accepting", &accepted);
    let body = json!({"current": first, "password": second});
    let changed = say(&gateway, Method::PATCH, "/auth/password", &cookie, &body).await.is(200);
    let cookie = secrets.cookie("the cookie of the second password", &changed);
    let entered = post("/auth/login", "", &login(&second)).await.is(200);
    secrets.cookie("the cookie of logging in", &entered);
    let _ = post("/auth/logout", &cookie, &json!({})).await.is(204);
    let admin = gateway.new_token("demo");
    secrets.are_gone(&gateway, async || held_back(&gateway, &admin).await).await;
}

#[tokio::test]
async fn tokens_leave_none() {
    let (gateway, secrets) = (Gateway::start().await, Secrets::default());
    let admin = gateway.new_token("demo");
    let api = || gateway.api.fresh().with_token(&admin);
    let keyed = [("idempotency-key", "once")];
    let body = json!({"name": "Made"});
    let made = api().json(Method::POST, "/tokens", &keyed, &body).await.is(201).json();
    let again = api().json(Method::POST, "/tokens", &keyed, &body).await.is(201).json();
    assert_eq!(made, again, "the answer is kept");
    let token = secrets.given("the token", &made["token"]);
    for (name, value) in [
        ("authorization", format!("Bearer {token}")),
        ("authorization", format!("ApiKey {token}")),
        ("x-api-key", token.clone()),
    ] {
        let _ = stranger(&gateway).send(Method::GET, "/api/v1/sites", &[(name, &value)], Bytes::new()).await.is(200);
    }
    let path = format!("/tokens/{}", made["id"].as_str().expect("an id"));
    let rotated = api().post(&format!("{path}/rotate"), &json!({"overlap_seconds": 60})).await.is(200).json();
    let rotated = secrets.given("the rotated token", &rotated["token"]);
    let _ = stranger(&gateway).with_token(&rotated).get("/sites").await.is(200);
    let unknown = format!("ptk_{}", &secrets.make("an unknown token")[..43]);
    secrets.keep("the unknown token", &unknown);
    stranger(&gateway).with_token(&unknown).get("/sites").await.problem(401, "unauthenticated");
    let _ = api().send(Method::DELETE, &path, &[], Bytes::new()).await.is(204);
    secrets.are_gone(&gateway, async || held_back(&gateway, &admin).await).await;
}

/// Sends the beginning of a request whose body it holds back.
async fn begin(gateway: &Gateway, token: &str, path: &str, length: usize, beginning: &str) -> TcpStream {
    let mut stream = TcpStream::connect(gateway.api_address).await.expect("a connection");
    let head = format!(
        "POST /api/v1{path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\ncontent-type: application/json\r\n\
         content-length: {length}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.expect("the head is sent");
    tokio::time::sleep(Duration::from_millis(50)).await;
    stream.write_all(beginning.as_bytes()).await.expect("the beginning is sent");
    stream
}

/// The status line's beginning, and the end of the connection.
async fn answered(mut stream: TcpStream) -> String {
    let mut answer = [0; 12];
    let read = tokio::time::timeout(Duration::from_secs(20), stream.read_exact(&mut answer)).await;
    read.expect("an answer in time").expect("an answer");
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn bodies_leave_none_however_they_end() {
    let (gateway, secrets) = (Gateway::start().await, Secrets::default());
    let admin = gateway.new_token("demo");
    let api = || gateway.api.fresh().with_token(&admin);
    let broken_off = secrets.make("what was broken off");
    let stream = begin(&gateway, &admin, "/connections", 4096, &format!("{{\"x\": \"{broken_off}")).await;
    let arrived = async || secrets.look(&gateway, broken_off.as_bytes()).1.then_some(());
    wait_until("the body to arrive", Duration::from_secs(20), arrived).await;
    drop(stream);
    let connection = |more: Value| {
        let mut body = json!({"id": "refused", "provider": "sandbox", "name": "Refused"});
        body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        body
    };
    for (what, body) in [
        ("of no known field", connection(json!({"more": secrets.make("of no known field")}))),
        ("of no known setting", connection(json!({"settings": {"more": secrets.make("of no known setting")}}))),
        ("of no known secret", connection(json!({"secrets": {"more": secrets.make("of no known secret")}}))),
        ("in a wrong place", json!({"id": [secrets.make("in a wrong place")]})),
    ] {
        let reply = api().post("/connections", &body).await;
        assert!(reply.status.is_client_error(), "{what}: {reply:?}");
    }
    let broken = format!("{{\"name\": \"{}", secrets.make("in broken JSON"));
    let headers = [("content-type", "application/json")];
    let _ = api().send(Method::POST, "/connections", &headers, Bytes::from(broken)).await.is(400);
    let form = format!("name={}", secrets.make("of another type"));
    let _ = api().send(Method::POST, "/connections", &[("content-type", "text/plain")], Bytes::from(form)).await.is(415);
    let nobodys = json!({"name": secrets.make("of somebody unknown")});
    let _ = stranger(&gateway).json(Method::POST, "/api/v1/connections", &[], &nobodys).await.is(401);
    // Larger than what is read of one.
    let stream = begin(&gateway, &admin, "/connections", 64 << 20, &secrets.make("of a large body")).await;
    assert_eq!(answered(stream).await, "HTTP/1.1 413");
    // In many pieces.
    let pieces: Vec<String> = (0..8).map(|number| secrets.make(&format!("piece {number}"))).collect();
    let whole = format!("{{\"id\": \"pieces\", \"provider\": \"none\", \"name\": \"{}\"}}", pieces.concat());
    let mut stream = begin(&gateway, &admin, "/connections", whole.len(), "").await;
    for piece in whole.as_bytes().chunks(64) {
        stream.write_all(piece).await.expect("a piece is sent");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(answered(stream).await, "HTTP/1.1 422");
    secrets.are_gone(&gateway, async || held_back(&gateway, &admin).await).await;
}

#[tokio::test]
async fn connections_leave_none() {
    let (secrets, admin);
    let gateway = Gateway::start_with(Setup { guests: vec!["keyed"], ..Setup::default() }).await;
    (secrets, admin) = (Secrets::default(), gateway.new_token("demo"));
    let api = || gateway.api.fresh().with_token(&admin);
    // Repeats what it was sent, so that the redactor has work.
    let upstream = Upstream::start(|seen| {
        let sent = format!("{:?}", seen.headers.get("authorization"));
        Answer::Raw(200, vec![("x-echo", sent.clone())], sent.into())
    })
    .await;
    let (first, second) = (secrets.make("the first key"), secrets.make("the second key"));
    // It ends with the secret, since a hash keeps the end of what it is given until last.
    let body = format!(
        "{{\"id\": \"keyed\", \"provider\": \"keyed\", \"name\": \"Keyed\", \"settings\": {{\"url\": \"{}\"}}, \
         \"secrets\": {{\"api_key\": \"{first}\"}}}}",
        upstream.url()
    );
    let headers = [("idempotency-key", "once"), ("content-type", "application/json")];
    let _ = api().send(Method::POST, "/connections", &headers, Bytes::from(body)).await.is(201);
    let _ = api().get("/sites/keyed~one").await.is(200);
    assert!(Memories::of_all(gateway.pid()).hold(&first), "what is in use isn't found");
    let _ = api().json(Method::PATCH, "/connections/keyed", &[], &json!({"secrets": {"api_key": second}})).await.is(200);
    let _ = api().get("/sites/keyed~two").await.is(200);
    let sent: Vec<_> = upstream.seen().iter().map(|seen| seen.headers["authorization"].clone()).collect();
    assert_eq!(sent, [format!("Bearer {first}"), format!("Bearer {second}")]);
    let _ = api().send(Method::DELETE, "/connections/keyed", &[], Bytes::new()).await.is(204);
    drop(upstream);
    secrets.are_gone(&gateway, async || held_back(&gateway, &admin).await).await;
}

#[tokio::test]
async fn work_leaves_none() {
    let (gateway, secrets) = (Gateway::start().await, Secrets::default());
    let admin = gateway.new_token("demo");
    let api = || gateway.api.fresh().with_token(&admin);
    gateway.connect("work", "sandbox", json!({"work_seconds": 0})).await;
    let site = api().post("/sites", &json!({"connection": "work", "name": "Blog"})).await.is(201).json();
    let path = format!("/sites/{}/wordpress/admins", site["result"]["id"].as_str().expect("a site"));
    for (user, password) in [("anna", Some(secrets.make("a password that was sent"))), ("bert", None)] {
        let mut body = json!({"user": user, "email": "who@example.com"});
        body.as_object_mut().expect("an object").extend(password.map(|password| ("password".to_owned(), json!(password))));
        let headers = [("prefer", "wait=30"), ("idempotency-key", user)];
        let done = api().json(Method::POST, &path, &headers, &body).await.is(200).json();
        if user == "bert" {
            let given = done["secrets"]["password"].as_str().expect("a password that the host made");
            // It is short, so more than half of it is looked for.
            secrets.0.lock().unwrap().push(("the password that was given".to_owned(), given.as_bytes()[8..].to_vec()));
        }
    }
    let _ = api().send(Method::DELETE, "/connections/work", &[], Bytes::new()).await.is(204);
    secrets.are_gone(&gateway, async || held_back(&gateway, &admin).await).await;
}

/// The number that a private key is, of the elliptic curve that the test's certificates are made with.
fn scalar(pem: &str) -> Vec<u8> {
    let key = PrivateKeyDer::from_pem_slice(pem.as_bytes()).expect("PEM");
    let der = key.secret_der();
    // RFC 5915: the version, then 32 bytes.
    let at = memchr::memmem::find(der, &[2, 1, 1, 4, 32]).expect("an elliptic curve's key") + 5;
    der[at..at + 32].to_vec()
}

#[tokio::test]
async fn keys_leave_none() {
    let (folder, secrets) = (tempfile::tempdir().expect("a folder"), Secrets::default());
    let [old, new] = [2090, 2091].map(Certificate::until);
    old.write(folder.path());
    let file = |name: &str| folder.path().join(name);
    let config = format!("[tls]\ncertificate = {:?}\nkey = {:?}\n", file("certificate.pem"), file("key.pem"));
    let gateway = Gateway::start_with(Setup { config, ..Setup::default() }).await;
    let token = gateway.new_token("demo");
    let master = fs::read_to_string(gateway.data().join("key")).expect("the key's file");
    secrets.keep("the master key's file", master.trim());
    // What signs has the number in another form, so that this one isn't needed either.
    secrets.keep("the number that the old key is", scalar(&old.key));
    secrets.keep("the number that the new key is", scalar(&new.key));
    for line in old.key.lines().chain(new.key.lines()).filter(|line| line.len() >= 32 && !line.starts_with('-')) {
        secrets.keep("the file of a certificate's key", line);
    }
    let both = ["h2", "http/1.1"];
    let client = TlsClient::new(gateway.api_address, &[&old], &both);
    assert_eq!(client.connect().await.expect("TLS").get("/api/v1/sites", &token).await.status(), 200);
    new.write(folder.path());
    let client = TlsClient::new(gateway.api_address, &[&new], &both);
    wait_until("the new certificate", Duration::from_secs(30), async || client.connect().await.ok()).await;
    // What was read beside the key is in use.
    let shown = async || (None, new.der().to_vec());
    secrets.are_gone(&gateway, shown).await;
}
