//! The loaded providers by name, replaced as a whole when one is reloaded.
//!
//! Invariant: readers never wait; calls in flight keep the provider that they started with.

use crate::{
    host::Provider,
    model::{Error, Kind},
};
use arc_swap::ArcSwap;
use std::{collections::BTreeMap, sync::Arc};

#[derive(Default)]
pub struct Providers(ArcSwap<BTreeMap<String, Arc<Provider>>>);

impl Providers {
    /// Adds it, in place of one of the same name.
    pub fn insert(&self, provider: Arc<Provider>) {
        self.0.rcu(|present| {
            let mut next = BTreeMap::clone(present);
            next.insert(provider.description().name.clone(), Arc::clone(&provider));
            next
        });
    }

    pub fn get(&self, name: &str) -> Result<Arc<Provider>, Error> {
        let present = self.0.load();
        present.get(name).cloned().ok_or_else(|| {
            let known = present.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
            Error::new(Kind::InvalidInput, format!("there is no provider {name:?} here; loaded: {known}"))
                .with_field("provider")
        })
    }

    pub fn all(&self) -> Vec<Arc<Provider>> {
        self.0.load().values().cloned().collect()
    }
}
