//! The circuit breaker: an upstream that keeps failing is left alone for a while, then tried with one request.
//!
//! In go outcomes of requests; out comes whether the next may leave. Invariant: while the circuit is open nothing is sent, and
//! of all that would like to find out whether the upstream is back, exactly one does. Its pauses are jittered.

use super::super::jitter;
use std::time::Duration;
use tokio::time::Instant;

/// Of so many calls in a window, half have to fail.
const FEWEST: u32 = 20;
const WINDOW: Duration = Duration::from_secs(10);
/// The first pause; each failed probe doubles it.
const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(60);

/// What an attempt says about its upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::egress) enum Verdict {
    Good,
    /// With words.
    Bad(String),
    /// Nothing: it was refused here, or the caller left.
    Silent,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::egress) enum Circuit {
    Closed,
    Open { until: Instant },
    HalfOpen,
}

pub(super) struct Breaker {
    /// Failures in a row that open it.
    most: u32,
    row: u32,
    since: Option<Instant>,
    calls: u32,
    failed: u32,
    /// Openings since it was last closed.
    openings: u32,
    circuit: Circuit,
    last: String,
}

impl Breaker {
    pub(super) const fn new(most: u32) -> Self {
        let last = String::new();
        Self { most, row: 0, since: None, calls: 0, failed: 0, openings: 0, circuit: Circuit::Closed, last }
    }

    pub(super) const fn circuit(&self) -> Circuit {
        self.circuit
    }

    /// The last failure, in words.
    pub(super) fn last(&self) -> &str {
        &self.last
    }

    /// How long to stay away; none when a request may leave.
    pub(super) fn refuses(&self, now: Instant) -> Option<Duration> {
        match self.circuit {
            Circuit::Open { until } if until > now => Some(until - now),
            Circuit::HalfOpen => Some(FIRST),
            Circuit::Open { .. } | Circuit::Closed => None,
        }
    }

    /// One leaves now; true if it is the probe.
    pub(super) const fn admit(&mut self) -> bool {
        let probes = matches!(self.circuit, Circuit::Open { .. });
        if probes {
            self.circuit = Circuit::HalfOpen;
        }
        probes
    }

    /// `probe`: it was the one that finds out. What left before the circuit opened says nothing new.
    pub(super) fn judge(&mut self, probe: bool, verdict: Verdict, now: Instant) {
        match (verdict, self.circuit, probe) {
            (Verdict::Good, Circuit::HalfOpen, true) => *self = Self::new(self.most),
            (Verdict::Bad(why), Circuit::HalfOpen, true) => self.open(why, now),
            (Verdict::Silent, Circuit::HalfOpen, true) => self.circuit = Circuit::Open { until: now },
            (Verdict::Good, Circuit::Closed, _) => self.count(None, now),
            (Verdict::Bad(why), Circuit::Closed, _) => self.count(Some(why), now),
            _ => {}
        }
    }

    fn count(&mut self, failure: Option<String>, now: Instant) {
        if self.since.is_none_or(|since| now - since > WINDOW) {
            (self.since, self.calls, self.failed) = (Some(now), 0, 0);
        }
        self.calls += 1;
        let Some(why) = failure else {
            self.row = 0;
            return;
        };
        self.row += 1;
        self.failed += 1;
        if self.row >= self.most || (self.calls >= FEWEST && self.failed * 2 >= self.calls) {
            self.open(why, now);
        }
    }

    fn open(&mut self, why: String, now: Instant) {
        let pause = FIRST.saturating_mul(1 << self.openings.min(6)).min(LONGEST);
        self.openings += 1;
        self.last = why;
        self.circuit = Circuit::Open { until: now + jitter::around(pause) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn circuits_that_opened_at_the_same_moment_are_tried_at_different_ones() {
        let now = Instant::now();
        let opened = |_| {
            let mut breaker = Breaker::new(1);
            breaker.judge(false, Verdict::Bad("it answered 500".to_owned()), now);
            breaker.refuses(now).unwrap()
        };
        let pauses: BTreeSet<Duration> = (0..20).map(opened).collect();
        assert!(pauses.len() > 10 && pauses.iter().all(|pause| (FIRST * 3 / 4..=FIRST * 5 / 4).contains(pause)), "{pauses:?}");
    }
}
