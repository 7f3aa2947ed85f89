//! Clients that public generators made of the API's document compile and do the main job: create, wait, list, back up, delete.
//!
//! Invariant: nothing in them is written by hand but the few lines that use them (`tests/clients`).

use portico_tests::{Gateway, gateway::root};
use std::process::Stdio;
use tokio::process::Command;

async fn run(mut command: Command) -> String {
    let output = command.current_dir(root()).stdin(Stdio::null()).output().await.expect("it runs");
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    assert!(output.status.success(), "{command:?}: {said}");
    said
}

#[tokio::test]
async fn generated_clients_do_the_main_job() {
    run(Command::new("scripts/clients")).await;
    let gateway = Gateway::start().await;
    let token = std::fs::read_to_string(gateway.data().join("dev-token")).expect("the token");
    let drive = |program: &str, script: &str| {
        let mut command = Command::new(program);
        command.arg(script).env("PORTICO", format!("http://{}/api/v1", gateway.api_address)).env("TOKEN", token.trim());
        command
    };
    let mut python = drive("python3", "tests/clients/drive.py");
    python.env("PYTHONPATH", "target/clients/python:target/clients/openapi-python-client-0.29.1");
    python.env("PYTHONDONTWRITEBYTECODE", "1");
    let (python, typescript) = tokio::join!(run(python), run(drive("node", "target/clients/ts/drive.js")));
    assert!(python.contains("python: done") && typescript.contains("typescript: done"), "{python}{typescript}");
    assert_eq!(gateway.api.get("/sites").await.is(200).json()["total"], 0);
}
