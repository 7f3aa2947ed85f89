//! Inspecting a component without a gateway: for `portico provider inspect`.
//!
//! In go bytes; out comes what the component imports, exports and says of itself. Invariant: the same checks as loading, and
//! nothing is kept or connected.

use super::{
    check::Interfaces,
    compile::Compile,
    engine::{self, Housekeeping, Layout},
    limits::Limits,
    load::{Loader, Trust},
};
use crate::{
    metrics::Metrics,
    model::{Description, Error},
};
use std::sync::Arc;

#[derive(Clone, Debug, serde::Serialize)]
pub struct Inspection {
    /// Bytes.
    pub size: usize,
    /// Of the bytes, in hex: what operators grant by.
    pub sha256: String,
    #[serde(flatten)]
    pub interfaces: Interfaces,
    pub description: Description,
}

/// An error says why the component would not load.
pub async fn inspect(name: &str, bytes: &[u8]) -> Result<Inspection, Error> {
    let engine = engine::compiling(Layout::OnDemand)?;
    let idle = Arc::new(Idle);
    engine::start_clock(&engine, Arc::downgrade(&idle))?;
    let metrics = Metrics::new().map_err(|error| Error::gateway(format_args!("could not make metrics: {error}")))?;
    let limits = Arc::new(Limits::default());
    let loader = Loader::new(engine, Layout::OnDemand, limits, Compile::InProcess, None, Arc::new(metrics))?;
    let provider = loader.load(name, bytes, Trust::Ours).await?;
    Ok(Inspection {
        size: bytes.len(),
        sha256: provider.hash().iter().map(|byte| format!("{byte:02x}")).collect(),
        interfaces: provider.interfaces().clone(),
        description: provider.description().clone(),
    })
}

/// There is nothing to keep in order.
struct Idle;

impl Housekeeping for Idle {
    fn housekeeping(&self) {}
}
