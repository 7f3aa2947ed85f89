//! What is kept of a plan between its calls: the hash of its content, and where blobs go that the server doesn't take itself.
//!
//! In go plans and their answers; out come facts for `upload` and `reconcile`. Invariant: an upload address is good for one blob of
//! known content for minutes, and is forgotten with its plan; nothing here is needed for a plan of a server without object storage.

use crate::convert::Planned;
use portico_sdk::{Error, clock, json, state};
use serde::{Deserialize, Serialize};

/// Milliseconds: longer than any plan lives.
const KEEP_BLOBS: u64 = 2 * 3_600_000;
/// A crash is recovered when the gateway is back.
const KEEP_PLANS: u64 = 7 * 86_400_000;
/// Entries that one plan looks through for old ones.
const SWEEP: u32 = 1000;

#[derive(Serialize, Deserialize)]
struct Entry {
    at: u64,
    value: String,
}

pub struct Kept {
    pub at: u64,
    pub content_hash: String,
}

fn plan_key(plan: &str) -> String {
    format!("plan/{plan}")
}

fn blob_key(plan: &str, hash: &str) -> String {
    format!("blob/{plan}/{hash}")
}

fn put(key: &str, value: &str, now: u64) -> Result<(), Error> {
    state::set(key, &serde_json::to_vec(&Entry { at: now, value: value.to_owned() })?)
}

fn get(key: &str) -> Result<Option<Entry>, Error> {
    // A key that is too long is nobody's plan.
    if key.len() > 256 {
        return Ok(None);
    }
    Ok(state::get(key)?.and_then(|bytes| json::from_slice(&bytes).ok()))
}

pub fn keep(planned: &Planned) -> Result<(), Error> {
    let now = clock::now();
    for (prefix, age) in [("blob/", KEEP_BLOBS), ("plan/", KEEP_PLANS)] {
        sweep(prefix, now.saturating_sub(age))?;
    }
    if let Some(hash) = &planned.content_hash {
        put(&plan_key(&planned.id), hash, now)?;
    }
    for missing in &planned.missing {
        if let Some(url) = &missing.url {
            put(&blob_key(&planned.id, &missing.hash), url, now)?;
        }
    }
    Ok(())
}

fn sweep(prefix: &str, before: u64) -> Result<(), Error> {
    for (key, bytes) in state::list(prefix, None, SWEEP)? {
        let is_young = json::from_slice::<Entry>(&bytes).is_ok_and(|entry| entry.at >= before);
        if !is_young {
            state::delete(&key)?;
        }
    }
    Ok(())
}

pub fn upload_url(plan: &str, hash: &str) -> Result<Option<String>, Error> {
    Ok(get(&blob_key(plan, hash))?.map(|entry| entry.value))
}

pub fn kept(plan: &str) -> Result<Option<Kept>, Error> {
    Ok(get(&plan_key(plan))?.map(|entry| Kept { at: entry.at, content_hash: entry.value }))
}

/// The addresses of a plan that was committed.
pub fn forget_blobs(plan: &str) -> Result<(), Error> {
    for (key, _) in state::list(&blob_key(plan, ""), None, SWEEP)? {
        state::delete(&key)?;
    }
    Ok(())
}
