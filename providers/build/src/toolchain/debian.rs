//! Debian's toolchain: `rustc-web` builds the standard library for wasm from its sources as part of the build.
//!
//! `RUSTC_BOOTSTRAP` allows `-Z build-std` on a stable compiler; it is set for this one call only.
//! Invariant: packages are only ever added; an installation that would remove one is refused.

use super::{FLAGS, FLAGS_VARIABLE, TARGET};
use crate::{environment, workspace::version as version_of};
use anyhow::{Context, Result, bail};
use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

pub const PACKAGES: &[&str] = &["rustc-web", "cargo-web", "rust-web-src", "lld-22"];

const RUSTC: &str = "/usr/bin/rustc";
const CARGO: &str = "/usr/bin/cargo";

#[derive(Clone, Debug)]
pub struct Debian {
    version: String,
    linker: PathBuf,
}

/// The parts, if all are there and new enough; the error says what is missing.
pub fn find(rust_version: Option<&str>) -> Result<Debian> {
    let version = installed_version()?;
    if let Some(wanted) = rust_version.filter(|wanted| version_of(wanted) > version_of(&version)) {
        bail!("{RUSTC} is version {version}, and {wanted} is needed");
    }
    for (path, package) in [(CARGO, "cargo-web"), ("/usr/lib/rustlib/src/rust/library/std/Cargo.toml", "rust-web-src")] {
        if !Path::new(path).exists() {
            bail!("{path} of the package {package} is missing");
        }
    }
    Ok(Debian { version, linker: linker().context("wasm-ld of the package lld-22 is missing")? })
}

fn installed_version() -> Result<String> {
    if !Path::new(RUSTC).exists() {
        bail!("{RUSTC} of the package rustc-web is missing");
    }
    let output = environment::command(RUSTC).arg("--version").output().with_context(|| format!("{RUSTC} doesn't start"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text.split(' ').nth(1).context("rustc told no version")?.to_owned())
}

/// `wasm-ld-22` and its like, the newest, or plain `wasm-ld`.
fn linker() -> Option<PathBuf> {
    let number = |path: &PathBuf| path.to_str()?.strip_prefix("/usr/bin/wasm-ld-")?.parse::<u32>().ok();
    let entries = std::fs::read_dir("/usr/bin").ok()?;
    let numbered = entries.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| number(path).is_some());
    numbered.max_by_key(number).or_else(|| Some(PathBuf::from("/usr/bin/wasm-ld")).filter(|path| path.exists()))
}

impl Debian {
    pub fn describe(&self) -> String {
        format!("Debian's rustc {} (the first time, its standard library is built as well: about 2 minutes)", self.version)
    }

    pub fn cargo(&self) -> Command {
        let mut command = environment::command(CARGO);
        command
            .env("RUSTC_BOOTSTRAP", "1")
            .env("RUSTC", RUSTC)
            .env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", &self.linker)
            .env(FLAGS_VARIABLE, format!("-C linker-flavor=wasm-ld {FLAGS}"))
            .env("CARGO_UNSTABLE_BUILD_STD", "std,panic_abort");
        command
    }
}

/// Root, on a system with apt-get.
pub fn can_install() -> bool {
    let output = Command::new("id").arg("-u").stderr(Stdio::null()).output();
    let root = output.is_ok_and(|output| output.stdout.trim_ascii() == b"0");
    root && Path::new("/usr/bin/apt-get").exists() && Path::new("/etc/debian_version").exists()
}

pub fn install() -> Result<()> {
    eprintln!("portico-provider-build: installing {} to build for {TARGET}", PACKAGES.join(", "));
    apt(&["-qq", "update"])?;
    let mut arguments = vec!["-qq", "-y", "--no-remove", "--no-install-recommends", "install"];
    arguments.extend(PACKAGES);
    apt(&arguments)
}

fn apt(arguments: &[&str]) -> Result<()> {
    let mut command = environment::command("/usr/bin/apt-get");
    // Standard output may be read by a program; what apt says is for people.
    command.args(arguments).env("DEBIAN_FRONTEND", "noninteractive").stdin(Stdio::null()).stdout(Stdio::null());
    let status = command.status().context("couldn't start apt-get")?;
    if !status.success() {
        bail!("`apt-get {}` failed ({status}); its messages are above", arguments.join(" "));
    }
    Ok(())
}
