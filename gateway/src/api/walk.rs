//! Walks through merged lists: the snapshots that a cursor pins, so that each item is met exactly once.
//!
//! In go gathered snapshots and an order; out come pages. Invariant: a walk never changes after its first page; what fails or
//! changes meanwhile doesn't move its items. One that was dropped answers 410, never a guess.

use super::{
    ApiConfig, cursor,
    cursor::Scope,
    problem::Problem,
    respond::{Read, age_of},
};
use crate::{
    dispatch::{Came, Failure, Found, Shelf},
    model::Timestamp,
};
use http::HeaderMap;
use moka::{policy::EvictionPolicy, sync::Cache};
use serde::{Deserialize, Serialize};
use std::{sync::Arc, time::Duration};
use uuid::Uuid;

pub const DEFAULT_LIMIT: usize = 10;
pub const MAX_LIMIT: usize = 100;

pub struct Walk {
    pub parts: Vec<Found>,
    /// The labels of each part's connection, in a list of sites.
    pub shelves: Vec<Arc<Shelf>>,
    /// (part, index in it), in order.
    pub rows: Vec<(u32, u32)>,
    pub failures: Vec<Failure>,
}

impl Walk {
    /// The oldest part's time.
    pub fn as_of(&self) -> Option<Timestamp> {
        self.parts.iter().map(|part| part.as_of).min()
    }

    /// Null when a part is missing: what isn't known isn't counted.
    pub fn total(&self) -> Option<usize> {
        self.failures.is_empty().then_some(self.rows.len())
    }
}

#[derive(Serialize, Deserialize)]
struct Position {
    walk: Uuid,
    offset: usize,
}

pub struct Walks(Cache<Uuid, Arc<Walk>>);

/// A stretch of a walk, and the cursor of what follows it.
pub struct Stretch {
    pub walk: Arc<Walk>,
    pub range: std::ops::Range<usize>,
    pub next: Option<String>,
    begins: bool,
}

impl Stretch {
    /// Its answer's freshness is that of the snapshots, which a cursor pins.
    pub fn read<'a>(&self, request: &'a HeaderMap, partial: bool) -> Read<'a> {
        let came = Found::freshness_of(&self.walk.parts);
        let came = came.map(|(came, seconds)| (if self.begins { came } else { Came::Kept }, seconds));
        Read { request, age: self.walk.as_of().map(age_of), partial, came }
    }
}

impl Walks {
    pub fn new(config: &ApiConfig) -> Self {
        let cache = Cache::builder()
            .max_capacity(config.cursor_bytes)
            // The newest walk is the one that will be continued.
            .eviction_policy(EvictionPolicy::lru())
            .weigher(|_, walk: &Arc<Walk>| {
                let pinned: u64 = walk.parts.iter().map(|part| u64::from(part.weight())).sum();
                u32::try_from(pinned + walk.rows.len() as u64 * 8 + 256).unwrap_or(u32::MAX)
            })
            .time_to_idle(Duration::from_secs(config.cursor_minutes * 60))
            .build();
        Self(cache)
    }

    /// The first stretch. The walk is kept only when there is more to come.
    pub fn begin(&self, walk: Walk, limit: usize, scope: &Scope<'_>) -> Result<Stretch, Problem> {
        self.stretch(None, Arc::new(walk), 0, limit, scope)
    }

    pub fn resume(&self, cursor: &str, limit: usize, scope: &Scope<'_>) -> Result<Stretch, Problem> {
        let position: Position = scope.open(cursor)?;
        let walk = self.0.get(&position.walk).ok_or_else(cursor::expired)?;
        self.stretch(Some(position.walk), walk, position.offset, limit, scope)
    }

    /// `id`: of a walk that is kept.
    fn stretch(
        &self,
        id: Option<Uuid>,
        walk: Arc<Walk>,
        offset: usize,
        limit: usize,
        scope: &Scope<'_>,
    ) -> Result<Stretch, Problem> {
        let end = walk.rows.len().min(offset.saturating_add(limit));
        let next = if end < walk.rows.len() {
            let id = id.unwrap_or_else(|| self.keep(&walk));
            Some(scope.seal(&Position { walk: id, offset: end })?)
        } else {
            None
        };
        Ok(Stretch { walk, range: offset.min(end)..end, next, begins: offset == 0 })
    }

    fn keep(&self, walk: &Arc<Walk>) -> Uuid {
        let id = Uuid::new_v4();
        self.0.insert(id, Arc::clone(walk));
        id
    }
}

/// Where in a list a request wants to be.
pub struct Paging {
    pub limit: usize,
    pub cursor: Option<String>,
    /// Route and filters: what the cursor is bound to.
    pub question: String,
}

/// The `limit` parameter, checked.
pub fn limit(asked: Option<usize>) -> Result<usize, Problem> {
    match asked.unwrap_or(DEFAULT_LIMIT) {
        fits @ 1..=MAX_LIMIT => Ok(fits),
        other => Err(Problem::invalid("limit", format!("1 to {MAX_LIMIT}, not {other}"))),
    }
}

/// A list as the API answers it.
#[derive(Serialize)]
pub struct Page<T: Serialize> {
    pub data: Vec<T>,
    pub next_cursor: Option<String>,
    pub total: Option<usize>,
    pub as_of: Option<Timestamp>,
    pub errors: Vec<Missing>,
}

/// A connection whose part of a list is missing, and why.
#[derive(Serialize, schemars::JsonSchema)]
#[schemars(rename = "MissingPart")]
pub struct Missing {
    pub connection: String,
    pub code: String,
    pub detail: String,
}

impl From<&Failure> for Missing {
    fn from(failure: &Failure) -> Self {
        Self {
            connection: failure.connection.clone(),
            code: failure.error.code().to_owned(),
            detail: failure.error.message.clone(),
        }
    }
}
