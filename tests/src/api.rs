//! A small client of the API.
//!
//! In go paths below `/api/v1` and JSON, out come whole answers. Invariant: `Reply::is` fails with the whole answer in the
//! message, so that a red test says what the gateway said; and an answer of a gateway that isn't as its document says, or tells no
//! limit on requests, fails whatever test meets it.

use crate::Sse;
use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::Value;
use std::{net::SocketAddr, time::Duration};

/// Longer than the longest wait that a request may ask for.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);

/// What every answer of a gateway tells of a limit, unless all of them are off.
pub const LIMIT_FIELDS: [&str; 5] =
    ["x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset", "ratelimit", "ratelimit-policy"];

#[derive(Clone)]
pub struct Api {
    client: Client<HttpConnector, Full<Bytes>>,
    address: SocketAddr,
    /// The header fields that say who asks; none: nobody does.
    credential: Vec<(&'static str, String)>,
    /// The gateway has no limit that it could tell.
    unlimited: bool,
}

/// A whole answer.
#[derive(Clone, Debug)]
pub struct Reply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
    question: String,
}

impl Api {
    pub fn new(address: SocketAddr, token: Option<&str>) -> Self {
        let client = Client::builder(TokioExecutor::new()).build_http();
        Self { client, address, credential: token.map(bearer).into_iter().collect(), unlimited: false }
    }

    /// The same, over connections of its own.
    #[must_use]
    pub fn fresh(&self) -> Self {
        Self { credential: self.credential.clone(), unlimited: self.unlimited, ..Self::new(self.address, None) }
    }

    /// The same, for a gateway whose limits are all off.
    #[must_use]
    pub fn unlimited(&self) -> Self {
        Self { unlimited: true, ..self.clone() }
    }

    #[must_use]
    pub fn with_token(&self, token: &str) -> Self {
        Self { credential: vec![bearer(token)], ..self.clone() }
    }

    /// In a browser's session, as its own page asks. `cookie`: name and value.
    #[must_use]
    pub fn with_session(&self, cookie: &str) -> Self {
        let credential = vec![("cookie", cookie.to_owned()), ("sec-fetch-site", "same-origin".to_owned())];
        Self { credential, ..self.clone() }
    }

    pub async fn get(&self, path: &str) -> Reply {
        self.send(Method::GET, path, &[], Bytes::new()).await
    }

    pub async fn delete(&self, path: &str) -> Reply {
        self.send(Method::DELETE, path, &[("prefer", "wait=30")], Bytes::new()).await
    }

    /// Waits for the operation, as most tests want.
    pub async fn post(&self, path: &str, body: &Value) -> Reply {
        self.json(Method::POST, path, &[("prefer", "wait=30")], body).await
    }

    pub async fn json(&self, method: Method, path: &str, headers: &[(&str, &str)], body: &Value) -> Reply {
        let headers = [headers, &[("content-type", "application/json")]].concat();
        self.send(method, path, &headers, Bytes::from(body.to_string())).await
    }

    pub async fn send(&self, method: Method, path: &str, headers: &[(&str, &str)], body: Bytes) -> Reply {
        let question = format!("{method} {path}");
        self.try_send(method, path, headers, body).await.unwrap_or_else(|error| panic!("{question}: {error:#}"))
    }

    /// Opens a stream of events, whatever the answer's status is.
    pub async fn watch(&self, path: &str, headers: &[(&str, &str)]) -> Sse {
        let request = self.request(Method::GET, path, headers, Bytes::new()).expect("a request");
        let response = tokio::time::timeout(PATIENCE, self.client.request(request)).await;
        let response = response.expect("no answer came").expect("the gateway answers");
        self.check_limits(path, response.headers());
        Sse::new(response)
    }

    /// An error is a gateway that is gone, or that broke the connection.
    pub async fn try_send(&self, method: Method, path: &str, headers: &[(&str, &str)], body: Bytes) -> anyhow::Result<Reply> {
        let question = format!("{method} {path}");
        let asked = method.clone();
        let request = self.request(method, path, headers, body)?;
        let response = tokio::time::timeout(PATIENCE, self.client.request(request)).await??;
        let (parts, body) = response.into_parts();
        self.check_limits(&question, &parts.headers);
        let body = tokio::time::timeout(PATIENCE, body.collect()).await??.to_bytes();
        crate::document::check(&asked, path.strip_prefix("/api/v1").unwrap_or(path), parts.status, &parts.headers, &body);
        Ok(Reply { status: parts.status, headers: parts.headers, body, question })
    }

    /// Fails where an answer of a gateway doesn't tell its limit. With a credential only gateways are asked. Without one it may be
    /// any server: a gateway's answers are known by their id, which those of the admin listener don't have.
    fn check_limits(&self, question: &str, headers: &HeaderMap) {
        let is_gateways = !self.credential.is_empty() || headers.contains_key("x-request-id");
        if self.unlimited || !is_gateways {
            return;
        }
        let missing: Vec<_> = LIMIT_FIELDS.iter().filter(|name| !headers.contains_key(**name)).collect();
        assert!(missing.is_empty(), "{question}: the answer doesn't tell {missing:?}: {headers:?}");
    }

    fn request(&self, method: Method, path: &str, headers: &[(&str, &str)], body: Bytes) -> http::Result<Request<Full<Bytes>>> {
        let prefix = if path.starts_with("/api/") || self.credential.is_empty() { "" } else { "/api/v1" };
        let request = Request::builder().method(method).uri(format!("http://{}{prefix}{path}", self.address));
        let own = self.credential.iter().map(|(name, value)| (*name, value.as_str()));
        let request = own.chain(headers.iter().copied()).fold(request, |request, (name, value)| request.header(name, value));
        request.body(Full::new(body))
    }

    /// Every page of a list, followed by its cursor to the end.
    pub async fn walk(&self, path: &str) -> Vec<Value> {
        let mut pages = Vec::new();
        let mut next = path.to_owned();
        loop {
            let page = self.get(&next).await.is(200).json();
            let cursor = page["next_cursor"].as_str().map(str::to_owned);
            pages.push(page);
            let Some(cursor) = cursor else { return pages };
            let separator = if path.contains('?') { '&' } else { '?' };
            next = format!("{path}{separator}cursor={cursor}");
        }
    }
}

fn bearer(token: &str) -> (&'static str, String) {
    ("authorization", format!("Bearer {token}"))
}

impl Reply {
    /// Fails unless this is the status.
    #[track_caller]
    #[must_use]
    pub fn is(self, status: u16) -> Self {
        assert_eq!(self.status.as_u16(), status, "{}: {}", self.question, self.text());
        self
    }

    /// Fails unless this is problem+json with this status and code.
    #[track_caller]
    pub fn problem(self, status: u16, code: &str) -> Value {
        let reply = self.is(status);
        let content_type = reply.headers.get("content-type").map(|value| value.as_bytes().to_vec());
        assert_eq!(
            content_type.as_deref(),
            Some(b"application/problem+json".as_slice()),
            "{}: {}",
            reply.question,
            reply.text()
        );
        let problem = reply.json();
        assert_eq!(problem["code"], code, "{}: {problem}", reply.question);
        problem
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{}: {error}: {}", self.question, self.text()))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    pub fn text(&self) -> String {
        let text = String::from_utf8_lossy(&self.body);
        text.chars().take(4000).collect()
    }
}
