//! Retries: whether a request may be sent again, and what an attempt says about its upstream.
//!
//! In goes what came of an attempt; out comes the pause before the next, or none. Invariant: only what does no harm when it is
//! repeated is sent again, only after an outcome that says that it wasn't carried out, and never past the caller's deadline.

use super::{bind::Upstream, jitter, limits::Verdict, request::Prepared, retry_after};
use crate::model::{Error, Kind};
use http::StatusCode;
use hyper::body::Incoming;
use std::time::Duration;
use tokio::time::Instant;

/// Beside the first one.
const MOST: u32 = 2;
/// The first pause; the next is twice as long.
const PAUSE: Duration = Duration::from_millis(100);
/// A longer `Retry-After` is for the client to wait for.
const SHORT: Duration = Duration::from_secs(5);
/// An upstream that says nothing for so long is in trouble. Before, it was the caller who was impatient.
const SILENT: Duration = Duration::from_secs(5);

pub(super) type Outcome = Result<http::Response<Incoming>, Failure>;

/// No answer came.
pub(super) struct Failure {
    pub error: Error,
    /// There was no connection to send it over.
    pub unconnected: bool,
}

impl Failure {
    /// It is refused or broken on this side of the network, or on its way.
    pub(super) const fn other(error: Error) -> Self {
        Self { error, unconnected: false }
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        failure.error
    }
}

/// `tries`: those that were made.
pub(super) fn pause(
    upstream: &Upstream,
    prepared: &Prepared,
    outcome: &Outcome,
    tries: u32,
    deadline: Instant,
) -> Option<Duration> {
    if tries > MOST || !prepared.is_repeatable() {
        return None;
    }
    let backoff = || jitter::below(PAUSE * (1 << (tries - 1)));
    let pause = match outcome {
        Ok(answer) => {
            let asked = retry_after::wait(answer.status(), answer.headers());
            match (answer.status(), asked) {
                (StatusCode::SERVICE_UNAVAILABLE, None) => backoff(),
                // The upstream's own pause is kept by its limits.
                (_, Some(asked)) if asked <= SHORT => asked,
                _ => return None,
            }
        }
        Err(failure) if failure.unconnected => backoff(),
        Err(_) => return None,
    };
    (Instant::now() + pause < deadline && upstream.limits.may_retry()).then_some(pause)
}

/// What an answer with this status says.
pub(super) fn verdict(status: StatusCode) -> Verdict {
    match status {
        StatusCode::TOO_MANY_REQUESTS => Verdict::Silent,
        // It is there, and doesn't know this.
        StatusCode::NOT_IMPLEMENTED => Verdict::Good,
        status if status.is_server_error() => Verdict::Bad(format!("it answered {}", status.as_u16())),
        _ => Verdict::Good,
    }
}

/// What an attempt that took so long says.
pub(super) fn verdict_of(outcome: &Outcome, took: Duration) -> Verdict {
    let failure = match outcome {
        Ok(answer) => return verdict(answer.status()),
        Err(failure) => failure,
    };
    let speaks = match failure.error.kind {
        Kind::Unavailable => true,
        Kind::Timeout => failure.unconnected || took >= SILENT,
        _ => false,
    };
    if speaks { Verdict::Bad(failure.error.message.clone()) } else { Verdict::Silent }
}
