//! Finds a toolchain that makes wasm, the first of these that works:
//!
//! 1. the machine's rustc, when it has the standard library of wasm32-unknown-unknown;
//! 2. Debian's rustc-web with the sources of the standard library, when they are installed;
//! 3. `rustup target add`, when there is rustup and it can download;
//! 4. Debian's packages, installed, when this runs as root on a Debian.
//!
//! Invariant: what is there already comes before what has to be fetched, and nothing is installed without saying so.

mod debian;

use crate::environment;
use anyhow::{Result, bail};
use std::{
    path::Path,
    process::{Command, Stdio},
    sync::OnceLock,
};

pub const TARGET: &str = "wasm32-unknown-unknown";

/// The profile of components, given on the command line so that crates outside of Portico's workspace are built alike:
/// small, and a panic ends the instance. A provider waits for its upstream most of the time; what it computes is little.
pub const PROFILE: &[&str] = &[
    r#"profile.component.inherits="release""#,
    r#"profile.component.opt-level="s""#,
    "profile.component.lto=true",
    "profile.component.codegen-units=1",
    r#"profile.component.panic="abort""#,
    "profile.component.debug=false",
    r#"profile.component.strip="debuginfo""#,
];

/// A guest's stack is 64 KiB: a fresh instance has to zero it, and what runs over it traps.
pub const FLAGS: &str = "-C link-arg=-zstack-size=65536";

const FLAGS_VARIABLE: &str = "CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS";

#[derive(Clone, Debug)]
pub enum Toolchain {
    /// cargo and rustc of the PATH.
    Installed,
    Debian(debian::Debian),
}

/// `rust_version`: the oldest Rust that the crates allow.
pub fn find(root: &Path, rust_version: Option<&str>) -> Result<Toolchain> {
    if makes_wasm(root) {
        return Ok(Toolchain::Installed);
    }
    let debian = debian::find(rust_version);
    if let Ok(debian) = debian {
        return Ok(Toolchain::Debian(debian));
    }
    if rustup_adds_target(root) && makes_wasm(root) {
        return Ok(Toolchain::Installed);
    }
    if debian::can_install() {
        debian::install()?;
        return debian::find(rust_version).map(Toolchain::Debian);
    }
    let missing = debian.err().map(|error| format!(" (here: {error:#})")).unwrap_or_default();
    bail!(
        "no Rust toolchain here can build for {TARGET}. Run `rustup target add {TARGET}`; where rustup can't download, on Debian, \
         run `sudo apt-get update && sudo apt-get install --no-install-recommends {}`{missing}",
        debian::PACKAGES.join(" ")
    )
}

impl Toolchain {
    pub fn describe(&self) -> String {
        match self {
            Self::Installed => "the installed toolchain".to_owned(),
            Self::Debian(debian) => debian.describe(),
        }
    }

    /// cargo, ready for the arguments of a build.
    pub fn cargo(&self, root: &Path) -> Command {
        let mut command = match self {
            Self::Installed => {
                let mut command = environment::command("cargo");
                command.env(FLAGS_VARIABLE, FLAGS);
                command
            }
            Self::Debian(debian) => debian.cargo(),
        };
        command.current_dir(root);
        command
    }
}

/// Tries it: compiling and linking an empty library shows that both the standard library and a linker are there.
fn makes_wasm(root: &Path) -> bool {
    let out = std::env::temp_dir().join(format!("portico-probe-{}.wasm", std::process::id()));
    let mut rustc = environment::command("rustc");
    rustc.args(["--target", TARGET, "--crate-type", "cdylib", "--crate-name", "probe", "-o"]).arg(&out).arg("-");
    let works = succeeds(rustc.current_dir(root));
    // Whether the probe left a file or not, the answer stands.
    let _ = std::fs::remove_file(out);
    works
}

/// False when there is no rustup, or it can't download. Tried once in a run: an unreachable server costs time.
fn rustup_adds_target(root: &Path) -> bool {
    static ADDED: OnceLock<bool> = OnceLock::new();
    *ADDED.get_or_init(|| {
        let mut rustup = environment::command("rustup");
        if !succeeds(rustup.arg("--version")) {
            return false;
        }
        eprintln!("portico-provider-build: running `rustup target add {TARGET}`");
        let mut rustup = environment::command("rustup");
        rustup.args(["target", "add", TARGET]).env("RUSTUP_MAX_RETRIES", "0").env("RUSTUP_DOWNLOAD_TIMEOUT", "60");
        let added = succeeds(rustup.current_dir(root));
        if !added {
            eprintln!("portico-provider-build: rustup can't download it here");
        }
        added
    })
}

/// Runs it without input or output.
fn succeeds(command: &mut Command) -> bool {
    let quiet = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    quiet.status().is_ok_and(|status| status.success())
}
