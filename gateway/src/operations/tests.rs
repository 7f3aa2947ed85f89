//! Operations over a real SQLite file and a scripted provider.
//!
//! The provider and its upstream ([`Fake`]) outlive every crash, as real ones do; what reached the upstream is in its log.
//! Invariant: nothing here sleeps for a result; it waits for a line of the log, or for the operation's end.

mod clients;
mod crash;
mod steps;
mod turns;

use super::*;
use crate::{
    dispatch::{Carrier, StillAllowed},
    host::CallContext,
    model::{Action, Completion, Finding, Labels, Pending, Progress, Recovery, Work},
    seal::KEY_LENGTH,
    store::{SqliteStore, suite},
};
use async_trait::async_trait;
use serde_json::value::RawValue;
use sqlx::{ConnectOptions as _, sqlite::SqliteConnectOptions};
use std::{
    collections::{HashMap, VecDeque},
    path::PathBuf,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
};
use tokio::{
    sync::{Semaphore, watch},
    time::timeout,
};

const PATIENCE: Duration = Duration::from_secs(20);

/// What a call does: any number of the first four, then one of the others.
#[derive(Clone, Debug)]
enum Act {
    Send,
    /// What was sent last is answered 429.
    Declined,
    Gate(Arc<Semaphore>),
    Hang,
    Panic,
    Done,
    Secret,
    Pending(&'static str),
    Fail(Kind),
    /// The host is away, and it is known for how long.
    Away,
    Failed(Kind),
    Canceled,
    Absent,
    Unknown,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Call {
    Mutate,
    Poll,
    Reconcile,
    Cancel,
    Result,
}

/// A provider and its upstream, which do as the script says and otherwise what they are told at once.
struct Fake {
    recovery: Recovery,
    scripts: Mutex<HashMap<Call, VecDeque<Vec<Act>>>>,
    log: watch::Sender<Vec<String>>,
    forbids: Arc<AtomicBool>,
}

impl Fake {
    fn new(recovery: Recovery) -> Arc<Self> {
        Arc::new(Self { recovery, scripts: Mutex::default(), log: watch::channel(Vec::new()).0, forbids: Arc::default() })
    }

    fn script(&self, call: Call, acts: &[Act]) -> &Self {
        self.scripts.lock().unwrap().entry(call).or_default().push_back(acts.to_vec());
        self
    }

    fn note(&self, line: String) {
        self.log.send_modify(|log| log.push(line));
    }

    fn count(&self, start: &str) -> usize {
        self.log.borrow().iter().filter(|line| line.starts_with(start)).count()
    }

    async fn until(&self, start: &str, times: usize) {
        let mut log = self.log.subscribe();
        let seen = log.wait_for(|log| log.iter().filter(|line| line.starts_with(start)).count() >= times);
        assert!(timeout(PATIENCE, seen).await.is_ok(), "no {times} x {start} in {:?}", self.log.borrow());
    }

    async fn run(&self, call: Call, context: &CallContext) -> Result<Act, Error> {
        let acts = self.scripts.lock().unwrap().get_mut(&call).and_then(VecDeque::pop_front);
        self.note(format!("{call:?}"));
        let usual = if matches!(call, Call::Mutate) { vec![Act::Send, Act::Done] } else { vec![Act::Done] };
        for act in acts.unwrap_or(usual) {
            match act {
                Act::Send => {
                    let operation = context.operation.as_ref().unwrap();
                    operation.intent.sent([1; 32]).await.map_err(|error| Error::new(Kind::Internal, error.message))?;
                    self.note(format!("sent {}", operation.idempotency_key));
                }
                Act::Declined => context.operation.as_ref().unwrap().intent.declined(),
                Act::Gate(gate) => gate.acquire().await.unwrap().forget(),
                Act::Hang => std::future::pending().await,
                Act::Panic => panic!("scripted"),
                Act::Away => return Err(Error::new(Kind::Unavailable, "scripted").with_retry_after(1)),
                Act::Fail(kind) => return Err(Error::new(kind, "scripted")),
                other => return Ok(other),
            }
        }
        panic!("a script without an end");
    }
}

fn completion(secrets: Vec<Secret>) -> Completion {
    Completion { target: Some("new site".to_owned()), message: Some("made".to_owned()), details: None, secrets }
}

fn pending(handle: &str) -> Pending {
    let (progress, message) = (Some(10), Some(handle.to_owned()));
    Pending { handle: handle.to_owned(), target: None, progress, message, estimated_completion_at: None, poll_after: 0 }
}

fn work(act: Act) -> Work {
    match act {
        Act::Done => Work::Done(completion(Vec::new())),
        Act::Secret => Work::Done(completion(vec![Secret { name: "password".to_owned(), value: "correct horse".to_owned() }])),
        Act::Pending(handle) => Work::Pending(pending(handle)),
        other => panic!("{other:?} is no outcome of a mutation"),
    }
}

#[async_trait]
impl Carrier for Fake {
    async fn allow(&self, _: ConnectionId, _: &Mutation) -> Result<StillAllowed, Error> {
        let forbids = Arc::clone(&self.forbids);
        let error = || Error::new(Kind::Conflict, "scripted").with_code("protected");
        let check = move || if forbids.load(SeqCst) { Err(error()) } else { Ok(()) };
        check()?;
        Ok(Box::new(check))
    }

    async fn recovery(&self, _: ConnectionId, _: Action) -> Result<Recovery, Error> {
        Ok(self.recovery)
    }

    async fn mutate(&self, _: ConnectionId, _: &Mutation, context: &CallContext) -> Result<Work, Error> {
        Ok(work(self.run(Call::Mutate, context).await?))
    }

    async fn poll(&self, _: ConnectionId, handle: &str, context: &CallContext) -> Result<Progress, Error> {
        Ok(match self.run(Call::Poll, context).await? {
            Act::Pending(next) => Progress::Running(pending(next)),
            Act::Failed(kind) => Progress::Failed(Error::new(kind, handle)),
            Act::Canceled => Progress::Canceled,
            act => match work(act) {
                Work::Done(completion) => Progress::Succeeded(completion),
                Work::Pending(pending) => Progress::Running(pending),
            },
        })
    }

    async fn reconcile(&self, _: ConnectionId, _: &Mutation, context: &CallContext) -> Result<Finding, Error> {
        Ok(match self.run(Call::Reconcile, context).await? {
            Act::Absent => Finding::Absent,
            Act::Unknown => Finding::Unknown,
            act => Finding::Found(work(act)),
        })
    }

    async fn cancel(&self, _: ConnectionId, _: &str, context: &CallContext) -> Result<(), Error> {
        self.run(Call::Cancel, context).await.map(drop)
    }

    async fn result(
        &self,
        _: ConnectionId,
        _: &Mutation,
        completion: &Completion,
        context: &CallContext,
    ) -> Result<Option<Box<RawValue>>, Error> {
        self.run(Call::Result, context).await?;
        Ok(completion.target.as_ref().map(|target| serde_json::value::to_raw_value(target).unwrap()))
    }

    fn changed(&self, _: ConnectionId, _: &Mutation) {
        self.note("changed".to_owned());
    }

    async fn labels_coming(&self, _: ConnectionId, site: &str, labels: &Labels) -> Result<(), Error> {
        self.note(format!("labels of {site}: {labels:?}"));
        Ok(())
    }
}

/// A gateway's operations on a data folder that outlives them.
struct Gateway {
    folder: Arc<tempfile::TempDir>,
    organization: OrganizationId,
    fake: Arc<Fake>,
    store: Arc<SqliteStore>,
    metrics: Arc<Metrics>,
    shutdown: CancellationToken,
    operations: Arc<Operations>,
}

fn hurried() -> Options {
    Options {
        backoff: (Duration::from_millis(1), Duration::from_millis(20)),
        settle: Duration::from_millis(20),
        drain: Duration::from_secs(5),
        call: Duration::from_secs(10),
        ..Options::default()
    }
}

fn path(folder: &tempfile::TempDir) -> PathBuf {
    folder.path().join("portico.db")
}

/// Opens the data folder as soon as the process before has gone.
async fn reopen(folder: &tempfile::TempDir) -> Arc<SqliteStore> {
    let opened = async {
        loop {
            match SqliteStore::open(&path(folder)).await {
                Ok(store) => return Arc::new(store),
                Err(error) if error.message.contains("in use") => tokio::task::yield_now().await,
                Err(error) => panic!("{error:?}"),
            }
        }
    };
    timeout(PATIENCE, opened).await.expect("the data folder stayed locked")
}

impl Gateway {
    async fn start(fake: &Arc<Fake>) -> Self {
        Self::start_with(fake, hurried(), CancellationToken::new()).await
    }

    async fn start_with(fake: &Arc<Fake>, options: Options, shutdown: CancellationToken) -> Self {
        let folder = Arc::new(tempfile::tempdir().unwrap());
        let store = reopen(&folder).await;
        let organization = suite::organization(&*store, "acme").await;
        Self::on(folder, organization, store, fake, options, shutdown).await
    }

    async fn on(
        folder: Arc<tempfile::TempDir>,
        organization: OrganizationId,
        store: Arc<SqliteStore>,
        fake: &Arc<Fake>,
        options: Options,
        shutdown: CancellationToken,
    ) -> Self {
        let metrics = Arc::new(Metrics::new().unwrap());
        let sealer = Arc::new(Sealer::new(&[5; KEY_LENGTH]).unwrap());
        let (carrier, shared) = (Arc::<Fake>::clone(fake), Arc::clone(&store) as Arc<dyn Store>);
        let operations =
            Operations::start_with(shared, sealer, carrier, Arc::clone(&metrics), shutdown.clone(), options).await.unwrap();
        Self { folder, organization, fake: Arc::clone(fake), store, metrics, shutdown, operations }
    }

    /// Ends this process without a word, and starts the next one on its data.
    async fn crash(self) -> Self {
        let Self { folder, organization, fake, store, operations, .. } = self;
        drop((operations, store));
        let store = reopen(&folder).await;
        Self::on(folder, organization, store, &fake, hurried(), CancellationToken::new()).await
    }

    fn order(&self) -> Submit {
        Submit {
            organization: self.organization,
            principal: "token t".to_owned(),
            connection: ConnectionId(uuid::Uuid::from_u128(7)),
            connection_slug: Slug::parse("docker").unwrap(),
            target: Target { kind: "site".to_owned(), id: None, site: None },
            mutation: Mutation::SitesStop { site: "very private name".to_owned() },
            idempotency: None,
        }
    }

    async fn submit(&self) -> OperationId {
        self.operations.submit(self.order()).await.unwrap().operation.id
    }

    async fn end_of(&self, id: &OperationId) -> Operation {
        let operation = self.operations.wait(self.organization, id, Instant::now() + PATIENCE).await.unwrap();
        assert!(operation.status.is_terminal(), "{operation:?}\n{:?}", self.fake.log.borrow());
        operation
    }

    async fn get(&self, id: &OperationId) -> Operation {
        self.operations.get(self.organization, id).await.unwrap()
    }

    /// Changes the database behind the gateway's back.
    async fn execute(&self, statement: &'static str) {
        let options = SqliteConnectOptions::new().filename(path(&self.folder));
        let mut connection = options.connect().await.unwrap();
        sqlx::query(statement).execute(&mut connection).await.unwrap();
        sqlx::Connection::close(connection).await.unwrap();
    }

    async fn until_writes_failed(&self, times: u64) {
        let failed = async {
            while self.metrics.store_failures.get() < times {
                tokio::task::yield_now().await;
            }
        };
        assert!(timeout(PATIENCE, failed).await.is_ok(), "{} failed", self.metrics.store_failures.get());
    }

    /// Numbers follow the commit that clients see, a moment later.
    async fn until_nothing_is_open(&self) {
        let open = || (self.gauge(OperationStatus::Queued), self.gauge(OperationStatus::Running));
        let zero = async {
            while open() != (0, 0) {
                tokio::task::yield_now().await;
            }
        };
        assert!(timeout(PATIENCE, zero).await.is_ok(), "still open: {:?}", open());
    }

    fn gauge(&self, status: OperationStatus) -> i64 {
        self.metrics.operations.with_label_values(&[status.as_str()]).get()
    }
}
