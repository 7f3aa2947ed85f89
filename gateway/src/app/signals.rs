//! What the process is told from outside: to end, and to look again at its certificate and at the keys that a command prints.
//!
//! In go signals; out comes that one came. Invariant: who listens here ends by its own code, not by the
//! signal, so that nothing is left half done. Which signal ends what is decided by the listener.

use anyhow::{Context as _, bail};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// SIGTERM and SIGINT, and SIGHUP, which would end the process if nobody listened.
pub struct Signals {
    ending: [Signal; 2],
    pub hangup: Option<Signal>,
}

impl Signals {
    pub fn listen() -> anyhow::Result<Self> {
        let terminate = signal(SignalKind::terminate()).context("can't listen for SIGTERM")?;
        let interrupt = signal(SignalKind::interrupt()).context("can't listen for SIGINT")?;
        let hangup = signal(SignalKind::hangup()).context("can't listen for SIGHUP")?;
        Ok(Self { ending: [terminate, interrupt], hangup: Some(hangup) })
    }

    /// One of those that end a gateway.
    pub async fn next(&mut self) {
        let [terminate, interrupt] = &mut self.ending;
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    }

    /// One of those that end a command, which also goes with its terminal.
    async fn any(&mut self) {
        let hangup = self.hangup.take();
        let hung_up = async {
            match hangup {
                Some(mut hangup) => hangup.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = self.next() => {}
            _ = hung_up => {}
        }
    }
}

/// Carries out a command's work. A signal that would end the process drops the work instead, which takes back what it began.
pub async fn unless_told_to_end<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let mut signals = Signals::listen()?;
    tokio::select! {
        done = work => done,
        () = signals.any() => bail!("ended by a signal before it was done: run it again"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::process::{Signal, getpid, kill_process};
    use std::sync::Arc;

    #[tokio::test]
    async fn a_signal_drops_the_work() {
        let held = Arc::new(());
        let of_the_work = Arc::clone(&held);
        let work = async move {
            // It listens by now.
            kill_process(getpid(), Signal::TERM).unwrap();
            std::future::pending::<()>().await;
            drop(of_the_work);
            Ok(())
        };
        let error = unless_told_to_end(work).await.unwrap_err();
        assert!(error.to_string().contains("run it again"), "{error}");
        assert_eq!(Arc::strong_count(&held), 1);
        assert_eq!(unless_told_to_end(async { Ok(7) }).await.unwrap(), 7);
    }
}
