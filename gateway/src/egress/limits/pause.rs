//! Pauses: until when the upstream asked to be left alone.
//!
//! In go the times that it named, and refusals without one; out comes until when nothing leaves. Invariant: no pause ends before
//! another that was asked for, and those that we choose ourselves grow only by what was sent after the one before was over.

use super::super::jitter;
use crate::model::Kind;
use std::time::Duration;
use tokio::time::Instant;

/// After the first 429 that names no time; each further one in a row doubles it.
const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(60);

#[derive(Default)]
pub(super) struct Pauses {
    hold: Option<Hold>,
    /// Refusals in a row that named no time.
    untimed: u32,
}

/// Until when, and how a call that can't wait so long ends.
#[derive(Clone, Copy)]
pub(super) struct Hold {
    pub until: Instant,
    pub kind: Kind,
}

impl Pauses {
    pub(super) fn present(&self, now: Instant) -> Option<Hold> {
        self.hold.filter(|hold| hold.until > now)
    }

    /// The longer one is kept, and given back.
    pub(super) fn hold(&mut self, kind: Kind, until: Instant) -> Hold {
        let hold = self.hold.filter(|hold| hold.until >= until).unwrap_or(Hold { until, kind });
        self.hold = Some(hold);
        hold
    }

    /// How long to stay away after a 429 that named no time. Those that left together are refused together, and count once.
    pub(super) fn untimed(&mut self, began: Instant) -> Duration {
        if self.untimed == 0 || self.is_over(began) {
            self.untimed = self.untimed.saturating_add(1);
        }
        jitter::around(FIRST.saturating_mul(1 << (self.untimed - 1).min(6)).min(LONGEST))
    }

    /// A request that began then was served.
    pub(super) fn served(&mut self, began: Instant) {
        if self.is_over(began) {
            self.untimed = 0;
        }
    }

    fn is_over(&self, at: Instant) -> bool {
        self.hold.is_none_or(|hold| hold.until <= at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn those_that_were_refused_at_the_same_moment_come_back_at_different_ones() {
        let now = Instant::now();
        let pauses: BTreeSet<Duration> = (0..20).map(|_| Pauses::default().untimed(now)).collect();
        assert!(pauses.len() > 10 && pauses.iter().all(|pause| (FIRST * 3 / 4..=FIRST * 5 / 4).contains(pause)), "{pauses:?}");
    }
}
