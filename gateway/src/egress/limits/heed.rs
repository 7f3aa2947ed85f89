//! Heeding: what an answer says of the upstream's limits.
//!
//! In go the status and headers of each answer, and when its request began; the state is changed by them. Invariant: an answer to
//! what left before a pause was over never makes the connection quicker, and a 429 always makes it wait. A pause that was asked for
//! is never cut short; it ends a little later, so that those who were told the same don't come back together.

use super::{Limits, Need, state::State};
use crate::{
    egress::{retry_after, said},
    model::Kind,
};
use http::{HeaderMap, StatusCode};
use tokio::time::Instant;

impl Limits {
    /// Of each answer, once.
    pub(in crate::egress) fn heed(&self, status: StatusCode, headers: &HeaderMap, began: Instant) {
        let (now, said, asked) = (Instant::now(), said::read(headers), retry_after::wait(status, headers));
        let is_dry = said.is_some_and(|said| said.remaining == 0);
        let mut state = self.lock();
        let under_way = state.under_way(Need::Place);
        let lag = state.lag;
        state.quota.heard(said, lag, began, under_way, now);
        match asked {
            Some(pause) => {
                state.hold(kind(status), now + pause + lag.of(pause));
                state.dismiss_late(now, &self.gauges);
            }
            // It says neither when to come back nor that a window ran dry.
            None if status == StatusCode::TOO_MANY_REQUESTS && !is_dry => {
                let pause = state.pauses.untimed(began);
                state.hold_untimed(Kind::RateLimited, now + pause);
                state.dismiss_late(now, &self.gauges);
            }
            None => {
                served(&mut state, status, began);
                state.moved(now, &self.gauges);
            }
        }
        // The request that was answered still counts as one under way.
        state.heard |= said.is_some();
    }
}

fn served(state: &mut State, status: StatusCode, began: Instant) {
    if status != StatusCode::TOO_MANY_REQUESTS && !status.is_server_error() {
        state.pauses.served(began);
    }
}

fn kind(status: StatusCode) -> Kind {
    if status == StatusCode::TOO_MANY_REQUESTS { Kind::RateLimited } else { Kind::Unavailable }
}
