//! `portico provider inspect | build`

use super::runtime;
use anyhow::Context as _;
use std::path::Path;

#[expect(clippy::print_stdout, reason = "this is what the command is for")]
pub fn inspect(file: &Path) -> anyhow::Result<()> {
    let bytes = std::fs::read(file).with_context(|| format!("can't read {}", file.display()))?;
    let inspection = runtime()?.block_on(crate::host::inspect(&file.display().to_string(), &bytes))?;
    println!("{}", serde_json::to_string_pretty(&inspection)?);
    Ok(())
}

#[expect(clippy::print_stdout, reason = "this is what the command is for")]
pub fn build(folder: &Path, out: Option<&Path>, names: bool) -> anyhow::Result<()> {
    let folder = folder.canonicalize().with_context(|| format!("there is no folder {}", folder.display()))?;
    let name = folder.file_name().context("name the crate's folder")?;
    let out = out.map_or_else(|| std::path::PathBuf::from(name).with_extension("wasm"), Path::to_owned);
    let built = portico_provider_build::build(&folder, &out, names)?;
    println!("{} ({} bytes)", built.path.display(), built.bytes);
    built.imports.iter().for_each(|name| println!("  imports {name}"));
    built.exports.iter().for_each(|name| println!("  exports {name}"));
    Ok(())
}
