//! Gauges: the numbers of waiting, refused and broken circuits of one provider, resolved once.
//!
//! In go events of limits; out come the metrics of `metrics`. Invariant: labels are the provider's name, reasons and states:
//! nothing that an upstream or a tenant chose.

use super::limits::{Circuit, Why};
use crate::metrics::Metrics;
use prometheus::{Histogram, IntCounter, IntGauge};

#[derive(Clone)]
pub(super) struct Gauges {
    pub queued: IntGauge,
    /// Seconds, of calls that had to wait.
    pub waited: Histogram,
    /// By [`Why::index`].
    pub refused: [IntCounter; Why::ALL.len()],
    open: IntGauge,
    half_open: IntGauge,
}

impl Gauges {
    pub(super) fn new(metrics: &Metrics, provider: &str) -> Self {
        let breakers = |state: &str| metrics.upstream_breakers.with_label_values(&[provider, state]);
        Self {
            queued: metrics.upstream_queued.with_label_values(&[provider]),
            waited: metrics.upstream_wait_seconds.with_label_values(&[provider]),
            refused: Why::ALL.map(|why| metrics.upstream_refused.with_label_values(&[provider, why])),
            open: breakers("open"),
            half_open: breakers("half_open"),
        }
    }

    /// A circuit changed.
    pub(super) fn circuit(&self, before: Circuit, now: Circuit) {
        if let Some(gauge) = self.of(before) {
            gauge.dec();
        }
        if let Some(gauge) = self.of(now) {
            gauge.inc();
        }
    }

    const fn of(&self, circuit: Circuit) -> Option<&IntGauge> {
        match circuit {
            Circuit::Closed => None,
            Circuit::Open { .. } => Some(&self.open),
            Circuit::HalfOpen => Some(&self.half_open),
        }
    }
}
