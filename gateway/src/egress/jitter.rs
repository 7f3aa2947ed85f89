//! Jitter: pauses that differ, so that what failed together doesn't come back together.
//!
//! In goes a duration; out comes a random one near it. Invariant: a jittered pause is never longer than five quarters of what
//! was asked for. It needn't be unpredictable, only different.

use std::time::Duration;
use uuid::Uuid;

const STEPS: u32 = 1 << 16;

/// Between three and five quarters of it.
pub(super) fn around(pause: Duration) -> Duration {
    let quarter = pause / 4;
    quarter * 3 + quarter.saturating_mul(2 * random()) / STEPS
}

/// Between half of it and all of it.
pub(super) fn below(pause: Duration) -> Duration {
    let half = pause / 2;
    half + half.saturating_mul(random()) / STEPS
}

/// The longest by which anybody comes back later than it may.
const LONGEST_LAG: Duration = Duration::from_secs(10);

/// By how much later than it may one comes back. It is chosen once for each upstream of a connection: several answers that ask for
/// the same pause would otherwise come to the longest of their lags, which is the same for all connections.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Lag(u32);

impl Lag {
    pub(super) fn random() -> Self {
        Self(random())
    }

    /// After such a pause: less than a tenth of it.
    pub(super) fn of(self, pause: Duration) -> Duration {
        (pause / 10).min(LONGEST_LAG).saturating_mul(self.0) / STEPS
    }
}

/// Below [`STEPS`]: the last random bits of a UUID.
fn random() -> u32 {
    u32::from(u16::from_be_bytes(Uuid::new_v4().as_bytes()[14..16].try_into().unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_stay_in_their_bounds_and_differ() {
        let pause = Duration::from_secs(4);
        let all: std::collections::BTreeSet<Duration> = (0..100).map(|_| around(pause)).collect();
        assert!(all.iter().all(|one| (Duration::from_secs(3)..=Duration::from_secs(5)).contains(one)), "{all:?}");
        assert!((0..100).map(|_| below(pause)).all(|one| (Duration::from_secs(2)..=pause).contains(&one)));
        assert!(all.len() > 50, "they differ");
    }

    #[test]
    fn who_lags_comes_later_by_a_tenth_at_most() {
        for (pause, most) in [(30, 3), (600, 10)] {
            let lag = Lag::random();
            assert_eq!(lag.of(Duration::from_secs(pause)), lag.of(Duration::from_secs(pause)), "it is one's own");
            let all: std::collections::BTreeSet<_> = (0..100).map(|_| Lag::random().of(Duration::from_secs(pause))).collect();
            assert!(all.len() > 50 && all.iter().all(|lag| *lag < Duration::from_secs(most)), "{all:?}");
        }
        assert_eq!(Lag::default().of(Duration::from_secs(30)), Duration::ZERO);
    }
}
