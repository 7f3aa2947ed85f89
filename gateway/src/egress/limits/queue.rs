//! The queue of calls that wait for an upstream.
//!
//! In go tickets, each in its flow; out comes the one whose turn it is. Invariant: lanes and callers are served in turn
//! ([`Lanes`]), and before all of them goes who has a place already: the others wait for it. Whoever is at the front looks again no
//! later than at the moment that is known to let it go.

use super::Need;
use crate::egress::{Flow, Lanes};
use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
};
use tokio::{sync::Notify, time::Instant};

/// Waiting calls of one upstream: each holds an instance or a client's request, so more would only wait in vain.
pub(super) const MOST: usize = 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Waiting,
    Granted,
    /// Granted, as the one that finds out whether the upstream is back.
    Probe,
    Refused,
    /// Others came before it, or the upstream asked for a pause: its deadline can't be met any more.
    Late,
}

/// One waiting call. It is read and changed under the lock of the state that holds the queue.
pub(super) struct Ticket {
    pub need: Need,
    pub flow: Flow,
    pub wake: Notify,
    deadline: Instant,
    fate: AtomicU8,
}

impl Ticket {
    pub(super) fn fate(&self) -> Fate {
        match self.fate.load(Ordering::Relaxed) {
            0 => Fate::Waiting,
            1 => Fate::Granted,
            2 => Fate::Probe,
            3 => Fate::Refused,
            _ => Fate::Late,
        }
    }

    fn at_last(&self, at: Option<Instant>) -> Instant {
        at.map_or(self.deadline, |at| at.min(self.deadline))
    }

    pub(super) fn decide(&self, fate: Fate) {
        self.fate.store(fate as u8, Ordering::Relaxed);
        self.wake.notify_one();
    }
}

#[derive(Default)]
pub(super) struct Queue {
    /// Further requests of turns that were given.
    further: VecDeque<Arc<Ticket>>,
    lanes: Lanes<Arc<Ticket>>,
    /// Who looks again by itself, and when.
    alarm: Option<(Arc<Ticket>, Instant)>,
}

impl Queue {
    pub(super) fn len(&self) -> usize {
        self.further.len() + self.lanes.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.further.is_empty() && self.lanes.is_empty()
    }

    pub(super) fn push(&mut self, need: Need, flow: Flow, deadline: Instant) -> Arc<Ticket> {
        let (wake, fate) = (Notify::new(), AtomicU8::new(Fate::Waiting as u8));
        let ticket = Arc::new(Ticket { need, flow, wake, deadline, fate });
        match need {
            Need::Time => self.further.push_back(Arc::clone(&ticket)),
            Need::Place => self.lanes.push(flow, Arc::clone(&ticket)),
        }
        ticket
    }

    /// How many go before the next one that joins this flow, if nobody leaves and nobody joins.
    pub(super) fn ahead(&self, need: Need, flow: Flow) -> u32 {
        let further = self.further.len();
        count(if need == Need::Time { further } else { further + self.lanes.ahead(flow) })
    }

    /// Takes out those whose deadline passes before their turn; `at` tells when one with this need behind so many can go.
    pub(super) fn take_late(&mut self, at: impl Fn(Need, u32) -> Instant) -> VecDeque<Arc<Ticket>> {
        let is_late = |ahead: usize, ticket: &Ticket| at(ticket.need, count(ahead)) > ticket.deadline;
        let mut late = VecDeque::new();
        for ticket in std::mem::take(&mut self.further) {
            let line = if is_late(self.further.len(), &ticket) { &mut late } else { &mut self.further };
            line.push_back(ticket);
        }
        let further = self.further.len();
        let others = self.lanes.take(|before, ticket| is_late(further + before, ticket).then_some(()));
        late.extend(others.into_iter().map(|(ticket, ())| ticket));
        late
    }

    pub(super) fn front(&self) -> Option<&Arc<Ticket>> {
        self.further.front().or_else(|| self.lanes.front())
    }

    pub(super) fn pop(&mut self) -> Option<Arc<Ticket>> {
        self.further.pop_front().or_else(|| self.lanes.pop())
    }

    pub(super) fn remove(&mut self, ticket: &Arc<Ticket>) {
        match ticket.need {
            Need::Time => self.further.retain(|other| !Arc::ptr_eq(other, ticket)),
            Need::Place => drop(self.lanes.take(|_, other| Arc::ptr_eq(other, ticket).then_some(()))),
        }
    }

    /// When this one looks again, if nobody wakes it: at the front, when it may go (`at`, if that is known).
    pub(super) fn arm(&mut self, ticket: &Arc<Ticket>, at: Option<Instant>) -> Instant {
        if !self.front().is_some_and(|front| Arc::ptr_eq(front, ticket)) {
            return ticket.deadline;
        }
        let alarm = ticket.at_last(at);
        self.alarm = Some((Arc::clone(ticket), alarm));
        alarm
    }

    /// Wakes the one at the front unless it looks again by then: `at` is when it may go, if that is known.
    pub(super) fn rouse(&mut self, at: Option<Instant>) {
        let Some(front) = self.front() else {
            self.alarm = None;
            return;
        };
        let alarm = front.at_last(at);
        let is_set = |(who, when): &(Arc<Ticket>, Instant)| Arc::ptr_eq(who, front) && *when <= alarm;
        if !self.alarm.as_ref().is_some_and(is_set) {
            front.wake.notify_one();
            self.alarm = Some((Arc::clone(front), alarm));
        }
    }
}

fn count(ahead: usize) -> u32 {
    u32::try_from(ahead).unwrap_or(u32::MAX)
}
