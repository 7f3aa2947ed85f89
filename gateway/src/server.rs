//! The server: accept loops, TLS, HTTP/1.1 and 2, limits on connections, drain.
//!
//! In go listeners and services; out come answers on the wire. Invariant: nothing is read from a client without a limit on
//! time and size; clients that ask find a place while others only hold theirs; and after shutdown begins no new connection is
//! taken while requests in flight finish. Plain HTTP stays on loopback unless the operator asks for it.

mod admin;
mod config;
mod connection;
mod descriptors;
mod flight;
mod frames;
mod life;
mod listen;
mod places;
mod stream;
mod tls;
mod unread;
mod wire;

pub use admin::{admin, health};
pub use config::ServerConfig;
pub use connection::Front;
pub use listen::Listener;
pub use tls::{Tls, TlsConfig, watch as watch_certificate};

use crate::hot_path::Way;
use life::Reason;
use places::{Place, Refused};
use std::{net::IpAddr, sync::Arc, time::Duration};
use tokio::net::TcpStream;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// Serves until `shutdown`, then drains.
pub async fn serve(listener: Listener, way: Way, front: Front, shutdown: CancellationToken) {
    let (front, connections) = (Arc::new(front), TaskTracker::new());
    loop {
        let (stream, peer, place) = tokio::select! {
            () = shutdown.cancelled() => break,
            next = next(&listener, &front) => next,
        };
        connections.spawn(connection::run(Arc::clone(&front), way.clone(), stream, place, peer, shutdown.clone()));
    }
    drop(listener);
    connections.close();
    if tokio::time::timeout(front.drain, connections.wait()).await.is_err() {
        let drain_ms = u64::try_from(front.drain.as_millis()).unwrap_or(u64::MAX);
        tracing::warn!(drain_ms, "requests were still in flight when the drain time was over");
    }
}

/// The next connection, with its place.
async fn next(listener: &Listener, front: &Front) -> (TcpStream, IpAddr, Place) {
    /// A connection that comes to rest frees no place, but one that can be taken.
    const AGAIN: Duration = Duration::from_millis(50);
    loop {
        let (stream, peer) = listener.accept().await;
        let peer = peer.ip().to_canonical();
        let share = front.share(peer);
        loop {
            match front.places.enter(share) {
                Ok(place) => return (stream, peer, place),
                Err(Refused::PerClient) => {
                    front.count(Reason::PerClient);
                    break;
                }
                // All are at work: this one waits here, and those behind it in the kernel's queue.
                Err(Refused::Full) => drop(tokio::time::timeout(AGAIN, front.places.freed()).await),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Metrics;
    use axum::Router;
    use prometheus::IntGauge;
    use std::net::{Ipv4Addr, SocketAddr};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    async fn start(config: ServerConfig, shutdown: &CancellationToken) -> SocketAddr {
        let listener = Listener::bind("listen", SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap();
        let address = listener.address;
        let service = Router::new()
            .route("/", axum::routing::get(|| async { "hello" }))
            .route("/alike", axum::routing::get(async || ALIKE))
            .route(
                "/slow",
                axum::routing::get(|| async {
                    tokio::time::sleep(Duration::from_secs(60)).await;
                    "late"
                }),
            );
        let front = Front::new(&config, None, &Metrics::new().unwrap(), IntGauge::new("open", "open").unwrap());
        tokio::spawn(serve(listener, Way::plain(service), front, shutdown.clone()));
        address
    }

    fn small(max_connections: usize) -> ServerConfig {
        ServerConfig { max_connections, header_timeout_ms: 200, drain_ms: 1000, ..ServerConfig::default() }
    }

    async fn say(address: SocketAddr, words: &[u8]) -> Vec<u8> {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(words).await.unwrap();
        rest(&mut stream).await
    }

    async fn rest(stream: &mut TcpStream) -> Vec<u8> {
        let mut answer = Vec::new();
        let read = tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut answer)).await;
        // A reset is an end as well.
        drop(read.expect("the connection was left open"));
        answer
    }

    /// An answer's body that reads as a refusal of hyper's.
    const ALIKE: &str =
        "HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\ndate: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\n";

    #[tokio::test]
    async fn what_looks_like_a_refusal_arrives_as_it_is() {
        let shutdown = CancellationToken::new();
        let address = start(small(3), &shutdown).await;
        let ask = "GET /alike HTTP/1.1\r\nhost: a\r\n\r\n";
        let last = "GET /alike HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
        for words in [last.to_owned(), ask.to_owned() + last, ask.repeat(3) + last] {
            let answer = String::from_utf8(say(address, words.as_bytes()).await).unwrap();
            assert_eq!(answer.matches(ALIKE).count(), words.matches("GET").count(), "{answer}");
            assert!(answer.ends_with(ALIKE), "{answer}");
        }
        // Its end is there while the connection rests.
        let mut resting = TcpStream::connect(address).await.unwrap();
        resting.write_all(ask.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(ALIKE.as_bytes()) {
            let read = tokio::time::timeout(Duration::from_millis(150), resting.read_buf(&mut answer)).await;
            assert!(read.expect("its end was held back").unwrap() > 0);
        }
        // A listener that has no words of its own says hyper's.
        let answer = say(address, format!("{ask}NONSENSE\r\n\r\n").as_bytes()).await;
        let answer = String::from_utf8(answer).unwrap();
        let (before, refusal) = answer.split_once(ALIKE).expect("the answer before it");
        assert!(before.starts_with("HTTP/1.1 200") && unread::refusal_in(refusal.as_bytes()) == Some(0), "{answer}");
        shutdown.cancel();
    }

    const ASK: &[u8] = b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";

    #[tokio::test]
    async fn who_says_nothing_loses_the_place() {
        let shutdown = CancellationToken::new();
        let address = start(small(3), &shutdown).await;
        // Nothing, half an HTTP/2 preface, and half a head take every place there is, and are closed.
        let (nothing, preface, head) =
            tokio::join!(say(address, b""), say(address, b"PRI * HT"), say(address, b"GET / HTTP/1.1\r\nx"));
        assert!(nothing.is_empty() && preface.is_empty() && !head.ends_with(b"hello"));
        let answer = say(address, ASK).await;
        assert!(answer.ends_with(b"hello"), "{}", String::from_utf8_lossy(&answer));
        shutdown.cancel();
    }

    #[tokio::test]
    async fn who_asks_is_served_while_others_hold_every_place() {
        let shutdown = CancellationToken::new();
        let address = start(ServerConfig { header_timeout_ms: 60_000, ..small(3) }, &shutdown).await;
        let mut silent = Vec::new();
        for _ in 0..10 {
            silent.push(TcpStream::connect(address).await.unwrap());
        }
        for _ in 0..5 {
            assert!(say(address, ASK).await.ends_with(b"hello"));
        }
        // The oldest made room.
        assert!(rest(&mut silent[0]).await.is_empty());
        shutdown.cancel();
    }

    #[tokio::test]
    async fn who_rests_too_long_is_closed_and_who_waits_for_us_is_not() {
        let shutdown = CancellationToken::new();
        let config = ServerConfig { header_timeout_ms: 60_000, idle_timeout_ms: 200, stall_timeout_ms: 100, ..small(3) };
        let address = start(config, &shutdown).await;
        let answer = say(address, b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
        assert!(answer.ends_with(b"hello"), "{}", String::from_utf8_lossy(&answer));
        let mut waiting = TcpStream::connect(address).await.unwrap();
        waiting.write_all(b"GET /slow HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
        let ended = tokio::time::timeout(Duration::from_millis(600), waiting.read_u8()).await;
        assert!(ended.is_err(), "a request in flight was cut");
        shutdown.cancel();
    }
}
