//! Commands that need no running gateway: checking a configuration, looking at components and building them.
//!
//! In go files and an environment; out comes what the command says and how it ends. Invariant: each runs in a folder of its own
//! and knows nothing of the developer's.

use portico_tests::gateway::{binary, root};
use serde_json::Value;
use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};
use tempfile::TempDir;

/// A configuration that is right.
const GOOD: &str = r#"
listen = "127.0.0.1:0"
admin_listen = "127.0.0.1:0"

[limits]
token = "100/min"

[[grants]]
organization = "acme"
provider = "*"
networks = ["10.0.0.0/8"]
"#;

/// A folder with this configuration.
fn configured(config: &str) -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::write(folder.path().join("portico.toml"), config).expect("the configuration");
    folder
}

/// The command in this folder, without what a developer set for a gateway of their own.
fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(binary());
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("PORTICO_")) {
        command.env_remove(name);
    }
    command.args(arguments).current_dir(folder).stdin(Stdio::null());
    command
}

/// What it printed as it succeeded.
#[track_caller]
fn succeeds(mut command: Command) -> String {
    let output = command.output().expect("the command runs");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{command:?}: {said}{}", String::from_utf8_lossy(&output.stderr));
    said
}

/// What it said on standard error as it failed.
#[track_caller]
fn fails(mut command: Command) -> String {
    let output = command.output().expect("the command runs");
    assert!(!output.status.success(), "{command:?} succeeded: {}", String::from_utf8_lossy(&output.stdout));
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The texts of a list.
fn texts(list: &Value) -> Vec<&str> {
    list.as_array().expect("a list").iter().map(|one| one.as_str().expect("a text")).collect()
}

/// What `provider inspect` says of a component.
#[track_caller]
fn inspected(component: &Path) -> Value {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let said = succeeds(command(folder.path(), &["provider", "inspect", &component.display().to_string()]));
    serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error}: {said}"))
}

#[test]
fn check_loads_every_provider_and_leaves_nothing_behind() {
    let folder = configured(GOOD);
    let said = succeeds(command(folder.path(), &["check", "--config", "portico.toml"]));
    for provider in ["sandbox", "docker", "kinsta", "siteico", "sitepod", "wispanel", "wpengine"] {
        assert!(said.contains(&format!("provider {provider} ")), "no {provider} in {said}");
    }
    assert!(said.contains("are in order"), "{said}");
    assert_eq!(fs::read_dir(folder.path()).expect("the folder").count(), 1, "more than the configuration is there");
}

#[test]
fn unknown_variables_are_refused_with_the_nearest_key() {
    let folder = configured(GOOD);
    for (variable, key, nearest) in
        [("PORTICO_LISTEM", "`listem`", "`listen`"), ("PORTICO_LIMITS__TOKN", "`limits.tokn`", "`token`")]
    {
        let mut command = command(folder.path(), &["check", "--config", "portico.toml"]);
        command.env(variable, "127.0.0.1:0");
        let said = fails(command);
        for words in [format!("unknown key {key}"), "environment".to_owned(), format!("did you mean {nearest}?")] {
            assert!(said.contains(&words), "{variable}: no {words} in {said}");
        }
    }
}

/// The log's filter takes any word, and would be silent.
#[test]
fn a_word_that_is_no_log_level_is_refused() {
    let folder = configured(GOOD);
    for verb in ["check", "serve"] {
        let mut command = command(folder.path(), &[verb, "--config", "portico.toml"]);
        command.env("PORTICO_LOG__LEVEL", "wran");
        let said = fails(command);
        assert!(said.contains("\"wran\" is no level: give error, warn, info, debug, trace or off"), "{verb}: {said}");
    }
}

#[test]
fn what_an_organization_is_called_is_said() {
    let folder = configured(GOOD);
    let said = fails(command(folder.path(), &["token", "create", "--organization", "Bad Org"]));
    assert!(said.contains("--organization \"Bad Org\": the id of a connection or organization is"), "{said}");
}

#[test]
fn unknown_keys_of_grants_are_refused_with_the_nearest_key() {
    let folder = configured(&GOOD.replace("networks", "netwoks"));
    let said = fails(command(folder.path(), &["check", "--config", "portico.toml"]));
    for words in ["unknown key `grants.", "netwoks`", "portico.toml", "did you mean `networks`?"] {
        assert!(said.contains(words), "no {words} in {said}");
    }
}

#[test]
fn inspect_tells_what_a_component_is_and_asks_for() {
    let file = root().join("target/components/sandbox.wasm");
    let bytes = fs::read(&file).expect("the providers are built by `make components`");
    let inspection = inspected(&file);
    let description = &inspection["description"];
    assert_eq!(description["name"], "sandbox", "{inspection}");
    // All of the workspace have one version.
    assert_eq!(description["version"], env!("CARGO_PKG_VERSION"), "{inspection}");
    assert_eq!(inspection["size"], bytes.len(), "{inspection}");
    let hash = ring::digest::digest(&ring::digest::SHA256, &bytes);
    let hash: String = hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(inspection["sha256"], hash.as_str(), "{inspection}");
    let (imports, exports) = (texts(&inspection["imports"]), texts(&inspection["exports"]));
    for interface in ["provider", "sites", "backups", "wordpress", "operations"] {
        let name = format!("portico:provider/{interface}@");
        assert!(exports.iter().any(|export| export.starts_with(&name)), "no {interface} in {exports:?}");
    }
    let contract = imports.iter().all(|import| import.starts_with("portico:provider/"));
    assert!(!imports.is_empty() && contract, "it asks for more than the contract has: {imports:?}");
}

#[test]
fn inspect_says_why_a_file_is_no_component() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::write(folder.path().join("module.wasm"), b"\0asm\x01\0\0\0").expect("a core module");
    for (file, words) in [("module.wasm", "portico provider build"), ("none.wasm", "can't read none.wasm")] {
        let said = fails(command(folder.path(), &["provider", "inspect", file]));
        assert!(said.contains(words), "{file}: {said}");
    }
}

/// After `make components` nothing is left to compile, since this is the same call of cargo.
#[test]
fn build_makes_a_component_of_a_crate() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let source = root().join("providers/siteico").display().to_string();
    let said = succeeds(command(folder.path(), &["provider", "build", &source, "--out", "made.wasm"]));
    let file = folder.path().join("made.wasm");
    let size = fs::metadata(&file).expect("the component").len();
    for words in [format!("made.wasm ({size} bytes)"), "exports portico:provider/sites@".to_owned()] {
        assert!(said.contains(&words), "no {words} in {said}");
    }
    assert_eq!(inspected(&file)["description"]["name"], "siteico");
}

#[test]
fn build_says_what_a_crate_lacks() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let source = root().join("providers/build").display().to_string();
    let said = fails(command(folder.path(), &["provider", "build", &source, "--out", "made.wasm"]));
    assert!(said.contains("crate-type") && !folder.path().join("made.wasm").exists(), "{said}");
}
