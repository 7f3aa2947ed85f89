//! One question at a time: callers that want the same answer wait for the same call.
//!
//! In go a key, since when a call may be under way, and a way to ask; out comes a future of the outcome, the same for everyone who
//! joins. Invariant: the call runs in a task of its own, so it ends whoever leaves; its key is free again when it has ended, also
//! by a panic; nobody joins one that began too early for them, and of several under way the newest is joined.

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
use tokio::time::Instant;

type Outcome<T> = Result<T, Arc<Error>>;
/// The outcome of a call, for everyone who waits for it.
pub type Flight<T> = Shared<BoxFuture<'static, Outcome<T>>>;

struct UnderWay<T> {
    /// No other call of its key began then: one takes its place only for who wants a later one.
    began: Instant,
    flight: Flight<T>,
}

/// Calls under way, by key.
pub struct Flights<K, T>(Arc<Mutex<HashMap<K, UnderWay<T>>>>);

impl<K, T> Default for Flights<K, T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<K: Clone + Eq + Hash + Send + 'static, T: Clone + Send + Sync + 'static> Flights<K, T> {
    /// Joins the call for `key` if it began no earlier than `since`, or begins one. True when it was under way already.
    pub fn join<F>(&self, key: &K, since: Option<Instant>, ask: impl FnOnce() -> F) -> (bool, Flight<T>)
    where
        F: Future<Output = Result<T, Error>> + Send + 'static,
    {
        let mut flights = lock(&self.0);
        let recent = flights.get(key).filter(|one| since.is_none_or(|since| one.began >= since));
        if let Some(under_way) = recent {
            return (true, under_way.flight.clone());
        }
        let began = Instant::now();
        let landing = Landing { flights: Arc::clone(&self.0), key: key.clone(), began };
        let asked = ask();
        let task = tokio::spawn(async move {
            let outcome = asked.await;
            drop(landing);
            outcome.map_err(Arc::new)
        });
        let ended = |error| Err(Arc::new(Error::gateway(format_args!("a read ended early: {error}"))));
        let flight = task.map(move |joined| joined.unwrap_or_else(ended)).boxed().shared();
        flights.insert(key.clone(), UnderWay { began, flight: flight.clone() });
        (false, flight)
    }
}

/// Frees the key, whichever way the task ends, unless a later call has it.
struct Landing<K: Eq + Hash, T> {
    flights: Arc<Mutex<HashMap<K, UnderWay<T>>>>,
    key: K,
    began: Instant,
}

impl<K: Eq + Hash, T> Drop for Landing<K, T> {
    fn drop(&mut self) {
        let mut flights = lock(&self.flights);
        if flights.get(&self.key).is_some_and(|one| one.began == self.began) {
            flights.remove(&self.key);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        sync::atomic::{AtomicU32, Ordering},
        time::Duration,
    };
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
        let waiting: Vec<_> = (0..1000).map(|_| flights.join(&1, None, ask)).collect();
        assert_eq!(waiting.iter().filter(|(joined, _)| *joined).count(), 999);
        // The first one leaves; the call goes on.
        let mut waiting = waiting.into_iter();
        drop(waiting.next());
        gate.add_permits(10);
        for (_, flight) in waiting {
            assert_eq!(flight.await.unwrap(), 0);
        }
        let (joined, flight) = flights.join(&1, None, ask);
        assert_eq!((joined, flight.await.unwrap()), (false, 1));
    }

    #[tokio::test]
    async fn a_panic_frees_the_key() {
        let flights = Flights::<u8, u32>::default();
        let (_, flight) = flights.join(&1, None, || async { panic!("on purpose") });
        assert_eq!(flight.await.unwrap_err().kind, crate::model::Kind::Gateway);
        let (joined, flight) = flights.join(&1, None, || async { Ok(7) });
        assert_eq!((joined, flight.await.unwrap()), (false, 7));
    }

    #[tokio::test(start_paused = true)]
    async fn who_wants_a_later_call_begins_it_and_the_earlier_one_leaves_it_alone() {
        let flights = Flights::<u8, u32>::default();
        let ask = |number, gate: &Arc<Semaphore>| {
            let gate = Arc::clone(gate);
            move || async move {
                let _pass = gate.acquire().await.unwrap();
                Ok(number)
            }
        };
        let gates = [(); 2].map(|()| Arc::new(Semaphore::new(0)));
        let start = Instant::now();
        let (_, early) = flights.join(&1, None, ask(1, &gates[0]));
        let (joined, _) = flights.join(&1, Some(start), ask(0, &gates[0]));
        assert!(joined, "it began no earlier");
        tokio::time::advance(Duration::from_secs(5)).await;
        let (joined, late) = flights.join(&1, Some(start + Duration::from_secs(1)), ask(2, &gates[1]));
        assert!(!joined);
        gates[0].add_permits(1);
        assert_eq!(early.await.unwrap(), 1);
        // The key is the later one's still.
        let (joined, also) = flights.join(&1, None, ask(3, &gates[1]));
        gates[1].add_permits(1);
        assert_eq!((joined, late.await.unwrap(), also.await.unwrap()), (true, 2, 2));
    }
}
