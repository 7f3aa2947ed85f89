//! How long requests wait for a processor, and how many have to be refused so that they don't wait long.
//!
//! Requests that only compute are never "in progress" for long, however many have come: they queue in front of the runtime's
//! workers. So a probe goes through that queue every few milliseconds. While it takes too long, a share of new requests is refused,
//! which grows and shrinks with the delay (the controller of PIE, RFC 8033). Invariant: without many requests nothing is
//! refused, whatever the delay: a machine that is busy with something else isn't helped by refusing ours.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::time::Instant;

/// The delay that is aimed at while too much comes. A single burst is over before it counts.
const TARGET: Duration = Duration::from_millis(5);
/// Between two probes while requests come, and while hardly any do.
const BUSY: Duration = Duration::from_millis(4);
const IDLE: Duration = Duration::from_millis(50);
/// The smallest delay of some probes in a row, and over so long, is what stands in the queue all the time.
const PROBES: u32 = 2;
const WINDOW: Duration = Duration::from_millis(20);
/// Of the share, in each window, for a second of delay too much, and for a second of growth: a queue of 25 ms is answered with a
/// quarter at once, and with a half after some windows more.
const BY_EXCESS: f64 = 3.0;
const BY_GROWTH: f64 = 10.0;
/// No more than this is refused: some must come through to show how long it takes.
const MOST: f64 = 0.98;
/// What is left of the share after each window in which nothing waited.
const DECAY: f64 = 0.8;

#[derive(Default)]
pub struct Queue {
    arrived: AtomicU64,
    /// The share of requests to refuse, of 2^32.
    share: AtomicU32,
    controller: Mutex<Controller>,
}

#[derive(Default)]
struct Controller {
    share: f64,
    last: Duration,
    smallest: Option<Duration>,
    probes: u32,
    length: Duration,
    arrived: u64,
}

impl Queue {
    /// Counts a request; true: refuse it.
    pub fn refuses(&self) -> bool {
        let number = self.arrived.fetch_add(1, Ordering::Relaxed);
        let share = self.share.load(Ordering::Relaxed);
        share > 0 && scattered(number) < share
    }

    /// The share of requests that is refused now.
    pub fn share(&self) -> f64 {
        f64::from(self.share.load(Ordering::Relaxed)) / f64::from(u32::MAX)
    }

    /// Probes for ever.
    pub async fn watch(self: std::sync::Arc<Self>) {
        loop {
            let before = self.arrived.load(Ordering::Relaxed);
            let delay = delay().await;
            self.learn(delay);
            let quiet = self.arrived.load(Ordering::Relaxed) == before && self.share() == 0.0;
            tokio::time::sleep(if quiet { IDLE } else { BUSY }).await;
        }
    }

    fn learn(&self, delay: Duration) {
        let mut controller = self.controller.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(share) = controller.learn(delay, self.arrived.load(Ordering::Relaxed)) {
            self.share.store((share * f64::from(u32::MAX)) as u32, Ordering::Relaxed);
        }
    }
}

impl Controller {
    /// A new share at the end of a window.
    fn learn(&mut self, delay: Duration, arrived: u64) -> Option<f64> {
        self.smallest = Some(self.smallest.map_or(delay, |smallest| smallest.min(delay)));
        (self.probes, self.length) = (self.probes + 1, self.length + delay + BUSY);
        if self.probes < PROBES || self.length < WINDOW {
            return None;
        }
        let standing = self.smallest.take().unwrap_or_default();
        // Below one in a millisecond, the delay isn't theirs.
        let few = u128::from(arrived - self.arrived) < self.length.as_millis();
        (self.probes, self.length, self.arrived) = (0, Duration::ZERO, arrived);
        self.share = if few || standing <= TARGET / 2 {
            if self.share < 0.01 { 0.0 } else { self.share * DECAY }
        } else {
            let excess = standing.as_secs_f64() - TARGET.as_secs_f64();
            let growth = standing.as_secs_f64() - self.last.as_secs_f64();
            (self.share + BY_EXCESS * excess + BY_GROWTH * growth).clamp(0.0, MOST)
        };
        self.last = standing;
        Some(self.share)
    }
}

/// How long a task waits at the end of the queue of the worker that this runs on.
async fn delay() -> Duration {
    let started = Instant::now();
    let probe = tokio::spawn(async move { started.elapsed() });
    // The task that was spawned last goes first; this one pushes the probe to the end.
    drop(tokio::spawn(async {}));
    probe.await.unwrap_or_default()
}

/// Numbers in a row become numbers without an order (the finalizer of SplitMix64), so that no client is refused by its turn.
const fn scattered(number: u64) -> u32 {
    let mixed = (number ^ (number >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    (mixed >> 32) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Windows with this delay and so many requests; the share afterwards.
    fn windows(controller: &mut Controller, windows: usize, delay_ms: u64, requests: u64) -> f64 {
        for _ in 0..windows {
            let arrived = controller.arrived + requests;
            while controller.learn(Duration::from_millis(delay_ms), arrived).is_none() {}
        }
        controller.share
    }

    #[test]
    fn a_standing_queue_is_answered_with_refusals_and_its_end_with_none() {
        let mut controller = Controller::default();
        assert_eq!(windows(&mut controller, 50, 1, 1000), 0.0);
        let soon = windows(&mut controller, 5, 25, 1000);
        assert!((0.3..0.8).contains(&soon), "{soon}");
        // It stays where the delay is what is aimed at.
        let held = windows(&mut controller, 100, 5, 1000);
        assert!((0.1..0.8).contains(&held), "{soon} {held}");
        assert_eq!(windows(&mut controller, 50, 0, 1000), 0.0);
    }

    #[test]
    fn a_burst_or_a_busy_machine_is_no_reason() {
        let mut controller = Controller::default();
        // Delays of others: hardly any request came.
        assert_eq!(windows(&mut controller, 50, 200, 400), 0.0);
        // One probe of a window found an empty queue.
        for probe in 0..100_u64 {
            controller.learn(Duration::from_millis(if probe % 2 == 0 { 0 } else { 80 }), 1_000_000 + probe * 1000);
        }
        assert_eq!(controller.share, 0.0);
    }

    #[test]
    fn refuses_its_share_whoever_comes_by_turns() {
        let queue = Queue::default();
        queue.share.store(u32::MAX / 2, Ordering::Relaxed);
        let refused: Vec<bool> = (0..10_000).map(|_| queue.refuses()).collect();
        for turn in 0..2 {
            let count = refused.iter().skip(turn).step_by(2).filter(|refused| **refused).count();
            assert!((2300..2700).contains(&count), "{count} of 5000");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_idle_runtime_has_no_delay() {
        assert_eq!(delay().await, Duration::ZERO);
    }
}
