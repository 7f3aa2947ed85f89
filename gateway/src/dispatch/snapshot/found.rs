//! An answer, and whence it came.
//!
//! Invariant: every answer says how it came, so that the API can tell the client and the counters can tell the operator; one of
//! several parts also says that a part is old since its host fails, however the others came.

use super::Snapshot;
use crate::{
    metrics::Metrics,
    model::{Kind, Labels},
};
use bytes::Bytes;
use http::HeaderValue;
use prometheus::IntCounter;
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;

/// Whence an answer came, the nearest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Came {
    /// Kept, and fresh.
    Kept,
    /// Kept and over its time, while a newer one is fetched.
    Stale,
    /// Kept and over its time, since the read that should renew it failed, wherever that was, or is late.
    Failed(Kind),
    /// Nothing was kept; another caller asked already.
    Joined,
    /// Nothing was kept.
    Missing,
    /// What was kept was over its time.
    Expired,
    /// The client wanted a live answer, or a newer one than is kept and fresh.
    Asked,
    /// Answers to this question aren't kept.
    Unkept,
}

impl Came {
    /// Its place in the order above: an answer of several parts came as the farthest of them.
    const fn distance(self) -> u8 {
        match self {
            Self::Kept => 0,
            Self::Stale => 1,
            Self::Failed(_) => 2,
            Self::Joined => 3,
            Self::Missing => 4,
            Self::Expired => 5,
            Self::Asked => 6,
            Self::Unkept => 7,
        }
    }

    /// The failure that an old answer stands in for.
    pub const fn failure(self) -> Option<Kind> {
        match self {
            Self::Failed(kind) => Some(kind),
            _ => None,
        }
    }

    const LABELS: [&'static str; 8] = ["hit", "stale", "stale_on_error", "joined", "miss", "expired", "live", "not_kept"];
}

#[derive(Clone, Debug)]
pub struct Found {
    pub snapshot: Arc<Snapshot>,
    pub came: Came,
}

impl std::ops::Deref for Found {
    type Target = Snapshot;

    fn deref(&self) -> &Snapshot {
        &self.snapshot
    }
}

impl Found {
    /// How it came, which failure it stands in for, and for how many seconds it is still fresh.
    pub fn freshness(&self, now: Instant) -> (Came, Option<Kind>, i64) {
        (self.came, self.came.failure(), self.seconds_left(now))
    }

    /// The same of an answer of several parts: as the farthest came, the oldest part's failure and time.
    pub fn freshness_of(parts: &[Self]) -> Option<(Came, Option<Kind>, i64)> {
        let came = parts.iter().map(|part| part.came).max_by_key(|came| came.distance())?;
        let now = Instant::now();
        let failed = parts.iter().filter_map(|part| Some((part.seconds_left(now), part.came.failure()?)));
        let failure = failed.min_by_key(|&(seconds, _)| seconds).map(|(_, kind)| kind);
        Some((came, failure, parts.iter().map(|part| part.seconds_left(now)).min()?))
    }

    /// Of the oldest of several parts, whatever steps the wall clock takes.
    pub fn age_of(parts: &[Self]) -> Option<Duration> {
        let now = Instant::now();
        parts.iter().map(|part| part.age(now)).max()
    }
}

/// An answer as it was written for clients.
#[derive(Debug)]
pub struct Written {
    pub body: Bytes,
    pub tag: HeaderValue,
    /// The labels that were written into it.
    pub labels: Option<Arc<Labels>>,
}

impl Written {
    /// How many bytes it holds. Its labels are kept by their connection.
    pub fn held(&self) -> usize {
        size_of::<Self>() + self.body.len()
    }
}

pub struct Counters {
    by_distance: [IntCounter; 8],
    absent: IntCounter,
}

impl Counters {
    pub fn new(metrics: &Metrics) -> Self {
        let count = |result| metrics.snapshots.with_label_values(&[result]);
        Self { by_distance: Came::LABELS.map(count), absent: count("absent") }
    }

    pub fn count(&self, came: Came) {
        self.by_distance[usize::from(came.distance())].inc();
    }

    pub fn absent(&self) {
        self.absent.inc();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_part_that_is_old_since_its_host_fails_marks_the_whole_answer() {
        let part = |came, seconds| Found { snapshot: Snapshot::weighing(1, seconds), came };
        let (down, late) = (Came::Failed(Kind::Unavailable), Came::Failed(Kind::Timeout));
        for (parts, expected) in [
            ([part(Came::Kept, 10), part(down, 5)], (down, Some(Kind::Unavailable), 5)),
            ([part(down, 5), part(Came::Missing, 10)], (Came::Missing, Some(Kind::Unavailable), 5)),
            ([part(down, 5), part(Came::Unkept, 0)], (Came::Unkept, Some(Kind::Unavailable), 0)),
            ([part(late, 3), part(down, 5)], (down, Some(Kind::Timeout), 3)),
            ([part(Came::Kept, 4), part(Came::Stale, 1)], (Came::Stale, None, 1)),
        ] {
            assert_eq!(Found::freshness_of(&parts), Some(expected));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn several_parts_are_as_old_as_the_oldest() {
        let part = || Found { snapshot: Snapshot::weighing(1, 10), came: Came::Kept };
        let old = part();
        tokio::time::advance(Duration::from_secs(3)).await;
        assert_eq!(Found::age_of(&[part(), old, part()]), Some(Duration::from_secs(3)));
        assert_eq!(Found::age_of(&[]), None);
    }
}
