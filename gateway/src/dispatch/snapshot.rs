//! Answers of providers, kept for as long as the provider allows, and a while longer for when it can't answer.
//!
//! In go a connection, a query, how fresh the answer must be, and a way to ask; out comes an answer, with the time it was read and
//! whence it came. Invariant: the key holds the connection's uuid, revision and generation, so an answer never outlives a change
//! or a mutation, and never crosses connections; one call runs per key, and goes on when the first caller leaves; an answer takes
//! no place from one that was asked for later.

mod absence;
mod flight;
mod found;
mod relay;
mod slot;
mod weigh;

pub use found::{Came, Found, Written};

use super::{CacheConfig, Connection};
use crate::{
    clock,
    metrics::Metrics,
    model::{Answer, ConnectionId, Error, Kind, Query, Timestamp},
    policy,
};
use absence::Absence;
use ahash::RandomState;
use arc_swap::ArcSwapOption;
use flight::{Flight, Flights};
use found::Counters;
use moka::sync::Cache;
use relay::Relay;
use slot::{BySlot, Slot};
use std::{
    future::Future,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::time::{Instant, timeout};

/// How fresh an answer must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    Cached,
    /// Read at most this long ago: the client's `Cache-Control: max-age`.
    Within(Duration),
    /// The client asked for `Cache-Control: no-cache`.
    Live,
}

impl Freshness {
    /// What was read then, as far as its age goes.
    fn takes(self, read_at: Instant) -> bool {
        match self {
            Self::Cached => true,
            Self::Within(age) => read_at.elapsed() <= age,
            Self::Live => false,
        }
    }
}

#[derive(Debug)]
pub struct Snapshot {
    pub answer: Answer,
    pub as_of: Timestamp,
    /// The answer as it was last written for a client, kept beside it.
    written: ArcSwapOption<Written>,
    /// When it was asked for, which says which of two answers is the newer one.
    asked_at: Instant,
    /// When it came, as `as_of` says by the clock: its call may have waited long for its turn.
    read_at: Instant,
    lifetime: Duration,
    weight: u32,
}

/// What a caller found, and wants replaced.
enum Seen {
    Nothing,
    Kept(Arc<Snapshot>),
    Absent(Arc<Absence>),
}

/// What is asked of whom, and since which change.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Key {
    connection: ConnectionId,
    revision: i64,
    generation: u64,
    query: Query,
}

#[derive(Clone)]
pub struct Snapshots(Arc<Inner>);

struct Inner {
    kept: Cache<Key, Arc<Slot>, RandomState>,
    /// That something isn't there is believed for a moment, and remembered for as long as an older answer may be on its way.
    absent: Cache<Key, Arc<Absence>, RandomState>,
    /// Held from looking at how new what is kept is to replacing it.
    keeping: Mutex<()>,
    absent_for: Duration,
    flights: Flights<Key, Arc<Snapshot>>,
    /// Of clients who want nothing that was asked for before.
    live: Relay<Key, Arc<Snapshot>>,
    counters: Counters,
    /// After its lifetime, an answer is given while it is renewed for so long,
    stale_while_revalidate: Duration,
    /// and for so long when no newer one can be had.
    stale_if_error: Duration,
}

/// Bytes for what isn't there: keys and words, a fraction of what answers take.
const ABSENT_SHARE: u64 = 16;
/// Key and entry, but for their strings: an empty answer isn't free.
const ENTRY: u32 = 512;

impl Snapshots {
    pub fn new(config: &CacheConfig, metrics: &Arc<Metrics>) -> Self {
        let seconds = |seconds: u32| Duration::from_secs(seconds.into());
        let (revalidate, error) = (seconds(config.stale_while_revalidate_seconds), seconds(config.stale_if_error_seconds));
        let kept = Cache::builder()
            .max_capacity(config.max_bytes)
            .weigher(|key: &Key, slot: &Arc<Slot>| slot.weight.saturating_add(weigh::question(&key.query)))
            .expire_after(BySlot)
            .build_with_hasher(RandomState::default());
        let believed = seconds(config.absent_seconds);
        let absent = Cache::builder()
            .max_capacity(config.max_bytes / ABSENT_SHARE)
            .weigher(|key: &Key, absence: &Arc<Absence>| absence.weight().saturating_add(weigh::question(&key.query)))
            .time_to_live(believed + Duration::from_millis(config.read_deadline_ms))
            .build_with_hasher(RandomState::default());
        Self(Arc::new(Inner {
            kept,
            absent,
            absent_for: believed,
            keeping: Mutex::default(),
            flights: Flights::default(),
            live: Relay::default(),
            counters: Counters::new(metrics),
            stale_while_revalidate: revalidate,
            stale_if_error: error,
        }))
    }

    pub async fn get<F>(
        &self,
        key: Key,
        freshness: Freshness,
        lifetime: Duration,
        ask: impl FnOnce(Query) -> F,
    ) -> Result<Found, Error>
    where
        F: Future<Output = Result<Answer, Error>> + Send + 'static,
    {
        if lifetime.is_zero() || freshness == Freshness::Live {
            return self.live(key, lifetime, ask).await;
        }
        let Some(slot) = self.0.kept.get(&key) else { return self.missing(key, freshness, lifetime, ask).await };
        let newest = slot.newest();
        if newest.is_fresh(Instant::now()) && freshness.takes(newest.read_at) {
            return Ok(self.found(newest, Came::Kept));
        }
        self.outdated(key, (slot, newest), freshness, lifetime, ask).await
    }

    /// A read that is waited for only so long; then an old answer stands in for it as for a failure, which `late` tells.
    pub async fn in_time(
        &self,
        limit: Duration,
        freshness: Freshness,
        read: impl Future<Output = Result<Found, Error>>,
        late: impl FnOnce() -> (Key, Error),
    ) -> Result<Found, Error> {
        if let Ok(outcome) = timeout(limit, read).await {
            return outcome;
        }
        let (key, error) = late();
        let old = self.0.kept.get(&key).filter(|_| freshness == Freshness::Cached).map(|slot| slot.newest());
        match old {
            Some(old) => self.instead(Arc::clone(&old), old.over(), error),
            None => Err(error),
        }
    }

    /// What is kept and fresh, without asking anybody.
    pub fn fresh(&self, key: &Key, now: Instant) -> Option<Found> {
        let newest = self.0.kept.get(key)?.newest();
        newest.is_fresh(now).then(|| self.found(newest, Came::Kept))
    }

    /// Asks anew, together with those who came before the question is asked, and keeps what comes.
    async fn live<F>(&self, key: Key, lifetime: Duration, ask: impl FnOnce(Query) -> F) -> Result<Found, Error>
    where
        F: Future<Output = Result<Answer, Error>> + Send + 'static,
    {
        let (joined, flight) = self.0.live.join(&key, || {
            let (inner, key, answer) = (Arc::clone(&self.0), key.clone(), ask(key.query.clone()));
            async move {
                let asked = Instant::now();
                let outcome = answer.await.map(|answer| Arc::new(Snapshot::new(answer, lifetime, asked)));
                if !lifetime.is_zero() {
                    inner.keep(key, asked, outcome.as_ref());
                }
                outcome
            }
        });
        if joined {
            policy::step_aside();
        }
        let came = if lifetime.is_zero() { Came::Unkept } else { Came::Asked };
        flight.await.map(|snapshot| self.found(snapshot, came)).map_err(|error| Error::clone(&error))
    }

    async fn missing<F>(
        &self,
        key: Key,
        freshness: Freshness,
        lifetime: Duration,
        ask: impl FnOnce(Query) -> F,
    ) -> Result<Found, Error>
    where
        F: Future<Output = Result<Answer, Error>> + Send + 'static,
    {
        let seen = match self.0.absent.get(&key) {
            Some(absence) if absence.read_at.elapsed() < self.0.absent_for && freshness.takes(absence.read_at) => {
                self.0.counters.absent();
                return Err(absence.error.clone());
            }
            absence => absence.map_or(Seen::Nothing, Seen::Absent),
        };
        let (joined, outcome) = self.renew(&key, seen, lifetime, ask).await;
        outcome.map(|snapshot| self.found(snapshot, if joined { Came::Joined } else { Came::Missing }))
    }

    /// There is an answer, older than it should be.
    async fn outdated<F>(
        &self,
        key: Key,
        (slot, newest): (Arc<Slot>, Arc<Snapshot>),
        freshness: Freshness,
        lifetime: Duration,
        ask: impl FnOnce(Query) -> F,
    ) -> Result<Found, Error>
    where
        F: Future<Output = Result<Answer, Error>> + Send + 'static,
    {
        let over = newest.over();
        let may_be_stale = freshness == Freshness::Cached;
        if may_be_stale
            && over <= self.0.stale_if_error
            && let Some(error) = slot.failed_just_now()
        {
            return self.instead(newest, over, error);
        }
        let lasting = slot.last_failure().is_some_and(|kind| !is_of_the_moment(kind));
        if may_be_stale && over <= self.0.stale_while_revalidate && !lasting {
            // It runs in a task of its own; nobody waits for it.
            drop(self.begin(&key, Seen::Kept(Arc::clone(&newest)), lifetime, ask));
            return Ok(self.found(newest, Came::Stale));
        }
        // What is fresh is too old for this client alone.
        let came = if newest.is_fresh(Instant::now()) { Came::Asked } else { Came::Expired };
        match self.renew(&key, Seen::Kept(Arc::clone(&newest)), lifetime, ask).await.1 {
            Ok(renewed) => Ok(self.found(renewed, came)),
            Err(error) if may_be_stale => self.instead(newest, over, error),
            Err(error) => Err(error),
        }
    }

    /// An old answer in place of a failure that isn't about the question.
    fn instead(&self, old: Arc<Snapshot>, over: Duration, error: Error) -> Result<Found, Error> {
        if !is_of_the_moment(error.kind) || over > self.0.stale_if_error {
            return Err(error);
        }
        Ok(self.found(old, Came::Failed(error.kind)))
    }

    async fn renew<F>(
        &self,
        key: &Key,
        seen: Seen,
        lifetime: Duration,
        ask: impl FnOnce(Query) -> F,
    ) -> (bool, Result<Arc<Snapshot>, Error>)
    where
        F: Future<Output = Result<Answer, Error>> + Send + 'static,
    {
        let (joined, flight) = self.begin(key, seen, lifetime, ask);
        if joined {
            // Any number may want the same answer: one call is under way for all of them.
            policy::step_aside();
        }
        (joined, flight.await.map_err(|error| Error::clone(&error)))
    }

    /// `seen`: what the caller found. Another call may have ended since the caller looked; then its outcome is the answer.
    fn begin<F>(&self, key: &Key, seen: Seen, lifetime: Duration, ask: impl FnOnce(Query) -> F) -> (bool, Flight<Arc<Snapshot>>)
    where
        F: Future<Output = Result<Answer, Error>> + Send + 'static,
    {
        self.0.flights.join(key, || {
            let (inner, key) = (Arc::clone(&self.0), key.clone());
            let answer = ask(key.query.clone());
            async move {
                if let Some(known) = inner.known_since(&key, &seen) {
                    return known;
                }
                let asked = Instant::now();
                let outcome = answer.await.map(|answer| Arc::new(Snapshot::new(answer, lifetime, asked)));
                inner.keep(key, asked, outcome.as_ref());
                outcome
            }
        })
    }

    fn found(&self, snapshot: Arc<Snapshot>, came: Came) -> Found {
        self.0.counters.count(came);
        Found { snapshot, came }
    }
}

/// A failure that may have passed when the question is asked again, and isn't about it. For any other no old answer stands in.
const fn is_of_the_moment(kind: Kind) -> bool {
    use Kind::{Internal, Overloaded, RateLimited, Timeout, Trapped, Unavailable};
    matches!(kind, Unavailable | Timeout | RateLimited | Internal | Trapped | Overloaded)
}

impl Inner {
    /// What is kept in place of what was seen.
    fn known_since(&self, key: &Key, seen: &Seen) -> Option<Result<Arc<Snapshot>, Error>> {
        if let Some(newest) = self.kept.get(key).map(|slot| slot.newest()) {
            let is_seen = matches!(seen, Seen::Kept(seen) if Arc::ptr_eq(seen, &newest));
            return (!is_seen).then_some(Ok(newest));
        }
        let absence = self.absent.get(key)?;
        let is_seen = matches!(seen, Seen::Absent(seen) if Arc::ptr_eq(seen, &absence));
        (!is_seen).then(|| Err(absence.error.clone()))
    }

    /// Whether something is kept that was asked for later: a slow answer tells nothing new then, of whichever kind it is.
    fn knows_later(&self, key: &Key, asked: Instant) -> bool {
        self.kept.get(key).is_some_and(|slot| slot.newest().asked_at > asked)
            || self.absent.get(key).is_some_and(|absence| absence.asked_at > asked)
    }

    fn keep(&self, key: Key, asked: Instant, outcome: Result<&Arc<Snapshot>, &Error>) {
        let _guard = self.keeping.lock().unwrap_or_else(PoisonError::into_inner);
        if self.knows_later(&key, asked) {
            return;
        }
        match outcome {
            Ok(snapshot) => {
                // It may outlast the answer.
                self.absent.invalidate(&key);
                let replaced = self.kept.get(&key).is_some_and(|slot| slot.replace(snapshot));
                if !replaced {
                    let after = self.stale_while_revalidate.max(self.stale_if_error);
                    self.kept.insert(key, Slot::new(Arc::clone(snapshot), after));
                }
            }
            Err(error) if error.kind == Kind::NotFound => {
                self.kept.invalidate(&key);
                self.absent.insert(key, Arc::new(Absence::new(error.clone(), asked)));
            }
            Err(error) => {
                if let Some(slot) = self.kept.get(&key) {
                    slot.note_failure(error);
                }
            }
        }
    }
}

impl Key {
    pub fn new(connection: &Connection, query: Query) -> Self {
        let record = &connection.record;
        let generation = connection.generation(query.site());
        Self { connection: record.id, revision: record.revision, generation, query }
    }
}

impl Snapshot {
    /// About how many bytes it holds.
    pub const fn weight(&self) -> u32 {
        self.weight
    }

    /// The answer as it was last written for a client and kept.
    pub fn written(&self) -> Option<Arc<Written>> {
        self.written.load_full()
    }

    /// Keeps what was written beside it, unless that is longer than was weighed: labels may be long.
    pub fn keep_written(&self, written: &Arc<Written>) {
        if written.held() <= weigh::room(&self.answer) {
            self.written.store(Some(Arc::clone(written)));
        }
    }

    /// It has come now.
    fn new(answer: Answer, lifetime: Duration, asked_at: Instant) -> Self {
        let weight = weigh::answer(&answer).saturating_add(ENTRY);
        let (as_of, read_at) = (clock::now(), Instant::now());
        Self { answer, as_of, written: ArcSwapOption::empty(), asked_at, read_at, lifetime, weight }
    }

    /// How long it is still fresh; negative by as much as it is over.
    fn seconds_left(&self, now: Instant) -> i64 {
        let millis = |duration: Duration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        (millis(self.lifetime) - millis(self.age(now))).div_euclid(1000)
    }

    /// Since it came.
    pub fn age(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.read_at)
    }

    /// By how much its lifetime is over.
    fn over(&self) -> Duration {
        self.read_at.elapsed().saturating_sub(self.lifetime)
    }

    fn is_fresh(&self, now: Instant) -> bool {
        self.age(now) < self.lifetime
    }

    #[cfg(test)]
    pub(super) fn weighing(weight: u32, seconds: u64) -> Arc<Self> {
        let lifetime = Duration::from_secs(seconds);
        Arc::new(Self { weight, ..Self::new(Answer::Sites(Vec::new()), lifetime, Instant::now()) })
    }
}

#[cfg(test)]
mod tests;
