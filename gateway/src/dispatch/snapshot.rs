//! Answers of providers, kept for as long as the provider allows.
//!
//! In go a connection, a query and a way to ask; out comes an answer with the time it was read. Invariant: the key holds the
//! connection's uuid, revision and generation, so an answer never outlives a change or a mutation, and never crosses
//! connections; one fill runs per key, and goes on when the first caller leaves.

use super::Connection;
use crate::{
    clock,
    metrics::Metrics,
    model::{Answer, BillingAnswer, ConnectionId, Error, Query, Timestamp, WordpressAnswer},
};
use arc_swap::ArcSwap;
use moka::{Expiry, future::Cache};
use prometheus::IntCounter;
use std::{
    future::Future,
    mem::size_of,
    sync::Arc,
    time::{Duration, Instant},
};

/// Whether an answer from before may be given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    Cached,
    /// The client asked for `Cache-Control: no-cache`.
    Live,
}

#[derive(Debug)]
pub struct Snapshot {
    pub answer: Answer,
    pub as_of: Timestamp,
    lifetime: Duration,
    weight: u32,
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct Key {
    connection: ConnectionId,
    revision: i64,
    generation: u64,
    query: Query,
}

/// An entry: the newest answer to its key. A live read replaces the answer in its place, since an insertion costs the cache's
/// bookkeeping a tenth of such a read; the entry's age goes on, so that it leaves the cache no later than it would have.
struct Slot {
    newest: ArcSwap<Snapshot>,
    lifetime: Duration,
    /// What the entry was weighed as.
    weight: u32,
}

impl Slot {
    fn new(snapshot: Arc<Snapshot>) -> Arc<Self> {
        Arc::new(Self { lifetime: snapshot.lifetime, weight: snapshot.weight, newest: ArcSwap::new(snapshot) })
    }

    /// False if it has grown: it must be weighed again.
    fn replace(&self, snapshot: &Arc<Snapshot>) -> bool {
        let fits = snapshot.weight <= self.weight && snapshot.lifetime >= self.lifetime;
        if fits {
            self.newest.store(Arc::clone(snapshot));
        }
        fits
    }
}

pub struct Snapshots {
    cache: Cache<Key, Arc<Slot>>,
    hits: IntCounter,
    misses: IntCounter,
}

/// Each entry lives as long as its own provider said.
struct ByProvider;

impl Expiry<Key, Arc<Slot>> for ByProvider {
    fn expire_after_create(&self, _: &Key, value: &Arc<Slot>, _: Instant) -> Option<Duration> {
        Some(value.lifetime)
    }
}

impl Snapshots {
    pub fn new(max_bytes: u64, metrics: &Arc<Metrics>) -> Self {
        let cache = Cache::builder()
            .max_capacity(max_bytes)
            .weigher(|_, slot: &Arc<Slot>| slot.weight)
            .expire_after(ByProvider)
            .build();
        let count = |result| metrics.snapshots.with_label_values(&[result]);
        Self { cache, hits: count("hit"), misses: count("miss") }
    }

    pub async fn get<F>(
        &self,
        connection: &Connection,
        query: Query,
        freshness: Freshness,
        lifetime: Duration,
        fill: F,
    ) -> Result<Arc<Snapshot>, Error>
    where
        F: Future<Output = Result<Answer, Error>> + Send + 'static,
    {
        let record = &connection.record;
        let key = Key { connection: record.id, revision: record.revision, generation: connection.generation(), query };
        if freshness == Freshness::Cached && !lifetime.is_zero() {
            if let Some(found) = self.cache.get(&key).await {
                self.hits.inc();
                return Ok(found.newest.load_full());
            }
            self.misses.inc();
            return self.fill(key, lifetime, fill).await;
        }
        self.misses.inc();
        let snapshot = Arc::new(Snapshot::new(fill.await?, lifetime));
        if !lifetime.is_zero() {
            self.put(key, &snapshot).await;
        }
        Ok(snapshot)
    }

    async fn put(&self, key: Key, snapshot: &Arc<Snapshot>) {
        let replaced = self.cache.get(&key).await.is_some_and(|slot| slot.replace(snapshot));
        if !replaced {
            self.cache.insert(key, Slot::new(Arc::clone(snapshot))).await;
        }
    }

    /// Fills in a task of its own, so that a caller that leaves doesn't stop it for the others.
    async fn fill<F>(&self, key: Key, lifetime: Duration, fill: F) -> Result<Arc<Snapshot>, Error>
    where
        F: Future<Output = Result<Answer, Error>> + Send + 'static,
    {
        let cache = self.cache.clone();
        let fill = async move { Ok(Slot::new(Arc::new(Snapshot::new(fill.await?, lifetime)))) };
        let task = tokio::spawn(async move { cache.try_get_with(key, fill).await });
        let filled = task.await.map_err(|error| Error::gateway(format_args!("a read ended early: {error}")))?;
        filled.map(|slot| slot.newest.load_full()).map_err(|error: Arc<Error>| Error::clone(&error))
    }
}

impl Snapshot {
    /// About how many bytes it holds.
    pub const fn weight(&self) -> u32 {
        self.weight
    }

    fn new(answer: Answer, lifetime: Duration) -> Self {
        /// Key and entry: an empty answer isn't free.
        const ENTRY: u32 = 512;
        let weight = weigh(&answer).saturating_add(ENTRY);
        Self { answer, as_of: clock::now(), lifetime, weight }
    }
}

/// About how many bytes an answer holds. Native JSON and names dominate; the rest is the size of the types.
fn weigh(answer: &Answer) -> u32 {
    /// Strings of a usual site, backup or domain, native JSON aside.
    const STRINGS: usize = 256;
    fn native(native: &crate::model::Native) -> usize {
        native.as_ref().map_or(0, |raw| raw.get().len())
    }
    fn site(site: &crate::model::Site) -> usize {
        let environments = site.environments.iter().map(environment);
        size_of::<crate::model::Site>() + STRINGS + native(&site.native) + environments.sum::<usize>()
    }
    fn environment(environment: &crate::model::Environment) -> usize {
        size_of_val(environment) + STRINGS + native(&environment.native)
    }
    fn deployment(deployment: &crate::model::Deployment) -> usize {
        let logs = deployment.logs.as_ref().map_or(0, String::len);
        size_of_val(deployment) + STRINGS + native(&deployment.native) + logs
    }
    let bytes = match answer {
        Answer::Sites(sites) => sites.iter().map(site).sum(),
        Answer::Site(one) => site(one),
        Answer::SiteUsage(one) => size_of_val(one),
        Answer::SiteLogs(lines) => lines.iter().map(|line| size_of_val(line) + line.source.len() + line.text.len()).sum(),
        Answer::Environments(all) => all.iter().map(environment).sum(),
        Answer::Current(one) => one.as_ref().map_or(0, deployment),
        Answer::Deployments(all) => all.iter().map(deployment).sum(),
        Answer::Deployment(one) => deployment(one),
        Answer::Backups(all) => all.iter().map(|one| size_of_val(one) + STRINGS + native(&one.native)).sum(),
        Answer::Backup(one) => size_of_val(one) + STRINGS + native(&one.native),
        Answer::Domains(all) => all.iter().map(|one| size_of_val(one) + STRINGS + native(&one.native)).sum::<usize>(),
        Answer::Wordpress(answer) => match answer {
            WordpressAnswer::Status(one) => size_of_val(one) + STRINGS + native(&one.native),
            WordpressAnswer::Extensions(all) => all.iter().map(|one| size_of_val(one) + STRINGS + native(&one.native)).sum(),
            WordpressAnswer::Cache(one) => size_of_val(one) + STRINGS + native(&one.native),
            WordpressAnswer::Security(one) => size_of_val(one) + STRINGS + native(&one.native),
        },
        Answer::Billing(answer) => match answer {
            BillingAnswer::Subscription(one) => size_of_val(one) + STRINGS + native(&one.native),
            BillingAnswer::Invoices(all) => all.iter().map(|one| size_of_val(one) + STRINGS + native(&one.native)).sum(),
            BillingAnswer::Usage(one) => size_of_val(one) + STRINGS + native(&one.native),
        },
    };
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot(weight: u32, seconds: u64) -> Arc<Snapshot> {
        let lifetime = Duration::from_secs(seconds);
        Arc::new(Snapshot { answer: Answer::Sites(Vec::new()), as_of: Timestamp::default(), lifetime, weight })
    }

    #[test]
    fn an_entry_takes_a_newer_answer_unless_its_bound_would_be_wrong() {
        let slot = Slot::new(snapshot(100, 10));
        for (weight, seconds, taken) in [(100, 10, true), (50, 20, true), (101, 10, false), (100, 9, false)] {
            let newer = snapshot(weight, seconds);
            assert_eq!(slot.replace(&newer), taken, "{weight} {seconds}");
            assert_eq!(Arc::ptr_eq(&slot.newest.load_full(), &newer), taken);
        }
    }
}
