//! What the application does from time to time: it takes away rows of the audit log that are older than they are to be kept.
//!
//! Invariant: small batches with pauses between them, so that nobody waits for it; it ends with the gateway.

use crate::{
    clock,
    store::{AuditConfig, Store},
};
use std::{sync::Arc, time::Duration};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

const EVERY: Duration = Duration::from_secs(60 * 60);
/// Rows that go in one transaction, and the pause before the next.
const BATCH: u32 = 500;
const PAUSE: Duration = Duration::from_millis(50);
const DAY_MS: i64 = 24 * 60 * 60 * 1000;

pub async fn prune_audit(store: Arc<dyn Store>, config: AuditConfig, shutdown: CancellationToken) {
    if config.keep_days == 0 {
        return;
    }
    let work = async {
        let mut due = interval(EVERY);
        due.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            due.tick().await;
            prune_once(&*store, &config).await;
        }
    };
    tokio::select! {
        () = shutdown.cancelled() => {}
        () = work => {}
    }
}

async fn prune_once(store: &dyn Store, config: &AuditConfig) {
    let before = clock::now().plus_millis(-i64::from(config.keep_days) * DAY_MS);
    loop {
        match store.audit_prune(before, BATCH).await {
            Ok(gone) if gone >= u64::from(BATCH) => tokio::time::sleep(PAUSE).await,
            Ok(_) => return,
            Err(error) => {
                tracing::warn!(%error, internal = error.internal, "old rows of the audit log could not be removed, will try again");
                return;
            }
        }
    }
}
