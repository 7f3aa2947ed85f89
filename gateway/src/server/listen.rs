//! Listening sockets.
//!
//! Invariant: an accept error never ends the loop; a machine that is out of file descriptors gets a pause, not a spin.

use anyhow::Context as _;
use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};
use tokio::net::{TcpListener, TcpStream};

pub struct Listener {
    socket: TcpListener,
    pub address: SocketAddr,
}

impl Listener {
    /// `what` is the configuration key, for the error's words.
    pub async fn bind(what: &str, address: SocketAddr) -> anyhow::Result<Self> {
        let socket = TcpListener::bind(address).await.with_context(|| {
            format!("can't listen on {address}: is another gateway running? choose another address with `{what}`")
        })?;
        let address = socket.local_addr().context("can't read the address that was bound")?;
        Ok(Self { socket, address })
    }

    pub async fn accept(&self) -> (TcpStream, IpAddr) {
        /// Long enough for some descriptors to be closed, short enough not to be noticed.
        const PAUSE: Duration = Duration::from_millis(50);
        loop {
            match self.socket.accept().await {
                Ok((stream, peer)) => {
                    if let Err(error) = stream.set_nodelay(true) {
                        tracing::debug!(%error, "could not set TCP_NODELAY");
                    }
                    return (stream, peer.ip());
                }
                Err(error) => {
                    tracing::warn!(%error, "could not accept a connection");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }
}
