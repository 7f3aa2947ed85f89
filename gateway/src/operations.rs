//! Operations: durable work, carried out at most once unless it is proven safe to repeat.
//!
//! In go mutations of connections; out come operations, which clients watch, and whose work goes on when the client has left or
//! the process was replaced. Each is accepted, claimed, announced before it is sent ([`intent`]), taken on with what came of it
//! ([`step`]), recovered when that is unknown ([`recover`]), and finished ([`conclude`]), every time by a commit.
//! Invariant: nothing acknowledged is lost, and nothing is sent again unless it was proven unsent, is keyed, or was looked up
//! and is absent. It knows no provider, no HTTP and no SQL.

mod conclude;
mod intent;
mod queue;
mod recover;
mod runner;
mod sealed;
mod step;
#[cfg(test)]
mod tests;
mod waiters;

pub use crate::store::ListFilter;

use crate::{
    dispatch::Carrier,
    metrics::Metrics,
    model::{
        ConnectionId, Error, Kind, Mutation, Operation, OperationId, OperationStatus, OrganizationId, Secret, Slug, Target,
        Timestamp,
    },
    policy::{Trail, on_this_trail},
    seal::Sealer,
    store::{Acceptance, IdempotencyRecord, KeyRef, NewOperation, Store, inherit},
};
use runner::Runner;
use std::{sync::Arc, time::Duration};
use tokio::{task::AbortHandle, time::Instant};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// A mutation that a client asked for, authorized and checked already.
#[derive(Clone, Debug)]
pub struct Submit {
    pub organization: OrganizationId,
    /// Who asked, for the audit log.
    pub principal: String,
    pub connection: ConnectionId,
    pub connection_slug: Slug,
    pub target: Target,
    pub mutation: Mutation,
    pub idempotency: Option<Idempotency>,
}

#[derive(Clone, Debug)]
pub struct Idempotency {
    pub key: String,
    /// Method, path and principal: the same key elsewhere is another key.
    pub scope: String,
    /// Hash of the body.
    pub fingerprint: [u8; 32],
}

/// What a submission came to.
#[derive(Clone, Debug)]
pub struct Submitted {
    pub operation: Operation,
    /// It was accepted before, under the same key.
    pub replayed: bool,
}

/// How patient the runner is. The defaults are for production; tests hurry.
#[derive(Clone, Debug)]
pub struct Options {
    /// Calls to providers at the same time; one organization has half of them at most. Most of them wait for an upstream; the host
    /// limits those that compute.
    pub concurrency: usize,
    /// Queued operations that one organization may have.
    pub queue_limit: u32,
    /// How long this process owns its operations without renewing; renewed three times as often.
    pub lease: Duration,
    /// How long running calls may go on after the shutdown began.
    pub drain: Duration,
    /// First and longest pause before something that failed is tried again.
    pub backoff: (Duration, Duration),
    /// How long a request that was cut off may still be worked on at the upstream: not looked up before that.
    pub settle: Duration,
    /// How long an operation of which nothing was sent is tried again before it fails.
    pub patience: Duration,
    /// One call of a provider.
    pub call: Duration,
    /// The host ends its calls itself; this much later the runner stops waiting for it.
    pub grace: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            concurrency: 128,
            queue_limit: 10_000,
            lease: Duration::from_secs(30),
            drain: Duration::from_secs(10),
            backoff: (Duration::from_millis(500), Duration::from_secs(60)),
            settle: Duration::from_secs(2),
            patience: Duration::from_mins(10),
            call: Duration::from_secs(120),
            grace: Duration::from_secs(5),
        }
    }
}

/// For how long an idempotency key is kept: a day.
pub const KEY_LIFETIME_MILLIS: i64 = 24 * 60 * 60 * 1000;
/// Seconds until a full queue has likely moved.
const QUEUE_RETRY_AFTER: u32 = 10;

/// The public face. Dropping it ends the runner as a crash would: use the shutdown token and [`Operations::stopped`].
pub struct Operations {
    runner: Arc<Runner>,
    main: AbortHandle,
    stopped: CancellationToken,
}

impl Drop for Operations {
    fn drop(&mut self) {
        self.main.abort();
    }
}

impl Operations {
    /// Takes over what an earlier process left unfinished, and starts working. Fails when the store can't be read.
    pub async fn start(
        store: Arc<dyn Store>,
        sealer: Arc<Sealer>,
        carrier: Arc<dyn Carrier>,
        metrics: Arc<Metrics>,
        shutdown: CancellationToken,
    ) -> Result<Arc<Self>, Error> {
        Self::start_with(store, sealer, carrier, metrics, shutdown, Options::default()).await
    }

    pub async fn start_with(
        store: Arc<dyn Store>,
        sealer: Arc<Sealer>,
        carrier: Arc<dyn Carrier>,
        metrics: Arc<Metrics>,
        shutdown: CancellationToken,
        options: Options,
    ) -> Result<Arc<Self>, Error> {
        store.count_failures(&metrics.store_failures);
        let runner = Arc::new(Runner::new(store, sealer, carrier, &metrics, options));
        runner.take_over().await?;
        let stopped = CancellationToken::new();
        let done = stopped.clone().drop_guard();
        let working = Arc::clone(&runner);
        let main = tokio::spawn(async move {
            working.run(shutdown).await;
            drop(done);
        });
        Ok(Arc::new(Self { runner, main: main.abort_handle(), stopped }))
    }

    /// Ends when the shutdown is complete: no call is running, and the next process may take over at once.
    pub async fn stopped(&self) {
        self.stopped.cancelled().await;
    }

    /// Accepts a mutation durably. The same idempotency key with the same fingerprint gives the same operation as it is now.
    ///
    /// `InvalidInput` with code `idempotency_key_reused` for another fingerprint; `Overloaded` when the queue is full.
    pub async fn submit(&self, submit: Submit) -> Result<Submitted, Error> {
        let runner = Arc::clone(&self.runner);
        // A task of its own: a client that leaves in the middle must not leave an accepted operation that nobody works on.
        let accepted = tokio::spawn(on_this_trail(inherit(async move { accept(&runner, submit).await }))).await;
        accepted.map_err(|error| Error::gateway(format_args!("accepting an operation ended early: {error}")))?
    }

    /// Whether an operation was accepted under this key: then it is the answer, whatever has become of what it needed.
    pub async fn was_submitted(&self, key: &KeyRef) -> Result<bool, Error> {
        self.runner.store.operation_of_key(key, now()).await
    }

    /// This process, as the store knows it by its lease.
    pub fn process(&self) -> Uuid {
        self.runner.owner
    }

    /// `NotFound` also for another organization's.
    pub async fn get(&self, organization: OrganizationId, id: &OperationId) -> Result<Operation, Error> {
        let found = self.runner.store.operation(organization, id).await?;
        found.ok_or_else(|| Error::new(Kind::NotFound, "there is no such operation"))
    }

    /// Waits until it is finished, the deadline has come or the gateway stops, and returns it as it then is.
    pub async fn wait(&self, organization: OrganizationId, id: &OperationId, deadline: Instant) -> Result<Operation, Error> {
        let mut waiter = self.runner.waiters.subscribe(id);
        let operation = self.get(organization, id).await?;
        if operation.status.is_terminal() {
            return Ok(operation);
        }
        // Nothing finishes any more once the runner has stopped; who waits learns the operation's id instead of losing it.
        tokio::select! {
            _ = waiter.finished_before(deadline) => {}
            () = self.stopped.cancelled() => {}
        }
        self.get(organization, id).await
    }

    /// The newest first, beginning after `after` (creation time and id of the last one seen).
    pub async fn list(
        &self,
        organization: OrganizationId,
        filter: &ListFilter,
        after: Option<&(Timestamp, OperationId)>,
        limit: u32,
    ) -> Result<Vec<Operation>, Error> {
        self.runner.store.operations(organization, filter, after, limit).await
    }

    /// How many operations of the connection aren't finished.
    pub async fn running_for(&self, connection: ConnectionId) -> Result<u64, Error> {
        self.runner.store.operations_open(connection).await
    }

    /// What the client may see once. The first call returns it and deletes it. What was taken with the key that the operation was
    /// made under, the same key is given again.
    pub async fn take_secrets(
        &self,
        organization: OrganizationId,
        id: &OperationId,
        key: Option<&KeyRef>,
    ) -> Result<Vec<Secret>, Error> {
        match self.runner.store.operation_take_secrets(organization, id, key, now()).await? {
            Some(sealed) => sealed::open(&self.runner.sealer, organization, id, &sealed),
            None => Ok(Vec::new()),
        }
    }

    /// Ends it if nothing was sent yet; asks the upstream to stop if the work goes on there (how it ends, the operation tells).
    /// `Conflict` when it is finished or in between.
    pub async fn cancel(&self, organization: OrganizationId, id: &OperationId) -> Result<Operation, Error> {
        let operation = self.get(organization, id).await?;
        if operation.status.is_terminal() {
            let text = format!("the operation is finished: it {}", past(operation.status));
            return Err(Error::new(Kind::Conflict, text).with_code("operation_finished"));
        }
        if !self.runner.cancel_queued(&operation).await? {
            self.runner.cancel_running(id).await?;
        }
        self.get(organization, id).await
    }
}

async fn accept(runner: &Runner, submit: Submit) -> Result<Submitted, Error> {
    let operation = new_operation(&submit);
    let order = sealed::Order { mutation: submit.mutation, trail: Trail::current() };
    let new = NewOperation {
        arguments: sealed::seal(&runner.sealer, submit.organization, &operation.id, &order)?,
        operation,
        organization: submit.organization,
        connection: submit.connection,
        principal: submit.principal,
        idempotency: submit.idempotency.map(remembered),
        queue_limit: runner.options.queue_limit,
    };
    match runner.store.operation_accept(&new).await? {
        Acceptance::Accepted => {
            runner.accepted(&new.operation, new.organization);
            Ok(Submitted { operation: new.operation, replayed: false })
        }
        Acceptance::Existing(operation) => Ok(Submitted { operation: *operation, replayed: true }),
        Acceptance::KeyReused => {
            let text = "this Idempotency-Key was used for another request: choose a new key for a new request";
            Err(Error::new(Kind::InvalidInput, text).with_code("idempotency_key_reused"))
        }
        Acceptance::QueueFull => {
            let text = format!("{} operations of this organization wait already: let some finish first", new.queue_limit);
            Err(Error::new(Kind::Overloaded, text).with_retry_after(QUEUE_RETRY_AFTER))
        }
    }
}

fn new_operation(submit: &Submit) -> Operation {
    let now = now();
    Operation {
        id: OperationId::generate(),
        action: submit.mutation.action(),
        connection: submit.connection_slug.as_str().to_owned(),
        target: submit.target.clone(),
        status: OperationStatus::Queued,
        progress: None,
        message: None,
        result: None,
        error: None,
        estimated_completion_at: None,
        created_at: now,
        updated_at: now,
        finished_at: None,
        native: None,
    }
}

fn remembered(idempotency: Idempotency) -> IdempotencyRecord {
    let Idempotency { key, scope, fingerprint } = idempotency;
    IdempotencyRecord { scope, key, fingerprint, expires_at: now().plus_millis(KEY_LIFETIME_MILLIS) }
}

const fn past(status: OperationStatus) -> &'static str {
    match status {
        OperationStatus::Queued | OperationStatus::Running => "goes on",
        OperationStatus::Succeeded => "succeeded",
        OperationStatus::Failed => "failed",
        OperationStatus::Canceled => "was canceled",
        OperationStatus::Interrupted => "was interrupted",
    }
}

/// The wall clock: leases and records must mean the same to another process.
fn now() -> Timestamp {
    #[expect(clippy::disallowed_methods, reason = "no injected clock could be shared with other processes")]
    let now = jiff::Timestamp::now();
    Timestamp::from_millis(now.as_millisecond())
}
