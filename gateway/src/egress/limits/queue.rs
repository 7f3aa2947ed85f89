//! The queue of calls that wait for an upstream: fair between kinds of calls, and in each kind between callers.
//!
//! In go tickets, each in its flow; out comes the one whose turn it is. Invariant: lanes with waiting calls are served in
//! turn, one call each, so that neither reads, nor changes, nor looks at running operations can starve the others; nor can one
//! caller's calls another's of the same lane. Before all of them goes who has a place already: the others wait for it.

use super::Need;
use crate::{
    egress::Flow,
    policy::{Caller, Fair},
};
use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU8, Ordering},
    },
};
use tokio::{sync::Notify, time::Instant};

/// Waiting calls of one upstream: each holds an instance or a client's request, so more would only wait in vain.
pub(super) const MOST: usize = 1024;

const LANES: usize = 3;

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
    /// It is at the front and has set its alarm.
    armed: AtomicBool,
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

    pub(super) fn decide(&self, fate: Fate) {
        self.fate.store(fate as u8, Ordering::Relaxed);
        self.wake.notify_one();
    }

    pub(super) fn arm(&self, armed: bool) {
        self.armed.store(armed, Ordering::Relaxed);
    }
}

#[derive(Default)]
pub(super) struct Queue {
    /// Further requests of turns that were given.
    further: VecDeque<Arc<Ticket>>,
    lanes: [Fair<Caller, Arc<Ticket>>; LANES],
    /// The lane whose turn it is.
    next: usize,
}

impl Queue {
    pub(super) fn len(&self) -> usize {
        self.further.len() + self.lanes.iter().map(Fair::len).sum::<usize>()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(super) fn push(&mut self, need: Need, flow: Flow, deadline: Instant) -> Arc<Ticket> {
        let (wake, fate, armed) = (Notify::new(), AtomicU8::new(Fate::Waiting as u8), AtomicBool::new(false));
        let ticket = Arc::new(Ticket { need, flow, wake, deadline, fate, armed });
        match need {
            Need::Time => self.further.push_back(Arc::clone(&ticket)),
            Need::Place => self.lanes[flow.lane as usize].push(flow.caller, Arc::clone(&ticket)),
        }
        ticket
    }

    /// How many go before the next one that joins this flow, if nobody leaves and nobody joins.
    pub(super) fn ahead(&self, need: Need, flow: Flow) -> u32 {
        let ahead = match need {
            Need::Time => self.further.len(),
            Need::Place => self.place(flow.lane as usize, self.lanes[flow.lane as usize].ahead(flow.caller)),
        };
        u32::try_from(ahead).unwrap_or(u32::MAX)
    }

    /// Whether one that joins this flow goes before others of its lane, which wait longer then.
    pub(super) fn is_overtaken(&self, flow: Flow) -> bool {
        let lane = &self.lanes[flow.lane as usize];
        lane.ahead(flow.caller) < lane.len() || self.lanes.iter().any(|other| other.len() > lane.len())
    }

    /// Takes out those whose deadline passes before their turn; `at` tells when the one behind so many others can go.
    pub(super) fn take_late(&mut self, at: impl Fn(u32) -> Instant) -> Vec<(Arc<Ticket>, ())> {
        let mut late = Vec::new();
        for lane in 0..LANES {
            let mut own = std::mem::take(&mut self.lanes[lane]);
            late.extend(own.take(|before, ticket| {
                let ahead = u32::try_from(self.place(lane, before)).unwrap_or(u32::MAX);
                (at(ahead) > ticket.deadline).then_some(())
            }));
            self.lanes[lane] = own;
        }
        late
    }

    /// How many go before one that has so many of its own lane before it.
    fn place(&self, lane: usize, own: usize) -> usize {
        let others = self.lanes.iter().enumerate().filter(|(index, _)| *index != lane);
        self.further.len() + own + others.map(|(_, lane)| lane.len().min(own + 1)).sum::<usize>()
    }

    pub(super) fn front(&self) -> Option<&Arc<Ticket>> {
        self.further.front().or_else(|| self.lanes[self.lane()?].front())
    }

    pub(super) fn pop(&mut self) -> Option<Arc<Ticket>> {
        if let Some(further) = self.further.pop_front() {
            return Some(further);
        }
        let lane = self.lane()?;
        self.next = (lane + 1) % LANES;
        self.lanes[lane].pop()
    }

    pub(super) fn remove(&mut self, ticket: &Arc<Ticket>) {
        match ticket.need {
            Need::Time => self.further.retain(|other| !Arc::ptr_eq(other, ticket)),
            Need::Place => {
                drop(self.lanes[ticket.flow.lane as usize].take(|_, other| Arc::ptr_eq(other, ticket).then_some(())))
            }
        }
    }

    /// Has the one at the front set its alarm, unless it did.
    pub(super) fn rouse(&self) {
        if let Some(front) = self.front()
            && !front.armed.swap(true, Ordering::Relaxed)
        {
            front.wake.notify_one();
        }
    }

    fn lane(&self) -> Option<usize> {
        (0..LANES).map(|step| (self.next + step) % LANES).find(|lane| !self.lanes[*lane].is_empty())
    }
}
