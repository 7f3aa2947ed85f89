//! Meters: counters of one provider's upstream calls, resolved once.
//!
//! In go outcomes and durations; out come the metrics of `metrics`. Invariant: labels are the provider's name, classes of
//! status and codes of kinds: nothing that an upstream or a tenant chose.

use super::{Response, fault::REFUSED};
use crate::{
    metrics::Metrics,
    model::{Error, Kind},
};
use prometheus::{Histogram, IntCounter};
use std::time::Duration;

const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];
/// Kinds that egress itself answers with; an intent may fail with others.
const KINDS: [Kind; 7] = [
    Kind::InvalidInput,
    Kind::Unauthenticated,
    Kind::Forbidden,
    Kind::RateLimited,
    Kind::Unavailable,
    Kind::Timeout,
    Kind::Internal,
];

pub(super) struct Meters {
    classes: [IntCounter; 5],
    kinds: [(Kind, IntCounter); 7],
    other: IntCounter,
    seconds: Histogram,
    pub retries: IntCounter,
    /// Accepted, refused, and failed otherwise.
    logins: [IntCounter; 3],
    pub uploaded: IntCounter,
    pub downloaded: IntCounter,
}

const fn outcome(kind: Kind) -> &'static str {
    match kind {
        Kind::Forbidden => REFUSED,
        other => other.code(),
    }
}

impl Meters {
    pub(super) fn new(metrics: &Metrics, provider: &str) -> Self {
        let bytes = |direction: &str| metrics.transfer_bytes.with_label_values(&[provider, direction]);
        let login = |outcome: &str| metrics.upstream_logins.with_label_values(&[provider, outcome]);
        let calls = |outcome: &str| metrics.upstream_calls.with_label_values(&[provider, outcome]);
        Self {
            classes: CLASSES.map(calls),
            kinds: KINDS.map(|kind| (kind, calls(outcome(kind)))),
            other: calls(Kind::Gateway.code()),
            seconds: metrics.upstream_seconds.with_label_values(&[provider]),
            logins: ["ok", "refused", "failed"].map(login),
            retries: metrics.upstream_retries.with_label_values(&[provider]),
            uploaded: bytes("upload"),
            downloaded: bytes("download"),
        }
    }

    pub(super) fn count(&self, result: &Result<Response, Error>, took: Duration) {
        self.outcome(result.as_ref().map(|response| response.status), took);
    }

    /// `outcome`: the status of the answer.
    pub(super) fn outcome(&self, outcome: Result<u16, &Error>, took: Duration) {
        match outcome {
            Ok(status) => self.status(status),
            Err(error) => self.error(error),
        }
        self.seconds.observe(took.as_secs_f64());
    }

    /// A session was asked for, by a refresh or a login.
    pub(super) fn login(&self, error: Option<&Error>) {
        let outcome = match error.map(|error| error.kind) {
            None => 0,
            Some(Kind::Unauthenticated) => 1,
            Some(_) => 2,
        };
        self.logins[outcome].inc();
    }

    pub(super) fn status(&self, status: u16) {
        let class = usize::from(status / 100).clamp(1, CLASSES.len()) - 1;
        self.classes[class].inc();
    }

    pub(super) fn error(&self, error: &Error) {
        let counter = self.kinds.iter().find(|(kind, _)| *kind == error.kind);
        counter.map_or(&self.other, |(_, counter)| counter).inc();
    }
}
