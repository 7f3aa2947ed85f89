//! Listening sockets.
//!
//! Invariant: an accept error never ends the loop; a machine that is out of file descriptors gets a pause, not a spin.

use anyhow::Context as _;
use std::{io, net::SocketAddr, time::Duration};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

/// Connections that the kernel holds until they are accepted, or as many as `net.core.somaxconn` allows. A client whose
/// connection finds no room tries again only after a second.
const QUEUE: u32 = 4096;

pub struct Listener {
    socket: TcpListener,
    pub address: SocketAddr,
}

impl Listener {
    /// `what` is the configuration key, for the error's words.
    pub fn bind(what: &str, address: SocketAddr) -> anyhow::Result<Self> {
        let socket = listen(address).with_context(|| {
            format!("can't listen on {address}: is another gateway running? choose another address with `{what}`")
        })?;
        let address = socket.local_addr().context("can't read the address that was bound")?;
        Ok(Self { socket, address })
    }

    pub async fn accept(&self) -> (TcpStream, SocketAddr) {
        /// Long enough for some descriptors to be closed, short enough not to be noticed.
        const PAUSE: Duration = Duration::from_millis(50);
        loop {
            match self.socket.accept().await {
                Ok((stream, peer)) => {
                    if let Err(error) = stream.set_nodelay(true) {
                        tracing::debug!(%error, "could not set TCP_NODELAY");
                    }
                    return (stream, peer);
                }
                Err(error) => {
                    tracing::warn!(%error, "could not accept a connection");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // Connections of an earlier process that are still closing don't hold the port.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(QUEUE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    #[tokio::test]
    async fn a_burst_of_connections_waits_to_be_accepted() {
        let system = std::fs::read_to_string("/proc/sys/net/core/somaxconn").unwrap();
        let many = system.trim().parse::<usize>().unwrap().min(1000);
        let listener = Listener::bind("listen", SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap();
        let burst = async {
            let mut all = Vec::new();
            for _ in 0..many {
                all.push(TcpStream::connect(listener.address).await.unwrap());
            }
            all
        };
        // Nobody accepts meanwhile, so one that finds no room is never connected.
        let all = tokio::time::timeout(Duration::from_secs(20), burst).await.unwrap();
        assert_eq!(all.len(), many);
    }
}
