//! One question to many connections at once.
//!
//! In go connections and a query; out come the answers that arrived in time or, for those that are late, are kept; and for every
//! other connection why not. Invariant: each connection asked is in exactly one of the two; a missing part is never silent.

use super::{Connection, Dispatch, Found, Freshness, Shelf, snapshot::Key};
use crate::model::{Error, Kind, Query};
use futures_util::future::join_all;
use std::{sync::Arc, time::Duration};

pub struct Gathered {
    pub parts: Vec<Found>,
    /// The labels of each part's connection.
    pub shelves: Vec<Arc<Shelf>>,
    pub failures: Vec<Failure>,
}

/// Why a connection's part is missing.
#[derive(Clone, Debug)]
pub struct Failure {
    pub connection: String,
    pub error: Error,
}

impl Dispatch {
    pub async fn gather(self: &Arc<Self>, connections: &[Arc<Connection>], query: &Query, freshness: Freshness) -> Gathered {
        let asked = connections.iter().map(|connection| self.part(connection, query, freshness));
        let mut gathered = Gathered {
            parts: Vec::with_capacity(connections.len()),
            shelves: Vec::with_capacity(connections.len()),
            failures: Vec::new(),
        };
        for (connection, part) in connections.iter().zip(join_all(asked).await) {
            match part {
                Ok(snapshot) => {
                    gathered.parts.push(snapshot);
                    gathered.shelves.push(Arc::clone(&connection.labels));
                }
                Err(error) => gathered.failures.push(Failure { connection: connection.record.slug.to_string(), error }),
            }
        }
        gathered
    }

    async fn part(self: &Arc<Self>, connection: &Arc<Connection>, query: &Query, freshness: Freshness) -> Result<Found, Error> {
        let limit = Duration::from_millis(self.config.list_deadline_ms);
        let late = || {
            let message = format!("the connection took longer than {} s to answer", limit.as_secs_f32());
            (Key::new(connection, query.clone()), connection.blame(Error::new(Kind::Timeout, message)))
        };
        self.snapshots.in_time(limit, freshness, self.query(connection, query.clone(), freshness), late).await
    }
}
