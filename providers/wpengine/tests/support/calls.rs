//! What the tests of both dialects share: a provider, calls, and the end of work.
//!
//! Invariant: work is polled with a new instance each time, so that nothing in memory can help.

use portico_provider_wpengine::WpEngine;
use portico_sdk::{
    Call, Completion, Error, Operations, PageRequest, Pending, Progress, Provider, SiteKind, Work,
    sites::SiteCreate,
    testing::{FakeHost, Method, RawRequest},
};
use serde_json::Value;

pub const OPERATION: &str = "op_0192f0c1a2b34d5e8f90123456789abc";

pub fn provider(settings: &Value) -> WpEngine {
    WpEngine::configure(serde_json::from_value(settings.clone()).unwrap()).unwrap().0
}

pub fn call() -> Call {
    Call::new(OPERATION, "key")
}

pub fn all() -> PageRequest {
    PageRequest::first(1000)
}

pub fn site_create(name: &str) -> SiteCreate {
    SiteCreate {
        name: name.into(),
        kind: SiteKind::Wordpress,
        domain: None,
        environment: None,
        php_version: None,
        wordpress_version: None,
        locale: None,
        title: None,
        admin: None,
        region: None,
        template: None,
        options: "{}".into(),
    }
}

#[track_caller]
pub fn pending(work: Result<Work, Error>) -> Pending {
    match work {
        Ok(Work::Pending(pending)) => pending,
        other => panic!("not pending: {other:?}"),
    }
}

#[track_caller]
pub fn done(work: Result<Work, Error>) -> Completion {
    match work {
        Ok(Work::Done(completion)) => completion,
        other => panic!("not done: {other:?}"),
    }
}

#[derive(Debug, PartialEq)]
pub enum End {
    Succeeded(Completion),
    Failed(Error),
    Canceled,
}

/// The end, and how many looks it took.
#[track_caller]
pub fn finish(settings: &Value, mut handle: String) -> (End, usize) {
    for looks in 1..100 {
        let end = match provider(settings).poll(OPERATION, &handle) {
            Ok(Progress::Running(pending)) => {
                handle = pending.handle;
                continue;
            }
            Ok(Progress::Succeeded(completion)) => End::Succeeded(completion),
            Ok(Progress::Failed(error)) => End::Failed(error),
            Ok(Progress::Canceled) => End::Canceled,
            Err(error) => panic!("it couldn't look: {error:?}"),
        };
        return (end, looks);
    }
    panic!("it never ends; the last handle is {handle}");
}

#[track_caller]
pub fn succeeded(settings: &Value, handle: String) -> Completion {
    match finish(settings, handle).0 {
        End::Succeeded(completion) => completion,
        other => panic!("no success: {other:?}"),
    }
}

pub fn sent(host: &FakeHost, method: Method) -> Vec<(String, Value)> {
    let of = |request: RawRequest| {
        let body = request.body.as_deref().map_or(Value::Null, |body| serde_json::from_slice(body).unwrap());
        (format!("/{}", request.path.join("/")), body)
    };
    host.requests().into_iter().filter(|request| request.method == method).map(of).collect()
}

pub fn query<'a>(request: &'a RawRequest, name: &str) -> Option<&'a str> {
    request.query.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}
