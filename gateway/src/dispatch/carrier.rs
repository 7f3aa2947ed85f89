//! What operations ask of dispatch: the calls that carry a mutation to its end.
//!
//! A trait, so that the six steps of operations are tested against carriers that fail and hang as they are told.

use crate::{
    host::CallContext,
    model::{Action, Completion, ConnectionId, Error, Finding, Labels, Mutation, Progress, Recovery, Work},
};
use async_trait::async_trait;
use serde_json::value::RawValue;

/// Whether what was allowed still is, by what is in memory: to be asked right before the first byte leaves.
pub type StillAllowed = Box<dyn Fn() -> Result<(), Error> + Send + Sync>;

/// Nothing can forbid it.
pub fn for_good() -> StillAllowed {
    Box::new(|| Ok(()))
}

/// What carries an operation's calls to its provider. `dispatch` is the real one; tests have their own.
#[async_trait]
pub trait Carrier: Send + Sync + 'static {
    /// Asked before a mutation of which nothing was sent: an error where it may not be, as things are by now.
    async fn allow(&self, _connection: ConnectionId, _mutation: &Mutation) -> Result<StillAllowed, Error> {
        Ok(for_good())
    }
    async fn recovery(&self, connection: ConnectionId, action: Action) -> Result<Recovery, Error>;
    async fn mutate(&self, connection: ConnectionId, mutation: &Mutation, context: &CallContext) -> Result<Work, Error>;
    async fn poll(&self, connection: ConnectionId, handle: &str, context: &CallContext) -> Result<Progress, Error>;
    async fn reconcile(&self, connection: ConnectionId, mutation: &Mutation, context: &CallContext) -> Result<Finding, Error>;
    async fn cancel(&self, connection: ConnectionId, handle: &str, context: &CallContext) -> Result<(), Error>;
    /// Reads the target again, for the operation's `result`; none where there is nothing to read (a deletion).
    async fn result(
        &self,
        connection: ConnectionId,
        mutation: &Mutation,
        completion: &Completion,
        context: &CallContext,
    ) -> Result<Option<Box<RawValue>>, Error>;
    /// Called when a mutation may have been sent, and when one that was has ended: what is cached of the connection is stale.
    fn changed(&self, connection: ConnectionId, mutation: &Mutation);
    /// Called when a site (native id) was made, before clients can learn of it: it has these labels from now on.
    async fn labels_coming(&self, _connection: ConnectionId, _site: &str, _labels: &Labels) -> Result<(), Error> {
        Ok(())
    }
    /// Called when the end of an operation changed labels of a site (native id) in the store, or could not be written there.
    async fn labels_changed(&self, _connection: ConnectionId, _site: &str) -> Result<(), Error> {
        Ok(())
    }
}
