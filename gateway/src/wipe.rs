//! What a computation leaves on its stack.
//!
//! In goes work on a secret, out comes its outcome. Invariant: the stack that the work used holds zeros afterwards. Hash functions
//! copy what they hash into blocks there, and nobody may come that far again for hours. The heap is the allocator's: see `main`.

/// More than SHA-256 takes: a block, the state, and one copy of each.
pub const HASH: usize = 1024;
/// More than Argon2 takes, whose blocks have a kilobyte.
pub const PASSWORD_HASH: usize = 16 * 1024;

/// The outcome of this work, of whose stack so many bytes are wiped.
pub fn after<const DEPTH: usize, T>(work: impl FnOnce() -> T) -> T {
    let outcome = apart(work);
    zeroize::zeroize_stack::<DEPTH>();
    outcome
}

/// In a frame of its own, below the one that wipes.
#[inline(never)]
fn apart<T>(work: impl FnOnce() -> T) -> T {
    work()
}
