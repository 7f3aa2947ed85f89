//! When tokens were last used: gathered in memory, written together, never on a request's path. And which sessions' use could not be
//! written just now ([`Pauses`]).
//!
//! In go uses, as look-ups see them (a token that is busy is looked up every few seconds); out goes one transaction a minute.
//! Invariant: a token is written at most once a minute, and what could not be written is tried again with the next.

use super::Authenticator;
use crate::model::{Error, Timestamp};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

const WRITE_EVERY: Duration = Duration::from_secs(60);

/// Sessions whose last try is remembered; all are forgotten when there are more, which costs a try each.
const TRIED: usize = 16_384;

#[derive(Default)]
pub struct Uses {
    tokens: Mutex<HashMap<Uuid, Timestamp>>,
    pub sessions: Pauses,
}

/// Sessions whose use is being written, or could not be: a store that fails isn't asked again with each request.
#[derive(Default)]
pub struct Pauses(Mutex<Tried>);

#[derive(Default)]
struct Tried {
    sessions: HashMap<Uuid, Timestamp>,
    told: Option<Timestamp>,
}

impl Pauses {
    fn tried(&self) -> MutexGuard<'_, Tried> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it is to be tried now, and not again for `pause` milliseconds unless that works.
    pub fn begin(&self, session: Uuid, now: Timestamp, pause: i64) -> bool {
        let mut tried = self.tried();
        if tried.sessions.get(&session).is_some_and(|&at| now < at.plus_millis(pause)) {
            return false;
        }
        if tried.sessions.len() >= TRIED {
            tried.sessions.clear();
        }
        tried.sessions.insert(session, now);
        true
    }

    pub fn worked(&self, session: Uuid) {
        self.tried().sessions.remove(&session);
    }

    /// Whether that is to be told, which is once in `pause` milliseconds for all sessions together.
    pub fn failed(&self, now: Timestamp, pause: i64) -> bool {
        let mut tried = self.tried();
        let tell = tried.told.is_none_or(|at| now >= at.plus_millis(pause));
        if tell {
            tried.told = Some(now);
        }
        tell
    }
}

impl Uses {
    pub fn note(&self, token: Uuid, at: Timestamp) {
        let mut uses = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        let latest = uses.entry(token).or_insert(at);
        *latest = at.max(*latest);
    }

    fn take(&self) -> Vec<(Uuid, Timestamp)> {
        std::mem::take(&mut *self.tokens.lock().unwrap_or_else(PoisonError::into_inner)).into_iter().collect()
    }
}

impl Authenticator {
    /// Writes uses every minute, and what is left when `shutdown` comes.
    pub async fn keep_uses(self: Arc<Self>, shutdown: CancellationToken) {
        let mut due = interval(WRITE_EVERY);
        due.set_missed_tick_behavior(MissedTickBehavior::Delay);
        due.tick().await;
        loop {
            let ends = tokio::select! {
                () = shutdown.cancelled() => true,
                _ = due.tick() => false,
            };
            if let Err(error) = self.write_uses().await {
                tracing::warn!(%error, internal = error.internal, "the last use of tokens could not be written");
            }
            if ends {
                return;
            }
        }
    }

    async fn write_uses(&self) -> Result<(), Error> {
        let uses = self.uses.take();
        if uses.is_empty() {
            return Ok(());
        }
        let written = self.store.tokens_used(&uses).await;
        if written.is_err() {
            uses.into_iter().for_each(|(token, at)| self.uses.note(token, at));
        }
        written
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        policy::mint_token,
        store::{SqliteStore, TokenStore as _, suite},
    };

    #[tokio::test]
    async fn uses_are_written_together_and_at_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(SqliteStore::open(&folder.path().join("portico.db")).await.unwrap());
        let organization = suite::organization(&*store, "acme").await;
        let (token, record) = mint_token(organization, "ci", None).unwrap();
        store.token_insert(&record).await.unwrap();
        let last_used = async || store.token(organization, record.id).await.unwrap().unwrap().last_used_at;
        let authenticator = Arc::new(Authenticator::new(store.clone()));
        authenticator.authenticate(Some(token.as_bytes()), None).await.unwrap();
        assert_eq!(last_used().await, None, "a request wrote its use itself");
        authenticator.write_uses().await.unwrap();
        let first = last_used().await.expect("a use");
        // What is remembered is no look-up, and nothing new to write.
        authenticator.authenticate(Some(token.as_bytes()), None).await.unwrap();
        assert!(authenticator.uses.take().is_empty());
        // Whatever is left is written when the gateway stops.
        authenticator.uses.note(record.id, first.plus_millis(5));
        authenticator.uses.note(record.id, first.plus_millis(3));
        let shutdown = CancellationToken::new();
        shutdown.cancel();
        Arc::clone(&authenticator).keep_uses(shutdown).await;
        assert_eq!(last_used().await, Some(first.plus_millis(5)));
        // A store that fails loses nothing.
        authenticator.uses.note(record.id, first.plus_millis(9));
        store.close().await;
        assert!(authenticator.write_uses().await.is_err());
        assert_eq!(authenticator.uses.take(), [(record.id, first.plus_millis(9))]);
    }
}
