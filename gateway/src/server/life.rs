//! What a connection is doing, and when it has had its time.
//!
//! In go beginnings and ends of requests and of the taking of answers; out comes, for each connection, why it must end.
//! Invariant: a request in flight costs a few atomic operations and no lock, and a connection one timer, which is set anew
//! only when it fires; so an end comes late by one such time at most.

use std::{
    sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering::Relaxed},
    time::Duration,
};
use tokio::{sync::Notify, time::Instant};

/// Why the gateway ended a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Reason {
    /// No whole request came in time.
    NoRequest = 1,
    /// No request was in flight for too long.
    Idle,
    /// The client didn't take its answer.
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
    spoken: AtomicBool,
    in_flight: AtomicU32,
    /// Answers of which there is a piece that the client could take.
    handed: AtomicU32,
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
            spoken: AtomicBool::new(false),
            in_flight: AtomicU32::new(0),
            handed: AtomicU32::new(0),
            answered: AtomicU32::new(0),
            aborted: AtomicU32::new(0),
            evicted: AtomicU8::new(0),
            told: Notify::new(),
        }
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

    /// It is the client's turn to take of an answer.
    pub fn hand(&self) {
        self.touch();
        self.handed.fetch_add(1, Relaxed);
    }

    /// The client took it, or the answer is over.
    pub fn take_back(&self) {
        self.handed.fetch_sub(1, Relaxed);
    }

    /// Whether a request is in flight.
    pub fn is_asked(&self) -> bool {
        self.in_flight.load(Relaxed) > 0
    }

    pub fn has_spoken(&self) -> bool {
        self.spoken.load(Relaxed)
    }

    /// For how long it has rested; none while a request is in flight.
    pub fn resting(&self, now: Instant) -> Option<Duration> {
        (self.in_flight.load(Relaxed) == 0).then(|| now.saturating_duration_since(self.moved()))
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
        } else if self.handed.load(Relaxed) > 0 {
            Some((self.moved() + patience.stalled, Reason::Stalled))
        } else {
            // It is the gateway's turn.
            None
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
mod tests {
    use super::*;

    const PATIENCE: Patience =
        Patience { head: Duration::from_secs(10), idle: Duration::from_secs(120), stalled: Duration::from_secs(30) };

    /// How long it takes until it is over, and why.
    async fn ending(life: &Life) -> (u64, Reason) {
        let before = Instant::now();
        let reason = life.over(PATIENCE).await;
        (before.elapsed().as_secs(), reason)
    }

    /// Bytes came, and more are wanted.
    fn hear(life: &Life) {
        life.hear();
        life.want();
    }

    #[tokio::test(start_paused = true)]
    async fn each_state_has_its_time() {
        let life = Life::new();
        assert_eq!(ending(&life).await, (10, Reason::NoRequest));
        life.begin_request(false);
        // The gateway thinks for as long as it likes.
        let thinking = tokio::time::timeout(Duration::from_secs(3600), life.over(PATIENCE)).await;
        assert!(thinking.is_err());
        life.hand();
        assert_eq!(ending(&life).await, (30, Reason::Stalled));
        life.take_back();
        // A state with less patience isn't missed by a timer that was set for another.
        let becoming = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            life.hand();
        };
        assert_eq!(tokio::join!(ending(&life), becoming).0, (31, Reason::Stalled));
        life.take_back();
        life.hand();
        tokio::time::advance(Duration::from_secs(29)).await;
        life.take_back();
        life.end_request(true);
        // At rest since the last piece.
        assert_eq!(ending(&life).await, (91, Reason::Idle));
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_has_its_time_from_its_first_byte() {
        let life = Life::new();
        life.begin_request(false);
        // Of a body, or of a request that is sent ahead.
        hear(&life);
        life.touch();
        life.end_request(true);
        tokio::time::advance(Duration::from_secs(60)).await;
        let slow = async {
            tokio::time::sleep(Duration::from_millis(500)).await;
            hear(&life);
            tokio::time::sleep(Duration::from_secs(9)).await;
            // One more byte is no new beginning.
            hear(&life);
        };
        assert_eq!(tokio::join!(ending(&life), slow).0, (10, Reason::NoRequest));
        life.begin_request(false);
        life.touch();
        life.end_request(true);
        assert_eq!(ending(&life).await, (120, Reason::Idle), "a whole head leaves nothing behind");
    }

    #[tokio::test(start_paused = true)]
    async fn frames_of_http_2_begin_no_head() {
        let life = Life::new();
        life.begin_request(true);
        life.touch();
        life.end_request(true);
        hear(&life);
        assert_eq!(ending(&life).await, (120, Reason::Idle));
    }

    #[tokio::test(start_paused = true)]
    async fn who_breaks_off_everything_is_sent_away() {
        let life = Life::new();
        for _ in 0..=FEW_ABORTS {
            life.begin_request(false);
            life.end_request(true);
        }
        for _ in 0..=FEW_ABORTS {
            life.begin_request(false);
            life.end_request(false);
        }
        assert_eq!(ending(&life).await.1, Reason::Idle, "as many answers were taken");
        life.begin_request(false);
        life.end_request(false);
        assert_eq!(ending(&life).await, (0, Reason::Aborts));
        life.evict(Reason::Full);
        assert_eq!(life.evicted().await, Reason::Aborts, "the first reason stays");
    }
}
