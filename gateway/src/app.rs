//! The application: the one place that knows every room and puts them together.
//!
//! In goes a configuration; out comes a gateway that listens, and ends when it is told to. Invariant: the listeners open only
//! after the store, the key and every provider are in order, so a gateway that answers is a gateway that works.

mod builtin;
mod data;
pub mod demo;
mod load;
mod upkeep;

pub use data::{open_store, verify_audit};

use crate::{
    api::{self, Api},
    config::Config,
    dispatch::Dispatch,
    egress::Egress,
    events::Events,
    host::{Compile, Host},
    layers,
    metrics::Metrics,
    operations::Operations,
    policy::Authenticator,
    seal::Sealer,
    server::{self, Listener},
    store::{SqliteStore, Store},
};
use anyhow::Context as _;
use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// A gateway that was put together and has its addresses. Nothing is called and no operation goes on before it runs: a start
/// that fails leaves everything as it was.
pub struct App {
    config: Config,
    pub store: Arc<SqliteStore>,
    pub dispatch: Arc<Dispatch>,
    sealer: Arc<Sealer>,
    metrics: Arc<Metrics>,
    public: Listener,
    admin: Listener,
    shutdown: CancellationToken,
}

impl App {
    pub async fn start(config: Config) -> anyhow::Result<Self> {
        let metrics = Arc::new(Metrics::new().context("metrics")?);
        let data = data::open(&config).await?;
        let public = Listener::bind("listen", config.listen).await?;
        let admin = Listener::bind("admin_listen", config.admin_listen).await?;
        let dispatch = dispatch(&config, &data, &metrics).await?;
        let shutdown = CancellationToken::new();
        Ok(Self { config, store: data.store, dispatch, sealer: data.sealer, metrics, public, admin, shutdown })
    }

    /// Everything that can be checked without serving: configuration, grants, folder, key, providers.
    pub async fn check(config: &Config) -> anyhow::Result<Arc<Dispatch>> {
        data::check(config)?;
        let metrics = Arc::new(Metrics::new().context("metrics")?);
        let data = data::elsewhere().await?;
        let checked = dispatch(config, &data, &metrics).await;
        data.remove().await?;
        checked
    }

    pub const fn address(&self) -> SocketAddr {
        self.public.address
    }

    pub fn metrics(&self) -> Arc<Metrics> {
        Arc::clone(&self.metrics)
    }

    pub const fn admin_address(&self) -> SocketAddr {
        self.admin.address
    }

    /// Serves until SIGTERM or SIGINT, then drains: no new connections, requests in flight finish, operations stop at a
    /// point from which the next start goes on.
    pub async fn run(self) -> anyhow::Result<()> {
        data::write_addresses(&self.config, self.address(), self.admin_address())?;
        let ready = Arc::new(AtomicBool::new(true));
        let authenticator = Arc::new(Authenticator::new(self.store.clone()));
        let events = Events::start(
            self.store.clone(),
            api::events::write,
            Arc::clone(&authenticator),
            &self.metrics,
            &self.config.events,
            self.shutdown.child_token(),
        );
        let operations = Operations::start(
            self.store.clone(),
            Arc::clone(&self.sealer),
            Arc::new(Arc::clone(&self.dispatch)),
            Arc::clone(&self.metrics),
            self.shutdown.child_token(),
        )
        .await?;
        let kept: (Arc<dyn Store>, _) = (self.store.clone(), Arc::clone(&self.metrics));
        let api = Api::new(self.dispatch, Arc::clone(&operations), events, self.sealer, kept, self.config.api.clone());
        let (store, audit) = (self.store.clone(), self.config.audit.clone());
        tokio::spawn(upkeep::prune_audit(store, audit, self.shutdown.child_token()));
        let stack = layers::stack(api, authenticator, &self.metrics);
        let admin_service = server::admin(Arc::clone(&self.metrics), Arc::clone(&ready));
        let open = self.metrics.connections_open.clone();
        let unseen = prometheus::IntGauge::new("admin_connections", "not registered")?;
        // The admin listener outlives the public one: operators watch the drain.
        let admin_shutdown = CancellationToken::new();
        let mut servers = JoinSet::new();
        servers.spawn(server::serve(self.public, stack, self.config.server.clone(), open, self.shutdown.clone()));
        let admin =
            tokio::spawn(server::serve(self.admin, admin_service, self.config.server.clone(), unseen, admin_shutdown.clone()));
        wait_for_signal().await?;
        tracing::info!("draining: finishing requests in flight");
        ready.store(false, Ordering::Release);
        self.shutdown.cancel();
        while let Some(ended) = servers.join_next().await {
            ended.context("the server's task failed")?;
        }
        operations.stopped().await;
        self.store.close().await;
        admin_shutdown.cancel();
        admin.await.context("the admin server's task failed")?;
        tracing::info!("stopped");
        Ok(())
    }
}

/// Egress, host and providers over a data folder.
async fn dispatch(config: &Config, data: &data::Data, metrics: &Arc<Metrics>) -> anyhow::Result<Arc<Dispatch>> {
    let store: Arc<dyn Store> = data.store.clone();
    let egress = Egress::new(config.egress.clone(), config.grants.clone(), Arc::clone(metrics))?;
    let host = Host::new(
        config.host.clone(),
        &data.folder.join("components"),
        Arc::clone(&data.sealer),
        Compile::Child(std::env::current_exe().context("can't find this program's own file")?),
        Arc::clone(&store),
        Arc::clone(metrics),
    )?;
    let dispatch = Dispatch::new(Arc::clone(&host), egress, store, Arc::clone(&data.sealer), metrics, config.cache.clone());
    load::providers(&host, dispatch.providers(), config).await?;
    Ok(dispatch)
}

async fn wait_for_signal() -> anyhow::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate()).context("can't listen for SIGTERM")?;
    tokio::select! {
        _ = terminate.recv() => Ok(()),
        interrupted = tokio::signal::ctrl_c() => interrupted.context("can't listen for SIGINT"),
    }
}
