//! Events: what changed, told to everyone who watches, within a moment of its commit.
//!
//! In go the store's log and watchers; out come events in the log's order. Each event is read and written out once for all its
//! watchers; one that falls behind goes on from the store. Invariant: a watcher gets every event of its topic after its
//! position exactly once, or is told that it missed some. It knows no HTTP: how an event is written is the API's word.

mod places;
#[cfg(test)]
mod tests;
mod upkeep;
mod watch;

pub use watch::{News, Watch};

use crate::{
    metrics::Metrics,
    model::{Error, EventType, OperationId, OrganizationId, Slug},
    policy::{Authenticator, Principal},
    store::{EventRecord, EventScope, EventSubject, Store},
};
use bytes::Bytes;
use places::Places;
use serde::{Deserialize, Serialize};
use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// The `[events]` section.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EventsConfig {
    /// How long an event can be read again.
    pub keep_hours: u32,
    /// Events kept at most, all organizations together.
    pub max_count: u64,
    /// A stream that was silent for this long says that it lives.
    pub heartbeat_seconds: u64,
    /// Open streams of one organization.
    pub max_watchers: usize,
}

impl Default for EventsConfig {
    fn default() -> Self {
        Self { keep_hours: 24, max_count: 100_000, heartbeat_seconds: 15, max_watchers: 10_000 }
    }
}

/// Events read from the store at once.
const PAGE: u32 = 200;
/// Pause after the store could not be read.
const RETRY: Duration = Duration::from_secs(1);

/// An event as it is sent.
pub struct Event {
    pub id: i64,
    pub kind: EventType,
    /// A connection's slug.
    pub connection: String,
    /// Written out, as it goes to every watcher.
    pub frame: Bytes,
    /// The operation is finished: nothing follows of it.
    last_of_operation: bool,
}

/// How an event is written out.
pub type Write = fn(&EventRecord) -> Result<Bytes, Error>;

/// Which events a watcher wants, of those of its topic.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// None: all.
    pub types: Option<Vec<EventType>>,
    /// A connection's slug.
    pub connection: Option<String>,
    /// The only ones that the credential is for.
    pub only: Option<Arc<[Slug]>>,
}

impl Filter {
    fn keeps(&self, event: &Event) -> bool {
        self.types.as_ref().is_none_or(|types| types.contains(&event.kind))
            && self.connection.as_ref().is_none_or(|connection| *connection == event.connection)
            && self.only.as_ref().is_none_or(|slugs| slugs.iter().any(|slug| slug.as_str() == event.connection))
    }
}

/// What is watched.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Topic {
    Organization(OrganizationId),
    Operation(OrganizationId, OperationId),
}

impl Topic {
    fn scope(&self) -> EventScope {
        match self {
            Self::Organization(organization) => EventScope::Organization(*organization),
            Self::Operation(organization, id) => EventScope::Operation(*organization, id.clone()),
        }
    }
}

pub struct Events {
    store: Arc<dyn Store>,
    places: Places,
    write: Write,
    /// All events up to this one were given to those who watched.
    delivered: AtomicI64,
    heartbeat: Duration,
}

impl Events {
    /// Reads the log from here on, and keeps it short. Everything ends with `shutdown`, the streams at once.
    pub fn start(
        store: Arc<dyn Store>,
        write: Write,
        authenticator: Arc<Authenticator>,
        metrics: &Metrics,
        config: &EventsConfig,
        shutdown: CancellationToken,
    ) -> Arc<Self> {
        let delivered = AtomicI64::new(*store.events_written().borrow());
        let heartbeat = Duration::from_secs(config.heartbeat_seconds.max(1));
        let places = Places::new(config.max_watchers, metrics.event_watchers.clone(), shutdown.clone());
        let this = Arc::new(Self { store, places, write, delivered, heartbeat });
        tokio::spawn(Arc::clone(&this).distribute(shutdown.clone()));
        tokio::spawn(upkeep::prune(Arc::clone(&this.store), config.clone(), shutdown.clone()));
        tokio::spawn(upkeep::check_credentials(Arc::clone(&this), authenticator, shutdown));
        this
    }

    /// Watches everything that the principal's credential is for in its organization, from now on or after the event `since`. `Overloaded` when too many
    /// watch already.
    pub async fn organization(
        self: &Arc<Self>,
        principal: &Arc<Principal>,
        filter: Filter,
        since: Option<i64>,
    ) -> Result<Watch, Error> {
        let filter = Filter { only: principal.scopes.connections().cloned(), ..filter };
        let mut watch = self.enter(principal, Topic::Organization(principal.organization), filter)?;
        watch.begin(since).await?;
        Ok(watch)
    }

    /// Watches one operation to its end: as it is now and what follows, or what came after the event `since`. `NotFound` also
    /// for another organization's.
    pub async fn operation(
        self: &Arc<Self>,
        principal: &Arc<Principal>,
        id: OperationId,
        since: Option<i64>,
    ) -> Result<Watch, Error> {
        let mut watch = self.enter(principal, Topic::Operation(principal.organization, id), Filter::default())?;
        watch.begin(since).await?;
        Ok(watch)
    }

    /// Ends the streams of a credential that was revoked, by its id: of the value before its last rotation, too.
    pub fn dismiss(&self, credential: Uuid) {
        self.places.dismiss(credential);
    }

    fn enter(self: &Arc<Self>, principal: &Arc<Principal>, topic: Topic, filter: Filter) -> Result<Watch, Error> {
        let (receiver, place, ended) = self.places.take(principal, &topic)?;
        Ok(Watch::new(Arc::clone(self), (receiver, place, ended), topic, filter))
    }

    async fn distribute(self: Arc<Self>, shutdown: CancellationToken) {
        let mut written = self.store.events_written();
        loop {
            let until = *written.borrow_and_update();
            let changed = async {
                if let Err(error) = self.deliver(until).await {
                    tracing::warn!(%error, internal = error.internal, "events could not be read, will try again");
                    tokio::time::sleep(RETRY).await;
                    return true;
                }
                written.changed().await.is_ok()
            };
            tokio::select! {
                () = shutdown.cancelled() => return,
                goes_on = changed => if !goes_on { return },
            }
        }
    }

    /// Gives everything up to `until` to those who watch. Whoever enters after `until` was read needs none of it: a watcher
    /// takes its position after it has entered.
    async fn deliver(&self, until: i64) -> Result<(), Error> {
        let mut delivered = self.delivered.load(Ordering::Acquire);
        while delivered < until {
            if self.places.are_empty() {
                delivered = until;
            } else {
                let page = self.store.events(&EventScope::Everyone, delivered, PAGE).await?;
                page.iter().for_each(|record| self.tell(record));
                // None: what lay in between was pruned.
                delivered = page.last().map_or(until, |last| last.id);
            }
            self.delivered.store(delivered, Ordering::Release);
        }
        Ok(())
    }

    fn tell(&self, record: &EventRecord) {
        let mut channels = vec![self.places.channel(&Topic::Organization(record.organization))];
        if let EventSubject::Operation(operation) = &record.subject {
            channels.push(self.places.channel(&Topic::Operation(record.organization, operation.id.clone())));
        }
        let channels: Vec<_> = channels.into_iter().flatten().collect();
        if channels.is_empty() {
            return;
        }
        match self.event(record) {
            // An error means that the last watcher has just left.
            Ok(event) => channels.iter().for_each(|channel| drop(channel.send(Arc::clone(&event)))),
            Err(error) => {
                tracing::error!(event = record.id, %error, internal = error.internal, "an event could not be written")
            }
        }
    }

    fn event(&self, record: &EventRecord) -> Result<Arc<Event>, Error> {
        let (kind, last_of_operation) = match &record.subject {
            EventSubject::Operation(operation) => (EventType::OperationUpdated, operation.status.is_terminal()),
            EventSubject::Health(_) => (EventType::ConnectionHealth, false),
        };
        let connection = record.connection.clone();
        Ok(Arc::new(Event { id: record.id, kind, connection, frame: (self.write)(record)?, last_of_operation }))
    }
}
