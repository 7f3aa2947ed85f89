//! `portico-provider-build --out target/components [--package NAME]…`: builds the workspace's components.
//!
//! Without `--package`, every crate of the workspace that makes a component is built. Invariant: exit status 0 means that all of
//! them are in the folder, up to date.

use anyhow::{Result, bail};
use std::{path::PathBuf, process::ExitCode};

const USAGE: &str = "usage: portico-provider-build --out FOLDER [--package NAME]…";

struct Arguments {
    out: PathBuf,
    packages: Vec<String>,
}

fn main() -> ExitCode {
    match arguments(std::env::args().skip(1)).and_then(|arguments| run(&arguments)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("portico-provider-build: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn arguments(mut given: impl Iterator<Item = String>) -> Result<Arguments> {
    let (mut out, mut packages) = (None, Vec::new());
    while let Some(argument) = given.next() {
        match (argument.as_str(), given.next()) {
            ("--out", Some(folder)) => out = Some(PathBuf::from(folder)),
            ("--package" | "-p", Some(name)) => packages.push(name),
            (other, _) => bail!("can't use '{other}' here; {USAGE}"),
        }
    }
    match out {
        Some(out) => Ok(Arguments { out, packages }),
        None => bail!("--out is missing; {USAGE}"),
    }
}

fn run(arguments: &Arguments) -> Result<()> {
    let names: Vec<&str> = arguments.packages.iter().map(String::as_str).collect();
    for built in portico_provider_build::build_workspace(&std::env::current_dir()?, &names, &arguments.out)? {
        let how = if built.fresh { "unchanged" } else { "built" };
        eprintln!("portico-provider-build: {} {how}, {} KiB", built.path.display(), built.bytes.div_ceil(1024));
        eprintln!("  imports {}", short(&built.imports));
        eprintln!("  exports {}", short(&built.exports));
    }
    Ok(())
}

/// Interface names without the package, which is the same for all of the contract's.
fn short(names: &[String]) -> String {
    names.iter().map(|name| name.trim_start_matches("portico:provider/")).collect::<Vec<_>>().join(" ")
}
