//! The environment of every program that is started here.
//!
//! Variables that steer cargo or rustc are meant for another build (the one that runs us, or a lint run), and some break this one
//! without a word: an empty `CARGO_ENCODED_RUSTFLAGS` hides the linker flags, `RUSTC_WORKSPACE_WRAPPER` runs clippy instead.
//! Invariant: what reaches the network (proxies, registries) and where things are kept (`CARGO_HOME`) stays.

use std::{ffi::OsStr, process::Command};

/// A command whose environment doesn't steer cargo or rustc.
pub fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(steers) {
            command.env_remove(name);
        }
    }
    command
}

fn steers(name: &str) -> bool {
    const KEPT: &[&str] = &["CARGO_HOME", "CARGO_BUILD_JOBS"];
    const KEPT_PREFIXES: &[&str] =
        &["CARGO_HTTP_", "CARGO_NET_", "CARGO_REGISTRY_", "CARGO_REGISTRIES_", "CARGO_SOURCE_", "CARGO_TERM_"];
    // LD_LIBRARY_PATH: cargo and rustup point it to the libraries of their own toolchain, which isn't the one to come.
    const STEERING: &[&str] = &["CARGO", "RUSTUP_TOOLCHAIN", "LD_LIBRARY_PATH", "MAKEFLAGS", "MFLAGS", "TARGET", "PROFILE"];
    const STEERING_PREFIXES: &[&str] = &["CARGO_", "__CARGO", "RUSTC", "RUSTFLAGS", "RUSTDOC"];
    let starts = |prefixes: &[&str]| prefixes.iter().any(|prefix| name.starts_with(prefix));
    (STEERING.contains(&name) || starts(STEERING_PREFIXES)) && !KEPT.contains(&name) && !starts(KEPT_PREFIXES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_steering_variables_go() {
        for (name, gone) in [
            ("RUSTFLAGS", true),
            ("CARGO_ENCODED_RUSTFLAGS", true),
            ("CARGO_TARGET_DIR", true),
            ("CARGO_BUILD_TARGET", true),
            ("CARGO_MANIFEST_DIR", true),
            ("RUSTC", true),
            ("RUSTC_WRAPPER", true),
            ("RUSTC_WORKSPACE_WRAPPER", true),
            ("RUSTC_BOOTSTRAP", true),
            ("RUSTUP_TOOLCHAIN", true),
            ("CARGO", true),
            ("MAKEFLAGS", true),
            ("RUSTUP_HOME", false),
            ("CARGO_HOME", false),
            ("CARGO_HTTP_PROXY", false),
            ("CARGO_NET_OFFLINE", false),
            ("CARGO_REGISTRIES_CRATES_IO_PROTOCOL", false),
            ("PATH", false),
            ("HOME", false),
            ("https_proxy", false),
            ("SSL_CERT_FILE", false),
        ] {
            assert_eq!(steers(name), gone, "{name}");
        }
    }
}
