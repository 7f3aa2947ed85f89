//! An upstream on loopback that answers by script and remembers every request.
//!
//! In goes a function from a request to an [`Answer`]; out come the requests as they arrived, byte for byte where it matters.
//! Invariant: a request is remembered before it is answered, so what a test counts is what was sent.

use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, Method, Response};
use http_body_util::{BodyExt, StreamBody};
use hyper::{
    body::{Frame, Incoming},
    service::service_fn,
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use serde_json::Value;
use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
    task::JoinHandle,
};
use tokio_rustls::TlsAcceptor;

/// A request that arrived.
#[derive(Clone, Debug)]
pub struct Seen {
    pub method: Method,
    /// With the query, as it was sent.
    pub path: String,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Seen {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

#[derive(Clone, Debug)]
pub enum Answer {
    Json(u16, Value),
    /// Status, headers, body.
    Raw(u16, Vec<(&'static str, String)>, Bytes),
    /// So many bytes of `x`, without a Content-Length.
    Bytes(u64),
    /// Status and body; twice as many bytes are announced, then the connection ends.
    Cut(u16, Bytes),
    /// Then the other answer.
    After(Duration, Box<Self>),
    /// The connection stays open and silent.
    Never,
}

pub struct Upstream {
    scheme: &'static str,
    address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    server: JoinHandle<()>,
}

type Script = dyn Fn(&Seen) -> Answer + Send + Sync;

impl Upstream {
    pub async fn start(script: impl Fn(&Seen) -> Answer + Send + Sync + 'static) -> Self {
        Self::start_as(None, script).await
    }

    /// Over https.
    pub async fn start_tls(tls: TlsAcceptor, script: impl Fn(&Seen) -> Answer + Send + Sync + 'static) -> Self {
        Self::start_as(Some(tls), script).await
    }

    async fn start_as(tls: Option<TlsAcceptor>, script: impl Fn(&Seen) -> Answer + Send + Sync + 'static) -> Self {
        let scheme = if tls.is_some() { "https" } else { "http" };
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port on loopback");
        let address = listener.local_addr().expect("its address");
        let seen = Arc::new(Mutex::new(Vec::new()));
        let server = tokio::spawn(accept(listener, tls, Arc::new(script), Arc::clone(&seen)));
        Self { scheme, address, seen, server }
    }

    pub fn url(&self) -> String {
        format!("{}://{}", self.scheme, self.address)
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How many requests with this method and beginning of the path arrived.
    pub fn count(&self, method: &Method, path: &str) -> usize {
        self.seen().iter().filter(|seen| seen.method == *method && seen.path.starts_with(path)).count()
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn accept(listener: TcpListener, tls: Option<TlsAcceptor>, script: Arc<Script>, seen: Arc<Mutex<Vec<Seen>>>) {
    // Ends the connections with the listener: a test's upstream that is gone is gone.
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let (tls, script, seen) = (tls.clone(), Arc::clone(&script), Arc::clone(&seen));
        connections.spawn(async move {
            let Some(tls) = tls else { return serve(stream, script, seen).await };
            // Who doesn't trust the certificate goes away: that is what a test may want to see.
            if let Ok(stream) = tls.accept(stream).await {
                serve(stream, script, seen).await;
            }
        });
    }
}

async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, script: Arc<Script>, seen: Arc<Mutex<Vec<Seen>>>) {
    let service = service_fn(move |request| answer(request, Arc::clone(&script), Arc::clone(&seen)));
    // A client that breaks the connection is the test's own doing.
    drop(auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await);
}

type Body = http_body_util::combinators::BoxBody<Bytes, Infallible>;

async fn answer(
    request: http::Request<Incoming>,
    script: Arc<Script>,
    seen: Arc<Mutex<Vec<Seen>>>,
) -> Result<Response<Body>, hyper::Error> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    let path = parts.uri.path_and_query().map_or_else(String::new, ToString::to_string);
    let request = Seen { method: parts.method, path, headers: parts.headers, body };
    seen.lock().unwrap_or_else(PoisonError::into_inner).push(request.clone());
    crate::routes::arrived(&request.method, &request.path);
    let mut answer = script(&request);
    while let Answer::After(pause, then) = answer {
        tokio::time::sleep(pause).await;
        answer = *then;
    }
    Ok(respond(answer).await)
}

async fn respond(answer: Answer) -> Response<Body> {
    let (status, headers, body) = match answer {
        Answer::Json(status, value) => {
            (status, vec![("content-type", "application/json".to_owned())], whole(Bytes::from(value.to_string())))
        }
        Answer::Raw(status, headers, body) => (status, headers, whole(body)),
        Answer::Bytes(count) => (200, vec![("content-type", "application/json".to_owned())], many(count)),
        Answer::Cut(status, body) => (
            status,
            vec![("content-type", "application/json".to_owned()), ("content-length", (body.len() * 2).max(1).to_string())],
            piecewise(body),
        ),
        Answer::Never | Answer::After(..) => std::future::pending().await,
    };
    let response =
        headers.into_iter().fold(Response::builder().status(status), |response, (name, value)| response.header(name, value));
    response.body(body).expect("a test's answer is valid")
}

fn whole(bytes: Bytes) -> Body {
    http_body_util::Full::new(bytes).boxed()
}

/// Its length isn't known beforehand.
fn piecewise(bytes: Bytes) -> Body {
    StreamBody::new(stream::iter([Ok(Frame::data(bytes))])).boxed()
}

fn many(count: u64) -> Body {
    const PIECE: u64 = 64 * 1024;
    let pieces = stream::unfold(count, |left| async move {
        let size = left.min(PIECE);
        let piece = Bytes::from(vec![b'x'; usize::try_from(size).unwrap_or_default()]);
        (size > 0).then(|| (Ok(Frame::data(piece)), left - size))
    });
    StreamBody::new(pieces).boxed()
}
