//! One connection, from its first byte to its end.
//!
//! In go a socket and its place; out come answers. Invariant: every request comes with the client's address, and whether it came
//! over TLS, and whoever reads them needn't know about proxies; a connection ends when its time is over, also
//! when its client goes on answering pings.

use super::{
    ServerConfig,
    flight::Flight,
    life::{Patience, Reason},
    places::{Place, Places, Sizes},
    stream::Stream,
    tls::{HandshakeError, Tls},
    unread,
    wire::{self, Rest, Wire},
};
use crate::{
    clock,
    hot_path::{Answer, Way, Whence, bodied},
    metrics::Metrics,
    policy::{ClientAddress, PIECE, TrustedProxies},
};
use axum::body::Body;
use futures_util::{FutureExt as _, StreamExt as _, future::Either, stream::FuturesUnordered};
use http::{HeaderMap, HeaderValue, header};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto, graceful::GracefulConnection},
};
use prometheus::{IntCounterVec, IntGauge};
use std::{
    net::IpAddr,
    pin::Pin,
    sync::{Arc, OnceLock},
    time::Duration,
};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

/// A request's head is at most this long; over HTTP/2, its fields as RFC 9113 counts them.
pub(super) const MAX_HEAD: usize = 32 * 1024;
/// What h2 reads of one, so that we refuse what is longer. Beyond this h2 does, and `wire` adds the fields that answers have; beyond
/// four times of it, h2 ends the connection.
const MAX_READ: u32 = 128 * 1024;
/// Requests at the same time of one HTTP/2 connection.
const MAX_STREAMS: u32 = 250;
/// Streams that a client opened and reset before they were looked at (CVE-2023-44487), and those that we reset for its errors
/// (RUSTSEC-2024-0003), before it is sent away.
const MAX_RESETS: usize = 20;
const MAX_ERRORS: usize = 256;
/// What a client may send ahead of being read: of one stream, and of all together. Uploads are the only bodies beyond it.
const STREAM_WINDOW: u32 = 256 * 1024;
const CONNECTION_WINDOW: u32 = 1024 * 1024;
const PING_EVERY: Duration = Duration::from_secs(30);
const PING_PATIENCE: Duration = Duration::from_secs(20);
/// For the goodbye of a connection that rested too long, or was refused.
const LAST_WORDS: Duration = Duration::from_secs(5);

pub type Service = Way;

/// What all connections of a listener share.
pub struct Front {
    builder: auto::Builder<TokioExecutor>,
    pub(super) places: Arc<Places>,
    proxies: TrustedProxies,
    tls: Option<Arc<Tls>>,
    patience: Patience,
    pub(super) drain: Duration,
    open: IntGauge,
    closed: IntCounterVec,
}

/// Why a connection ended otherwise than by both sides' will.
#[derive(Debug, thiserror::Error)]
enum Ending {
    #[error("closed: {}", .0.as_str())]
    Closed(Reason),
    #[error(transparent)]
    Handshake(HandshakeError),
    #[error("{0}")]
    Broken(Box<dyn std::error::Error + Send + Sync>),
}

impl Front {
    pub fn new(config: &ServerConfig, tls: Option<Arc<Tls>>, metrics: &Metrics, open: IntGauge) -> Self {
        let sizes = Sizes {
            connections: super::descriptors::most(config.max_connections),
            per_client: config.per_client(),
            handshakes: tls.as_ref().map_or(usize::MAX, |tls| tls.max_handshakes.max(1)),
        };
        Self {
            builder: builder(),
            places: Places::new(sizes),
            proxies: config.proxies(),
            tls,
            patience: Patience {
                head: Duration::from_millis(config.header_timeout_ms),
                idle: Duration::from_millis(config.idle_timeout_ms),
                stalled: Duration::from_millis(config.stall_timeout_ms),
            },
            drain: Duration::from_millis(config.drain_ms),
            open,
            closed: metrics.connections_closed.clone(),
        }
    }

    /// Whose share of the places a connection takes: none for those who speak for many.
    pub(super) fn share(&self, peer: IpAddr) -> Option<IpAddr> {
        (!peer.is_loopback() && !self.proxies.trusts(peer)).then_some(peer)
    }

    /// The field of every answer over TLS.
    fn dress(&self, headers: &mut HeaderMap) {
        if let Some(hsts) = self.tls.as_ref().and_then(|tls| tls.hsts.clone()) {
            headers.insert(header::STRICT_TRANSPORT_SECURITY, hsts);
        }
    }

    pub(super) fn count(&self, reason: Reason) {
        self.closed.with_label_values(&[reason.as_str()]).inc();
    }
}

fn builder() -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    // How long a head may take, `life` says: hyper's own timer would count the rest before it, too, and cost a timer a request.
    builder.http1().header_read_timeout(None).max_buf_size(MAX_HEAD);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(MAX_READ)
        .max_pending_accept_reset_streams(MAX_RESETS)
        .max_local_error_reset_streams(MAX_ERRORS)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        // What h2 keeps of an answer for one slow stream, beside the next piece.
        .max_send_buf_size(PIECE)
        .keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PING_PATIENCE);
    builder
}

/// Serves it to its end.
pub async fn run(front: Arc<Front>, service: Service, stream: TcpStream, place: Place, peer: IpAddr, drain: CancellationToken) {
    front.open.inc();
    if let Err(ending) = talk(&front, service, stream, &place, peer, &drain).await {
        if let Ending::Closed(reason) | Ending::Handshake(HandshakeError::Evicted(reason)) = &ending {
            front.count(*reason);
        }
        // Clients that vanish or speak nonsense are everyday; their requests were answered or never understood.
        tracing::debug!(%peer, "a client connection ended: {ending}");
    }
    front.open.dec();
}

async fn talk(
    front: &Arc<Front>,
    service: Service,
    stream: TcpStream,
    place: &Place,
    peer: IpAddr,
    drain: &CancellationToken,
) -> Result<(), Ending> {
    let stream = match &front.tls {
        Some(tls) => Stream::Tls(Box::new(tls.handshake(stream, place).await.map_err(Ending::Handshake)?)),
        None => Stream::Plain(stream),
    };
    let leftover = Arc::default();
    let caller = Caller { peer, behind_proxy: front.proxies.trusts(peer), tls: front.tls.is_some() };
    if caller.behind_proxy {
        place.life.speak_for_many();
    }
    let refusal = refusal(service.clone(), Arc::clone(front), caller);
    let wire = Wire::new(stream, Arc::clone(&place.life), Arc::clone(&leftover), refusal);
    let (life, shared, way) = (Arc::clone(&place.life), Arc::clone(front), service.clone());
    let service = service_fn(move |request: http::Request<Incoming>| {
        let flight = Flight::begin(&life, request.version());
        let whence = caller.whence(&shared.proxies, &request);
        let answer = ask(&service, request, whence);
        let front = Arc::clone(&shared);
        async move { answer.await.map(|response| finish(response, flight, &front)) }
    });
    // In a box, since each function that a future is handed through would have room for it in its own.
    let connection = Box::pin(front.builder.serve_connection(TokioIo::new(wire), service).into_owned());
    let ended = watch(connection, place, front.patience, drain).await;
    // It had the wire, and so the wire is gone as well.
    if let Some(rest) = Arc::into_inner(leftover).and_then(OnceLock::into_inner) {
        let words = Box::pin(last_words(&way, *rest, &ended, caller, front));
        // Who doesn't take them in time loses them, and so does who holds a place that another needs.
        tokio::select! {
            _ = place.life.evicted() => {}
            said = tokio::time::timeout(LAST_WORDS, words) => tracing::debug!(%peer, ?said, "last words to a client"),
        }
    }
    ended
}

fn ask(way: &Way, request: http::Request<Incoming>, whence: Whence) -> Answer {
    let refused = unread::too_large(&request).and_then(|why| way.misread(why.0, &why.1, whence.client));
    match refused {
        Some(refusal) => Either::Left(std::future::ready(Ok(bodied(request.method(), refusal)))),
        None => way.call(request, whence),
    }
}

/// What h2 would refuse with nothing but a status: the fields of a refusal, without a body.
fn refusal(way: Way, front: Arc<Front>, caller: Caller) -> wire::Refusal {
    Box::new(move || {
        let (status, detail) = unread::head_too_large();
        let Some(refusal) = way.misread(status, &detail, ClientAddress(caller.peer)) else { return HeaderMap::new() };
        let mut headers = refusal.into_parts().0.headers;
        headers.remove(header::CONTENT_TYPE);
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
        headers.extend(HeaderValue::try_from(clock::http_date()).ok().map(|date| (header::DATE, date)));
        front.dress(&mut headers);
        headers
    })
}

/// What was held back: hyper's own refusal, or in its place ours; or the end of an answer.
async fn last_words(way: &Way, rest: Rest, ended: &Result<(), Ending>, caller: Caller, front: &Front) -> Result<(), Ending> {
    let refusal = match ended {
        Err(Ending::Broken(error)) => unread::why(&rest.held, &**error)
            .and_then(|(status, detail)| way.misread(status, &detail, ClientAddress(caller.peer))),
        _ => None,
    };
    match refusal {
        Some(mut response) => {
            front.dress(response.headers_mut());
            unread::answer(rest.stream, response).await.map_err(Ending::Broken)
        }
        None => unread::let_go(rest).await.map_err(|error| Ending::Broken(error.into())),
    }
}

fn finish(response: http::Response<Body>, flight: Flight, front: &Front) -> http::Response<super::flight::Watched> {
    let mut response = response.map(|body| flight.answer(body));
    front.dress(response.headers_mut());
    response
}

/// What ends a connection, or begins its end, beside its two sides.
enum Alarm {
    Over(Reason),
    Drain,
}

/// Runs the connection until it ends, or its time does.
async fn watch<C>(
    mut connection: Pin<Box<C>>,
    place: &Place,
    mut patience: Patience,
    drain: &CancellationToken,
) -> Result<(), Ending>
where
    C: GracefulConnection<Error = Box<dyn std::error::Error + Send + Sync>>,
{
    let over = |patience: Patience| Either::Left(place.life.over(patience).map(Alarm::Over));
    // Each is looked at when it rings, not whenever bytes come: all connections share what tells of the drain.
    let mut alarms = FuturesUnordered::from_iter([over(patience), Either::Right(drain.cancelled().map(|()| Alarm::Drain))]);
    let mut leaving = false;
    loop {
        tokio::select! {
            // Alarms first: a client that never pauses would use up what a task may do at a time, and none would be heard.
            biased;
            Some(alarm) = alarms.next() => {
                if let Alarm::Over(reason) = alarm {
                    if leaving || reason != Reason::Idle {
                        return Err(Ending::Closed(reason));
                    }
                    // It may hold the end of an answer yet, and an HTTP/2 client wants to be told.
                    leaving = true;
                    patience.idle = LAST_WORDS;
                    place.life.touch();
                    alarms.push(over(patience));
                }
                connection.as_mut().graceful_shutdown();
            }
            ended = connection.as_mut() => return ended.map_err(Ending::Broken),
        }
    }
}

/// Who is at the other end of a connection.
#[derive(Clone, Copy)]
struct Caller {
    peer: IpAddr,
    behind_proxy: bool,
    tls: bool,
}

impl Caller {
    fn whence<B>(self, proxies: &TrustedProxies, request: &http::Request<B>) -> Whence {
        let (client, https) = match self.behind_proxy {
            true => proxies.behind(self.peer, request.headers()),
            false => (ClientAddress(self.peer), false),
        };
        Whence { client, secure: self.tls || https }
    }
}
