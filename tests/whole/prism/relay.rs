//! Between a gateway and prism: hands requests on as they are, and writes down what prism thought of each.
//!
//! Prism says so by the answer: a request that breaks the specification is answered with an error, and `sl-violations` names what is
//! wrong. Invariant: requests are never changed; an answer may be, by the row's own function, after it was judged.

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use serde_json::Value;
use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::{net::TcpListener, task::JoinHandle};

/// A request, and what prism found wrong in it.
#[derive(Clone, Debug)]
pub struct Judged {
    pub method: Method,
    /// With its query.
    pub path: String,
    pub violation: Option<String>,
}

type Adapt = fn(&Method, &str, Value) -> Value;

pub struct Relay {
    address: SocketAddr,
    judged: Arc<Mutex<Vec<Judged>>>,
    server: JoinHandle<()>,
}

#[derive(Clone)]
struct Way {
    prism: SocketAddr,
    adapt: Adapt,
    client: Client<HttpConnector, Full<Bytes>>,
    judged: Arc<Mutex<Vec<Judged>>>,
}

impl Relay {
    pub async fn start(prism: SocketAddr, adapt: Adapt) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port on loopback");
        let address = listener.local_addr().expect("its address");
        let judged = Arc::default();
        let client = Client::builder(TokioExecutor::new()).build_http();
        let way = Way { prism, adapt, client, judged: Arc::clone(&judged) };
        Self { address, judged, server: tokio::spawn(accept(listener, way)) }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn judged(&self) -> Vec<Judged> {
        self.judged.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn accept(listener: TcpListener, way: Way) {
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let way = way.clone();
        let service = service_fn(move |request| way.clone().pass(request));
        connections.spawn(async move {
            // The gateway may break a connection off at its end.
            drop(auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await);
        });
    }
}

impl Way {
    async fn pass(self, request: Request<Incoming>) -> anyhow::Result<Response<Full<Bytes>>> {
        let (parts, body) = request.into_parts();
        let path = parts.uri.path_and_query().map_or_else(String::new, ToString::to_string);
        let body = body.collect().await?.to_bytes();
        let (status, headers, body) = self.ask(&parts.method, &path, parts.headers, body).await?;
        let violation = violation(status, &headers, &body);
        let judged = Judged { method: parts.method.clone(), path: path.clone(), violation };
        self.judged.lock().unwrap_or_else(PoisonError::into_inner).push(judged);
        let adapted = match serde_json::from_slice(&body) {
            Ok(value) => Bytes::from((self.adapt)(&parts.method, &path, value).to_string()),
            Err(_) => body,
        };
        let kind = headers.get(header::CONTENT_TYPE).cloned();
        let mut response = Response::builder().status(status).body(Full::new(adapted))?;
        response.headers_mut().extend(kind.map(|kind| (header::CONTENT_TYPE, kind)));
        Ok(response)
    }

    async fn ask(
        &self,
        method: &Method,
        path: &str,
        headers: HeaderMap,
        body: Bytes,
    ) -> anyhow::Result<(StatusCode, HeaderMap, Bytes)> {
        let mut request =
            Request::builder().method(method).uri(format!("http://{}{path}", self.prism)).body(Full::new(body))?;
        *request.headers_mut() = headers;
        let (parts, body) = self.client.request(request).await?.into_parts();
        Ok((parts.status, parts.headers, body.collect().await?.to_bytes()))
    }
}

/// Prism answers a valid request with the example of a success.
fn violation(status: StatusCode, headers: &HeaderMap, body: &Bytes) -> Option<String> {
    let named = headers.get("sl-violations").map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    let of_request = named.filter(|named| named.contains("\"request\""));
    of_request.or_else(|| (!status.is_success()).then(|| format!("{status}: {}", String::from_utf8_lossy(body))))
}
