//! A turn: the right to have one request under way.
//!
//! In goes how it went; out, by dropping it, comes the place for the next. Invariant: each turn gives its place back exactly
//! once, and a probe that nobody judged is one that never happened.

use super::{Limits, Need, breaker::Verdict};
use std::sync::Arc;
use tokio::time::Instant;

pub(in crate::egress) struct Turn {
    limits: Arc<Limits>,
    probe: bool,
}

impl Turn {
    pub(super) const fn new(limits: Arc<Limits>, probe: bool) -> Self {
        Self { limits, probe }
    }

    /// Tells the circuit breaker what came of it.
    pub(in crate::egress) fn judge(&mut self, verdict: Verdict) {
        let now = Instant::now();
        let mut state = self.limits.lock();
        state.judge(self.probe, verdict, now, &self.limits.gauges);
        self.probe = false;
        // The circuit may have opened for those who wait.
        state.moved(now, &self.limits.gauges);
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if self.probe {
            self.judge(Verdict::Silent);
        }
        let mut state = self.limits.lock();
        state.gone(Need::Place);
        state.settle(Instant::now(), &self.limits.gauges);
    }
}
