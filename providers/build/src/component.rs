//! From a core module to a component: encode, validate, read its imports and exports, write.
//!
//! In go the bytes that the linker made; out comes a component that exports `portico:provider/provider`.
//! Invariant: files appear by rename, so a reader never sees half of one.

use anyhow::{Context, Result, bail};
use std::{fs, path::Path};
use wasmparser::BinaryReader;
use wit_component::ComponentEncoder;
use wit_parser::{WorldKey, decoding::DecodedWasm};

/// Magic, version 13, layer 1 (a core module has version 1, layer 0).
const COMPONENT_MAGIC: &[u8] = b"\0asm\x0d\0\x01\0";

/// What a component asks for and offers.
pub struct Face {
    pub imports: Vec<String>,
    pub exports: Vec<String>,
}

/// Without `names`, the backtrace of a trap has the numbers of functions; a panic's message and place are in the log all the same.
pub fn encode(module: &[u8], names: bool) -> Result<Vec<u8>> {
    let encode = |module: &[u8]| ComponentEncoder::default().validate(true).debug_names(names).module(module)?.encode();
    let component = if names { encode(module)? } else { without(&encode(&without(module, "name")?)?, "component-name")? };
    if !face(&component)?.exports.iter().any(|export| export.starts_with("portico:provider/provider@")) {
        bail!(
            "it doesn't export portico:provider/provider: its lib.rs needs `portico_sdk::provider!(YourProvider: sites, …);`"
        );
    }
    Ok(component)
}

/// A module or component less the custom sections of this name; not those of what is inside of it.
fn without(binary: &[u8], name: &str) -> Result<Vec<u8>> {
    const CUSTOM: u8 = 0;
    let mut reader = BinaryReader::new(binary, 0);
    let mut kept = reader.read_bytes(COMPONENT_MAGIC.len())?.to_vec();
    while !reader.eof() {
        let begin = reader.original_position();
        let id = reader.read_u8()?;
        let length = reader.read_var_u32()? as usize;
        let content = reader.read_bytes(length)?;
        if id != CUSTOM || BinaryReader::new(content, 0).read_string()? != name {
            kept.extend_from_slice(&binary[begin..reader.original_position()]);
        }
    }
    Ok(kept)
}

pub fn face(component: &[u8]) -> Result<Face> {
    // The parser takes a core module for a component without imports or exports.
    if !component.starts_with(COMPONENT_MAGIC) {
        bail!("this isn't a component");
    }
    let decoded = wit_parser::decoding::decode(component).context("this isn't a component")?;
    let DecodedWasm::Component(resolve, world) = decoded else { bail!("this is a WIT package, not a component") };
    let world = &resolve.worlds[world];
    let names = |keys: Vec<&WorldKey>| {
        let mut names: Vec<String> = keys.into_iter().map(|key| resolve.name_world_key(key)).collect();
        names.sort();
        names
    };
    Ok(Face { imports: names(world.imports.keys().collect()), exports: names(world.exports.keys().collect()) })
}

pub fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let name = path.file_name().with_context(|| format!("{} isn't the path of a file", path.display()))?;
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(parent).with_context(|| format!("couldn't make the folder {}", parent.display()))?;
    let half = parent.join(format!(".{}.{}", name.to_string_lossy(), std::process::id()));
    let written = fs::write(&half, bytes).and_then(|()| fs::rename(&half, path));
    if written.is_err() {
        // The error that is reported is the write's; a leftover only takes room.
        let _ = fs::remove_file(&half);
    }
    written.with_context(|| format!("couldn't write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_without_the_contract_is_refused() {
        // The smallest core module: magic and version.
        let refused = encode(b"\0asm\x01\0\0\0", false).unwrap_err();
        assert!(refused.to_string().contains("portico_sdk::provider!"), "{refused:#}");
        assert!(encode(b"text", false).is_err());
        assert!(face(b"\0asm\x01\0\0\0").is_err());
    }

    #[test]
    fn sections_go_by_name() {
        let section = |name: &str| [&[0, name.len() as u8 + 3, name.len() as u8], name.as_bytes(), &[7, 8]].concat();
        let magic = b"\0asm\x01\0\0\0".as_slice();
        let module = [magic, &section("name"), &section("other")].concat();
        assert_eq!(without(&module, "name").unwrap(), [magic, &section("other")].concat());
        assert_eq!(without(&module, "nam").unwrap(), module);
        assert!(without(&module[..12], "name").is_err());
    }

    #[test]
    fn a_file_is_replaced_whole() {
        let folder = std::env::temp_dir().join(format!("portico-component-{}", std::process::id()));
        let path = folder.join("deep/a.wasm");
        write(&path, b"one").unwrap();
        write(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
        fs::remove_dir_all(folder).unwrap();
    }
}
