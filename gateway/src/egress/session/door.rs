//! The door of an upstream: its login and its refresh.
//!
//! In go the connection's secrets and, for a refresh, what there is of a session; out comes the proof of a session, or an error
//! in words that the connection's owner can act on. Invariant: a login goes to the upstream's own address and is never
//! redirected, counts against its limits like every request, and nothing of its answer but the proof is kept.

use super::jar::{Jar, Origin};
use crate::{
    egress::{
        Flow,
        base::Base,
        bind::{HttpClient, Shared},
        connector::Target,
        fault,
        limits::Limits,
        request, response, retry_after,
        socket::Served,
    },
    model::{Error, Kind, SessionAuth},
    policy,
};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Uri, header};
use http_body_util::Full;
use serde::{Serialize, Serializer, ser::SerializeMap as _};
use serde_json::{Map, Value};
use std::sync::Arc;
use tokio::time::Instant;
use zeroize::Zeroizing;

/// Bytes of a login's answer, at most.
const MAX_ANSWER: usize = 1 << 20;
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// What shows an upstream that a request belongs to a session.
#[derive(Clone)]
pub(in crate::egress) enum Proof {
    /// The whole value of `Authorization`.
    Token(HeaderValue),
    Cookies(Jar),
}

/// What a door is reached by: the upstream's own means.
pub(in crate::egress) struct Way {
    pub client: HttpClient,
    /// Never reuses a connection.
    pub fresh: HttpClient,
    pub target: Arc<Target>,
    pub limits: Arc<Limits>,
    pub shared: Arc<Shared>,
}

pub(in crate::egress) struct Door {
    login: Uri,
    refresh: Option<Uri>,
    fields: Vec<(String, Zeroizing<String>)>,
    extra: Map<String, Value>,
    token: Option<String>,
    /// Names of the secrets, for messages.
    secrets: String,
    https: bool,
    host: String,
    way: Way,
}

impl Door {
    /// `secret` finds a secret by its name.
    pub(in crate::egress) fn new(
        auth: &SessionAuth,
        url: &Base,
        way: Way,
        secret: impl Fn(&str) -> Result<Zeroizing<String>, Error>,
    ) -> Result<Self, Error> {
        let fields: Vec<_> =
            auth.fields.iter().map(|(field, name)| Ok((field.clone(), secret(name)?))).collect::<Result<_, Error>>()?;
        let extra = match auth.extra.as_deref().map(serde_json::from_str) {
            None => Map::new(),
            Some(Ok(extra)) => extra,
            Some(Err(_)) => return Err(wrong("extra fields that are no JSON object")),
        };
        if auth.token_pointer.as_ref().is_some_and(|pointer| !pointer.is_empty() && !pointer.starts_with('/')) {
            return Err(wrong("a token pointer that doesn't begin with a slash"));
        }
        if auth.login_path.is_empty() {
            return Err(wrong("no login path"));
        }
        let names: Vec<&str> = auth.fields.iter().map(|(_, name)| name.as_str()).collect();
        Ok(Self {
            login: uri(url, &auth.login_path)?,
            refresh: auth.refresh_path.as_ref().map(|path| uri(url, path)).transpose()?,
            fields,
            extra,
            token: auth.token_pointer.clone(),
            secrets: names.join(" and "),
            https: url.scheme() == "https",
            host: url.host().map(|host| host.to_string()).unwrap_or_default(),
            way,
        })
    }

    pub(super) fn shared(&self) -> &Shared {
        &self.way.shared
    }

    pub(super) fn label(&self) -> &str {
        &self.way.target.label
    }

    /// Whether a path (and query) is the login's or the refresh's, as servers read paths that aren't strict about it.
    pub(super) fn is_at(&self, target: &str) -> bool {
        let plain = |target: &str| target.split('?').next().unwrap_or_default().trim_end_matches('/').to_ascii_lowercase();
        let asked = plain(target);
        [Some(&self.login), self.refresh.as_ref()].into_iter().flatten().any(|uri| plain(uri.path()) == asked)
    }

    pub(super) fn origin<'a>(&'a self, path: &'a str) -> Origin<'a> {
        Origin { host: &self.host, path, https: self.https }
    }

    /// A new session; true: by the secrets, not by a refresh of the one before.
    pub(super) async fn enter(&self, before: Option<&Proof>, flow: Flow, deadline: Instant) -> Result<(Proof, bool), Error> {
        if let (Some(uri), Some(before)) = (&self.refresh, before) {
            // One that can't be refreshed any more is no failure: there is the login.
            if let Ok(proof) = self.refresh(uri, before, flow, deadline).await {
                return Ok((proof, false));
            }
        }
        let body = self.body()?;
        let (parts, bytes) = self.post(&self.login, Some(body), None, flow, deadline).await?;
        self.accepted(&parts)?;
        Ok((self.proof(&parts.headers, &bytes, self.login.path(), None)?, true))
    }

    async fn refresh(&self, uri: &Uri, before: &Proof, flow: Flow, deadline: Instant) -> Result<Proof, Error> {
        let (parts, bytes) = self.post(uri, None, Some(before), flow, deadline).await?;
        self.accepted(&parts)?;
        self.proof(&parts.headers, &bytes, uri.path(), Some(before))
    }

    async fn post(
        &self,
        uri: &Uri,
        body: Option<Bytes>,
        proof: Option<&Proof>,
        flow: Flow,
        deadline: Instant,
    ) -> Result<(http::response::Parts, Bytes), Error> {
        let Way { client, fresh, limits, shared, .. } = &self.way;
        let _further = limits.time(flow, deadline).await?;
        let began = Instant::now();
        let build = || self.request(uri, body.clone(), proof);
        let answer = match client.request(build()).await {
            // Logging in twice does no harm.
            Err(error) if fault::broke_while_idle(&error) => fresh.request(build()).await,
            answer => answer,
        };
        let answer = answer.map_err(|error| fault::no_answer(&error, self.label()))?;
        if let Some(served) = answer.extensions().get::<Served>() {
            served.set();
        }
        let (parts, incoming) = answer.into_parts();
        limits.heed(parts.status, &parts.headers, began);
        response::check(&parts, self.label(), &shared.config)?;
        let most = MAX_ANSWER.min(shared.config.response_body_bytes);
        let bytes = response::read(incoming, self.label(), most, &mut Instant::now()).await?;
        Ok((parts, bytes))
    }

    fn request(&self, uri: &Uri, body: Option<Bytes>, proof: Option<&Proof>) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(body.clone().unwrap_or_default()));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = uri.clone();
        let headers = request.headers_mut();
        headers.insert(header::ACCEPT, JSON);
        headers.insert(header::USER_AGENT, HeaderValue::from_static(request::USER_AGENT));
        if body.is_some() {
            headers.insert(header::CONTENT_TYPE, JSON);
        }
        policy::mark(headers);
        if let Some((name, value)) = proof.and_then(|proof| proof.header(uri.path(), Instant::now())) {
            headers.insert(name, value);
        }
        request
    }

    /// The bytes are overwritten when the last of those who hold them is done.
    fn body(&self) -> Result<Bytes, Error> {
        let size: usize = self.fields.iter().map(|(field, secret)| field.len() + 2 * secret.len() + 8).sum();
        let mut out = Zeroizing::new(Vec::with_capacity(size + 1024));
        serde_json::to_writer(&mut *out, &Body(self)).map_err(Error::gateway)?;
        Ok(Bytes::from_owner(out))
    }

    /// What the login's answer means, in words for who can mend it.
    fn accepted(&self, parts: &http::response::Parts) -> Result<(), Error> {
        let (label, secrets, status) = (self.label(), &self.secrets, parts.status.as_u16());
        let address = "check the address in the connection's settings";
        let (kind, message) = match status {
            200..=299 if is_html(&parts.headers) => (
                Kind::Unauthenticated,
                format!("{label} answered the login with a web page, so it isn't the API that is meant; {address}"),
            ),
            200..=299 => return Ok(()),
            300..=399 => (
                Kind::Unauthenticated,
                format!("{label} redirects the login elsewhere ({status}), where no secret is sent; {address}"),
            ),
            404 | 405 | 410 | 501 => {
                (Kind::Unauthenticated, format!("{label} knows no login at this address ({status}); {address}"))
            }
            403 => (
                Kind::Unauthenticated,
                format!(
                    "{label} refused the login ({status}); check the connection's secrets {secrets}, and that the account isn't \
                     locked and may use the API"
                ),
            ),
            429 => (Kind::RateLimited, format!("{label} takes no further login for now ({status})")),
            400..=499 => (
                Kind::Unauthenticated,
                format!("{label} refused the login ({status}); check the connection's secrets {secrets}"),
            ),
            _ => (Kind::Unavailable, format!("{label} failed at the login ({status})")),
        };
        let mut error = Error::new(kind, message);
        error.upstream_status = Some(status);
        error.retry_after =
            retry_after::wait(parts.status, &parts.headers).and_then(|pause| u32::try_from(pause.as_secs().max(1)).ok());
        Err(error)
    }

    fn proof(&self, headers: &HeaderMap, bytes: &[u8], path: &str, before: Option<&Proof>) -> Result<Proof, Error> {
        let now = Instant::now();
        let Some(pointer) = &self.token else {
            let mut jar = match before {
                Some(Proof::Cookies(jar)) => jar.clone(),
                _ => Jar::default(),
            };
            jar.take(headers, &self.origin(path), now);
            return if jar.is_over(now) { Err(self.without("cookie", headers)) } else { Ok(Proof::Cookies(jar)) };
        };
        let token = token(bytes, pointer).ok_or_else(|| self.without("token", headers))?;
        bearer(&token).map(Proof::Token).ok_or_else(|| self.without("token", headers))
    }

    fn without(&self, what: &str, headers: &HeaderMap) -> Error {
        let mut message = format!("{} accepted the login, but gave no session {what} that can be used", self.label());
        if !self.https && headers.contains_key(header::SET_COOKIE) {
            message.push_str("; cookies for https only can't be used over http");
        }
        Error::new(Kind::Unauthenticated, message)
    }
}

impl Proof {
    /// The field for a request to this path.
    pub(in crate::egress) fn header(&self, path: &str, now: Instant) -> Option<(http::HeaderName, HeaderValue)> {
        match self {
            Self::Token(value) => Some((header::AUTHORIZATION, value.clone())),
            Self::Cookies(jar) => Some((header::COOKIE, sensitive(jar.header(path, now)?)?)),
        }
    }

    pub(super) fn is_over(&self, now: Instant) -> bool {
        matches!(self, Self::Cookies(jar) if jar.is_over(now))
    }
}

struct Body<'a>(&'a Door);

impl Serialize for Body<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (name, value) in &self.0.extra {
            map.serialize_entry(name, value)?;
        }
        for (name, secret) in &self.0.fields {
            map.serialize_entry(name, secret.as_str())?;
        }
        map.end()
    }
}

fn wrong(what: &str) -> Error {
    Error::new(Kind::Internal, format!("the provider declares a session login with {what}"))
}

fn uri(url: &Base, path: &[String]) -> Result<Uri, Error> {
    let target = request::target(url.path(), path, &[])?;
    let uri = Uri::builder().scheme(url.scheme()).authority(url.authority()).path_and_query(target).build();
    uri.map_err(|_| wrong("a path that can't be encoded"))
}

fn is_html(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    kind.trim_start().to_ascii_lowercase().starts_with("text/html")
}

fn token(bytes: &[u8], pointer: &str) -> Option<Zeroizing<String>> {
    let mut answer: Value = serde_json::from_slice(bytes).ok()?;
    match answer.pointer_mut(pointer).map(Value::take) {
        Some(Value::String(token)) if !token.is_empty() => Some(Zeroizing::new(token)),
        _ => None,
    }
}

fn bearer(token: &str) -> Option<HeaderValue> {
    const SCHEME: &[u8] = b"Bearer ";
    let mut out = Zeroizing::new(Vec::with_capacity(SCHEME.len() + token.len()));
    out.extend_from_slice(SCHEME);
    out.extend_from_slice(token.as_bytes());
    sensitive(out)
}

/// A header's value whose bytes are overwritten when it is dropped, and that no debug output shows.
fn sensitive(bytes: Zeroizing<Vec<u8>>) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_maybe_shared(Bytes::from_owner(bytes)).ok()?;
    value.set_sensitive(true);
    Some(value)
}
