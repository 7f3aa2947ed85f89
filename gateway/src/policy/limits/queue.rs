//! The queue in front of the processors, and who is refused so that it stays short.
//!
//! Requests that only compute are never "in progress" for long, however many have come: they queue for the runtime's workers, where
//! no count of ours sees them. So while there is a queue, a request goes to its end once before anything is done for it, and knows how
//! long that took. When it took too long, and nobody got through quickly for a while, the queue is kept short from then on: only so
//! many may wait as get their turn in time, and the others are refused at once, without waiting, until nobody had to be refused for
//! a second. How many those are is learned from how long they waited. Invariant: without a queue of many requests that stands for
//! long, nothing is refused: a burst is over before, and a machine that is busy with something else isn't helped by refusing ours.

use std::{
    future::poll_fn,
    sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed},
    task::Poll,
    time::Duration,
};
use tokio::time::Instant;

/// Without a queue, one of so many requests looks whether there is one.
const SAMPLE: u64 = 16;
/// How long all of them look after one had to wait.
const ALERT: Duration = Duration::from_millis(100);
/// How long, and by how many requests, a wait beyond the target must have been met before one is refused.
const PATIENCE: Duration = Duration::from_millis(200);
const MANY: u32 = 100;
/// For so long after a refusal the queue is kept short.
const HOLD: Duration = Duration::from_secs(1);
/// Requests that may always wait, and as many as may wait at first.
const LEAST: u32 = 2;
const FIRST: u32 = 16;

pub struct Queue {
    /// How long a request should wait at most; zero: nothing is refused.
    target: Duration,
    epoch: Instant,
    number: AtomicU64,
    /// Nanoseconds after the epoch, as all times here.
    alert_until: AtomicU64,
    /// Since when nobody got through quickly; 0: somebody did, lately.
    standing_since: AtomicU64,
    late: AtomicU32,
    /// Until when the queue is kept short.
    short_until: AtomicU64,
    /// Requests in it, and how many may be while it is kept short.
    waiting: AtomicU32,
    most: AtomicU32,
    /// When that number may change again.
    settled_at: AtomicU64,
}

/// A request's place in the queue.
struct Waiting<'a>(&'a AtomicU32);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

impl Queue {
    pub fn new(target: Duration) -> Self {
        Self {
            target,
            epoch: Instant::now(),
            number: AtomicU64::new(0),
            alert_until: AtomicU64::new(0),
            standing_since: AtomicU64::new(0),
            late: AtomicU32::new(0),
            short_until: AtomicU64::new(0),
            waiting: AtomicU32::new(0),
            most: AtomicU32::new(FIRST),
            settled_at: AtomicU64::new(0),
        }
    }

    /// True: the queue is kept short, and has no room for one more.
    pub fn is_full(&self) -> bool {
        // What is off is never short.
        if self.short_until.load(Relaxed) == 0 {
            return false;
        }
        let now = self.epoch.elapsed();
        let full = self.is_short(now) && self.waiting.load(Relaxed) >= self.most.load(Relaxed);
        if full {
            self.short_until.store(nanos(now + HOLD), Relaxed);
        }
        full
    }

    /// True: the request's turn came in time, or being late is no reason yet. Waits for its turn where there is a queue.
    pub async fn pass(&self) -> bool {
        if self.target.is_zero() {
            return true;
        }
        if self.is_full() {
            return false;
        }
        let came = self.epoch.elapsed();
        if !self.is_short(came) && !self.looks(came) {
            return true;
        }
        self.waiting.fetch_add(1, Relaxed);
        let waiting = Waiting(&self.waiting);
        to_the_end().await;
        drop(waiting);
        let now = self.epoch.elapsed();
        self.judge(now.saturating_sub(came), now)
    }

    /// One of a few, or one of all after somebody had to wait.
    fn looks(&self, now: Duration) -> bool {
        self.number.fetch_add(1, Relaxed).is_multiple_of(SAMPLE) || nanos(now) < self.alert_until.load(Relaxed)
    }

    fn is_short(&self, now: Duration) -> bool {
        nanos(now) < self.short_until.load(Relaxed)
    }

    /// Of a request that waited so long. A quarter of the target is a queue worth looking at, and less is the end of one.
    fn judge(&self, waited: Duration, now: Duration) -> bool {
        if self.is_short(now) {
            self.learn(waited, now);
            return true;
        }
        if waited <= self.target / 4 {
            self.standing_since.store(0, Relaxed);
            self.late.store(0, Relaxed);
            return true;
        }
        let alert_until = self.alert_until.swap(nanos(now + ALERT), Relaxed);
        // Nobody had to wait for a while before this one came: that queue is over, and this is another.
        if alert_until < nanos(now.saturating_sub(waited)) {
            self.standing_since.store(0, Relaxed);
            self.late.store(0, Relaxed);
        }
        if waited <= self.target {
            return true;
        }
        let late = self.late.fetch_add(1, Relaxed);
        let since = match self.standing_since.compare_exchange(0, nanos(now), Relaxed, Relaxed) {
            Ok(_) => nanos(now),
            Err(since) => since,
        };
        let patient = late < MANY || nanos(now).saturating_sub(since) < nanos(PATIENCE);
        if !patient {
            self.most.store(FIRST, Relaxed);
            self.short_until.store(nanos(now + HOLD), Relaxed);
        }
        patient
    }

    /// So many may wait that they wait for half of the target to all of it. What was changed must show before it is changed again.
    fn learn(&self, waited: Duration, now: Duration) {
        let settled = self.settled_at.load(Relaxed);
        let moment = nanos(now);
        if moment < settled || self.settled_at.compare_exchange(settled, moment + nanos(self.target), Relaxed, Relaxed).is_err()
        {
            return;
        }
        let most = self.most.load(Relaxed);
        let step = (most / 8).max(1);
        if waited > self.target {
            self.most.store(most.saturating_sub(step).max(LEAST), Relaxed);
        } else if waited < self.target / 2 {
            self.most.store(most.saturating_add(step), Relaxed);
        }
    }
}

/// Puts the task at the end of its worker's queue. (Tokio's `yield_now` would put it aside until the worker looks for sockets again,
/// and then wakes those that wait in reverse.)
async fn to_the_end() {
    let mut been = false;
    poll_fn(|context| {
        if std::mem::replace(&mut been, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TARGET: Duration = Duration::from_millis(5);

    /// How many of the requests that come one each millisecond pass, when the wait is `waited_ms(number)`.
    fn passed(queue: &Queue, from_ms: u64, count: u64, waited_ms: impl Fn(u64) -> u64) -> usize {
        let judge =
            |number: &u64| queue.judge(Duration::from_millis(waited_ms(*number)), Duration::from_millis(from_ms + number));
        (0..count).filter(judge).count()
    }

    #[tokio::test]
    async fn a_standing_queue_is_kept_short_until_nobody_is_refused() {
        let queue = Queue::new(TARGET);
        assert_eq!(passed(&queue, 1000, 2000, |_| 4), 2000);
        // A fifth of a second of patience; then one is refused, and from then on it depends on how many wait.
        assert_eq!(passed(&queue, 3000, 201, |_| 20), 200);
        assert!(queue.is_short(Duration::from_millis(3201)));
        assert_eq!(passed(&queue, 3501, 200, |_| 20), 200);
        assert_eq!(queue.most.load(Relaxed), LEAST, "they waited too long");
        assert_eq!(passed(&queue, 3701, 200, |_| 4), 200);
        assert_eq!(queue.most.load(Relaxed), LEAST, "they got their turn in time");
        assert_eq!(passed(&queue, 3901, 200, |_| 1), 200);
        let grown = queue.most.load(Relaxed);
        assert!(grown > 40, "{grown}");
        // A second without a refusal, and there is patience again after somebody came through quickly.
        assert_eq!(passed(&queue, 4600, 1, |_| 1), 1);
        assert_eq!(passed(&queue, 4601, 200, |_| 20), 200);
    }

    #[tokio::test]
    async fn while_it_is_kept_short_who_finds_it_full_is_refused_at_once() {
        let queue = Queue::new(TARGET);
        queue.most.store(2, Relaxed);
        queue.short_until.store(u64::MAX, Relaxed);
        assert_eq!(tokio::join!(queue.pass(), queue.pass(), queue.pass()), (true, true, false));
        assert!(queue.pass().await, "those have left it");
        // Whoever goes away while waiting leaves it, too.
        let mut gone = Box::pin(queue.pass());
        assert!(futures_util::poll!(gone.as_mut()).is_pending());
        assert_eq!(queue.waiting.load(Relaxed), 1);
        drop(gone);
        assert_eq!(queue.waiting.load(Relaxed), 0);
    }

    #[tokio::test]
    async fn a_burst_or_a_busy_machine_is_no_reason() {
        let queue = Queue::new(TARGET);
        assert_eq!(passed(&queue, 1000, 200, |number| number), 200);
        assert_eq!(passed(&queue, 1200, 1, |_| 0), 1);
        // Bursts that are far enough from each other are no queue that stands.
        for minute in 1..10 {
            assert_eq!(passed(&queue, 60_000 * minute, 150, |_| 20), 150, "{minute}");
        }
        // Few requests, late ones as a machine makes them that has something else to do.
        for second in 0..MANY {
            let now = Duration::from_secs(10_000 + u64::from(second));
            assert!(queue.judge(Duration::from_millis(300), now), "{second}");
        }
    }

    #[tokio::test]
    async fn all_look_while_there_is_a_queue_and_few_while_there_is_none() {
        let queue = Queue::new(TARGET);
        for _ in 0..100 {
            assert!(queue.pass().await);
        }
        assert_eq!(queue.late.load(Relaxed), 0);
        // The worker's time goes to somebody else meanwhile, so everybody who looks is late.
        queue.judge(Duration::from_millis(2), queue.epoch.elapsed());
        let (looked, waited) = tokio::join!(queue.pass(), async {
            let start = Instant::now();
            while start.elapsed() < TARGET * 2 {
                std::hint::spin_loop();
            }
            start.elapsed()
        });
        assert!(looked && waited >= TARGET * 2);
        assert_eq!(queue.late.load(Relaxed), 1);
        assert!(Queue::new(Duration::ZERO).pass().await);
    }
}
