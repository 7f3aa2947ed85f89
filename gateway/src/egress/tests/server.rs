//! A real HTTP server on loopback that answers from a function and remembers what it was asked.

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto::Builder,
};
use std::{
    io,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, UnixListener},
};

pub type Seen = (http::request::Parts, Bytes);
type Answer = Box<dyn Fn(&Seen) -> Response<Full<Bytes>> + Send + Sync>;

pub struct Server {
    pub port: u16,
    answer: Answer,
    seen: Mutex<Vec<Seen>>,
    connections: AtomicUsize,
}

impl Server {
    pub async fn http(answer: impl Fn(&Seen) -> Response<Full<Bytes>> + Send + Sync + 'static) -> Arc<Self> {
        Self::start(answer, None).await
    }

    pub async fn https(
        tls: Arc<rustls::ServerConfig>,
        answer: impl Fn(&Seen) -> Response<Full<Bytes>> + Send + Sync + 'static,
    ) -> Arc<Self> {
        Self::start(answer, Some(tls)).await
    }

    async fn start(
        answer: impl Fn(&Seen) -> Response<Full<Bytes>> + Send + Sync + 'static,
        tls: Option<Arc<rustls::ServerConfig>>,
    ) -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = Self::new(port, Box::new(answer));
        let own = Arc::clone(&server);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                own.connections.fetch_add(1, Ordering::SeqCst);
                let (own, tls) = (Arc::clone(&own), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        None => own.serve(stream).await,
                        Some(tls) => {
                            if let Ok(stream) = tokio_rustls::TlsAcceptor::from(tls).accept(stream).await {
                                own.serve(stream).await;
                            }
                        }
                    }
                });
            }
        });
        server
    }

    pub fn unix(path: &Path, answer: impl Fn(&Seen) -> Response<Full<Bytes>> + Send + Sync + 'static) -> Arc<Self> {
        let listener = UnixListener::bind(path).unwrap();
        let server = Self::new(0, Box::new(answer));
        let own = Arc::clone(&server);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let own = Arc::clone(&own);
                tokio::spawn(async move { own.serve(stream).await });
            }
        });
        server
    }

    fn new(port: u16, answer: Answer) -> Arc<Self> {
        Arc::new(Self { port, answer, seen: Mutex::default(), connections: AtomicUsize::new(0) })
    }

    async fn serve(self: Arc<Self>, stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) {
        let service = service_fn(move |request: Request<Incoming>| {
            let own = Arc::clone(&self);
            async move {
                let (parts, body) = request.into_parts();
                let seen = (parts, body.collect().await.unwrap().to_bytes());
                let answer = (own.answer)(&seen);
                own.seen.lock().unwrap().push(seen);
                if answer.extensions().get::<Reset>().is_some() { Err(io::Error::other("reset")) } else { Ok(answer) }
            }
        });
        // The client may leave at any time; that is not this server's to judge.
        let _ = Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

pub fn ok(body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    Response::new(Full::new(body.into()))
}

#[derive(Clone)]
struct Reset;

/// No answer: over HTTP/2 the request is reset, and the connection goes on.
pub fn reset() -> Response<Full<Bytes>> {
    let mut answer = ok("");
    answer.extensions_mut().insert(Reset);
    answer
}

pub fn redirect(status: u16, location: &str) -> Response<Full<Bytes>> {
    Response::builder().status(status).header("location", location).body(Full::default()).unwrap()
}
