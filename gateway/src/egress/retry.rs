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
pub(super) const SILENT: Duration = Duration::from_secs(5);

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
    let pause = match outcome {
        Ok(answer) => {
            let asked = retry_after::wait(answer.status(), answer.headers());
            match (answer.status(), asked) {
                (StatusCode::SERVICE_UNAVAILABLE, None) => backoff(tries),
                // The upstream's own pause is kept by its limits.
                (_, Some(asked)) if asked <= SHORT => asked,
                _ => return None,
            }
        }
        Err(failure) if failure.unconnected => backoff(tries),
        Err(_) => return None,
    };
    (Instant::now() + pause < deadline && upstream.limits.may_retry()).then_some(pause)
}

/// After so many tries.
fn backoff(tries: u32) -> Duration {
    jitter::below(PAUSE * (1 << tries.saturating_sub(1).min(MOST)))
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
    match outcome {
        Ok(answer) => verdict(answer.status()),
        Err(failure) if failure.unconnected => failed(&failure.error, SILENT),
        Err(failure) => failed(&failure.error, took),
    }
}

/// What an answer says whose head said `head`, and whose body was read until this error, after so much silence.
pub(super) fn verdict_of_body(head: Verdict, error: Option<&Error>, silence: Duration) -> Verdict {
    match error {
        None => head,
        // That it is more than we take, or not what was asked for, is no trouble of the upstream's.
        Some(error) if !matches!(error.kind, Kind::Unavailable | Kind::Timeout) => head,
        Some(error) => failed(error, silence),
    }
}

fn failed(error: &Error, silence: Duration) -> Verdict {
    let speaks = match error.kind {
        Kind::Unavailable => true,
        Kind::Timeout => silence >= SILENT,
        _ => false,
    };
    if speaks { Verdict::Bad(error.message.clone()) } else { Verdict::Silent }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn those_that_failed_at_the_same_moment_try_again_at_different_ones() {
        for (tries, most) in [(1, PAUSE), (2, PAUSE * 2)] {
            let pauses: BTreeSet<Duration> = (0..20).map(|_| backoff(tries)).collect();
            assert!(pauses.len() > 10 && pauses.iter().all(|pause| (most / 2..=most).contains(pause)), "{pauses:?}");
        }
    }

    #[test]
    fn a_body_that_broke_or_stalled_takes_back_what_its_head_said() {
        let bad = || Verdict::Bad("why".to_owned());
        for (head, kind, silence, verdict) in [
            (Verdict::Good, None, 0, Verdict::Good),
            (Verdict::Silent, None, 60, Verdict::Silent),
            (Verdict::Good, Some(Kind::Unavailable), 0, bad()),
            (Verdict::Silent, Some(Kind::Unavailable), 0, bad()),
            (Verdict::Good, Some(Kind::Timeout), 5, bad()),
            (Verdict::Good, Some(Kind::Timeout), 4, Verdict::Silent),
            (Verdict::Good, Some(Kind::Internal), 60, Verdict::Good),
        ] {
            let error = kind.map(|kind| Error::new(kind, "why"));
            let judged = verdict_of_body(head.clone(), error.as_ref(), Duration::from_secs(silence));
            assert_eq!(judged, verdict, "{head:?} {kind:?} {silence}");
        }
    }
}
