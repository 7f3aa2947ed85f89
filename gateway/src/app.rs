//! The application: the one place that knows every room and puts them together.
//!
//! In goes a configuration; out comes a gateway that listens, and ends when it is told to. Invariant: the listeners open only
//! after the store, the key and every provider are in order, so a gateway that answers is a gateway that works.

mod backup;
mod builtin;
mod data;
pub mod demo;
mod failure;
mod keys;
mod load;
mod private;
mod rotate;
mod signals;
mod upkeep;

pub use backup::{Saved, backup};
pub use data::{open_recording, open_store, verify_audit};
pub use failure::words;
pub use rotate::{Rotated, rotate, status};
pub use signals::unless_told_to_end;

use crate::{
    api::{self, Api},
    config::Config,
    dispatch::Dispatch,
    egress::Egress,
    events::Events,
    host::{Compile, Host},
    hot_path::{Door, HotPath, Way},
    layers::{self, Gate, Misread, Observer},
    metrics::Metrics,
    operations::Operations,
    policy::{Accounts, Authenticator, Limits, Tokens},
    seal::Sealer,
    server::{self, Front, Listener, Tls},
    store::{SqliteStore, Store},
};
use anyhow::{Context as _, bail};
use signals::Signals;
use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};
use tokio::{signal::unix::Signal, task::JoinSet};
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
    tls: Option<Arc<Tls>>,
    shutdown: CancellationToken,
}

impl App {
    pub async fn start(config: Config) -> anyhow::Result<Self> {
        let metrics = Arc::new(Metrics::new().context("metrics")?);
        let tls = tls(&config, &metrics)?;
        let data = data::open(&config).await?;
        let public = Listener::bind("listen", config.listen)?;
        let admin = Listener::bind("admin_listen", config.admin_listen)?;
        let dispatch = dispatch(&config, &data, &metrics).await?;
        let shutdown = CancellationToken::new();
        Ok(Self { config, store: data.store, dispatch, sealer: data.sealer, metrics, public, admin, tls, shutdown })
    }

    /// Everything that can be checked without serving: configuration, certificate, grants, folder, key, providers.
    pub async fn check(config: &Config) -> anyhow::Result<Arc<Dispatch>> {
        data::check(config).await?;
        let metrics = Arc::new(Metrics::new().context("metrics")?);
        tls(config, &metrics)?;
        let data = data::elsewhere().await?;
        let checked = dispatch(config, &data, &metrics).await;
        data.remove().await?;
        checked
    }

    pub const fn address(&self) -> SocketAddr {
        self.public.address
    }

    /// What an address of the API begins with.
    pub const fn scheme(&self) -> &'static str {
        if self.tls.is_some() { "https" } else { "http" }
    }

    pub fn metrics(&self) -> Arc<Metrics> {
        Arc::clone(&self.metrics)
    }

    pub const fn admin_address(&self) -> SocketAddr {
        self.admin.address
    }

    /// Serves until SIGTERM or SIGINT, then drains: no new connections, requests in flight finish, operations stop at a
    /// point from which the next start goes on. A second signal ends all of it at once.
    pub async fn run(self) -> anyhow::Result<()> {
        // Before anyone can know that it listens: until then a signal ends it without draining.
        let mut signals = Signals::listen()?;
        let (hangup, asked) = (signals.hangup.take(), CancellationToken::new());
        let twice = async {
            signals.next().await;
            asked.cancel();
            signals.next().await;
        };
        tokio::select! {
            ended = self.serve(asked.clone(), hangup) => ended,
            () = twice => bail!("ended at once by a second signal: requests are cut off, operations go on at the next start"),
        }
    }

    /// Until it is asked to drain, and has.
    async fn serve(self, asked: CancellationToken, hangup: Option<Signal>) -> anyhow::Result<()> {
        data::write_addresses(&self.config, self.address(), self.admin_address())?;
        let ready = Arc::new(AtomicBool::new(true));
        let watch = keys::watch(self.config.clone(), Arc::clone(&self.sealer), self.store.clone(), Arc::clone(&self.metrics));
        tokio::spawn(self.shutdown.child_token().run_until_cancelled_owned(watch));
        let authenticator = Arc::new(Authenticator::new(self.store.clone()).with_sessions(self.config.sessions.clone()));
        let uses_written = CancellationToken::new();
        let uses = tokio::spawn(Arc::clone(&authenticator).keep_uses(uses_written.clone()));
        let accounts = accounts(&self.config, self.store.clone(), &authenticator, &self.metrics);
        tokio::spawn(Arc::clone(&accounts).upkeep(self.shutdown.child_token()));
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
        let people = (Tokens::new(self.store.clone(), Arc::clone(&authenticator)), accounts);
        let kept: (Arc<dyn Store>, _) = (self.store.clone(), Arc::clone(&self.metrics));
        let told = (self.config.api.clone(), self.config.server.public_url.clone());
        let api = Api::new(self.dispatch, Arc::clone(&operations), events, people, self.sealer, kept, told);
        let kept = (self.config.audit.clone(), self.config.operations.clone(), self.config.events.keep_hours.div_ceil(24));
        tokio::spawn(upkeep::prune(self.store.clone(), kept, self.shutdown.child_token()));
        let observer = Arc::new(Observer::new(Arc::clone(&self.metrics)));
        let limits = Arc::new(Limits::new(&self.config.limits));
        let gate = Arc::new(Gate::new(limits, Arc::clone(&self.metrics)));
        let shared = (Arc::clone(&authenticator), Arc::clone(&gate), Arc::clone(&observer));
        // What other origins may read depends on each request's own; the stack knows.
        let hot_path =
            self.config.cors.is_off().then(|| HotPath::new(Arc::clone(&api), shared, self.metrics.hot_path_answers.clone()));
        let door = Door {
            gate: Arc::clone(&gate),
            observer: Arc::clone(&observer),
            authenticator: Arc::clone(&authenticator),
            cors: self.config.cors.clone(),
        };
        let misread = Misread::new(Arc::clone(&gate), Arc::clone(&observer));
        let health = server::health(Arc::clone(&ready));
        let stack = layers::stack(api, authenticator, self.config.cors.clone(), gate, observer, health);
        let admin_service = server::admin(Arc::clone(&self.metrics), Arc::clone(&ready));
        let open = self.metrics.connections_open.clone();
        let unseen = prometheus::IntGauge::new("admin_connections", "not registered")?;
        // The admin listener outlives the public one: operators watch the drain.
        let admin_shutdown = CancellationToken::new();
        let mut servers = JoinSet::new();
        let admin_tls = self.tls.clone().filter(|_| self.config.tls.admin);
        let watched = self.tls.clone().zip(hangup);
        let watched =
            watched.map(|(tls, hangup)| tokio::spawn(server::watch_certificate(tls, hangup, self.shutdown.child_token())));
        let front = Front::new(&self.config.server, self.tls, &self.metrics, open);
        let way = Way::new(hot_path, door, misread, stack);
        servers.spawn(server::serve(self.public, way, front, self.shutdown.clone()));
        let front = Front::new(&self.config.server, admin_tls, &self.metrics, unseen);
        let admin = tokio::spawn(server::serve(self.admin, Way::plain(admin_service), front, admin_shutdown.clone()));
        asked.cancelled().await;
        tracing::info!("draining: finishing requests in flight; a second signal ends it at once");
        ready.store(false, Ordering::Release);
        self.shutdown.cancel();
        while let Some(ended) = servers.join_next().await {
            ended.context("the server's task failed")?;
        }
        if let Some(watched) = watched {
            watched.await.context("the task that watches the certificate failed")?;
        }
        operations.stopped().await;
        uses_written.cancel();
        uses.await.context("the task that writes when tokens were used failed")?;
        self.store.close().await;
        admin_shutdown.cancel();
        admin.await.context("the admin server's task failed")?;
        tracing::info!("stopped");
        Ok(())
    }
}

/// The certificate, and whether what listens may do without one.
fn tls(config: &Config, metrics: &Arc<Metrics>) -> anyhow::Result<Option<Arc<Tls>>> {
    let tls = Tls::load(&config.tls, metrics)?;
    config.server.check_exposure(config.listen, tls.is_some())?;
    config.server.check_admin_exposure(config.admin_listen, tls.is_some() && config.tls.admin)?;
    Ok(tls)
}

/// Who registers doesn't get the name of an organization that the operator granted something to.
fn accounts(config: &Config, store: Arc<dyn Store>, authenticator: &Arc<Authenticator>, metrics: &Metrics) -> Arc<Accounts> {
    let reserved = config.grants.iter().map(|grant| grant.organization.clone()).collect();
    let sections = (&config.sessions, &config.passwords, &config.registration);
    Accounts::new(store, Arc::clone(authenticator), sections, reserved, metrics)
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
