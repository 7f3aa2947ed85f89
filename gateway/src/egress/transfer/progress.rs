//! How far an upload has come, and whether it goes on.
//!
//! In go the moments at which bytes move; out comes whose turn it is, and until when. Invariant: whoever is waited for has a
//! deadline at every moment, so an upload ends although nobody says a word.

use super::check::SourceFault;
use crate::egress::retry::SILENT;
use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::time::Instant;

/// Bytes that moved so long ago still move.
const JUST_NOW: Duration = Duration::from_secs(1);

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
    /// How long the client was waited for before that.
    waited: Duration,
    fault: Option<SourceFault>,
}

impl State {
    fn waited(&self) -> Duration {
        self.waited + if self.phase == Phase::Source { self.since.elapsed() } else { Duration::ZERO }
    }

    /// The client has a part in how long it takes: it sends slowly, or much.
    fn is_long(&self) -> bool {
        match self.phase {
            Phase::Source => true,
            Phase::Upstream => self.since.elapsed() < JUST_NOW,
            Phase::Beginning | Phase::Answer => false,
        }
    }
}

impl Progress {
    pub(super) fn new(idle: Duration, patience: Duration) -> Self {
        let state = State { phase: Phase::Beginning, since: Instant::now(), waited: Duration::ZERO, fault: None };
        Self { idle, patience, state: Mutex::new(state) }
    }

    /// Bytes moved; now this one is waited for.
    pub(super) fn moved(&self, phase: Phase) {
        let mut state = self.lock();
        (state.phase, state.since, state.waited) = (phase, Instant::now(), state.waited());
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

    /// How long nothing has moved.
    pub(super) fn silence(&self) -> Duration {
        self.lock().since.elapsed()
    }

    /// How long the client was waited for, altogether.
    pub(super) fn waited_for_source(&self) -> Duration {
        self.lock().waited()
    }

    /// Until it has gone on for long, and not because of the upstream alone: one that doesn't connect, take or answer is waited
    /// for, since that has an end, which says something.
    pub(super) async fn drags(&self) {
        tokio::time::sleep(SILENT).await;
        while !self.lock().is_long() {
            tokio::time::sleep(JUST_NOW).await;
        }
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

    /// After how long an upload in this phase drags, if something moves every so many milliseconds.
    async fn drags(phase: Phase, millis: u64) -> Option<Duration> {
        let progress = Progress::new(IDLE, Duration::from_secs(60));
        let start = Instant::now();
        progress.moved(phase);
        let work = async {
            for _ in 0..1000 {
                tokio::time::sleep(Duration::from_millis(millis)).await;
                progress.moved(phase);
            }
        };
        tokio::select! {
            () = work => None,
            () = progress.drags() => Some(start.elapsed()),
            () = tokio::time::sleep(Duration::from_secs(60)) => None,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_for_the_upstream_alone_does_not_drag() {
        assert_eq!(drags(Phase::Source, 1_000_000).await, Some(SILENT));
        assert_eq!(drags(Phase::Source, 300).await, Some(SILENT));
        assert_eq!(drags(Phase::Upstream, 300).await, Some(SILENT));
        // It takes a piece after a while.
        assert_eq!(drags(Phase::Upstream, 7_500).await, Some(Duration::from_secs(8)));
        for phase in [Phase::Beginning, Phase::Upstream, Phase::Answer] {
            assert_eq!(drags(phase, 1_000_000).await, None, "{phase:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn how_long_the_client_was_waited_for_adds_up() {
        let progress = Progress::new(IDLE, Duration::from_secs(60));
        for phase in [Phase::Source, Phase::Upstream, Phase::Source, Phase::Source, Phase::Answer] {
            progress.moved(phase);
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        assert_eq!((progress.waited_for_source(), progress.silence()), (Duration::from_secs(3), Duration::from_secs(1)));
        progress.moved(Phase::Source);
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(progress.waited_for_source(), Duration::from_secs(4), "this wait counts too");
    }
}
