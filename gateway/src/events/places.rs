//! Who watches: places, the channels to them, and the credentials that they came with.
//!
//! In go principals and topics; out come receivers and the guards of their places. Invariant: a channel lives as long as
//! somebody listens, a place is free as soon as its guard is dropped, and a watcher costs an entry of none of these maps; who came
//! with another value of the same credential is none of the same, since each value has an end of its own.

use super::{Event, Topic};
use crate::{
    model::{Error, Kind, OrganizationId},
    policy::Principal,
};
use prometheus::IntGauge;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Events that a slow watcher may be behind before it has to read them from the store: a burst of an organization, the steps
/// of one operation.
const BEHIND_IN_ORGANIZATION: usize = 1024;
const BEHIND_IN_OPERATION: usize = 16;
/// Seconds after which a client that was refused may find a place.
const RETRY_AFTER: u32 = 30;

pub type Receiver = broadcast::Receiver<Arc<Event>>;

pub struct Places {
    state: Arc<Mutex<State>>,
    limit: usize,
    taken: IntGauge,
    shutdown: CancellationToken,
}

#[derive(Default)]
struct State {
    channels: HashMap<Topic, broadcast::Sender<Arc<Event>>>,
    organizations: HashMap<OrganizationId, usize>,
    sessions: HashMap<Value, Session>,
}

/// A credential's id, and the hash of the value that was sent.
type Value = (Uuid, [u8; 32]);

/// The watchers who came with one value of a token, or of a session's cookie.
struct Session {
    principal: Arc<Principal>,
    ended: CancellationToken,
    watchers: usize,
}

/// A watcher's place. Drop its receiver first, so that an unused channel is seen.
pub struct Place {
    state: Arc<Mutex<State>>,
    taken: IntGauge,
    principal: Arc<Principal>,
    topic: Topic,
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Places {
    pub fn new(limit: usize, taken: IntGauge, shutdown: CancellationToken) -> Self {
        Self { state: Arc::default(), limit, taken, shutdown }
    }

    /// What is sent to the topic from now on, and a token that is canceled when the watcher has to leave.
    pub fn take(&self, principal: &Arc<Principal>, topic: &Topic) -> Result<(Receiver, Place, CancellationToken), Error> {
        let mut state = lock(&self.state);
        let watchers = state.organizations.entry(principal.organization).or_default();
        if *watchers >= self.limit {
            return Err(self.too_many());
        }
        *watchers += 1;
        let session = state.sessions.entry(principal.credential_value()).or_insert_with(|| Session {
            principal: Arc::clone(principal),
            ended: self.shutdown.child_token(),
            watchers: 0,
        });
        session.watchers += 1;
        let ended = session.ended.clone();
        let channel = state.channels.entry(topic.clone()).or_insert_with(|| broadcast::channel(behind(topic)).0);
        let receiver = channel.subscribe();
        drop(state);
        self.taken.inc();
        let (principal, topic) = (Arc::clone(principal), topic.clone());
        let place = Place { state: Arc::clone(&self.state), taken: self.taken.clone(), principal, topic };
        Ok((receiver, place, ended))
    }

    fn too_many(&self) -> Error {
        let text = format!("{} streams of this organization are open already: close one, or share one", self.limit);
        Error::new(Kind::Overloaded, text).with_code("too_many_watchers").with_retry_after(RETRY_AFTER)
    }

    pub fn are_empty(&self) -> bool {
        lock(&self.state).channels.is_empty()
    }

    /// None: nobody watches the topic.
    pub fn channel(&self, topic: &Topic) -> Option<broadcast::Sender<Arc<Event>>> {
        lock(&self.state).channels.get(topic).cloned()
    }

    /// One principal of each value that watchers came with.
    pub fn principals(&self) -> Vec<Arc<Principal>> {
        lock(&self.state).sessions.values().map(|session| Arc::clone(&session.principal)).collect()
    }

    /// Ends the streams of a credential, whichever of its values they came with.
    pub fn dismiss(&self, credential: Uuid) {
        let state = lock(&self.state);
        let own = state.sessions.iter().filter(|((id, _), _)| *id == credential);
        own.for_each(|(_, session)| session.ended.cancel());
    }

    /// Ends the streams that came with the same value as this principal.
    pub fn dismiss_value(&self, principal: &Principal) {
        // The entry goes with its last watcher; until then, whoever comes with this value is dismissed at once.
        if let Some(session) = lock(&self.state).sessions.get(&principal.credential_value()) {
            session.ended.cancel();
        }
    }
}

const fn behind(topic: &Topic) -> usize {
    match topic {
        Topic::Organization(_) => BEHIND_IN_ORGANIZATION,
        Topic::Operation(..) => BEHIND_IN_OPERATION,
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.taken.dec();
        let mut state = lock(&self.state);
        leave(&mut state.organizations, &self.principal.organization, |watchers| watchers);
        leave(&mut state.sessions, &self.principal.credential_value(), |session| &mut session.watchers);
        if state.channels.get(&self.topic).is_some_and(|channel| channel.receiver_count() == 0) {
            state.channels.remove(&self.topic);
        }
    }
}

fn leave<K: Eq + std::hash::Hash, V>(map: &mut HashMap<K, V>, key: &K, count: impl Fn(&mut V) -> &mut usize) {
    let Some(entry) = map.get_mut(key) else { return };
    let left = count(entry);
    *left = left.saturating_sub(1);
    if *left == 0 {
        map.remove(key);
    }
}
