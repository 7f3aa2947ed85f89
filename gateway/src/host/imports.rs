//! The imports: all that a guest can do outside of its own memory.
//!
//! In go guests' calls; out go egress calls, state, log lines, the time and random bytes. Invariant: this list is complete;
//! nothing else is linked. Each import is a room of its own with its own limits.

mod clock_random;
mod log;
pub(super) mod state;
mod upstream;

use super::data::Data;
use portico_bindings::portico::provider as interfaces;
use wasmtime::component::{HasSelf, Linker};

pub(super) fn link(linker: &mut Linker<Data>) -> wasmtime::Result<()> {
    interfaces::types::add_to_linker::<Data, HasSelf<Data>>(linker, |data| data)?;
    interfaces::upstream::add_to_linker::<Data, HasSelf<Data>>(linker, |data| data)?;
    interfaces::state::add_to_linker::<Data, HasSelf<Data>>(linker, |data| data)?;
    interfaces::log::add_to_linker::<Data, HasSelf<Data>>(linker, |data| data)?;
    interfaces::clock::add_to_linker::<Data, HasSelf<Data>>(linker, |data| data)?;
    interfaces::random::add_to_linker::<Data, HasSelf<Data>>(linker, |data| data)
}

impl interfaces::types::Host for Data {}
