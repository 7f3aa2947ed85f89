//! Which connections an organization has, kept in memory so that a read asks no database.
//!
//! Invariant: after a change through this process, the next look-up sees it, or fails where the store can't be read.

use super::{connection::Connection, herald::Herald, labels::Shelf};
use crate::{
    egress::Egress,
    host::Host,
    model::{ConnectionId, Error, Kind, OrganizationId, Slug},
    seal::Sealer,
    store::{ConnectionRecord, LabelRecord, Organization, Store},
};
use ahash::RandomState;
use arc_swap::ArcSwap;
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};
use tokio::sync::Mutex;

type BySlug = Arc<BTreeMap<Slug, Arc<Connection>>>;

/// The connections of an organization.
#[derive(Clone)]
struct Known {
    all: BySlug,
    /// The store may have others by now: whoever asks reads them anew. What they have learnt is kept for that.
    in_doubt: bool,
}

impl Known {
    fn certain(&self) -> Option<&BySlug> {
        (!self.in_doubt).then_some(&self.all)
    }
}

pub struct Registry {
    organizations: ArcSwap<HashMap<OrganizationId, Known, RandomState>>,
    /// Held while the map is loaded or changed, never while it is read.
    change: Mutex<()>,
    host: Arc<Host>,
    egress: Arc<Egress>,
    store: Arc<dyn Store>,
    sealer: Arc<Sealer>,
    herald: Arc<Herald>,
}

impl Registry {
    pub fn new(host: Arc<Host>, egress: Arc<Egress>, store: Arc<dyn Store>, sealer: Arc<Sealer>) -> Self {
        let herald = Herald::new(Arc::clone(&store));
        Self { organizations: ArcSwap::default(), change: Mutex::new(()), host, egress, store, sealer, herald }
    }

    /// A connection that was loaded already.
    pub fn known(&self, organization: OrganizationId, slug: &str) -> Option<Arc<Connection>> {
        self.organizations.load().get(&organization)?.certain()?.get(slug).cloned()
    }

    fn certain(&self, organization: OrganizationId) -> Option<BySlug> {
        self.organizations.load().get(&organization)?.certain().cloned()
    }

    pub async fn of(&self, organization: OrganizationId) -> Result<BySlug, Error> {
        if let Some(known) = self.certain(organization) {
            return Ok(known);
        }
        let _guard = self.change.lock().await;
        if let Some(known) = self.certain(organization) {
            return Ok(known);
        }
        self.load(organization).await
    }

    /// Takes a changed, new or deleted connection into view; the others keep what they have learnt. If the store can't be read
    /// now, none is in view until it can.
    pub async fn refresh(&self, organization: OrganizationId) {
        let _guard = self.change.lock().await;
        if let Err(error) = self.load(organization).await {
            tracing::warn!(%error, internal = error.internal, "changed connections could not be read, the next look-up will");
            self.doubt(organization);
        }
    }

    fn doubt(&self, organization: OrganizationId) {
        self.organizations.rcu(|present| {
            let mut next = HashMap::clone(present);
            if let Some(known) = next.get_mut(&organization) {
                known.in_doubt = true;
            }
            next
        });
    }

    pub async fn by_id(&self, id: ConnectionId) -> Result<Arc<Connection>, Error> {
        if let Some(connection) = self.certain_by_id(id) {
            return Ok(connection);
        }
        let gone = || Error::new(Kind::NotFound, "the connection was deleted").with_code("connection_not_found");
        let record = self.store.connection(id).await?.ok_or_else(gone)?;
        let all = self.of(record.organization).await?;
        all.get(&record.slug).filter(|one| one.record.id == id).cloned().ok_or_else(gone)
    }

    fn certain_by_id(&self, id: ConnectionId) -> Option<Arc<Connection>> {
        let known = self.organizations.load();
        known.values().filter_map(Known::certain).flat_map(|all| all.values()).find(|one| one.record.id == id).cloned()
    }

    /// What is cached of this connection is stale from now on.
    pub fn outdate(&self, id: ConnectionId, site: Option<&str>) {
        let known = self.organizations.load();
        known.values().flat_map(|known| known.all.values()).filter(|one| one.record.id == id).for_each(|one| one.outdate(site));
    }

    async fn load(&self, organization: OrganizationId) -> Result<BySlug, Error> {
        let gone = || Error::new(Kind::NotFound, "there is no such organization");
        let owner = self.store.organization(organization).await?.ok_or_else(gone)?;
        let before = self.organizations.load().get(&organization).map(|known| Arc::clone(&known.all)).unwrap_or_default();
        let records = self.store.connections(organization).await?;
        let mut shelves = self.shelves(&before, &records, organization).await?;
        let kept_or_new = |record: ConnectionRecord| {
            let shelf = shelves.remove(&record.id).unwrap_or_default();
            (record.slug.clone(), self.kept_or_new(&before, record, &owner, shelf))
        };
        let now: BySlug = Arc::new(records.into_iter().map(kept_or_new).collect());
        self.organizations.rcu(|present| {
            let mut next = HashMap::clone(present);
            next.insert(organization, Known { all: Arc::clone(&now), in_doubt: false });
            next
        });
        Ok(now)
    }

    /// The labels of each connection: those that are here already, and for new ones what the store has.
    async fn shelves(
        &self,
        before: &BySlug,
        records: &[ConnectionRecord],
        organization: OrganizationId,
    ) -> Result<HashMap<ConnectionId, Arc<Shelf>>, Error> {
        let here = before.values().map(|one| (one.record.id, Arc::clone(&one.labels)));
        let mut shelves: HashMap<ConnectionId, Arc<Shelf>> = here.collect();
        if records.iter().all(|record| shelves.contains_key(&record.id)) {
            return Ok(shelves);
        }
        let mut stored: HashMap<ConnectionId, Vec<LabelRecord>> = HashMap::new();
        for labels in self.store.labels(organization).await? {
            stored.entry(labels.connection).or_default().push(labels);
        }
        for record in records {
            let new = || Arc::new(Shelf::new(&record.slug, stored.remove(&record.id).unwrap_or_default().into_iter()));
            shelves.entry(record.id).or_insert_with(new);
        }
        Ok(shelves)
    }

    fn kept_or_new(
        &self,
        before: &BySlug,
        record: ConnectionRecord,
        owner: &Organization,
        shelf: Arc<Shelf>,
    ) -> Arc<Connection> {
        match before.get(&record.slug) {
            Some(kept) if kept.record.id == record.id && kept.record.revision == record.revision => Arc::clone(kept),
            _ => Arc::new(self.connection(record, owner, shelf)),
        }
    }

    pub fn connection(&self, record: ConnectionRecord, owner: &Organization, shelf: Arc<Shelf>) -> Connection {
        let parts = (Arc::clone(&self.host), Arc::clone(&self.egress), Arc::clone(&self.sealer), Arc::clone(&self.store));
        Connection::new(record, owner.slug.as_str().into(), parts, (Arc::clone(&self.herald), shelf))
    }
}
