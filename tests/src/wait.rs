//! Waiting for a condition, with an end.
//!
//! Invariant: a wait that runs out panics and says what it waited for, so that a hanging part is a failing test.

use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Short enough not to be noticed, long enough not to be load.
const PAUSE: Duration = Duration::from_millis(20);

/// What `look` found, as soon as it finds something.
#[track_caller]
pub fn wait_until<T>(what: &str, within: Duration, mut look: impl AsyncFnMut() -> Option<T>) -> impl Future<Output = T> {
    // Taken here, since an async function would name itself.
    let caller = std::panic::Location::caller();
    async move {
        let end = Instant::now() + within;
        loop {
            if let Some(found) = look().await {
                return found;
            }
            assert!(Instant::now() < end, "{caller}: waited {within:?} in vain for {what}");
            sleep(PAUSE).await;
        }
    }
}

/// Ten seconds are enough for everything that isn't slow by nature, also on a busy machine.
#[track_caller]
pub fn eventually<T>(what: &str, look: impl AsyncFnMut() -> Option<T>) -> impl Future<Output = T> {
    wait_until(what, Duration::from_secs(10), look)
}
