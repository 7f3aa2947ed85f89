//! One step of an operation: what is to be done depends on what is committed, and on nothing else.
//!
//! In goes a due operation; out comes when to look at it again. Invariant: what a call came to is committed before anything
//! follows from it, and once there is a handle, the mutation is never sent again. A call whose fate is unknown is for [`recover`].
//!
//! [`recover`]: super::recover

use super::{
    intent::Intent,
    now,
    queue::{Task, Tries},
    recover::Cause,
    runner::{Held, Runner},
    sealed::{self, KeptCompletion},
};
use crate::{
    model::{
        Completion, Error, Kind, Operation, OperationId, OperationStatus, Pending, Progress, ResourceId, Slug, Work, escape,
    },
    store::{Fence, Outcome, PendingUpdate},
};
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;

/// Bounds of `poll-after`, as the contract has them.
const POLL: (u32, u32) = (100, 60_000);
/// Times that something is tried again which can wait for the next step.
const TRIES: u32 = 10;
/// Of the failures of a store that stays unwritable, one is told in so many: with the default pauses, one a minute.
const TOLD: u32 = 8;

/// Polls that may fail before clients are told: most troubles pass sooner, and telling costs a commit.
const QUIET_TRIES: u32 = 2;

/// When to look at an operation again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// It is finished, or another's.
    Never,
    After {
        pause: Duration,
        tries: Tries,
    },
}

/// Whether the provider said for certain that the work was refused.
pub const fn is_definite(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::InvalidInput
            | Kind::NotFound
            | Kind::Conflict
            | Kind::Forbidden
            | Kind::Unauthenticated
            | Kind::QuotaExceeded
            | Kind::Unsupported
    )
}

impl Runner {
    pub async fn step(&self, task: &Task) -> Result<Next, Error> {
        let Some(held) = self.hold(&task.id).await? else { return Ok(Next::Never) };
        match held.trail.clone() {
            Some(trail) => trail.followed_by(self.next(&held, task)).await,
            None => self.next(&held, task).await,
        }
    }

    async fn next(&self, held: &Held, task: &Task) -> Result<Next, Error> {
        if let Some(sealed) = &held.record.completion {
            let kept: KeptCompletion = sealed::open(&self.sealer, held.record.organization, &task.id, sealed)?;
            self.conclude(held, kept.into()).await
        } else if held.record.handle.is_some() {
            self.poll(held, task.tries).await
        } else if held.record.sent_at.is_some() {
            self.recover(held, task.tries, Cause::Unknown).await
        } else {
            self.send(held, task.tries).await
        }
    }

    pub(super) async fn send(&self, held: &Held, tries: Tries) -> Result<Next, Error> {
        let intent = match self.permitted(held).await {
            Ok(intent) => intent,
            Err(error) if is_definite(error.kind) => return self.fail(held, error).await,
            // Whatever keeps that from being found out says nothing of what was accepted.
            Err(error) => return self.queue_again(held, error, tries).await,
        };
        let context = self.context(held, intent.clone());
        let call = self.carrier.mutate(held.record.connection, &held.mutation, &context);
        match intent.judge(self.bounded(context.deadline, call).await) {
            Ok(work) => self.adopt(held, work).await,
            Err(error) => {
                if intent.committed() {
                    self.carrier.changed(held.record.connection, &held.mutation);
                }
                self.not_sent_through(held, &intent, error, tries).await
            }
        }
    }

    /// The intent of what may be sent: things may have changed while it waited. What was sent before goes on.
    async fn permitted(&self, held: &Held) -> Result<Arc<Intent>, Error> {
        let (store, fence) = (Arc::clone(&self.store), held.fence.clone());
        if held.may_have_left() {
            return Ok(Intent::new(store, fence));
        }
        let asked = self.carrier.allow(held.record.connection, &held.mutation);
        let allowed = self.bounded(Instant::now() + self.options.call, asked).await?;
        Ok(Intent::while_allowed(store, fence, allowed))
    }

    async fn not_sent_through(&self, held: &Held, intent: &Intent, error: Error, tries: Tries) -> Result<Next, Error> {
        if intent.refused() || intent.is_unclear() {
            return Ok(self.later(tries, None));
        }
        if is_definite(error.kind) && held.record.sent_at.is_some() {
            return self.refused_again(held, error, tries).await;
        }
        if is_definite(error.kind) {
            return self.fail(held, error).await;
        }
        if intent.committed() || held.record.sent_at.is_some() {
            let declined = held.record.sent_at.is_none() && intent.declined() && error.kind == Kind::RateLimited;
            let cause = if declined { Cause::Declined(error) } else { Cause::Failed(error) };
            return self.recover(held, tries, cause).await;
        }
        self.not_now(held, error, tries).await
    }

    /// Nothing was carried out: tries again for a while, where waiting can help.
    pub(super) async fn not_now(&self, held: &Held, error: Error, tries: Tries) -> Result<Next, Error> {
        // Who knows when the host is back said so.
        let returns = error.kind == Kind::Unavailable && error.retry_after.is_some();
        let waits = returns || matches!(error.kind, Kind::Overloaded | Kind::RateLimited | Kind::Gateway);
        if waits { self.queue_again(held, error, tries).await } else { self.fail(held, error).await }
    }

    /// While there is patience.
    async fn queue_again(&self, held: &Held, error: Error, tries: Tries) -> Result<Next, Error> {
        let patience = i64::try_from(self.options.patience.as_millis()).unwrap_or(i64::MAX);
        if now() > held.record.operation.created_at.plus_millis(patience) {
            return self.fail(held, error).await;
        }
        let message = Some(format!("waits, and tries again: {}", error.message));
        self.commit(&held.fence, &Outcome::Queued { message }).await?;
        self.numbers.running.dec();
        self.numbers.queued.inc();
        Ok(self.later(tries, error.retry_after))
    }

    /// Takes on what a mutation came to.
    pub(super) async fn adopt(&self, held: &Held, work: Work) -> Result<Next, Error> {
        self.carrier.changed(held.record.connection, &held.mutation);
        match work {
            Work::Done(completion) => self.complete(held, completion).await,
            Work::Pending(pending) => self.goes_on(held, pending).await,
        }
    }

    async fn poll(&self, held: &Held, tries: Tries) -> Result<Next, Error> {
        let Some(handle) = &held.record.handle else { return Ok(self.later(tries, None)) };
        let intent = Intent::new(Arc::clone(&self.store), held.fence.clone());
        let context = self.context(held, intent.clone());
        let call = self.carrier.poll(held.record.connection, handle, &context);
        match self.bounded(context.deadline, call).await {
            Ok(Progress::Running(pending)) => self.goes_on(held, pending).await,
            Ok(Progress::Succeeded(completion)) => self.complete(held, completion).await,
            Ok(Progress::Failed(error)) => self.fail(held, error).await,
            Ok(Progress::Canceled) => self.end(held, OperationStatus::Canceled, None, None).await,
            Err(_) if intent.refused() => Ok(self.later(tries, None)),
            Err(error) if says_nothing(error.kind) => {
                tracing::debug!(operation = %held.fence.id, %error, "could not look how far it is");
                if tries.failed >= QUIET_TRIES {
                    self.say(held, format!("waits until the host can be asked again: {}", error.message)).await?;
                }
                Ok(self.later(tries, error.retry_after))
            }
            Err(error) => self.fail(held, error).await,
        }
    }

    /// Commits the handle and what is new; a poll that tells nothing new costs no commit.
    async fn goes_on(&self, held: &Held, pending: Pending) -> Result<Next, Error> {
        let pause = Duration::from_millis(u64::from(pending.poll_after.clamp(POLL.0, POLL.1)));
        let update = update(held, pending);
        if is_news(held, &update) {
            self.commit(&held.fence, &Outcome::Pending(update)).await?;
        }
        Ok(Next::After { pause, tries: Tries::default() })
    }

    /// Commits that the work is done before its result is read: that may take time, and fail.
    async fn complete(&self, held: &Held, completion: Completion) -> Result<Next, Error> {
        let kept = KeptCompletion::from(completion);
        self.insist(|| self.keep_completion(held, &kept)).await?;
        self.conclude(held, kept.into()).await
    }

    /// Sealed anew for each try: the master key that sealed it for the one before may be retired by now, which is no reason to give up.
    async fn keep_completion(&self, held: &Held, kept: &KeptCompletion) -> Result<(), Error> {
        let sealed = sealed::seal(&self.sealer, held.record.organization, &held.fence.id, kept)?;
        let written = self.store.operation_outcome(&held.fence, &Outcome::Completed { sealed }, now()).await;
        written.map_err(|error| if error.kind == Kind::Overloaded { Error { kind: Kind::Gateway, ..error } } else { error })
    }

    /// Tells clients why it takes longer, if that is new.
    pub(super) async fn say(&self, held: &Held, message: String) -> Result<(), Error> {
        if held.record.operation.message.as_ref() == Some(&message) {
            return Ok(());
        }
        self.commit(&held.fence, &Outcome::Message(message)).await
    }

    /// Commits what is known: forgotten, it would have to be found out again, or could not be.
    pub(super) async fn commit(&self, fence: &Fence, outcome: &Outcome) -> Result<(), Error> {
        self.insist(|| self.store.operation_outcome(fence, outcome, now())).await
    }

    /// Until it is written, however long the store fails: a full disk is no reason to forget what a host has answered. What ends it is
    /// the runner's shutdown, when its patience with running steps is over.
    pub(super) async fn insist<F: Future<Output = Result<(), Error>>>(&self, write: impl Fn() -> F) -> Result<(), Error> {
        self.try_again(u32::MAX, write).await
    }

    /// Through short troubles of the store.
    pub(super) async fn persist<F: Future<Output = Result<(), Error>>>(&self, work: impl Fn() -> F) -> Result<(), Error> {
        self.try_again(TRIES, work).await
    }

    /// Up to so many times after the first.
    async fn try_again<F: Future<Output = Result<(), Error>>>(&self, most: u32, work: impl Fn() -> F) -> Result<(), Error> {
        let mut failed: u32 = 0;
        loop {
            match work().await {
                Err(error) if error.kind == Kind::Gateway && failed < most => {
                    if failed.is_multiple_of(TOLD) {
                        tracing::warn!(%error, internal = error.internal, failed, "could not commit, will try again");
                    }
                    tokio::time::sleep(self.options.backoff.0.saturating_mul(1 << failed.min(4))).await;
                    failed = failed.saturating_add(1);
                }
                outcome => return outcome,
            }
        }
    }

    /// False: it is no longer queued.
    pub async fn cancel_queued(&self, operation: &Operation) -> Result<bool, Error> {
        if operation.status != OperationStatus::Queued || !self.store.operation_cancel_queued(&operation.id, now()).await? {
            return Ok(false);
        }
        self.numbers.queued.dec();
        self.numbers.finished(operation, OperationStatus::Canceled);
        self.waiters.finished(&operation.id);
        Ok(true)
    }

    /// Asks the upstream to stop, and looks soon whether it did.
    pub async fn cancel_running(&self, id: &OperationId) -> Result<(), Error> {
        let record = self.store.operation_record(id).await?;
        let record = record.filter(|record| record.owner == Some(self.owner) && !record.operation.status.is_terminal());
        let Some((record, handle)) = record.and_then(|record| record.handle.clone().map(|handle| (record, handle))) else {
            let text = "the operation can't be canceled at this moment: its request is on the way, or it has just ended";
            return Err(Error::new(Kind::Conflict, text).with_code("operation_not_cancelable"));
        };
        let held = self.held(record)?;
        let intent = Intent::new(Arc::clone(&self.store), held.fence.clone());
        let context = self.context(&held, intent);
        let call = self.carrier.cancel(held.record.connection, &handle, &context);
        self.bounded(context.deadline, call).await?;
        self.queue.hasten(id);
        Ok(())
    }
}

fn update(held: &Held, pending: Pending) -> PendingUpdate {
    let Pending { handle, target, progress, message, estimated_completion_at, poll_after: _ } = pending;
    let target_id = target_id(&held.record.operation, target.as_deref());
    PendingUpdate { handle, target_id, progress, message, estimated_completion_at }
}

fn is_news(held: &Held, update: &PendingUpdate) -> bool {
    let operation = &held.record.operation;
    held.record.handle.as_ref() != Some(&update.handle)
        || operation.progress != update.progress
        || operation.message != update.message
        || operation.estimated_completion_at != update.estimated_completion_at
        || operation.target.id != update.target_id
}

/// The target's id as clients see it: as it was known from the start, or from what the provider made.
pub(super) fn target_id(operation: &Operation, native: Option<&str>) -> Option<String> {
    let known = operation.target.id.clone();
    known.or_else(|| match (native?, operation.target.kind.as_str()) {
        (native, "site") => Some(ResourceId::new(Slug::parse(&operation.connection).ok()?, native).to_string()),
        (native, _) => Some(escape(native)),
    })
}

/// Kinds of a poll's error that say nothing about the work: the host goes on, so it is asked again. One odd answer, or a key that
/// is being replaced, must not make a client start the same work a second time.
const fn says_nothing(kind: Kind) -> bool {
    kind.is_transient() || matches!(kind, Kind::Trapped | Kind::Internal | Kind::Unauthenticated | Kind::Forbidden)
}
