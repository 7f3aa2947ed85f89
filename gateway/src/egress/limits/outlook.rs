//! Outlook: when a call can go, as far as is known, and what it is told if that is too late.
//!
//! In go the state and how many go before; out come moments and a reason. Invariant: as far as is known nobody goes before `at`,
//! and the reason is what holds them up for longest. What may end at any moment (a place that isn't free, the answer to the one
//! that goes first) makes nothing later, but is told to whoever waited for it in vain.

use super::{Need, refusal::Why, state::State};
use tokio::time::Instant;

pub(super) struct Outlook {
    /// When it can go at the earliest.
    pub at: Instant,
    /// What holds it up most.
    pub why: Why,
    /// When that is over at the latest, as far as is known.
    pub until: Instant,
}

impl State {
    /// Of the one behind `ahead` others.
    pub(super) fn estimate(&self, need: Need, ahead: u32, now: Instant) -> Outlook {
        let (mut at, mut why) = (now, Why::Concurrency);
        if let Some(hold) = self.pauses.present(now) {
            (at, why) = (hold.until, Why::Pause(hold.kind));
        }
        if let Some(reset) = self.quota.at(self.under_way(need), ahead).filter(|reset| *reset > at) {
            (at, why) = (reset, Why::Quota);
        }
        if let Some(due) = self.pace.as_ref().map(|pace| pace.at(at, ahead)).filter(|due| *due > at) {
            (at, why) = (due, Why::Rate);
        }
        match self.quota.scouted(now).filter(|(until, _)| *until > at) {
            Some((until, doubt)) => Outlook { at, why: Why::Scout(doubt), until },
            None => Outlook { at, why, until: at },
        }
    }
}
