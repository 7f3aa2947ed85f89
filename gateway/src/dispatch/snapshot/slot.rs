//! An entry of the cache: the newest answer to its key, how the last try to renew it went, and until when the cache keeps it.
//!
//! A renewal replaces the answer in its place, since an insertion costs the cache's bookkeeping a tenth of a live read. That
//! doesn't move the entry's end, so the end leaves room: an eighth of the time for which an answer is of use. A renewal that needs
//! more is inserted, which is once in that eighth at most. Invariant: an answer that would outlive or outgrow its entry is not
//! taken, so none leaves for its age while it may be given; none stays for more than the eighth after that.

use super::Snapshot;
use crate::model::{Error, Kind};
use arc_swap::{ArcSwap, ArcSwapOption};
use moka::Expiry;
use std::{
    sync::Arc,
    time::{Duration, Instant as StdInstant},
};
use tokio::time::Instant;

/// After a failure, the upstream is left alone for this long while there is an old answer to give.
const PAUSE: Duration = Duration::from_secs(2);

/// An entry stays longer than its first answer is of use by this part of that time.
const ROOM: u32 = 8;

pub struct Slot {
    newest: ArcSwap<Snapshot>,
    failed: ArcSwapOption<(Instant, Error)>,
    /// An answer may be given for so long after its lifetime,
    after: Duration,
    /// and the first one for so long in all.
    of_use: Duration,
    until: Instant,
    /// What the entry was weighed as.
    pub weight: u32,
}

/// Each entry stays as long as its slot says, from its insertion on, whether it is the key's first or not.
pub struct BySlot;

impl<K> Expiry<K, Arc<Slot>> for BySlot {
    fn expire_after_create(&self, _: &K, slot: &Arc<Slot>, _: StdInstant) -> Option<Duration> {
        Some(slot.stays())
    }

    fn expire_after_update(&self, _: &K, slot: &Arc<Slot>, _: StdInstant, _: Option<Duration>) -> Option<Duration> {
        Some(slot.stays())
    }
}

impl Slot {
    pub fn new(snapshot: Arc<Snapshot>, after: Duration) -> Arc<Self> {
        let of_use = snapshot.lifetime + after;
        let until = snapshot.read_at + of_use + of_use / ROOM;
        let weight = snapshot.weight;
        Arc::new(Self { newest: ArcSwap::new(snapshot), failed: ArcSwapOption::empty(), after, of_use, until, weight })
    }

    pub fn newest(&self) -> Arc<Snapshot> {
        self.newest.load_full()
    }

    /// From now on: the answer took its time to come.
    fn stays(&self) -> Duration {
        self.until.saturating_duration_since(Instant::now())
    }

    /// False if it must be inserted: it has grown, or the entry's end is not its own.
    pub fn replace(&self, snapshot: &Arc<Snapshot>) -> bool {
        let of_use = snapshot.lifetime + self.after;
        let ends_in_time = of_use >= self.of_use && snapshot.read_at + of_use <= self.until;
        let fits = ends_in_time && snapshot.weight <= self.weight;
        if fits {
            self.newest.store(Arc::clone(snapshot));
            self.failed.store(None);
        }
        fits
    }

    pub fn note_failure(&self, error: &Error) {
        self.failed.store(Some(Arc::new((Instant::now(), error.clone()))));
    }

    /// Why the last try failed, if that was a moment ago.
    pub fn failed_just_now(&self) -> Option<Error> {
        let failed = self.failed.load();
        failed.as_ref().filter(|failed| failed.0.elapsed() < PAUSE).map(|failed| failed.1.clone())
    }

    /// How the last try failed, if nothing has come since.
    pub fn last_failure(&self) -> Option<Kind> {
        self.failed.load().as_ref().map(|failed| failed.1.kind)
    }
}

#[cfg(test)]
impl Slot {
    /// Whether the cache keeps the newest answer as long as it may be given, and how long after that.
    pub fn overstays(&self) -> Option<Duration> {
        let newest = self.newest();
        self.until.checked_duration_since(newest.read_at + newest.lifetime + self.after)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use moka::sync::Cache;

    const AFTER: Duration = Duration::from_secs(70);

    #[tokio::test(start_paused = true)]
    async fn an_entry_takes_a_newer_answer_unless_its_bound_would_be_wrong() {
        // Of use for 80 s, so there is room for 10.
        let slot = Slot::new(Snapshot::weighing(100, 10), AFTER);
        for (weight, seconds, taken) in [(100, 10, true), (50, 20, true), (101, 10, false), (100, 9, false), (100, 21, false)] {
            let newer = Snapshot::weighing(weight, seconds);
            assert_eq!(slot.replace(&newer), taken, "{weight} {seconds}");
            assert_eq!(Arc::ptr_eq(&slot.newest(), &newer), taken);
        }
        for (seconds, taken) in [(10, true), (1, false)] {
            tokio::time::advance(Duration::from_secs(seconds)).await;
            assert_eq!(slot.replace(&Snapshot::weighing(100, 10)), taken, "{seconds} s later");
        }
    }

    /// moka has a clock of its own, which nobody can advance.
    #[tokio::test]
    async fn an_insertion_moves_the_end_of_an_entry_that_is_there() {
        let cache = Cache::builder().expire_after(BySlot).build();
        let short = || Slot::new(Snapshot::weighing(1, 0), Duration::from_millis(50));
        cache.insert("renewed", short());
        cache.insert("renewed", Slot::new(Snapshot::weighing(2, 3600), AFTER));
        cache.insert("left", short());
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert_eq!((cache.contains_key("renewed"), cache.contains_key("left")), (true, false));
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_is_known_for_a_moment() {
        let slot = Slot::new(Snapshot::weighing(100, 10), AFTER);
        assert_eq!(slot.failed_just_now(), None);
        slot.note_failure(&Error::new(Kind::Unavailable, "down"));
        assert_eq!(slot.failed_just_now().map(|error| error.kind), Some(Kind::Unavailable));
        tokio::time::advance(PAUSE).await;
        assert_eq!((slot.failed_just_now(), slot.last_failure()), (None, Some(Kind::Unavailable)));
        assert!(slot.replace(&Snapshot::weighing(100, 10)));
        assert_eq!(slot.last_failure(), None);
    }
}
