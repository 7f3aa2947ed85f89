//! One question at a time: callers that want the same answer wait for the same call.
//!
//! In go a key and a way to ask; out comes a future of the outcome, the same for everyone who joins. Invariant: the call runs in a
//! task of its own, so it ends whoever leaves; its key is free again when it has ended, also by a panic.

use crate::model::Error;
use futures_util::{
    FutureExt as _,
    future::{BoxFuture, Shared},
};
use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

type Outcome<T> = Result<T, Arc<Error>>;
/// The outcome of a call, for everyone who waits for it.
pub type Flight<T> = Shared<BoxFuture<'static, Outcome<T>>>;

/// Calls under way, by key.
pub struct Flights<K, T>(Arc<Mutex<HashMap<K, Flight<T>>>>);

impl<K, T> Default for Flights<K, T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<K: Clone + Eq + Hash + Send + 'static, T: Clone + Send + Sync + 'static> Flights<K, T> {
    /// Joins the call for `key`, or begins it. True when it was under way already.
    pub fn join<F>(&self, key: &K, ask: impl FnOnce() -> F) -> (bool, Flight<T>)
    where
        F: Future<Output = Result<T, Error>> + Send + 'static,
    {
        self.join_until(key, |hold| {
            let asked = ask();
            async move {
                let hold = hold.while_it_runs();
                let outcome = asked.await;
                drop(hold);
                outcome
            }
        })
    }

    /// The same, but nobody joins any more once the call has let its key go.
    pub fn join_until<F>(&self, key: &K, ask: impl FnOnce(Hold<K, T>) -> F) -> (bool, Flight<T>)
    where
        F: Future<Output = Result<T, Error>> + Send + 'static,
    {
        let mut flights = lock(&self.0);
        if let Some(flight) = flights.get(key) {
            return (true, flight.clone());
        }
        let asked = ask(Hold { flights: Arc::clone(&self.0), key: key.clone() });
        let task = tokio::spawn(async move { asked.await.map_err(Arc::new) });
        let ended = |error| Err(Arc::new(Error::gateway(format_args!("a read ended early: {error}"))));
        let flight = task.map(move |joined| joined.unwrap_or_else(ended)).boxed().shared();
        flights.insert(key.clone(), flight.clone());
        (false, flight)
    }
}

/// A call's hold on its key, before it runs.
pub struct Hold<K, T> {
    flights: Arc<Mutex<HashMap<K, Flight<T>>>>,
    key: K,
}

impl<K: Eq + Hash, T> Hold<K, T> {
    /// To be called in the task: at the end of the process that is dropped where it is spawned, which is under the lock.
    pub fn while_it_runs(self) -> Landing<K, T> {
        Landing(self)
    }
}

/// Frees the key, whichever way the task ends.
pub struct Landing<K: Eq + Hash, T>(Hold<K, T>);

impl<K: Eq + Hash, T> Drop for Landing<K, T> {
    fn drop(&mut self) {
        lock(&self.0.flights).remove(&self.0.key);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};
    use tokio::sync::Semaphore;

    #[tokio::test]
    async fn a_thousand_callers_make_one_call_and_the_next_one_makes_another() {
        let (flights, asked) = (Flights::<u8, u32>::default(), Arc::new(AtomicU32::new(0)));
        let gate = Arc::new(Semaphore::new(0));
        let ask = || {
            let (asked, gate) = (Arc::clone(&asked), Arc::clone(&gate));
            async move {
                let _pass = gate.acquire().await.unwrap();
                Ok(asked.fetch_add(1, Ordering::Relaxed))
            }
        };
        let waiting: Vec<_> = (0..1000).map(|_| flights.join(&1, ask)).collect();
        assert_eq!(waiting.iter().filter(|(joined, _)| *joined).count(), 999);
        // The first one leaves; the call goes on.
        let mut waiting = waiting.into_iter();
        drop(waiting.next());
        gate.add_permits(10);
        for (_, flight) in waiting {
            assert_eq!(flight.await.unwrap(), 0);
        }
        let (joined, flight) = flights.join(&1, ask);
        assert_eq!((joined, flight.await.unwrap()), (false, 1));
    }

    #[tokio::test]
    async fn a_panic_frees_the_key() {
        let flights = Flights::<u8, u32>::default();
        let (_, flight) = flights.join(&1, || async { panic!("on purpose") });
        assert_eq!(flight.await.unwrap_err().kind, crate::model::Kind::Gateway);
        let (joined, flight) = flights.join(&1, || async { Ok(7) });
        assert_eq!((joined, flight.await.unwrap()), (false, 7));
    }
}
