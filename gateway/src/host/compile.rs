//! Compiling: components to machine code, in this process or, for those that nobody vouches for, in a child.
//!
//! In go a component's bytes; out comes code for the engine. Invariant: an untrusted component is compiled only where limits of
//! the operating system end it, since Cranelift can't be cancelled. It neither loads nor runs the code.

use super::{engine, engine::Layout, limits::Limits};
use crate::model::{Error, Kind};
use rustix::process::{Resource, Rlimit, setrlimit};
use std::{
    io::{Read as _, Write as _},
    path::{Path, PathBuf},
    process::{Output, Stdio},
    time::Duration,
};
use tokio::{io::AsyncWriteExt as _, process::Command};
use wasmtime::Engine;

/// The hidden command of the binary that calls [`compile_child`].
pub const CHILD_COMMAND: &str = "__compile";
/// How much of a child's last words is worth reading.
const MAX_WORDS: usize = 1000;
/// Beside processor time, a child may wait for the processor.
const PATIENCE: u32 = 3;
/// Layout, seconds of processor time, bytes of address space.
const HEADER: usize = 1 + 4 + 8;

/// How components that nobody vouches for are compiled.
#[derive(Clone, Debug)]
pub enum Compile {
    /// In this process: for tests, and for tools that a person runs on a component of their own.
    InProcess,
    /// In a child: this binary, started with [`CHILD_COMMAND`].
    Child(PathBuf),
}

pub(super) fn in_process(engine: &Engine, bytes: &[u8]) -> Result<Vec<u8>, Error> {
    engine.precompile_component(bytes).map_err(|error| invalid(format!("{error:#}")))
}

pub(super) async fn in_child(binary: &Path, layout: Layout, limits: &Limits, bytes: &[u8]) -> Result<Vec<u8>, Error> {
    let mut command = Command::new(binary);
    command.arg(CHILD_COMMAND).env_clear().current_dir("/").kill_on_drop(true);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let failed = |error: std::io::Error| Error::gateway(format_args!("could not run {}: {error}", binary.display()));
    let mut child = command.spawn().map_err(failed)?;
    let header = header(layout, limits);
    let input = child.stdin.take();
    let feed = async move {
        let Some(mut input) = input else { return Ok(()) };
        input.write_all(&header).await?;
        input.write_all(bytes).await
    };
    let patience = Duration::from_secs(u64::from(limits.compile_seconds) * u64::from(PATIENCE));
    let both = async { tokio::join!(feed, child.wait_with_output()) };
    let Ok((fed, output)) = tokio::time::timeout(patience, both).await else {
        return Err(invalid(format!("compiling it took more than {} seconds", patience.as_secs())));
    };
    let output = output.map_err(failed)?;
    // A child that ended early says why; that the rest of its input was not read is only a consequence.
    if output.status.success() {
        fed.map_err(failed)?;
    }
    outcome(output, limits)
}

fn header(layout: Layout, limits: &Limits) -> [u8; HEADER] {
    let mut header = [0; HEADER];
    header[0] = layout.as_byte();
    header[1..5].copy_from_slice(&limits.compile_seconds.to_le_bytes());
    header[5..].copy_from_slice(&limits.compile_memory.to_le_bytes());
    header
}

fn outcome(output: Output, limits: &Limits) -> Result<Vec<u8>, Error> {
    if output.status.success() {
        return Ok(output.stdout);
    }
    let words = String::from_utf8_lossy(&output.stderr);
    let words = words.trim();
    let words = &words[..words.floor_char_boundary(MAX_WORDS)];
    if output.status.code() == Some(1) {
        return Err(invalid(words));
    }
    let text = format!(
        "the compiler ended with {} (limits.compile_seconds is {}, limits.compile_memory {}): {words}",
        output.status, limits.compile_seconds, limits.compile_memory
    );
    Err(invalid(text))
}

fn invalid(why: impl std::fmt::Display) -> Error {
    Error::new(Kind::InvalidInput, format!("the component could not be compiled: {why}"))
}

/// What the child does: reads a header and a component from standard input, limits itself, writes code to standard output.
/// An error's message is for standard error, with exit status 1.
pub fn compile_child() -> Result<(), Error> {
    let broken = |error: std::io::Error| invalid(format!("the gateway could not be reached: {error}"));
    let mut input = std::io::stdin().lock();
    let mut header = [0; HEADER];
    input.read_exact(&mut header).map_err(broken)?;
    let [layout, a, b, c, d, memory @ ..] = header;
    let layout = Layout::from_byte(layout).ok_or_else(|| invalid("the request is malformed"))?;
    restrict(u32::from_le_bytes([a, b, c, d]), u64::from_le_bytes(memory))?;
    let mut bytes = Vec::new();
    input.read_to_end(&mut bytes).map_err(broken)?;
    let code = in_process(&engine::compiling(layout)?, &bytes)?;
    let mut output = std::io::stdout().lock();
    output.write_all(&code).and_then(|()| output.flush()).map_err(broken)
}

fn restrict(seconds: u32, memory: u64) -> Result<(), Error> {
    let limits = [(Resource::Cpu, u64::from(seconds)), (Resource::As, memory), (Resource::Core, 0), (Resource::Fsize, 0)];
    for (resource, most) in limits {
        let limit = Rlimit { current: Some(most), maximum: Some(most) };
        setrlimit(resource, limit).map_err(|error| invalid(format!("its limits could not be set: {error}")))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn failure(binary: &str) -> Error {
        in_child(Path::new(binary), Layout::Pool, &Limits::default(), &vec![0; 1 << 20]).await.unwrap_err()
    }

    /// A shell that is asked to run `__compile` ends with 2 or 127, `cat` with 1; neither reads what it is sent.
    #[tokio::test]
    async fn a_child_that_fails_says_why() {
        let error = failure("/bin/cat").await;
        assert!(error.message.contains(CHILD_COMMAND), "{}", error.message);
        let error = failure("/bin/sh").await;
        assert!(error.message.contains("exit status") && error.message.contains("limits.compile_memory"), "{}", error.message);
        assert_eq!(failure("/nonexistent").await.kind, Kind::Gateway);
    }
}
