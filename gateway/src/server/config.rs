//! The `[server]` section.
//!
//! Invariant: every default is on the safe side: plain HTTP stays on loopback, and no proxy is trusted.

use crate::{
    model::Network,
    policy::{ForwardedHeader, Origin, TrustedProxies},
};
use anyhow::bail;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ServerConfig {
    /// Client connections at the same time. When all are taken, who hasn't asked anything, rests longest, or takes nothing of
    /// its answers makes room.
    pub max_connections: usize,
    /// Of these, so many from one client address (IPv6: one /64); 0 is a quarter. Loopback and trusted proxies are exempt.
    pub max_connections_per_client: usize,
    /// A request's head must arrive in this time: what slow-loris clients run into. The first one's begins with the connection,
    /// that of others over HTTP/1.1 with their first byte.
    pub header_timeout_ms: u64,
    /// A connection without a request in flight is closed after this time, also if it answers pings.
    pub idle_timeout_ms: u64,
    /// A client that doesn't take the next piece of one of its answers (64 KiB; over HTTP/2 also all that is left) for this time loses
    /// the connection, whatever else it does there.
    pub stall_timeout_ms: u64,
    /// How long requests in flight may take to finish after SIGTERM.
    pub drain_ms: u64,
    /// Allows plain HTTP beyond loopback, on both listeners.
    pub plain_http: bool,
    /// The same, for `admin_listen` alone.
    pub plain_admin_http: bool,
    /// Proxies whose forwarding header is believed.
    pub trusted_proxies: Vec<Network>,
    /// The header that they write.
    pub forwarded_header: ForwardedHeader,
    /// Where people find the gateway: what links for them begin with.
    pub public_url: Option<Origin>,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            max_connections: 10_000,
            max_connections_per_client: 0,
            header_timeout_ms: 10_000,
            idle_timeout_ms: 120_000,
            stall_timeout_ms: 30_000,
            drain_ms: 20_000,
            plain_http: false,
            plain_admin_http: false,
            trusted_proxies: Vec::new(),
            forwarded_header: ForwardedHeader::default(),
            public_url: None,
        }
    }
}

impl ServerConfig {
    /// Credentials and answers must not cross a network in plain, unless the operator says that something else protects them.
    pub fn check_exposure(&self, listen: SocketAddr, has_tls: bool) -> anyhow::Result<()> {
        if self.is_exposed(listen, has_tls) {
            bail!(
                "`listen` is {listen}, beyond loopback, and there is no TLS: set `tls.certificate` and `tls.key`, or \
                 `server.plain_http = true` if a proxy on a trusted network does TLS"
            );
        }
        Ok(())
    }

    /// The same of the admin listener: who reads metrics learns who the clients are.
    pub fn check_admin_exposure(&self, listen: SocketAddr, has_tls: bool) -> anyhow::Result<()> {
        if !self.plain_admin_http && self.is_exposed(listen, has_tls) {
            bail!(
                "`admin_listen` is {listen}, beyond loopback, without TLS: set `tls.admin = true` beside `tls.certificate` and \
                 `tls.key`, or `server.plain_admin_http = true` on a trusted network"
            );
        }
        Ok(())
    }

    fn is_exposed(&self, listen: SocketAddr, has_tls: bool) -> bool {
        !has_tls && !self.plain_http && !listen.ip().to_canonical().is_loopback()
    }

    pub(super) fn proxies(&self) -> TrustedProxies {
        TrustedProxies::new(self.trusted_proxies.clone(), self.forwarded_header)
    }

    pub(super) fn per_client(&self) -> usize {
        match self.max_connections_per_client {
            0 => (self.max_connections / 4).max(1),
            most => most,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_beyond_loopback_must_be_asked_for() {
        let asked = ServerConfig { plain_http: true, ..ServerConfig::default() };
        let admin = ServerConfig { plain_admin_http: true, ..ServerConfig::default() };
        for (address, plain) in [
            ("127.0.0.1:80", true),
            ("127.9.9.9:80", true),
            ("[::1]:80", true),
            ("[::ffff:127.0.0.1]:80", true),
            ("0.0.0.0:80", false),
            ("[::]:80", false),
            ("10.0.0.1:80", false),
        ] {
            let address = address.parse().unwrap();
            assert_eq!(ServerConfig::default().check_exposure(address, false).is_ok(), plain, "{address}");
            assert!(ServerConfig::default().check_exposure(address, true).is_ok(), "{address}");
            assert!(asked.check_exposure(address, false).is_ok(), "{address}");
            // The admin listener, and with it no other.
            assert_eq!(ServerConfig::default().check_admin_exposure(address, false).is_ok(), plain, "{address}");
            assert!(ServerConfig::default().check_admin_exposure(address, true).is_ok(), "{address}");
            assert!(asked.check_admin_exposure(address, false).is_ok() && admin.check_admin_exposure(address, false).is_ok());
            assert_eq!(admin.check_exposure(address, false).is_ok(), plain, "{address}");
        }
    }
}
