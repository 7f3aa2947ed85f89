//! Finds the built-in components. It never builds them: cargo inside cargo would wait for its own lock.

use std::{env, path::PathBuf};

const NAMES: [&str; 7] = ["sandbox", "docker", "kinsta", "siteico", "sitepod", "wispanel", "wpengine"];

fn main() {
    println!("cargo::rustc-check-cfg=cfg(portico_components)");
    let Ok(manifest) = env::var("CARGO_MANIFEST_DIR") else { return };
    let folder = PathBuf::from(manifest).join("../target/components");
    let files: Vec<_> = NAMES.iter().map(|name| folder.join(format!("{name}.wasm"))).collect();
    for file in &files {
        println!("cargo::rerun-if-changed={}", file.display());
    }
    if files.iter().all(|file| file.exists()) {
        println!("cargo::rustc-cfg=portico_components");
        // Not `PORTICO_…`: cargo sets it for `cargo run` and `cargo test`, too, where it would be a configuration key.
        println!("cargo::rustc-env=COMPONENTS_OF_PORTICO={}", folder.display());
    } else {
        println!("cargo::warning=the built-in providers are not built, so this binary has none: run `make components` first");
    }
}
