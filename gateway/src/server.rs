//! The server: accept loops, HTTP/1.1 and 2, limits on connections, drain.
//!
//! In go listeners and services; out come answers on the wire. Invariant: nothing is read from a client without a limit on
//! time and size, and after shutdown begins no new connection is taken while requests in flight finish. No TLS yet: it
//! listens on loopback unless told otherwise.

mod admin;
mod first_word;
mod listen;
mod peer;

pub use admin::admin;
pub use listen::Listener;

use axum::{Router, body::Body};
use hyper::body::Incoming;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto, graceful::GracefulShutdown},
    service::TowerToHyperService,
};
use prometheus::IntGauge;
use serde::{Deserialize, Serialize};
use std::{net::IpAddr, sync::Arc, time::Duration};
use tokio::{net::TcpStream, sync::Semaphore};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

/// The `[server]` section.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ServerConfig {
    /// Client connections at the same time; more wait in the kernel's queue.
    pub max_connections: usize,
    /// A request's head must arrive in this time: what slow-loris clients run into.
    pub header_timeout_ms: u64,
    /// How long requests in flight may take to finish after SIGTERM.
    pub drain_ms: u64,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self { max_connections: 10_000, header_timeout_ms: 10_000, drain_ms: 20_000 }
    }
}

/// A request's head is at most this long.
const MAX_HEAD: usize = 32 * 1024;
const MAX_STREAMS: u32 = 250;

/// Serves until `shutdown`, then drains.
pub async fn serve(listener: Listener, service: Router, config: ServerConfig, open: IntGauge, shutdown: CancellationToken) {
    let builder = Arc::new(builder(&config));
    let places = Arc::new(Semaphore::new(config.max_connections));
    let graceful = GracefulShutdown::new();
    let patience = Duration::from_millis(config.header_timeout_ms);
    let service = TowerToHyperService::new(service.map_request(|request: http::Request<Incoming>| request.map(Body::new)));
    loop {
        let Some(((stream, peer), place)) = next(&listener, &places, &shutdown).await else { break };
        let watcher = graceful.watcher();
        let (service, builder, open) = (service.clone(), Arc::clone(&builder), open.clone());
        tokio::spawn(async move {
            open.inc();
            let (service, spoken) = first_word::told(peer::of(peer, service));
            // In a box, since each function that a future is handed through would have room for it in its own: four times 1.7 KiB,
            // for every connection that is open.
            let connection = Box::pin(watcher.watch(builder.serve_connection(TokioIo::new(stream), service).into_owned()));
            if let Err(error) = first_word::or_silence(connection, spoken, patience).await {
                // Clients that vanish or speak nonsense are everyday; their requests were answered or never understood.
                tracing::debug!(error = %error, "a client connection ended with an error");
            }
            open.dec();
            drop(place);
        });
    }
    drop(listener);
    if tokio::time::timeout(Duration::from_millis(config.drain_ms), graceful.shutdown()).await.is_err() {
        tracing::warn!(drain_ms = config.drain_ms, "requests were still in flight when the drain time was over");
    }
}

async fn next(
    listener: &Listener,
    places: &Arc<Semaphore>,
    shutdown: &CancellationToken,
) -> Option<((TcpStream, IpAddr), tokio::sync::OwnedSemaphorePermit)> {
    let accepted = async {
        let place = Arc::clone(places).acquire_owned().await.ok()?;
        Some((listener.accept().await, place))
    };
    tokio::select! {
        () = shutdown.cancelled() => None,
        accepted = accepted => accepted,
    }
}

fn builder(config: &ServerConfig) -> auto::Builder<TokioExecutor> {
    let header_timeout = Duration::from_millis(config.header_timeout_ms);
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(header_timeout).max_buf_size(MAX_HEAD);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(u32::try_from(MAX_HEAD).unwrap_or(u32::MAX))
        .keep_alive_interval(Duration::from_secs(30))
        .keep_alive_timeout(Duration::from_secs(20));
    builder
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Ipv4Addr, SocketAddr};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    async fn start(max_connections: usize, shutdown: &CancellationToken) -> SocketAddr {
        let listener = Listener::bind("listen", SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await.unwrap();
        let address = listener.address;
        let config = ServerConfig { max_connections, header_timeout_ms: 200, drain_ms: 1000 };
        let service = Router::new().route("/", axum::routing::get(|| async { "hello" }));
        tokio::spawn(serve(listener, service, config, IntGauge::new("open", "open").unwrap(), shutdown.clone()));
        address
    }

    async fn say(address: SocketAddr, words: &[u8]) -> Vec<u8> {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(words).await.unwrap();
        let mut answer = Vec::new();
        let read = tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut answer)).await;
        // A reset is an end as well.
        drop(read.expect("the connection was left open"));
        answer
    }

    #[tokio::test]
    async fn who_says_nothing_loses_the_place() {
        let shutdown = CancellationToken::new();
        let address = start(3, &shutdown).await;
        // Nothing, half an HTTP/2 preface, and half a head take every place there is, and are closed.
        let (nothing, preface, head) =
            tokio::join!(say(address, b""), say(address, b"PRI * HT"), say(address, b"GET / HTTP/1.1\r\nx"));
        assert!(nothing.is_empty() && preface.is_empty() && !head.ends_with(b"hello"));
        let answer = say(address, b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await;
        assert!(answer.ends_with(b"hello"), "{}", String::from_utf8_lossy(&answer));
        shutdown.cancel();
    }
}
