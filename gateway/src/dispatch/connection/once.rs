//! What is found out once, by whoever needs it first.
//!
//! In go attempts; out comes the value of the first that succeeds. Invariant: one attempt is under way; those who waited for one that
//! failed have its error, or they would all fail one after another, and the last of them would have waited for all.

use crate::model::Error;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::OnceCell;

pub struct Once<T> {
    cell: OnceCell<T>,
    failures: Mutex<Failures>,
}

/// How many attempts failed, and how the last one did.
#[derive(Default)]
struct Failures {
    count: u64,
    last: Option<Error>,
}

impl<T> Default for Once<T> {
    fn default() -> Self {
        Self { cell: OnceCell::new(), failures: Mutex::default() }
    }
}

impl<T: Clone> Once<T> {
    pub fn get(&self) -> Option<&T> {
        self.cell.get()
    }

    pub async fn get_or_try<F: Future<Output = Result<T, Error>>>(&self, attempt: impl FnOnce() -> F) -> Result<T, Error> {
        if let Some(value) = self.cell.get() {
            return Ok(value.clone());
        }
        let before = self.failures().count;
        // It runs once nobody else's does.
        let attempt = async {
            match self.failed_since(before) {
                Some(error) => Err(error),
                None => attempt().await.inspect_err(|error| self.note(error)),
            }
        };
        self.cell.get_or_try_init(|| attempt).await.cloned()
    }

    fn failed_since(&self, before: u64) -> Option<Error> {
        let failures = self.failures();
        failures.last.clone().filter(|_| failures.count > before)
    }

    fn note(&self, error: &Error) {
        let mut failures = self.failures();
        failures.count += 1;
        failures.last = Some(error.clone());
    }

    fn failures(&self) -> MutexGuard<'_, Failures> {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Kind;
    use futures_util::future::join_all;
    use std::{
        sync::atomic::{AtomicU32, Ordering},
        time::Duration,
    };
    use tokio::time::{Instant, sleep};

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn those_who_wait_for_a_failure_have_it_and_the_next_one_tries_again() {
        let (once, attempts) = (Once::<u32>::default(), AtomicU32::new(0));
        let fails = || async {
            attempts.fetch_add(1, Ordering::Relaxed);
            sleep(SECOND).await;
            Err(Error::new(Kind::Overloaded, "busy"))
        };
        let started = Instant::now();
        let all = join_all((0..12).map(|_| once.get_or_try(fails))).await;
        assert!(all.iter().all(|one| one.as_ref().is_err_and(|error| error.kind == Kind::Overloaded)));
        assert_eq!((started.elapsed(), attempts.load(Ordering::Relaxed)), (SECOND, 1));
        assert!(once.get_or_try(fails).await.is_err() && once.get().is_none());
        assert_eq!(attempts.load(Ordering::Relaxed), 2);
        // Who goes away in the middle of an attempt is no failure.
        let gone = tokio::time::timeout(SECOND / 2, once.get_or_try(fails));
        let next = async {
            sleep(SECOND / 4).await;
            once.get_or_try(|| async { Ok(7) }).await
        };
        let (gone, next) = tokio::join!(gone, next);
        assert!(gone.is_err());
        assert_eq!((next.unwrap(), once.get()), (7, Some(&7)));
    }
}
