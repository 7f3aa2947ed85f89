//! Bills: which connections have one.
//!
//! Invariant: whose bill is read doesn't depend on whether another connection is in trouble at the moment: one that can't tell
//! its features counts as one that may have a bill, and says by itself what is wrong with it.

use super::{Connection, Dispatch, feature};
use crate::{
    host::Configured,
    model::{Action, Error},
};
use futures_util::future::join_all;
use std::sync::Arc;

impl Dispatch {
    /// Those that support the action, or can't tell.
    pub async fn supporting(&self, connections: Vec<Arc<Connection>>, action: Action) -> Vec<Arc<Connection>> {
        let configured = join_all(connections.iter().map(|connection| connection.configured(&self.providers))).await;
        let may = |told: Result<Arc<Configured>, Error>| {
            told.map_or(true, |configured| feature::require_action(configured.configuration(), action).is_ok())
        };
        connections.into_iter().zip(configured).filter_map(|(connection, told)| may(told).then_some(connection)).collect()
    }
}
