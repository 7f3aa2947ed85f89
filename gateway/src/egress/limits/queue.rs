//! The queue of calls that wait for an upstream: in the order in which they came, and fair between kinds of calls.
//!
//! In go tickets, each in its lane; out comes the one whose turn it is. Invariant: lanes with waiting calls are served in
//! turn, one call each, so that neither reads, nor changes, nor looks at running operations can starve the others. Before all of
//! them goes who has a place already: the others wait for it.

use super::Need;
use crate::egress::Lane;
use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU8, Ordering},
    },
};
use tokio::sync::Notify;

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
}

/// One waiting call. It is read and changed under the lock of the state that holds the queue.
pub(super) struct Ticket {
    pub need: Need,
    pub wake: Notify,
    lane: Lane,
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
            _ => Fate::Refused,
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
    lanes: [VecDeque<Arc<Ticket>>; LANES],
    /// The lane whose turn it is.
    next: usize,
}

impl Queue {
    pub(super) fn len(&self) -> usize {
        self.further.len() + self.lanes.iter().map(VecDeque::len).sum::<usize>()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(super) fn push(&mut self, lane: Lane, need: Need) -> Arc<Ticket> {
        let (wake, fate, armed) = (Notify::new(), AtomicU8::new(Fate::Waiting as u8), AtomicBool::new(false));
        let ticket = Arc::new(Ticket { need, wake, lane, fate, armed });
        self.own(need, lane).push_back(Arc::clone(&ticket));
        ticket
    }

    /// How many go before the next one that joins this lane, if nobody leaves and nobody joins another.
    pub(super) fn ahead(&self, need: Need, lane: Lane) -> u32 {
        let further = self.further.len();
        if need == Need::Time {
            return u32::try_from(further).unwrap_or(u32::MAX);
        }
        let own = self.lanes[lane as usize].len();
        let others = self.lanes.iter().enumerate().filter(|(index, _)| *index != lane as usize);
        let ahead = further + own + others.map(|(_, lane)| lane.len().min(own + 1)).sum::<usize>();
        u32::try_from(ahead).unwrap_or(u32::MAX)
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
        self.lanes[lane].pop_front()
    }

    pub(super) fn remove(&mut self, ticket: &Arc<Ticket>) {
        self.own(ticket.need, ticket.lane).retain(|other| !Arc::ptr_eq(other, ticket));
    }

    /// Has the one at the front set its alarm, unless it did.
    pub(super) fn rouse(&self) {
        if let Some(front) = self.front()
            && !front.armed.swap(true, Ordering::Relaxed)
        {
            front.wake.notify_one();
        }
    }

    fn own(&mut self, need: Need, lane: Lane) -> &mut VecDeque<Arc<Ticket>> {
        match need {
            Need::Time => &mut self.further,
            Need::Place => &mut self.lanes[lane as usize],
        }
    }

    fn lane(&self) -> Option<usize> {
        (0..LANES).map(|step| (self.next + step) % LANES).find(|lane| !self.lanes[*lane].is_empty())
    }
}
