//! The guide for clients is true: all its shell blocks run, one after the other, in one shell.
//!
//! Invariant: a block that fails, and one that isn't run, is a failing test.

use portico_tests::{Gateway, gateway::root};
use serde_json::Value;

/// What stands between ```` ```sh ```` and ```` ``` ````.
fn blocks(guide: &str) -> Vec<&str> {
    let mut blocks: Vec<&str> = Vec::new();
    for (number, block) in guide.split("```").enumerate().filter(|(number, _)| number % 2 == 1) {
        let code = block.strip_prefix("sh\n").unwrap_or_else(|| panic!("block {number} isn't marked as sh: {block}"));
        blocks.push(code);
    }
    blocks
}

#[tokio::test]
async fn every_block_of_the_guide_runs() {
    let gateway = Gateway::start().await;
    let guide = std::fs::read_to_string(root().join("CLIENTS.md")).expect("the guide");
    let blocks = blocks(&guide);
    assert!(blocks.len() > 12, "{} blocks", blocks.len());
    let script: String = blocks.iter().enumerate().map(|(number, code)| format!("echo '== {number}'\n{code}\n")).collect();
    let mut bash = tokio::process::Command::new("bash");
    bash.args(["-euo", "pipefail", "-c", &script]);
    let token = std::fs::read_to_string(gateway.data().join("dev-token")).expect("the token");
    bash.env("PORTICO", format!("http://{}/api/v1", gateway.api_address)).env("TOKEN", token.trim());
    let output = bash.output().await.expect("bash runs");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    for wanted in ["sandbox: sandbox, ", "completed", "422 invalid_input: name", "one operation: op_", "\n304\n", "TXT"] {
        assert!(said.contains(wanted), "{wanted} isn't in: {said}");
    }
    let operations = gateway.api.get("/operations?limit=100").await.is(200).json();
    let failed = |operation: &&Value| operation["status"] != "succeeded";
    let all = operations["data"].as_array().expect("operations");
    assert_eq!((all.len(), all.iter().find(failed)), (10, None), "{operations}");
    assert_eq!(gateway.api.get("/sites").await.is(200).json()["total"], 0);
}
