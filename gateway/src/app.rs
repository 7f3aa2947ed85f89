//! The application: the one place that knows every room and puts them together.
//!
//! In goes a configuration; out comes a gateway that listens, and ends when it is told to. Invariant: the listeners open only
//! after the store, the key and every provider are in order, so a gateway that answers is a gateway that works.

mod builtin;
mod data;
pub mod demo;
mod load;

pub use data::open_store;

use crate::{
    api::Api,
    config::Config,
    dispatch::Dispatch,
    egress::Egress,
    host::{Compile, Host},
    layers,
    metrics::Metrics,
    operations::Operations,
    policy::Authenticator,
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

/// A gateway that was put together and listens, but serves only once it runs.
pub struct App {
    config: Config,
    pub store: Arc<SqliteStore>,
    pub dispatch: Arc<Dispatch>,
    operations: Arc<Operations>,
    api: Arc<Api>,
    metrics: Arc<Metrics>,
    public: Listener,
    admin: Listener,
    shutdown: CancellationToken,
}

impl App {
    pub async fn start(config: Config) -> anyhow::Result<Self> {
        let metrics = Arc::new(Metrics::new().context("metrics")?);
        let data = data::open(&config).await?;
        let store: Arc<dyn Store> = data.store.clone();
        let shutdown = CancellationToken::new();
        let egress = Egress::new(config.egress.clone(), config.grants.clone(), Arc::clone(&metrics))?;
        let host = Host::new(
            config.limits.clone(),
            &config.artifacts(),
            Arc::clone(&data.sealer),
            Compile::Child(std::env::current_exe().context("can't find this program's own file")?),
            Arc::clone(&store),
            Arc::clone(&metrics),
        )?;
        let dispatch = Dispatch::new(
            Arc::clone(&host),
            egress,
            Arc::clone(&store),
            Arc::clone(&data.sealer),
            &metrics,
            config.cache.clone(),
        );
        load::providers(&host, dispatch.providers(), &config).await?;
        let carrier = Arc::new(Arc::clone(&dispatch));
        let operations = Operations::start(
            Arc::clone(&store),
            Arc::clone(&data.sealer),
            carrier,
            Arc::clone(&metrics),
            shutdown.child_token(),
        )
        .await?;
        let api = Api::new(Arc::clone(&dispatch), Arc::clone(&operations), data.sealer, config.api.clone());
        let public = Listener::bind("listen", config.listen).await?;
        let admin = Listener::bind("admin_listen", config.admin_listen).await?;
        Ok(Self { config, store: data.store, dispatch, operations, api, metrics, public, admin, shutdown })
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
        let stack = layers::stack(self.api, authenticator, &self.metrics);
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
        self.operations.stopped().await;
        self.store.close().await;
        admin_shutdown.cancel();
        admin.await.context("the admin server's task failed")?;
        tracing::info!("stopped");
        Ok(())
    }
}

async fn wait_for_signal() -> anyhow::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate()).context("can't listen for SIGTERM")?;
    tokio::select! {
        _ = terminate.recv() => Ok(()),
        interrupted = tokio::signal::ctrl_c() => interrupted.context("can't listen for SIGINT"),
    }
}
