//! Connections of which one may make room: all there are, or those of one client address.
//!
//! In go connections; out comes one that may go. Invariant: it is none with a request that the gateway works on. Each search looks at
//! some and goes on where the last one ended, and at all of them at most once in a while: what that finds is kept for the next
//! searches, and holds if it is true yet when its turn comes. So a search is quick whoever fills the places, and who takes nothing of
//! its answers goes in the order of how long it has taken nothing: a slow client that goes on taking is seldom the first.

use super::Life;
use std::{cmp::Reverse, collections::BTreeMap, net::IpAddr, sync::Arc, time::Duration};
use tokio::time::Instant;

/// Connections that are looked at to find one that may go: enough to find one that rests long, few enough to be quick.
const SAMPLE: usize = 64;
/// All are looked at only after this time: ten thousand take a millisecond.
const SWEEP: Duration = Duration::from_secs(1);
/// An answer that wasn't taken for this time waits for a client that is slow, or doesn't want it.
const UNTAKEN: Duration = Duration::from_secs(2);

#[derive(Clone)]
pub struct Held {
    pub life: Arc<Life>,
    pub client: Option<IpAddr>,
}

#[derive(Default)]
pub struct Group {
    all: BTreeMap<u64, Held>,
    /// Where the look at some goes on.
    cursor: u64,
    /// Who might go when all were looked at, the first to go last.
    found: Vec<(Rank, u64)>,
    /// When that was.
    swept: Option<Instant>,
}

/// Why it may go; the later of these goes sooner.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum State {
    /// All of its requests have answers that it doesn't take.
    Untaken,
    AtRest,
    /// It has asked nothing yet.
    Silent,
}

/// And since when: the greater goes sooner.
type Rank = (State, Reverse<Instant>);

fn rank(life: &Life, now: Instant) -> Option<Rank> {
    if let Some(since) = life.rests_since() {
        let state = if life.has_spoken() { State::AtRest } else { State::Silent };
        return Some((state, Reverse(since)));
    }
    let since = life.untaken_since()?;
    (now.saturating_duration_since(since) > UNTAKEN).then_some((State::Untaken, Reverse(since)))
}

impl Group {
    pub fn insert(&mut self, id: u64, held: Held) {
        self.all.insert(id, held);
    }

    pub fn remove(&mut self, id: u64) -> Option<Held> {
        self.all.remove(&id)
    }

    pub fn get(&self, id: u64) -> Option<&Held> {
        self.all.get(&id)
    }

    pub fn len(&self) -> usize {
        self.all.len()
    }

    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// One that may go: of some who has asked nothing, or rests longest; or of all, and then also who takes nothing.
    pub fn leaving(&mut self) -> Option<u64> {
        let now = Instant::now();
        self.among_some(now).or_else(|| self.among_all(now))
    }

    fn among_some(&mut self, now: Instant) -> Option<u64> {
        let mut first: Option<(Rank, u64)> = None;
        let mut last = None;
        for (id, held) in self.all.range(self.cursor..).chain(self.all.range(..self.cursor)).take(SAMPLE) {
            first = first.max(rank(&held.life, now).map(|rank| (rank, *id)));
            last = Some(*id);
        }
        self.cursor = last.map_or(0, |last| last + 1);
        first.filter(|((state, _), _)| *state > State::Untaken).map(|(_, id)| id)
    }

    fn among_all(&mut self, now: Instant) -> Option<u64> {
        let found = self.next_found(now);
        if found.is_some() || self.swept.is_some_and(|at| now.saturating_duration_since(at) < SWEEP) {
            return found;
        }
        self.swept = Some(now);
        self.found = self.all.iter().filter_map(|(id, held)| Some((rank(&held.life, now)?, *id))).collect();
        self.found.sort_unstable();
        self.next_found(now)
    }

    /// The next of those that were found and may still go: it rests now, or has taken nothing since.
    fn next_found(&mut self, now: Instant) -> Option<u64> {
        while let Some((then, id)) = self.found.pop() {
            let rank = self.all.get(&id).and_then(|held| rank(&held.life, now));
            if rank.is_some_and(|rank| rank == then || rank.0 > State::Untaken) {
                return Some(id);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests;
