//! What cargo knows: the packages of a workspace, which of them make components, and the files that a build made.
//!
//! Invariant: read from cargo's own JSON, never from a manifest's text.

use crate::environment;
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    process::Stdio,
};

pub struct Workspace {
    pub root: PathBuf,
    pub target_dir: PathBuf,
    /// The newest that any component asks for: `1.95`.
    pub rust_version: Option<String>,
    packages: Vec<Package>,
}

pub struct Package {
    pub name: String,
    folder: PathBuf,
    id: String,
    rust_version: Option<String>,
    /// Library and example targets of the kind cdylib.
    cdylibs: Vec<Cdylib>,
    /// Folders of the packages that it uses by path.
    uses: Vec<PathBuf>,
}

struct Cdylib {
    name: String,
    example: bool,
}

/// One component to be: a target, and the name of its file without `.wasm`.
pub struct Artifact {
    pub target: String,
    pub output: String,
}

/// A file that cargo made.
pub struct Module {
    package: String,
    target: String,
    pub path: PathBuf,
}

impl Workspace {
    pub fn read(folder: &Path) -> Result<Self> {
        let output = environment::command("cargo")
            .args(["metadata", "--no-deps", "--format-version", "1"])
            .current_dir(folder)
            .stderr(Stdio::inherit())
            .output()
            .context("couldn't start cargo: is Rust installed?")?;
        if !output.status.success() {
            bail!("cargo can't read the crate in {}; its message is above", folder.display());
        }
        let metadata: Value = serde_json::from_slice(&output.stdout).context("cargo metadata isn't JSON")?;
        let packages: Vec<Package> = list(&metadata["packages"]).iter().map(Package::read).collect::<Result<_>>()?;
        let components = packages.iter().filter(|package| !package.cdylibs.is_empty());
        let rust_version = components.filter_map(|package| package.rust_version.clone()).max_by_key(|text| version(text));
        Ok(Self {
            root: text(&metadata["workspace_root"])?.into(),
            target_dir: text(&metadata["target_directory"])?.into(),
            rust_version,
            packages,
        })
    }

    pub fn package_at(&self, folder: &Path) -> Result<&Package> {
        let folder = folder.canonicalize().with_context(|| format!("there is no folder {}", folder.display()))?;
        let found = self.packages.iter().find(|package| package.folder == folder);
        let package = found.with_context(|| format!("{} isn't the folder of a crate", folder.display()))?;
        package.check()
    }

    /// The packages of these names, or all that make components.
    pub fn select(&self, names: &[&str]) -> Result<Vec<&Package>> {
        if names.is_empty() {
            return Ok(self.packages.iter().filter(|package| !package.cdylibs.is_empty()).collect());
        }
        let find = |name: &&str| {
            let package = self.packages.iter().find(|package| package.name == **name);
            package.with_context(|| format!("the workspace has no package {name}"))?.check()
        };
        names.iter().map(find).collect()
    }

    /// The folders whose files go into a package: its own, and those of all that it uses by path.
    pub fn folders_of(&self, package: &Package) -> BTreeSet<PathBuf> {
        let mut folders = BTreeSet::new();
        let mut open = vec![package.folder.clone()];
        while let Some(folder) = open.pop() {
            if let Some(package) = self.packages.iter().find(|package| package.folder == folder) {
                open.extend(package.uses.iter().filter(|used| !folders.contains(*used)).cloned());
            }
            folders.insert(folder);
        }
        folders
    }
}

impl Package {
    fn read(json: &Value) -> Result<Self> {
        let manifest = PathBuf::from(text(&json["manifest_path"])?);
        let has = |target: &Value, key: &str, word: &str| list(&target[key]).iter().any(|kind| kind == word);
        let cdylibs = list(&json["targets"]).iter().filter(|target| has(target, "crate_types", "cdylib"));
        let cdylib =
            |target: &Value| Ok(Cdylib { name: text(&target["name"])?.to_owned(), example: has(target, "kind", "example") });
        Ok(Self {
            name: text(&json["name"])?.to_owned(),
            id: text(&json["id"])?.to_owned(),
            folder: manifest.parent().context("a manifest has a folder")?.to_owned(),
            rust_version: json["rust_version"].as_str().map(str::to_owned),
            cdylibs: cdylibs.map(cdylib).collect::<Result<_>>()?,
            uses: list(&json["dependencies"]).iter().filter_map(|used| used["path"].as_str().map(PathBuf::from)).collect(),
        })
    }

    fn check(&self) -> Result<&Self> {
        if self.cdylibs.is_empty() {
            bail!("{} makes no component: its Cargo.toml needs `crate-type = [\"cdylib\", \"rlib\"]` under [lib]", self.name);
        }
        Ok(self)
    }

    /// A library's file is called as the package, without Portico's prefixes; an example's as the example.
    pub fn artifacts(&self) -> Vec<Artifact> {
        let short = self.name.strip_prefix("portico-provider-").or(self.name.strip_prefix("portico-")).unwrap_or(&self.name);
        let output = |cdylib: &Cdylib| if cdylib.example { cdylib.name.clone() } else { short.to_owned() };
        self.cdylibs.iter().map(|cdylib| Artifact { target: cdylib.name.clone(), output: output(cdylib) }).collect()
    }
}

/// What tells cargo to build the cdylibs of these packages: one call for all examples, and one for each library.
///
/// An example has its package's library built along with it, in the plain way and to the same file, so the libraries come last.
/// A library that is an rlib as well (its tests link to that) would be built without link-time optimization, unless cargo is told
/// its only type; and it takes that for one package at a time.
pub fn calls(packages: &[&Package]) -> Vec<Vec<String>> {
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let libraries = packages.iter().filter(|package| package.cdylibs.iter().any(|cdylib| !cdylib.example));
    let libraries = libraries.map(|package| words(&["rustc", "--lib", "--crate-type", "cdylib", "--package", &package.name]));
    let mut examples = words(&["build"]);
    for package in packages {
        for cdylib in package.cdylibs.iter().filter(|cdylib| cdylib.example) {
            examples.extend(words(&["--package", &package.name, "--example", &cdylib.name]));
        }
    }
    (examples.len() > 1).then_some(examples).into_iter().chain(libraries).collect()
}

impl Module {
    pub fn is(&self, package: &Package, artifact: &Artifact) -> bool {
        self.package == package.id && self.target == artifact.target
    }
}

/// The wasm files among the messages of `cargo build --message-format json`.
pub fn modules(messages: &[u8]) -> Result<Vec<Module>> {
    let mut modules = Vec::new();
    for line in messages.split(|byte| *byte == b'\n').filter(|line| line.starts_with(b"{")) {
        let message: Value = serde_json::from_slice(line).context("cargo printed a message that isn't JSON")?;
        let files = list(&message["filenames"]).iter().filter_map(Value::as_str);
        for file in files.filter(|file| message["reason"] == "compiler-artifact" && file.ends_with(".wasm")) {
            modules.push(Module {
                package: text(&message["package_id"])?.to_owned(),
                target: text(&message["target"]["name"])?.to_owned(),
                path: file.into(),
            });
        }
    }
    Ok(modules)
}

/// `1.95.0` and `1.95` as numbers.
pub fn version(text: &str) -> (u32, u32) {
    let mut numbers = text.split(['.', '-', ' ']).map(|part| part.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn text(value: &Value) -> Result<&str> {
    value.as_str().context("cargo's JSON lacks a text that this needs")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_by_number() {
        for (text, expected) in
            [("1.95", (1, 95)), ("1.100.3", (1, 100)), ("1.96.0 (ac68faa20 2026-05-25)", (1, 96)), ("", (0, 0))]
        {
            assert_eq!(version(text), expected, "{text}");
        }
    }

    #[test]
    fn finds_this_workspace() {
        let workspace = Workspace::read(Path::new(env!("CARGO_MANIFEST_DIR"))).unwrap();
        let names: Vec<_> = workspace.select(&[]).unwrap().into_iter().map(|package| package.name.as_str()).collect();
        assert!(names.contains(&"portico-provider-sandbox"), "{names:?}");
        let sandbox = workspace.select(&["portico-provider-sandbox"]).unwrap()[0];
        assert_eq!(sandbox.artifacts()[0].output, "sandbox");
        let folders = workspace.folders_of(sandbox);
        assert!(folders.iter().any(|folder| folder.ends_with("providers/sdk")), "{folders:?}");
        let refused = workspace.select(&["portico-provider-build"]).err().unwrap().to_string();
        assert!(refused.contains("cdylib"), "{refused}");
    }

    #[test]
    fn each_library_is_built_as_a_cdylib_alone() {
        let cdylib = |name: &str, example| Cdylib { name: name.to_owned(), example };
        let package = |name: &str, cdylibs| Package {
            name: name.to_owned(),
            folder: PathBuf::new(),
            id: String::new(),
            rust_version: None,
            cdylibs,
            uses: Vec::new(),
        };
        let (one, two) = (package("a", vec![cdylib("a", false)]), package("b", vec![cdylib("b", false), cdylib("c", true)]));
        let calls: Vec<String> = calls(&[&one, &two]).iter().map(|call| call.join(" ")).collect();
        let library = |name: &str| format!("rustc --lib --crate-type cdylib --package {name}");
        assert_eq!(calls, ["build --package b --example c".to_owned(), library("a"), library("b")]);
    }

    #[test]
    fn only_wasm_files_are_modules() {
        let messages =
            br#"{"reason":"compiler-artifact","package_id":"p","target":{"name":"t"},"filenames":["/a/t.wasm","/a/libt.rlib"]}
{"reason":"build-finished","success":true}
"#;
        let found = modules(messages).unwrap();
        assert_eq!(found.iter().map(|module| module.path.as_path()).collect::<Vec<_>>(), [Path::new("/a/t.wasm")]);
    }
}
