//! Watchers over a real SQLite file: everyone hears everything once, in order, whatever happens meanwhile.

use super::*;
use crate::{
    clock,
    model::{Kind, Operation, Role},
    policy::mint_token,
    store::{Acceptance, Actor, Fence, Finish, Outcome, SqliteStore, TokenRotation, TokenStore as _, suite},
};
use std::sync::atomic::AtomicUsize;
use tokio::time::timeout;
use uuid::Uuid;

const PATIENCE: Duration = Duration::from_secs(20);
const OWNER: Uuid = Uuid::from_u128(5);

struct World {
    _folder: tempfile::TempDir,
    store: Arc<SqliteStore>,
    authenticator: Arc<Authenticator>,
    metrics: Metrics,
    shutdown: CancellationToken,
    events: Arc<Events>,
    organization: OrganizationId,
}

/// `id status message`, as far as there is one.
fn brief(record: &EventRecord) -> Result<Bytes, Error> {
    Ok(match &record.subject {
        EventSubject::Operation(operation) => {
            format!("{} {}", operation.status.as_str(), operation.message.as_deref().unwrap_or("-")).into()
        }
        EventSubject::Health(health) => health.get().to_owned().into(),
    })
}

impl World {
    async fn new(config: EventsConfig) -> Self {
        Self::with(config, brief).await
    }

    async fn with(config: EventsConfig, write: Write) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(SqliteStore::open(&folder.path().join("portico.db")).await.unwrap());
        let organization = suite::organization(&*store, "acme").await;
        store.runner_lease(OWNER, clock::now().plus_millis(1_000_000)).await.unwrap();
        let authenticator = Arc::new(Authenticator::new(store.clone()));
        let (metrics, shutdown) = (Metrics::new().unwrap(), CancellationToken::new());
        let events = Events::start(store.clone(), write, Arc::clone(&authenticator), &metrics, &config, shutdown.clone());
        Self { _folder: folder, store, authenticator, metrics, shutdown, events, organization }
    }

    async fn principal(&self, lifetime_millis: i64) -> Arc<Principal> {
        let expires = clock::now().plus_millis(lifetime_millis);
        let (token, record) = mint_token(self.organization, "test", Some(expires)).unwrap();
        self.store.token_insert(&record).await.unwrap();
        self.authenticator.authenticate(Some(token.as_bytes()), None).await.unwrap()
    }

    /// Who came with the value that a rotation without overlap took away, and who comes with the present one.
    async fn rotated(&self) -> [Arc<Principal>; 2] {
        let mint = || mint_token(self.organization, "test", None).unwrap();
        let ((old, record), (new, next)) = (mint(), mint());
        let came = async |token: &str| self.authenticator.authenticate(Some(token.as_bytes()), None).await.unwrap();
        self.store.token_insert(&record).await.unwrap();
        let before = came(&old).await;
        let rotation =
            TokenRotation { present: record.hash, hash: next.hash, prefix: next.prefix, previous_until: clock::now() };
        let by = Actor { name: format!("token:{}", record.id), least: Role::Admin, at: clock::now() };
        assert_eq!(self.store.token_rotate(self.organization, record.id, &rotation, &by).await.unwrap(), Ok(true));
        self.authenticator.forget();
        [before, came(&new).await]
    }

    async fn watch(&self, principal: &Arc<Principal>) -> Watch {
        self.events.organization(principal, Filter::default(), None).await.unwrap()
    }

    async fn accept(&self) -> OperationId {
        let new = suite::new_operation(self.organization, clock::now().as_millis());
        assert!(matches!(self.store.operation_accept(&new).await.unwrap(), Acceptance::Accepted));
        new.operation.id
    }

    async fn claim(&self, id: &OperationId) -> Fence {
        let claim = self.store.operation_claim(id, OWNER, clock::now()).await.unwrap().unwrap();
        suite::fence_of(&claim, OWNER)
    }

    async fn say(&self, fence: &Fence, message: String) {
        self.store.operation_outcome(fence, &Outcome::Message(message), clock::now()).await.unwrap();
    }

    async fn finish(&self, fence: &Fence) {
        let Operation { target, .. } = self.store.operation(self.organization, &fence.id).await.unwrap().unwrap();
        let finish = Finish {
            status: crate::model::OperationStatus::Succeeded,
            target,
            progress: None,
            message: None,
            result: None,
            native: None,
            error: None,
            secrets: None,
            frees_key: false,
            labels: None,
            at: clock::now(),
        };
        self.store.operation_finish(fence, &finish).await.unwrap();
    }
}

async fn next(watch: &mut Watch) -> Option<News> {
    timeout(PATIENCE, watch.next()).await.expect("nothing was told")
}

/// The next event's words.
async fn event(watch: &mut Watch) -> String {
    match next(watch).await {
        Some(News::Event(event)) => String::from_utf8(event.frame.to_vec()).unwrap(),
        Some(News::Reset(at)) => panic!("a reset at {at}"),
        Some(News::Silence(at)) => panic!("silence at {at}"),
        None => panic!("the stream ended"),
    }
}

static WRITTEN: AtomicUsize = AtomicUsize::new(0);

fn counted(record: &EventRecord) -> Result<Bytes, Error> {
    WRITTEN.fetch_add(1, Ordering::Relaxed);
    brief(record)
}

#[tokio::test]
async fn an_event_is_written_once_and_heard_by_everyone() {
    let world = World::with(EventsConfig::default(), counted).await;
    let principal = world.principal(1_000_000).await;
    let mut watches = Vec::new();
    for _ in 0..300 {
        watches.push(world.events.organization(&principal, Filter::default(), None).await.unwrap());
    }
    assert_eq!(world.metrics.event_watchers.get(), 300);
    world.accept().await;
    for watch in &mut watches {
        assert_eq!(event(watch).await, "queued -");
    }
    assert_eq!(WRITTEN.load(Ordering::Relaxed), 1);
    drop(watches);
    assert_eq!(world.metrics.event_watchers.get(), 0);
    assert!(world.events.places.are_empty() && world.events.places.principals().is_empty(), "a place outlived its watcher");
}

#[tokio::test]
async fn one_that_falls_behind_misses_nothing() {
    let world = World::new(EventsConfig::default()).await;
    let principal = world.principal(1_000_000).await;
    let id = world.accept().await;
    let fence = world.claim(&id).await;
    let mut watch = world.events.operation(&principal, id.clone(), None).await.unwrap();
    // More than its channel and a page hold.
    let messages: Vec<String> = (0..450).map(|n| format!("step {n}")).collect();
    for message in &messages {
        world.say(&fence, message.clone()).await;
    }
    world.finish(&fence).await;
    assert_eq!(event(&mut watch).await, "running -", "as it was when the watch began");
    for message in &messages {
        assert_eq!(event(&mut watch).await, format!("running {message}"));
    }
    assert_eq!(event(&mut watch).await, "succeeded -");
    assert!(next(&mut watch).await.is_none());
    // Again from the middle; and from the end, where there is nothing more to say.
    let all = world.store.events(&EventScope::Operation(world.organization, id.clone()), 0, 1000).await.unwrap();
    let (middle, last) = (all[all.len() - 3].id, all[all.len() - 1].id);
    let mut watch = world.events.operation(&principal, id.clone(), Some(middle)).await.unwrap();
    assert_eq!((event(&mut watch).await, event(&mut watch).await), ("running step 449".to_owned(), "succeeded -".to_owned()));
    assert!(next(&mut watch).await.is_none());
    assert!(world.events.operation(&principal, id, Some(last)).await.unwrap().is_over());
}

#[tokio::test]
async fn resumes_without_a_gap_while_more_happens() {
    let world = World::new(EventsConfig::default()).await;
    let principal = world.principal(1_000_000).await;
    let fence = world.claim(&world.accept().await).await;
    let start = *world.store.events_written().borrow();
    let writing = async {
        for n in 0..600 {
            world.say(&fence, n.to_string()).await;
        }
    };
    let reading = async {
        let (mut position, mut heard) = (start, 0);
        // A new connection for every few events.
        while heard < 600 {
            let mut watch = world.events.organization(&principal, Filter::default(), Some(position)).await.unwrap();
            for _ in 0..7.min(600 - heard) {
                let Some(News::Event(event)) = next(&mut watch).await else { panic!("no event after {heard}") };
                assert_eq!(event.frame, format!("running {heard}"));
                assert!(event.id > position);
                (position, heard) = (event.id, heard + 1);
            }
        }
    };
    tokio::join!(writing, reading);
}

#[tokio::test]
async fn what_was_forgotten_is_a_reset() {
    let world = World::new(EventsConfig::default()).await;
    let principal = world.principal(1_000_000).await;
    let id = world.accept().await;
    let fence = world.claim(&id).await;
    for n in 0..10 {
        world.say(&fence, n.to_string()).await;
    }
    let last = *world.store.events_written().borrow();
    world.store.events_prune(clock::now().plus_millis(-1_000_000), 4, 500).await.unwrap();
    for gone in [0, last - 5, last + 1, i64::MAX] {
        let mut watch = world.events.organization(&principal, Filter::default(), Some(gone)).await.unwrap();
        assert!(matches!(next(&mut watch).await, Some(News::Reset(at)) if at == last), "{gone}");
        let mut watch = world.events.operation(&principal, id.clone(), Some(gone)).await.unwrap();
        assert!(matches!(next(&mut watch).await, Some(News::Reset(at)) if at == last), "{gone}");
        assert_eq!(event(&mut watch).await, "running 9", "what an operation is now follows its reset");
    }
    let mut watch = world.events.organization(&principal, Filter::default(), Some(last - 4)).await.unwrap();
    assert_eq!(event(&mut watch).await, "running 6");
}

#[tokio::test]
async fn places_are_few_and_come_back() {
    let world = World::new(EventsConfig { max_watchers: 2, ..EventsConfig::default() }).await;
    let principal = world.principal(1_000_000).await;
    let watch = async || world.events.organization(&principal, Filter::default(), None).await;
    let (one, _two) = (watch().await.unwrap(), watch().await.unwrap());
    let refused = watch().await.err().unwrap();
    assert_eq!((refused.kind, refused.code()), (Kind::Overloaded, "too_many_watchers"));
    assert!(refused.retry_after.is_some());
    drop(one);
    assert!(watch().await.is_ok());
    let unknown = world.events.operation(&principal, OperationId::generate(), None).await.err().unwrap();
    assert_eq!(unknown.kind, Kind::NotFound);
    assert_eq!(world.metrics.event_watchers.get(), 1, "a refusal kept a place");
}

#[tokio::test]
async fn filters_by_type_and_connection() {
    let world = World::new(EventsConfig::default()).await;
    let principal = world.principal(1_000_000).await;
    let health = |connection: &str| crate::store::HealthEvent {
        organization: world.organization,
        connection: crate::model::Slug::parse(connection).unwrap(),
        health: serde_json::value::to_raw_value(connection).unwrap(),
        at: clock::now(),
    };
    let start = *world.store.events_written().borrow();
    let types = Some(vec![EventType::ConnectionHealth]);
    let filter = Filter { types, connection: Some("kinsta".to_owned()), ..Filter::default() };
    let mut live = world.events.organization(&principal, filter.clone(), None).await.unwrap();
    world.accept().await;
    for connection in ["docker", "kinsta"] {
        world.store.event_insert_health(&health(connection)).await.unwrap();
    }
    let mut later = world.events.organization(&principal, filter, Some(start)).await.unwrap();
    assert_eq!((event(&mut live).await, event(&mut later).await), ("\"kinsta\"".to_owned(), "\"kinsta\"".to_owned()));
}

#[tokio::test]
async fn a_silent_stream_says_how_far_it_is() {
    let world = World::new(EventsConfig { heartbeat_seconds: 1, ..EventsConfig::default() }).await;
    let principal = world.principal(1_000_000).await;
    let filter = Filter { types: Some(vec![EventType::ConnectionHealth]), ..Filter::default() };
    let mut watch = world.events.organization(&principal, filter, None).await.unwrap();
    world.accept().await;
    let last = *world.store.events_written().borrow();
    assert!(matches!(next(&mut watch).await, Some(News::Silence(at)) if at == last));
}

#[tokio::test]
async fn streams_end_with_their_credential_and_with_the_gateway() {
    let world = World::new(EventsConfig::default()).await;
    let (short, long) = (world.principal(300).await, world.principal(1_000_000).await);
    let mut ends = world.events.organization(&short, Filter::default(), None).await.unwrap();
    let mut goes_on = world.events.organization(&long, Filter::default(), None).await.unwrap();
    let until_refused = async {
        while world.authenticator.still_holds(&short).await.unwrap() {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, until_refused).await.expect("the token never expired");
    upkeep::check_once(&world.events, &world.authenticator).await;
    assert!(next(&mut ends).await.is_none(), "it outlived its credential");
    world.accept().await;
    assert_eq!(event(&mut goes_on).await, "queued -");
    world.shutdown.cancel();
    assert!(next(&mut goes_on).await.is_none(), "it holds up the drain");
    let mut late = world.events.organization(&long, Filter::default(), None).await.unwrap();
    assert!(next(&mut late).await.is_none());
}

#[tokio::test]
async fn a_rotation_ends_the_streams_of_the_value_before_alone() {
    let world = World::new(EventsConfig::default()).await;
    for old_first in [true, false] {
        let [old, new] = world.rotated().await;
        assert_eq!(old.credential_id(), new.credential_id());
        let (mut ends, mut goes_on) = if old_first {
            (world.watch(&old).await, world.watch(&new).await)
        } else {
            let goes_on = world.watch(&new).await;
            (world.watch(&old).await, goes_on)
        };
        upkeep::check_once(&world.events, &world.authenticator).await;
        assert!(next(&mut ends).await.is_none(), "it outlived its value, and the old one came first: {old_first}");
        world.accept().await;
        assert_eq!(event(&mut goes_on).await, "queued -");
    }
}

#[tokio::test]
async fn a_revocation_ends_the_streams_of_every_value() {
    let world = World::new(EventsConfig::default()).await;
    let other = world.principal(1_000_000).await;
    let [old, new] = world.rotated().await;
    let (mut before, mut present, mut goes_on) = (world.watch(&old).await, world.watch(&new).await, world.watch(&other).await);
    world.events.dismiss(new.credential_id());
    for ended in [&mut before, &mut present] {
        assert!(next(ended).await.is_none(), "it outlived its token");
    }
    world.accept().await;
    assert_eq!(event(&mut goes_on).await, "queued -");
}
