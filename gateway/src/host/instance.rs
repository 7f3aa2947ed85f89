//! Instances: one guest's memory and functions, made for one connection and used for it only.
//!
//! In goes a linked component; out comes something that can be called. Invariant: `configure` was the first call of every
//! instance that serves a connection; functions are looked up when they are first needed, since looking all 64 up costs 16 us.

use super::{
    data::{Data, Owner},
    limits::Limits,
    meter::Presence,
    trap::{Reason, Stopped, trapped},
};
use crate::model::{Error, Kind};
use portico_bindings::exports::portico::provider::{
    backups, billing, deployments, domains, environments, operations, provider, sites, wordpress,
};
use std::sync::Arc;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::Instant,
};
use wasmtime::{Engine, Store, UpdateDeadline, component::InstancePre};

/// Where a component's functions are; made once, when it is loaded.
pub(super) struct Exports {
    pub(super) provider: provider::GuestIndices,
    pub(super) operations: Option<operations::GuestIndices>,
    pub(super) sites: Option<sites::GuestIndices>,
    pub(super) backups: Option<backups::GuestIndices>,
    pub(super) domains: Option<domains::GuestIndices>,
    pub(super) environments: Option<environments::GuestIndices>,
    pub(super) deployments: Option<deployments::GuestIndices>,
    pub(super) wordpress: Option<wordpress::GuestIndices>,
    pub(super) billing: Option<billing::GuestIndices>,
}

/// What an instance is made from.
pub(super) struct Linked {
    pub(super) pre: InstancePre<Data>,
    pub(super) exports: Exports,
}

pub(super) struct Instance {
    pub(super) store: Store<Data>,
    pub(super) handle: wasmtime::component::Instance,
    linked: Arc<Linked>,
    operations: Option<operations::Guest>,
    sites: Option<sites::Guest>,
    environments: Option<environments::Guest>,
    deployments: Option<deployments::Guest>,
    backups: Option<backups::Guest>,
    domains: Option<domains::Guest>,
    wordpress: Option<wordpress::Guest>,
    billing: Option<billing::Guest>,
    pub(super) calls: u32,
    pub(super) born: Instant,
    /// None for an instance that serves no connection.
    pub(super) presence: Option<Presence>,
    /// Given back when the instance is dropped, after its memory.
    _slot: OwnedSemaphorePermit,
}

/// What an instance may use, and who else uses it.
pub(super) struct Allowance {
    pub(super) limits: Arc<Limits>,
    pub(super) cpu_ticks: u32,
    pub(super) computing: Arc<Semaphore>,
    pub(super) slot: OwnedSemaphorePermit,
}

impl Instance {
    pub(super) async fn new(linked: Arc<Linked>, owner: Owner, allowance: Allowance) -> wasmtime::Result<Self> {
        let Allowance { limits, cpu_ticks, computing, slot } = allowance;
        let mut store = store(linked.pre.engine(), Data::new(owner, limits, cpu_ticks, computing));
        store.set_epoch_deadline(1);
        let handle = linked.pre.instantiate_async(&mut store).await?;
        Ok(Self {
            store,
            handle,
            linked,
            operations: None,
            sites: None,
            environments: None,
            deployments: None,
            backups: None,
            domains: None,
            wordpress: None,
            billing: None,
            calls: 0,
            born: Instant::now(),
            presence: None,
            _slot: slot,
        })
    }

    pub(super) fn provider(&mut self) -> Result<provider::Guest, Error> {
        self.linked.exports.provider.load(&mut self.store, &self.handle).map_err(|error| trapped(format_args!("{error:#}")))
    }
}

macro_rules! typed {
    ($instance:ident: $($interface:ident),+) => {
        $(if let Some(indices) = &$instance.linked.exports.$interface {
            let loaded = indices.load(&mut $instance.store, &$instance.handle);
            loaded.map(drop).map_err(|error| ill_typed(stringify!($interface), &error))?;
        })+
    };
}

impl Instance {
    /// Compares every exported function with the contract.
    pub(super) fn check_types(&mut self) -> Result<(), Error> {
        let provider = self.linked.exports.provider.load(&mut self.store, &self.handle);
        provider.map(drop).map_err(|error| ill_typed("provider", &error))?;
        typed!(self: operations, sites, backups, domains, environments, deployments, wordpress, billing);
        Ok(())
    }
}

fn ill_typed(interface: &str, error: &wasmtime::Error) -> Error {
    let text = format!(
        "the component can't be used: its export portico:provider/{interface} doesn't fit the contract: {error:#}; build it \
         against this gateway's wit folder"
    );
    Error::new(Kind::InvalidInput, text)
}

macro_rules! looked_up_once {
    ($($interface:ident),+) => {
        impl Instance {
            $(pub(super) fn $interface(&mut self) -> Result<$interface::Guest, Error> {
                if let Some(guest) = &self.$interface {
                    return Ok(guest.clone());
                }
                let Some(indices) = &self.linked.exports.$interface else {
                    return Err(not_exported(stringify!($interface)));
                };
                let guest = indices.load(&mut self.store, &self.handle).map_err(|error| trapped(format_args!("{error:#}")))?;
                self.$interface = Some(guest.clone());
                Ok(guest)
            })+
        }
    };
}

looked_up_once!(operations, sites, environments, deployments, backups, domains, wordpress, billing);

fn not_exported(interface: &str) -> Error {
    Error::new(Kind::Unsupported, format!("the provider does not support {interface}")).with_field(interface)
}

/// A store with every limit set.
fn store(engine: &Engine, data: Data) -> Store<Data> {
    let answer_bytes = data.limits.answer_bytes as usize;
    let mut store = Store::new(engine, data);
    store.limiter(|data| &mut data.memory);
    store.set_hostcall_fuel(answer_bytes);
    store.epoch_deadline_callback(|mut context| {
        let data = context.data_mut();
        if std::mem::take(&mut data.rested) {
            return Ok(UpdateDeadline::Continue(1));
        }
        data.used.ticks += 1;
        if data.used.ticks > data.cpu_ticks {
            let millis = u128::from(data.cpu_ticks) * super::limits::TICK.as_millis();
            return Err(Stopped::error(Reason::Cpu, format!("it computed for more than {millis} ms (limits.cpu_ms)")));
        }
        let turn = data.turn.clone();
        Ok(UpdateDeadline::YieldCustom(1, Box::pin(async move { turn.take().await })))
    });
    store
}
