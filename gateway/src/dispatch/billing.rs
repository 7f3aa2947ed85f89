//! Bills: which connections have one, and the way to a checkout.
//!
//! Invariant: whose bill is read doesn't depend on whether another connection is in trouble at the moment: one that can't tell
//! its features counts as one that may have a bill, and says by itself what is wrong with it.

use super::{Connection, Dispatch, feature};
use crate::{
    host::CallContext,
    model::{Action, CheckoutInput, Error},
};
use futures_util::future::join_all;
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;

impl Dispatch {
    /// Those that support the action, or can't tell.
    pub async fn supporting(&self, connections: Vec<Arc<Connection>>, action: Action) -> Vec<Arc<Connection>> {
        let configured = join_all(connections.iter().map(|connection| connection.configured(&self.providers))).await;
        let may = |told: Result<Arc<crate::host::Configured>, Error>| {
            told.map_or(true, |configured| feature::require_action(configured.configuration(), action).is_ok())
        };
        connections.into_iter().zip(configured).filter_map(|(connection, told)| may(told).then_some(connection)).collect()
    }

    /// The address of a page where the customer pays. No operation: nothing is bought until they do.
    pub async fn checkout(&self, connection: &Connection, input: &CheckoutInput) -> Result<String, Error> {
        let configured = connection.configured(&self.providers).await?;
        feature::require_action(configured.configuration(), Action::BillingCheckout)
            .map_err(|error| connection.blame(error))?;
        let deadline = Instant::now() + Duration::from_millis(self.config.read_deadline_ms);
        let outcome = self.host.checkout(&configured, input, &CallContext { deadline, operation: None }).await;
        connection.health.note(&outcome);
        outcome.map_err(|error| connection.blame(error))
    }
}
