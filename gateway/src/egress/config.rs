//! Limits of egress, as operators write them (`[egress]` in the config file).
//!
//! In goes deserialized configuration; out come numbers that were checked once, at start.
//! Invariant: no limit can be switched off: absurd values are refused with the key's name. It grants nothing.

use crate::model::{Error, Kind};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Every number bounds what one upstream can make the gateway hold or wait for.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct EgressConfig {
    /// Bytes of an answer's body. 16 MiB: the largest lists of the known upstreams are below 4 MiB.
    pub response_body_bytes: usize,
    /// Bytes of a request's body; bulk bytes don't pass through guests.
    pub request_body_bytes: usize,
    /// Header fields of an answer.
    pub response_headers: usize,
    /// Bytes of all names and values of an answer's header.
    pub response_header_bytes: usize,
    /// Seconds for name resolution, connecting and the TLS handshake, each.
    pub connect_seconds: u64,
    /// Seconds for a whole exchange; the caller's deadline may be shorter.
    pub total_seconds: u64,
    /// Requests at the same time at one upstream of one connection, where the provider declares no smaller number.
    pub concurrency: u32,
    /// Of a hundred requests to an upstream, so many may be second tries (of what may be repeated). 0: none.
    pub retry_percent: u32,
    /// Failures in a row after which an upstream of a connection is left alone for a while.
    pub breaker_failures: u32,
    /// Milliseconds without a byte, after which a bulk transfer ends; it has no limit of time beside this one.
    pub transfer_idle_ms: u64,
    /// Bytes of one bulk transfer.
    pub transfer_max_bytes: u64,
    pub background: BackgroundConfig,
    /// https origins (`https://host[:port]`) outside upstreams from where bulk bytes may come, or to which they may go.
    pub blob_origins: Vec<String>,
}

/// Requests that the gateway runs in the background (image pulls).
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct BackgroundConfig {
    /// Seconds from start to end.
    pub max_seconds: u64,
    /// Running at the same time, over all connections; of one connection a quarter of that, and at least one.
    pub max_running: usize,
    /// Bytes that are kept of the end of the answer.
    pub tail_bytes: usize,
    /// Bytes of the whole answer, which is counted and not kept.
    pub max_bytes: u64,
    /// Seconds that an ended request stays known.
    pub keep_seconds: u64,
}

impl Default for EgressConfig {
    fn default() -> Self {
        Self {
            response_body_bytes: 16 << 20,
            request_body_bytes: 8 << 20,
            response_headers: 100,
            response_header_bytes: 64 << 10,
            connect_seconds: 10,
            total_seconds: 60,
            concurrency: 64,
            retry_percent: 10,
            breaker_failures: 5,
            transfer_idle_ms: 30_000,
            transfer_max_bytes: 10 << 30,
            background: BackgroundConfig::default(),
            blob_origins: Vec::new(),
        }
    }
}

impl Default for BackgroundConfig {
    fn default() -> Self {
        Self { max_seconds: 30 * 60, max_running: 64, tail_bytes: 16 << 10, max_bytes: 256 << 20, keep_seconds: 60 * 60 }
    }
}

impl EgressConfig {
    pub(super) fn validate(&self) -> Result<(), Error> {
        between("egress.response_body_bytes", self.response_body_bytes as u64, 1, 1 << 30)?;
        between("egress.request_body_bytes", self.request_body_bytes as u64, 1, 1 << 30)?;
        between("egress.response_headers", self.response_headers as u64, 1, 1000)?;
        // hyper reads a header into a buffer of at least 8 KiB.
        between("egress.response_header_bytes", self.response_header_bytes as u64, 8192, 1 << 20)?;
        between("egress.connect_seconds", self.connect_seconds, 1, 300)?;
        between("egress.total_seconds", self.total_seconds, 1, 3600)?;
        between("egress.concurrency", u64::from(self.concurrency), 1, 10_000)?;
        between("egress.retry_percent", u64::from(self.retry_percent), 0, 100)?;
        between("egress.breaker_failures", u64::from(self.breaker_failures), 1, 1000)?;
        between("egress.transfer_idle_ms", self.transfer_idle_ms, 100, 3_600_000)?;
        between("egress.transfer_max_bytes", self.transfer_max_bytes, 1, 1 << 50)?;
        let background = &self.background;
        between("egress.background.max_seconds", background.max_seconds, 1, 86_400)?;
        between("egress.background.max_running", background.max_running as u64, 1, 10_000)?;
        between("egress.background.tail_bytes", background.tail_bytes as u64, 1, 1 << 20)?;
        between("egress.background.max_bytes", background.max_bytes, 1, 1 << 40)?;
        between("egress.background.keep_seconds", background.keep_seconds, 1, 86_400)?;
        self.blob_origins.iter().enumerate().try_for_each(|(index, origin)| blob_origin(index, origin))
    }

    pub(super) const fn connect_timeout(&self) -> Duration {
        Duration::from_secs(self.connect_seconds)
    }

    pub(super) const fn transfer_idle(&self) -> Duration {
        Duration::from_millis(self.transfer_idle_ms)
    }

    pub(super) const fn total_timeout(&self) -> Duration {
        Duration::from_secs(self.total_seconds)
    }
}

fn between(key: &str, value: u64, least: u64, most: u64) -> Result<(), Error> {
    if (least..=most).contains(&value) {
        return Ok(());
    }
    Err(Error::new(Kind::InvalidInput, format!("{key} is {value}; it must be between {least} and {most}")).with_field(key))
}

fn blob_origin(index: usize, origin: &str) -> Result<(), Error> {
    let parsed = url::Url::parse(origin).ok().filter(|url| url.scheme() == "https" && url.has_host());
    if parsed.is_some_and(|url| url.origin().ascii_serialization() == origin) {
        return Ok(());
    }
    let field = format!("egress.blob_origins[{index}]");
    Err(Error::new(
        Kind::InvalidInput,
        format!("{field} is not an https origin; write it as https://host or https://host:port"),
    )
    .with_field(field))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_valid_and_zero_is_not() {
        assert_eq!(EgressConfig::default().validate(), Ok(()));
        let config = EgressConfig { total_seconds: 0, ..EgressConfig::default() };
        let error = config.validate().unwrap_err();
        assert_eq!(error.message, "egress.total_seconds is 0; it must be between 1 and 3600");
        assert!(toml::from_str::<EgressConfig>("total_secs = 1").is_err());
    }

    #[test]
    fn blob_origins_are_origins() {
        for (origin, good) in [
            ("https://blobs.example", true),
            ("https://blobs.example:8443", true),
            ("http://blobs.example", false),
            ("https://blobs.example/", false),
            ("https://user@blobs.example", false),
            ("blobs.example", false),
        ] {
            let config = EgressConfig { blob_origins: vec![origin.to_owned()], ..EgressConfig::default() };
            assert_eq!(config.validate().is_ok(), good, "{origin}");
        }
    }
}
