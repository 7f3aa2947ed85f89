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
    pub async fn start(specification: &Path) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        // Prism can't choose a port by itself; this one was free a moment ago.
        let address = TcpListener::bind("127.0.0.1:0").await.and_then(|listener| listener.local_addr()).expect("a port");
        let log = File::create(folder.path().join("log")).expect("a log");
        let mut command = Command::new("scripts/prism");
        command.arg(specification).arg(address.port().to_string()).current_dir(root()).stdin(Stdio::null()).kill_on_drop(true);
        command.stdout(log.try_clone().expect("the log")).stderr(log);
        let mut prism = Self { child: command.spawn().expect("scripts/prism runs"), address, folder };
        prism.listens().await;
        prism
    }

    /// The first start installs it, which takes a while.
    async fn listens(&mut self) {
        wait_until("prism to listen", Duration::from_secs(300), async || {
            let ended = self.child.try_wait().expect("its state");
            assert!(ended.is_none(), "prism ended at its start: {}", self.log());
            self.log().contains("Prism is listening").then_some(())
        })
        .await;
    }

    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    fn log(&self) -> String {
        let text = std::fs::read(self.folder.path().join("log")).unwrap_or_default();
        String::from_utf8_lossy(&text).into_owned()
    }
}
