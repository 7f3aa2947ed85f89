//! What a connection is doing, and when it has had its time.
//!
//! In go beginnings and ends of requests and of the taking of answers; out comes, for each connection, why it must end.
//! Invariant: a request in flight costs a few atomic operations, and over HTTP/1 no lock (over HTTP/2 one of the connection's own,
//! to know which of its answers has waited longest); a connection has one timer, which is set anew only when it fires; so an end
//! comes late by one such time at most. Each answer must be taken in time, whatever else moves on its connection.

mod turns;

pub use turns::Turn;

use std::{
    sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering::Relaxed},
    time::Duration,
};
use tokio::{sync::Notify, time::Instant};
use turns::Turns;

/// Why the gateway ended a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Reason {
    /// No whole request came in time.
    NoRequest = 1,
    /// No request was in flight for too long.
    Idle,
    /// The client didn't take one of its answers.
    Stalled,
    /// The client broke off most of what it asked for.
    Aborts,
    /// Another connection needed the place.
    Full,
    /// Its client address held too many places.
    PerClient,
    /// Another handshake needed the place.
    Handshakes,
}

impl Reason {
    const ALL: [Self; 7] =
        [Self::NoRequest, Self::Idle, Self::Stalled, Self::Aborts, Self::Full, Self::PerClient, Self::Handshakes];

    /// As a label of the metric.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NoRequest => "no_request",
            Self::Idle => "idle",
            Self::Stalled => "stalled",
            Self::Aborts => "aborts",
            Self::Full => "full",
            Self::PerClient => "per_client",
            Self::Handshakes => "handshakes",
        }
    }
}

/// How long a connection may be in a state.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// For a head: the first one from the beginning of the connection, others from their first byte.
    pub head: Duration,
    pub idle: Duration,
    pub stalled: Duration,
}

/// Requests that a client may break off before it is asked whether it takes any answer at all.
const FEW_ABORTS: u32 = 100;

/// No age that a connection reaches.
const JUST_NOW: u64 = u64::MAX;

pub struct Life {
    born: Instant,
    /// Milliseconds after birth: when the client last did something that counts.
    moved: AtomicU64,
    /// The same of the first byte of a head that isn't whole yet; 0: there is none; `JUST_NOW`: nobody has looked at the clock yet.
    heard: AtomicU64,
    /// It is HTTP/2, whose bytes at rest are no heads.
    is_multiplexed: AtomicBool,
    /// A proxy's, over which many clients ask.
    for_many: AtomicBool,
    spoken: AtomicBool,
    in_flight: AtomicU32,
    /// Answers of which there is a piece that the client could take.
    handed: AtomicU32,
    /// Of HTTP/2, since when each of them waits; over HTTP/1 `moved` says so of the only one.
    turns: Turns,
    answered: AtomicU32,
    aborted: AtomicU32,
    /// A `Reason`, or 0.
    evicted: AtomicU8,
    told: Notify,
}

impl Life {
    pub fn new() -> Self {
        Self {
            born: Instant::now(),
            moved: AtomicU64::new(0),
            heard: AtomicU64::new(0),
            is_multiplexed: AtomicBool::new(false),
            for_many: AtomicBool::new(false),
            spoken: AtomicBool::new(false),
            in_flight: AtomicU32::new(0),
            handed: AtomicU32::new(0),
            turns: Turns::new(),
            answered: AtomicU32::new(0),
            aborted: AtomicU32::new(0),
            evicted: AtomicU8::new(0),
            told: Notify::new(),
        }
    }

    /// Many clients ask over it: one of them that takes nothing of an answer doesn't end it for the others.
    pub fn speak_for_many(&self) {
        self.for_many.store(true, Relaxed);
    }

    /// Something moves: the time starts anew.
    pub fn touch(&self) {
        self.moved.store(self.age(), Relaxed);
    }

    fn age(&self) -> u64 {
        u64::try_from(self.born.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Bytes came. Where no request is in flight they begin the next one's head.
    pub fn hear(&self) {
        if self.in_flight.load(Relaxed) == 0 && self.heard.load(Relaxed) == 0 {
            self.heard.store(JUST_NOW, Relaxed);
        }
    }

    /// More bytes are wanted. If those that just came were a whole head, nothing has to be remembered of them.
    pub fn want(&self) {
        if self.heard.load(Relaxed) == JUST_NOW {
            self.heard.store(self.age().max(1), Relaxed);
        }
    }

    /// A head came to its end. `multiplexed`: of HTTP/2.
    pub fn begin_request(&self, multiplexed: bool) {
        self.in_flight.fetch_add(1, Relaxed);
        self.heard.store(0, Relaxed);
        if !self.spoken.load(Relaxed) {
            self.is_multiplexed.store(multiplexed, Relaxed);
            self.spoken.store(true, Relaxed);
        }
    }

    /// Since when a head is coming.
    fn head_began(&self) -> Option<Instant> {
        let heard = self.heard.load(Relaxed);
        (heard > 0 && heard != JUST_NOW && !self.is_multiplexed.load(Relaxed)).then(|| self.born + Duration::from_millis(heard))
    }

    pub fn end_request(&self, whole: bool) {
        if whole {
            self.answered.fetch_add(1, Relaxed);
        } else {
            self.touch();
            let aborted = self.aborted.fetch_add(1, Relaxed) + 1;
            if aborted > FEW_ABORTS && aborted > self.answered.load(Relaxed) {
                self.evict(Reason::Aborts);
            }
        }
        self.in_flight.fetch_sub(1, Relaxed);
    }

    /// It is the client's turn to take of an answer, until that turn is taken back.
    pub fn hand(&self) -> Turn {
        let now = self.age();
        self.moved.store(now, Relaxed);
        let turn = if self.is_multiplexed.load(Relaxed) { self.turns.begin(now) } else { Turn::default() };
        self.handed.fetch_add(1, Relaxed);
        turn
    }

    /// The client took it, or the answer is over.
    pub fn take_back(&self, turn: Turn) {
        self.turns.end(turn);
        self.handed.fetch_sub(1, Relaxed);
    }

    /// Whether a request is in flight.
    pub fn is_asked(&self) -> bool {
        self.in_flight.load(Relaxed) > 0
    }

    pub fn has_spoken(&self) -> bool {
        self.spoken.load(Relaxed)
    }

    /// Since when it has rested; none while a request is in flight.
    pub fn rests_since(&self) -> Option<Instant> {
        (self.in_flight.load(Relaxed) == 0).then(|| self.moved())
    }

    /// Since when one of its answers hasn't been taken; none while the gateway works on a request of it.
    pub fn untaken_since(&self) -> Option<Instant> {
        let all_wait = self.handed.load(Relaxed) == self.in_flight.load(Relaxed);
        self.handed_since().filter(|_| all_wait)
    }

    /// Since when the answer waits for the client that has waited longest.
    fn handed_since(&self) -> Option<Instant> {
        if self.handed.load(Relaxed) == 0 {
            None
        } else if self.is_multiplexed.load(Relaxed) && !self.for_many.load(Relaxed) {
            self.turns.oldest().map(|at| self.born + Duration::from_millis(at))
        } else {
            Some(self.moved())
        }
    }

    fn moved(&self) -> Instant {
        self.born + Duration::from_millis(self.moved.load(Relaxed))
    }

    /// Ends it soon; the first reason stays.
    pub fn evict(&self, reason: Reason) {
        if self.evicted.compare_exchange(0, reason as u8, Relaxed, Relaxed).is_ok() {
            self.told.notify_one();
        }
    }

    /// When it was evicted.
    pub async fn evicted(&self) -> Reason {
        loop {
            let reason = self.evicted.load(Relaxed);
            if let Some(reason) = Reason::ALL.into_iter().find(|one| *one as u8 == reason) {
                return reason;
            }
            self.told.notified().await;
        }
    }

    /// When its time is over, or it was evicted.
    pub async fn over(&self, patience: Patience) -> Reason {
        let mut evicted = std::pin::pin!(self.evicted());
        loop {
            let until = match self.judge(&patience, Instant::now()) {
                Ok(until) => until,
                Err(reason) => return reason,
            };
            tokio::select! {
                reason = &mut evicted => return reason,
                () = tokio::time::sleep_until(until) => {}
            }
        }
    }

    /// When to look again, or why it is over.
    fn judge(&self, patience: &Patience, now: Instant) -> Result<Instant, Reason> {
        let end = if !self.has_spoken() {
            Some((self.moved() + patience.head, Reason::NoRequest))
        } else if self.in_flight.load(Relaxed) == 0 {
            Some(
                self.head_began()
                    .map_or((self.moved() + patience.idle, Reason::Idle), |at| (at + patience.head, Reason::NoRequest)),
            )
        } else {
            // None: it is the gateway's turn.
            self.handed_since().map(|since| (since + patience.stalled, Reason::Stalled))
        };
        // The state may change while the timer runs, to one with less patience.
        let soon = now + patience.stalled.min(patience.idle).min(patience.head);
        match end {
            Some((end, reason)) if end <= now => Err(reason),
            Some((end, _)) => Ok(end.min(soon)),
            None => Ok(soon),
        }
    }
}

#[cfg(test)]
mod tests;
