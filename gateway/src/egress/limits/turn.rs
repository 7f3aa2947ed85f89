//! A turn: the right to have one request under way.
//!
//! In goes how it went; out, by dropping it, comes the place for the next. Invariant: each turn gives its place back exactly
//! once, and a probe that nobody judged is one that never happened. That an answer began isn't how it went: its body may break.
//! Nobody waits for a further request that is over, though its turn began before it and goes on.

use super::{Limits, Need, breaker::Verdict, bulk::Share};
use std::sync::Arc;
use tokio::time::Instant;

pub(in crate::egress) struct Turn {
    limits: Arc<Limits>,
    since: Instant,
    probe: bool,
    answered: bool,
    /// Of a bulk transfer.
    share: Option<Share>,
}

impl Turn {
    pub(super) fn new(limits: Arc<Limits>, probe: bool, share: Option<Share>) -> Self {
        Self { limits, since: Instant::now(), probe, answered: false, share }
    }

    /// The others wait for what it finds out.
    pub(in crate::egress) const fn is_probe(&self) -> bool {
        self.probe
    }

    /// The head of its answer is here, or none will come.
    pub(in crate::egress) fn answered(&mut self) {
        self.settle(None);
    }

    /// Tells the circuit breaker what came of it.
    pub(in crate::egress) fn judge(&mut self, verdict: Verdict) {
        self.settle(Some(verdict));
    }

    /// It takes too long to find out anything: the next one probes, and this one goes on as any other.
    pub(in crate::egress) fn pass_on(&mut self) {
        let now = Instant::now();
        let mut state = self.limits.lock();
        self.limits.judge(&mut state, std::mem::take(&mut self.probe), Verdict::Silent, now);
        state.moved(now, &self.limits.gauges);
    }

    /// A login goes before its own request, which isn't out, so nobody waits for that: least of all the login.
    pub(in crate::egress) fn after_a_login(&self) {
        self.limits.is_over(self.since);
    }

    /// Though it was answered, a further request goes under it, which the upstream has yet to count.
    pub(in crate::egress) fn asks_more(&mut self) {
        self.limits.lock().answered -= u32::from(std::mem::take(&mut self.answered));
    }

    fn settle(&mut self, verdict: Option<Verdict>) {
        let now = Instant::now();
        let mut state = self.limits.lock();
        if let Some(verdict) = verdict {
            self.limits.judge(&mut state, self.probe, verdict, now);
            self.probe = false;
        }
        state.quota.over(self.since);
        state.answered += u32::from(!std::mem::replace(&mut self.answered, true));
        // The circuit may have opened for those who wait, and the answer may have said what is left.
        state.settle(now, &self.limits.gauges);
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if self.probe {
            self.judge(Verdict::Silent);
        }
        let mut state = self.limits.lock();
        state.quota.over(self.since);
        state.answered -= u32::from(self.answered);
        state.gone(Need::Place);
        state.settle(Instant::now(), &self.limits.gauges);
        drop(state);
        // The next transfer finds the place free, or waits for it as all do.
        drop(self.share.take());
    }
}

/// A further request under a turn (a redirect, a login), while it is under way.
pub(in crate::egress) struct Further<'a> {
    limits: &'a Limits,
    since: Instant,
}

impl<'a> Further<'a> {
    pub(super) fn new(limits: &'a Limits) -> Self {
        Self { limits, since: Instant::now() }
    }
}

impl Drop for Further<'_> {
    fn drop(&mut self) {
        let mut state = self.limits.lock();
        state.quota.over(self.since);
        // What was heard counts when the turn says that it was answered: until then it is still one under way.
        state.moved(Instant::now(), &self.limits.gauges);
    }
}
