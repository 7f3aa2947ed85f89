//! A client that holds no file: it counts and hashes what comes, and makes what it sends.
//!
//! In go paths below `/api/v1`; out come heads, counts and hashes. Invariant: a body that ends before its announced end is told
//! apart from a whole one.

use super::host::{header, piece, pieces};
use std::{net::SocketAddr, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

/// For a large file through a gateway that wasn't optimised, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Clone)]
pub struct Client {
    pub address: SocketAddr,
    pub token: String,
}

/// An answer.
#[derive(Debug)]
pub struct Got {
    pub status: u16,
    pub head: String,
    pub received: u64,
    pub hash: blake3::Hash,
    /// The beginning of the body.
    pub text: String,
    /// The announced end was there.
    pub is_whole: bool,
}

impl Got {
    pub fn header(&self, name: &str) -> Option<&str> {
        header(&self.head, name)
    }

    /// Fails unless this is a problem with this status and code.
    #[track_caller]
    pub fn problem(&self, status: u16, code: &str) {
        assert_eq!(self.status, status, "{self:?}");
        assert!(self.text.contains(&format!("\"code\":\"{code}\"")), "{}", self.text);
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{}", self.head);
    }
}

/// What is sent of a body.
#[derive(Clone, Copy, Debug)]
pub struct Sends {
    /// Announced.
    pub length: u64,
    /// Then nothing more comes.
    pub sent: u64,
    /// What comes after that.
    pub then: Then,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// Nothing, and the connection stays.
    Waits,
    /// The end of what this side says.
    Ends,
}

impl Sends {
    pub fn whole(length: u64) -> Self {
        Self { length, sent: length, then: Then::Waits }
    }
}

impl Client {
    pub async fn begin(&self, method: &str, path: &str, headers: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.expect("the gateway listens");
        let head =
            format!("{method} /api/v1{path} HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {}\r\n{headers}\r\n", self.token);
        stream.write_all(head.as_bytes()).await.expect("the gateway reads");
        stream
    }

    pub async fn get(&self, path: &str) -> Got {
        let mut stream = self.begin("GET", path, "connection: close\r\n").await;
        timeout(PATIENCE, answer(&mut stream)).await.expect("an answer in time")
    }

    pub async fn put(&self, path: &str, headers: &str, sends: Sends) -> Got {
        let headers = format!("content-length: {}\r\n{headers}", sends.length);
        let stream = self.begin("PUT", path, &headers).await;
        let (mut reader, mut writer) = stream.into_split();
        let sending = tokio::spawn(async move {
            for (number, length) in pieces(sends.sent) {
                // A gateway that has said why it takes no more is not waited for.
                if writer.write_all(&piece(number, length)).await.is_err() {
                    return writer;
                }
            }
            if sends.then == Then::Ends {
                drop(writer.shutdown().await);
            }
            writer
        });
        let got = timeout(PATIENCE, answer(&mut reader)).await.expect("an answer in time");
        sending.abort();
        got
    }
}

/// Reads a whole answer, or until it breaks off.
async fn answer(stream: &mut (impl AsyncReadExt + Unpin)) -> Got {
    let mut read = Vec::new();
    let end = loop {
        if let Some(end) = read.windows(4).position(|four| four == b"\r\n\r\n") {
            break end + 4;
        }
        match stream.read_buf(&mut read).await {
            Ok(1..) => {}
            other => panic!("no answer ({other:?}): {}", String::from_utf8_lossy(&read)),
        }
    };
    let mut body = read.split_off(end);
    let head = String::from_utf8_lossy(&read).into_owned();
    let status = head.split(' ').nth(1).and_then(|text| text.parse().ok()).expect("a status");
    let length: Option<u64> = header(&head, "content-length").and_then(|text| text.parse().ok());
    let mut got = Got { status, head, received: 0, hash: blake3::hash(b""), text: String::new(), is_whole: false };
    match length {
        Some(length) => counted(stream, body, length, &mut got).await,
        None => {
            drop(stream.read_to_end(&mut body).await);
            unchunk(&body, &mut got);
        }
    }
    got
}

async fn counted(stream: &mut (impl AsyncReadExt + Unpin), first: Vec<u8>, length: u64, got: &mut Got) {
    let mut hasher = blake3::Hasher::new();
    got.text = String::from_utf8_lossy(&first[..first.len().min(4000)]).into_owned();
    hasher.update(&first);
    got.received = first.len() as u64;
    let mut buffer = vec![0; 256 * 1024];
    while got.received < length {
        let Ok(count @ 1..) = stream.read(&mut buffer).await else { break };
        if got.text.len() < 4000 {
            got.text.push_str(&String::from_utf8_lossy(&buffer[..count.min(4000)]));
        }
        hasher.update(&buffer[..count]);
        got.received += count as u64;
    }
    got.is_whole = got.received == length;
    got.hash = hasher.finalize();
}

/// The connection is closed after it, so all of it was read.
fn unchunk(mut rest: &[u8], got: &mut Got) {
    let mut hasher = blake3::Hasher::new();
    while let Some(end) = rest.windows(2).position(|two| two == b"\r\n") {
        let size =
            std::str::from_utf8(&rest[..end]).ok().and_then(|text| usize::from_str_radix(text, 16).ok()).expect("a size");
        rest = &rest[end + 2..];
        if size == 0 {
            got.is_whole = true;
            break;
        }
        let data = &rest[..size.min(rest.len())];
        hasher.update(data);
        got.received += data.len() as u64;
        rest = rest.get(size + 2..).unwrap_or_default();
    }
    got.hash = hasher.finalize();
}
