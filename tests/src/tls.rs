//! TLS with certificates that were made for the test.
//!
//! In goes a folder; out come a certificate and its key as files, a client that trusts them alone, and a server that shows them. Invariant: nothing is
//! trusted that the test didn't make.

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::{
    ClientConfig, RootCertStore, ServerConfig, SupportedProtocolVersion,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject as _},
};
use std::{fs, io, net::SocketAddr, os::unix::fs::PermissionsExt as _, path::Path, sync::Arc, time::Duration};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, TlsConnector, client::TlsStream};

/// A self-signed certificate for `localhost` that expires at the start of this year.
pub struct Certificate {
    pub pem: String,
    pub key: String,
}

impl Certificate {
    pub fn until(year: i32) -> Self {
        let mut params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
        params.not_after = rcgen::date_time_ymd(year, 1, 1);
        let key = rcgen::KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("a certificate");
        Self { pem: certificate.pem(), key: key.serialize_pem() }
    }

    /// Writes `certificate.pem` and `key.pem`, one after the other, as renewals do.
    pub fn write(&self, folder: &Path) {
        fs::write(folder.join("certificate.pem"), &self.pem).expect("the certificate");
        let key = folder.join("key.pem");
        fs::write(&key, &self.key).expect("the key");
        fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).expect("its mode");
    }

    /// SHA-256 of the certificate, as openssl prints it: bytes in upper case with colons between.
    pub fn fingerprint(&self) -> String {
        let digest = ring::digest::digest(&ring::digest::SHA256, &self.der());
        digest.as_ref().iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(":")
    }

    /// A server that shows it.
    pub fn acceptor(&self) -> TlsAcceptor {
        let key = PrivateKeyDer::from_pem_slice(self.key.as_bytes()).expect("PEM");
        let builder = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()));
        let builder = builder.with_safe_default_protocol_versions().expect("versions").with_no_client_auth();
        let mut config = builder.with_single_cert(vec![self.der()], key).expect("a certificate and its key");
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        TlsAcceptor::from(Arc::new(config))
    }

    pub fn der(&self) -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(self.pem.as_bytes()).expect("PEM")
    }
}

/// Trusts these certificates.
#[derive(Clone)]
pub struct TlsClient {
    config: Arc<ClientConfig>,
    address: SocketAddr,
}

pub enum Http {
    One(http1::SendRequest<Full<Bytes>>),
    Two(http2::SendRequest<Full<Bytes>>),
}

impl TlsClient {
    /// `alpn`: offered protocols, the first one preferred.
    pub fn new(address: SocketAddr, trusted: &[&Certificate], alpn: &[&str]) -> Self {
        Self::with_versions(address, trusted, alpn, rustls::ALL_VERSIONS)
    }

    pub fn with_versions(
        address: SocketAddr,
        trusted: &[&Certificate],
        alpn: &[&str],
        versions: &[&'static SupportedProtocolVersion],
    ) -> Self {
        let mut roots = RootCertStore::empty();
        trusted.iter().for_each(|certificate| roots.add(certificate.der()).expect("a root"));
        let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()));
        let builder = builder.with_protocol_versions(versions).expect("versions");
        let mut config = builder.with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        Self { config: Arc::new(config), address }
    }

    pub async fn handshake(&self) -> io::Result<TlsStream<TcpStream>> {
        let stream = TcpStream::connect(self.address).await?;
        let name = ServerName::try_from("localhost").expect("a name");
        let connector = TlsConnector::from(Arc::clone(&self.config));
        tokio::time::timeout(Duration::from_secs(20), connector.connect(name, stream)).await?
    }

    /// A connection that speaks what was agreed.
    pub async fn connect(&self) -> io::Result<Http> {
        let stream = self.handshake().await?;
        let is_two = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        let io = TokioIo::new(stream);
        if is_two {
            let (sender, connection) = http2::handshake(TokioExecutor::new(), io).await.map_err(io::Error::other)?;
            tokio::spawn(connection);
            Ok(Http::Two(sender))
        } else {
            let (sender, connection) = http1::handshake(io).await.map_err(io::Error::other)?;
            tokio::spawn(connection);
            Ok(Http::One(sender))
        }
    }
}

impl Http {
    pub async fn get(&mut self, path: &str, token: &str) -> http::Response<Bytes> {
        let request = http::Request::get(format!("https://localhost{path}"));
        let request = request.header("host", "localhost").header("authorization", format!("Bearer {token}"));
        let request = request.body(Full::default()).expect("a request");
        let response = match self {
            Self::One(sender) => sender.send_request(request).await,
            Self::Two(sender) => {
                let (mut parts, body) = request.into_parts();
                parts.headers.remove("host");
                sender.send_request(http::Request::from_parts(parts, body)).await
            }
        };
        let (parts, body) = response.expect("an answer").into_parts();
        http::Response::from_parts(parts, body.collect().await.expect("a body").to_bytes())
    }
}
