//! The queue in front of the processors, and who is refused so that it stays short.
//!
//! Requests that only compute are never "in progress" for long, however many have come: they queue for the runtime's workers, where
//! no count of ours sees them. So while there is a queue, a request goes to its end once before anything is done for it, and knows how
//! long that took. When it took too long, and nobody got through quickly for a while, the request is refused: what is served was
//! quick (controlled delay, as in CoDel, RFC 8289). Invariant: without a queue of many requests that stands for long, nothing is
//! refused: a burst is over before, and a machine that is busy with something else isn't helped by refusing ours.

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
const PATIENCE: Duration = Duration::from_millis(500);
const MANY: u32 = 100;

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
        }
    }

    /// True: the request's turn came in time, or being late is no reason yet. Waits for its turn where there is a queue.
    pub async fn pass(&self) -> bool {
        if self.target.is_zero() {
            return true;
        }
        let came = self.epoch.elapsed();
        let sample = self.number.fetch_add(1, Relaxed).is_multiple_of(SAMPLE);
        if !sample && nanos(came) >= self.alert_until.load(Relaxed) {
            return true;
        }
        to_the_end().await;
        let now = self.epoch.elapsed();
        self.judge(now.saturating_sub(came), now)
    }

    /// Of a request that waited so long. A quarter of the target is a queue worth looking at, and less is the end of one.
    fn judge(&self, waited: Duration, now: Duration) -> bool {
        if waited <= self.target / 4 {
            self.standing_since.store(0, Relaxed);
            self.late.store(0, Relaxed);
            return true;
        }
        self.alert_until.store(nanos(now + ALERT), Relaxed);
        if waited <= self.target {
            return true;
        }
        let late = self.late.fetch_add(1, Relaxed);
        let since = match self.standing_since.compare_exchange(0, nanos(now), Relaxed, Relaxed) {
            Ok(_) => nanos(now),
            Err(since) => since,
        };
        late < MANY || nanos(now).saturating_sub(since) < nanos(PATIENCE)
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
    async fn a_standing_queue_refuses_who_is_late_until_it_is_gone() {
        let queue = Queue::new(TARGET);
        assert_eq!(passed(&queue, 1000, 2000, |_| 4), 2000);
        // Half a second of patience, then nobody who is late passes, and everybody who isn't.
        assert_eq!(passed(&queue, 3000, 500, |_| 20), 500);
        assert_eq!(passed(&queue, 3500, 1000, |number| if number % 2 == 0 { 6 } else { 4 }), 500);
        // Somebody comes through quickly, and there is patience again.
        assert_eq!(passed(&queue, 4500, 1, |_| 1), 1);
        assert_eq!(passed(&queue, 4501, 500, |_| 20), 500);
    }

    #[tokio::test]
    async fn a_burst_or_a_busy_machine_is_no_reason() {
        let queue = Queue::new(TARGET);
        assert_eq!(passed(&queue, 1000, 450, |number| number), 450);
        assert_eq!(passed(&queue, 1450, 1, |_| 0), 1);
        // Few requests, late ones as a machine makes them that has something else to do.
        for second in 0..MANY {
            let now = Duration::from_secs(10 + u64::from(second));
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
