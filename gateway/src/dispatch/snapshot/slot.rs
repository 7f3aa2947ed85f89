//! An entry of the cache: the newest answer to its key, and how the last try to renew it went.
//!
//! A live read replaces the answer in its place, since an insertion costs the cache's bookkeeping a tenth of such a read; the
//! entry's age goes on, so that it leaves the cache no later than it would have. Invariant: an answer that would outlive or
//! outgrow its entry is not taken.

use super::Snapshot;
use crate::model::Error;
use arc_swap::{ArcSwap, ArcSwapOption};
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;

/// After a failure, the upstream is left alone for this long while there is an old answer to give.
const PAUSE: Duration = Duration::from_secs(2);

pub struct Slot {
    newest: ArcSwap<Snapshot>,
    failed: ArcSwapOption<(Instant, Error)>,
    lifetime: Duration,
    /// What the entry was weighed as.
    pub weight: u32,
}

impl Slot {
    pub fn new(snapshot: Arc<Snapshot>) -> Arc<Self> {
        let (lifetime, weight) = (snapshot.lifetime, snapshot.weight);
        Arc::new(Self { lifetime, weight, newest: ArcSwap::new(snapshot), failed: ArcSwapOption::empty() })
    }

    pub fn newest(&self) -> Arc<Snapshot> {
        self.newest.load_full()
    }

    pub const fn lifetime(&self) -> Duration {
        self.lifetime
    }

    /// False if it has grown: it must be weighed again.
    pub fn replace(&self, snapshot: &Arc<Snapshot>) -> bool {
        let fits = snapshot.weight <= self.weight && snapshot.lifetime >= self.lifetime;
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
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Kind;

    #[tokio::test(start_paused = true)]
    async fn an_entry_takes_a_newer_answer_unless_its_bound_would_be_wrong() {
        let slot = Slot::new(Snapshot::weighing(100, 10));
        for (weight, seconds, taken) in [(100, 10, true), (50, 20, true), (101, 10, false), (100, 9, false)] {
            let newer = Snapshot::weighing(weight, seconds);
            assert_eq!(slot.replace(&newer), taken, "{weight} {seconds}");
            assert_eq!(Arc::ptr_eq(&slot.newest(), &newer), taken);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_is_known_for_a_moment() {
        let slot = Slot::new(Snapshot::weighing(100, 10));
        assert_eq!(slot.failed_just_now(), None);
        slot.note_failure(&Error::new(Kind::Unavailable, "down"));
        assert_eq!(slot.failed_just_now().map(|error| error.kind), Some(Kind::Unavailable));
        tokio::time::advance(PAUSE).await;
        assert_eq!(slot.failed_just_now(), None);
    }
}
