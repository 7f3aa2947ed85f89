//! What goes on beside the streams: the log is kept short, and credentials are looked at again.
//!
//! Invariant: pruning takes small batches with pauses between them, so that nobody waits for it; a credential that can't be
//! proven to hold ends its streams (deny by default), and clients come back with their position.

use super::{Events, EventsConfig};
use crate::{clock, policy::Authenticator, store::Store};
use std::{sync::Arc, time::Duration};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

/// How often the log is looked at.
const PRUNE_EVERY: Duration = Duration::from_secs(60);
/// Events that go in one transaction, and the pause before the next.
const BATCH: u32 = 500;
const PAUSE: Duration = Duration::from_millis(50);
/// How soon a revoked token ends its streams; the authenticator's memory adds as much again.
const CHECK_EVERY: Duration = Duration::from_secs(5);

pub async fn prune(store: Arc<dyn Store>, config: EventsConfig, shutdown: CancellationToken) {
    let work = async {
        let mut due = every(PRUNE_EVERY);
        loop {
            due.tick().await;
            let before = clock::now().plus_millis(-i64::from(config.keep_hours) * 60 * 60 * 1000);
            loop {
                match store.events_prune(before, config.max_count, BATCH).await {
                    Ok(gone) if gone >= u64::from(BATCH) => tokio::time::sleep(PAUSE).await,
                    Ok(_) => break,
                    Err(error) => {
                        tracing::warn!(%error, internal = error.internal, "old events could not be removed, will try again");
                        break;
                    }
                }
            }
        }
    };
    tokio::select! {
        () = shutdown.cancelled() => {}
        () = work => {}
    }
}

pub async fn check_credentials(events: Arc<Events>, authenticator: Arc<Authenticator>, shutdown: CancellationToken) {
    let work = async {
        let mut due = every(CHECK_EVERY);
        loop {
            due.tick().await;
            check_once(&events, &authenticator).await;
        }
    };
    tokio::select! {
        () = shutdown.cancelled() => {}
        () = work => {}
    }
}

/// One question for each value of a credential, however many watch with it: one that was rotated away ends before the present one.
pub async fn check_once(events: &Events, authenticator: &Authenticator) {
    for principal in events.places.principals() {
        match authenticator.still_holds(&principal).await {
            Ok(true) => continue,
            Ok(false) => {}
            Err(error) => tracing::warn!(%error, internal = error.internal, "a credential could not be looked at"),
        }
        events.places.dismiss_value(&principal);
    }
}

fn every(period: Duration) -> tokio::time::Interval {
    let mut interval = interval(period);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}
