//! Chance for tests: another each run, and printed, so that a failing run can be repeated.

use std::{
    hash::{BuildHasher, RandomState},
    time::Duration,
};

/// A small generator (xorshift); nothing here needs more.
pub struct Chance(u64);

impl Chance {
    /// `TEST_SEED` repeats an earlier run.
    pub fn new() -> Self {
        let given = std::env::var("TEST_SEED").ok().and_then(|text| text.parse().ok());
        let seed = given.unwrap_or_else(|| RandomState::new().hash_one(0)) | 1;
        eprintln!("TEST_SEED={seed}");
        Self(seed)
    }

    /// 0 to 1.
    pub fn part(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Up to `most`, early instants more often than late ones: the steps of a call crowd at its start.
    pub fn instant(&mut self, most: Duration) -> Duration {
        most.mul_f64(self.part().powi(2))
    }
}

impl Default for Chance {
    fn default() -> Self {
        Self::new()
    }
}
