//! Dispatch: from (connection, action) to a provider call, cached or live, on one connection or fanned out over many.
//!
//! In go an organization, a connection's slug and a model call; out come model answers with whole ids.
//! Invariant: a call on a feature that the connection doesn't have is refused here, before any instance or upstream is touched.
//! It decides nothing about who may call: the API did that.

mod billing;
mod carrier;
mod checkup;
mod connection;
mod fanout;
mod feature;
mod generations;
mod health;
mod herald;
mod labels;
mod manage;
mod protection;
mod providers;
mod registry;
mod secrets;
mod snapshot;
mod transfer;
mod wordpress;
mod work;

pub use carrier::{Carrier, StillAllowed, for_good};
pub use checkup::Check;
pub use connection::Connection;
pub use fanout::{Failure, Gathered};
pub use health::{Health, HealthStatus, Report as HealthReport};
pub use labels::{Look, Shelf};
pub use manage::{NewConnection, Patch, SecretChange, as_input};
pub use providers::Providers;
pub use snapshot::{Came, Found, Freshness, Snapshot, Written};
pub use transfer::BlobUpload;

use crate::{
    egress::Egress,
    host::{CallContext, Host},
    metrics::Metrics,
    model::{Answer, Error, Kind, OrganizationId, Preparation, Prepared, Query, Slug},
    policy,
    seal::Sealer,
    store::Store,
};
use registry::Registry;
use serde::{Deserialize, Serialize};
use snapshot::{Key, Snapshots};
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;

/// The `[cache]` section.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CacheConfig {
    /// Bytes of answers kept, all connections together.
    pub max_bytes: u64,
    /// For so long after its time an answer is still given, while it is renewed behind the client's back.
    pub stale_while_revalidate_seconds: u32,
    /// For so long after its time an answer is given when no newer one can be had, and says so.
    pub stale_if_error_seconds: u32,
    /// For so long it is believed that something isn't there.
    pub absent_seconds: u32,
    /// How long one connection may take to answer a list over many, in milliseconds.
    pub list_deadline_ms: u64,
    /// How long any single read may take, in milliseconds.
    pub read_deadline_ms: u64,
}

impl Default for CacheConfig {
    fn default() -> Self {
        Self {
            max_bytes: 256 << 20,
            stale_while_revalidate_seconds: 10,
            stale_if_error_seconds: 600,
            absent_seconds: 2,
            list_deadline_ms: 10_000,
            read_deadline_ms: 30_000,
        }
    }
}

pub struct Dispatch {
    host: Arc<Host>,
    egress: Arc<Egress>,
    providers: Providers,
    registry: Registry,
    snapshots: Snapshots,
    sealer: Arc<Sealer>,
    store: Arc<dyn Store>,
    config: CacheConfig,
}

impl Dispatch {
    pub fn new(
        host: Arc<Host>,
        egress: Arc<Egress>,
        store: Arc<dyn Store>,
        sealer: Arc<Sealer>,
        metrics: &Arc<Metrics>,
        config: CacheConfig,
    ) -> Arc<Self> {
        Arc::new(Self {
            providers: Providers::default(),
            registry: Registry::new(Arc::clone(&host), Arc::clone(&egress), Arc::clone(&store), Arc::clone(&sealer)),
            snapshots: Snapshots::new(&config, metrics),
            host,
            egress,
            sealer,
            store,
            config,
        })
    }

    pub const fn providers(&self) -> &Providers {
        &self.providers
    }

    /// The organization's connection of that name.
    pub async fn connection(&self, organization: OrganizationId, slug: &Slug) -> Result<Arc<Connection>, Error> {
        let found = self.registry.of(organization).await?.get(slug).cloned();
        found.ok_or_else(|| {
            Error::new(Kind::NotFound, format!("there is no connection {slug}")).with_code("connection_not_found")
        })
    }

    /// A kept and fresh answer of a connection that is in memory: what can be said without waiting.
    pub fn kept(
        &self,
        organization: OrganizationId,
        slug: &str,
        query: Query,
        now: Instant,
    ) -> Option<(Arc<Connection>, Found)> {
        let connection = self.registry.known(organization, slug)?;
        let found = self.snapshots.fresh(&Key::new(&connection, query), now)?;
        Some((connection, found))
    }

    /// All connections of the organization, by slug.
    pub async fn connections(&self, organization: OrganizationId) -> Result<Vec<Arc<Connection>>, Error> {
        Ok(self.registry.of(organization).await?.values().cloned().collect())
    }

    /// Reads from one connection.
    pub async fn query(
        self: &Arc<Self>,
        connection: &Arc<Connection>,
        query: Query,
        freshness: Freshness,
    ) -> Result<Found, Error> {
        let configured = connection.configured(&self.providers).await?;
        feature::require_query(configured.configuration(), &query).map_err(|error| connection.blame(error))?;
        let lifetime = self.lifetime(&configured, &query);
        let ask = |query: Query| {
            let (this, connection) = (Arc::clone(self), Arc::clone(connection));
            // A fill goes on in a task of its own.
            policy::on_this_trail(async move { this.live(&connection, &configured, &query).await })
        };
        self.snapshots.get(Key::new(connection, query), freshness, lifetime, ask).await
    }

    async fn live(
        &self,
        connection: &Connection,
        configured: &Arc<crate::host::Configured>,
        query: &Query,
    ) -> Result<Answer, Error> {
        let answer = self.host.query(configured, query, &self.without_operation()).await;
        connection.health.note(&answer);
        if let (Query::SitesGet { site }, Ok(Answer::Site(found))) = (query, &answer) {
            connection.note_spelling(site, &found.id);
        }
        answer.map_err(|error| connection.blame(error))
    }

    /// Carries out a preparing call. Its answer isn't kept, and nothing that is kept changes by it.
    pub async fn prepare(&self, connection: &Connection, preparation: &Preparation) -> Result<Prepared, Error> {
        let configured = connection.configured(&self.providers).await?;
        feature::require_preparation(configured.configuration(), preparation).map_err(|error| connection.blame(error))?;
        let prepared = self.host.prepare(&configured, preparation, &self.without_operation()).await;
        connection.health.note(&prepared);
        prepared.map_err(|error| connection.blame(error))
    }

    fn without_operation(&self) -> CallContext {
        CallContext {
            deadline: Instant::now() + Duration::from_millis(self.config.read_deadline_ms),
            caller: policy::caller(),
            operation: None,
        }
    }

    fn lifetime(&self, configured: &crate::host::Configured, query: &Query) -> Duration {
        /// What the contract promises for actions that a provider doesn't name.
        const DEFAULT_SECONDS: u32 = 10;
        let seconds = configured.configuration().cache.get(query.action().as_str()).copied();
        Duration::from_secs(seconds.unwrap_or(DEFAULT_SECONDS).into())
    }
}
