//! The records in the connection's state: read, changed as a whole, listed from a cache.
//!
//! Keys: `site/<id>` holds a record, `name/<hash>` who has a name. Invariant: every change of a record is one compare-and-set
//! that carries its job, so that a call that arrives again finds what it did. The cache is trusted only while the state's
//! revision stands.

use crate::{job, job::Job, record::Record, seeds};
use portico_sdk::{Call, Error, Work, clock, error, json, state};
use serde::{Deserialize, Serialize};
use std::{cell::RefCell, rc::Rc};

/// Others change the same site only now and then.
const ATTEMPTS: u32 = 50;
/// A call lasts far less than this: whoever has had a name for longer without having a site has crashed.
const CLAIM_MILLIS: u64 = 60_000;
/// How long a deleted site is remembered, for calls that arrive again.
const TOMBSTONE_MILLIS: u64 = 3_600_000;
/// Tombstones that one creation clears away.
const SWEEP: usize = 20;

#[derive(Default)]
pub struct Store {
    seeds: u32,
    cache: RefCell<Cache>,
}

#[derive(Default)]
struct Cache {
    revision: Option<u64>,
    /// Sorted by id.
    records: Vec<Rc<Record>>,
    /// The earliest time at which a record changes by itself.
    next_change: Option<u64>,
}

#[derive(Serialize, Deserialize)]
struct Claim {
    site: String,
    at: u64,
}

/// A record, and the bytes that it was read from; none for a seed that nothing has changed yet.
pub type Loaded = (Option<Vec<u8>>, Record);

impl Store {
    pub fn new(seeds: u32) -> Self {
        Self { seeds, cache: RefCell::default() }
    }

    /// A site that is there, as of now.
    pub fn get(&self, id: &str) -> Result<Rc<Record>, Error> {
        let now = clock::now();
        self.refresh(now)?;
        let cached = self.cache.borrow().find(id);
        let seed = || seeds::index(id).filter(|index| *index <= self.seeds).map(seeds::shared);
        let record = cached.or_else(seed);
        record.filter(|record| !record.is_gone()).ok_or_else(no_site)
    }

    /// All that have a record, sorted by id; also those that are gone.
    pub fn records(&self) -> Result<Vec<Rc<Record>>, Error> {
        self.refresh(clock::now())?;
        Ok(self.cache.borrow().records.clone())
    }

    pub const fn seeds(&self) -> u32 {
        self.seeds
    }

    /// Carries out `change` on a site, once: it makes the job, and what it changes in the record is true from now on.
    pub fn change(
        &self,
        call: &Call,
        site: &str,
        change: &dyn Fn(&mut Record, u64) -> Result<Job, Error>,
    ) -> Result<Work, Error> {
        for _ in 0..ATTEMPTS {
            let now = clock::now();
            let (bytes, mut record) = self.load(site, now)?.ok_or_else(no_site)?;
            if let Some(job) = record.job(&call.operation_id) {
                return job.work(site, now);
            }
            if record.is_gone() {
                return Err(no_site());
            }
            let job = change(&mut record, now)?;
            record.jobs.push(job);
            if write(&mut record, bytes.as_deref(), now)? {
                return found(&record, &call.operation_id)?.work(site, now);
            }
        }
        Err(error::unavailable("too many changes of this site at the same time"))
    }

    /// Changes a site without a job: for what no operation is about.
    pub fn amend(&self, site: &str, change: &dyn Fn(&mut Record)) -> Result<(), Error> {
        for _ in 0..ATTEMPTS {
            let now = clock::now();
            let (bytes, mut record) = self.load(site, now)?.filter(|(_, record)| !record.is_gone()).ok_or_else(no_site)?;
            change(&mut record);
            if write(&mut record, bytes.as_deref(), now)? {
                return Ok(());
            }
        }
        Err(error::unavailable("too many changes of this site at the same time"))
    }

    /// Writes a new site with the job that makes it. `record.name` must have been claimed before.
    pub fn create(&self, call: &Call, mut record: Record, now: u64) -> Result<Work, Error> {
        let id = record.id.clone();
        if !write(&mut record, None, now)? {
            let existing = self.load(&id, now)?.map(|(_, record)| record);
            record = existing.ok_or_else(|| error::unavailable("the site changed at the same time"))?;
        }
        self.sweep(now)?;
        found(&record, &call.operation_id)?.work(&id, now)
    }

    /// The record of a site, also of one that is gone, settled.
    pub fn load(&self, id: &str, now: u64) -> Result<Option<Loaded>, Error> {
        let (bytes, mut record) = match state::get(&key(id))? {
            Some(bytes) => {
                let record = json::from_slice(&bytes)?;
                (Some(bytes), record)
            }
            None => match self.seed(id) {
                Some(record) => (None, record),
                None => return Ok(None),
            },
        };
        record.settle(now);
        Ok(Some((bytes, record)))
    }

    /// Makes a name this site's own, or says that another has it.
    pub fn claim_name(&self, name: &str, site: &str, now: u64) -> Result<(), Error> {
        if seeds::index(name).is_some_and(|index| index <= self.seeds) && name != site {
            return Err(taken());
        }
        let key = name_key(name);
        let claim = serde_json::to_vec(&Claim { site: site.to_owned(), at: now })?;
        for _ in 0..ATTEMPTS {
            let held = state::get(&key)?;
            if let Some(bytes) = &held {
                let holder: Claim = json::from_slice(bytes)?;
                if holder.site == site {
                    return Ok(());
                }
                if self.holds(&holder, name, now)? {
                    return Err(taken());
                }
            }
            if state::compare_and_set(&key, held.as_deref(), &claim)? {
                return Ok(());
            }
        }
        Err(error::unavailable("too many changes of this name at the same time"))
    }

    /// Gives a name back; nothing happens if it is another's by now.
    pub fn release_name(&self, name: &str, site: &str) -> Result<(), Error> {
        match state::get_json::<Claim>(&name_key(name))? {
            Some(holder) if holder.site == site => state::delete(&name_key(name)),
            _ => Ok(()),
        }
    }

    fn holds(&self, holder: &Claim, name: &str, now: u64) -> Result<bool, Error> {
        let fresh = now.saturating_sub(holder.at) < CLAIM_MILLIS;
        Ok(match self.load(&holder.site, now)? {
            Some((_, record)) => !record.is_gone() && (record.name == name || fresh),
            None => fresh,
        })
    }

    /// Removes what has been deleted long ago. Seeds stay as they are, or they would come back.
    fn sweep(&self, now: u64) -> Result<(), Error> {
        let old = |record: &Record| record.gone_at.is_some_and(|at| now.saturating_sub(at) > TOMBSTONE_MILLIS);
        let records = self.records()?;
        for record in records.iter().filter(|record| old(record) && seeds::index(&record.id).is_none()).take(SWEEP) {
            self.release_name(&record.name, &record.id)?;
            state::delete(&key(&record.id))?;
        }
        Ok(())
    }

    fn seed(&self, id: &str) -> Option<Record> {
        seeds::index(id).filter(|index| *index <= self.seeds).map(seeds::record)
    }

    fn refresh(&self, now: u64) -> Result<(), Error> {
        let revision = state::revision();
        let mut cache = self.cache.borrow_mut();
        if cache.revision != Some(revision) {
            let entries = state::list_all("site/")?;
            let records = entries.iter().map(|(_, bytes)| json::from_slice(bytes).map(Rc::new));
            cache.records = records.collect::<Result<_, _>>()?;
            cache.revision = Some(revision);
            cache.next_change = cache.earliest();
        }
        if cache.next_change.is_some_and(|at| at <= now) {
            for record in &mut cache.records {
                if record.next_change().is_some_and(|at| at <= now) {
                    Rc::make_mut(record).settle(now);
                }
            }
            cache.next_change = cache.earliest();
        }
        Ok(())
    }
}

impl Cache {
    fn find(&self, id: &str) -> Option<Rc<Record>> {
        let index = self.records.binary_search_by(|record| record.id.as_str().cmp(id)).ok()?;
        self.records.get(index).cloned()
    }

    fn earliest(&self) -> Option<u64> {
        self.records.iter().filter_map(|record| record.next_change()).min()
    }
}

/// False if the record isn't any more what `before` says.
pub fn write(record: &mut Record, before: Option<&[u8]>, now: u64) -> Result<bool, Error> {
    record.settle(now);
    job::prune(&mut record.jobs);
    state::compare_and_set(&key(&record.id), before, &serde_json::to_vec(record)?)
}

fn found<'a>(record: &'a Record, operation: &str) -> Result<&'a Job, Error> {
    // A site that another operation made can't have this id, which follows from the operation.
    record.job(operation).ok_or_else(|| error::internal("the record of this operation is lost"))
}

pub fn no_site() -> Error {
    error::not_found("there is no such site")
}

fn taken() -> Error {
    error::conflict("another site has this name").with_field("name")
}

fn key(id: &str) -> String {
    format!("site/{id}")
}

fn name_key(name: &str) -> String {
    format!("name/{:032x}", hash(name))
}

/// FNV-1a with 128 bits: names may be longer than a key, and this must stay the same for ever.
pub fn hash(text: &str) -> u128 {
    const BASIS: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    text.bytes().fold(BASIS, |hash, byte| (hash ^ u128::from(byte)).wrapping_mul(PRIME))
}
