//! The host's side of the provider contract, generated from `wit/`.
//!
//! A crate of its own because the generated code is large and rarely changes. Invariant: nothing here is written by hand.
#![allow(missing_docs, clippy::all, reason = "generated code")]

wasmtime::component::bindgen!({
    path: "../../wit",
    world: "portico:provider/everything",
    imports: { default: async | trappable },
    exports: { default: async },
});
