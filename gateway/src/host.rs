//! The host: components under wasmtime, their instances, limits and imports.
//!
//! In go component bytes and model calls; out come model answers. Invariant: only this room knows wasmtime, and an instance
//! never serves two connections. It keeps no list of providers and decides no feature: `dispatch` does.

mod artifact;
mod call;
mod check;
mod compile;
mod convert;
mod data;
mod engine;
mod entrance;
mod imports;
mod inspect;
mod instance;
mod limits;
mod load;
mod meter;
mod mutate;
mod pool;
mod prepare;
mod query;
mod schema;
#[cfg(test)]
mod tests;
mod transfer;
mod trap;

pub use check::Interfaces;
pub use compile::{CHILD_COMMAND, Compile, compile_child};
pub use entrance::Calls;
pub use inspect::{Inspection, inspect};
pub use limits::Limits;
pub use load::Provider;

use crate::{
    egress::{Intent, Upstreams},
    metrics::Metrics,
    model::{
        Answer, Configuration, ConnectionId, ConnectionSpec, Error, Finding, Kind, Mutation, OperationId, Preparation,
        Prepared, Progress, Query, Transfer, TransferAsked, Work,
    },
    policy::Caller,
    seal::Sealer,
    store::Store,
};
use artifact::Artifacts;
use convert::Scope;
use data::Owner;
use imports::state::ConnectionState;
use load::{Loader, Trust};
use meter::Asked;
use pool::{Pool, Shelf, Tenant};
use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, Weak},
};
use tokio::time::Instant;

/// Until when, and on whose behalf.
#[derive(Clone)]
pub struct CallContext {
    pub deadline: Instant,
    pub caller: Caller,
    /// Some for every mutating call, poll, reconcile and cancel.
    pub operation: Option<OperationContext>,
}

#[derive(Clone)]
pub struct OperationContext {
    pub id: OperationId,
    pub idempotency_key: String,
    pub intent: Arc<dyn Intent>,
}

/// One revision of a connection on one provider: what `configure` said, the upstreams that egress bound for it, and its
/// resting instances. They go when the last handle to this goes.
pub struct Configured {
    provider: Arc<Provider>,
    configuration: Configuration,
    upstreams: Arc<Upstreams>,
    /// As `configure` takes them.
    settings: String,
    scope: Scope,
    owner: Owner,
    state: Arc<ConnectionState>,
    shelf: Arc<Shelf>,
    connection: ConnectionId,
    tenant: Arc<Tenant>,
}

impl Configured {
    pub fn configuration(&self) -> &Configuration {
        &self.configuration
    }

    pub fn provider(&self) -> &Arc<Provider> {
        &self.provider
    }

    pub fn upstreams(&self) -> &Upstreams {
        &self.upstreams
    }

    pub fn calls(&self) -> Calls {
        self.tenant.entrance.calls(self.connection)
    }

    /// Another number after each change of what the provider keeps in the connection's state.
    pub fn state_revision(&self) -> u64 {
        self.state.revision()
    }
}

/// Instances at this moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Stats {
    /// That exist, for a call or at rest.
    pub instances: usize,
    pub resting: usize,
}

pub struct Host {
    limits: Arc<Limits>,
    loader: Loader,
    pool: Arc<Pool>,
    store: Arc<dyn Store>,
    /// Alive as long as some revision of the connection is configured, so that all of them see one state.
    states: Mutex<HashMap<ConnectionId, Weak<ConnectionState>>>,
}

impl Host {
    /// `cache`: folder of compiled components, made if it doesn't exist. `compile`: for components that nobody vouches for.
    pub fn new(
        limits: Limits,
        cache: &Path,
        sealer: Arc<Sealer>,
        compile: Compile,
        store: Arc<dyn Store>,
        metrics: Arc<Metrics>,
    ) -> Result<Arc<Self>, Error> {
        limits.check()?;
        let limits = Arc::new(limits);
        let (engine, layout) = engine::running(&limits)?;
        let artifacts = Artifacts::open(cache, sealer, engine::compatibility(&engine))?;
        let pool = Arc::new(Pool::new(limits.clone()));
        engine::start_clock(&engine, Arc::downgrade(&pool))?;
        let loader = Loader::new(engine, layout, limits.clone(), compile, Some(Arc::new(artifacts)), metrics)?;
        Ok(Arc::new(Self { limits, loader, pool, store, states: Mutex::default() }))
    }

    /// Loads a component that came with the gateway: compiles it (or takes it from the cache), checks and describes it. `name`
    /// is for messages. The error text says what to do.
    pub async fn load(&self, name: &str, bytes: &[u8]) -> Result<Arc<Provider>, Error> {
        self.loader.load(name, bytes, Trust::Ours).await
    }

    /// The same for a component that nobody vouches for.
    pub async fn load_untrusted(&self, name: &str, bytes: &[u8]) -> Result<Arc<Provider>, Error> {
        self.loader.load(name, bytes, Trust::Nobodys).await
    }

    /// Loads every `*.wasm` of a folder, in the order of their names; one that fails doesn't keep the others out.
    pub async fn load_folder(&self, folder: &Path) -> Result<Vec<(PathBuf, Result<Arc<Provider>, Error>)>, Error> {
        let mut loaded = Vec::new();
        for path in components(folder)? {
            let provider = match std::fs::read(&path) {
                Ok(bytes) => self.load_untrusted(&path.display().to_string(), &bytes).await,
                Err(error) => Err(Error::new(Kind::InvalidInput, format!("{} could not be read: {error}", path.display()))),
            };
            loaded.push((path, provider));
        }
        Ok(loaded)
    }

    /// Checks the settings against the schema and calls `configure`. Binds nothing yet: the caller hands the declared upstreams
    /// to egress.
    pub async fn configure(
        self: &Arc<Self>,
        provider: &Arc<Provider>,
        connection: &ConnectionSpec,
    ) -> Result<Configuration, Error> {
        provider.check_settings(&connection.settings)?;
        let started = Instant::now();
        let outcome = self.first_configuration(provider, connection).await;
        provider.meter.called(Asked::Configure, started, &outcome);
        outcome.map_err(|error| error.at(connection.slug.as_str(), &provider.name))
    }

    async fn first_configuration(
        self: &Arc<Self>,
        provider: &Arc<Provider>,
        connection: &ConnectionSpec,
    ) -> Result<Configuration, Error> {
        let tenant = self.pool.tenant(connection.organization);
        let deadline = load::latest(&self.limits, Instant::now() + engine::DESCRIBE_WALL);
        let configure = call::Configuring { host: self, provider, connection, tenant: &tenant, deadline };
        let answer = configure.run().await?;
        convert::configuration(answer, &provider.exported, &provider.description().secrets)
    }

    pub fn configured(
        &self,
        provider: Arc<Provider>,
        connection: ConnectionSpec,
        configuration: Configuration,
        upstreams: Arc<Upstreams>,
    ) -> Arc<Configured> {
        let scope = Scope { connection: connection.slug.as_str().into(), provider: provider.name.clone() };
        Arc::new(Configured {
            settings: connection.settings.to_string(),
            owner: owner(&provider, &connection),
            state: self.state(connection.id),
            shelf: self.pool.shelf(connection.id),
            connection: connection.id,
            tenant: self.pool.tenant(connection.organization),
            scope,
            provider,
            configuration,
            upstreams,
        })
    }

    pub async fn query(self: &Arc<Self>, on: &Arc<Configured>, query: &Query, context: &CallContext) -> Result<Answer, Error> {
        on.metered(Asked::Action(query.action()), query::query(self, on, query, context)).await
    }

    pub async fn prepare(
        self: &Arc<Self>,
        on: &Arc<Configured>,
        preparation: &Preparation,
        context: &CallContext,
    ) -> Result<Prepared, Error> {
        on.metered(Asked::Action(preparation.action()), prepare::prepare(self, on, preparation, context)).await
    }

    pub async fn mutate(
        self: &Arc<Self>,
        on: &Arc<Configured>,
        mutation: &Mutation,
        context: &CallContext,
    ) -> Result<Work, Error> {
        on.metered(Asked::Action(mutation.action()), mutate::mutate(self, on, mutation, context)).await
    }

    /// Where bulk bytes go to or come from. Nothing is moved yet.
    pub async fn transfer(
        self: &Arc<Self>,
        on: &Arc<Configured>,
        asked: &TransferAsked,
        context: &CallContext,
    ) -> Result<Transfer, Error> {
        on.metered(Asked::Action(asked.action()), transfer::transfer(self, on, asked, context)).await
    }

    pub async fn poll(self: &Arc<Self>, on: &Arc<Configured>, handle: &str, context: &CallContext) -> Result<Progress, Error> {
        on.metered(Asked::Poll, mutate::poll(self, on, handle, context)).await
    }

    pub async fn reconcile(
        self: &Arc<Self>,
        on: &Arc<Configured>,
        mutation: &Mutation,
        context: &CallContext,
    ) -> Result<Finding, Error> {
        on.metered(Asked::Reconcile, mutate::reconcile(self, on, mutation, context)).await
    }

    pub async fn cancel(self: &Arc<Self>, on: &Arc<Configured>, handle: &str, context: &CallContext) -> Result<(), Error> {
        on.metered(Asked::Cancel, mutate::cancel(self, on, handle, context)).await
    }

    /// Drops the resting instances of a connection that was deleted or changed; calls that still run end undisturbed, and their
    /// instances go then.
    pub fn forget(&self, connection: ConnectionId) {
        self.pool.forget(connection);
    }

    pub fn stats(&self) -> Stats {
        Stats { instances: self.limits.instances as usize - self.pool.free_slots(), resting: self.pool.resting() }
    }

    fn state(&self, connection: ConnectionId) -> Arc<ConnectionState> {
        let mut states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(state) = states.get(&connection).and_then(Weak::upgrade) {
            return state;
        }
        states.retain(|_, state| state.strong_count() > 0);
        let state = Arc::new(ConnectionState::new(connection, self.store.clone()));
        states.insert(connection, Arc::downgrade(&state));
        state
    }
}

impl Configured {
    async fn metered<T>(&self, asked: Asked, work: impl Future<Output = Result<T, Error>> + Send) -> Result<T, Error> {
        let started = Instant::now();
        let outcome = work.await;
        self.provider.meter.called(asked, started, &outcome);
        outcome.map_err(|error| error.at(&self.scope.connection, &self.scope.provider))
    }
}

fn owner(provider: &Provider, connection: &ConnectionSpec) -> Owner {
    Owner {
        provider: provider.name.clone(),
        connection: Some(connection.slug.as_str().into()),
        secrets: connection.secrets.clone(),
        meter: Some(provider.meter.clone()),
    }
}

fn components(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let failed = |error: std::io::Error| {
        Error::new(Kind::InvalidInput, format!("the folder {} of providers could not be read: {error}", folder.display()))
    };
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.extension().is_some_and(|extension| extension == "wasm") {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}
