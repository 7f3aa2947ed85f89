//! The `portico` binary: see `cli`.

use std::process::ExitCode;

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
