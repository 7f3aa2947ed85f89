//! Starts that fail say why, and can be tried again; an end that is asked for comes.
//!
//! In go data folders that are in the way, signals, and a standard error that nobody reads. Invariant: whoever started the
//! process reads the reason there, and what to do; no process goes on for ever.

use portico_tests::{Answer, Gateway, Setup, Upstream, eventually, gateway::binary};
use rustix::fs::{OFlags, fcntl_setfl};
use serde_json::json;
use std::{
    fs::{self, DirBuilder},
    io::{ErrorKind, PipeReader, PipeWriter, Write as _},
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};
use tempfile::TempDir;
use tokio::{io::AsyncWriteExt as _, net::TcpStream};

const SERVE: [&str; 5] = ["serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"];

fn private_folder(path: &Path) {
    DirBuilder::new().mode(0o700).create(path).expect("a folder");
}

/// A command on this data folder, without what a developer set for a gateway of their own.
fn command(data: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(binary());
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("PORTICO_")) {
        command.env_remove(name);
    }
    command.args(arguments).env("PORTICO_DATA_DIR", data).stdin(Stdio::null());
    command
}

/// What it said on standard error as it failed.
#[track_caller]
fn fails(mut command: Command) -> String {
    let output = command.output().expect("the command runs");
    assert!(!output.status.success(), "{command:?} succeeded: {}", String::from_utf8_lossy(&output.stdout));
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A data folder whose database is none; with the folder that it is in.
fn damaged() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let data = folder.path().join("data");
    private_folder(&data);
    fs::write(data.join("portico.db"), "this is no database\n".repeat(1000)).expect("a file");
    (folder, data)
}

#[test]
fn a_damaged_database_is_named_with_the_reason() {
    let (_folder, data) = damaged();
    let commands: [&[&str]; 3] = [&SERVE, &["user", "list"], &["token", "list", "--organization", "acme"]];
    for arguments in commands {
        let said = fails(command(&data, arguments));
        for words in ["portico: ", "portico.db", "file is not a database"] {
            assert!(said.contains(words), "{arguments:?}: no {words} in {said}");
        }
        assert!(!said.contains("internal: ") && !said.contains("its log has the reason"), "{arguments:?}: {said}");
    }
}

#[tokio::test]
async fn a_second_gateway_on_a_folder_is_told_what_to_do() {
    let gateway = Gateway::start().await;
    let said = gateway.refused(&SERVE);
    assert!(said.contains("a gateway runs on the data folder") && said.contains("--data-dir"), "{said}");
    let said = gateway.refused(&["audit", "verify", "--noted", "foo"]);
    assert!(said.contains("portico: --noted \"foo\": a row and its hash"), "{said}");
    let said = gateway.refused(&["token", "list", "--organization", "nobody"]);
    assert_eq!(gateway.refused(&["user", "list", "--organization", "nobody"]), said);
    assert!(said.contains("there is no organization nobody: "), "{said}");
    let said = gateway.refused(&["token", "create", "--organization", "demo", "--scope", "foo"]);
    assert!(said.contains("--scope \"foo\": read, write, or a group"), "{said}");
    let said = gateway.refused(&["token", "create", "--organization", "demo", "--days", "0"]);
    assert!(said.contains("'0'") && said.contains("--days"), "{said}");
    assert!(gateway.run(&["user", "list"]).starts_with("organization\trole\taddress\tsince\n"));
}

#[tokio::test]
async fn a_first_start_that_cannot_write_its_key_can_be_repeated() {
    let environment = vec![("PORTICO_KEYS__FILE".to_owned(), "keys/key".to_owned())];
    let setup = Setup { environment: environment.clone(), ..Setup::default() };
    let mut gateway = Gateway::start_on(setup, |data| {
        let mut first = command(data, &SERVE);
        first.envs(environment);
        let said = fails(first);
        assert!(said.contains("can't write") && said.contains("keys/key"), "{said}");
        assert!(data.join("portico.db").exists(), "the database is made before the key");
        private_folder(&data.join("keys"));
    })
    .await;
    assert!(gateway.data().join("keys/key").exists());
    assert!(gateway.sigterm().await.success());
    // Now there is something that only this key opens.
    fs::remove_file(gateway.data().join("keys/key")).expect("the key");
    let said = gateway.refused(&SERVE);
    assert!(said.contains("is missing, but there is a database: restore the key from your backup"), "{said}");
    assert!(!gateway.data().join("keys/key").exists(), "a key was made for a database that another one sealed");
}

#[tokio::test]
async fn a_demo_without_its_connection_begins_with_another() {
    let mut gateway = Gateway::start().await;
    let greeting = |gateway: &Gateway| gateway.log().rsplit_once("Paste these").map(|(_, lines)| lines.to_owned());
    let first = greeting(&gateway).expect("the greeting");
    assert!(!first.contains("# 0.") && first.contains("\"connection\": \"sandbox\""), "{first}");
    let _ = gateway.api.delete("/connections/sandbox").await.is(204);
    assert!(gateway.sigterm().await.success());
    gateway.restart().await;
    let again = greeting(&gateway).expect("the greeting");
    for words in ["# 0. the sandbox connection was deleted", "\"id\": \"sandbox-2\"", "\"connection\": \"sandbox-2\""] {
        assert!(again.contains(words), "no {words} in {again}");
    }
}

fn terminate(pid: u32) {
    let status = Command::new("kill").args(["-TERM", &pid.to_string()]).status().expect("kill runs");
    assert!(status.success(), "process {pid} is gone");
}

#[tokio::test]
async fn a_second_signal_ends_a_long_drain() {
    let silent = Upstream::start(|_| Answer::Never).await;
    let config = "[server]\ndrain_ms = 600000\n".to_owned();
    let mut gateway = Gateway::start_with(Setup { config, guests: vec!["keyed"], ..Setup::default() }).await;
    let connection = json!({
        "id": "slow", "provider": "keyed", "name": "Slow", "settings": {"url": silent.url()}, "secrets": {"api_key": "secret"},
    });
    let _ = gateway.api.post("/connections", &connection).await.is(201);
    let token = fs::read_to_string(gateway.data().join("dev-token")).expect("the token");
    let mut stream = TcpStream::connect(gateway.api_address).await.expect("a connection");
    let token = token.trim();
    let head = format!("GET /api/v1/sites/slow~echo HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\n\r\n");
    stream.write_all(head.as_bytes()).await.expect("the head is sent");
    eventually("the request to be at the host", async || (!silent.seen().is_empty()).then_some(())).await;
    terminate(gateway.pid());
    gateway.logged(&["draining", "a second signal"]).await;
    assert_eq!(gateway.sigterm().await.code(), Some(1));
    gateway.logged(&["portico: ended at once by a second signal"]).await;
}

/// A pipe that takes nothing more.
fn full() -> (PipeReader, PipeWriter) {
    let (reader, mut writer) = std::io::pipe().expect("a pipe");
    fcntl_setfl(&writer, OFlags::NONBLOCK).expect("its flags");
    let filled = std::iter::from_fn(|| Some(writer.write(&[b'.'; 512]))).find_map(Result::err);
    assert_eq!(filled.map(|error| error.kind()), Some(ErrorKind::WouldBlock));
    fcntl_setfl(&writer, OFlags::empty()).expect("its flags");
    (reader, writer)
}

#[tokio::test]
async fn an_end_does_not_wait_for_a_reader_of_standard_error() {
    let (_folder, data) = damaged();
    let (_reader, writer) = full();
    let mut serve = command(&data, &SERVE);
    serve.stdout(Stdio::null()).stderr(writer);
    let mut child = tokio::process::Command::from(serve).kill_on_drop(true).spawn().expect("it starts");
    let ended = tokio::time::timeout(Duration::from_secs(30), child.wait()).await;
    assert_eq!(ended.expect("it ends").expect("its state").code(), Some(1));
}
