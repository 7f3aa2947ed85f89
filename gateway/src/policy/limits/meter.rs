//! One rate limit over many callers: GCRA (the generic cell rate algorithm) in a table of fixed size.
//!
//! In goes a caller's hash and the time; out comes whether the request passes, what is left, and when there is more. Invariant:
//! memory is bounded whoever comes. A caller who is idle needs no entry: the state of one whose quota is whole again is that of one
//! who was never seen. So a full bucket forgets the caller whose quota is whole again first, and nothing has to be swept.
//!
//! It is ours because `governor` keeps callers in a map that grows until it is swept, and doesn't say when there is more.

use super::rate::Quota;
use std::{
    sync::{Mutex, OnceLock, PoisonError},
    time::Duration,
};

/// 64 parts of 512 buckets of 8 callers: 262,144 callers in 4.3 MiB. 100,000 that are all in the middle of their quotas are three
/// in a bucket on average, and one of them in a thousand finds a full one.
const PARTS: usize = 64;
const BUCKETS: usize = 512;
const WAYS: usize = 8;

/// A caller's hash, and when the whole quota is there again (the "theoretical arrival time"), in nanoseconds. Zeros are a caller
/// who was never seen.
#[derive(Clone, Copy, Default)]
struct Entry {
    caller: u64,
    whole_at: u64,
}

type Bucket = Mutex<[Entry; WAYS]>;

pub struct Meter {
    quota: Quota,
    /// Nanoseconds that one request takes of the window.
    cost: u64,
    /// `cost` times the quota: how far ahead of now a caller may be.
    ahead: u64,
    /// Made when the first caller comes, so that an idle gateway stays small.
    parts: [OnceLock<Box<[Bucket]>>; PARTS],
}

/// What a meter says of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    pub passes: bool,
    /// Requests that would pass now, after this one.
    pub remaining: u32,
    /// Until one more would.
    pub more_in: Duration,
    /// Until all would.
    pub whole_in: Duration,
}

impl Meter {
    pub fn new(quota: Quota) -> Self {
        let window = u64::from(quota.window.seconds()) * 1_000_000_000;
        let cost = window / u64::from(quota.requests.get());
        let ahead = cost * u64::from(quota.requests.get());
        Self { quota, cost, ahead, parts: [const { OnceLock::new() }; PARTS] }
    }

    pub const fn quota(&self) -> Quota {
        self.quota
    }

    /// `now`: nanoseconds on a clock that only goes forward. A request that is refused takes nothing.
    pub fn take(&self, caller: u64, now: u64) -> Reading {
        let mut bucket = self.bucket(caller).lock().unwrap_or_else(PoisonError::into_inner);
        let entry = entry(&mut bucket, caller);
        let spent = entry.whole_at.saturating_sub(now);
        if spent + self.cost > self.ahead {
            return self.reading(false, spent);
        }
        let spent = spent + self.cost;
        entry.whole_at = now + spent;
        self.reading(true, spent)
    }

    fn reading(&self, passes: bool, spent: u64) -> Reading {
        let remaining = (self.ahead - spent) / self.cost;
        let more_in = spent + (remaining + 1) * self.cost - self.ahead;
        Reading {
            passes,
            remaining: u32::try_from(remaining).unwrap_or(u32::MAX),
            more_in: Duration::from_nanos(more_in),
            whole_in: Duration::from_nanos(spent),
        }
    }

    fn bucket(&self, caller: u64) -> &Bucket {
        let part = (caller % PARTS as u64) as usize;
        let bucket = (caller / PARTS as u64 % BUCKETS as u64) as usize;
        &self.parts[part].get_or_init(|| (0..BUCKETS).map(|_| Bucket::default()).collect())[bucket]
    }
}

/// The caller's entry, or that of who needs it least.
fn entry(bucket: &mut [Entry; WAYS], caller: u64) -> &mut Entry {
    let known = bucket.iter().position(|entry| entry.caller == caller);
    let at = known.unwrap_or_else(|| {
        let least = bucket.iter().enumerate().min_by_key(|(_, entry)| entry.whole_at);
        least.map_or(0, |(at, _)| at)
    });
    if known.is_none() {
        bucket[at] = Entry { caller, whole_at: 0 };
    }
    &mut bucket[at]
}

#[cfg(test)]
mod tests {
    use super::{super::rate::Rate, *};

    const SECOND: u64 = 1_000_000_000;

    fn meter(rate: &str) -> Meter {
        let Rate::Of(quota) = rate.parse().unwrap() else { panic!("off") };
        Meter::new(quota)
    }

    /// A different hash for each, as a hash function would give.
    fn caller(number: u64) -> u64 {
        (number + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15)
    }

    #[test]
    fn a_quota_comes_back_evenly() {
        let meter = meter("3/min");
        let take = |at: u64| {
            let reading = meter.take(7, at * SECOND);
            (reading.passes, reading.remaining, reading.more_in.as_secs(), reading.whole_in.as_secs())
        };
        assert_eq!(take(100), (true, 2, 20, 20));
        assert_eq!(take(100), (true, 1, 20, 40));
        assert_eq!(take(110), (true, 0, 10, 50));
        // Refused, which takes nothing however often it happens.
        assert_eq!(take(110), (false, 0, 10, 50));
        assert_eq!(take(119), (false, 0, 1, 41));
        assert_eq!(take(120), (true, 0, 20, 60));
        // Whole again after a window without a request, and not more than whole.
        assert_eq!(take(1000), (true, 2, 20, 20));
    }

    #[test]
    fn exactly_the_quota_passes_at_once_and_its_rate_afterwards() {
        for (rate, quota, window) in [("600/min", 600, 60), ("7/s", 7, 1), ("1000000/s", 1_000_000, 1), ("1/h", 1, 3600)] {
            let meter = meter(rate);
            let passed = (0..quota + 5).filter(|_| meter.take(1, SECOND).passes).count();
            assert_eq!(passed, quota, "{rate}");
            // One nanosecond more for windows that the quota doesn't divide.
            assert!(meter.take(1, SECOND + window * SECOND / quota as u64 + 1).passes, "{rate}");
            assert!(!meter.take(1, SECOND + window * SECOND / quota as u64 + 1).passes, "{rate}");
        }
    }

    #[test]
    fn callers_do_not_touch_each_other_even_a_hundred_thousand() {
        let meter = meter("10/min");
        const CALLERS: u64 = 100_000;
        for _ in 0..10 {
            for number in 0..CALLERS {
                meter.take(caller(number), SECOND);
            }
        }
        // All have spent everything. Some were pushed out by others: less than one in a hundred.
        let forgotten = (0..CALLERS).filter(|number| meter.take(caller(*number), SECOND).passes).count();
        assert!(forgotten < 1000, "{forgotten} of {CALLERS} were forgotten");
    }

    #[test]
    fn a_flood_takes_no_more_memory_and_does_not_free_who_is_refused() {
        let meter = meter("10/min");
        let (greedy, start) = (caller(u64::MAX / 2), SECOND);
        while meter.take(greedy, start).passes {}
        for number in 0..2_000_000 {
            meter.take(caller(number), start + number);
        }
        assert!(!meter.take(greedy, start + 2_000_000).passes, "a flood of others gave a refused caller a new quota");
        let made = meter.parts.iter().filter_map(OnceLock::get);
        let bytes: usize = made.map(|part| size_of_val(&**part)).sum();
        assert!(bytes <= 4_500_000, "{bytes} bytes");
    }

    #[test]
    fn concurrent_requests_of_one_caller_are_all_counted() {
        let meter = meter("1000/h");
        let passed: usize = std::thread::scope(|scope| {
            let count = || (0..1000).filter(|_| meter.take(3, SECOND).passes).count();
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(count)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(passed, 1000);
    }
}
