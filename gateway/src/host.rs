//! The host: components under wasmtime, their instances, limits and imports.
//!
//! In go component bytes and model calls; out come model answers. Invariant: only this room knows wasmtime, and an instance
//! never serves two connections.

use crate::{
    egress::{Intent, Upstreams},
    metrics::Metrics,
    model::{Answer, Configuration, ConnectionSpec, Description, Error, Finding, Mutation, OperationId, Progress, Query, Work},
    store::Store,
};
use std::{path::Path, sync::Arc};
use tokio::time::Instant;

/// Until when, and on whose behalf.
#[derive(Clone)]
pub struct CallContext {
    pub deadline: Instant,
    /// Some for every mutating call, poll, reconcile and cancel.
    pub operation: Option<OperationContext>,
}

#[derive(Clone)]
pub struct OperationContext {
    pub id: OperationId,
    pub idempotency_key: String,
    pub intent: Arc<dyn Intent>,
}

/// A loaded component that was checked and described.
pub struct Provider {}

impl Provider {
    pub fn description(&self) -> &Description {
        todo!()
    }

    /// SHA-256 of the component's bytes.
    pub fn hash(&self) -> &[u8; 32] {
        todo!()
    }
}

/// One revision of a connection on one provider: what `configure` said, and the upstreams that egress bound for it.
pub struct Configured {}

impl Configured {
    pub fn configuration(&self) -> &Configuration {
        todo!()
    }
}

/// Limits on guests; every number has a default that is explained where it is defined. Filled from the config file.
#[derive(Clone, Debug, Default, serde::Deserialize, serde::Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {}

pub struct Host {}

impl Host {
    /// `cache`: folder of compiled components, made if it doesn't exist.
    pub fn new(_limits: Limits, _cache: &Path, _store: Arc<dyn Store>, _metrics: Arc<Metrics>) -> Result<Arc<Self>, Error> {
        todo!()
    }

    /// Compiles (or takes from the cache), checks, describes. `name` is for messages. The error text says what to do.
    pub async fn load(&self, _name: &str, _bytes: &[u8]) -> Result<Arc<Provider>, Error> {
        todo!()
    }

    /// Calls `configure` and binds nothing yet: the caller hands the declared upstreams to egress.
    pub async fn configure(&self, _provider: &Arc<Provider>, _connection: &ConnectionSpec) -> Result<Configuration, Error> {
        todo!()
    }

    pub fn configured(
        &self,
        _provider: Arc<Provider>,
        _connection: ConnectionSpec,
        _configuration: Configuration,
        _upstreams: Arc<Upstreams>,
    ) -> Arc<Configured> {
        todo!()
    }

    pub async fn query(&self, _on: &Arc<Configured>, _query: &Query, _context: &CallContext) -> Result<Answer, Error> {
        todo!()
    }

    pub async fn mutate(&self, _on: &Arc<Configured>, _mutation: &Mutation, _context: &CallContext) -> Result<Work, Error> {
        todo!()
    }

    pub async fn poll(&self, _on: &Arc<Configured>, _handle: &str, _context: &CallContext) -> Result<Progress, Error> {
        todo!()
    }

    pub async fn reconcile(
        &self,
        _on: &Arc<Configured>,
        _mutation: &Mutation,
        _context: &CallContext,
    ) -> Result<Finding, Error> {
        todo!()
    }

    pub async fn cancel(&self, _on: &Arc<Configured>, _handle: &str, _context: &CallContext) -> Result<(), Error> {
        todo!()
    }

    /// Drops idle instances of a connection (deleted, or changed).
    pub fn forget(&self, _connection: crate::model::ConnectionId) {
        todo!()
    }
}
