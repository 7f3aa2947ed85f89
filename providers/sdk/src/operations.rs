//! Work that goes on at the upstream: poll, reconcile, cancel.
//!
//! Native ids go in and out; paging, escaping and the connection's prefix are Portico's. Invariant: every default is `unsupported` with the
//! feature's name, so a call that nobody implemented can't look like a success.

pub use crate::wit::operations::{Finding, Progress};
use crate::{Error, Provider, error, provider::with_current, wit};

/// Work that goes on at the upstream: poll, reconcile, cancel. A call that isn't implemented is `unsupported`.
pub trait Operations: Provider {
    /// How far the work behind a handle has come. Called at least once for every handle, never twice at the same time for
    /// one operation, and again after a crash: it must be idempotent (find or create at every step).
    fn poll(&self, operation_id: &str, handle: &str) -> Result<Progress, Error>;

    /// Was this call carried out? Asked after a crash between sending and the answer, for actions that recover by `look-up`.
    /// Without an implementation it can't be told.
    fn reconcile(&self, operation_id: &str, action: &str, args: &str) -> Result<Finding, Error> {
        let _ = (operation_id, action, args);
        Ok(Finding::Unknown)
    }

    /// Ask the upstream to stop the work. Returning ok means it was asked; `poll` tells how it ends. Called only if the
    /// connection's features have `operations.cancel`.
    fn cancel(&self, operation_id: &str, handle: &str) -> Result<(), Error> {
        let _ = (operation_id, handle);
        Err(error::unsupported("operations.cancel"))
    }
}

impl<P: Operations> wit::operations::Guest for P {
    fn poll(operation_id: String, handle: String) -> Result<Progress, Error> {
        with_current(|provider: &P| Operations::poll(provider, &operation_id, &handle))
    }

    fn reconcile(operation_id: String, action: String, args: String) -> Result<Finding, Error> {
        with_current(|provider: &P| Operations::reconcile(provider, &operation_id, &action, &args))
    }

    fn cancel(operation_id: String, handle: String) -> Result<(), Error> {
        with_current(|provider: &P| Operations::cancel(provider, &operation_id, &handle))
    }
}
