//! Scripted upstreams: which request gets which answer.
//!
//! Invariant: a rule answers by method and path only; whatever else matters, the test checks on the recorded requests.

use super::{FakeHost, Method, RawRequest, Response};
use crate::Error;
use serde_json::Value;
use std::rc::Rc;

type Answer = Rc<dyn Fn(&RawRequest) -> Result<Response, Error>>;

pub(crate) struct Rule {
    method: Method,
    path: Vec<String>,
    remaining: Option<u32>,
    answer: Answer,
}

impl Rule {
    /// The answer to this request, if the rule is about it and not used up.
    pub fn take(&mut self, request: &RawRequest) -> Option<Answer> {
        let same = |(expected, actual): (&String, &String)| expected == "*" || expected == actual;
        let matches = self.method == request.method
            && self.path.len() == request.path.len()
            && self.path.iter().zip(&request.path).all(same)
            && self.remaining != Some(0);
        if matches {
            self.remaining = self.remaining.map(|left| left - 1);
        }
        matches.then(|| self.answer.clone())
    }
}

/// What to answer to a request; nothing is in place before one of the `reply` methods.
#[must_use = "an expectation needs a reply"]
pub struct Expectation<'a> {
    host: &'a FakeHost,
    method: Method,
    path: Vec<String>,
    times: Option<u32>,
}

impl<'a> Expectation<'a> {
    pub(super) fn new(host: &'a FakeHost, method: Method, path: &str) -> Self {
        let path = path.strip_prefix('/').unwrap_or(path);
        let path = if path.is_empty() { Vec::new() } else { path.split('/').map(str::to_owned).collect() };
        Self { host, method, path, times: None }
    }

    /// Answers so many times, then older expectations do.
    pub fn times(self, times: u32) -> Self {
        Self { times: Some(times), ..self }
    }

    pub fn reply(self, status: u16, body: Value) {
        self.reply_with(move |_| Ok(json_response(status, &body)));
    }

    /// There is no answer: refused, unreachable, too late.
    pub fn fail(self, error: Error) {
        self.reply_with(move |_| Err(error.clone()));
    }

    pub fn reply_with(self, answer: impl Fn(&RawRequest) -> Result<Response, Error> + 'static) {
        let rule = Rule { method: self.method, path: self.path, remaining: self.times, answer: Rc::new(answer) };
        self.host.inner.borrow_mut().expectations.push(rule);
    }
}

pub fn json_response(status: u16, body: &Value) -> Response {
    response(status, &[("content-type", "application/json")], body.to_string())
}

pub fn response(status: u16, headers: &[(&str, &str)], body: impl Into<Vec<u8>>) -> Response {
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Response { status, headers, body: body.into() }
}
