//! Builds provider crates into WebAssembly components.
//!
//! In goes a crate whose library is a `cdylib` and exports the contract (`portico_sdk::provider!` does that); out comes one
//! `.wasm` file, checked, and what it imports and exports. A toolchain for wasm is found, or made, by itself.
//! Invariant: an output file is whole or absent, and what doesn't export `provider` is never written.
//! It doesn't load or run anything: that is the host's.

mod component;
mod environment;
mod stamp;
mod toolchain;
mod workspace;

use anyhow::{Context, Result, bail};
use std::{
    fs,
    path::{Path, PathBuf},
};
use workspace::{Artifact, Package, Workspace};

/// A component on disk.
#[derive(Clone, Debug)]
pub struct Built {
    /// The crate that it was made from.
    pub package: String,
    pub path: PathBuf,
    pub bytes: u64,
    /// Names of the imported interfaces: `portico:provider/clock@1.0.0`.
    pub imports: Vec<String>,
    pub exports: Vec<String>,
    /// Nothing that goes into it has changed, so the file that was there was kept.
    pub fresh: bool,
}

/// Builds the crate in `crate_dir` to `out`: a file, or an existing folder that gets `<provider>.wasm`. With `names`, functions keep
/// theirs, for the backtraces of traps.
pub fn build(crate_dir: &Path, out: &Path, names: bool) -> Result<Built> {
    let workspace = Workspace::read(crate_dir)?;
    let package = workspace.package_at(crate_dir)?;
    let artifacts = package.artifacts();
    let [artifact] = artifacts.as_slice() else {
        bail!("{} makes {} components; build it by `portico-provider-build --package`", package.name, artifacts.len());
    };
    let target_dir = workspace.target_dir.join("components");
    let modules = compile(&workspace, &[package], &target_dir)?;
    let path = if out.is_dir() { out.join(format!("{}.wasm", artifact.output)) } else { out.to_owned() };
    stamp::forget(&path)?;
    encode(package, artifact, &modules, &path, names)
}

/// Builds these crates of the workspace at `root` (all that make components, when none is named).
/// `out_dir` gets `<provider>.wasm` for each, and cargo's own files in folders beside them.
/// What hasn't changed since it was built is left as it is.
pub fn build_workspace(root: &Path, packages: &[&str], out_dir: &Path) -> Result<Vec<Built>> {
    let workspace = Workspace::read(root)?;
    let packages = workspace.select(packages)?;
    fs::create_dir_all(out_dir).with_context(|| format!("couldn't make the folder {}", out_dir.display()))?;
    let out_dir = out_dir.canonicalize()?;
    let mut stamped = Vec::with_capacity(packages.len());
    for package in packages {
        stamped.push((package, stamp::of(&workspace, package)?));
    }
    let stale: Vec<&Package> = stamped
        .iter()
        .filter(|(package, stamp)| !package.artifacts().iter().all(|artifact| stamp::is(stamp, &output(&out_dir, artifact))))
        .map(|(package, _)| *package)
        .collect();
    let modules = if stale.is_empty() { Vec::new() } else { compile(&workspace, &stale, &out_dir)? };
    let mut built = Vec::new();
    for (package, stamp) in &stamped {
        let is_stale = stale.iter().any(|stale| stale.name == package.name);
        for artifact in package.artifacts() {
            let path = output(&out_dir, &artifact);
            if is_stale {
                built.push(encode(package, &artifact, &modules, &path, false)?);
                stamp::write(stamp, &path)?;
            } else {
                built.push(inspect(package, &path)?);
            }
        }
    }
    Ok(built)
}

fn output(out_dir: &Path, artifact: &Artifact) -> PathBuf {
    out_dir.join(format!("{}.wasm", artifact.output))
}

/// The core module of each cdylib.
fn compile(workspace: &Workspace, packages: &[&Package], target_dir: &Path) -> Result<Vec<workspace::Module>> {
    let toolchain = toolchain::find(&workspace.root, workspace.rust_version.as_deref())?;
    let names = packages.iter().map(|package| package.name.as_str()).collect::<Vec<_>>().join(", ");
    eprintln!("portico-provider-build: building {names} with {}", toolchain.describe());
    let mut modules = Vec::new();
    for call in workspace::calls(packages) {
        let mut command = toolchain.cargo(&workspace.root);
        command.args(&call).args(["--target", toolchain::TARGET, "--profile", "component"]);
        command.args(toolchain::PROFILE.iter().flat_map(|setting| ["--config", setting]));
        command.args(["--message-format", "json-render-diagnostics", "--target-dir"]).arg(target_dir);
        if workspace.root.join("Cargo.lock").exists() {
            command.arg("--locked");
        }
        let output = command.stderr(std::process::Stdio::inherit()).output().context("couldn't start cargo")?;
        if !output.status.success() {
            bail!("`cargo {}` failed ({}); its messages are above", call.join(" "), output.status);
        }
        modules.extend(workspace::modules(&output.stdout)?);
    }
    Ok(modules)
}

fn encode(package: &Package, artifact: &Artifact, modules: &[workspace::Module], out: &Path, names: bool) -> Result<Built> {
    let module = modules.iter().find(|module| module.is(package, artifact));
    let module = module.with_context(|| format!("cargo reported no wasm file for {} of {}", artifact.target, package.name))?;
    let bytes = fs::read(&module.path).with_context(|| format!("couldn't read {}", module.path.display()))?;
    let component = component::encode(&bytes, names).with_context(|| format!("{} doesn't make a component", package.name))?;
    let face = component::face(&component)?;
    component::write(out, &component)?;
    Ok(Built {
        package: package.name.clone(),
        path: out.to_owned(),
        bytes: component.len() as u64,
        imports: face.imports,
        exports: face.exports,
        fresh: false,
    })
}

fn inspect(package: &Package, path: &Path) -> Result<Built> {
    let bytes = fs::read(path).with_context(|| format!("couldn't read {}", path.display()))?;
    let face = component::face(&bytes)?;
    Ok(Built {
        package: package.name.clone(),
        path: path.to_owned(),
        bytes: bytes.len() as u64,
        imports: face.imports,
        exports: face.exports,
        fresh: true,
    })
}
