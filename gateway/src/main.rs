//! The `portico` binary: see `cli`.
//!
//! Invariant: memory is overwritten with zeros before it is free again, whoever had it: no library hands a secret on by forgetting it.

use mimalloc::MiMalloc;
use std::process::ExitCode;
use zeroizing_alloc::ZeroAlloc;

/// A request makes and drops hundreds of small strings on any of the workers; glibc's allocator spends a sixth of the time on it.
#[global_allocator]
static ALLOCATOR: ZeroAlloc<MiMalloc> = ZeroAlloc(MiMalloc);

fn main() -> ExitCode {
    match portico::cli::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            portico::cli::tell(&error);
            ExitCode::FAILURE
        }
    }
}
