//! What operations ask of dispatch: the calls that carry a mutation to its end.
//!
//! A trait, so that the six steps of operations are tested against carriers that fail and hang as they are told.

use crate::{
    host::CallContext,
    model::{Action, Completion, ConnectionId, Error, Finding, Mutation, Progress, Recovery, Work},
};
use async_trait::async_trait;
use serde_json::value::RawValue;

/// What carries an operation's calls to its provider. `dispatch` is the real one; tests have their own.
#[async_trait]
pub trait Carrier: Send + Sync + 'static {
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
    /// Called when a mutation was sent, and when it ended: what is cached of the connection is stale.
    fn changed(&self, connection: ConnectionId, mutation: &Mutation);
    /// Called when the end of an operation changed labels of a site (native id) in the store.
    async fn labels_changed(&self, _connection: ConnectionId, _site: &str) -> Result<(), Error> {
        Ok(())
    }
}
