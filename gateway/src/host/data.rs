//! What belongs to one instance beside its memory: its owner, what it may reach in the present call, and what it has used.
//!
//! In go a provider and (for all but `describe`) a connection; imports read and count here. Invariant: outside of a call there
//! is no [`Reach`], so an instance at rest, or one that is being described or configured, reaches nothing.

use super::{
    imports::state::ConnectionState,
    limits::Limits,
    meter::Meter,
    trap::{Reason, Stopped},
};
use crate::{
    egress::{Flow, Upstreams, Writes},
    model::{Error, Secrets},
};
use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicBool, Ordering},
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::Instant,
};
use wasmtime::ResourceLimiter;

/// Whose instance it is.
#[derive(Clone)]
pub(super) struct Owner {
    pub(super) provider: Arc<str>,
    /// None while a component is described.
    pub(super) connection: Option<Arc<str>>,
    /// Kept out of the log.
    pub(super) secrets: Secrets,
    pub(super) meter: Option<Arc<Meter>>,
}

/// What the present call may reach.
pub(super) struct Reach {
    pub(super) upstreams: Arc<Upstreams>,
    pub(super) state: Arc<ConnectionState>,
    pub(super) deadline: Instant,
    pub(super) flow: Flow,
    pub(super) writes: Writes,
}

/// What one guest call has used.
#[derive(Default)]
pub(super) struct Used {
    pub(super) ticks: u32,
    pub(super) upstream_calls: u32,
    pub(super) state_calls: u32,
    pub(super) bytes_in: u64,
    pub(super) bytes_out: u64,
    pub(super) log_lines: u32,
    pub(super) log_lines_lost: u32,
}

pub(super) struct Data {
    pub(super) owner: Owner,
    pub(super) limits: Arc<Limits>,
    pub(super) cpu_ticks: u32,
    pub(super) memory: MemoryLimiter,
    pub(super) turn: Arc<Turn>,
    pub(super) reach: Option<Reach>,
    pub(super) used: Used,
    /// True while an import waits for something outside: a call that is too late then isn't the guest's fault.
    pub(super) waiting: bool,
    /// An import took longer than a tick since the last one that was counted.
    pub(super) rested: bool,
    /// The last line logged at error level: a panic's message.
    pub(super) last_words: Option<String>,
    /// The gateway's own failure inside an import: it outranks what the guest makes of it.
    pub(super) gateway_error: Option<Error>,
    /// The last failure of an import that has a code of its own, which the contract has no place for.
    pub(super) coded: Option<Error>,
}

impl Data {
    pub(super) fn new(owner: Owner, limits: Arc<Limits>, cpu_ticks: u32, computing: Arc<Semaphore>) -> Self {
        Self {
            memory: MemoryLimiter::new(&limits),
            owner,
            limits,
            cpu_ticks,
            turn: Arc::new(Turn { slots: computing, held: Mutex::new(None), waits: AtomicBool::new(false) }),
            reach: None,
            used: Used::default(),
            waiting: false,
            rested: false,
            last_words: None,
            gateway_error: None,
            coded: None,
        }
    }

    /// Starts the account of one guest call.
    pub(super) fn begin(&mut self, reach: Option<Reach>) {
        self.reach = reach;
        self.used = Used::default();
        self.memory.denied = false;
        self.waiting = false;
        self.rested = false;
        self.last_words = None;
        self.gateway_error = None;
        self.coded = None;
    }

    pub(super) fn end(&mut self) {
        self.reach = None;
        self.turn.release();
        if self.used.log_lines_lost > 0 {
            let (provider, connection) = (&self.owner.provider, self.connection());
            tracing::warn!(%provider, connection, lost = self.used.log_lines_lost, "the provider logged too much");
        }
    }

    pub(super) fn connection(&self) -> &str {
        self.owner.connection.as_deref().unwrap_or("-")
    }

    /// What `import` may use, or the end of a guest that calls it where it may not.
    pub(super) fn reach(&self, import: &str) -> wasmtime::Result<&Reach> {
        self.reach.as_ref().ok_or_else(|| {
            let why = format!("{import} was called in describe or configure, where only log may be called");
            Stopped::error(Reason::Limit, why)
        })
    }

    pub(super) fn count_upstream(&mut self, bytes_out: usize) -> wasmtime::Result<()> {
        self.used.upstream_calls += 1;
        let most = self.limits.upstream_calls;
        if self.used.upstream_calls > most {
            let why = format!("more than {most} upstream calls in one call (limits.upstream_calls)");
            return Err(Stopped::error(Reason::Limit, why));
        }
        self.count_out(bytes_out)
    }

    pub(super) fn count_state(&mut self, bytes_out: usize) -> wasmtime::Result<()> {
        self.used.state_calls += 1;
        let most = self.limits.state_calls;
        if self.used.state_calls > most {
            let why = format!("more than {most} calls of state in one call (limits.state_calls)");
            return Err(Stopped::error(Reason::Limit, why));
        }
        self.count_out(bytes_out)
    }

    fn count_out(&mut self, bytes: usize) -> wasmtime::Result<()> {
        self.used.bytes_out += bytes as u64;
        self.check_traffic(self.used.bytes_out, "sent")
    }

    pub(super) fn count_in(&mut self, bytes: usize) -> wasmtime::Result<()> {
        self.used.bytes_in += bytes as u64;
        self.check_traffic(self.used.bytes_in, "received")
    }

    fn check_traffic(&self, bytes: u64, did: &str) -> wasmtime::Result<()> {
        let most = self.limits.traffic_bytes;
        if bytes <= most {
            return Ok(());
        }
        Err(Stopped::error(Reason::Limit, format!("more than {most} bytes {did} in one call (limits.traffic_bytes)")))
    }
}

/// A guest that a tick meets while it computes needs one of its organization's few slots, so that no organization's guests take every
/// worker. Few short calls are met by one.
pub(super) struct Turn {
    slots: Arc<Semaphore>,
    held: Mutex<Option<OwnedSemaphorePermit>>,
    waits: AtomicBool,
}

impl Turn {
    /// Called at each tick: passes the slot on to the guest that waits longest for one, waits for its own turn, and lets other
    /// tasks run. So guests of one organization compute in turn, a tick at a time, and none waits until another has ended.
    pub(super) async fn take(&self) {
        self.release();
        self.waits.store(true, Ordering::Relaxed);
        // The semaphore is fair and never closed; without a permit the guest is merely not counted.
        let permit = self.slots.clone().acquire_owned().await.ok();
        self.waits.store(false, Ordering::Relaxed);
        *self.held() = permit;
        tokio::task::yield_now().await;
    }

    /// Whether the guest stands in the queue: a call that is too late then isn't the guest's fault.
    pub(super) fn waits(&self) -> bool {
        self.waits.load(Ordering::Relaxed)
    }

    /// Called when the guest waits or ends.
    pub(super) fn release(&self) {
        self.held().take();
    }

    fn held(&self) -> std::sync::MutexGuard<'_, Option<OwnedSemaphorePermit>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Bounds the sum of all linear memories, and each table.
pub(super) struct MemoryLimiter {
    most: usize,
    table_elements: usize,
    pub(super) used: usize,
    /// Whether growth was refused: the trap that follows is then about memory.
    pub(super) denied: bool,
}

impl MemoryLimiter {
    fn new(limits: &Limits) -> Self {
        Self { most: limits.memory as usize, table_elements: limits.table_elements as usize, used: 0, denied: false }
    }
}

impl ResourceLimiter for MemoryLimiter {
    fn memory_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let total = self.used.saturating_add(desired.saturating_sub(current));
        if total > self.most {
            self.denied = true;
            return Ok(false);
        }
        self.used = total;
        Ok(true)
    }

    fn table_growing(&mut self, _: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let fits = desired <= self.table_elements;
        self.denied |= !fits;
        Ok(fits)
    }
}
