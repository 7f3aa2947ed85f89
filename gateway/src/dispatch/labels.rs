//! Labels of sites, kept in memory so that a read asks no database.
//!
//! In go changes, out come the labels of a site, by its whole id. Invariant: a shelf belongs to a connection, whatever its
//! revision; it is changed in one place, by reading again what the store committed, so that the last commit wins here too.

use super::{Connection, Dispatch};
use crate::{
    clock,
    model::{Error, Labels, ResourceId, Slug},
    store::{LabelRecord, Store, inherit},
};
use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard},
};
use tokio::sync::Mutex;

type BySite = HashMap<String, Arc<Labels>>;

/// The labels of one connection's sites.
#[derive(Default)]
pub struct Shelf {
    by_site: RwLock<BySite>,
    /// Held from reading the store to having it here.
    change: Mutex<()>,
}

/// A look at a whole shelf, for lists.
pub struct Look<'a>(RwLockReadGuard<'a, BySite>);

impl Look<'_> {
    pub fn of(&self, site: &str) -> Option<&Arc<Labels>> {
        self.0.get(site)
    }

    pub fn any(&self, wanted: impl Fn(&Labels) -> bool) -> bool {
        self.0.values().any(|labels| wanted(labels))
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Shelf {
    pub(super) fn new(slug: &Slug, records: impl Iterator<Item = LabelRecord>) -> Self {
        let whole = |record: LabelRecord| (ResourceId::new(slug.clone(), record.site).to_string(), Arc::new(record.labels));
        Self { by_site: RwLock::new(records.map(whole).collect()), change: Mutex::new(()) }
    }

    pub fn look(&self) -> Look<'_> {
        Look(self.by_site.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// None: it has no labels. `site` is the whole id.
    pub fn of(&self, site: &str) -> Option<Arc<Labels>> {
        self.look().of(site).cloned()
    }

    /// Takes over what the store has.
    pub(super) async fn reload(&self, store: &dyn Store, connection: &Connection, native: &str) -> Result<(), Error> {
        let _guard = self.change.lock().await;
        let labels = store.labels_of(connection.record.id, native).await?;
        let site = ResourceId::new(connection.record.slug.clone(), native).to_string();
        let mut by_site = self.by_site.write().unwrap_or_else(PoisonError::into_inner);
        if labels.is_empty() {
            by_site.remove(&site);
        } else {
            by_site.insert(site, Arc::new(labels));
        }
        Ok(())
    }
}

impl Dispatch {
    /// Sets (`Some`) and removes (`None`) labels of a site (native id). `InvalidInput` when it would have too many.
    pub async fn change_labels(
        &self,
        connection: &Arc<Connection>,
        native: &str,
        changes: BTreeMap<String, Option<String>>,
    ) -> Result<(), Error> {
        let (store, connection, native) = (Arc::clone(&self.store), Arc::clone(connection), native.to_owned());
        // In a task of its own: a client that leaves in the middle must not leave the memory behind the store.
        let task = tokio::spawn(inherit(async move {
            store.labels_change(connection.record.id, &native, &changes, clock::now()).await?;
            connection.labels.reload(&*store, &connection, &native).await
        }));
        task.await.map_err(|error| Error::gateway(format_args!("a change of labels ended early: {error}")))?
    }
}
