//! How many uploads of one plan run at the same time.
//!
//! Invariant: a turn is free again when its upload ends, however it ends; a plan without uploads takes no memory.

use crate::{api::problem::Problem, model::ConnectionId};
use http::StatusCode;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Enough to keep a line busy with small files. That transfers leave places of an upstream to others is for its limits to see
/// to: they have half of them at most, and where that is less, some of these wait.
const AT_ONCE: usize = 10;
/// Seconds. An upload of a small file takes less.
const RETRY_AFTER: u32 = 1;

type Key = (ConnectionId, String);

#[derive(Clone, Default)]
pub struct Uploads(Arc<Mutex<HashMap<Key, usize>>>);

pub struct Turn {
    uploads: Uploads,
    key: Key,
}

impl Uploads {
    pub fn enter(&self, connection: ConnectionId, plan: &str) -> Result<Turn, Problem> {
        let key = (connection, plan.to_owned());
        let mut running = self.lock();
        if running.get(&key).is_some_and(|count| *count >= AT_ONCE) {
            let detail = format!("{AT_ONCE} uploads of this plan are running; send this one when one of them has ended");
            let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, "too_many_uploads", detail);
            return Err(Problem { retry_after: Some(RETRY_AFTER), ..problem });
        }
        *running.entry(key.clone()).or_default() += 1;
        drop(running);
        Ok(Turn { uploads: self.clone(), key })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut running = self.uploads.lock();
        if let Some(count) = running.get_mut(&self.key) {
            *count -= 1;
            if *count == 0 {
                running.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn each_plan_has_its_own_turns() {
        let uploads = Uploads::default();
        let (one, other) = (ConnectionId(Uuid::from_u128(1)), ConnectionId(Uuid::from_u128(2)));
        let mut turns: Vec<Turn> = (0..AT_ONCE).map(|_| uploads.enter(one, "plan").ok().unwrap()).collect();
        let refused = uploads.enter(one, "plan").err().unwrap();
        assert_eq!((refused.status.as_u16(), refused.retry_after), (429, Some(RETRY_AFTER)));
        assert!(uploads.enter(one, "another").is_ok() && uploads.enter(other, "plan").is_ok());
        turns.pop();
        turns.push(uploads.enter(one, "plan").ok().unwrap());
        turns.clear();
        assert!(uploads.lock().is_empty());
    }
}
