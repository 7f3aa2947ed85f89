//! The counters of answers that didn't come through the stack: found by labels once a provider and status, since that costs more
//! than the rest of what such an answer's counting does.
//!
//! Invariant: they are the very counters that the stack's answers have, by the same labels.

use super::{Served, method_label};
use crate::metrics::Metrics;
use arc_swap::ArcSwap;
use http::{Method, StatusCode};
use prometheus::{Histogram, IntCounter};
use std::{sync::Arc, time::Duration};

/// A few: methods, routes, providers and statuses of answers before the stack.
#[derive(Default)]
pub struct ShortCounters(ArcSwap<Vec<Arc<Counters>>>);

struct Counters {
    method: &'static str,
    route: &'static str,
    provider: Box<str>,
    status: StatusCode,
    requests: IntCounter,
    seconds: Histogram,
}

impl ShortCounters {
    pub fn count(&self, metrics: &Metrics, method: &Method, served: &Served<'_>, status: StatusCode, took: Duration) {
        let (known, method) = (self.0.load(), method_label(method));
        match known.iter().find(|one| one.are_of(method, served, status)) {
            Some(counters) => counters.count(took),
            None => self.learn(Arc::new(Counters::new(metrics, method, served, status))).count(took),
        }
    }

    fn learn(&self, new: Arc<Counters>) -> Arc<Counters> {
        self.0.rcu(|known| known.iter().chain([&new]).cloned().collect::<Vec<_>>());
        new
    }
}

impl Counters {
    fn new(metrics: &Metrics, method: &'static str, served: &Served<'_>, status: StatusCode) -> Self {
        let Served { route, provider, .. } = *served;
        let requests = [route, method, status.as_str(), provider];
        Self {
            method,
            route,
            provider: provider.into(),
            status,
            requests: metrics.requests.with_label_values(&requests),
            seconds: metrics.request_seconds.with_label_values(&[route, provider]),
        }
    }

    fn are_of(&self, method: &str, served: &Served<'_>, status: StatusCode) -> bool {
        self.status == status && self.method == method && self.route == served.route && *self.provider == *served.provider
    }

    fn count(&self, took: Duration) {
        self.requests.inc();
        self.seconds.observe(took.as_secs_f64());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::ClientAddress;
    use std::net::{IpAddr, Ipv4Addr};
    use tokio::time::Instant;

    #[test]
    fn each_answer_counts_once_under_its_own_labels() {
        let (metrics, short) = (Metrics::new().unwrap(), ShortCounters::default());
        let client = ClientAddress(IpAddr::V4(Ipv4Addr::LOCALHOST));
        let count = |provider, status| {
            let served = Served { route: "/r", provider, client, who: None, started: Instant::now(), at: crate::clock::now() };
            short.count(&metrics, &Method::GET, &served, status, Duration::from_millis(3));
        };
        for (provider, status) in [("a", 200), ("b", 200), ("a", 304), ("a", 200), ("ab", 200)] {
            count(provider, StatusCode::from_u16(status).unwrap());
        }
        let requests = |status, provider| metrics.requests.with_label_values(&["/r", "GET", status, provider]).get();
        assert_eq!([requests("200", "a"), requests("304", "a"), requests("200", "b"), requests("200", "ab")], [2, 1, 1, 1]);
        assert_eq!(metrics.request_seconds.with_label_values(&["/r", "a"]).get_sample_count(), 3);
    }
}
