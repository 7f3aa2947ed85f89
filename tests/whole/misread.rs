//! What can't be read as a request gets an answer like any other: a problem, with an id and with what is left of the limit.
//!
//! Invariant: what was asked before it on the same connection is answered first, and whole.

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper_util::rt::{TokioExecutor, TokioIo};
use portico_tests::{Gateway, Setup};
use serde_json::Value;
use std::{fmt::Write as _, time::Duration};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

const GOOD: &str = "GET /openapi.json HTTP/1.1\r\nhost: a\r\n\r\n";

/// Everything that the gateway says to these words, until it ends the connection.
async fn say(gateway: &Gateway, words: &str) -> String {
    let mut stream = TcpStream::connect(gateway.api_address).await.expect("the gateway listens");
    stream.write_all(words.as_bytes()).await.expect("it reads");
    let mut said = Vec::new();
    stream.read_to_end(&mut said).await.expect("an end without a reset");
    String::from_utf8(said).expect("text")
}

/// The value of a field of an answer's head.
fn field<'a>(answer: &'a str, name: &str) -> &'a str {
    let found = answer.lines().take_while(|line| !line.is_empty()).find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    found.unwrap_or_else(|| panic!("no {name}: {answer}"))
}

/// A whole problem, and what is left of the address's limit.
#[track_caller]
fn refused(answer: &str, status: u16, code: &str) -> u64 {
    assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
    let body = answer.split_once("\r\n\r\n").expect("a body").1;
    assert_eq!(field(answer, "content-length"), body.len().to_string(), "{answer}");
    assert_eq!((field(answer, "content-type"), field(answer, "connection")), ("application/problem+json", "close"), "{answer}");
    assert_eq!(answer.matches("\r\ndate: ").count(), 1, "{answer}");
    let problem: Value = serde_json::from_str(body).expect("JSON");
    assert_eq!((&problem["status"], &problem["code"]), (&status.into(), &code.into()), "{problem}");
    assert_eq!(problem["request_id"], field(answer, "x-request-id"), "{problem}");
    assert_eq!(problem["detail"], problem["error"], "{problem}");
    let (limit, left) = (field(answer, "x-ratelimit-limit"), field(answer, "x-ratelimit-remaining"));
    assert_eq!(field(answer, "ratelimit-policy"), format!("\"ip\";q={limit};w=3600"));
    assert!(field(answer, "ratelimit").starts_with(&format!("\"ip\";r={left};t=")), "{answer}");
    assert!(!field(answer, "x-ratelimit-reset").is_empty());
    left.parse().expect("a number")
}

#[tokio::test]
async fn what_is_no_request_is_refused_like_any_other() {
    let config = "[limits]\nip = \"100/h\"\n".to_owned();
    let gateway = Gateway::start_with(Setup { config, ..Setup::default() }).await;
    let large = format!("GET / HTTP/1.1\r\nhost: a\r\nx: {}\r\n\r\n", "x".repeat(40_000));
    // More than the sockets' buffers hold beside it: the answer comes all the same.
    let huge = format!("GET / HTTP/1.1\r\nhost: a\r\nx: {}\r\n\r\n", "x".repeat(900_000));
    let mut many = "GET / HTTP/1.1\r\nhost: a\r\n".to_owned();
    (0..101).for_each(|number| write!(many, "x-{number}: 1\r\n").expect("memory"));
    many.push_str("\r\n");
    let long = format!("GET /{} HTTP/1.1\r\nhost: a\r\n\r\n", "x".repeat(70_000));
    let mut before = 100;
    for (words, status, code) in [
        ("NONSENSE\r\n\r\n", 400, "malformed"),
        ("GET / HTTP/1.1\r\nbad field: 1\r\n\r\n", 400, "malformed"),
        ("GET / HTTP/3.7\r\nhost: a\r\n\r\n", 400, "malformed"),
        ("GET /\u{7} HTTP/1.1\r\nhost: a\r\n\r\n", 400, "malformed"),
        ("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: x\r\n\r\n", 400, "malformed"),
        (&large, 431, "head_too_large"),
        (&huge, 431, "head_too_large"),
        (&many, 431, "head_too_large"),
        (&long, 431, "head_too_large"),
    ] {
        let answer = say(&gateway, words).await;
        let left = refused(&answer, status, code);
        assert_eq!(left, before - 1, "it counts for its address");
        before = left;
    }
    let counted = async |status: &str| {
        gateway.metric("portico_requests_total", &["route=\"unmatched\"", "method=\"other\"", status]).await
    };
    assert_eq!((counted("status=\"400\"").await, counted("status=\"431\"").await), (5.0, 4.0));
}

#[tokio::test]
async fn what_was_asked_before_it_is_answered_whole() {
    let gateway = Gateway::start().await;
    let alone = say(&gateway, &GOOD.replace("\r\n\r\n", "\r\nconnection: close\r\n\r\n")).await;
    let document = alone.split_once("\r\n\r\n").expect("a body").1;
    for count in [1, 3] {
        let said = say(&gateway, &format!("{}NONSENSE\r\n\r\n", GOOD.repeat(count))).await;
        assert_eq!(said.matches("HTTP/1.1 200 OK\r\n").count(), count);
        assert_eq!(said.matches(document).count(), count);
        let at = said.rfind("HTTP/1.1 400 ").expect("a refusal");
        assert_eq!(said.matches("HTTP/1.1 400 ").count(), 1);
        assert!(said[..at].ends_with(document));
        assert!(said[at..].contains("\r\nx-request-id: "), "{}", &said[at..]);
    }
}

#[tokio::test]
async fn who_speaks_nonsense_and_stays_makes_room() {
    let config = "[server]\nmax_connections = 3\n".to_owned();
    let gateway = Gateway::start_with(Setup { config, ..Setup::default() }).await;
    let mut staying = Vec::new();
    for _ in 0..20 {
        let mut stream = TcpStream::connect(gateway.api_address).await.expect("the gateway listens");
        stream.write_all(b"NONSENSE\r\n\r\n").await.expect("it reads");
        staying.push(stream);
    }
    // Well before the last words' time is over.
    let few = async {
        while gateway.metric("portico_connections_open", &[]).await > 3.0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(3), few).await.expect("they hold more than there is");
    refused_and_read(&mut staying[19]).await;
}

/// Who has a place reads the answer.
async fn refused_and_read(stream: &mut TcpStream) {
    let mut said = Vec::new();
    stream.read_to_end(&mut said).await.expect("an end without a reset");
    assert!(said.starts_with(b"HTTP/1.1 400 "), "{}", String::from_utf8_lossy(&said));
}

/// What h2 reads no more, and refuses by itself: its answer has the fields that every answer has. The connection goes on.
#[tokio::test]
async fn what_http_2_reads_no_more_is_refused_with_the_fields_of_an_answer() {
    let config = "[limits]\nip = \"100/h\"\n".to_owned();
    let gateway = Gateway::start_with(Setup { config, ..Setup::default() }).await;
    let stream = TcpStream::connect(gateway.api_address).await.expect("the gateway listens");
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.expect("HTTP/2");
    tokio::spawn(connection);
    let mut left = Vec::new();
    for (length, status) in [(200_000, 431), (10, 401), (140_000, 431), (240_000, 431), (10, 401)] {
        let uri = format!("http://{}/api/v1/sites", gateway.api_address);
        // Of a letter that HPACK says in five bits, so that there are few frames: of too many h2 is tired.
        let fields = (0..length / 10_000)
            .fold(http::Request::get(uri), |request, number| request.header(format!("x-{number}"), "a".repeat(9_960)));
        let answer = sender.send_request(fields.body(Empty::<Bytes>::new()).expect("a request")).await.expect("an answer");
        assert_eq!(answer.status().as_u16(), status, "{length}");
        let field = |name: &str| answer.headers()[name].to_str().expect("text").to_owned();
        assert!(field("ratelimit-policy").starts_with("\"ip\";q=100") && !field("x-ratelimit-reset").is_empty());
        assert!(!field("x-request-id").is_empty() && field("date").ends_with("GMT"), "{answer:?}");
        left.push(field("x-ratelimit-remaining"));
        let body = answer.into_body().collect().await.expect("a body").to_bytes();
        assert_eq!(body.is_empty(), length > 100, "{body:?}");
    }
    assert_eq!(left, ["99", "98", "97", "96", "95"], "each counts for its address");
}

#[tokio::test]
async fn a_large_head_of_http_2_is_refused_the_same() {
    let gateway = Gateway::start().await;
    let stream = TcpStream::connect(gateway.api_address).await.expect("the gateway listens");
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.expect("HTTP/2");
    tokio::spawn(connection);
    let mut again = sender.clone();
    let mut ask = async |length: usize| {
        let uri = format!("http://{}/api/v1/sites", gateway.api_address);
        let request = http::Request::get(uri).header("x", "x".repeat(length)).body(Empty::<Bytes>::new()).expect("a request");
        let answer = sender.send_request(request).await.expect("an answer");
        let (head, body) = answer.into_parts();
        (head, body.collect().await.expect("a body").to_bytes())
    };
    let (head, _) = ask(31_000).await;
    assert_eq!(head.status, 401, "it was read");
    for length in [33_000, 100_000] {
        let (head, body) = ask(length).await;
        assert_eq!((head.status.as_u16(), &head.headers["content-type"]), (431, &"application/problem+json".parse().unwrap()));
        assert!(head.headers.contains_key("ratelimit") && head.headers.contains_key("x-ratelimit-reset"), "{head:?}");
        let problem: Value = serde_json::from_slice(&body).expect("JSON");
        assert_eq!((&problem["code"], &problem["instance"]), (&"head_too_large".into(), &Value::Null), "{problem}");
        assert_eq!(problem["request_id"], head.headers["x-request-id"].to_str().unwrap(), "{problem}");
    }
    // To HEAD the same without a body.
    let uri = format!("http://{}/api/v1/sites", gateway.api_address);
    let request = http::Request::head(uri).header("x", "x".repeat(40_000)).body(Empty::<Bytes>::new()).expect("a request");
    let answer = again.send_request(request).await.expect("an answer");
    assert_eq!(answer.status(), 431);
    assert!(answer.into_body().collect().await.expect("an end").to_bytes().is_empty());
    // What h2 doesn't read at all.
    assert_eq!(ask(200_000).await.0.status, 431);
    // The connection goes on.
    assert_eq!(ask(1).await.0.status, 401);
}
