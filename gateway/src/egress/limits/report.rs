//! Reports: what the limits of an upstream are at this moment, for operators and clients.
//!
//! In go the limits; out come plain numbers and times. Invariant: it says nothing that a caller of this connection couldn't
//! find out by calling, and no address.

use super::{Limits, breaker::Circuit};
use crate::{
    clock,
    model::{Rate, Timestamp},
};
use serde::Serialize;
use tokio::time::Instant;

/// One upstream of a connection.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
#[schemars(rename = "ConnectionLimits")]
pub struct LimitsReport {
    /// The provider's name for it.
    pub upstream: String,
    /// What the provider says that the upstream allows; null where it doesn't know.
    pub rate: Option<RateReport>,
    /// Requests at the same time, at most.
    pub concurrency: u32,
    /// Requests under way.
    pub running: u32,
    /// Calls that wait for their turn.
    pub queued: usize,
    /// Requests that the upstream itself said are left until `reset_at`; null where it says nothing.
    pub remaining: Option<u32>,
    pub reset_at: Option<Timestamp>,
    /// Until when the upstream asked to be left alone (`Retry-After`, or for a moment by a 429 without it); null when it didn't.
    pub paused_until: Option<Timestamp>,
    /// Requests that failed and may be sent once more, before other calls have earned further ones.
    pub retries_left: u32,
    pub breaker: BreakerReport,
}

#[derive(Clone, Copy, Debug, Serialize, schemars::JsonSchema)]
#[schemars(rename = "ConnectionRate")]
pub struct RateReport {
    pub requests: u32,
    pub per_seconds: u32,
}

#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
#[schemars(rename = "ConnectionBreaker")]
pub struct BreakerReport {
    pub state: BreakerState,
    /// When an open circuit lets one request try.
    pub until: Option<Timestamp>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BreakerState {
    Closed,
    /// The upstream kept failing: calls are refused at once.
    Open,
    /// One request finds out whether the upstream is back.
    HalfOpen,
}

impl Limits {
    pub(in crate::egress) fn report(&self) -> LimitsReport {
        let now = Instant::now();
        let state = self.lock();
        let left = state.quota.left(now);
        let (breaker, until) = match state.breaker.circuit() {
            Circuit::Closed => (BreakerState::Closed, None),
            Circuit::Open { until } => (BreakerState::Open, Some(wall(until, now))),
            Circuit::HalfOpen => (BreakerState::HalfOpen, None),
        };
        LimitsReport {
            upstream: self.whose.upstream.clone(),
            rate: self.rate.map(|Rate { requests, per_seconds }| RateReport { requests, per_seconds }),
            concurrency: self.concurrency,
            running: state.running,
            queued: state.queue.len() + self.bulk.waiting(),
            remaining: left.map(|(remaining, _)| remaining),
            reset_at: left.map(|(_, reset)| wall(reset, now)),
            paused_until: state.paused(now).map(|until| wall(until, now)),
            retries_left: state.budget.left(),
            breaker: BreakerReport { state: breaker, until },
        }
    }
}

fn wall(at: Instant, now: Instant) -> Timestamp {
    let millis = i64::try_from(at.saturating_duration_since(now).as_millis()).unwrap_or(i64::MAX);
    clock::now().plus_millis(millis)
}
