//! Budgets: the limits of every upstream of every connection, which outlive the revisions of a connection.
//!
//! In go a connection and what its provider declares; out come the limits that belong to that upstream. Invariant: they are one
//! connection's own, and the same as long as the upstream is the same (name, address, trust, declared limits), so that changing
//! other settings neither forgets what was used up nor closes a circuit. What is idle is dropped.

use super::{config::EgressConfig, gauges::Gauges, limits::Limits};
use crate::{
    metrics::Metrics,
    model::{ConnectionId, ConnectionSpec, Endpoint, Rate, TlsTrust, UpstreamDeclaration},
};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::time::Instant;

/// Unused for so long, and bound by nobody. Longer than any pause that an upstream can ask for.
const IDLE: Duration = Duration::from_secs(15 * 60);
/// How often idle ones are looked for.
const SWEEP: Duration = Duration::from_secs(60);

#[derive(Default)]
pub(super) struct Budgets(Mutex<Shelf>);

#[derive(Default)]
struct Shelf {
    limits: HashMap<Key, Arc<Limits>>,
    swept: Option<Instant>,
}

/// What makes an upstream the same one.
#[derive(PartialEq, Eq, Hash)]
struct Key {
    connection: ConnectionId,
    upstream: String,
    endpoint: Endpoint,
    rate: Option<Rate>,
    concurrency: u32,
    tls: TlsTrust,
}

impl Budgets {
    pub(super) fn of(
        &self,
        connection: &ConnectionSpec,
        declaration: &UpstreamDeclaration,
        config: &EgressConfig,
        metrics: &Metrics,
    ) -> Arc<Limits> {
        let concurrency = declaration.concurrency.unwrap_or(config.concurrency).clamp(1, config.concurrency);
        let key = Key {
            connection: connection.id,
            upstream: declaration.name.clone(),
            endpoint: declaration.endpoint.clone(),
            rate: declaration.rate,
            concurrency,
            tls: connection.tls.clone(),
        };
        let new = || {
            let gauges = Gauges::new(metrics, &connection.provider);
            Limits::new(&declaration.name, declaration.rate, concurrency, config, gauges)
        };
        let mut shelf = self.lock();
        shelf.sweep(Instant::now());
        Arc::clone(shelf.limits.entry(key).or_insert_with(new))
    }

    /// The connection was deleted.
    pub(super) fn forget(&self, connection: ConnectionId) {
        self.lock().limits.retain(|key, _| key.connection != connection);
    }

    fn lock(&self) -> MutexGuard<'_, Shelf> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shelf {
    fn sweep(&mut self, now: Instant) {
        if self.swept.is_some_and(|at| now - at < SWEEP) {
            return;
        }
        self.swept = Some(now);
        self.limits.retain(|_, limits| Arc::strong_count(limits) > 1 || !limits.is_forgettable(now, IDLE));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::egress::tests::{connection, upstream};

    fn of(budgets: &Budgets, connection: &ConnectionSpec, url: &str) -> Arc<Limits> {
        let metrics = Metrics::new().unwrap();
        budgets.of(connection, &upstream(url), &EgressConfig::default(), &metrics)
    }

    #[tokio::test(start_paused = true)]
    async fn they_belong_to_the_upstream_of_a_connection_and_idle_ones_go() {
        let (budgets, own, other) = (Budgets::default(), connection(&[]), connection(&[]));
        let first = of(&budgets, &own, "https://a.example");
        let revised = ConnectionSpec { revision: 2, ..own.clone() };
        assert!(Arc::ptr_eq(&first, &of(&budgets, &revised, "https://a.example")), "another revision");
        assert!(!Arc::ptr_eq(&first, &of(&budgets, &own, "https://b.example")), "another address");
        assert!(!Arc::ptr_eq(&first, &of(&budgets, &other, "https://a.example")), "another connection");
        assert_eq!(budgets.lock().limits.len(), 3);
        tokio::time::advance(IDLE + Duration::from_secs(1)).await;
        let _ = of(&budgets, &own, "https://a.example");
        assert_eq!(budgets.lock().limits.len(), 1, "the one that is bound stays");
        budgets.forget(own.id);
        assert!(budgets.lock().limits.is_empty());
    }
}
