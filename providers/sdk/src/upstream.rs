//! A typed client for the upstreams that `configure` declared.
//!
//! In go path segments, query pairs and JSON; out come parsed answers or errors by kind. The host escapes, adds credentials,
//! keeps to limits and retries; nothing here does. Invariant: an answer that isn't a success never parses as one.

pub use crate::host::{Background, BackgroundState, Method, RawRequest, Response};
use crate::{Call, Error, error, host, json};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

/// Reads an upstream's own error format; none: fall back to [`error::from_status`].
pub type ErrorParser = fn(&Response) -> Option<Error>;

/// One named upstream.
#[derive(Clone, Copy, Debug)]
pub struct Upstream {
    name: &'static str,
    parser: Option<ErrorParser>,
}

impl Upstream {
    /// `name` as in the [`crate::UpstreamDeclaration`].
    pub const fn named(name: &'static str) -> Self {
        Self { name, parser: None }
    }

    /// Asked about every answer that isn't a success, before the status alone decides.
    #[must_use]
    pub const fn with_error_parser(self, parser: ErrorParser) -> Self {
        Self { name: self.name, parser: Some(parser) }
    }

    pub fn get<S: AsRef<str>>(self, path: impl AsRef<[S]>) -> Request {
        self.request(Method::Get, path)
    }

    pub fn head<S: AsRef<str>>(self, path: impl AsRef<[S]>) -> Request {
        self.request(Method::Head, path)
    }

    pub fn post<S: AsRef<str>>(self, path: impl AsRef<[S]>) -> Request {
        self.request(Method::Post, path)
    }

    pub fn put<S: AsRef<str>>(self, path: impl AsRef<[S]>) -> Request {
        self.request(Method::Put, path)
    }

    pub fn patch<S: AsRef<str>>(self, path: impl AsRef<[S]>) -> Request {
        self.request(Method::Patch, path)
    }

    pub fn delete<S: AsRef<str>>(self, path: impl AsRef<[S]>) -> Request {
        self.request(Method::Delete, path)
    }

    /// `path`: unescaped segments below the upstream's base path.
    pub fn request<S: AsRef<str>>(self, method: Method, path: impl AsRef<[S]>) -> Request {
        self.to(method, path.as_ref().iter().map(|segment| segment.as_ref().to_owned()).collect())
    }

    fn to(self, method: Method, path: Vec<String>) -> Request {
        let raw = RawRequest {
            upstream: self.name.to_owned(),
            method,
            path,
            query: Vec::new(),
            headers: Vec::new(),
            body: None,
            timeout: None,
            keyed: false,
        };
        Request { raw, parser: self.parser, broken: None }
    }
}

/// A request being built. Nothing is sent before one of the last methods ([`Request::send`] and those after it).
#[derive(Clone, Debug)]
#[must_use = "a request does nothing until it is sent"]
pub struct Request {
    raw: RawRequest,
    parser: Option<ErrorParser>,
    /// Why the body couldn't be written; told when it is sent.
    broken: Option<Error>,
}

impl Request {
    pub fn query(mut self, name: &str, value: impl ToString) -> Self {
        self.raw.query.push((name.to_owned(), value.to_string()));
        self
    }

    /// Nothing when there is no value.
    pub fn query_if(self, name: &str, value: Option<impl ToString>) -> Self {
        match value {
            Some(value) => self.query(name, value),
            None => self,
        }
    }

    /// The host lets a short list of headers through, and what the declaration's `request_headers` names.
    pub fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.raw.headers.push((name.to_owned(), value.into()));
        self
    }

    pub fn json_body(mut self, body: &(impl Serialize + ?Sized)) -> Self {
        match serde_json::to_vec(body) {
            Ok(bytes) => self.body("application/json", bytes),
            Err(error) => {
                self.broken = Some(error.into());
                self
            }
        }
    }

    pub fn body(mut self, content_type: &str, bytes: Vec<u8>) -> Self {
        self.raw.body = Some(bytes);
        self.header("content-type", content_type)
    }

    /// Milliseconds to wait for the whole answer.
    pub fn timeout(mut self, millis: u32) -> Self {
        self.raw.timeout = Some(millis);
        self
    }

    /// Sends the call's key as `Idempotency-Key`: the upstream honours it, so the host may send this again.
    pub fn keyed(self, call: &Call) -> Self {
        self.keyed_as("idempotency-key", call)
    }

    /// As [`Request::keyed`], in the header that this upstream reads.
    pub fn keyed_as(mut self, header: &str, call: &Call) -> Self {
        self.raw.keyed = true;
        self.header(header, call.idempotency_key.clone())
    }

    /// Sending this twice does no harm, for another reason than a key.
    pub fn repeatable(mut self) -> Self {
        self.raw.keyed = true;
        self
    }

    /// The answer, whatever its status.
    pub fn send_any(self) -> Result<Response, Error> {
        match self.broken {
            Some(broken) => Err(broken),
            None => host::send(&self.raw),
        }
    }

    /// The answer, if it is a success (2xx) or 304.
    pub fn send(self) -> Result<Response, Error> {
        let parser = self.parser;
        let response = self.send_any()?;
        match response.status {
            200..=299 | 304 => Ok(response),
            _ => Err(response.to_error(parser)),
        }
    }

    pub fn json<T: DeserializeOwned>(self) -> Result<T, Error> {
        let (status, value) = self.value()?;
        json::read_answer(&value, status)
    }

    /// The answer's status and JSON, if it is a success.
    fn value(self) -> Result<(u16, Value), Error> {
        let response = self.send()?;
        Ok((response.status, response.value()?))
    }

    /// None when the upstream says 404.
    pub fn json_if_found<T: DeserializeOwned>(self) -> Result<Option<T>, Error> {
        match self.value_if_found()? {
            Some((status, value)) => json::read_answer(&value, status).map(Some),
            None => Ok(None),
        }
    }

    fn value_if_found(self) -> Result<Option<(u16, Value)>, Error> {
        let parser = self.parser;
        let response = self.send_any()?;
        match response.status {
            200..=299 => Ok(Some((response.status, response.value()?))),
            404 => Ok(None),
            _ => Err(response.to_error(parser)),
        }
    }

    /// Lets the host carry this out in the background, for answers that take minutes; returns an id for [`watch`].
    /// Starting the same `key` again while it runs gives the same id.
    pub fn start(self, key: &str) -> Result<String, Error> {
        match self.broken {
            Some(broken) => Err(broken),
            None => host::start(key, &self.raw),
        }
    }
}

/// How a background request goes on. `not-found` after a restart of the gateway: start it again.
pub fn watch(id: &str) -> Result<Background, Error> {
    host::watch(id)
}

impl Response {
    /// `name` in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Error> {
        json::read_answer(&self.value()?, self.status)
    }

    fn value(&self) -> Result<Value, Error> {
        json::parse(&self.body).map_err(|error| error.with_upstream_status(self.status))
    }

    /// This answer as an error: by `parser`, else by its status. What the parser leaves out is filled in.
    pub fn to_error(&self, parser: Option<ErrorParser>) -> Error {
        let by_status = error::from_status(self.status, self.header("retry-after"));
        match parser.and_then(|parser| parser(self)) {
            None => by_status,
            Some(error) => Error {
                upstream_status: error.upstream_status.or(by_status.upstream_status),
                retry_after: error.retry_after.or(by_status.retry_after),
                ..error
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        ErrorKind,
        testing::{FakeHost, response},
    };
    use serde_json::{Value, json};

    const API: Upstream = Upstream::named("api");

    #[test]
    fn a_request_is_what_was_asked_for() {
        let host = FakeHost::install();
        host.on(Method::Post, "/sites/*/backups").reply(201, json!({"id": 7}));
        let call = Call::new("op_1", "key-1");
        let request = API.post(["sites", "a/b", "backups"]).query("page", 2).query_if("after", None::<&str>);
        let answer: Value = request.json_body(&json!({"name": "x"})).timeout(500).keyed(&call).json().unwrap();
        assert_eq!(answer["id"], 7);
        let sent = host.requests().remove(0);
        assert_eq!((sent.upstream.as_str(), sent.method, sent.keyed, sent.timeout), ("api", Method::Post, true, Some(500)));
        assert_eq!(sent.path, ["sites", "a/b", "backups"]);
        assert_eq!(sent.query, [("page".to_owned(), "2".to_owned())]);
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(sent.headers, [pair("content-type", "application/json"), pair("idempotency-key", "key-1")]);
        assert_eq!(sent.body.as_deref(), Some(br#"{"name":"x"}"#.as_slice()));
    }

    #[test]
    fn answers_that_are_no_success_are_errors() {
        let host = FakeHost::install();
        host.on(Method::Get, "/a").reply_with(|_| Ok(response(429, &[("retry-after", "9")], "slow")));
        let limited = API.get(["a"]).json::<Value>().unwrap_err();
        assert_eq!((limited.kind, limited.retry_after), (ErrorKind::RateLimited, Some(9)));
        host.on(Method::Get, "/b").reply(404, json!({}));
        assert_eq!(API.get(["b"]).json_if_found::<Value>().unwrap(), None);
        assert_eq!(API.get(["b"]).send().unwrap_err().kind, ErrorKind::NotFound);
        assert_eq!(API.get(["b"]).send_any().unwrap().status, 404);
        host.on(Method::Get, "/c").reply_with(|_| Ok(response(200, &[], "<html>")));
        let odd = API.get(["c"]).json::<Value>().unwrap_err();
        assert_eq!((odd.kind, odd.upstream_status), (ErrorKind::Internal, Some(200)));
        host.on(Method::Get, "/e").reply(200, json!({}));
        let shape = [API.get(["e"]).json::<String>().map(Some), API.get(["e"]).json_if_found::<String>()];
        for odd in shape {
            let odd = odd.unwrap_err();
            assert_eq!((odd.kind, odd.upstream_status), (ErrorKind::Internal, Some(200)));
        }
        let unexpected = API.get(["d"]).send().unwrap_err();
        assert!(unexpected.message.contains("no expectation"), "{}", unexpected.message);
    }

    #[test]
    fn an_upstream_has_its_own_words_for_errors() {
        fn parse(response: &Response) -> Option<Error> {
            let body: Value = response.json().ok()?;
            (body["code"] == "name_taken").then(|| error::conflict("the name is taken").with_field("name"))
        }
        let host = FakeHost::install();
        let api = API.with_error_parser(parse);
        host.on(Method::Put, "/a").reply(400, json!({"code": "other"}));
        host.on(Method::Put, "/a").times(1).reply(400, json!({"code": "name_taken"}));
        let taken = api.put(["a"]).send().unwrap_err();
        assert_eq!((taken.kind, taken.upstream_status), (ErrorKind::Conflict, Some(400)));
        assert_eq!(api.put(["a"]).send().unwrap_err().kind, ErrorKind::InvalidInput);
    }

    #[test]
    fn background_requests_are_watched() {
        let host = FakeHost::install();
        let start = || API.post(["images", "create"]).repeatable().start("pull").unwrap();
        let id = start();
        assert_eq!(start(), id);
        assert_eq!(watch(&id).unwrap().state, BackgroundState::Running);
        let ended = Background { state: BackgroundState::Finished, status: Some(200), received: 3, tail: b"end".to_vec() };
        host.set_background("pull", ended.clone());
        assert_eq!(watch(&id).unwrap(), ended);
        host.forget_background();
        assert_eq!(watch(&id).unwrap_err().kind, ErrorKind::NotFound);
    }

    #[test]
    fn a_body_that_is_no_json_is_never_sent() {
        let host = FakeHost::install();
        let broken = std::collections::BTreeMap::from([((1, 2), 3)]);
        assert_eq!(API.post(["a"]).json_body(&broken).send().unwrap_err().kind, ErrorKind::Internal);
        assert!(host.requests().is_empty());
    }
}
