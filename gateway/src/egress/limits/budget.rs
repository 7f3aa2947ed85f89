//! The retry budget: second tries are a small part of all calls, however many fail.
//!
//! In goes each call whose first request leaves (one that is refused earns nothing, nor does a second try); out comes whether
//! one more may be tried again. Invariant: retries are at most the configured percentage of the calls, and one; what was saved
//! while all went well is bounded, so that a bad moment isn't made worse by it.

/// One retry, in hundredths.
const RETRY: u32 = 100;
const SAVED: u32 = 10 * RETRY;

pub(super) struct Budget {
    /// Hundredths that each of them puts in.
    percent: u32,
    saved: u32,
}

impl Budget {
    pub(super) const fn new(percent: u32) -> Self {
        Self { percent, saved: if percent == 0 { 0 } else { RETRY } }
    }

    pub(super) fn call(&mut self) {
        self.saved = (self.saved + self.percent).min(SAVED);
    }

    pub(super) const fn left(&self) -> u32 {
        self.saved / RETRY
    }

    pub(super) const fn take(&mut self) -> bool {
        let enough = self.saved >= RETRY;
        if enough {
            self.saved -= RETRY;
        }
        enough
    }
}
