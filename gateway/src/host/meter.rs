//! Meters: the metric handles of one provider, resolved once, so that a call doesn't look labels up.
//!
//! In go the process's metrics and a provider's name; out come counters. Invariant: labels are the provider's name, actions,
//! codes and reasons, all from closed sets.

use super::trap::Reason;
use crate::{
    metrics::Metrics,
    model::{Action, Error},
};
use prometheus::{Histogram, IntCounter, IntGauge};
use std::sync::Arc;
use tokio::time::Instant;

/// What is asked of a guest: the model's actions, and the calls that concern operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    Action(Action),
    Poll,
    Reconcile,
    Cancel,
    Configure,
}

const OWN: [(Asked, &str); 4] = [
    (Asked::Poll, "operations.poll"),
    (Asked::Reconcile, "operations.reconcile"),
    (Asked::Cancel, "operations.cancel"),
    (Asked::Configure, "configure"),
];

impl Asked {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Action(action) => action.as_str(),
            Self::Poll => OWN[0].1,
            Self::Reconcile => OWN[1].1,
            Self::Cancel => OWN[2].1,
            Self::Configure => OWN[3].1,
        }
    }

    const fn index(self) -> usize {
        let base = Action::ALL.len();
        match self {
            Self::Action(action) => action as usize,
            Self::Poll => base,
            Self::Reconcile => base + 1,
            Self::Cancel => base + 2,
            Self::Configure => base + 3,
        }
    }
}

struct Series {
    ok: IntCounter,
    seconds: Histogram,
}

pub(super) struct Meter {
    provider: String,
    metrics: Arc<Metrics>,
    series: Vec<Series>,
    created: IntCounter,
    busy: IntGauge,
    idle: IntGauge,
    waiting: IntGauge,
    /// By level: debug, info, warn, error.
    pub(super) log_lines: [IntCounter; 4],
}

impl Meter {
    pub(super) fn new(metrics: Arc<Metrics>, provider: &str) -> Self {
        let asked = Action::ALL.iter().map(|action| Asked::Action(*action)).chain(OWN.map(|(asked, _)| asked));
        let series = asked
            .map(|asked| Series {
                ok: metrics.guest_calls.with_label_values(&[provider, asked.as_str(), "ok"]),
                seconds: metrics.guest_seconds.with_label_values(&[provider, asked.as_str()]),
            })
            .collect();
        Self {
            series,
            created: metrics.instances_created.with_label_values(&[provider]),
            busy: metrics.instances.with_label_values(&[provider, "busy"]),
            idle: metrics.instances.with_label_values(&[provider, "idle"]),
            waiting: metrics.guest_waiting.with_label_values(&[provider]),
            log_lines: ["debug", "info", "warn", "error"]
                .map(|level| metrics.guest_log_lines.with_label_values(&[provider, level])),
            provider: provider.to_owned(),
            metrics,
        }
    }

    pub(super) fn called<T>(&self, asked: Asked, started: Instant, outcome: &Result<T, Error>) {
        let Some(series) = self.series.get(asked.index()) else { return };
        series.seconds.observe(started.elapsed().as_secs_f64());
        match outcome {
            Ok(_) => series.ok.inc(),
            Err(error) => {
                let labels = [self.provider.as_str(), asked.as_str(), error.kind.code()];
                self.metrics.guest_calls.with_label_values(&labels).inc();
            }
        }
    }

    pub(super) fn trapped(&self, reason: Reason) {
        self.metrics.guest_traps.with_label_values(&[self.provider.as_str(), reason.as_str()]).inc();
    }

    /// Counts a call as one that waits, as long as the answer lives.
    pub(super) fn waiting(&self) -> Waiting {
        self.waiting.inc();
        Waiting(self.waiting.clone())
    }

    /// Counts a new, busy instance for as long as the answer lives.
    pub(super) fn instance(&self) -> Presence {
        self.created.inc();
        self.busy.inc();
        Presence { busy: self.busy.clone(), idle: self.idle.clone(), is_busy: true }
    }
}

/// One waiting call in the gauge.
pub(super) struct Waiting(IntGauge);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// One instance in the gauges.
pub(super) struct Presence {
    busy: IntGauge,
    idle: IntGauge,
    is_busy: bool,
}

impl Presence {
    pub(super) fn set_busy(&mut self, busy: bool) {
        if self.is_busy != busy {
            self.is_busy = busy;
            self.busy.add(if busy { 1 } else { -1 });
            self.idle.add(if busy { -1 } else { 1 });
        }
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        if self.is_busy { self.busy.dec() } else { self.idle.dec() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_question_has_a_series_of_its_own_name() {
        let metrics = Arc::new(Metrics::new().unwrap());
        let meter = Meter::new(metrics.clone(), "sandbox");
        for asked in Action::ALL.iter().map(|action| Asked::Action(*action)).chain(OWN.map(|(asked, _)| asked)) {
            meter.called(asked, Instant::now(), &Ok(()));
            let labels = ["sandbox", asked.as_str(), "ok"];
            assert_eq!(metrics.guest_calls.with_label_values(&labels).get(), 1, "{asked:?}");
        }
    }

    #[test]
    fn gauges_return_to_zero() {
        let metrics = Arc::new(Metrics::new().unwrap());
        let meter = Meter::new(metrics.clone(), "sandbox");
        let waiting = meter.waiting();
        assert_eq!(metrics.guest_waiting.with_label_values(&["sandbox"]).get(), 1);
        drop(waiting);
        assert_eq!(metrics.guest_waiting.with_label_values(&["sandbox"]).get(), 0);
        let mut presence = meter.instance();
        presence.set_busy(false);
        assert_eq!(metrics.instances.with_label_values(&["sandbox", "idle"]).get(), 1);
        drop(presence);
        for state in ["idle", "busy"] {
            assert_eq!(metrics.instances.with_label_values(&["sandbox", state]).get(), 0);
        }
    }
}
