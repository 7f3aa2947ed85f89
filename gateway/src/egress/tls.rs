//! TLS: whom to trust at an https upstream, and words for what went wrong.
//!
//! In goes a connection's [`TlsTrust`]; out comes a rustls client configuration, built once for a connection's revision, so
//! that sessions aren't shared between connections. Invariant: there is no way to switch verification off: a pin replaces the
//! chain, and the handshake's signature is verified even then.

use super::grant::hex;
use crate::model::{Error, Kind, TlsTrust};
use rustls::{
    CertificateError, ClientConfig, ConfigBuilder, DigitallySignedStruct, RootCertStore, SignatureScheme, WantsVerifier,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject as _},
};
use std::sync::{Arc, LazyLock};

static PROVIDER: LazyLock<Arc<CryptoProvider>> = LazyLock::new(|| Arc::new(rustls::crypto::ring::default_provider()));
static PUBLIC_ROOTS: LazyLock<Arc<RootCertStore>> =
    LazyLock::new(|| Arc::new(webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect()));

/// Bytes of `tls.ca`, and certificates in it: a handshake looks through all of them, and they are in memory for each connection.
const MAX_CA: usize = 64 * 1024;
const MAX_AUTHORITIES: usize = 16;

/// Whether a connection may have this trust, also one that has no upstream over TLS yet.
pub fn check_trust(trust: &TlsTrust) -> Result<(), Error> {
    trust.ca.as_deref().map_or(Ok(()), check_ca)?;
    client_config(trust).map(drop)
}

/// It is shown to whoever sees the connection, so it isn't a place for anything else: neither a key nor words.
fn check_ca(pem: &str) -> Result<(), Error> {
    if pem.len() > MAX_CA {
        return Err(wrong_ca(format_args!("may have {MAX_CA} bytes at most")));
    }
    match certificates_alone(pem) {
        Some(..=MAX_AUTHORITIES) => Ok(()),
        Some(many) => Err(wrong_ca(format_args!("may hold {MAX_AUTHORITIES} certificates at most, not {many}"))),
        None => Err(wrong_ca(format_args!("must be PEM certificates and nothing else; take out all that is outside of them"))),
    }
}

/// How many certificates there are. None: there is something else.
fn certificates_alone(pem: &str) -> Option<usize> {
    let is_base64 = |line: &str| line.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte));
    let (mut count, mut inside) = (0, false);
    for line in pem.split(['\n', '\r']).map(str::trim) {
        match line {
            "-----BEGIN CERTIFICATE-----" if !inside => (count, inside) = (count + 1, true),
            "-----END CERTIFICATE-----" if inside => inside = false,
            "" => {}
            _ if inside && is_base64(line) => {}
            _ => return None,
        }
    }
    (!inside).then_some(count)
}

fn wrong_ca(why: std::fmt::Arguments<'_>) -> Error {
    Error::new(Kind::InvalidInput, format!("tls.ca {why}")).with_field("tls.ca")
}

/// The client side of TLS for one connection, with h2 and http/1.1 offered.
pub(super) fn client_config(trust: &TlsTrust) -> Result<Arc<ClientConfig>, Error> {
    let roots = trust.ca.as_deref().map_or_else(|| Ok(Arc::clone(&PUBLIC_ROOTS)), private_roots)?;
    let Some(fingerprint) = &trust.fingerprint else { return with_roots(roots) };
    let chain = trust.ca.is_some().then(|| verifier(roots)).transpose()?;
    let pinned = Pinned { fingerprint: fingerprint_bytes(fingerprint)?, chain };
    let config = builder()?.dangerous().with_custom_certificate_verifier(Arc::new(pinned)).with_no_client_auth();
    Ok(Arc::new(offering_both(config)))
}

fn with_roots(roots: Arc<RootCertStore>) -> Result<Arc<ClientConfig>, Error> {
    Ok(Arc::new(offering_both(builder()?.with_root_certificates(roots).with_no_client_auth())))
}

fn builder() -> Result<ConfigBuilder<ClientConfig, WantsVerifier>, Error> {
    ClientConfig::builder_with_provider(Arc::clone(&PROVIDER))
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::gateway(format_args!("TLS versions: {error}")))
}

fn offering_both(mut config: ClientConfig) -> ClientConfig {
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config
}

/// For blob origins: public authorities and the connection's own. A pin is the certificate of another server.
pub(super) fn blob_config(trust: &TlsTrust) -> Result<Arc<ClientConfig>, Error> {
    let Some(ca) = &trust.ca else { return client_config(&TlsTrust::default()) };
    let mut roots = RootCertStore::clone(&PUBLIC_ROOTS);
    roots.extend(private_roots(ca)?.roots.iter().cloned());
    with_roots(Arc::new(roots))
}

/// Of the same trust and sessions, but HTTP/1.1 alone.
pub(super) fn http1_only(config: &Arc<ClientConfig>) -> Arc<ClientConfig> {
    let mut config = ClientConfig::clone(config);
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Arc::new(config)
}

fn private_roots(pem: &str) -> Result<Arc<RootCertStore>, Error> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        let certificate = certificate.map_err(|error| wrong_ca(format_args!("is not PEM: {error}")))?;
        let added = roots.add(certificate);
        added.map_err(|error| wrong_ca(format_args!("holds a certificate that can't be an authority: {error}")))?;
    }
    if roots.is_empty() {
        return Err(wrong_ca(format_args!("holds no certificate; give it as PEM, with the BEGIN and END lines")));
    }
    Ok(Arc::new(roots))
}

fn verifier(roots: Arc<RootCertStore>) -> Result<Arc<WebPkiServerVerifier>, Error> {
    WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(&PROVIDER))
        .build()
        .map_err(|error| Error::gateway(format_args!("TLS verifier: {error}")))
}

/// 64 hex digits; colons between bytes and upper case are fine, since that is how browsers and openssl print them.
fn fingerprint_bytes(text: &str) -> Result<[u8; 32], Error> {
    let digits: Vec<u8> = text.bytes().filter(|byte| *byte != b':').collect();
    let mut out = [0; 32];
    let complete = digits.len() == 64
        && out.iter_mut().zip(digits.chunks_exact(2)).all(|(out, pair)| {
            let digit = |byte: u8| char::from(byte).to_digit(16);
            let Some((high, low)) = digit(pair[0]).zip(digit(pair[1])) else { return false };
            *out = (high * 16 + low) as u8;
            true
        });
    let wrong = || {
        Error::new(Kind::InvalidInput, "tls.fingerprint must be the SHA-256 of the server's certificate, as 64 hex digits")
            .with_field("tls.fingerprint")
    };
    complete.then_some(out).ok_or_else(wrong)
}

/// Accepts one certificate and no other; with `chain`, the private authority must have signed it as well.
#[derive(Debug)]
struct Pinned {
    fingerprint: [u8; 32],
    chain: Option<Arc<WebPkiServerVerifier>>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let presented = ring::digest::digest(&ring::digest::SHA256, end_entity);
        if presented.as_ref() != self.fingerprint {
            return Err(CertificateError::ApplicationVerificationFailure.into());
        }
        match &self.chain {
            Some(chain) => chain.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now),
            None => Ok(ServerCertVerified::assertion()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &PROVIDER.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &PROVIDER.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        PROVIDER.signature_verification_algorithms.supported_schemes()
    }
}

/// A failed handshake, in words that the connection's owner can act on.
pub(super) fn handshake_failed(host: &str, error: &std::io::Error) -> Error {
    let cause = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    let why = match cause {
        Some(rustls::Error::InvalidCertificate(certificate)) => certificate_words(certificate),
        Some(rustls::Error::AlertReceived(alert)) => format!("the server ended the TLS handshake ({alert:?})"),
        Some(rustls::Error::InvalidMessage(_)) => {
            "it doesn't answer with TLS; check the port, or whether it speaks plain http".to_owned()
        }
        Some(_) => "no TLS handshake that both sides accept was possible".to_owned(),
        None => "the connection ended during the TLS handshake; check that the port speaks https".to_owned(),
    };
    Error::new(Kind::Unavailable, format!("{host}: {why}")).with_code("upstream_tls").with_internal(error)
}

fn certificate_words(error: &CertificateError) -> String {
    match error {
        // A bad signature is an authority of the same name with another key.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            "its certificate comes from an unknown issuer; give the authority in tls.ca, or pin the certificate in tls.fingerprint"
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "its certificate has expired; it must be renewed on the server"
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "its certificate isn't valid yet; check the clocks of both sides"
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "its certificate is for another name; use the name that the certificate has"
        }
        CertificateError::Revoked => "its certificate was revoked",
        CertificateError::ApplicationVerificationFailure => {
            "its certificate isn't the pinned one; if it was renewed on purpose, change tls.fingerprint"
        }
        other => return format!("its certificate can't be accepted ({other})"),
    }
    .to_owned()
}

/// What `tls.fingerprint` would have to be for this certificate.
pub(super) fn fingerprint(certificate: &CertificateDer<'_>) -> String {
    hex(ring::digest::digest(&ring::digest::SHA256, certificate).as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trust_that_cant_be_used_is_named() {
        let trust = |ca: Option<&str>, fingerprint: Option<&str>| TlsTrust {
            ca: ca.map(str::to_owned),
            fingerprint: fingerprint.map(str::to_owned),
        };
        let colons = "AA:".repeat(31) + "aa";
        for (trust, field) in [
            (trust(None, None), None),
            (trust(None, Some(&"a".repeat(64))), None),
            (trust(None, Some(&colons)), None),
            (trust(None, Some("abc")), Some("tls.fingerprint")),
            (trust(None, Some(&"g".repeat(64))), Some("tls.fingerprint")),
            (trust(Some("nothing"), None), Some("tls.ca")),
        ] {
            assert_eq!(client_config(&trust).err().and_then(|error| error.field).as_deref(), field);
        }
    }
}
