//! Components that are compiled once for all tests, not once for each gateway.
//!
//! In goes an empty data folder, out comes one with a key and the compiled components that were sealed under it. Invariant: what
//! lies here is a cache: a gateway that finds nothing in it compiles by itself, only later.

use crate::gateway::{binary, root};
use anyhow::{Context, Result, ensure};
use std::{
    fs::{self, DirBuilder, File},
    io::{BufRead as _, BufReader},
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::OnceLock,
};

/// Makes the data folder, with a copy of the key and the compiled components.
pub fn seed(data: &Path) -> Result<()> {
    static TEMPLATE: OnceLock<PathBuf> = OnceLock::new();
    let template = TEMPLATE.get_or_init(|| template().expect("the gateway compiles its providers"));
    DirBuilder::new().mode(0o700).create(data)?;
    DirBuilder::new().mode(0o700).create(data.join("components"))?;
    // Copies keep the modes, which the gateway insists on.
    fs::copy(template.join("key"), data.join("key"))?;
    for entry in fs::read_dir(template.join("components"))? {
        let entry = entry?;
        fs::copy(entry.path(), data.join("components").join(entry.file_name()))?;
    }
    Ok(())
}

/// What a gateway compiled stays in its data folder, also for later runs.
fn template() -> Result<PathBuf> {
    let folder = root().join("target/tests");
    fs::create_dir_all(&folder)?;
    // Another test program may be doing the same.
    let lock = File::create(folder.join("lock"))?;
    lock.lock()?;
    let data = folder.join("data");
    let components = root().join("target/components");
    ensure!(components.join("sandbox.wasm").exists(), "the providers aren't built: run `make components`");
    forget_old(&data.join("components"))?;
    // The guests, and beside them the providers again, which are left out for those in the binary.
    let config = format!("[providers]\ndir = {components:?}\n");
    fs::write(folder.join("portico.toml"), config)?;
    start_once(&folder.join("portico.toml"), &data)?;
    Ok(data)
}

/// Starts a gateway and ends it as soon as it listens: by then it has compiled everything.
fn start_once(config: &Path, data: &Path) -> Result<()> {
    let mut command = Command::new(binary());
    command.args(["serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--config"]).arg(config);
    command.env("PORTICO_DATA_DIR", data).stdin(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().context("portico serve doesn't run")?;
    let log = child.stderr.take().context("its log")?;
    let mut said = String::new();
    let listens = BufReader::new(log).lines().map_while(|line| line.ok()).any(|line| {
        said = format!("{said}{line}\n");
        line.contains("\"listening\"")
    });
    child.kill()?;
    child.wait()?;
    ensure!(listens, "portico serve ended before it listened:\n{said}");
    Ok(())
}

/// Code of components that have changed since is never read again; when much of it has gathered, all of it goes.
fn forget_old(compiled: &Path) -> Result<()> {
    const MANY: usize = 40;
    if compiled.exists() && fs::read_dir(compiled)?.count() > MANY {
        fs::remove_dir_all(compiled)?;
    }
    Ok(())
}
