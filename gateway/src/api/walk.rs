//! Walks through merged lists: the snapshots that a cursor pins, so that each item is met exactly once.
//!
//! In go gathered snapshots and an order; out come pages. Invariant: a walk's items never change after its first page; what fails or
//! changes meanwhile doesn't move them. One that was dropped answers 410, never a guess. A caller who asks the same again
//! while it would come out the same gets the walk that is kept, and its cursors to the byte: the page is unchanged (304) just as
//! long as the cursor that the caller has is still good, and whoever polls what is kept pins nothing more. Where the same was read
//! again, the cursors lead on in what was read last.

use super::{
    ApiConfig,
    cursor::{self, Scope},
    problem::Problem,
    respond::Read,
};
use crate::{
    dispatch::{Came, Failure, Found, Shelf},
    model::{Kind, Timestamp},
};
use http::HeaderMap;
use moka::{policy::EvictionPolicy, sync::Cache};
use serde::{Deserialize, Serialize};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::Duration,
};
use tokio::time::Instant;
use twox_hash::XxHash3_128;
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

    /// Whether all its pages are those of the other, and say the same of hosts that fail.
    fn is_same(&self, other: &Self) -> bool {
        let same_part = |(one, other): (&Found, &Found)| Arc::ptr_eq(&one.snapshot, &other.snapshot);
        self.is_alike(other) && self.parts.iter().zip(&other.parts).all(same_part) && self.rows == other.rows
    }

    /// Whether it is of as many parts and items, with the same labels, and says the same of hosts that fail.
    fn is_alike(&self, other: &Self) -> bool {
        let same_part = |(one, other): (&Found, &Found)| one.came.failure() == other.came.failure();
        let same_failure = |(one, other): (&Failure, &Failure)| one.connection == other.connection && one.error == other.error;
        self.parts.len() == other.parts.len()
            && self.rows.len() == other.rows.len()
            && self.shelves.len() == other.shelves.len()
            && self.failures.len() == other.failures.len()
            && self.parts.iter().zip(&other.parts).all(same_part)
            && self.shelves.iter().zip(&other.shelves).all(|(one, other)| Arc::ptr_eq(one, other))
            && self.failures.iter().zip(&other.failures).all(same_failure)
    }
}

/// A hash of what a walk's items say, in their order. None: they can't be written.
///
/// It need not resist forgers: who could forge one gains cursors that lead into the items as they are now.
pub fn digest<T: Serialize>(items: impl Iterator<Item = T>) -> Option<u128> {
    let (mut hash, mut written) = (XxHash3_128::new(), Vec::<u8>::new());
    for item in items {
        written.clear();
        serde_json::to_writer(&mut written, &item).ok()?;
        hash.write(&written);
    }
    Some(hash.finish_128())
}

#[derive(Serialize, Deserialize)]
struct Position {
    walk: Uuid,
    offset: usize,
}

/// A walk that is kept, and the cursors into it that were given last.
struct Kept {
    id: Uuid,
    walk: Arc<Walk>,
    cursors: Arc<Mutex<Cursors>>,
    /// The digest of its items, once somebody wanted to know it.
    digest: OnceLock<Option<u128>>,
}

/// By where they lead, with when they were sealed.
type Cursors = HashMap<usize, (Instant, String)>;

/// So many cursors of a walk are remembered,
const CURSORS: usize = 64;
/// each of about so many bytes.
const CURSOR: usize = 256;
/// Bytes for finding the walk of a question, a fraction of what walks take.
const NEWEST_SHARE: u64 = 16;

impl Kept {
    fn new(walk: Walk) -> Arc<Self> {
        Arc::new(Self { id: Uuid::new_v4(), walk: Arc::new(walk), cursors: Arc::default(), digest: OnceLock::new() })
    }

    /// Whether the items of this walk, which were read later, say the same.
    fn says_the_same(&self, later: &Walk, digest: impl Fn(&Walk) -> Option<u128>) -> bool {
        let own = || *self.digest.get_or_init(|| digest(&self.walk));
        self.walk.is_alike(later) && own().is_some_and(|own| digest(later) == Some(own))
    }

    /// Its cursors lead into this walk from now on, which says the same.
    fn renewed(&self, walk: Walk) -> Arc<Self> {
        let (cursors, digest) = (Arc::clone(&self.cursors), self.digest.clone());
        Arc::new(Self { id: self.id, walk: Arc::new(walk), cursors, digest })
    }

    /// The cursor of what begins at `offset`, the same as before while most of its life is left.
    fn cursor(&self, offset: usize, scope: &Scope<'_>) -> Result<String, Problem> {
        let mut cursors = self.cursors.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((sealed_at, cursor)) = cursors.get(&offset)
            && sealed_at.elapsed() < cursor::GIVEN_AGAIN
        {
            return Ok(cursor.clone());
        }
        let cursor = scope.seal(&Position { walk: self.id, offset })?;
        if cursors.len() >= CURSORS {
            cursors.clear();
        }
        cursors.insert(offset, (Instant::now(), cursor.clone()));
        Ok(cursor)
    }

    fn weight(&self) -> u32 {
        let pinned: u64 = self.walk.parts.iter().map(|part| u64::from(part.weight())).sum();
        let rows = self.walk.rows.len();
        u32::try_from(pinned + (rows * 8 + rows.min(CURSORS) * CURSOR + 256) as u64).unwrap_or(u32::MAX)
    }
}

pub struct Walks {
    kept: Cache<Uuid, Arc<Kept>>,
    /// The newest walk of each caller's question.
    newest: Cache<Vec<u8>, Uuid>,
}

/// A stretch of a walk, and the cursor of what follows it.
pub struct Stretch {
    pub walk: Arc<Walk>,
    pub range: std::ops::Range<usize>,
    pub next: Option<String>,
    came: Option<(Came, Option<Kind>, i64)>,
}

impl Stretch {
    /// Its answer's freshness is that of the snapshots, which a cursor pins.
    pub fn read<'a>(&self, request: &'a HeaderMap, partial: bool) -> Read<'a> {
        Read { request, age: Found::age_of(&self.walk.parts), partial, came: self.came }
    }
}

impl Walks {
    pub fn new(config: &ApiConfig) -> Self {
        let idle = Duration::from_secs(config.cursor_minutes * 60);
        let kept = Cache::builder()
            .max_capacity(config.cursor_bytes)
            // The newest walk is the one that will be continued.
            .eviction_policy(EvictionPolicy::lru())
            .weigher(|_, kept: &Arc<Kept>| kept.weight())
            .time_to_idle(idle)
            .build();
        let newest = Cache::builder()
            .max_capacity(config.cursor_bytes / NEWEST_SHARE)
            .eviction_policy(EvictionPolicy::lru())
            .weigher(|facts: &Vec<u8>, _| u32::try_from(facts.len() + 128).unwrap_or(u32::MAX))
            .time_to_idle(idle)
            .build();
        Self { kept, newest }
    }

    /// The first stretch. The walk is kept only when there is more to come. `digest`: that of a walk's items ([`digest`]).
    pub fn begin(
        &self,
        walk: Walk,
        limit: usize,
        scope: &Scope<'_>,
        digest: impl Fn(&Walk) -> Option<u128>,
    ) -> Result<Stretch, Problem> {
        // As it came now, whichever walk it is.
        let came = Found::freshness_of(&walk.parts);
        if walk.rows.len() <= limit {
            return Ok(Stretch { range: 0..walk.rows.len(), walk: Arc::new(walk), next: None, came });
        }
        stretch(&self.keep(walk, scope, digest), 0, limit, scope, came)
    }

    /// What follows comes from the snapshots that the walk keeps, of which some may be old since their hosts failed.
    pub fn resume(&self, cursor: &str, limit: usize, scope: &Scope<'_>) -> Result<Stretch, Problem> {
        let position: Position = scope.open(cursor)?;
        let kept = self.kept.get(&position.walk).ok_or_else(cursor::expired)?;
        let came = Found::freshness_of(&kept.walk.parts).map(|(_, failure, seconds)| (Came::Kept, failure, seconds));
        stretch(&kept, position.offset, limit, scope, came)
    }

    /// The walk that is kept of this caller's question if it is the same, whose life begins anew by that; else this one, in the place
    /// of the one that is kept if both say the same.
    fn keep(&self, walk: Walk, scope: &Scope<'_>, digest: impl Fn(&Walk) -> Option<u128>) -> Arc<Kept> {
        let facts = scope.facts();
        let newest = self.newest.get(&facts).and_then(|id| self.kept.get(&id));
        let kept = match newest {
            Some(kept) if kept.walk.is_same(&walk) => return kept,
            Some(kept) if kept.says_the_same(&walk, &digest) => kept.renewed(walk),
            _ => Kept::new(walk),
        };
        self.kept.insert(kept.id, Arc::clone(&kept));
        self.newest.insert(facts, kept.id);
        kept
    }
}

fn stretch(
    kept: &Kept,
    offset: usize,
    limit: usize,
    scope: &Scope<'_>,
    came: Option<(Came, Option<Kind>, i64)>,
) -> Result<Stretch, Problem> {
    let rows = kept.walk.rows.len();
    let end = rows.min(offset.saturating_add(limit));
    let next = if end < rows { Some(kept.cursor(end, scope)?) } else { None };
    Ok(Stretch { walk: Arc::clone(&kept.walk), range: offset.min(end)..end, next, came })
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
