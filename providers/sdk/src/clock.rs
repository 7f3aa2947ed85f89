//! The host's clock. Invariant: the only source of time; a component has no other.

/// Milliseconds since the Unix epoch, UTC.
pub fn now() -> u64 {
    crate::host::now()
}
