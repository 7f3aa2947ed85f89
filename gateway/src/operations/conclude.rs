//! The end of an operation: terminal state, audit and event in one fenced commit, and only then everyone is told.
//!
//! In goes how it ended; out goes nothing more, ever. Invariant: a success is never lost because its result could not be read.
//! It doesn't decide how an operation ends.

use super::{
    now,
    runner::{Held, Runner},
    sealed,
    step::{Next, target_id},
};
use crate::{
    host::CallContext,
    model::{Completion, Error, Kind, Labels, Mutation, OperationStatus, ResourceId, Target},
    policy::Caller,
    store::{Finish, LabelEnd},
};
use serde_json::value::RawValue;
use std::time::Duration;
use tokio::time::Instant;

/// A result that takes longer is left out: the resource can be read on its own.
const READ: Duration = Duration::from_secs(20);
const UNREAD: &str = "it succeeded, but what it made could not be read back: read the resource again";

impl Runner {
    /// Reads the result and ends it as succeeded.
    pub(super) async fn conclude(&self, held: &Held, completion: Completion) -> Result<Next, Error> {
        let (result, message) = self.read_result(held, &completion).await;
        let operation = &held.record.operation;
        let target = Target { id: target_id(operation, completion.target.as_deref()), ..operation.target.clone() };
        let finish = Finish {
            status: OperationStatus::Succeeded,
            labels: labels(held, &target),
            target,
            progress: Some(100),
            message,
            result,
            native: completion.details.clone(),
            error: None,
            secrets: self.secrets(held, &completion)?,
            frees_key: false,
            at: now(),
        };
        self.finish(held, finish).await
    }

    /// What the action says where there is no resource to read, or none could be read.
    async fn read_result(&self, held: &Held, completion: &Completion) -> (Option<Box<RawValue>>, Option<String>) {
        let (deadline, caller) = (Instant::now() + READ, Caller::named(&held.record.principal));
        let context = CallContext { deadline, caller, operation: None };
        let call = self.carrier.result(held.record.connection, &held.mutation, completion, &context);
        let details = || completion.details.clone();
        match self.bounded(context.deadline, call).await {
            Ok(result) => (result.or_else(details), completion.message.clone()),
            Err(error) => {
                tracing::info!(operation = %held.fence.id, %error, internal = error.internal, "no result");
                let said = completion.message.as_ref().map(|message| format!("{message}; {UNREAD}"));
                (details(), Some(said.unwrap_or_else(|| UNREAD.to_owned())))
            }
        }
    }

    fn secrets(&self, held: &Held, completion: &Completion) -> Result<Option<Vec<u8>>, Error> {
        if completion.secrets.is_empty() {
            return Ok(None);
        }
        sealed::seal(&self.sealer, held.record.organization, &held.fence.id, &completion.secrets).map(Some)
    }

    pub(super) async fn fail(&self, held: &Held, error: Error) -> Result<Next, Error> {
        self.end(held, OperationStatus::Failed, Some(error), None).await
    }

    /// It was sent, and the host knows for certain that nothing came of it.
    pub(super) async fn fail_absent(&self, held: &Held, error: Error) -> Result<Next, Error> {
        self.ended(held, OperationStatus::Failed, Some(error), None, true).await
    }

    /// Ends it without a result.
    pub(super) async fn end(
        &self,
        held: &Held,
        status: OperationStatus,
        error: Option<Error>,
        message: Option<String>,
    ) -> Result<Next, Error> {
        self.ended(held, status, error, message, !held.may_have_left()).await
    }

    /// `undone`: nothing was carried out, so that what may pass can be tried again under the same key.
    async fn ended(
        &self,
        held: &Held,
        status: OperationStatus,
        error: Option<Error>,
        message: Option<String>,
        undone: bool,
    ) -> Result<Next, Error> {
        if let Some(error) = &error {
            tracing::info!(operation = %held.fence.id, status = status.as_str(), %error, internal = error.internal, "ended");
        }
        let passes = |error: &Error| matches!(error.kind, Kind::Unavailable | Kind::RateLimited | Kind::Overloaded);
        let frees_key = status == OperationStatus::Failed && undone && error.as_ref().is_some_and(passes);
        let operation = &held.record.operation;
        let finish = Finish {
            status,
            target: operation.target.clone(),
            progress: operation.progress,
            message: message.or_else(|| error.as_ref().map(|error| error.message.clone())),
            result: None,
            native: None,
            error,
            secrets: None,
            frees_key,
            labels: None,
            at: now(),
        };
        self.finish(held, finish).await
    }

    async fn finish(&self, held: &Held, finish: Finish) -> Result<Next, Error> {
        // The host is done, and whoever reads that the operation ended must find what it made: so old answers go first.
        if may_tell_of_before(held, finish.status) {
            self.carrier.changed(held.record.connection, &held.mutation);
        }
        self.announce_labels(held, &finish).await?;
        let committed = self.insist(|| self.store.operation_finish(&held.fence, &finish)).await;
        if committed.is_ok() {
            self.numbers.running.dec();
            self.numbers.finished(&held.record.operation, finish.status);
        }
        if let Some(end) = &finish.labels {
            self.tell_labels(held, end.site()).await;
        }
        committed?;
        self.waiters.finished(&held.fence.id);
        Ok(Next::Never)
    }

    /// Nobody may find a new site without its labels: one of them may protect it.
    async fn announce_labels(&self, held: &Held, finish: &Finish) -> Result<(), Error> {
        match &finish.labels {
            Some(LabelEnd::Made { site, labels }) if !labels.is_empty() => {
                self.persist(|| self.carrier.labels_coming(held.record.connection, site, labels)).await
            }
            _ => Ok(()),
        }
    }

    /// What the store has is right; only this process would go on showing the labels of before.
    async fn tell_labels(&self, held: &Held, site: &str) {
        if let Err(error) = self.persist(|| self.carrier.labels_changed(held.record.connection, site)).await {
            tracing::error!(operation = %held.fence.id, %error, internal = error.internal, "labels could not be read again");
        }
    }
}

/// Whether kept answers may tell of before. What left in this very step has outdated them already; and what never left changed
/// nothing, so they stay: it may have been for an outage that they are all there is.
fn may_tell_of_before(held: &Held, status: OperationStatus) -> bool {
    held.may_have_left() || !matches!(status, OperationStatus::Failed | OperationStatus::Canceled)
}

/// What a success means for the labels of the site.
fn labels(held: &Held, target: &Target) -> Option<LabelEnd> {
    let made = || Some(ResourceId::parse(target.id.as_deref()?).ok()?.native);
    match &held.mutation {
        Mutation::SitesCreate(input) => Some(LabelEnd::Made { site: made()?, labels: input.labels.clone() }),
        Mutation::SitesClone { .. } => Some(LabelEnd::Made { site: made()?, labels: Labels::new() }),
        Mutation::SitesDelete { site } => Some(LabelEnd::Gone { site: site.clone() }),
        _ => None,
    }
}
