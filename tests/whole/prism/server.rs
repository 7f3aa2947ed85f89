//! Prism as a process.
//!
//! In goes a specification, out comes an address on loopback. Invariant: the process ends with the value.

use portico_tests::{gateway::root, wait_until};
use std::{fs::File, net::SocketAddr, path::Path, process::Stdio, time::Duration};
use tempfile::TempDir;
use tokio::{
    net::TcpListener,
    process::{Child, Command},
};

pub struct Prism {
    child: Child,
    address: SocketAddr,
    folder: TempDir,
}

impl Prism {
    /// Prism can't choose a port by itself. One that was free a moment ago may be another's by then: another try, another port.
    pub async fn start(specification: &Path) -> Self {
        for _ in 0..4 {
            let mut prism = Self::spawn(specification).await;
            if prism.listens().await {
                return prism;
            }
        }
        let mut last = Self::spawn(specification).await;
        assert!(last.listens().await, "no port stayed free: {}", last.log());
        last
    }

    async fn spawn(specification: &Path) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let address = TcpListener::bind("127.0.0.1:0").await.and_then(|listener| listener.local_addr()).expect("a port");
        let log = File::create(folder.path().join("log")).expect("a log");
        let mut command = Command::new("scripts/prism");
        command.arg(specification).arg(address.port().to_string()).current_dir(root()).stdin(Stdio::null()).kill_on_drop(true);
        command.stdout(log.try_clone().expect("the log")).stderr(log);
        Self { child: command.spawn().expect("scripts/prism runs"), address, folder }
    }

    /// The first start installs it, which takes a while. False: the port was another's.
    async fn listens(&mut self) -> bool {
        wait_until("prism to listen", Duration::from_secs(300), async || {
            let (ended, log) = (self.child.try_wait().expect("its state"), self.log());
            if ended.is_some() && log.contains("EADDRINUSE") {
                return Some(false);
            }
            assert!(ended.is_none(), "prism ended at its start: {log}");
            log.contains("Prism is listening").then_some(true)
        })
        .await
    }

    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    fn log(&self) -> String {
        let text = std::fs::read(self.folder.path().join("log")).unwrap_or_default();
        String::from_utf8_lossy(&text).into_owned()
    }
}
