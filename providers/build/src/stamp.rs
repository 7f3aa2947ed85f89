//! Whether a component is still what its sources say: one hash over all that goes into it, kept beside it.
//!
//! Invariant: a stamp is written after the component, so a crash between them means one build too many, never one too few.

use crate::workspace::{Package, Workspace};
use anyhow::{Context, Result};
use std::{
    collections::BTreeSet,
    fs,
    hash::{DefaultHasher, Hash, Hasher},
    path::{Path, PathBuf},
};

/// Whatever of this program says how a component is made.
const HOW: [&str; 4] =
    [include_str!("component.rs"), include_str!("lib.rs"), include_str!("toolchain.rs"), include_str!("workspace.rs")];

/// The hash of the files of the crate, of every crate of the workspace that it uses, of the contract, and of the lock file.
pub fn of(workspace: &Workspace, package: &Package) -> Result<String> {
    let mut files = BTreeSet::new();
    for folder in workspace.folders_of(package) {
        collect(&folder, &mut files)?;
    }
    collect(&workspace.root.join("wit"), &mut files)?;
    files.extend(["Cargo.toml", "Cargo.lock"].map(|name| workspace.root.join(name)));
    let mut hasher = DefaultHasher::new();
    // How it is built.
    HOW.hash(&mut hasher);
    for file in files.into_iter().filter(|file| file.exists()) {
        let bytes = fs::read(&file).with_context(|| format!("couldn't read {}", file.display()))?;
        (file.strip_prefix(&workspace.root).unwrap_or(&file), bytes).hash(&mut hasher);
    }
    Ok(format!("{:016x}\n", hasher.finish()))
}

/// Is `component` there, and was it made from what `stamp` stands for?
pub fn is(stamp: &str, component: &Path) -> bool {
    component.exists() && fs::read_to_string(beside(component)).is_ok_and(|known| known == stamp)
}

/// Before a component is written that no stamp is to stand for.
pub fn forget(component: &Path) -> Result<()> {
    let stamp = beside(component);
    match fs::remove_file(&stamp) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("couldn't remove {}", stamp.display()))
        }
        _ => Ok(()),
    }
}

pub fn write(stamp: &str, component: &Path) -> Result<()> {
    crate::component::write(&beside(component), stamp.as_bytes())
}

fn beside(component: &Path) -> PathBuf {
    component.with_extension("stamp")
}

fn collect(folder: &Path, files: &mut BTreeSet<PathBuf>) -> Result<()> {
    if !folder.exists() {
        return Ok(());
    }
    for entry in fs::read_dir(folder).with_context(|| format!("couldn't read {}", folder.display()))? {
        let entry = entry?;
        let name = entry.file_name();
        let skipped = name == "target" || name.to_string_lossy().starts_with('.');
        match entry.file_type()? {
            _ if skipped => {}
            kind if kind.is_dir() => collect(&entry.path(), files)?,
            _ => {
                files.insert(entry.path());
            }
        }
    }
    Ok(())
}
