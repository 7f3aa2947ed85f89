//! The `portico` binary: see `cli`.

use std::process::ExitCode;

/// A request makes and drops hundreds of small strings on any of the workers; glibc's allocator spends a sixth of the time on it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[expect(clippy::print_stderr, reason = "a command's failure goes to standard error")]
fn main() -> ExitCode {
    match portico::cli::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("portico: {error:#}");
            ExitCode::FAILURE
        }
    }
}
