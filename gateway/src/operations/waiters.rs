//! Who waits for which operation to end, in this process.
//!
//! In go ids; out come wake-ups. Invariant: an entry lives as long as somebody waits, so that waiting costs nothing afterwards.
//! It tells that an operation ended, never how: the store knows.

use crate::model::OperationId;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::{
    sync::watch,
    time::{Instant, timeout_at},
};

type Senders = HashMap<OperationId, watch::Sender<()>>;

#[derive(Default)]
pub struct Waiters {
    senders: Arc<Mutex<Senders>>,
}

/// One that waits; dropping it ends the wait.
pub struct Waiter {
    receiver: Option<watch::Receiver<()>>,
    id: OperationId,
    senders: Arc<Mutex<Senders>>,
}

fn lock(senders: &Mutex<Senders>) -> MutexGuard<'_, Senders> {
    senders.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Waiters {
    /// Ask for the state after this: an end in between is then not missed.
    pub fn subscribe(&self, id: &OperationId) -> Waiter {
        let mut senders = lock(&self.senders);
        let sender = senders.entry(id.clone()).or_insert_with(|| watch::channel(()).0);
        Waiter { receiver: Some(sender.subscribe()), id: id.clone(), senders: Arc::clone(&self.senders) }
    }

    pub fn finished(&self, id: &OperationId) {
        // Dropping the sender wakes everyone.
        lock(&self.senders).remove(id);
    }
}

impl Waiter {
    /// False: the deadline came first.
    pub async fn finished_before(&mut self, deadline: Instant) -> bool {
        match &mut self.receiver {
            Some(receiver) => timeout_at(deadline, receiver.changed()).await.is_ok(),
            None => false,
        }
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        let mut senders = lock(&self.senders);
        self.receiver = None;
        if senders.get(&self.id).is_some_and(|sender| sender.receiver_count() == 0) {
            senders.remove(&self.id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test(start_paused = true)]
    async fn wakes_everyone_and_keeps_nothing() {
        let (waiters, id) = (Waiters::default(), OperationId::generate());
        let deadline = Instant::now() + Duration::from_secs(5);
        let (mut one, mut two) = (waiters.subscribe(&id), waiters.subscribe(&id));
        waiters.finished(&id);
        assert!(one.finished_before(deadline).await && two.finished_before(deadline).await);
        let (mut late, other) = (waiters.subscribe(&id), waiters.subscribe(&id));
        assert!(!late.finished_before(deadline).await);
        drop(late);
        assert_eq!(lock(&waiters.senders).len(), 1);
        drop(other);
        assert_eq!(lock(&waiters.senders).len(), 0);
    }
}
