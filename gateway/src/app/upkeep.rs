//! What the application does from time to time: it takes away rows of the audit log, and operations that have ended, which are older
//! than they are to be kept.
//!
//! Invariant: small batches with pauses between them, so that nobody waits for it; it ends with the gateway.

use crate::{
    clock,
    model::{Error, Timestamp},
    store::{AuditConfig, OperationsConfig, Store},
};
use std::{sync::Arc, time::Duration};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

const EVERY: Duration = Duration::from_secs(60 * 60);
/// Rows that go in one transaction, and the pause before the next.
const BATCH: u32 = 500;
const PAUSE: Duration = Duration::from_millis(50);
const DAY_MS: i64 = 24 * 60 * 60 * 1000;

#[derive(Clone, Copy)]
enum Old {
    Rows,
    Operations,
}

impl Old {
    async fn prune(self, store: &dyn Store, before: Timestamp) -> Result<u64, Error> {
        match self {
            Self::Rows => store.audit_prune(before, BATCH).await,
            Self::Operations => store.operations_prune(before, BATCH).await,
        }
    }

    const fn words(self) -> &'static str {
        match self {
            Self::Rows => "rows of the audit log",
            Self::Operations => "operations",
        }
    }
}

/// `event_days`: for so long there are events of operations, which keep them.
pub async fn prune(
    store: Arc<dyn Store>,
    (audit, operations, event_days): (AuditConfig, OperationsConfig, u32),
    shutdown: CancellationToken,
) {
    let operation_days = if operations.keep_days == 0 { 0 } else { operations.keep_days.max(event_days) };
    let kept = [(Old::Rows, audit.keep_days), (Old::Operations, operation_days)];
    let work = async {
        let mut due = interval(EVERY);
        due.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            due.tick().await;
            for (old, days) in kept {
                prune_once(&*store, old, days).await;
            }
        }
    };
    tokio::select! {
        () = shutdown.cancelled() => {}
        () = work => {}
    }
}

async fn prune_once(store: &dyn Store, old: Old, days: u32) {
    // For ever.
    if days == 0 {
        return;
    }
    let before = clock::now().plus_millis(-i64::from(days) * DAY_MS);
    loop {
        match old.prune(store, before).await {
            Ok(gone) if gone >= u64::from(BATCH) => tokio::time::sleep(PAUSE).await,
            Ok(_) => return,
            Err(error) => {
                let what = old.words();
                tracing::warn!(%error, internal = error.internal, "old {what} could not be removed, will try again");
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{SqliteStore, suite};

    #[tokio::test]
    async fn operations_that_ended_long_ago_go_unless_all_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(&folder.path().join("portico.db")).await.unwrap();
        let organization = suite::organization(&store, "acme").await;
        let mut ids = Vec::new();
        for days in [9, 2] {
            let at = clock::now().plus_millis(-days * DAY_MS);
            let new = suite::new_operation(organization, at.as_millis());
            store.operation_accept(&new).await.unwrap();
            assert!(store.operation_cancel_queued(&new.operation.id, at).await.unwrap());
            ids.push(new.operation.id);
        }
        store.events_prune(clock::now(), 0, BATCH).await.unwrap();
        for (keep_days, expected) in [(0, [true, true]), (7, [false, true]), (1, [false, false])] {
            prune_once(&store, Old::Operations, keep_days).await;
            for (id, is_there) in ids.iter().zip(expected) {
                let found = store.operation(organization, id).await.unwrap();
                assert_eq!(found.is_some(), is_there, "{id} when {keep_days} days are kept");
            }
        }
    }
}
