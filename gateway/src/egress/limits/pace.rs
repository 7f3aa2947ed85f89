//! Pace: the declared rate as moments at which the next request may leave.
//!
//! In go a rate and the present moment; out comes the moment of the next turn, or of one further back. Invariant: no period as
//! long as the declared one sees more requests than were declared. It waits for nothing itself, and knows no clock.

use crate::model::Rate;
use std::time::Duration;
use tokio::time::Instant;

/// What connecting takes, at most places.
const SLACK: Duration = Duration::from_millis(250);

/// GCRA. `next`: when the next request would be due if all came evenly spaced.
pub(super) struct Pace {
    interval: Duration,
    /// How far ahead of the even spacing requests may run.
    tolerance: Duration,
    next: Option<Instant>,
}

impl Pace {
    /// A quarter of the requests may come at once; the rest is spaced. A little more than the period needs is left, since
    /// requests don't arrive exactly as far apart as they leave: the first of a burst may have to connect.
    pub(super) fn new(rate: Rate) -> Self {
        // Nobody declares none at all (the host refuses that), and if somebody did, it would not be everything.
        let requests = rate.requests.max(1);
        let burst = (requests / 4).max(1);
        let period = Duration::from_secs(u64::from(rate.per_seconds.max(1)));
        let interval = (period + SLACK.min(period / 8)) / (requests - burst).max(1);
        Self { interval, tolerance: interval * (burst - 1), next: None }
    }

    /// When the request behind `ahead` others may leave, if none leaves before `from`.
    pub(super) fn at(&self, from: Instant, ahead: u32) -> Instant {
        let due = self.next.unwrap_or(from).max(from) + self.interval.saturating_mul(ahead);
        due.checked_sub(self.tolerance).map_or(from, |at| at.max(from))
    }

    /// One leaves now.
    pub(super) fn take(&mut self, now: Instant) {
        self.next = Some(self.next.unwrap_or(now).max(now) + self.interval);
    }
}
