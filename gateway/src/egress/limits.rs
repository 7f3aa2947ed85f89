//! Courtesy to one upstream of one connection: how fast, how many at once, and when not at all.
//!
//! In go what was declared, what the upstream says in its answers, and calls with their deadlines; a [`Turn`] comes out when it
//! is a call's turn, or an error as soon as it is known that its deadline passes first. Invariant: a call that was refused here was
//! not sent. Waiting costs no task: the call at the front of the queue keeps the alarm for all.

mod breaker;
mod budget;
mod bulk;
mod heed;
mod judge;
mod outlook;
mod pace;
mod pause;
mod queue;
mod quota;
mod refusal;
mod report;
mod state;
#[cfg(test)]
mod tests;
mod turn;

pub(super) use breaker::{Circuit, Verdict};
pub(super) use judge::Whose;
pub(super) use refusal::Why;
pub use report::{BreakerReport, BreakerState, LimitsReport, RateReport};
pub(super) use turn::{Further, Turn};

use super::{Flow, config::EgressConfig, gauges::Gauges};
use crate::model::{Error, Rate};
use bulk::Bulk;
use queue::{Fate, Ticket};
use state::State;
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::time::{Instant, sleep_until};

/// What a waiting request needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    /// One of the places, and the time to use it.
    Place,
    /// The time alone: it has a place already (a redirect).
    Time,
}

pub(super) struct Limits {
    whose: Whose,
    rate: Option<Rate>,
    concurrency: u32,
    gauges: Gauges,
    bulk: Arc<Bulk>,
    state: Mutex<State>,
}

impl Limits {
    pub(super) fn new(whose: Whose, rate: Option<Rate>, concurrency: u32, config: &EgressConfig, gauges: Gauges) -> Arc<Self> {
        // The other half is for what takes a moment. Where there is one place alone, all share it.
        Self::with(Bulk::new(concurrency.div_ceil(2)), whose, rate, concurrency, config, gauges)
    }

    /// Of a place where nothing goes but bulk transfers.
    pub(super) fn of_blobs(whose: Whose, config: &EgressConfig, gauges: Gauges) -> Arc<Self> {
        let places = config.concurrency;
        Self::with(Bulk::new(places), whose, None, places, config, gauges)
    }

    fn with(
        bulk: Arc<Bulk>,
        whose: Whose,
        rate: Option<Rate>,
        concurrency: u32,
        config: &EgressConfig,
        gauges: Gauges,
    ) -> Arc<Self> {
        let state = Mutex::new(State::new(rate, concurrency, config));
        Arc::new(Self { whose, rate, concurrency, gauges, bulk, state })
    }

    /// What may go at once was used up by then, by a process before this one.
    pub(super) fn begin_used_up(&self, at: Instant) {
        if let Some(pace) = &mut self.lock().pace {
            pace.use_up(at);
        }
    }

    /// Waits for a place and its time. The place is free again when the turn is dropped.
    pub(super) async fn turn(self: &Arc<Self>, flow: Flow, deadline: Instant) -> Result<Turn, Error> {
        let probe = self.wait(Need::Place, flow, deadline).await?;
        Ok(Turn::new(Arc::clone(self), probe, None))
    }

    /// Waits for the time of a further request under the same turn. What comes out is kept until that one is answered, or over.
    pub(super) async fn time(&self, flow: Flow, deadline: Instant) -> Result<Further<'_>, Error> {
        self.wait(Need::Time, flow, deadline).await?;
        Ok(Further::new(self))
    }

    /// What left then, or a little before, has no answer. A further request of the same turn is to go first: whoever waits isn't woken.
    pub(super) fn is_over(&self, left: Instant) {
        self.lock().quota.over(left);
    }

    /// A call's first request leaves. Whoever is refused or sends again doesn't say so: they would earn the retries that a failing
    /// upstream is to be spared.
    pub(super) fn earn(&self) {
        self.lock().budget.call();
    }

    /// Whether the budget has a retry left; it is taken from it.
    pub(super) fn may_retry(&self) -> bool {
        self.lock().budget.take()
    }

    /// Nothing was asked for since, and nothing is known of it that a new one wouldn't know.
    pub(super) fn is_forgettable(&self, now: Instant, after: Duration) -> bool {
        let state = self.lock();
        state.is_quiet(now) && now - state.used > after
    }

    /// True if it is the probe of a half-open circuit.
    async fn wait(&self, need: Need, flow: Flow, deadline: Instant) -> Result<bool, Error> {
        let Some(ticket) = self.enter(need, flow, deadline)? else { return Ok(false) };
        let since = Instant::now();
        let mut waiting = Waiting { limits: self, ticket: Some(Arc::clone(&ticket)) };
        loop {
            let alarm = match self.look(&mut waiting, &ticket, deadline) {
                Look::Go { probe } => {
                    self.gauges.waited.observe(since.elapsed().as_secs_f64());
                    return Ok(probe);
                }
                Look::Stop(error) => return Err(error),
                Look::Wait(alarm) => alarm,
            };
            tokio::select! {
                () = ticket.wake.notified() => {}
                () = sleep_until(alarm) => {}
            }
        }
    }

    /// None: it may go at once. An error if it can't go before its deadline.
    fn enter(&self, need: Need, flow: Flow, deadline: Instant) -> Result<Option<Arc<Ticket>>, Error> {
        let now = Instant::now();
        let mut state = self.lock();
        state.used = now;
        if let Some(pause) = state.is_broken(need, now) {
            return Err(self.refused(&state, Why::Breaker, pause));
        }
        // A probe goes by a ticket too: it is rare.
        let normal = need == Need::Time || state.breaker.circuit() == Circuit::Closed;
        if normal && state.queue.ahead(need, flow) == 0 && state.ready(need, now).is_ok() {
            state.go(need, now);
            return Ok(None);
        }
        if state.queue.len() >= queue::MOST {
            return Err(self.refused(&state, Why::Queue, Duration::from_secs(1)));
        }
        self.in_time(&state, need, state.queue.ahead(need, flow), deadline, now)?;
        self.gauges.queued.inc();
        let overtakes = (state.queue.ahead(need, flow) as usize) < state.queue.len();
        let ticket = state.queue.push(need, flow, deadline);
        if overtakes {
            state.dismiss_late(now, &self.gauges);
        }
        Ok(Some(ticket))
    }

    /// An error if the one behind `ahead` others can't go before its deadline, as far as is known.
    fn in_time(&self, state: &State, need: Need, ahead: u32, deadline: Instant, now: Instant) -> Result<(), Error> {
        let outlook = state.estimate(need, ahead, now);
        if outlook.at > deadline {
            return Err(self.refused(state, outlook.why, outlook.until - now));
        }
        Ok(())
    }

    fn look(&self, waiting: &mut Waiting<'_>, ticket: &Arc<Ticket>, deadline: Instant) -> Look {
        let now = Instant::now();
        let mut state = self.lock();
        state.moved(now, &self.gauges);
        match ticket.fate() {
            Fate::Waiting if now >= deadline => Look::Stop(self.too_late(&state, ticket.need, 0, now)),
            Fate::Waiting => {
                let at = state.ready(ticket.need, now).err().flatten();
                Look::Wait(state.queue.arm(ticket, at))
            }
            Fate::Refused => {
                waiting.ticket = None;
                let pause = state.breaker.refuses(now).unwrap_or_default();
                Look::Stop(self.refused(&state, Why::Breaker, pause))
            }
            Fate::Late => {
                waiting.ticket = None;
                let ahead = state.queue.ahead(ticket.need, ticket.flow);
                Look::Stop(self.too_late(&state, ticket.need, ahead, now))
            }
            fate => {
                waiting.ticket = None;
                Look::Go { probe: fate == Fate::Probe }
            }
        }
    }

    /// When one that joins this flow behind `ahead` others, which haven't come here yet, can go at the earliest.
    pub(super) fn soonest(&self, flow: Flow, ahead: u32) -> Instant {
        let state = self.lock();
        let ahead = state.queue.ahead(Need::Place, flow).saturating_add(ahead);
        state.estimate(Need::Place, ahead, Instant::now()).at
    }

    /// Why it can't go sooner.
    pub(super) fn refusal(&self, flow: Flow, ahead: u32) -> Error {
        let state = self.lock();
        let ahead = state.queue.ahead(Need::Place, flow).saturating_add(ahead);
        self.too_late(&state, Need::Place, ahead, Instant::now())
    }

    fn too_late(&self, state: &State, need: Need, ahead: u32, now: Instant) -> Error {
        let outlook = state.estimate(need, ahead, now);
        self.refused(state, outlook.why, outlook.until - now)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

enum Look {
    Go { probe: bool },
    Stop(Error),
    Wait(Instant),
}

/// A call in the queue; when it leaves, its place in the queue goes with it, and what it was granted is given back.
struct Waiting<'a> {
    limits: &'a Limits,
    ticket: Option<Arc<Ticket>>,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let Some(ticket) = self.ticket.take() else { return };
        let (now, gauges) = (Instant::now(), &self.limits.gauges);
        let mut state = self.limits.lock();
        match ticket.fate() {
            Fate::Waiting => {
                state.queue.remove(&ticket);
                gauges.queued.dec();
            }
            Fate::Refused | Fate::Late => {}
            fate => {
                if fate == Fate::Probe {
                    self.limits.judge(&mut state, true, Verdict::Silent, now);
                }
                state.gone(ticket.need);
                // It never left.
                state.quota.over(now);
            }
        }
        state.moved(now, gauges);
    }
}

impl Drop for Limits {
    fn drop(&mut self) {
        let circuit = self.lock().breaker.circuit();
        self.gauges.circuit(circuit, Circuit::Closed);
    }
}
