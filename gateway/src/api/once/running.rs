//! Keys under which this process is carrying out a request, in memory.
//!
//! In goes a key as its request begins; out comes how many run under it, at any moment. Invariant: a key is here from before it is
//! reserved until its end was written or given up, so one that the store holds for this process and that isn't here was left behind.

use crate::store::{KeyRef, Runs};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Requests under each key: those that only ask what became of it, too.
#[derive(Default)]
pub struct Running(Mutex<HashMap<KeyRef, Runs>>);

/// One request under a key, until it is dropped.
pub(super) struct Run {
    running: Arc<Running>,
    key: KeyRef,
    pub runs: Runs,
}

impl Running {
    fn keys(&self) -> MutexGuard<'_, HashMap<KeyRef, Runs>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn begin(self: &Arc<Self>, key: &KeyRef) -> Run {
        let mut keys = self.keys();
        let runs = keys.entry(key.clone()).or_default().clone();
        runs.begin();
        drop(keys);
        Run { running: Arc::clone(self), key: key.clone(), runs }
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        // Nobody begins meanwhile.
        let mut keys = self.running.keys();
        if self.runs.end() {
            keys.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::OrganizationId;
    use uuid::Uuid;

    #[test]
    fn a_key_runs_until_its_last_request_has_ended() {
        let running = Arc::new(Running::default());
        let key = |key: &str| KeyRef { organization: OrganizationId(Uuid::nil()), scope: "s".to_owned(), key: key.to_owned() };
        let first = running.begin(&key("k"));
        assert!(!first.runs.has_others());
        let (second, other) = (running.begin(&key("k")), running.begin(&key("other")));
        // Whichever of both is written first.
        assert!(first.runs.has_others() && second.runs.has_others() && !other.runs.has_others());
        drop(first);
        assert!(!second.runs.has_others() && running.begin(&key("k")).runs.has_others());
        drop((second, other));
        assert!(!running.begin(&key("k")).runs.has_others() && running.keys().is_empty());
    }
}
