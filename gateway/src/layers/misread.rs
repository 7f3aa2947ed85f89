//! The answer to what can't be read as a request.
//!
//! In go a status and what was wrong; out comes a problem with the fields that every answer has. Invariant: it is counted for its
//! address, measured and logged as a request is, under a method and a path that no request has.

use super::{Gate, Observer, Served};
use crate::{api::problem::Problem, clock, policy::ClientAddress};
use axum::response::Response;
use http::{Method, Request, StatusCode, Uri};
use std::sync::Arc;
use tokio::time::Instant;

/// Before there is a request.
#[derive(Clone)]
pub struct Misread {
    gate: Arc<Gate>,
    observer: Arc<Observer>,
}

impl Misread {
    pub const fn new(gate: Arc<Gate>, observer: Arc<Observer>) -> Self {
        Self { gate, observer }
    }

    pub fn answer(&self, status: StatusCode, detail: &str, client: ClientAddress) -> Response {
        let served = Served { route: "unmatched", provider: "", client, who: None, started: Instant::now(), at: clock::now() };
        let mut nothing = Request::new(());
        *nothing.uri_mut() = Uri::from_static("*");
        *nothing.method_mut() = Method::from_bytes(b"-").unwrap_or_default();
        let id = Observer::name(nothing.headers(), served.at);
        let response = self.gate.refused(Problem::new(status, code(status), detail.to_owned()), nothing.uri(), client.0, &id);
        self.observer.observed(&nothing, id, &served, response)
    }
}

fn code(status: StatusCode) -> &'static str {
    match status {
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => "head_too_large",
        _ => "malformed",
    }
}
