//! Events: what those who watch are told.
//!
//! Invariant: a type is a promise to clients about what `data` holds; its name never comes to mean something else.

use super::resource::words;

words!(
    /// What changed: an operation (its data is the operation as it then was), or how a connection fares.
    EventType { OperationUpdated = "operation.updated", ConnectionHealth = "connection.health" }
);
