//! Tells the log of events how connections fare, as that changes.
//!
//! In go changes of health, from calls that can't wait; out go events. Invariant: of changes that come faster than they are
//! written, the last one counts, so that a connection that flaps costs a few commits a second and no memory; one that came
//! back to what was told is no change.

use super::health::{HealthStatus, Report};
use crate::{
    clock,
    model::{ConnectionId, Error, OrganizationId, Slug},
    store::{HealthEvent, Store},
};
use std::{
    collections::HashMap,
    mem::take,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

/// Between one writing and the next.
const PAUSE: Duration = Duration::from_millis(200);

pub struct Herald {
    store: Arc<dyn Store>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    changes: HashMap<ConnectionId, Change>,
    /// A task writes them.
    writing: bool,
}

struct Change {
    whose: Whose,
    /// What was told last.
    from: HealthStatus,
    to: Report,
}

/// Whose health it is.
#[derive(Clone)]
pub struct Whose {
    pub organization: OrganizationId,
    pub connection: ConnectionId,
    pub slug: Slug,
}

impl Herald {
    pub fn new(store: Arc<dyn Store>) -> Arc<Self> {
        Arc::new(Self { store, state: Mutex::default() })
    }

    pub fn tell(self: &Arc<Self>, whose: &Whose, from: HealthStatus, to: &Report) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || Change { whose: whose.clone(), from, to: to.clone() };
        state.changes.entry(whose.connection).or_insert_with(new).to = to.clone();
        if !std::mem::replace(&mut state.writing, true) {
            tokio::spawn(Arc::clone(self).write_all());
        }
    }

    async fn write_all(self: Arc<Self>) {
        while let Some(changes) = self.take() {
            for change in changes.into_values().filter(|change| change.from != change.to.status) {
                if let Err(error) = self.write(&change).await {
                    let connection = change.whose.slug.as_str();
                    tracing::warn!(connection, %error, internal = error.internal, "a change of health was not told");
                }
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    fn take(&self) -> Option<HashMap<ConnectionId, Change>> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.writing = !state.changes.is_empty();
        state.writing.then(|| take(&mut state.changes))
    }

    async fn write(&self, change: &Change) -> Result<(), Error> {
        let Whose { organization, slug, .. } = change.whose.clone();
        let health = serde_json::value::to_raw_value(&change.to).map_err(Error::gateway)?;
        let at = change.to.checked_at.unwrap_or_else(clock::now);
        self.store.event_insert_health(&HealthEvent { organization, connection: slug, health, at }).await
    }
}
