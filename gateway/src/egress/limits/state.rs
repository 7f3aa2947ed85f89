//! Everything that is known of one upstream at this moment, under one lock.
//!
//! In go moments and events; out comes who may go. Invariant: whoever goes was allowed by the pause that was asked for, by what
//! the upstream said is left, by the declared rate, and by the number of places, at the same moment.

use super::{
    Need,
    breaker::{Breaker, Circuit},
    budget::Budget,
    pace::Pace,
    pause::Pauses,
    queue::{Fate, Queue},
    quota::{Doubt, Dry, Quota},
};
use crate::{
    egress::{config::EgressConfig, gauges::Gauges, jitter::Lag},
    model::{Kind, Rate},
};
use std::time::Duration;
use tokio::time::Instant;

pub(super) struct State {
    pub running: u32,
    /// Those of them that were answered, and whose bodies are still read: what the upstream says is left counts them already.
    pub answered: u32,
    pub pauses: Pauses,
    pub quota: Quota,
    pub queue: Queue,
    pub breaker: Breaker,
    pub budget: Budget,
    /// When it was last asked.
    pub used: Instant,
    /// The upstream said what is left, and those that wait weren't looked at since.
    pub heard: bool,
    pub pace: Option<Pace>,
    /// By which it comes back later than the upstream says.
    pub lag: Lag,
    concurrency: u32,
}

impl State {
    pub(super) fn new(rate: Option<Rate>, concurrency: u32, config: &EgressConfig) -> Self {
        Self {
            running: 0,
            answered: 0,
            pauses: Pauses::default(),
            quota: Quota::default(),
            queue: Queue::default(),
            breaker: Breaker::new(config.breaker_failures),
            budget: Budget::new(config.retry_percent),
            used: Instant::now(),
            heard: false,
            pace: rate.map(Pace::new),
            lag: Lag::random(),
            concurrency,
        }
    }

    /// Keeps the longer pause. After it, one request goes first.
    pub(super) fn hold(&mut self, kind: Kind, until: Instant) {
        let hold = self.pauses.hold(kind, until);
        self.quota.go_carefully(Doubt::Pause(hold.kind), hold.until);
    }

    /// The same for a pause that we chose ourselves: a window that is dry for longer is known better.
    pub(super) fn hold_untimed(&mut self, kind: Kind, until: Instant) {
        if self.quota.is_dry_beyond(until) {
            self.pauses.hold(kind, until);
        } else {
            self.hold(kind, until);
        }
    }

    /// Until when the upstream asked to be left alone.
    pub(super) fn paused(&self, now: Instant) -> Option<Instant> {
        self.pauses.present(now).map(|hold| hold.until)
    }

    /// An error is the moment until which one can't go, if it is known.
    pub(super) fn ready(&mut self, need: Need, now: Instant) -> Result<(), Option<Instant>> {
        if let Some(until) = self.paused(now) {
            return Err(Some(until));
        }
        if let Err(Dry(at)) = self.quota.check(self.under_way(need), now) {
            return Err(at);
        }
        // A body that is still read keeps its place, though the upstream has counted its request.
        if self.others(need) >= self.concurrency {
            return Err(None);
        }
        match self.pace.as_ref().map(|pace| pace.at(now, 0)).filter(|at| *at > now) {
            Some(at) => Err(Some(at)),
            None => Ok(()),
        }
    }

    pub(super) fn go(&mut self, need: Need, now: Instant) {
        if let Some(pace) = &mut self.pace {
            pace.take(now);
        }
        self.quota.go(now);
        if need == Need::Place {
            self.running += 1;
        }
    }

    /// The place is free again.
    pub(super) const fn gone(&mut self, need: Need) {
        if matches!(need, Need::Place) {
            self.running = self.running.saturating_sub(1);
        }
    }

    /// Lets everybody go, or tells them to leave, whose turn it is by now.
    pub(super) fn moved(&mut self, now: Instant, gauges: &Gauges) {
        let mut at = None;
        while let Some(front) = self.queue.front() {
            let need = front.need;
            let fate = match (self.is_broken(need, now), self.ready(need, now)) {
                (Some(_), _) => Fate::Refused,
                (None, Ok(())) => self.admit(need, now, gauges),
                (None, Err(moment)) => {
                    at = moment;
                    break;
                }
            };
            let Some(ticket) = self.queue.pop() else { break };
            gauges.queued.dec();
            ticket.decide(fate);
        }
        // What holds it up may have changed from what nobody can time to a moment, or to an earlier one.
        self.queue.rouse(at);
    }

    /// Tells those to leave at once whose deadline now passes before their turn.
    pub(super) fn dismiss_late(&mut self, now: Instant, gauges: &Gauges) {
        let mut queue = std::mem::take(&mut self.queue);
        let late = queue.take_late(|need, ahead| self.estimate(need, ahead, now).at);
        self.queue = queue;
        for ticket in late {
            gauges.queued.dec();
            ticket.decide(Fate::Late);
        }
        self.moved(now, gauges);
    }

    /// After a request was answered, or its place is free again: what was heard counts now.
    pub(super) fn settle(&mut self, now: Instant, gauges: &Gauges) {
        self.moved(now, gauges);
        if std::mem::take(&mut self.heard) {
            self.dismiss_late(now, gauges);
        }
    }

    /// How long the circuit stays open. A further request of a turn belongs to one that was let through.
    pub(super) fn is_broken(&self, need: Need, now: Instant) -> Option<Duration> {
        if need == Need::Place { self.breaker.refuses(now) } else { None }
    }

    fn admit(&mut self, need: Need, now: Instant, gauges: &Gauges) -> Fate {
        self.go(need, now);
        let before = self.breaker.circuit();
        // Only a turn can tell afterwards how it went.
        let probes = need == Need::Place && self.breaker.admit();
        gauges.circuit(before, self.breaker.circuit());
        if probes { Fate::Probe } else { Fate::Granted }
    }

    pub(super) fn is_quiet(&self, now: Instant) -> bool {
        let held = self.paused(now).is_some() || self.quota.left(now).is_some();
        let open = matches!(self.breaker.circuit(), Circuit::Open { until } if until > now);
        self.running == 0 && self.queue.is_empty() && !held && !open
    }

    /// Requests beside the one that asks that the upstream may not have counted yet. Whoever needs time alone is one of those
    /// that aren't answered: a turn that was says first that it asks for more.
    pub(super) const fn under_way(&self, need: Need) -> u32 {
        self.others(need).saturating_sub(self.answered)
    }

    const fn others(&self, need: Need) -> u32 {
        match need {
            Need::Place => self.running,
            Need::Time => self.running.saturating_sub(1),
        }
    }
}
