//! A connection that can be called: its record, and what its provider made of it, found out at first use.
//!
//! Invariant: one value stands for one revision; a change makes a new one, so nothing learnt under old settings is used again.

mod once;

use super::{
    generations::Generations,
    health::Health,
    herald::{Herald, Whose},
    labels::Shelf,
    providers::Providers,
    secrets,
};
use crate::{
    egress::{Egress, LimitsReport},
    host::{Calls, Configured, Host},
    model::{ConnectionSpec, Error, Features, Kind, ResourceId, Secrets},
    seal::Sealer,
    store::{ConnectionRecord, Store},
};
use once::Once;
use std::sync::Arc;

pub struct Connection {
    pub record: ConnectionRecord,
    pub health: Health,
    /// The labels of its sites, the same over all revisions.
    pub labels: Arc<Shelf>,
    organization_slug: Arc<str>,
    generations: Generations,
    configured: Once<Arc<Configured>>,
    host: Arc<Host>,
    egress: Arc<Egress>,
    sealer: Arc<Sealer>,
    store: Arc<dyn Store>,
}

impl Connection {
    pub(super) fn new(
        record: ConnectionRecord,
        organization_slug: Arc<str>,
        (host, egress, sealer, store): (Arc<Host>, Arc<Egress>, Arc<Sealer>, Arc<dyn Store>),
        (herald, labels): (Arc<Herald>, Arc<Shelf>),
    ) -> Self {
        let whose = Whose { organization: record.organization, connection: record.id, slug: record.slug.clone() };
        Self {
            record,
            health: Health::new(whose, herald),
            labels,
            organization_slug,
            generations: Generations::default(),
            configured: Once::default(),
            host,
            egress,
            sealer,
            store,
        }
    }

    /// Configures it on its provider, once; a failure is tried again by the next caller who didn't wait for it.
    pub async fn configured(&self, providers: &Providers) -> Result<Arc<Configured>, Error> {
        self.configured.get_or_try(|| self.configure(providers)).await.map_err(|error| self.blame(error))
    }

    async fn configure(&self, providers: &Providers) -> Result<Arc<Configured>, Error> {
        // The connection is in order; its provider may be loaded again later, so operations wait for it.
        let missing = |error| Error { kind: Kind::Unavailable, field: None, ..error };
        let provider = providers.get(&self.record.provider).map_err(missing)?;
        let mut spec = self.spec();
        let configuration = self.host.configure(&provider, &spec).await?;
        spec.secrets = match secrets::open(&self.sealer, &self.record, &configuration) {
            Err(_) if self.was_sealed_anew() => secrets::open(&self.sealer, &self.stored().await?, &configuration)?,
            opened => opened?,
        };
        let upstreams = self.egress.bind(&spec, provider.hash(), &configuration.upstreams)?;
        Ok(self.host.configured(provider, spec, configuration, upstreams))
    }

    /// The record was read before the master key was replaced.
    fn was_sealed_anew(&self) -> bool {
        self.record.secrets.values().any(|secret| self.sealer.is_foreign(&secret.sealed))
    }

    /// The record with its secrets as they are sealed now: sealing them anew makes no new revision.
    pub(super) async fn stored(&self) -> Result<ConnectionRecord, Error> {
        let stored = self.store.connection(self.record.id).await?;
        Ok(stored.filter(|stored| stored.revision == self.record.revision).unwrap_or_else(|| self.record.clone()))
    }

    /// Its features, if it was configured already.
    pub fn known_features(&self) -> Option<Features> {
        self.configured.get().map(|configured| configured.configuration().features.clone())
    }

    /// What is left of its upstreams' limits, if it was configured already.
    pub fn known_limits(&self) -> Option<Vec<LimitsReport>> {
        self.configured.get().map(|configured| configured.upstreams().limits())
    }

    /// What is under way on it, if it was configured already.
    pub fn known_calls(&self) -> Option<Calls> {
        self.configured.get().map(|configured| configured.calls())
    }

    /// Without secrets: `configure` says which upstreams they are bound to, and only then can they be opened.
    pub(super) fn spec(&self) -> ConnectionSpec {
        let record = &self.record;
        ConnectionSpec {
            id: record.id,
            revision: record.revision,
            organization: record.organization,
            organization_slug: Arc::clone(&self.organization_slug),
            slug: record.slug.clone(),
            provider: record.provider.as_str().into(),
            settings: record.settings.clone(),
            secrets: Secrets::default(),
            tls: record.tls.clone(),
        }
    }

    /// Says in the error where it happened.
    pub(super) fn blame(&self, error: Error) -> Error {
        error.at(self.record.slug.as_str(), &self.record.provider)
    }

    /// Of answers about this site (native id), or about many.
    pub(super) fn generation(&self, site: Option<&str>) -> u64 {
        self.generations.of(site)
    }

    /// The host answered to this id (native) with the site of that one (whole). Where they differ, it takes several for one.
    pub(super) fn note_spelling(&self, asked: &str, found: &str) {
        if ResourceId::parse(found).is_ok_and(|found| found.native != asked) {
            self.generations.take_sites_together();
        }
    }

    /// A mutation of this site may have left, or ended; none: of one that isn't known yet, or of who knows what.
    pub(super) fn outdate(&self, site: Option<&str>) {
        self.generations.outdate(site);
    }
}
