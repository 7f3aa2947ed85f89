//! Requests: from what a guest asked to what goes onto the wire.
//!
//! In go a guest's [`Request`] and the upstream that it names; out comes a [`Prepared`] one, checked and encoded, or an
//! error that says which rule it broke. Invariant: the path stays below the upstream's base path, whatever bytes a guest
//! puts into a segment. Nothing is sent here.

use super::{Request, bind::Upstream, config::EgressConfig, fault, guard, headers, session::Pass};
use crate::{
    model::{Error, Kind},
    policy, wipe,
};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Uri, header};
use http_body_util::Full;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// Everything but the unreserved characters of RFC 3986.
pub(super) const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// Path and query together; most servers refuse more.
const MAX_TARGET: usize = 8 << 10;
pub(super) const USER_AGENT: &str = concat!("portico/", env!("CARGO_PKG_VERSION"));

/// A request that passed every rule.
pub(super) struct Prepared {
    pub method: Method,
    /// Path and query, below the base path.
    pub target: String,
    headers: HeaderMap,
    body: Bytes,
    keyed: bool,
}

impl Prepared {
    pub(super) fn new(upstream: &Upstream, request: &Request, config: &EgressConfig) -> Result<Self, Error> {
        let body = request.body.clone().unwrap_or_default();
        check_method(&request.method, &body)?;
        if body.len() > config.request_body_bytes {
            let message = format!("the request body has {} bytes; {} are allowed", body.len(), config.request_body_bytes);
            return Err(Error::new(Kind::InvalidInput, message));
        }
        let target = target(upstream.base(), &request.path, &request.query)?;
        if upstream.session.as_ref().is_some_and(|session| session.is_door(&target)) {
            return Err(fault::refused("only the gateway asks for the upstream's login and refresh"));
        }
        let mut headers = headers::from_guest(&request.headers, &upstream.request_headers)?;
        if let Some(rules) = upstream.guard {
            guard::check(rules, request, headers.get(header::CONTENT_TYPE))?;
        }
        headers.entry(header::USER_AGENT).or_insert(HeaderValue::from_static(USER_AGENT));
        policy::mark(&mut headers);
        if let Some((name, value)) = &upstream.credential {
            headers.insert(name.clone(), value.clone());
        }
        Ok(Self { method: request.method.clone(), target, headers, body, keyed: request.keyed })
    }

    /// A request to a blob origin, which a provider named by a whole URL. No credential goes there.
    pub(super) fn blob(
        upstream: &Upstream,
        method: Method,
        target: String,
        headers: &[(String, String)],
    ) -> Result<Self, Error> {
        if target.len() > MAX_TARGET {
            return Err(too_long());
        }
        let mut headers = headers::from_guest(headers, &upstream.request_headers)?;
        headers.entry(header::USER_AGENT).or_insert(HeaderValue::from_static(USER_AGENT));
        Ok(Self { method, target, headers, body: Bytes::new(), keyed: false })
    }

    /// The head of a request over a connection of its own; `size` bytes follow it.
    pub(super) fn http1(&self, upstream: &Upstream, pass: Option<&Pass>, size: u64) -> Result<http::Request<()>, Error> {
        let host = HeaderValue::from_str(upstream.url.authority()).map_err(Error::gateway)?;
        let mut request = http::Request::new(());
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = Uri::try_from(self.target.as_str()).map_err(unencodable)?;
        *request.headers_mut() = self.headers.clone();
        show(pass, &self.target, request.headers_mut());
        request.headers_mut().insert(header::HOST, host);
        request.headers_mut().insert(header::CONTENT_LENGTH, size.into());
        Ok(request)
    }

    /// GET and HEAD change nothing at the upstream.
    pub(super) fn is_read(&self) -> bool {
        matches!(self.method, Method::GET | Method::HEAD)
    }

    /// Sending it twice does no harm.
    pub(super) fn is_repeatable(&self) -> bool {
        self.is_read() || self.keyed
    }

    /// SHA-256 over method, path, query and body: what an intent remembers of a request.
    pub(super) fn digest(&self) -> [u8; 32] {
        // A body may hold a secret.
        wipe::after::<{ wipe::DIGEST }, _>(|| {
            let mut context = ring::digest::Context::new(&ring::digest::SHA256);
            // Neither a method nor an encoded target can hold a line feed, so the parts can't run into each other.
            for part in [self.method.as_str().as_bytes(), b"\n", self.target.as_bytes(), b"\n", &self.body] {
                context.update(part);
            }
            let mut out = [0; 32];
            out.copy_from_slice(context.finish().as_ref());
            out
        })
    }

    /// The request to `target`, which is the own one or that of a redirect.
    pub(super) fn to_http(
        &self,
        upstream: &Upstream,
        target: &str,
        pass: Option<&Pass>,
    ) -> Result<http::Request<Full<Bytes>>, Error> {
        let uri = Uri::builder()
            .scheme(upstream.url.scheme())
            .authority(upstream.url.authority())
            .path_and_query(target)
            .build()
            .map_err(unencodable)?;
        let mut request = http::Request::new(Full::new(self.body.clone()));
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = uri;
        *request.headers_mut() = self.headers.clone();
        show(pass, target, request.headers_mut());
        Ok(request)
    }
}

fn show(pass: Option<&Pass>, target: &str, headers: &mut HeaderMap) {
    if let Some((name, value)) = pass.and_then(|pass| pass.header(target)) {
        headers.insert(name, value);
    }
}

fn unencodable(error: impl std::fmt::Display) -> Error {
    Error::new(Kind::InvalidInput, "the path or query can't be encoded").with_internal(error)
}

fn too_long() -> Error {
    Error::new(Kind::InvalidInput, format!("path and query are longer than {MAX_TARGET} bytes"))
}

fn check_method(method: &Method, body: &Bytes) -> Result<(), Error> {
    match *method {
        Method::GET | Method::HEAD if !body.is_empty() => {
            Err(Error::new(Kind::InvalidInput, format!("a {method} request has no body")))
        }
        Method::GET | Method::HEAD | Method::POST | Method::PUT | Method::PATCH | Method::DELETE => Ok(()),
        _ => Err(Error::new(Kind::InvalidInput, format!("the method {method} isn't known to the gateway"))),
    }
}

/// `base` starts with a slash.
pub(super) fn target(base: &str, path: &[String], query: &[(String, String)]) -> Result<String, Error> {
    let mut out = String::with_capacity(base.len() + 64);
    out.push_str(if path.is_empty() { base } else { base.trim_end_matches('/') });
    for (index, segment) in path.iter().enumerate() {
        check_segment(segment, index + 1 == path.len())?;
        out.push('/');
        out.extend(utf8_percent_encode(segment, ESCAPED));
    }
    for (index, (name, value)) in query.iter().enumerate() {
        out.push(if index == 0 { '?' } else { '&' });
        out.extend(utf8_percent_encode(name, ESCAPED));
        out.push('=');
        out.extend(utf8_percent_encode(value, ESCAPED));
    }
    if out.len() > MAX_TARGET {
        return Err(too_long());
    }
    Ok(out)
}

fn check_segment(segment: &str, last: bool) -> Result<(), Error> {
    let why = match segment {
        "" if last => return Ok(()),
        "" => "is empty; only the last one may be",
        "." | ".." => "would leave the upstream's base path",
        _ if segment.contains(['/', '\\']) => "holds a slash or backslash; give each segment by itself",
        _ if segment.chars().any(char::is_control) => "holds a control character",
        _ => return Ok(()),
    };
    let shown: String = segment.chars().take(64).collect();
    Err(Error::new(Kind::InvalidInput, format!("the path segment {shown:?} {why}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_encoded_below_the_base() {
        let list = |items: &[&str]| items.iter().map(|item| (*item).to_owned()).collect::<Vec<_>>();
        for (base, path, expected) in [
            ("/", vec![], "/"),
            ("/v2", vec![], "/v2"),
            ("/", vec!["sites"], "/sites"),
            ("/v2", vec!["sites", "a b"], "/v2/sites/a%20b"),
            ("/v2/", vec!["sites", ""], "/v2/sites/"),
            ("/v2", vec!["akismet?x#y"], "/v2/akismet%3Fx%23y"),
            ("/v2", vec!["%2e%2e", "%2f"], "/v2/%252e%252e/%252f"),
            ("/v2", vec!["..."], "/v2/..."),
            ("/v2", vec!["ü"], "/v2/%C3%BC"),
        ] {
            assert_eq!(target(base, &list(&path), &[]).as_deref(), Ok(expected));
        }
        for path in [
            vec!["..", "x"],
            vec!["."],
            vec!["a/b"],
            vec!["a\\b"],
            vec!["a\r\nb"],
            vec!["a\0"],
            vec!["a\u{7f}"],
            vec!["a\u{85}"],
            vec!["", "x"],
        ] {
            assert_eq!(target("/v2", &list(&path), &[]).map_err(|error| error.kind), Err(Kind::InvalidInput), "{path:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_segment_leaves_the_base(path in proptest::collection::vec(".{0,6}|[./\\\\%2eEfF]{0,6}", 0..5)) {
            if let Ok(target) = target("/v2", &path, &[]) {
                let url = url::Url::parse("https://api.example").unwrap().join(&target).unwrap();
                proptest::prop_assert_eq!(url.path(), &target, "nothing is left to normalise");
                proptest::prop_assert!(target == "/v2" || target.starts_with("/v2/"));
                proptest::prop_assert!(Uri::builder().path_and_query(target).build().is_ok());
            }
        }
    }

    #[test]
    fn queries_keep_their_order_and_are_encoded() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let query = [pair("b", "1&2"), pair("a", "x y"), pair("b", "=#\r\n")];
        assert_eq!(target("/", &[], &query).as_deref(), Ok("/?b=1%262&a=x%20y&b=%3D%23%0D%0A"));
        assert!(target("/", &[], &[pair("q", &"x".repeat(MAX_TARGET))]).is_err());
    }
}
