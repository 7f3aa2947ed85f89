//! Keys under which this process is carrying out a request, in memory.
//!
//! In goes a key as its request begins; out comes whether another one runs under it. Invariant: a key is here from before it is
//! reserved until its end was written or given up, so one that the store holds for this process and that isn't here was left behind.

use crate::store::KeyRef;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Requests under each key: those that only ask what became of it, too.
#[derive(Default)]
pub struct Running(Mutex<HashMap<KeyRef, usize>>);

/// One request under a key, until it is dropped.
pub(super) struct Run {
    running: Arc<Running>,
    key: KeyRef,
    /// Whether another one ran already.
    pub joined: bool,
}

impl Running {
    fn keys(&self) -> MutexGuard<'_, HashMap<KeyRef, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn begin(self: &Arc<Self>, key: &KeyRef) -> Run {
        let mut keys = self.keys();
        let others = keys.entry(key.clone()).or_default();
        let joined = *others > 0;
        *others += 1;
        drop(keys);
        Run { running: Arc::clone(self), key: key.clone(), joined }
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        let mut keys = self.running.keys();
        if let Some(requests) = keys.get_mut(&self.key) {
            *requests -= 1;
            if *requests == 0 {
                keys.remove(&self.key);
            }
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
        let (second, other) = (running.begin(&key("k")), running.begin(&key("other")));
        assert_eq!((first.joined, second.joined, other.joined), (false, true, false));
        drop(first);
        assert!(running.begin(&key("k")).joined);
        drop((second, other));
        assert!(!running.begin(&key("k")).joined && running.keys().is_empty());
    }
}
