//! The timer queue: which operation is due next, and whose turn it is.
//!
//! In go operations, whose they are, and when to look at them; out come those that are due, one at a time: organizations in turn, and
//! of each its own as they became due. An operation that sleeps between polls costs an entry here and nothing else. Invariant: an
//! operation is known at most once, so no two steps of it run together; and an organization is given a step only while it has fewer
//! than are free (dynamic thresholds, Choudhury and Hahne, 1998): half of them alone, an equal share among others that are as busy,
//! with one more share free for who comes. What is due is never looked through, however much it is: only organizations that have
//! steps already are passed over. It remembers nothing across a restart: the store does.

use crate::model::{OperationId, OrganizationId};
use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap, VecDeque},
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
    pub organization: OrganizationId,
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

pub struct Queue {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    /// Steps that may be taken besides those that are.
    free: usize,
    /// When sleepers will be due. May name tickets that are void: only those in `sleeping` count.
    times: BinaryHeap<Reverse<(Instant, u64)>>,
    sleeping: HashMap<u64, Task>,
    lines: HashMap<OrganizationId, Line>,
    /// Those with something due, in the order of turns.
    turns: VecDeque<OrganizationId>,
    known: HashMap<OperationId, Place>,
    tickets: u64,
}

/// What an organization has besides sleepers.
#[derive(Default)]
struct Line {
    /// Steps that are being taken.
    busy: usize,
    due: VecDeque<Task>,
}

enum Place {
    Sleeping(u64),
    Due,
    /// A step is being taken; `hurry`: the next one is due at once, whatever it says.
    Busy {
        hurry: bool,
    },
}

impl State {
    fn sleep(&mut self, task: Task, until: Instant) {
        self.tickets += 1;
        self.times.push(Reverse((until, self.tickets)));
        self.known.insert(task.id.clone(), Place::Sleeping(self.tickets));
        self.sleeping.insert(self.tickets, task);
    }

    /// It is due from now on, behind those that were due before.
    fn line_up(&mut self, task: Task, now: Instant) {
        self.wake(now);
        self.push(task);
    }

    /// Sleepers whose time has come are lined up.
    fn wake(&mut self, now: Instant) {
        while let Some(&Reverse((at, ticket))) = self.times.peek() {
            if at > now && self.sleeping.contains_key(&ticket) {
                return;
            }
            self.times.pop();
            if let Some(task) = self.sleeping.remove(&ticket) {
                self.push(task);
            }
        }
    }

    fn push(&mut self, task: Task) {
        self.known.insert(task.id.clone(), Place::Due);
        let line = self.lines.entry(task.organization).or_default();
        if line.due.is_empty() {
            self.turns.push_back(task.organization);
        }
        line.due.push_back(task);
    }

    /// A task that is due and may begin, or when the next sleeper will be due.
    fn pop(&mut self, now: Instant) -> Result<Task, Option<Instant>> {
        self.wake(now);
        let task = self.turn().and_then(|organization| self.begin(organization));
        task.ok_or_else(|| self.times.peek().map(|&Reverse((at, _))| at))
    }

    /// Whose turn it is. Who is passed over has steps already, and keeps its place; so no more are passed over than steps are taken.
    fn turn(&mut self) -> Option<OrganizationId> {
        if self.free == 0 {
            return None;
        }
        let may_begin = |organization: &OrganizationId| self.lines.get(organization).is_some_and(|line| line.busy < self.free);
        let place = self.turns.iter().position(may_begin)?;
        self.turns.remove(place)
    }

    fn begin(&mut self, organization: OrganizationId) -> Option<Task> {
        let line = self.lines.get_mut(&organization)?;
        let task = line.due.pop_front()?;
        line.busy += 1;
        self.free -= 1;
        if !line.due.is_empty() {
            self.turns.push_back(organization);
        }
        self.known.insert(task.id.clone(), Place::Busy { hurry: false });
        Some(task)
    }

    /// Its step has been taken. Whether the next one is due at once.
    fn end(&mut self, task: &Task) -> bool {
        let Some(Place::Busy { hurry }) = self.known.remove(&task.id) else { return false };
        self.free += 1;
        if let Some(line) = self.lines.get_mut(&task.organization) {
            line.busy -= 1;
            if line.busy == 0 && line.due.is_empty() {
                self.lines.remove(&task.organization);
            }
        }
        hurry
    }

    /// Whether something became due.
    fn hasten(&mut self, id: &OperationId) -> bool {
        match self.known.get_mut(id) {
            Some(Place::Busy { hurry }) => *hurry = true,
            Some(Place::Sleeping(ticket)) => {
                let ticket = *ticket;
                if let Some(task) = self.sleeping.remove(&ticket) {
                    self.line_up(task, Instant::now());
                    return true;
                }
            }
            Some(Place::Due) | None => {}
        }
        false
    }
}

impl Queue {
    /// Gives out so many steps at the same time at most.
    pub fn new(steps: usize) -> Self {
        Self { state: Mutex::new(State { free: steps, ..State::default() }), changed: Notify::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes it due at once, unless it is known already.
    pub fn enter(&self, id: &OperationId, organization: OrganizationId) {
        let mut state = self.state();
        if !state.known.contains_key(id) {
            state.line_up(Task { id: id.clone(), organization, tries: Tries::default() }, Instant::now());
            drop(state);
            self.changed.notify_one();
        }
    }

    /// The next whose turn it is; it is busy until [`Queue::again`] or [`Queue::forget`]. May be dropped while it waits.
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
        let (hurry, now) = (state.end(&task), Instant::now());
        if hurry || at <= now {
            state.line_up(task, now);
        } else {
            state.sleep(task, at);
        }
        drop(state);
        self.changed.notify_one();
    }

    /// A busy one has come to its end, and others may have waited for that.
    pub fn forget(&self, task: &Task) {
        self.state().end(task);
        self.changed.notify_one();
    }

    /// Makes a sleeping one due at once, and a busy one as soon as its step is taken.
    pub fn hasten(&self, id: &OperationId) {
        if self.state().hasten(id) {
            self.changed.notify_one();
        }
    }
}

#[cfg(test)]
mod tests;
