//! Refusals: why a call wasn't sent, in words and in numbers.
//!
//! In go the reason and how long it lasts; out comes an error with `Retry-After`. Invariant: every refusal names the upstream
//! and says when to come back, and its kind tells that nothing was sent.

use super::{Limits, quota::Doubt, state::State};
use crate::{
    clock,
    model::{Error, Kind},
};
use std::time::Duration;

/// What a call waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::egress) enum Why {
    /// The declared rate.
    Rate,
    /// What the upstream said is left.
    Quota,
    /// `Retry-After`.
    Pause(Kind),
    /// The answer to the one that goes first after a pause or a dry window.
    Scout(Doubt),
    Concurrency,
    /// Other bulk transfers.
    Bulk,
    /// Too many wait already.
    Queue,
    Breaker,
}

impl Why {
    /// Labels of metrics. Who waits for the one that goes first still waits because of what was before it.
    pub(in crate::egress) const ALL: [&str; 6] = ["rate", "quota", "pause", "concurrency", "queue", "breaker"];

    pub(in crate::egress) const fn index(self) -> usize {
        match self {
            Self::Rate => 0,
            Self::Quota | Self::Scout(Doubt::Dry) => 1,
            Self::Pause(_) | Self::Scout(Doubt::Pause(_)) => 2,
            Self::Concurrency | Self::Bulk => 3,
            Self::Queue => 4,
            Self::Breaker => 5,
        }
    }
}

impl Limits {
    /// Counts it, too.
    pub(super) fn refused(&self, state: &State, why: Why, pause: Duration) -> Error {
        self.gauges.refused[why.index()].inc();
        let (name, seconds) = (&self.whose.upstream, seconds(pause));
        let (kind, message) = match why {
            Why::Rate => (Kind::RateLimited, format!("the rate that the upstream {name:?} allows is used up for {seconds} s")),
            Why::Quota => (Kind::RateLimited, format!("the upstream {name:?} says that its limit is used up for {seconds} s")),
            Why::Pause(kind) => (kind, format!("the upstream {name:?} asked to be left alone for {seconds} s")),
            Why::Scout(doubt) => scouted(doubt, name, seconds),
            Why::Concurrency => {
                let most = self.concurrency;
                let message = format!("all {most} requests that may run at once at the upstream {name:?} are running");
                (Kind::RateLimited, message)
            }
            Why::Bulk => {
                let most = self.bulk.most;
                let message = format!("all {most} bulk transfers that may run at once at the upstream {name:?} are running");
                (Kind::RateLimited, message)
            }
            Why::Queue => {
                let waiting = state.queue.len() + self.bulk.waiting();
                (Kind::RateLimited, format!("{waiting} calls wait for the upstream {name:?} already"))
            }
            Why::Breaker => {
                let until = clock::now().plus_millis(i64::try_from(pause.as_millis()).unwrap_or(i64::MAX));
                let last = state.breaker.last();
                let message = format!(
                    "the circuit to the upstream {name:?} is open until {until}, since it kept failing (last: {last}); nothing \
                     was sent"
                );
                (Kind::Unavailable, message)
            }
        };
        Error::new(kind, message).with_retry_after(seconds)
    }
}

fn scouted(doubt: Doubt, name: &str, seconds: u32) -> (Kind, String) {
    let (kind, past, question) = match doubt {
        Doubt::Pause(kind) => (kind, "asked to be left alone for a while", "whether it serves again"),
        Doubt::Dry => (Kind::RateLimited, "said that its limit was used up", "how much it allows now"),
    };
    let message = format!(
        "the upstream {name:?} {past}, and one request is under way to find out {question}; the others wait for its answer, at \
         most {seconds} s more: try again then"
    );
    (kind, message)
}

/// Whole ones, rounded up.
fn seconds(wait: Duration) -> u32 {
    u32::try_from(wait.as_millis().div_ceil(1000)).unwrap_or(u32::MAX).max(1)
}
