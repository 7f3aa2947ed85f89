//! One call after the other: callers who want an answer that is no older than their question share the next call.
//!
//! In go a key and a way to ask; out comes a future of the outcome. Invariant: whoever joins a call came before it began; so however
//! many ask at once, two calls are made. A call that hangs holds up the next one for a moment only.

use super::flight::{Flight, Flights};
use crate::model::Error;
use std::{
    collections::HashMap,
    future::Future,
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};
use tokio::time::timeout;

/// How long a call waits for the one before it.
const PATIENCE: Duration = Duration::from_secs(1);

type Turn = tokio::sync::Mutex<()>;

pub struct Relay<K, T> {
    /// Calls that haven't begun.
    next: Flights<K, T>,
    /// Held by the call that is under way.
    turns: Arc<Turns<K>>,
}

struct Turns<K>(Mutex<HashMap<K, Weak<Turn>>>);

impl<K, T> Default for Relay<K, T> {
    fn default() -> Self {
        Self { next: Flights::default(), turns: Arc::new(Turns(Mutex::default())) }
    }
}

impl<K: Clone + Eq + Hash + Send + 'static, T: Clone + Send + Sync + 'static> Relay<K, T> {
    /// Joins the call for `key` that hasn't begun, or lines one up. True when there was one.
    pub fn join<F>(&self, key: &K, ask: impl FnOnce() -> F) -> (bool, Flight<T>)
    where
        F: Future<Output = Result<T, Error>> + Send + 'static,
    {
        self.next.join_until(key, |hold| {
            let (turns, key, asked) = (Arc::clone(&self.turns), key.clone(), ask());
            async move {
                let hold = hold.while_it_runs();
                let turn = turns.of(&key);
                let held = timeout(PATIENCE, turn.lock()).await;
                // From now on whoever wants the same lines up another call.
                drop(hold);
                let outcome = asked.await;
                drop(held);
                turns.leave(&key, turn);
                outcome
            }
        })
    }
}

impl<K: Clone + Eq + Hash> Turns<K> {
    fn of(&self, key: &K) -> Arc<Turn> {
        let mut turns = self.lock();
        if let Some(turn) = turns.get(key).and_then(Weak::upgrade) {
            return turn;
        }
        let turn = Arc::new(Turn::default());
        turns.insert(key.clone(), Arc::downgrade(&turn));
        turn
    }

    /// The last one to leave takes it away.
    fn leave(&self, key: &K, turn: Arc<Turn>) {
        let mut turns = self.lock();
        drop(turn);
        if turns.get(key).is_some_and(|turn| turn.strong_count() == 0) {
            turns.remove(key);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<K, Weak<Turn>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::future::join_all;
    use std::sync::atomic::{AtomicU32, Ordering};
    use tokio::time::{Instant, sleep};

    /// Calls that take so long; each outcome is the number of the call.
    async fn ask(relay: &Relay<u8, u32>, asked: &Arc<AtomicU32>, takes: Duration) -> u32 {
        let asked = Arc::clone(asked);
        let (_, flight) = relay.join(&1, || async move {
            let number = asked.fetch_add(1, Ordering::Relaxed);
            sleep(takes).await;
            Ok(number)
        });
        flight.await.unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn who_comes_during_a_call_shares_the_next_one() {
        let (relay, asked) = (Relay::default(), Arc::default());
        let takes = Duration::from_millis(300);
        let late = async {
            sleep(takes / 3).await;
            join_all((0..30).map(|_| ask(&relay, &asked, takes))).await
        };
        let (first, late) = tokio::join!(ask(&relay, &asked, takes), late);
        assert_eq!((first, late), (0, vec![1; 30]));
        assert_eq!(ask(&relay, &asked, takes).await, 2);
        tokio::task::yield_now().await;
        assert!(relay.turns.lock().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_hangs_holds_up_the_next_one_for_a_moment() {
        let (relay, asked) = (Relay::default(), Arc::default());
        let hour = Duration::from_secs(3600);
        let started = Instant::now();
        let next = async {
            sleep(PATIENCE).await;
            let number = ask(&relay, &asked, Duration::ZERO).await;
            (number, started.elapsed())
        };
        let (hung, (number, after)) = tokio::join!(ask(&relay, &asked, hour), next);
        assert_eq!((hung, number), (0, 1));
        assert!(after < PATIENCE * 3, "{after:?}");
    }
}
