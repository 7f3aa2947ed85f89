//! Budgets: the limits of every upstream of every connection, which outlive the revisions of a connection.
//!
//! In go a connection and what its provider declares; out come the limits that belong to that upstream. Invariant: they are one
//! connection's own, and the same as long as the upstream is the same (name, address, trust, declared limits), so that changing
//! other settings neither forgets what was used up nor closes a circuit; nor does a restart allow more than the declared rate. What
//! is idle is dropped.

use super::{
    config::EgressConfig,
    gauges::Gauges,
    limits::{Limits, Whose},
};
use crate::{
    clock,
    metrics::Metrics,
    model::{ConnectionId, ConnectionSpec, Endpoint, Rate, Timestamp, TlsTrust, UpstreamDeclaration},
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

pub(super) struct Budgets {
    began: Began,
    shelf: Mutex<Shelf>,
}

/// When this process did, by both clocks.
struct Began {
    at: Instant,
    wall: Timestamp,
}

impl Began {
    /// Whether the connection is older. Its id says when it was made (UUIDv7).
    fn is_after(&self, connection: ConnectionId) -> bool {
        connection.0.get_timestamp().is_some_and(|made| {
            let (seconds, nanos) = made.to_unix();
            let millis = seconds.saturating_mul(1000).saturating_add(u64::from(nanos / 1_000_000));
            i64::try_from(millis).is_ok_and(|millis| Timestamp::from_millis(millis) < self.wall)
        })
    }
}

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

impl Default for Budgets {
    fn default() -> Self {
        Self { began: Began { at: Instant::now(), wall: clock::now() }, shelf: Mutex::default() }
    }
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
            let whose = Whose::of(connection, &declaration.name);
            let limits = Limits::new(whose, declaration.rate, concurrency, config, gauges);
            // The process before this one may have sent all that goes at once a moment ago, and nobody knows any more.
            if self.began.is_after(connection.id) {
                limits.begin_used_up(self.began.at);
            }
            limits
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
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
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
    use crate::egress::{
        Flow, Lane,
        tests::{connection, upstream},
    };
    use uuid::{NoContext, Uuid};

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

    /// What goes at once on a new connection, an old one, and an old one after a rest, of 8 in 60 s.
    #[tokio::test(start_paused = true)]
    async fn a_restart_gives_no_second_burst_to_a_connection_that_was_there_before() {
        let (budgets, metrics) = (Budgets::default(), Metrics::new().unwrap());
        let rate = Some(Rate { requests: 8, per_seconds: 60 });
        let declared = UpstreamDeclaration { rate, ..upstream("https://a.example") };
        let at_once = async |id| {
            let spec = ConnectionSpec { id: ConnectionId(id), ..connection(&[]) };
            let limits = budgets.of(&spec, &declared, &EgressConfig::default(), &metrics);
            let mut count = 0;
            while limits.turn(Flow::present(Lane::Reads), Instant::now()).await.is_ok() {
                count += 1;
            }
            count
        };
        let old = Uuid::new_v7(uuid::Timestamp::from_unix(NoContext, 1_700_000_000, 0));
        assert_eq!((at_once(Uuid::now_v7()).await, at_once(old).await), (2, 0));
        tokio::time::advance(Duration::from_secs(60)).await;
        let older = Uuid::new_v7(uuid::Timestamp::from_unix(NoContext, 1_600_000_000, 0));
        assert_eq!((at_once(old).await, at_once(older).await), (2, 2));
    }
}
