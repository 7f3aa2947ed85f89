//! HTTP/2 frames, made by hand: what no decent client library would send.
//!
//! In go kinds and payloads; out come bytes (RFC 9113, and RFC 7541 without Huffman). Invariant: nothing here waits for the other
//! side unless it says so; a server that closes is an answer, not an error.

use portico_tests::Gateway;
use std::{io, time::Duration};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PING: u8 = 6;
pub const WINDOW_UPDATE: u8 = 8;
pub const CONTINUATION: u8 = 9;

pub const END_STREAM: u8 = 1;
pub const END_HEADERS: u8 = 4;

pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a short frame").to_be_bytes();
    let mut frame = vec![length[1], length[2], length[3], kind, flags];
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// One setting.
pub fn setting(id: u16, value: u32) -> Vec<u8> {
    [&id.to_be_bytes()[..], &value.to_be_bytes()].concat()
}

/// A field that isn't put into the table.
pub fn field(name: &str, value: &str) -> Vec<u8> {
    [&[0][..], &string(name), &string(value)].concat()
}

/// A field that is.
pub fn indexed_field(name: &str, value: &str) -> Vec<u8> {
    [&[0x40][..], &string(name), &string(value)].concat()
}

fn string(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    // An integer with a prefix of 7 bits.
    let mut length = text.len();
    if length < 127 {
        out.push(u8::try_from(length).expect("below 127"));
    } else {
        out.push(127);
        length -= 127;
        while length >= 128 {
            out.push(u8::try_from(length % 128).expect("below 128") | 128);
            length /= 128;
        }
        out.push(u8::try_from(length).expect("below 128"));
    }
    out.extend(text.as_bytes());
    out
}

/// The head of `GET path`.
pub fn get(path: &str) -> Vec<u8> {
    // :method GET, :scheme http, :path, :authority.
    [&[0x82, 0x86, 0x04][..], &string(path), &[0x01], &string("localhost")].concat()
}

/// The head of `HEAD path`.
pub fn head(path: &str) -> Vec<u8> {
    [&[0x02][..], &string("HEAD"), &[0x86, 0x04], &string(path), &[0x01], &string("localhost")].concat()
}

/// A connection whose preface was sent, with these settings.
pub async fn connect(gateway: &Gateway, settings: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(gateway.api_address).await.expect("the gateway listens");
    let preface = [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &frame(SETTINGS, 0, 0, settings)[..]].concat();
    // An error shows when the next thing is sent.
    drop(stream.write_all(&preface).await);
    stream
}

/// Reads until so many answers have begun; an error if the server closes before.
pub async fn begun(stream: &mut TcpStream, mut answers: usize) -> io::Result<()> {
    while answers > 0 {
        let mut head = [0; 9];
        stream.read_exact(&mut head).await?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        stream.read_exact(&mut vec![0; length as usize]).await?;
        answers -= usize::from(head[3] == HEADERS);
    }
    Ok(())
}

/// Reads until the server closes, or for so long; true if it closed.
pub async fn closed(stream: &mut TcpStream, within: Duration) -> bool {
    let end = async {
        let mut buffer = vec![0; 64 * 1024];
        while stream.read(&mut buffer).await.is_ok_and(|read| read > 0) {}
    };
    tokio::time::timeout(within, end).await.is_ok()
}

/// Sends the same bytes again and again while it reads what comes, at most so often; gives how often, until the server closed.
pub async fn pour(stream: &mut TcpStream, bytes: &[u8], times: usize, within: Duration) -> Poured {
    let (mut reader, mut writer) = stream.split();
    let drain = async {
        let mut buffer = vec![0; 64 * 1024];
        while reader.read(&mut buffer).await.is_ok_and(|read| read > 0) {}
    };
    let mut sent = 0;
    let send = async {
        while sent < times {
            writer.write_all(bytes).await?;
            sent += 1;
        }
        Ok::<_, io::Error>(())
    };
    let closed = tokio::select! {
        () = drain => true,
        result = send => result.is_err(),
        () = tokio::time::sleep(within) => false,
    };
    Poured { sent, closed }
}

/// Asks for a head again and again, after such pauses and from this stream on, while it reads what comes; true if the server closed
/// within this time.
pub async fn ask_on(stream: &mut TcpStream, mut id: u32, pause: Duration, within: Duration) -> bool {
    let (mut reader, mut writer) = stream.split();
    let drain = async {
        let mut buffer = vec![0; 64 * 1024];
        while reader.read(&mut buffer).await.is_ok_and(|read| read > 0) {}
    };
    let ask = async {
        while writer.write_all(&frame(HEADERS, END_HEADERS | END_STREAM, id, &head("/docs"))).await.is_ok() {
            id += 2;
            tokio::time::sleep(pause).await;
        }
    };
    tokio::select! {
        () = drain => true,
        () = ask => true,
        () = tokio::time::sleep(within) => false,
    }
}

pub struct Poured {
    pub sent: usize,
    pub closed: bool,
}
