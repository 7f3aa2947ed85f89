//! Background requests: answers that take minutes, run by the gateway and watched by the guest.
//!
//! In go prepared requests under a key; out come ids, and how far each has come. Invariant: at most one request of a key runs
//! for a connection, and no connection takes more than its share of all that may run; another connection's id isn't known here,
//! and only the end of an answer is held. Whatever becomes of its task, a request that doesn't run any more has ended. Nothing
//! survives the process: a guest starts again what isn't known any more.

use super::{
    Background, BackgroundState, Flow, Lane, Request, SendContext,
    bind::{Shared, Upstream},
    config::BackgroundConfig,
    fault,
    request::Prepared,
    response, send,
};
use crate::model::{ConnectionId, Error, Kind};
use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    task::AbortHandle,
    time::{Instant, timeout_at},
};
use uuid::Uuid;

const MAX_KEY: usize = 256;
/// Ended ones that are remembered, for each that may run.
const KEPT_FOR_EACH: usize = 16;
/// The share of one connection in those that may run, as a fraction: they may go on for half an hour each.
const SHARES: usize = 4;

/// All background requests of the process.
pub(super) struct Registry {
    config: BackgroundConfig,
    entries: Mutex<HashMap<Uuid, Entry>>,
}

struct Entry {
    connection: ConnectionId,
    key: String,
    record: Arc<Mutex<Record>>,
    /// Some once the request runs.
    task: Option<AbortHandle>,
}

struct Record {
    state: BackgroundState,
    ended: Option<Instant>,
    status: Option<u16>,
    received: u64,
    tail: Vec<u8>,
    shared: Arc<Shared>,
}

impl Registry {
    pub(super) fn new(config: BackgroundConfig) -> Arc<Self> {
        Arc::new(Self { config, entries: Mutex::default() })
    }

    /// Commits the intent, then runs the request in a task of its own.
    pub(super) async fn start(
        self: &Arc<Self>,
        connection: ConnectionId,
        key: &str,
        upstream: &Arc<Upstream>,
        request: &Request,
        context: &SendContext,
    ) -> Result<String, Error> {
        if key.is_empty() || key.len() > MAX_KEY {
            return Err(Error::new(Kind::InvalidInput, format!("a background key has 1 to {MAX_KEY} bytes")));
        }
        let prepared = Prepared::new(upstream, request, &upstream.shared.config)?;
        let intent = send::intent(&prepared, context)?;
        if intent.is_none() && !prepared.is_read() {
            // It would outlive the call, and nothing would remember it.
            return Err(fault::refused("a preparing call may not send in the background; only a changing call may"));
        }
        let reserved = match self.reserve(connection, key, &upstream.shared)? {
            Found::Running(id) => return Ok(id.to_string()),
            Found::New(reserved) => reserved,
        };
        let deadline = upstream.deadline(request, context);
        // It is one of many, and may go on for an hour: it waits its time, and keeps no place.
        let mut turn = upstream.limits.turn(context.flow, deadline).await?;
        upstream.sign_in(context.flow, deadline, &mut turn).await?;
        drop(turn);
        timeout_at(deadline, send::commit(intent, &prepared))
            .await
            .unwrap_or_else(|_| Err(fault::too_late("the gateway's store")))?;
        let record = Arc::clone(&reserved.record);
        let flow = Flow { lane: Lane::Polls, ..context.flow };
        reserved.run(run(Arc::clone(upstream), prepared, flow, record, self.config.clone()))
    }

    /// Ends and forgets all of one connection.
    pub(super) fn forget(&self, connection: ConnectionId) {
        let mut entries = self.lock();
        for (_, gone) in entries.extract_if(|_, entry| entry.connection == connection) {
            if let Some(task) = gone.task {
                task.abort();
            }
        }
    }

    pub(super) fn watch(&self, connection: ConnectionId, id: &str) -> Result<Background, Error> {
        let unknown = || Error::new(Kind::NotFound, "no background request has this id; start it again");
        let id = Uuid::parse_str(id).map_err(|_| unknown())?;
        let mut entries = self.lock();
        self.purge(&mut entries);
        let entry = entries.get(&id).filter(|entry| entry.connection == connection).ok_or_else(unknown)?;
        Ok(lock(&entry.record).view(self.config.tail_bytes))
    }

    fn reserve(self: &Arc<Self>, connection: ConnectionId, key: &str, shared: &Arc<Shared>) -> Result<Found, Error> {
        let mut entries = self.lock();
        self.purge(&mut entries);
        let running = |entry: &Entry| lock(&entry.record).ended.is_none();
        let same = |entry: &Entry| entry.connection == connection && entry.key == key && running(entry);
        if let Some((id, _)) = entries.iter().find(|(_, entry)| same(entry)) {
            return Ok(Found::Running(*id));
        }
        let (mut all, mut own) = (0, 0);
        for entry in entries.values().filter(|entry| running(entry)) {
            all += 1;
            own += usize::from(entry.connection == connection);
        }
        let most = self.config.max_running;
        let share = (most / SHARES).max(1);
        if own >= share {
            return Err(too_many(format_args!("this connection runs as many background requests as it may ({share})")));
        }
        if all >= most {
            return Err(too_many(format_args!("{most} background requests run already")));
        }
        let record = Arc::new(Mutex::new(Record::new(Arc::clone(shared))));
        let id = Uuid::new_v4();
        entries.insert(id, Entry { connection, key: key.to_owned(), record: Arc::clone(&record), task: None });
        Ok(Found::New(Reserved { registry: Arc::clone(self), id: Some(id), record }))
    }

    /// Forgets what ended long ago, and the oldest when there are too many.
    fn purge(&self, entries: &mut HashMap<Uuid, Entry>) {
        let keep = Duration::from_secs(self.config.keep_seconds);
        let ended = |entry: &Entry| lock(&entry.record).ended;
        entries.retain(|_, entry| ended(entry).is_none_or(|at| at.elapsed() < keep));
        let most = self.config.max_running * KEPT_FOR_EACH;
        while entries.len() > most {
            let oldest = entries.iter().filter_map(|(id, entry)| Some((ended(entry)?, *id))).min();
            let Some((_, id)) = oldest else { return };
            entries.remove(&id);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Uuid, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn lock(record: &Mutex<Record>) -> MutexGuard<'_, Record> {
    record.lock().unwrap_or_else(PoisonError::into_inner)
}

fn too_many(running: fmt::Arguments<'_>) -> Error {
    Error::new(Kind::RateLimited, format!("{running}; try again when one has ended")).with_retry_after(30)
}

enum Found {
    Running(Uuid),
    New(Reserved),
}

/// A place in the registry, given back unless it is kept: the intent may fail, or the caller may go away meanwhile.
struct Reserved {
    registry: Arc<Registry>,
    id: Option<Uuid>,
    record: Arc<Mutex<Record>>,
}

impl Reserved {
    /// Runs it, and keeps its place. `NotFound` when the connection was forgotten meanwhile.
    fn run(mut self, work: impl Future<Output = ()> + Send + 'static) -> Result<String, Error> {
        let gone = || Error::new(Kind::NotFound, "the connection was deleted meanwhile");
        let unfinished = Unfinished(Arc::clone(&self.record));
        let work = async move {
            let _unfinished = unfinished;
            work.await;
        };
        let mut entries = self.registry.lock();
        let id = self.id.ok_or_else(gone)?;
        // Looked for before the task is there: what is assigned would be made first.
        let entry = entries.get_mut(&id).ok_or_else(gone)?;
        entry.task = Some(tokio::spawn(work).abort_handle());
        drop(entries);
        self.id = None;
        Ok(id.to_string())
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            self.registry.lock().remove(&id);
        }
    }
}

/// Ends a request whose task goes without having ended it, because it panicked: its place and its key would be taken for ever.
struct Unfinished(Arc<Mutex<Record>>);

impl Drop for Unfinished {
    fn drop(&mut self) {
        let mut record = lock(&self.0);
        if record.ended.is_none() {
            record.end(BackgroundState::Failed(Error::gateway("a background request ended without an outcome")));
        }
    }
}

async fn run(upstream: Arc<Upstream>, prepared: Prepared, flow: Flow, record: Arc<Mutex<Record>>, config: BackgroundConfig) {
    let deadline = Instant::now() + Duration::from_secs(config.max_seconds);
    let label = &upstream.target.label;
    let work = async {
        upstream.limits.earn();
        let response = upstream.follow(&prepared, flow, deadline).await?;
        stream(response, label, &upstream.shared, &record, &config).await
    };
    let late = || {
        let message = format!("{label} didn't finish its answer in {} s", config.max_seconds);
        Err(Error::new(Kind::Timeout, message))
    };
    let result = timeout_at(deadline, work).await.unwrap_or_else(|_| late());
    let state = match result {
        Ok(status) => {
            upstream.shared.meters.status(status);
            BackgroundState::Finished
        }
        Err(error) => {
            upstream.shared.meters.error(&error);
            BackgroundState::Failed(error)
        }
    };
    lock(&record).end(state);
}

async fn stream(
    answer: http::Response<Incoming>,
    label: &str,
    shared: &Shared,
    record: &Mutex<Record>,
    config: &BackgroundConfig,
) -> Result<u16, Error> {
    let (parts, mut body) = answer.into_parts();
    response::check(&parts, label, &shared.config)?;
    lock(record).status = Some(parts.status.as_u16());
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| response::broken(label, &error))?;
        let Ok(data) = frame.into_data() else { continue };
        let received = lock(record).push(&data, config.tail_bytes);
        if received > config.max_bytes {
            return Err(Error::new(Kind::Internal, format!("{label} answered more than {} bytes", config.max_bytes)));
        }
    }
    Ok(parts.status.as_u16())
}

impl Record {
    fn new(shared: Arc<Shared>) -> Self {
        Self { state: BackgroundState::Running, ended: None, status: None, received: 0, tail: Vec::new(), shared }
    }

    fn end(&mut self, state: BackgroundState) {
        (self.ended, self.state) = (Some(Instant::now()), state);
    }

    /// Keeps more than the tail, so that a secret which begins before the tail is still recognised.
    fn push(&mut self, data: &Bytes, tail: usize) -> u64 {
        self.received += data.len() as u64;
        self.tail.extend_from_slice(data);
        let most = tail + self.shared.redactor.longest();
        if self.tail.len() > 2 * most {
            self.tail.drain(..self.tail.len() - most);
        }
        self.received
    }

    fn view(&self, most: usize) -> Background {
        let redactor = &self.shared.redactor;
        let clean = redactor.bytes(Bytes::copy_from_slice(&self.tail));
        let hidden = if self.ended.is_none() { redactor.unfinished(&clean) } else { 0 };
        let clean = clean.slice(..clean.len() - hidden);
        let cut = self.received > clean.len().min(most) as u64 + hidden as u64;
        let mut tail = clean.slice(clean.len().saturating_sub(most)..);
        if let Some(line) = cut.then(|| memchr::memchr(b'\n', &tail)).flatten() {
            tail = tail.slice(line + 1..);
        }
        Background { state: self.state.clone(), status: self.status, received: self.received, tail }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        egress::{config::EgressConfig, meters::Meters, redact::Redactor},
        metrics::Metrics,
        model::Secrets,
    };

    fn shared() -> Arc<Shared> {
        let meters = Meters::new(&Metrics::new().unwrap(), "docker");
        let redactor = Redactor::new(&Secrets::default(), Vec::new());
        Arc::new(Shared { config: Arc::new(EgressConfig::default()), redactor, meters })
    }

    fn registry(max_running: usize) -> Arc<Registry> {
        Registry::new(BackgroundConfig { max_running, ..BackgroundConfig::default() })
    }

    fn reserved(found: Result<Found, Error>) -> Reserved {
        match found {
            Ok(Found::New(reserved)) => reserved,
            Ok(Found::Running(id)) => panic!("{id} runs already"),
            Err(error) => panic!("{error:?}"),
        }
    }

    #[tokio::test]
    async fn what_panics_has_failed_and_its_key_is_free() {
        let (registry, connection) = (registry(4), ConnectionId(Uuid::new_v4()));
        let started = reserved(registry.reserve(connection, "pull", &shared()));
        let id = started.run(async { panic!("as it is meant to") }).unwrap();
        let ended = tokio::time::timeout(Duration::from_secs(60), async {
            loop {
                match registry.watch(connection, &id).unwrap().state {
                    BackgroundState::Running => tokio::task::yield_now().await,
                    ended => return ended,
                }
            }
        });
        let ended = ended.await.expect("it runs for ever");
        assert!(matches!(&ended, BackgroundState::Failed(error) if error.kind == Kind::Gateway), "{ended:?}");
        drop(reserved(registry.reserve(connection, "pull", &shared())));
    }

    #[test]
    fn one_connection_has_a_quarter_of_the_places() {
        for (most, share) in [(64, 16), (8, 2), (5, 1), (1, 1)] {
            let (registry, shared) = (registry(most), shared());
            let refusal = |connection: ConnectionId| match registry.reserve(connection, "one more", &shared) {
                Err(error) => (error.kind, error.retry_after, error.message),
                Ok(_) => panic!("one more runs of {most}"),
            };
            let mut kept = Vec::new();
            while kept.len() < most {
                let connection = ConnectionId(Uuid::new_v4());
                kept.extend((0..share).map(|number| reserved(registry.reserve(connection, &number.to_string(), &shared))));
                let told = format!(
                    "this connection runs as many background requests as it may ({share}); try again when one has ended"
                );
                assert_eq!(refusal(connection), (Kind::RateLimited, Some(30), told));
            }
            let told = format!("{most} background requests run already; try again when one has ended");
            assert_eq!(refusal(ConnectionId(Uuid::new_v4())), (Kind::RateLimited, Some(30), told));
            // The place of one that ended is anybody's.
            kept.pop();
            drop(reserved(registry.reserve(ConnectionId(Uuid::new_v4()), "next", &shared)));
        }
    }
}
