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

    /// Who was here before may have sent all that may go at once until then. Nothing is over before the next is due.
    pub(super) fn use_up(&mut self, at: Instant) {
        self.next = Some(at + self.tolerance + self.interval);
    }

    /// One leaves now.
    pub(super) fn take(&mut self, now: Instant) {
        self.next = Some(self.next.unwrap_or(now).max(now) + self.interval);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// When requests leave from then on, if as many come as may.
    fn leave(pace: &mut Pace, from: Instant, until: Instant) -> Vec<Instant> {
        let next = |pace: &mut Pace, now: Instant| {
            let at = pace.at(now, 0);
            pace.take(at);
            at
        };
        std::iter::successors(Some(next(pace, from)), |before| Some(next(pace, *before))).take_while(|at| *at < until).collect()
    }

    #[test]
    fn a_process_that_comes_after_another_sends_no_second_burst() {
        for (requests, per_seconds) in [(60, 60), (8, 10), (1, 10), (1000, 3600)] {
            let rate = Rate { requests, per_seconds };
            let (start, period) = (Instant::now(), Duration::from_secs(u64::from(per_seconds)));
            let restart = start + Duration::from_millis(1);
            let mut times = leave(&mut Pace::new(rate), start, restart);
            assert_eq!(times.len(), usize::try_from((requests / 4).max(1)).unwrap(), "all that may go at once");
            let mut pace = Pace::new(rate);
            pace.use_up(restart);
            times.extend(leave(&mut pace, restart, start + period * 3));
            for (index, time) in times.iter().enumerate() {
                let within = times[index..].iter().take_while(|other| **other < *time + period).count();
                assert!(within <= requests as usize, "{within} requests at {requests} in {per_seconds} s");
            }
            // What wasn't used since is there again.
            let later = restart + period * 2;
            let mut rested = Pace::new(rate);
            rested.use_up(restart);
            let burst = leave(&mut rested, later, later + Duration::from_millis(1)).len();
            assert_eq!(burst, usize::try_from((requests / 4).max(1)).unwrap());
        }
    }
}
