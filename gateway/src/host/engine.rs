//! The engine: how components are compiled and where their memory lies.
//!
//! In go the limits; out comes a wasmtime engine. Invariant: what decides about compiled code depends on [`Layout`] and
//! constants alone, so that a child process compiles exactly what this process loads. It runs nothing itself.

use super::{
    limits::{Limits, TICK},
    load::DESCRIBING,
};
use crate::model::Error;
use std::{
    hash::{DefaultHasher, Hash, Hasher},
    sync::Weak,
    time::Duration,
};
use wasmtime::{Config, Engine, InstanceAllocationStrategy, PoolingAllocationConfig};

/// A component of `wit-component` has 3 or 4 core instances, one with a language runtime and adapters about 10.
const CORE_INSTANCES: u32 = 16;
const TABLES: u32 = 8;
const MEMORIES: u32 = 2;
/// Slots that keep their memory for the same component after an instance is gone: a fresh instance finds it mapped.
const WARM_SLOTS: u32 = 32;
/// Cleared by writing zeros instead of giving the pages back, which would serialise the processors. Measured: 256 KiB
/// helps, 1 MiB hurts.
const KEEP_RESIDENT: usize = 256 * 1024;
/// The same for tables, of which every component has one at least. Measured: a fresh instance in 60 us instead of 70.
const KEEP_TABLES_RESIDENT: usize = 64 * 1024;
/// Native stack of a guest. wasmtime's default of 512 KiB, written down since the deepest recursion depends on it.
const WASM_STACK: usize = 512 * 1024;
const ASYNC_STACK: usize = WASM_STACK + 512 * 1024;
/// Reaping idle instances once a second is exact enough for limits in seconds.
const REAP_EVERY: u32 = 100;

/// Where linear memories lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layout {
    /// Slots reserved at start: 4 GiB of address space each, so that no bounds checks are needed.
    Pool,
    /// Mapped for each instance, in little address space: for machines that limit it.
    OnDemand,
}

impl Layout {
    /// As it travels to the compiling child.
    pub(super) const fn as_byte(self) -> u8 {
        match self {
            Self::Pool => b'p',
            Self::OnDemand => b'o',
        }
    }

    pub(super) const fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            b'p' => Some(Self::Pool),
            b'o' => Some(Self::OnDemand),
            _ => None,
        }
    }
}

/// Tries the pool, and falls back when the address space doesn't hold it: reserving it is the probe.
pub(super) fn running(limits: &Limits) -> Result<(Engine, Layout), Error> {
    let mut pooled = codegen(Layout::Pool);
    pooled.allocation_strategy(InstanceAllocationStrategy::Pooling(pool(limits)));
    match Engine::new(&pooled) {
        Ok(engine) => {
            tracing::info!(instances = limits.instances, "component memory comes from a pool");
            Ok((engine, Layout::Pool))
        }
        Err(error) => {
            tracing::warn!("component memory is mapped on demand, since the pool could not be reserved: {error:#}");
            Ok((compiling(Layout::OnDemand)?, Layout::OnDemand))
        }
    }
}

/// An engine that reserves nothing: for compiling, for inspecting, and where there is no room for a pool.
pub(super) fn compiling(layout: Layout) -> Result<Engine, Error> {
    Engine::new(&codegen(layout)).map_err(|error| Error::gateway(format_args!("could not start wasmtime: {error:#}")))
}

/// Everything that decides about compiled code.
fn codegen(layout: Layout) -> Config {
    let mut config = Config::new();
    config.concurrency_support(false);
    config.epoch_interruption(true);
    config.max_wasm_stack(WASM_STACK);
    config.async_stack_size(ASYNC_STACK);
    config.wasm_memory64(false);
    config.wasm_relaxed_simd(false);
    if layout == Layout::OnDemand {
        config.memory_reservation(64 * 1024 * 1024);
        config.memory_guard_size(64 * 1024);
        config.memory_reservation_for_growth(0);
    }
    config
}

fn pool(limits: &Limits) -> PoolingAllocationConfig {
    let instances = limits.instances + DESCRIBING;
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(instances);
    pool.total_core_instances(instances * CORE_INSTANCES);
    pool.max_core_instances_per_component(CORE_INSTANCES);
    pool.total_memories(instances * MEMORIES);
    pool.max_memories_per_component(MEMORIES);
    pool.total_tables(instances * TABLES);
    pool.max_tables_per_component(TABLES);
    pool.table_elements(limits.table_elements as usize);
    pool.max_memory_size(limits.memory as usize);
    pool.total_stacks(instances);
    pool.max_unused_warm_slots(WARM_SLOTS);
    pool.linear_memory_keep_resident(KEEP_RESIDENT);
    pool.table_keep_resident(KEEP_TABLES_RESIDENT);
    pool
}

/// Names the code that this engine can load: wasmtime's version, its settings and the processor's features.
pub(super) fn compatibility(engine: &Engine) -> u64 {
    let mut hasher = DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut hasher);
    hasher.finish()
}

/// What is done about once a second beside the ticking.
pub(super) trait Housekeeping: Send + Sync + 'static {
    fn housekeeping(&self);
}

/// Starts the thread that advances the epoch. It ends when the engine is gone. A thread and not a task: it must tick even
/// while every worker is busy with guests.
pub(super) fn start_clock<H: Housekeeping>(engine: &Engine, keeper: Weak<H>) -> Result<(), Error> {
    let engine = engine.weak();
    let tick = move || {
        for count in 1_u32.. {
            #[expect(clippy::disallowed_methods, reason = "a thread of its own, not a worker")]
            std::thread::sleep(TICK);
            let Some(engine) = engine.upgrade() else { return };
            engine.increment_epoch();
            if count.is_multiple_of(REAP_EVERY)
                && let Some(keeper) = keeper.upgrade()
            {
                keeper.housekeeping();
            }
        }
    };
    let started = std::thread::Builder::new().name("portico-epoch".into()).spawn(tick);
    started.map(drop).map_err(|error| Error::gateway(format_args!("could not start the epoch thread: {error}")))
}

/// Long enough for any honest `describe` on a busy machine.
pub(super) const DESCRIBE_WALL: Duration = Duration::from_secs(10);
/// Milliseconds of computing for `describe`.
pub(super) const DESCRIBE_CPU_MS: u32 = 500;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_compiles_what_the_running_engine_loads() {
        let (engine, layout) = running(&Limits { instances: 2, ..Limits::default() }).unwrap();
        assert_eq!(compatibility(&engine), compatibility(&compiling(layout).unwrap()));
        for layout in [Layout::Pool, Layout::OnDemand] {
            assert_eq!(Layout::from_byte(layout.as_byte()), Some(layout));
        }
    }
}
