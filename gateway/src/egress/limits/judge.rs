//! Judging: what an attempt does to the circuit, and who hears of it.
//!
//! In go verdicts; out come numbers, and a line in the log when a circuit opens and when it closes. Invariant: an outage is two
//! lines, however many requests find out in between that it lasts.

use super::{
    Limits,
    breaker::{Circuit, Verdict},
    state::State,
};
use crate::model::ConnectionSpec;
use std::sync::Arc;
use tokio::time::Instant;

/// Whose upstream it is, for people.
pub(in crate::egress) struct Whose {
    organization: Arc<str>,
    connection: String,
    /// The provider's name for it.
    pub(super) upstream: String,
}

impl Whose {
    pub(in crate::egress) fn of(connection: &ConnectionSpec, upstream: &str) -> Self {
        let organization = Arc::clone(&connection.organization_slug);
        Self { organization, connection: connection.slug.as_str().to_owned(), upstream: upstream.to_owned() }
    }
}

impl Limits {
    /// `probe`: it was the one that finds out.
    pub(super) fn judge(&self, state: &mut State, probe: bool, verdict: Verdict, now: Instant) {
        let before = state.breaker.circuit();
        state.breaker.judge(probe, verdict, now);
        let after = state.breaker.circuit();
        self.gauges.circuit(before, after);
        self.tell(before, after, state.breaker.last());
    }

    fn tell(&self, before: Circuit, after: Circuit, why: &str) {
        let Whose { organization, connection, upstream } = &self.whose;
        match (before, after) {
            (Circuit::Closed, Circuit::Open { .. }) => {
                tracing::warn!(%organization, %connection, %upstream, "the circuit to an upstream opened: {why}");
            }
            (Circuit::Open { .. } | Circuit::HalfOpen, Circuit::Closed) => {
                tracing::info!(%organization, %connection, %upstream, "the circuit to an upstream closed: it answers again");
            }
            _ => {}
        }
    }
}
