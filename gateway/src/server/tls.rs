//! TLS of the listeners: one certificate for all names, HTTP/1.1 and 2 by ALPN.
//!
//! In go the `[tls]` section and its two files; out come encrypted streams. Invariant: TLS 1.2 and 1.3 with rustls's own choice
//! of ciphers; a handshake ends within its time, and there is a bound on handshakes at the same time, where the oldest makes
//! room. Sessions are resumed by tickets, under keys that stay in memory and rotate.

mod pair;
mod reload;

pub use reload::watch;

use super::{life::Reason, places::Place};
use crate::{clock, metrics::Metrics};
use anyhow::{Context as _, bail};
use arc_swap::ArcSwap;
use http::HeaderValue;
use pair::{Files, Pair};
use rustls::{
    ServerConfig,
    crypto::{CryptoProvider, ring},
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use serde::{Deserialize, Serialize};
use std::{path::PathBuf, sync::Arc, time::Duration};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, server::TlsStream};

/// The `[tls]` section.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TlsConfig {
    /// The chain as PEM, the own certificate first. With it, `listen` speaks TLS alone.
    pub certificate: Option<PathBuf>,
    /// The private key as PEM.
    pub key: Option<PathBuf>,
    /// Whether `admin_listen` speaks TLS, too.
    pub admin: bool,
    pub handshake_timeout_ms: u64,
    /// Handshakes at the same time.
    pub max_handshakes: usize,
    /// `Strict-Transport-Security: max-age`; 0 leaves it out.
    pub hsts_seconds: u64,
}

impl Default for TlsConfig {
    fn default() -> Self {
        Self {
            certificate: None,
            key: None,
            admin: false,
            handshake_timeout_ms: 10_000,
            max_handshakes: 1_000,
            hsts_seconds: 31_536_000,
        }
    }
}

pub struct Tls {
    acceptor: TlsAcceptor,
    current: Arc<Current>,
    provider: Arc<CryptoProvider>,
    files: Files,
    /// Of the files at the start.
    fingerprint: [u8; 32],
    patience: Duration,
    pub(super) max_handshakes: usize,
    pub(super) hsts: Option<HeaderValue>,
    metrics: Arc<Metrics>,
}

/// The pair for new handshakes.
#[derive(Debug)]
struct Current(ArcSwap<CertifiedKey>);

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load_full())
    }
}

/// Why there was no handshake.
#[derive(Debug, thiserror::Error)]
pub enum HandshakeError {
    #[error("the TLS handshake took too long")]
    Late,
    #[error("the TLS handshake had to make room")]
    Evicted(Reason),
    #[error("the TLS handshake failed: {0}")]
    Failed(#[from] std::io::Error),
}

impl Tls {
    /// None without a certificate in the configuration.
    pub fn load(config: &TlsConfig, metrics: &Arc<Metrics>) -> anyhow::Result<Option<Arc<Self>>> {
        let Some(files) = files(config)? else { return Ok(None) };
        let provider = Arc::new(ring::default_provider());
        let content = files.read()?;
        let pair = files.parse(&content, &provider)?;
        warn_if_unusable(&files, &pair);
        let current = Arc::new(Current(ArcSwap::new(Arc::clone(&pair.key))));
        let server = server_config(&provider, &current)?;
        let tls = Self {
            acceptor: TlsAcceptor::from(Arc::new(server)),
            current,
            provider,
            fingerprint: content.fingerprint(),
            files,
            patience: Duration::from_millis(config.handshake_timeout_ms),
            max_handshakes: config.max_handshakes,
            hsts: hsts(config.hsts_seconds)?,
            metrics: Arc::clone(metrics),
        };
        tls.take(&pair);
        Ok(Some(Arc::new(tls)))
    }

    fn take(&self, pair: &Pair) {
        self.current.0.store(Arc::clone(&pair.key));
        let none: [&str; 0] = [];
        self.metrics.tls_certificate_expiry.with_label_values(&none).set(pair.not_after);
    }

    pub(super) async fn handshake(&self, stream: TcpStream, place: &Place) -> Result<TlsStream<TcpStream>, HandshakeError> {
        place.begin_handshake();
        let shaken = tokio::select! {
            reason = place.life.evicted() => Err(HandshakeError::Evicted(reason)),
            shaken = tokio::time::timeout(self.patience, self.acceptor.accept(stream)) => match shaken {
                Ok(shaken) => shaken.map_err(HandshakeError::Failed),
                Err(_) => Err(HandshakeError::Late),
            },
        };
        place.end_handshake();
        let outcome = match &shaken {
            Ok(_) => "ok",
            Err(HandshakeError::Late) => "timeout",
            Err(HandshakeError::Evicted(_)) => "evicted",
            Err(HandshakeError::Failed(_)) => "failed",
        };
        self.metrics.tls_handshakes.with_label_values(&[outcome]).inc();
        shaken
    }
}

fn files(config: &TlsConfig) -> anyhow::Result<Option<Files>> {
    match (&config.certificate, &config.key) {
        (Some(certificate), Some(key)) => Ok(Some(Files { certificate: certificate.clone(), key: key.clone() })),
        (None, None) if config.admin => bail!("`tls.admin` needs `tls.certificate` and `tls.key`"),
        (None, None) => Ok(None),
        (Some(_), None) => bail!("`tls.certificate` is set, but `tls.key` isn't"),
        (None, Some(_)) => bail!("`tls.key` is set, but `tls.certificate` isn't"),
    }
}

/// An expired certificate doesn't keep the gateway from starting: it would turn a warning in browsers into an outage.
fn warn_if_unusable(files: &Files, pair: &Pair) {
    let (now, certificate) = (clock::now(), files.certificate.display());
    let (from, until) = (clock::from_unix(pair.not_before), clock::from_unix(pair.not_after));
    if now >= until {
        tracing::error!(%certificate, "the TLS certificate expired at {until}: clients will refuse it");
    } else if now < from {
        tracing::error!(%certificate, "the TLS certificate is valid from {from}: clients will refuse it until then");
    }
}

fn server_config(provider: &Arc<CryptoProvider>, current: &Arc<Current>) -> anyhow::Result<ServerConfig> {
    let mut config = ServerConfig::builder_with_provider(Arc::clone(provider))
        .with_safe_default_protocol_versions()
        .context("TLS versions")?
        .with_no_client_auth()
        .with_cert_resolver(Arc::clone(current) as Arc<dyn ResolvesServerCert>);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config.ticketer = ring::Ticketer::new().context("keys of TLS tickets")?;
    Ok(config)
}

fn hsts(seconds: u64) -> anyhow::Result<Option<HeaderValue>> {
    let value = (seconds > 0).then(|| HeaderValue::try_from(format!("max-age={seconds}")));
    value.transpose().context("`tls.hsts_seconds`")
}
