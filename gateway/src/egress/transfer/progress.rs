//! How far an upload has come, and whether it goes on.
//!
//! In go the moments at which bytes move; out comes whose turn it is, and until when. Invariant: whoever is waited for has a
//! deadline at every moment, so an upload ends although nobody says a word.

use super::check::SourceFault;
use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::time::Instant;

/// Who is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// The connection to the upstream.
    Beginning,
    /// The client's next bytes.
    Source,
    /// The upstream, to take what there is.
    Upstream,
    /// The upstream's answer, after everything was handed over.
    Answer,
}

pub(super) struct Progress {
    /// Without a byte.
    idle: Duration,
    /// For the beginning, and for the answer.
    patience: Duration,
    state: Mutex<State>,
}

struct State {
    phase: Phase,
    since: Instant,
    fault: Option<SourceFault>,
}

impl Progress {
    pub(super) fn new(idle: Duration, patience: Duration) -> Self {
        Self { idle, patience, state: Mutex::new(State { phase: Phase::Beginning, since: Instant::now(), fault: None }) }
    }

    /// Bytes moved; now this one is waited for.
    pub(super) fn moved(&self, phase: Phase) {
        let mut state = self.lock();
        (state.phase, state.since) = (phase, Instant::now());
    }

    /// Nothing moved, but the upstream took all that there was.
    pub(super) fn waits_for_source(&self) {
        if self.lock().phase != Phase::Source {
            self.moved(Phase::Source);
        }
    }

    pub(super) fn fail(&self, fault: SourceFault) {
        self.lock().fault = Some(fault);
    }

    pub(super) fn fault(&self) -> Option<SourceFault> {
        self.lock().fault
    }

    pub(super) fn phase(&self) -> Phase {
        self.lock().phase
    }

    /// Does the work, unless somebody is waited for too long.
    pub(super) async fn watch<T>(&self, work: impl Future<Output = T>) -> Result<T, Phase> {
        let mut work = std::pin::pin!(work);
        loop {
            // Whose turn it is may change at any time, so it is looked at again soon.
            let look = self.until().min(Instant::now() + self.idle);
            tokio::select! {
                biased;
                done = &mut work => return Ok(done),
                () = tokio::time::sleep_until(look) => {}
            }
            if self.until() <= Instant::now() {
                return Err(self.phase());
            }
        }
    }

    fn until(&self) -> Instant {
        let state = self.lock();
        match state.phase {
            Phase::Beginning | Phase::Answer => state.since + self.patience,
            Phase::Source | Phase::Upstream => state.since + self.idle,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDLE: Duration = Duration::from_secs(2);

    async fn ends(phase: Phase) -> (Phase, Duration) {
        let progress = Progress::new(IDLE, Duration::from_secs(60));
        let start = Instant::now();
        let work = async {
            for _ in 0..10 {
                tokio::time::sleep(Duration::from_secs(1)).await;
                progress.moved(phase);
            }
            std::future::pending::<()>().await;
        };
        (progress.watch(work).await.unwrap_err(), start.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_is_waited_for_has_a_deadline() {
        // Ten seconds in which something moves every second do no harm.
        assert_eq!(ends(Phase::Source).await, (Phase::Source, Duration::from_secs(12)));
        assert_eq!(ends(Phase::Upstream).await, (Phase::Upstream, Duration::from_secs(12)));
        assert_eq!(ends(Phase::Answer).await, (Phase::Answer, Duration::from_secs(70)));
    }
}
