//! The one writer: jobs of many callers, committed together.
//!
//! In go closures over a connection; out come their answers, after the commit. Jobs that arrive while a commit is being synced
//! to disk share the next one, so that throughput doesn't end at one sync each. Invariant: a job is answered with success only
//! when the transaction that holds it is durable, and a job that fails takes nothing of its batch with it.

use super::{audit, events, idempotency};
use crate::{
    model::{Error, Kind},
    seal::ChainKey,
    store::cause,
};
use async_trait::async_trait;
use futures_util::future::BoxFuture;
use prometheus::IntCounter;
use sqlx::{Connection as _, SqliteConnection};
use std::{
    fs::File,
    sync::{Arc, OnceLock},
};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

/// Jobs that may wait for the writer; more callers wait for a place.
const WAITING: usize = 256;
/// Jobs in one transaction: enough that a sync is shared, few enough that nobody waits long.
const BATCH: usize = 64;

#[async_trait]
trait Job: Send {
    /// True: its changes are to be committed.
    async fn run(&mut self, connection: &mut SqliteConnection) -> bool;
    /// Counts it in `failures` when the store is the reason that it was in vain.
    fn answer(self: Box<Self>, committed: Result<(), Error>, failures: Option<&IntCounter>);
}

struct Write<T, F> {
    work: Option<F>,
    outcome: Option<Result<T, Error>>,
    reply: oneshot::Sender<Result<T, Error>>,
}

#[async_trait]
impl<T, F> Job for Write<T, F>
where
    T: Send,
    F: for<'c> FnOnce(&'c mut SqliteConnection) -> BoxFuture<'c, Result<T, Error>> + Send,
{
    async fn run(&mut self, connection: &mut SqliteConnection) -> bool {
        if let Some(work) = self.work.take() {
            self.outcome = Some(work(connection).await);
        }
        matches!(self.outcome, Some(Ok(_)))
    }

    fn answer(self: Box<Self>, committed: Result<(), Error>, failures: Option<&IntCounter>) {
        let answer = match (self.outcome, committed) {
            (Some(Err(error)), _) | (_, Err(error)) => Err(error),
            (Some(Ok(value)), Ok(())) => Ok(value),
            (None, Ok(())) => Err(Error::gateway("the store didn't reach this write")),
        };
        if let (Err(error), Some(failures)) = (&answer, failures)
            && error.kind == Kind::Gateway
        {
            failures.inc();
        }
        // The caller may have gone; what was committed stays.
        drop(self.reply.send(answer));
    }
}

/// Hands jobs to the task that owns the writing connection. The lock on the data folder lives as long as that task.
pub struct Writer {
    jobs: mpsc::Sender<Box<dyn Job>>,
    /// Canceled by [`Writer::close`]; what waits already is still written.
    closing: CancellationToken,
    /// The last event that was committed.
    events: watch::Receiver<i64>,
    chain: Arc<OnceLock<ChainKey>>,
    /// Counts writes that failed, once somebody wants to know.
    failures: Arc<OnceLock<IntCounter>>,
}

impl Writer {
    pub async fn start(mut connection: SqliteConnection, lock: Option<File>) -> Result<Self, Error> {
        let (jobs, waiting) = mpsc::channel(WAITING);
        let closing = CancellationToken::new();
        let (told, events) = watch::channel(events::last(&mut connection).await?);
        let failures: Arc<OnceLock<IntCounter>> = Arc::default();
        tokio::spawn(serve(connection, waiting, (lock, told, Arc::clone(&failures)), closing.clone()));
        Ok(Self { jobs, closing, events, chain: Arc::default(), failures })
    }

    /// The key of the audit log; without one, rows are written that no check accepts.
    pub fn chain(&self) -> Option<ChainKey> {
        self.chain.get().cloned()
    }

    pub fn set_chain(&self, key: ChainKey) -> Result<(), Error> {
        self.chain.set(key).map_err(|_| Error::gateway("the audit log has a key already"))
    }

    /// From now on writes that fail are counted here. The first counter stays.
    pub fn count_failures(&self, counter: &IntCounter) {
        drop(self.failures.set(counter.clone()));
    }

    /// The id of the last event that was committed; it is told before the jobs of its transaction are answered.
    pub fn events(&self) -> watch::Receiver<i64> {
        self.events.clone()
    }

    /// Writes what waits, and ends when the connection is closed and the lock is free.
    pub async fn close(&self) {
        self.closing.cancel();
        self.jobs.closed().await;
    }

    /// Runs `work` in a transaction; the answer comes after the commit. What the running request changes is recorded with it, and
    /// marks the request's idempotency key; where it finds nothing to change, or refuses to, it does neither.
    pub async fn write<T, F>(&self, work: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut SqliteConnection) -> BoxFuture<'c, Result<T, Error>> + Send + 'static,
    {
        let (cause, key, chain) = (cause::cause().filter(|cause| !cause.is_recorded()), cause::key(), self.chain());
        if cause.is_none() && key.is_none() {
            return self.write_aside(work).await;
        }
        let entries = cause.as_ref().map(|cause| cause.entries("done")).unwrap_or_default();
        let done = self.write_aside(move |c| {
            Box::pin(async move {
                let before = changes(&mut *c).await?;
                let done = work(&mut *c).await?;
                if changes(&mut *c).await? == before {
                    return Ok((done, false));
                }
                if let Some(key) = &key {
                    idempotency::mark(&mut *c, key).await?;
                }
                for entry in &entries {
                    audit::append(&mut *c, chain.as_ref(), entry).await?;
                }
                Ok((done, true))
            })
        });
        let (done, changed) = done.await?;
        if let Some(cause) = cause.filter(|_| changed) {
            cause.was_recorded();
        }
        Ok(done)
    }

    /// The same, for what is written beside the change that a request asked for.
    pub async fn write_aside<T, F>(&self, work: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut SqliteConnection) -> BoxFuture<'c, Result<T, Error>> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let job = Box::new(Write { work: Some(work), outcome: None, reply });
        self.jobs.send(job).await.map_err(|_| Error::gateway("the store is closed"))?;
        answer.await.map_err(|_| Error::gateway("the store was closed before this was written"))?
    }
}

/// Rows that were changed since the connection was opened, those of triggers and foreign keys included.
async fn changes(c: &mut SqliteConnection) -> Result<i64, Error> {
    Ok(sqlx::query_scalar("SELECT total_changes()").fetch_one(c).await?)
}

async fn serve(
    mut connection: SqliteConnection,
    mut waiting: mpsc::Receiver<Box<dyn Job>>,
    (lock, told, failures): (Option<File>, watch::Sender<i64>, Arc<OnceLock<IntCounter>>),
    closing: CancellationToken,
) {
    let mut batch = Vec::with_capacity(BATCH);
    loop {
        let received = tokio::select! {
            biased;
            received = waiting.recv_many(&mut batch, BATCH) => received,
            () = closing.cancelled() => 0,
        };
        if received == 0 {
            break;
        }
        let committed = commit(&mut connection, &mut batch).await;
        if let Err(error) = &committed {
            tracing::error!(%error, internal = error.internal, "the store could not commit");
            // SQLite may have rolled back by itself, which makes this one fail: either way no transaction is left open.
            if let Err(error) = sqlx::query("ROLLBACK").execute(&mut connection).await {
                tracing::debug!(%error, "nothing to roll back");
            }
        }
        tell_events(&mut connection, &told).await;
        for job in batch.drain(..) {
            job.answer(committed.clone(), failures.get());
        }
    }
    if let Err(error) = connection.close().await {
        tracing::warn!(%error, "the database was not closed cleanly");
    }
    // Before the receiver goes, whose end is what `close` waits for.
    drop(lock);
    drop(waiting);
}

/// Asked of the database rather than of the jobs, so that nothing that was rolled back is told.
async fn tell_events(connection: &mut SqliteConnection, told: &watch::Sender<i64>) {
    match events::last(connection).await {
        Ok(last) => drop(told.send_if_modified(|known| std::mem::replace(known, last) != last)),
        Err(error) => tracing::warn!(%error, "the last event could not be read: those who watch learn of it later"),
    }
}

async fn commit(connection: &mut SqliteConnection, batch: &mut [Box<dyn Job>]) -> Result<(), Error> {
    sqlx::query("BEGIN IMMEDIATE").execute(&mut *connection).await?;
    for job in batch {
        sqlx::query("SAVEPOINT job").execute(&mut *connection).await?;
        if !job.run(connection).await {
            sqlx::query("ROLLBACK TO job").execute(&mut *connection).await?;
        }
        sqlx::query("RELEASE job").execute(&mut *connection).await?;
    }
    sqlx::query("COMMIT").execute(&mut *connection).await?;
    Ok(())
}
