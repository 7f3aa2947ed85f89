//! Whose turn it has been for how long: the pieces of HTTP/2 answers that wait for their client.
//!
//! In go times at which pieces were handed, and their ends; out comes the oldest that still waits. Invariant: it is read without
//! the lock; that is the connection's own, and held for one step in a set of at most one entry for each stream.

use std::{
    collections::BTreeSet,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

/// No piece waits.
const NONE: u64 = u64::MAX;

/// A piece that was handed: when, and which of those at the same time. Over HTTP/1, where there is never a second one, nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Turn(Option<(u64, u64)>);

pub struct Turns {
    open: Mutex<Open>,
    /// Of those in `open`.
    oldest: AtomicU64,
}

#[derive(Default)]
struct Open {
    begun: u64,
    all: BTreeSet<(u64, u64)>,
}

impl Turns {
    pub fn new() -> Self {
        Self { open: Mutex::default(), oldest: AtomicU64::new(NONE) }
    }

    pub fn begin(&self, now: u64) -> Turn {
        let mut open = self.lock();
        open.begun += 1;
        let turn = (now, open.begun);
        open.all.insert(turn);
        self.look(&open);
        Turn(Some(turn))
    }

    pub fn end(&self, turn: Turn) {
        let Some(turn) = turn.0 else { return };
        let mut open = self.lock();
        open.all.remove(&turn);
        self.look(&open);
    }

    /// When the piece was handed that has waited longest.
    pub fn oldest(&self) -> Option<u64> {
        Some(self.oldest.load(Relaxed)).filter(|at| *at != NONE)
    }

    fn look(&self, open: &Open) {
        self.oldest.store(open.all.first().map_or(NONE, |(at, _)| *at), Relaxed);
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_is_that_of_those_that_still_wait() {
        let turns = Turns::new();
        assert_eq!(turns.oldest(), None);
        let (later, first, same) = (turns.begin(7), turns.begin(5), turns.begin(5));
        assert_eq!(turns.oldest(), Some(5));
        turns.end(first);
        assert_eq!(turns.oldest(), Some(5), "another one of the same time");
        turns.end(same);
        assert_eq!(turns.oldest(), Some(7));
        turns.end(Turn::default());
        turns.end(later);
        assert_eq!(turns.oldest(), None);
    }
}
