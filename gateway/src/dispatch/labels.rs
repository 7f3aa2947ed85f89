//! Labels of sites, kept in memory so that a read asks no database.
//!
//! In go changes, out come the labels of a site, by its whole id. Invariant: a shelf belongs to a connection, whatever its
//! revision; it is changed in one place, by reading again what the store committed, so that the last commit wins here too, or,
//! where the store can't be read for long, by what was committed. What a new site is made with is shown before that commit, so
//! that nobody finds the site without it.

use super::{Connection, Dispatch};
use crate::{
    clock,
    model::{Error, Labels, ResourceId, Slug},
    store::{ConnectionRecord, LabelRecord, Store, inherit},
};
use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard},
    time::Duration,
};
use tokio::{sync::Mutex, time::sleep};

type BySite = HashMap<String, Arc<Labels>>;

/// New values (`Some`), and labels that go (`None`).
type Changes = BTreeMap<String, Option<String>>;

/// Before each further try to read what was committed.
const PAUSES: [Duration; 3] = [Duration::from_millis(50), Duration::from_millis(200), Duration::from_millis(800)];

/// The labels of one connection's sites.
#[derive(Default)]
pub struct Shelf {
    by_site: RwLock<BySite>,
    /// Labels of new sites that the store is about to have. Held from reading the store to having it here.
    coming: Mutex<BySite>,
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
        let entry = |record: LabelRecord| (whole(slug, &record.site), Arc::new(record.labels));
        Self { by_site: RwLock::new(records.map(entry).collect()), coming: Mutex::default() }
    }

    pub fn look(&self) -> Look<'_> {
        Look(self.by_site.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// None: it has no labels. `site` is the whole id.
    pub fn of(&self, site: &str) -> Option<Arc<Labels>> {
        self.look().of(site).cloned()
    }

    /// Takes over what the store has after these changes, which it has committed: they must not be missing here, since one of
    /// them may protect a site.
    async fn catch_up(&self, store: &dyn Store, (on, native): (&ConnectionRecord, &str), changes: &Changes) {
        for pause in PAUSES {
            match self.reload(store, (on, native), changes).await {
                Ok(()) => return,
                Err(error) => tracing::warn!(%error, internal = error.internal, "changed labels could not be read"),
            }
            sleep(pause).await;
        }
        if self.reload(store, (on, native), changes).await.is_err() {
            self.take_as_said(on, native, changes).await;
        }
    }

    /// Without the store, which can't be read.
    async fn take_as_said(&self, on: &ConnectionRecord, native: &str, changes: &Changes) {
        let _guard = self.coming.lock().await;
        let site = whole(&on.slug, native);
        let mut labels = self.of(&site).map(|labels| Labels::clone(&labels)).unwrap_or_default();
        for (key, value) in changes {
            match value {
                Some(value) => drop(labels.insert(key.clone(), value.clone())),
                None => drop(labels.remove(key)),
            }
        }
        self.show(site, labels);
    }

    /// Takes over what the store has after these changes.
    async fn reload(&self, store: &dyn Store, (on, native): (&ConnectionRecord, &str), changes: &Changes) -> Result<(), Error> {
        let mut coming = self.coming.lock().await;
        if let Some(early) = coming.get_mut(&whole(&on.slug, native)) {
            Arc::make_mut(early).retain(|key, _| !changes.get(key).is_some_and(Option::is_none));
        }
        self.take_over(&coming, store, on, native).await
    }

    /// Shows what a site was made with, until that is settled.
    pub(super) async fn announce(&self, on: &ConnectionRecord, native: &str, labels: &Labels) {
        let site = whole(&on.slug, native);
        let mut coming = self.coming.lock().await;
        coming.insert(site.clone(), Arc::new(labels.clone()));
        let said = self.of(&site);
        self.show(site, over(labels, said.as_deref()));
    }

    /// What was announced of a site is in the store now, or won't be: that alone counts again.
    pub(super) async fn settle(&self, store: &dyn Store, on: &ConnectionRecord, native: &str) -> Result<(), Error> {
        let mut coming = self.coming.lock().await;
        coming.remove(&whole(&on.slug, native));
        self.take_over(&coming, store, on, native).await
    }

    async fn take_over(&self, coming: &BySite, store: &dyn Store, on: &ConnectionRecord, native: &str) -> Result<(), Error> {
        let stored = store.labels_of(on.id, native).await?;
        let site = whole(&on.slug, native);
        let labels = match coming.get(&site) {
            Some(early) => over(early, Some(&stored)),
            None => stored,
        };
        self.show(site, labels);
        Ok(())
    }

    fn show(&self, site: String, labels: Labels) {
        let mut by_site = self.by_site.write().unwrap_or_else(PoisonError::into_inner);
        if labels.is_empty() {
            by_site.remove(&site);
        } else {
            by_site.insert(site, Arc::new(labels));
        }
    }
}

/// The id of a site as clients see it.
pub(super) fn whole(slug: &Slug, native: &str) -> String {
    ResourceId::new(slug.clone(), native).to_string()
}

/// What was said of a site while it was being made counts more than what it was to be made with, as in the store.
fn over(early: &Labels, said: Option<&Labels>) -> Labels {
    let mut all = early.clone();
    all.extend(said.cloned().unwrap_or_default());
    all
}

impl Dispatch {
    /// Sets (`Some`) and removes (`None`) labels of a site (native id). `InvalidInput` when it would have too many.
    pub async fn change_labels(&self, connection: &Arc<Connection>, native: &str, changes: Changes) -> Result<(), Error> {
        let (store, connection, native) = (Arc::clone(&self.store), Arc::clone(connection), native.to_owned());
        // In a task of its own: a client that leaves in the middle must not leave the memory behind the store.
        let task = tokio::spawn(inherit(async move {
            store.labels_change(connection.record.id, &native, &changes, clock::now()).await?;
            connection.labels.catch_up(&*store, (&connection.record, &native), &changes).await;
            Ok::<_, Error>(())
        }));
        task.await.map_err(|error| Error::gateway(format_args!("a change of labels ended early: {error}")))?
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{SqliteStore, suite};

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        pairs.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect()
    }

    #[tokio::test]
    async fn a_new_site_has_its_labels_before_the_store_and_what_is_said_meanwhile_stands() {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(&folder.path().join("portico.db")).await.unwrap();
        let on = suite::connection_record(suite::organization(&store, "acme").await, "docker");
        store.connection_insert(&on).await.unwrap();
        let (shelf, site) = (Shelf::default(), whole(&on.slug, "new"));
        let shown = || shelf.of(&site).map(|labels| Labels::clone(&labels)).unwrap_or_default();

        let made = labels(&[("protected", "yes"), ("team", "a")]);
        shelf.announce(&on, "new", &made).await;
        assert_eq!(shown(), made);
        let changes = [("team".to_owned(), Some("b".to_owned()))].into();
        store.labels_change(on.id, "new", &changes, clock::now()).await.unwrap();
        shelf.reload(&store, (&on, "new"), &changes).await.unwrap();
        assert_eq!(shown(), labels(&[("protected", "yes"), ("team", "b")]), "a reload shows less than was announced");
        shelf.reload(&store, (&on, "new"), &[("protected".to_owned(), None)].into()).await.unwrap();
        assert_eq!(shown(), labels(&[("team", "b")]), "what was taken away is shown");
        // What can't be read back is here as it was said.
        let changes = [("team".to_owned(), None), ("protected".to_owned(), Some("yes".to_owned()))].into();
        shelf.take_as_said(&on, "new", &changes).await;
        assert_eq!(shown(), labels(&[("protected", "yes")]));
        // The store has no more than this, since the end was never written there.
        for _ in 0..2 {
            shelf.settle(&store, &on, "new").await.unwrap();
            assert_eq!(shown(), labels(&[("team", "b")]));
        }
    }
}
