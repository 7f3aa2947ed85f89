//! The import `state`: a connection's small durable key-value store.
//!
//! In go guests' reads and writes; out go writes to the store. Invariant: a write is durable before the guest sees it done, and
//! memory never differs from the store: writes of one connection run one after another, each to its end even when its caller
//! is gone. Keyed by the connection's uuid, so nothing passes to a later connection of the same name.

use crate::{
    host::data::Data,
    model::{ConnectionId, Error, Kind},
    store::Store,
};
use portico_bindings::portico::provider::{state::Host, types};
use std::{
    collections::BTreeMap,
    ops::Bound,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
};
use tokio::sync::Mutex;

const MAX_KEY: usize = 256;
const MAX_VALUE: usize = 64 * 1024;
const MAX_KEYS: usize = 100_000;
const MAX_TOTAL: usize = 64 * 1024 * 1024;
const MAX_LIST: u32 = 1000;

/// One counter for all connections: a state that is dropped and loaded again never shows a number that it had before.
static REVISION: AtomicU64 = AtomicU64::new(1);

type Value = Arc<[u8]>;

#[derive(Default)]
struct Entries {
    map: BTreeMap<Arc<str>, Value>,
    /// Keys and values.
    bytes: usize,
}

/// Shared by all instances of one connection, over its revisions.
pub(in crate::host) struct ConnectionState {
    connection: ConnectionId,
    store: Arc<dyn Store>,
    entries: RwLock<Entries>,
    revision: AtomicU64,
    /// Held by the one writer.
    writer: Mutex<()>,
    loaded: tokio::sync::OnceCell<()>,
}

enum Change {
    Set(Vec<u8>),
    Delete,
}

impl ConnectionState {
    pub(in crate::host) fn new(connection: ConnectionId, store: Arc<dyn Store>) -> Self {
        Self {
            connection,
            store,
            entries: RwLock::default(),
            revision: AtomicU64::new(next_revision()),
            writer: Mutex::default(),
            loaded: tokio::sync::OnceCell::new(),
        }
    }

    pub(in crate::host) fn revision(&self) -> u64 {
        self.revision.load(Ordering::Acquire)
    }

    #[cfg(test)]
    pub(in crate::host) fn connection(&self) -> ConnectionId {
        self.connection
    }

    /// Loads everything once; later calls cost one atomic read.
    async fn ready(&self) -> Result<(), Error> {
        let load = || async {
            let stored = self.store.state_load(self.connection).await?;
            let bytes = stored.iter().map(|(key, value)| key.len() + value.len()).sum();
            let map = stored.into_iter().map(|(key, value)| (key.into(), value.into())).collect();
            *self.write() = Entries { map, bytes };
            Ok(())
        };
        self.loaded.get_or_try_init(load).await.copied()
    }

    fn get(&self, key: &str) -> Option<Value> {
        self.read().map.get(key).cloned()
    }

    /// Changes `key` if `guard` accepts its present value. False: it didn't.
    async fn change(
        self: &Arc<Self>,
        key: String,
        change: Change,
        guard: impl FnOnce(Option<&[u8]>) -> bool + Send + 'static,
    ) -> Result<bool, Error> {
        let this = self.clone();
        // A task of its own: a caller that gives up between the store and the map must not leave them different.
        let work = tokio::spawn(async move {
            let _writer = this.writer.lock().await;
            let present = this.get(&key);
            if !guard(present.as_deref()) {
                return Ok(false);
            }
            match change {
                Change::Set(value) => this.set(key, value, present).await?,
                Change::Delete if present.is_some() => this.delete(&key).await?,
                Change::Delete => {}
            }
            Ok(true)
        });
        work.await.map_err(|error| Error::gateway(format_args!("a write of state ended early: {error}")))?
    }

    async fn set(&self, key: String, value: Vec<u8>, present: Option<Value>) -> Result<(), Error> {
        let (keys, bytes) = {
            let entries = self.read();
            (entries.map.len() + usize::from(present.is_none()), entries.bytes)
        };
        let replaced = present.map_or(0, |value| value.len() + key.len());
        let bytes = bytes - replaced + key.len() + value.len();
        if keys > MAX_KEYS || bytes > MAX_TOTAL {
            let text = format!("the connection's state is full: {MAX_KEYS} keys and {MAX_TOTAL} bytes at most");
            return Err(Error::new(Kind::QuotaExceeded, text));
        }
        self.store.state_set(self.connection, &key, &value).await?;
        let mut entries = self.write();
        entries.map.insert(key.into(), value.into());
        entries.bytes = bytes;
        self.revision.store(next_revision(), Ordering::Release);
        Ok(())
    }

    async fn delete(&self, key: &str) -> Result<(), Error> {
        self.store.state_delete(self.connection, key).await?;
        let mut entries = self.write();
        if let Some(value) = entries.map.remove(key) {
            entries.bytes -= key.len() + value.len();
        }
        self.revision.store(next_revision(), Ordering::Release);
        Ok(())
    }

    fn list(&self, prefix: &str, after: Option<&str>, limit: usize) -> Vec<(String, Vec<u8>)> {
        let from = match after {
            Some(after) if after >= prefix => Bound::Excluded(after),
            _ => Bound::Included(prefix),
        };
        let entries = self.read();
        let range = entries.map.range::<str, _>((from, Bound::Unbounded));
        let matching = range.take_while(|(key, _)| key.starts_with(prefix)).take(limit);
        matching.map(|(key, value)| (key.to_string(), value.to_vec())).collect()
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, Entries> {
        self.entries.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, Entries> {
        self.entries.write().unwrap_or_else(PoisonError::into_inner)
    }
}

fn next_revision() -> u64 {
    REVISION.fetch_add(1, Ordering::Relaxed)
}

fn check_key(key: &str) -> Result<(), Error> {
    if (1..=MAX_KEY).contains(&key.len()) {
        return Ok(());
    }
    Err(Error::new(Kind::InvalidInput, format!("a key of state has 1 to {MAX_KEY} bytes, not {}", key.len())))
}

fn check_value(value: &[u8]) -> Result<(), Error> {
    if value.len() <= MAX_VALUE {
        return Ok(());
    }
    Err(Error::new(Kind::QuotaExceeded, format!("a value of state has {MAX_VALUE} bytes at most, not {}", value.len())))
}

impl Host for Data {
    async fn revision(&mut self) -> wasmtime::Result<u64> {
        self.count_state(0)?;
        Ok(self.reach("state.revision")?.state.revision())
    }

    async fn get(&mut self, key: String) -> wasmtime::Result<Result<Option<Vec<u8>>, types::Error>> {
        let state = self.state("state.get", key.len())?;
        if let Err(error) = self.waiting_for(state.ready()).await {
            return Ok(Err(self.failed(error)));
        }
        let value = state.get(&key).map(|value| value.to_vec());
        self.count_in(value.as_ref().map_or(0, Vec::len))?;
        Ok(Ok(value))
    }

    async fn set(&mut self, key: String, value: Vec<u8>) -> wasmtime::Result<Result<(), types::Error>> {
        let state = self.state("state.set", key.len() + value.len())?;
        let work = write(state, key, Change::Set(value), |_| true);
        let outcome = self.waiting_for(work).await;
        Ok(outcome.map(drop).map_err(|error| self.failed(error)))
    }

    async fn compare_and_set(
        &mut self,
        key: String,
        expected: Option<Vec<u8>>,
        value: Vec<u8>,
    ) -> wasmtime::Result<Result<bool, types::Error>> {
        let size = key.len() + value.len() + expected.as_ref().map_or(0, Vec::len);
        let state = self.state("state.compare-and-set", size)?;
        let work = write(state, key, Change::Set(value), move |present| present == expected.as_deref());
        let outcome = self.waiting_for(work).await;
        Ok(outcome.map_err(|error| self.failed(error)))
    }

    async fn delete(&mut self, key: String) -> wasmtime::Result<Result<(), types::Error>> {
        let state = self.state("state.delete", key.len())?;
        let outcome = self.waiting_for(write(state, key, Change::Delete, |_| true)).await;
        Ok(outcome.map(drop).map_err(|error| self.failed(error)))
    }

    async fn list(
        &mut self,
        prefix: String,
        after: Option<String>,
        limit: u32,
    ) -> wasmtime::Result<Result<Vec<(String, Vec<u8>)>, types::Error>> {
        let state = self.state("state.list", prefix.len())?;
        if let Err(error) = self.waiting_for(state.ready()).await {
            return Ok(Err(self.failed(error)));
        }
        let entries = state.list(&prefix, after.as_deref(), limit.clamp(1, MAX_LIST) as usize);
        self.count_in(entries.iter().map(|(key, value)| key.len() + value.len()).sum())?;
        Ok(Ok(entries))
    }
}

async fn write(
    state: Arc<ConnectionState>,
    key: String,
    change: Change,
    guard: impl FnOnce(Option<&[u8]>) -> bool + Send + 'static,
) -> Result<bool, Error> {
    check_key(&key)?;
    if let Change::Set(value) = &change {
        check_value(value)?;
    }
    state.ready().await?;
    state.change(key, change, guard).await
}

impl Data {
    fn state(&mut self, import: &str, bytes_out: usize) -> wasmtime::Result<Arc<ConnectionState>> {
        self.count_state(bytes_out)?;
        Ok(self.reach(import)?.state.clone())
    }

    async fn waiting_for<T>(&mut self, work: impl Future<Output = T> + Send) -> T {
        self.turn.release();
        self.outside(work).await
    }
}
