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
}
