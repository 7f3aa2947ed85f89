//! An upstream with large files, byte for byte by script: it sends and takes what a name says, breaks off, or falls silent.
//!
//! In go requests; out come bytes that are known without being held. Invariant: an upload is remembered with what arrived of it
//! when its connection ended or its announced length was there, whichever came first.

use portico_tests::eventually;
use std::{
    net::SocketAddr,
    sync::{Arc, LazyLock, Mutex, PoisonError},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

pub const PIECE: usize = 64 * 1024;

/// The byte at every place of a file of any length; a piece that is lost, doubled or moved is noticed.
pub fn piece(number: u64, length: usize) -> Vec<u8> {
    static PATTERN: LazyLock<Vec<u8>> = LazyLock::new(|| (0..PIECE).map(|place| (place % 251) as u8).collect());
    let mut bytes = PATTERN[..length].to_vec();
    let stamp = number.to_le_bytes();
    let stamped = length.min(stamp.len());
    bytes[..stamped].copy_from_slice(&stamp[..stamped]);
    bytes
}

/// Lengths of the pieces of a file, with their numbers.
pub fn pieces(size: u64) -> impl Iterator<Item = (u64, usize)> {
    let whole = PIECE as u64;
    (0..size.div_ceil(whole)).map(move |number| (number, usize::try_from((size - number * whole).min(whole)).unwrap_or(PIECE)))
}

pub fn hash(size: u64) -> blake3::Hash {
    let mut hasher = blake3::Hasher::new();
    pieces(size).for_each(|(number, length)| {
        hasher.update(&piece(number, length));
    });
    hasher.finalize()
}

/// What becomes of an upload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    All,
    /// Answers with this status at once, and takes nothing.
    Refuses(u16),
    /// Reads the head, and then nothing for ever.
    Nothing,
    /// Takes everything, and doesn't answer before the test says so.
    Held,
}

/// A request that came.
#[derive(Clone, Debug)]
pub struct Came {
    pub head: String,
    /// Of an upload.
    pub received: u64,
    pub is_whole: bool,
    pub hash: Option<blake3::Hash>,
    /// Of a download: the gateway closed the connection before the end.
    pub left: bool,
}

pub struct Host {
    address: SocketAddr,
    came: Arc<Mutex<Vec<Came>>>,
    release: Arc<tokio::sync::Semaphore>,
    server: JoinHandle<()>,
}

impl Host {
    pub async fn start(takes: Takes) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port on loopback");
        let address = listener.local_addr().expect("its address");
        let (came, release) = (Arc::default(), Arc::new(tokio::sync::Semaphore::new(0)));
        let server = tokio::spawn(accept(listener, takes, Arc::clone(&came), Arc::clone(&release)));
        Self { address, came, release, server }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn came(&self) -> Vec<Came> {
        self.came.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Lets so many held uploads be answered.
    pub fn release(&self, count: usize) {
        self.release.add_permits(count);
    }

    /// Waits for a request that has ended as it is described.
    pub async fn saw(&self, what: &str, fits: impl Fn(&Came) -> bool) -> Came {
        eventually(what, async || self.came().into_iter().find(|came| fits(came))).await
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.server.abort();
    }
}

type List = Arc<Mutex<Vec<Came>>>;

async fn accept(listener: TcpListener, takes: Takes, came: List, release: Arc<tokio::sync::Semaphore>) {
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let (came, release) = (Arc::clone(&came), Arc::clone(&release));
        // A gateway that breaks the connection is what some tests are about.
        connections.spawn(async move { drop(serve(stream, takes, came, release).await) });
    }
}

/// One request, then the connection is closed.
async fn serve(mut stream: TcpStream, takes: Takes, list: List, release: Arc<tokio::sync::Semaphore>) -> std::io::Result<()> {
    let (head, rest) = head(&mut stream).await?;
    let mut came = Came { head: head.clone(), received: 0, is_whole: false, hash: None, left: false };
    if let Some(path) = head.strip_prefix("GET ") {
        let name = path.split(' ').next().unwrap_or_default().rsplit('/').next().unwrap_or_default().to_owned();
        came.left = send(&mut stream, &name).await.is_err();
        list.lock().unwrap_or_else(PoisonError::into_inner).push(came);
        return Ok(());
    }
    match takes {
        Takes::Refuses(status) => {
            stream.write_all(format!("HTTP/1.1 {status} No\r\ncontent-length: 0\r\n\r\n").as_bytes()).await?
        }
        Takes::Nothing => std::future::pending().await,
        Takes::All | Takes::Held => receive(&mut stream, rest, &mut came).await,
    }
    let is_whole = came.is_whole;
    list.lock().unwrap_or_else(PoisonError::into_inner).push(came);
    if is_whole && takes == Takes::Held {
        release.acquire().await.expect("it is never closed").forget();
    }
    if is_whole {
        stream.write_all(b"HTTP/1.1 201 Created\r\ncontent-length: 2\r\n\r\n{}").await?;
    }
    Ok(())
}

async fn head(stream: &mut TcpStream) -> std::io::Result<(String, Vec<u8>)> {
    let mut read = Vec::new();
    loop {
        if let Some(end) = read.windows(4).position(|four| four == b"\r\n\r\n") {
            let rest = read.split_off(end + 4);
            return Ok((String::from_utf8_lossy(&read).into_owned(), rest));
        }
        if stream.read_buf(&mut read).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    }
}

async fn receive(stream: &mut TcpStream, rest: Vec<u8>, came: &mut Came) {
    let length = header(&came.head, "content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
    let mut hasher = blake3::Hasher::new();
    hasher.update(&rest);
    came.received = rest.len() as u64;
    let mut buffer = vec![0; 256 * 1024];
    while came.received < length {
        let Ok(count @ 1..) = stream.read(&mut buffer).await else { break };
        hasher.update(&buffer[..count]);
        came.received += count as u64;
    }
    came.is_whole = came.received == length;
    came.hash = Some(hasher.finalize());
}

pub fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let fields = head.lines().filter_map(|line| line.split_once(": "));
    fields.filter(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim()).next()
}

/// `whole-N` and `chunked-N` are files of N bytes; an error is a gateway that left.
async fn send(stream: &mut TcpStream, name: &str) -> std::io::Result<()> {
    let (how, size) = name.split_once('-').unwrap_or((name, "1000000"));
    let size: u64 = size.parse().unwrap_or(1_000_000);
    let status = if how == "status" { size } else { 200 };
    let length =
        if how.starts_with("chunked") { "transfer-encoding: chunked".to_owned() } else { format!("content-length: {size}") };
    let fields = "content-type: text/html\r\netag: \"1\"\r\nset-cookie: a=b\r\nx-inside: y";
    if how == "status" {
        return stream
            .write_all(format!("HTTP/1.1 {status} So\r\ncontent-length: 0\r\nretry-after: 1\r\n\r\n").as_bytes())
            .await;
    }
    stream.write_all(format!("HTTP/1.1 200 OK\r\n{length}\r\n{fields}\r\n\r\n").as_bytes()).await?;
    let sent = if how.ends_with("short") || how.ends_with("stalls") { size / 2 } else { size };
    for (number, length) in pieces(sent) {
        if how.starts_with("chunked") {
            stream.write_all(format!("{length:x}\r\n").as_bytes()).await?;
            stream.write_all(&piece(number, length)).await?;
            stream.write_all(b"\r\n").await?;
        } else {
            stream.write_all(&piece(number, length)).await?;
        }
    }
    match how {
        "chunked" => stream.write_all(b"0\r\n\r\n").await,
        "stalls" => {
            // Until the gateway has had enough.
            let ended = stream.read(&mut [0]).await?;
            if ended == 0 { Err(std::io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
        }
        _ => Ok(()),
    }
}
