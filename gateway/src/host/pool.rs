//! The pool: which instances exist, which of them rest, and who may have one more.
//!
//! In go requests for an instance; out come resting ones, or the right to make one. Invariant: a resting instance is reachable
//! only from the shelf of its own connection revision, and gets there only by an explicit move. No lock is held across an await.

use super::{
    engine::Housekeeping,
    entrance::{self, Admitted, Behind, Counts, Entrance, InTime},
    instance::Instance,
    limits::Limits,
};
use crate::{
    egress::Flow,
    model::{ConnectionId, Error, OrganizationId},
};
use futures_util::poll;
use std::{
    collections::HashMap,
    pin::pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::Poll,
    time::Duration,
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout_at},
};

/// Resting instances of one connection revision on one component.
#[derive(Default)]
pub(super) struct Shelf {
    resting: Mutex<Vec<Resting>>,
    /// Set when the connection was deleted or changed: nothing rests here any more.
    retired: AtomicBool,
}

struct Resting {
    instance: Instance,
    since: Instant,
}

impl Shelf {
    /// The one that rested last: its memory is the warmest.
    pub(super) fn take(&self) -> Option<Instance> {
        let mut instance = lock(&self.resting).pop()?.instance;
        if let Some(presence) = &mut instance.presence {
            presence.set_busy(true);
        }
        Some(instance)
    }

    fn put(&self, mut instance: Instance) {
        if let Some(presence) = &mut instance.presence {
            presence.set_busy(false);
        }
        let mut resting = lock(&self.resting);
        // Looked at under the lock, so that an instance can't slip in after retiring emptied the shelf.
        if !self.retired.load(Ordering::Acquire) {
            resting.push(Resting { instance, since: Instant::now() });
        }
    }

    fn retire(&self) {
        let emptied = {
            let mut resting = lock(&self.resting);
            self.retired.store(true, Ordering::Release);
            std::mem::take(&mut *resting)
        };
        drop(emptied);
    }

    fn oldest(&self) -> Option<Instant> {
        lock(&self.resting).first().map(|resting| resting.since)
    }

    /// False: somebody else took it meanwhile.
    fn evict_oldest(&self) -> bool {
        let evicted = {
            let mut resting = lock(&self.resting);
            (!resting.is_empty()).then(|| resting.remove(0))
        };
        // Dropped after the lock: giving memory back takes longer than taking an instance.
        evicted.is_some()
    }

    fn reap(&self, before: Instant) {
        let reaped: Vec<Resting> = lock(&self.resting).extract_if(.., |resting| resting.since < before).collect();
        drop(reaped);
    }
}

/// An organization's, for those calls that are the only ones on their connections, or for all others.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Door {
    organization: OrganizationId,
    alone: bool,
}

impl Behind for Door {
    /// Both take of the organization's share, but what is alone on its connection isn't kept out by what others have.
    fn beside(self) -> Option<(Self, Counts)> {
        let counts = if self.alone { Counts::AsAny } else { Counts::Alike };
        Some((Self { alone: !self.alone, ..self }, counts))
    }
}

/// What an organization's guests share.
pub(super) struct Tenant {
    organization: OrganizationId,
    pub(super) entrance: Arc<Entrance>,
    /// That of the whole process.
    of_all: Arc<Entrance<Door>>,
    pub(super) computing: Arc<Semaphore>,
}

/// A call's places, among those of its organization and among all.
pub(super) struct Entered {
    _of_organization: Admitted,
    _of_all: Admitted<Door>,
}

impl Tenant {
    /// A place for a call. Who has it finds an instance at rest, or room for one.
    pub(super) async fn enter(
        &self,
        connection: ConnectionId,
        flow: Flow,
        deadline: Instant,
        in_time: impl InTime,
    ) -> Result<Entered, Error> {
        let of_organization = self.entrance.enter(connection, flow, deadline, in_time).await?;
        let door = Door { organization: self.organization, alone: of_organization.first };
        let of_all = self.of_all.enter(door, flow, deadline, |_, _, _| Ok(false)).await?;
        Ok(Entered { _of_organization: of_organization, _of_all: of_all })
    }
}

pub(super) struct Pool {
    limits: Arc<Limits>,
    slots: Arc<Semaphore>,
    /// As many calls as there may be instances, and a share of them for each organization.
    entrance: Arc<Entrance<Door>>,
    /// Calls that wait for a slot: as long as there are some, instances don't rest.
    waiting: AtomicUsize,
    shelves: Mutex<HashMap<ConnectionId, Vec<Weak<Shelf>>>>,
    tenants: Mutex<HashMap<OrganizationId, Weak<Tenant>>>,
}

impl Pool {
    pub(super) fn new(limits: Arc<Limits>) -> Self {
        Self {
            slots: Arc::new(Semaphore::new(limits.instances as usize)),
            // Those that wait here have a place of their organization, so they are counted.
            entrance: Entrance::new(limits.instances as usize, usize::MAX, limits.wait()),
            limits,
            waiting: AtomicUsize::new(0),
            shelves: Mutex::default(),
            tenants: Mutex::default(),
        }
    }

    pub(super) fn shelf(&self, connection: ConnectionId) -> Arc<Shelf> {
        let shelf = Arc::new(Shelf::default());
        lock(&self.shelves).entry(connection).or_default().push(Arc::downgrade(&shelf));
        shelf
    }

    pub(super) fn tenant(&self, organization: OrganizationId) -> Arc<Tenant> {
        let mut tenants = lock(&self.tenants);
        if let Some(tenant) = tenants.get(&organization).and_then(Weak::upgrade) {
            return tenant;
        }
        let limits = &self.limits;
        let (places, most) = (limits.calls_per_organization as usize, limits.waiting_per_organization as usize);
        let tenant = Arc::new(Tenant {
            organization,
            of_all: Arc::clone(&self.entrance),
            entrance: Entrance::new(places, most, limits.wait()),
            computing: Arc::new(Semaphore::new(limits.computing())),
        });
        tenants.insert(organization, Arc::downgrade(&tenant));
        tenant
    }

    /// The right to make one instance. When there is none left, the one that rested longest goes, whoever it served.
    pub(super) async fn slot(&self, deadline: Instant) -> Result<OwnedSemaphorePermit, Error> {
        if let Ok(permit) = self.slots.clone().try_acquire_owned() {
            return Ok(permit);
        }
        let _waiting = Waiting::new(&self.waiting);
        let until = deadline.min(Instant::now() + self.limits.wait());
        let mut permit = pin!(timeout_at(until, self.slots.clone().acquire_owned()));
        // It stands in line first, or somebody who comes now would get what is given up for it.
        let acquired = match poll!(permit.as_mut()) {
            Poll::Ready(acquired) => acquired,
            Poll::Pending => {
                self.evict();
                permit.await
            }
        };
        match acquired {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(_)) | Err(_) => Err(entrance::busy()),
        }
    }

    /// One that rests, unless none does.
    fn evict(&self) {
        let shelves: Vec<Arc<Shelf>> = lock(&self.shelves).values().flatten().filter_map(Weak::upgrade).collect();
        let oldest = || shelves.iter().filter_map(|shelf| Some((shelf.oldest()?, shelf))).min_by_key(|(since, _)| *since);
        while let Some((_, shelf)) = oldest() {
            if shelf.evict_oldest() {
                return;
            }
        }
    }

    /// Keeps an instance for the next call, unless it is used up, too large, or somebody waits for its slot.
    pub(super) fn rest(&self, shelf: &Shelf, instance: Instance) {
        let limits = &self.limits;
        let used_up = instance.calls >= limits.reuse_calls
            || instance.born.elapsed() >= Duration::from_secs(limits.reuse_seconds.into())
            || instance.store.data().memory.used as u64 > limits.idle_memory;
        if used_up || self.waiting.load(Ordering::SeqCst) > 0 {
            return;
        }
        shelf.put(instance);
        // Somebody may have begun to wait since, and found nothing at rest.
        if self.waiting.load(Ordering::SeqCst) > 0 {
            self.evict();
        }
    }

    pub(super) fn forget(&self, connection: ConnectionId) {
        let shelves = lock(&self.shelves).remove(&connection).unwrap_or_default();
        for shelf in shelves.iter().filter_map(Weak::upgrade) {
            shelf.retire();
        }
    }

    pub(super) fn free_slots(&self) -> usize {
        self.slots.available_permits()
    }

    pub(super) fn resting(&self) -> usize {
        let shelves: Vec<Arc<Shelf>> = lock(&self.shelves).values().flatten().filter_map(Weak::upgrade).collect();
        shelves.iter().map(|shelf| lock(&shelf.resting).len()).sum()
    }
}

impl Housekeeping for Pool {
    fn housekeeping(&self) {
        let Some(before) = Instant::now().checked_sub(Duration::from_secs(self.limits.idle_seconds.into())) else { return };
        let shelves: Vec<Arc<Shelf>> = {
            let mut shelves = lock(&self.shelves);
            shelves.retain(|_, shelves| {
                shelves.retain(|shelf| shelf.strong_count() > 0);
                !shelves.is_empty()
            });
            shelves.values().flatten().filter_map(Weak::upgrade).collect()
        };
        for shelf in shelves {
            shelf.reap(before);
        }
        lock(&self.tenants).retain(|_, tenant| tenant.strong_count() > 0);
    }
}

struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
