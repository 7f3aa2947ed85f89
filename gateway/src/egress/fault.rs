//! Faults: hyper's errors in the model's words.
//!
//! In goes an error of hyper's client; out comes a model error with a kind to decide by.
//! Invariant: a message holds host and port of the upstream at most: no path, no query, no secret.

use super::socket::Served;
use crate::model::{Error, Kind};
use hyper_util::client::legacy;
use std::error::Error as StdError;

/// The code of requests that broke a rule. The kind's own is about credentials.
pub(super) const REFUSED: &str = "request_refused";

/// A rule of egress was broken: nothing was sent.
pub(super) fn refused(message: impl Into<String>) -> Error {
    Error::new(Kind::Forbidden, message).with_code(REFUSED)
}

/// No answer came.
pub(super) fn no_answer(error: &legacy::Error, label: &str) -> Error {
    if let Some(own) = cause::<Error>(error) {
        return own.clone();
    }
    let (kind, what) = words(cause(error));
    Error::new(kind, format!("{label} {what}")).with_internal(chain(error))
}

/// The same, of a connection that was opened for one request.
pub(super) fn broke(error: &hyper::Error, label: &str) -> Error {
    let (kind, what) = words(Some(error));
    Error::new(kind, format!("{label} {what}")).with_internal(chain(error))
}

fn words(error: Option<&hyper::Error>) -> (Kind, &'static str) {
    match error {
        Some(hyper) if hyper.is_parse_too_large() => (Kind::Internal, "answered with a header that is too large"),
        Some(hyper) if hyper.is_parse() => (Kind::Internal, "answered something that isn't HTTP"),
        Some(hyper) if hyper.is_timeout() => (Kind::Timeout, "didn't answer in time"),
        _ => (Kind::Unavailable, "closed the connection before it answered"),
    }
}

fn chain(error: &(dyn StdError + 'static)) -> String {
    let chain: Vec<String> = std::iter::successors(Some(error), |&error| error.source()).map(ToString::to_string).collect();
    chain.join(": ")
}

pub(super) fn too_late(label: &str) -> Error {
    Error::new(Kind::Timeout, format!("{label} didn't answer in time"))
}

/// A connection that had answered before was closed before it answered this request: most likely it was idle for too long. Of
/// one that requests share it says less: it may be as well as ever, and this request alone was broken off.
pub(super) fn broke_while_idle(error: &legacy::Error) -> bool {
    let mut extensions = http::Extensions::new();
    if let Some(info) = error.connect_info() {
        info.get_extras(&mut extensions);
    }
    let served = extensions.get::<Served>().is_some_and(Served::get);
    served && cause::<hyper::Error>(error).is_some_and(|hyper| !hyper.is_parse() && !hyper.is_user())
}

/// Over HTTP/2, where requests share a connection: this one was broken off, and the connection goes on.
pub(super) fn was_reset_alone(error: &legacy::Error) -> bool {
    cause::<h2::Error>(error).is_some_and(h2::Error::is_reset)
}

fn cause<E: StdError + 'static>(error: &legacy::Error) -> Option<&E> {
    std::iter::successors(error.source(), |&error| error.source()).find_map(|error| error.downcast_ref())
}
