//! The runner: takes due operations one step further, renews its lease, and stops cleanly.
//!
//! In go what clients submitted and what an earlier process left; out goes each operation's next step, as a task. Invariant: a step
//! runs only when the queue gives it out, an operation that sleeps holds none, and a panic in one step ends nothing else.

use super::{
    Options, now,
    queue::{Queue, Task, Tries},
    sealed::Order,
    step::Next,
    waiters::Waiters,
};
use crate::{
    dispatch::Carrier,
    host::{CallContext, OperationContext},
    metrics::Metrics,
    model::{Error, Kind, Mutation, Operation, OperationId, OperationStatus, OrganizationId},
    policy::{Caller, Trail},
    seal::Sealer,
    store::{Fence, OperationRecord, Store},
};
use futures_util::FutureExt as _;
use prometheus::{IntCounterVec, IntGauge};
use std::{future::Future, panic::AssertUnwindSafe, sync::Arc, time::Duration};
use tokio::{
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval_at, timeout, timeout_at},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Ids read from the store at once.
const PAGE: u32 = 1000;

pub struct Runner {
    pub store: Arc<dyn Store>,
    pub sealer: Arc<Sealer>,
    pub carrier: Arc<dyn Carrier>,
    pub queue: Queue,
    pub waiters: Waiters,
    pub options: Options,
    pub numbers: Numbers,
    /// A new one in every process: what another owner left is recognized by it.
    pub owner: Uuid,
    /// When this process began: whatever cut off an earlier one's requests happened before.
    pub started: Instant,
}

/// How many operations there are, kept as they change.
pub struct Numbers {
    pub queued: IntGauge,
    pub running: IntGauge,
    finished: IntCounterVec,
}

impl Numbers {
    pub fn finished(&self, operation: &Operation, status: OperationStatus) {
        self.finished.with_label_values(&[operation.action.as_str(), status.as_str()]).inc();
    }
}

/// One operation in this runner's hands.
pub struct Held {
    pub record: OperationRecord,
    pub mutation: Mutation,
    /// Of the request that asked for it.
    pub trail: Option<Trail>,
    pub fence: Fence,
}

impl Held {
    /// Whether anything of it may have reached the host before this step.
    pub const fn may_have_left(&self) -> bool {
        self.record.sent_at.is_some() || self.record.handle.is_some()
    }
}

impl Runner {
    pub fn new(
        store: Arc<dyn Store>,
        sealer: Arc<Sealer>,
        carrier: Arc<dyn Carrier>,
        metrics: &Metrics,
        options: Options,
    ) -> Self {
        let open = |status: OperationStatus| metrics.operations.with_label_values(&[status.as_str()]);
        let numbers = Numbers {
            queued: open(OperationStatus::Queued),
            running: open(OperationStatus::Running),
            finished: metrics.operations_finished.clone(),
        };
        let (queue, waiters, owner) = (Queue::new(options.concurrency), Waiters::default(), Uuid::new_v4());
        Self { store, sealer, carrier, queue, waiters, options, numbers, owner, started: Instant::now() }
    }

    /// Enters the lease and everything unfinished that no living runner owns.
    pub async fn take_over(&self) -> Result<(), Error> {
        self.renew().await?;
        let counts = self.store.operation_counts().await?;
        self.numbers.queued.set(i64::try_from(counts.queued).unwrap_or(i64::MAX));
        self.numbers.running.set(i64::try_from(counts.running).unwrap_or(i64::MAX));
        self.sweep().await
    }

    pub fn accepted(&self, operation: &Operation, organization: OrganizationId) {
        self.numbers.queued.inc();
        self.queue.enter(&operation.id, organization);
    }

    /// Works until `shutdown`, then lets running calls finish, and releases what it owns.
    pub async fn run(self: Arc<Self>, shutdown: CancellationToken) {
        let mut steps = JoinSet::new();
        let often = self.options.lease / 3;
        // The take-over has just done it.
        let mut keeping = interval_at(Instant::now() + often, often);
        keeping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut upkeep = JoinSet::new();
        loop {
            tokio::select! {
                () = shutdown.cancelled() => break,
                Some(_) = steps.join_next(), if !steps.is_empty() => {}
                Some(_) = upkeep.join_next(), if !upkeep.is_empty() => {}
                _ = keeping.tick(), if upkeep.is_empty() => {
                    let runner = Arc::clone(&self);
                    upkeep.spawn(async move { runner.keep().await });
                }
                task = self.queue.next() => {
                    let runner = Arc::clone(&self);
                    steps.spawn(async move { runner.take_step(task).await });
                }
            }
        }
        self.drain(steps).await;
    }

    async fn drain(&self, mut steps: JoinSet<()>) {
        let all = async { while steps.join_next().await.is_some() {} };
        if timeout(self.options.drain, all).await.is_err() {
            tracing::warn!(calls = steps.len(), "operations are still being worked on: the next start goes on with them");
            steps.shutdown().await;
        }
        if let Err(error) = self.store.runner_release(self.owner).await {
            tracing::warn!(%error, internal = error.internal, "could not give up the lease");
        }
    }

    async fn take_step(&self, task: Task) {
        let id = &task.id;
        let next = match AssertUnwindSafe(self.step(&task)).catch_unwind().await {
            Ok(Ok(next)) => next,
            Ok(Err(error)) => {
                tracing::warn!(operation = %id, %error, internal = error.internal, "could not go on, will try again");
                self.later(task.tries, None)
            }
            Err(_panic) => {
                tracing::error!(operation = %id, "a step of an operation panicked, will try again");
                self.later(task.tries, None)
            }
        };
        match next {
            Next::Never => self.queue.forget(&task),
            Next::After { pause, tries } => self.queue.again(Task { tries, ..task }, Instant::now() + pause),
        }
    }

    /// The lease, operations whose owner's lease ended, and idempotency keys that are over.
    async fn keep(&self) {
        let kept = async {
            self.renew().await?;
            self.sweep().await?;
            self.store.idempotency_expire(now()).await
        };
        if let Err(error) = kept.await {
            tracing::warn!(%error, internal = error.internal, "upkeep of operations failed, will try again");
        }
    }

    async fn renew(&self) -> Result<(), Error> {
        let lease = i64::try_from(self.options.lease.as_millis()).unwrap_or(i64::MAX);
        self.store.runner_lease(self.owner, now().plus_millis(lease)).await
    }

    async fn sweep(&self) -> Result<(), Error> {
        let mut last: Option<OperationId> = None;
        loop {
            let page = self.store.operations_claimable(now(), last.as_ref(), PAGE).await?;
            page.iter().for_each(|(id, organization)| self.queue.enter(id, *organization));
            match page.into_iter().last() {
                Some((id, _)) => last = Some(id),
                None => return Ok(()),
            }
        }
    }

    /// Puts the operation into this runner's hands, if nobody else holds it and it isn't finished.
    pub async fn hold(&self, id: &OperationId) -> Result<Option<Held>, Error> {
        let Some(record) = self.store.operation_record(id).await? else { return Ok(None) };
        let mine = record.operation.status == OperationStatus::Running && record.owner == Some(self.owner);
        let record = if mine { Some(record) } else { self.claim(id).await? };
        record.map(|record| self.held(record)).transpose()
    }

    async fn claim(&self, id: &OperationId) -> Result<Option<OperationRecord>, Error> {
        let Some(claim) = self.store.operation_claim(id, self.owner, now()).await? else { return Ok(None) };
        if claim.from == OperationStatus::Queued {
            self.numbers.queued.dec();
            self.numbers.running.inc();
        }
        Ok(Some(claim.record))
    }

    pub fn held(&self, record: OperationRecord) -> Result<Held, Error> {
        let id = &record.operation.id;
        let Some(arguments) = &record.arguments else {
            return Err(Error::gateway(format_args!("{id} has lost its arguments")));
        };
        let Order { mutation, trail } = Order::open(&self.sealer, record.organization, id, arguments)?;
        let trail = trail.map(|trail| Trail { caller: Caller::named(&record.principal), ..trail });
        let fence = Fence { id: id.clone(), owner: self.owner, number: record.fence };
        Ok(Held { record, mutation, trail, fence })
    }

    pub fn context(&self, held: &Held, intent: Arc<super::intent::Intent>) -> CallContext {
        let id = held.fence.id.clone();
        let operation = OperationContext { idempotency_key: idempotency_key(&id), id, intent };
        let caller = Caller::named(&held.record.principal);
        CallContext { deadline: Instant::now() + self.options.call, caller, operation: Some(operation) }
    }

    /// Nothing that a provider does may hold a step for ever.
    pub async fn bounded<T>(&self, deadline: Instant, call: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        let ended = timeout_at(deadline + self.options.grace, call).await;
        ended.unwrap_or_else(|_| Err(Error::new(Kind::Timeout, "the provider did not answer in time")))
    }

    /// The pause after tries that failed: doubling, at least what the upstream asked for.
    pub fn later(&self, tries: Tries, retry_after: Option<u32>) -> Next {
        let (first, longest) = self.options.backoff;
        let pause = first.saturating_mul(1 << tries.failed.min(16)).min(longest);
        let asked = Duration::from_secs(u64::from(retry_after.unwrap_or(0))).min(longest);
        Next::After { pause: pause.max(asked), tries: tries.failed_again() }
    }
}

/// The same in every process and for every try: the operation's own UUID.
fn idempotency_key(id: &OperationId) -> String {
    let digits = id.as_str().trim_start_matches("op_");
    Uuid::parse_str(digits).map_or_else(|_| id.to_string(), |uuid| uuid.to_string())
}
