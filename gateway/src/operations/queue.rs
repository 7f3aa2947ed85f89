//! The timer queue: which operation is due next.
//!
//! In go operations and when to look at them; out come those that are due, one at a time. An operation that sleeps between polls
//! costs an entry here and nothing else. Invariant: an operation is known at most once, so no two steps of it run together.
//! It remembers nothing across a restart: the store does.

use crate::model::OperationId;
use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap},
    sync::{Mutex, MutexGuard, PoisonError},
};
use tokio::{
    sync::Notify,
    time::{Instant, sleep_until},
};

/// An operation that is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Task {
    pub id: OperationId,
    pub tries: Tries,
}

/// What was in vain since something last worked. A restart forgets it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tries {
    /// Of whatever kind: the pauses grow with it.
    pub failed: u32,
    /// Calls that had sent something of which a look-up found nothing.
    pub absent: u32,
}

impl Tries {
    pub const fn failed_again(self) -> Self {
        Self { failed: self.failed.saturating_add(1), ..self }
    }

    pub const fn absent_again(self) -> Self {
        Self { absent: self.absent.saturating_add(1), ..self.failed_again() }
    }
}

#[derive(Default)]
pub struct Queue {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    /// May name tickets that are void: only those in `waiting` count.
    due: BinaryHeap<Reverse<(Instant, u64)>>,
    waiting: HashMap<u64, Task>,
    known: HashMap<OperationId, Place>,
    tickets: u64,
}

enum Place {
    Waiting(u64),
    /// A step is being taken; `hurry`: the next one is due at once, whatever it says.
    Busy {
        hurry: bool,
    },
}

impl State {
    fn wait(&mut self, task: Task, at: Instant) {
        self.tickets += 1;
        self.due.push(Reverse((at, self.tickets)));
        self.known.insert(task.id.clone(), Place::Waiting(self.tickets));
        self.waiting.insert(self.tickets, task);
    }

    /// A task that is due, or when the next one will be.
    fn pop(&mut self, now: Instant) -> Result<Task, Option<Instant>> {
        while let Some(&Reverse((at, ticket))) = self.due.peek() {
            if at > now && self.waiting.contains_key(&ticket) {
                return Err(Some(at));
            }
            self.due.pop();
            if let Some(task) = self.waiting.remove(&ticket) {
                self.known.insert(task.id.clone(), Place::Busy { hurry: false });
                return Ok(task);
            }
        }
        Err(None)
    }
}

impl Queue {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes it due at once, unless it is known already.
    pub fn enter(&self, id: &OperationId) {
        let mut state = self.state();
        if !state.known.contains_key(id) {
            state.wait(Task { id: id.clone(), tries: Tries::default() }, Instant::now());
            drop(state);
            self.changed.notify_one();
        }
    }

    /// The next that is due; it is busy until [`Queue::again`] or [`Queue::forget`]. May be dropped while it waits.
    pub async fn next(&self) -> Task {
        loop {
            let next = self.state().pop(Instant::now());
            match next {
                Ok(task) => return task,
                Err(None) => self.changed.notified().await,
                Err(Some(at)) => tokio::select! {
                    () = sleep_until(at) => {}
                    () = self.changed.notified() => {}
                },
            }
        }
    }

    /// A busy one sleeps until `at`.
    pub fn again(&self, task: Task, at: Instant) {
        let mut state = self.state();
        let hurry = matches!(state.known.get(&task.id), Some(Place::Busy { hurry: true }));
        state.wait(task, if hurry { Instant::now() } else { at });
        drop(state);
        self.changed.notify_one();
    }

    pub fn forget(&self, id: &OperationId) {
        self.state().known.remove(id);
    }

    /// Makes a sleeping one due at once, and a busy one as soon as its step is taken.
    pub fn hasten(&self, id: &OperationId) {
        let mut state = self.state();
        match state.known.get_mut(id) {
            Some(Place::Busy { hurry }) => *hurry = true,
            Some(Place::Waiting(ticket)) => {
                let ticket = *ticket;
                if let Some(task) = state.waiting.remove(&ticket) {
                    state.wait(task, Instant::now());
                }
                drop(state);
                self.changed.notify_one();
            }
            None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn ids(count: usize) -> Vec<OperationId> {
        (0..count).map(|_| OperationId::generate()).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn sleepers_come_when_they_are_due_and_once() {
        let (queue, ids) = (Queue::default(), ids(3));
        let start = Instant::now();
        for id in &ids {
            queue.enter(id);
            queue.enter(id);
        }
        for (index, id) in ids.iter().enumerate() {
            let task = queue.next().await;
            assert_eq!(&task.id, id);
            queue.enter(id);
            queue.again(Task { tries: task.tries.failed_again(), ..task }, start + Duration::from_secs(30 - index as u64));
        }
        queue.forget(&ids[2]);
        for (id, after) in [(&ids[2], 28), (&ids[1], 29), (&ids[0], 30)] {
            let task = queue.next().await;
            assert_eq!((&task.id, task.tries.failed, start.elapsed().as_secs()), (id, 1, after));
        }
        assert!(tokio::time::timeout(Duration::from_secs(60), queue.next()).await.is_err(), "something came twice");
    }

    #[tokio::test(start_paused = true)]
    async fn hurrying_wakes_sleepers_and_outlasts_a_step() {
        let (queue, ids) = (Queue::default(), ids(1));
        let (start, later) = (Instant::now(), Instant::now() + Duration::from_secs(50));
        queue.enter(&ids[0]);
        let task = queue.next().await;
        queue.again(task, later);
        queue.hasten(&ids[0]);
        let task = queue.next().await;
        queue.hasten(&ids[0]);
        queue.again(task, later);
        let task = queue.next().await;
        assert_eq!(start.elapsed(), Duration::ZERO);
        queue.again(task, later);
        queue.next().await;
        assert_eq!(start.elapsed().as_secs(), 50, "a hurry that was served must not be served again");
    }
}
