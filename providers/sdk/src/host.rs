//! The imports, in one place: the real ones in a component, the fake ones ([`crate::testing`]) in a native test.
//!
//! Invariant: no other file of this crate names a generated import, so everything above runs natively.

pub use crate::wit::imports::portico::provider::{
    log::Level,
    upstream::{Background, BackgroundState, Method, Request as RawRequest, Response},
};

#[cfg(target_arch = "wasm32")]
mod component;
#[cfg(target_arch = "wasm32")]
pub(crate) use component::*;

#[cfg(not(target_arch = "wasm32"))]
pub(crate) use crate::testing::imports::*;

/// Makes a panic write its message to the log before it ends the instance; the log is all that is left of it.
pub(crate) fn report_panics() {
    use std::sync::Once;
    static REPORT: Once = Once::new();
    // In a native test the test harness reports panics, and a hook would take that away from every test in the process.
    if cfg!(target_arch = "wasm32") {
        REPORT.call_once(|| std::panic::set_hook(Box::new(|panic| write_log(Level::Error, &panic.to_string()))));
    }
}
