//! Bulk: transfers that may take hours leave places to calls that take a moment.
//!
//! In go transfers, each in its flow; out come turns. Invariant: transfers hold no more places than are theirs, and each gives
//! its share back exactly once: to the next that waits, or to whoever comes. While all are held they wait here, in the fair
//! order of all calls, and join the queue only with a share: so nobody there waits behind one that waits for others of its
//! kind.

use super::{Limits, Need, Turn, queue, refusal::Why};
use crate::{
    egress::{Flow, Lanes},
    model::Error,
};
use prometheus::IntGauge;
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    sync::oneshot,
    time::{Instant, timeout_at},
};

/// How often one that waits here looks whether the host has become hopeless meanwhile.
const LOOK: Duration = Duration::from_secs(1);

pub(super) struct Bulk {
    /// Transfers at the same time.
    pub most: u32,
    line: Mutex<Line>,
}

#[derive(Default)]
struct Line {
    held: u32,
    /// Nobody, while fewer than may are held.
    waiting: Lanes<oneshot::Sender<Share>>,
}

/// The right of one transfer to be under way.
pub(super) struct Share(Arc<Bulk>);

/// One that waits, until it is dropped.
struct Waiting<'a> {
    bulk: &'a Bulk,
    queued: &'a IntGauge,
    /// Others, when it came.
    ahead: u32,
    answer: oneshot::Receiver<Share>,
}

impl Limits {
    /// Waits for others of its kind, where there are as many as may be, and then for a place and its time as every call.
    pub(in crate::egress) async fn bulk_turn(self: &Arc<Self>, flow: Flow, deadline: Instant) -> Result<Turn, Error> {
        let share = self.share(flow, deadline).await?;
        let probe = self.wait(Need::Place, flow, deadline).await?;
        Ok(Turn::new(Arc::clone(self), probe, Some(share)))
    }

    async fn share(&self, flow: Flow, deadline: Instant) -> Result<Share, Error> {
        let since = Instant::now();
        let mut waiting = match self.bulk.join(flow, &self.gauges.queued) {
            Ok(share) => return Ok(share),
            Err(waiting) => waiting,
        };
        if self.bulk.waiting() > queue::MOST {
            return Err(self.refused(&self.lock(), Why::Queue, Duration::from_secs(1)));
        }
        self.has_hope(flow, waiting.ahead, deadline, since)?;
        loop {
            let now = Instant::now();
            match timeout_at(deadline.min(now + LOOK), &mut waiting.answer).await {
                Ok(Ok(share)) => {
                    self.gauges.waited.observe(since.elapsed().as_secs_f64());
                    return Ok(share);
                }
                Err(_) if now + LOOK < deadline => self.has_hope(flow, 0, deadline, Instant::now())?,
                Ok(Err(_)) | Err(_) => return Err(self.in_vain(flow)),
            }
        }
    }

    /// An error if it couldn't go in time even though others of its kind ended at once.
    fn has_hope(&self, flow: Flow, ahead: u32, deadline: Instant, now: Instant) -> Result<(), Error> {
        let state = self.lock();
        if let Some(pause) = state.is_broken(Need::Place, now) {
            return Err(self.refused(&state, Why::Breaker, pause));
        }
        let ahead = state.queue.ahead(Need::Place, flow).saturating_add(ahead);
        self.in_time(&state, Need::Place, ahead, deadline, now)
    }

    /// What else would have held it up now comes first.
    fn in_vain(&self, flow: Flow) -> Error {
        let now = Instant::now();
        let known = self.has_hope(flow, 0, now, now).err();
        known.unwrap_or_else(|| self.refused(&self.lock(), Why::Bulk, Duration::ZERO))
    }
}

impl Bulk {
    pub(super) fn new(most: u32) -> Arc<Self> {
        Arc::new(Self { most, line: Mutex::default() })
    }

    /// How many wait.
    pub(super) fn waiting(&self) -> usize {
        self.lock().waiting.len()
    }

    fn join<'a>(self: &'a Arc<Self>, flow: Flow, queued: &'a IntGauge) -> Result<Share, Waiting<'a>> {
        let mut line = self.lock();
        if line.held < self.most {
            line.held += 1;
            return Ok(Share(Arc::clone(self)));
        }
        let ahead = u32::try_from(line.waiting.ahead(flow)).unwrap_or(u32::MAX);
        let (sender, answer) = oneshot::channel();
        line.waiting.push(flow, sender);
        queued.inc();
        Err(Waiting { bulk: self, queued, ahead, answer })
    }

    fn lock(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Line {
    /// One has ended: whose turn it is, if anybody waits.
    fn over(&mut self) -> Option<oneshot::Sender<Share>> {
        let next = std::iter::from_fn(|| self.waiting.pop()).find(|next| !next.is_closed());
        self.held -= u32::from(next.is_none());
        next
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let next = self.0.lock().over();
        if let Some(next) = next {
            // Who goes away at this moment drops it, and so hands it on.
            let _ = next.send(Self(Arc::clone(&self.0)));
        }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.answer.close();
        drop(self.bulk.lock().waiting.take(|_, other| other.is_closed().then_some(())));
        self.queued.dec();
    }
}
