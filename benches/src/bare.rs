//! `portico-bare RESPONSE-FILE [MILLISECONDS]`: a bare hyper server that answers every request with the same bytes, after so long.
//!
//! In goes a file as `curl -i` prints an answer; out comes an address on stdout, and that answer for every request. It is what
//! the gateway is compared with: the same runtime, the same bytes, and no work. Invariant: nothing is computed per request.

use anyhow::{Context, Result};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::{convert::Infallible, time::Duration};
use tokio::net::TcpListener;

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

fn parse(text: &[u8]) -> Result<Answer> {
    let split = text.windows(4).position(|window| window == b"\r\n\r\n").context("no empty line after the headers")?;
    let head = std::str::from_utf8(&text[..split])?;
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).context("no status line")?.parse()?;
    let mut headers = HeaderMap::new();
    for line in lines {
        let (name, value) = line.split_once(':').context("a header without a colon")?;
        // These hyper writes by itself, for the gateway as well.
        if !["content-length", "date", "transfer-encoding"].contains(&name.to_ascii_lowercase().as_str()) {
            headers.append(HeaderName::from_bytes(name.as_bytes())?, HeaderValue::from_str(value.trim())?);
        }
    }
    Ok(Answer { status, headers, body: Bytes::copy_from_slice(&text[split + 4..]) })
}

#[tokio::main]
#[expect(clippy::print_stdout, reason = "the script that starts this reads the address")]
async fn main() -> Result<()> {
    let file = std::env::args().nth(1).context("usage: portico-bare RESPONSE-FILE [MILLISECONDS]")?;
    let delay = std::env::args().nth(2).map(|text| text.parse().map(Duration::from_millis)).transpose()?;
    let answer: &'static Answer = Box::leak(Box::new(parse(&std::fs::read(file)?)?));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(async move {
            let service = service_fn(move |_: Request<Incoming>| async move {
                if let Some(delay) = delay {
                    tokio::time::sleep(delay).await;
                }
                let mut response = Response::new(Full::new(answer.body.clone()));
                *response.status_mut() = answer.status;
                *response.headers_mut() = answer.headers.clone();
                Ok::<_, Infallible>(response)
            });
            let mut server = http1::Builder::new();
            server.timer(TokioTimer::new());
            // A client that goes away is the end of its connection and nothing more.
            drop(server.serve_connection(TokioIo::new(stream), service).await);
        });
    }
}
