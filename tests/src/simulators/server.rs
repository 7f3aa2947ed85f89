//! The server that all simulators share: a world behind a lock, requests taken apart, and faults to order.
//!
//! A vendor's simulator is a type that implements [`World`]. A fault is used up by the requests that it fits, in the order in
//! which faults were injected. Invariant: a fault that lets the request through (`Cut`, `Late`) changes the world first,
//! as a host does whose answer is lost; every other one changes nothing.

use crate::{Answer, Seen, Upstream, tls::Certificate};
use bytes::Bytes;
use http::{HeaderMap, Method};
use percent_encoding::percent_decode_str;
use serde_json::Value;
use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// What a vendor's system holds, and how it answers.
pub trait World: Send + 'static {
    fn answer(&mut self, request: &Request) -> Answer;
}

/// A request, taken apart.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: Method,
    /// Decoded, without empty ones at the ends.
    pub segments: Vec<String>,
    /// Decoded, in their order.
    pub query: Vec<(String, String)>,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Request {
    /// For `match`: the method's name and the path.
    pub fn parts(&self) -> (&str, Vec<&str>) {
        (self.method.as_str(), self.segments.iter().map(String::as_str).collect())
    }

    pub fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Null when the body is no JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    fn of(seen: &Seen) -> Self {
        let (path, query) = seen.path.split_once('?').unwrap_or((&seen.path, ""));
        let pairs = query.split('&').filter(|pair| !pair.is_empty());
        let pair = |pair: &str| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decoded(&name.replace('+', " ")), decoded(&value.replace('+', " ")))
        };
        Self {
            method: seen.method.clone(),
            segments: path.trim_matches('/').split('/').filter(|segment| !segment.is_empty()).map(decoded).collect(),
            query: pairs.map(pair).collect(),
            headers: seen.headers.clone(),
            body: seen.body.clone(),
        }
    }
}

fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// What goes wrong.
#[derive(Clone, Debug)]
pub enum Fault {
    /// This instead of the true answer; nothing is done.
    Answer(Answer),
    /// A page of a proxy in front of the host, with this status.
    Html(u16),
    /// 429; seconds for `Retry-After`, which not every host sends.
    TooMany(Option<u32>),
    /// 302 to this URL.
    Redirect(String),
    /// It is done, and half of the answer arrives.
    Cut,
    /// It is done, and the answer comes later than this.
    Late(Duration),
    /// This status, and all headers of the request as the answer's text.
    Echo(u16),
    /// No answer at all, and nothing is done.
    Silent,
}

struct Ordered {
    method: Method,
    /// Segments; `*` fits any one, and a last `**` any rest.
    path: Vec<String>,
    left: usize,
    fault: Fault,
}

impl Ordered {
    fn fits(&self, request: &Request) -> bool {
        let (path, open) = match self.path.split_last() {
            Some((last, before)) if last == "**" => (before, true),
            _ => (self.path.as_slice(), false),
        };
        let long_enough = request.segments.len() == path.len() || open && request.segments.len() > path.len();
        let same = |(wanted, segment): (&String, &String)| wanted == "*" || wanted == segment;
        self.left > 0 && self.method == request.method && long_enough && path.iter().zip(&request.segments).all(same)
    }
}

/// A running simulator; it ends with this value.
pub struct Simulator<W> {
    upstream: Upstream,
    world: Arc<Mutex<W>>,
    faults: Arc<Mutex<Vec<Ordered>>>,
}

impl<W: World> Simulator<W> {
    pub async fn start(world: W) -> Self {
        Self::start_as(world, None).await
    }

    /// Over https, with this certificate.
    pub async fn start_tls(world: W, certificate: &Certificate) -> Self {
        Self::start_as(world, Some(certificate)).await
    }

    async fn start_as(world: W, certificate: Option<&Certificate>) -> Self {
        let world = Arc::new(Mutex::new(world));
        let faults = Arc::new(Mutex::new(Vec::new()));
        let (of_answers, to_take) = (Arc::clone(&world), Arc::clone(&faults));
        let answer = move |seen: &Seen| {
            let request = Request::of(seen);
            let fault = take(&mut locked(&to_take), &request);
            apply(fault, &request, || locked(&of_answers).answer(&request))
        };
        let upstream = match certificate {
            None => Upstream::start(answer).await,
            Some(certificate) => Upstream::start_tls(certificate.acceptor(), answer).await,
        };
        Self { upstream, world, faults }
    }

    /// `http://127.0.0.1:port`, or `https://…`
    pub fn url(&self) -> String {
        self.upstream.url()
    }

    pub fn address(&self) -> SocketAddr {
        self.upstream.address()
    }

    /// Looks at the world, or changes it behind the gateway's back.
    pub fn world<T>(&self, look: impl FnOnce(&mut W) -> T) -> T {
        look(&mut locked(&self.world))
    }

    /// The next so many requests with this method and path (`/v2/sites/*`, `/v2/**`) meet the fault.
    pub fn inject(&self, method: Method, path: &str, times: usize, fault: Fault) {
        let path = path.trim_matches('/').split('/').map(str::to_owned).collect();
        locked(&self.faults).push(Ordered { method, path, left: times, fault });
    }

    /// How often an injected fault is still to be met: none, when a test's faults have all happened.
    pub fn faults_left(&self) -> usize {
        locked(&self.faults).iter().map(|fault| fault.left).sum()
    }

    /// All that arrived, faults included.
    pub fn seen(&self) -> Vec<Request> {
        self.upstream.seen().iter().map(Request::of).collect()
    }

    /// How many requests with this method and path arrived; the path as for [`Self::inject`].
    pub fn count(&self, method: &Method, path: &str) -> usize {
        let path = path.trim_matches('/').split('/').map(str::to_owned).collect();
        let wanted = Ordered { method: method.clone(), path, left: 1, fault: Fault::Silent };
        self.seen().iter().filter(|request| wanted.fits(request)).count()
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn take(faults: &mut [Ordered], request: &Request) -> Option<Fault> {
    let fault = faults.iter_mut().find(|fault| fault.fits(request))?;
    fault.left -= 1;
    Some(fault.fault.clone())
}

fn apply(fault: Option<Fault>, request: &Request, real: impl FnOnce() -> Answer) -> Answer {
    const PAGE: &[u8] = b"<html><body><h1>Bad gateway</h1></body></html>";
    let html = || ("content-type", "text/html; charset=utf-8".to_owned());
    match fault {
        None => real(),
        Some(Fault::Answer(answer)) => answer,
        Some(Fault::Html(status)) => Answer::Raw(status, vec![html()], Bytes::from_static(PAGE)),
        Some(Fault::TooMany(seconds)) => {
            let headers = seconds.map(|seconds| ("retry-after", seconds.to_string())).into_iter().collect();
            Answer::Raw(429, headers, Bytes::new())
        }
        Some(Fault::Redirect(url)) => Answer::Raw(302, vec![("location", url), html()], Bytes::from_static(PAGE)),
        Some(Fault::Cut) => cut(real()),
        Some(Fault::Late(pause)) => Answer::After(pause, Box::new(real())),
        Some(Fault::Echo(status)) => {
            let headers = [("content-type", "text/plain".to_owned()), ("x-echo", format!("{:?}", request.headers))];
            Answer::Raw(status, headers.into(), format!("{:?}", request.headers).into())
        }
        Some(Fault::Silent) => Answer::Never,
    }
}

/// The first half of the body.
fn cut(answer: Answer) -> Answer {
    let half = |body: Bytes| body.slice(..body.len() / 2);
    match answer {
        Answer::Json(status, value) => Answer::Cut(status, half(Bytes::from(value.to_string()))),
        Answer::Raw(status, _, body) => Answer::Cut(status, half(body)),
        other => other,
    }
}
