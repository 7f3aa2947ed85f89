//! TLS: private authorities, pins, and words for what is wrong.

use super::{server::ok, *};
use rcgen::{CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    pub fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        Self { issuer: CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap() }
    }

    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// A server's configuration, and its certificate's fingerprint.
    pub fn server(&self, name: &str, expired: bool) -> (Arc<rustls::ServerConfig>, String) {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        if expired {
            (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2020, 2, 1));
        }
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let fingerprint = tls::fingerprint(certificate.der());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der())),
            )
            .unwrap();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        (Arc::new(config), fingerprint)
    }
}

pub fn bind_tls(port: u16, tls: TlsTrust) -> Arc<Upstreams> {
    let connection = ConnectionSpec { tls, ..connection(&[]) };
    let declaration = [upstream(&format!("https://127.0.0.1:{port}"))];
    egress(EgressConfig::default(), &[LOOPBACK]).bind(&connection, &COMPONENT, &declaration).unwrap()
}

#[tokio::test]
async fn https_is_trusted_by_authority_or_pin_and_failures_say_what_to_do() {
    let authority = Authority::new();
    let other = Authority::new();
    let wrong_pin = "a".repeat(64);
    let ca = |authority: &Authority| Some(authority.issuer.pem());
    // (name in the certificate, expired, trusted authority, pin: own or wrong, words of the error)
    for (name, expired, ca, pin, words) in [
        ("127.0.0.1", false, ca(&authority), None, None),
        ("127.0.0.1", false, None, Some(true), None),
        ("127.0.0.1", false, ca(&authority), Some(true), None),
        ("elsewhere.example", true, None, Some(true), None),
        ("127.0.0.1", false, None, None, Some("unknown issuer")),
        ("127.0.0.1", false, ca(&other), None, Some("unknown issuer")),
        ("127.0.0.1", false, ca(&other), Some(true), Some("unknown issuer")),
        ("127.0.0.1", true, ca(&authority), None, Some("expired")),
        ("elsewhere.example", false, ca(&authority), None, Some("another name")),
        ("127.0.0.1", false, None, Some(false), Some("isn't the pinned one")),
        ("127.0.0.1", false, ca(&authority), Some(false), Some("isn't the pinned one")),
    ] {
        let (config, own_pin) = authority.server(name, expired);
        let server = Server::https(config, |(parts, _)| ok(format!("{:?}", parts.version))).await;
        let fingerprint = pin.map(|own| if own { own_pin.clone() } else { wrong_pin.clone() });
        let shown = format!("{name} expired={expired} ca={} pin={pin:?}", ca.is_some());
        let upstreams = bind_tls(server.port, TlsTrust { ca, fingerprint });
        let result = upstreams.send(get(&[]), &reading()).await;
        let checks = upstreams.probe("api").await.unwrap();
        let last = checks.last().unwrap();
        match (result, words) {
            (Ok(response), None) => {
                assert_eq!(response.body, "HTTP/2.0", "{shown}");
                assert_eq!((last.name, last.ok), ("tls", true), "{shown}");
                assert!(last.detail.contains(&own_pin));
            }
            (Err(error), Some(words)) => {
                assert_eq!((error.kind, error.code()), (Kind::Unavailable, "upstream_tls"), "{shown}");
                assert!(error.message.contains(words), "{shown}: {error}");
                assert_eq!((last.name, last.ok, last.detail.as_str()), ("tls", false, error.message.as_str()), "{shown}");
                assert!(server.seen().is_empty());
            }
            (result, words) => panic!("{shown}: {result:?} instead of {words:?}"),
        }
    }
}

#[tokio::test]
async fn a_plain_server_behind_https_is_told_apart() {
    let server = Server::http(|_| ok("")).await;
    let error = bind_tls(server.port, TlsTrust::default()).send(get(&[]), &reading()).await.unwrap_err();
    assert_eq!((error.kind, error.code()), (Kind::Unavailable, "upstream_tls"));
    assert!(error.message.contains("https") || error.message.contains("plain http"), "{error}");
}

#[tokio::test]
async fn a_probe_ends_at_what_fails() {
    let public_http = "organization = \"acme\"\nprovider = \"kinsta\"\nhttp = true";
    let egress = egress(EgressConfig::default(), &[public_http]);
    for (url, name) in [("http://localhost:1", "grant"), ("http://no-such-name.invalid", "dns")] {
        let upstreams = egress.bind(&connection(&[]), &COMPONENT, &[upstream(url)]).unwrap();
        let checks = upstreams.probe("api").await.unwrap();
        assert_eq!(checks.iter().map(|check| (check.name, check.ok)).collect::<Vec<_>>(), [(name, false)]);
    }
    let upstreams = bound(upstream("http://127.0.0.1:1"));
    let checks = upstreams.probe("api").await.unwrap();
    let names: Vec<_> = checks.iter().map(|check| (check.name, check.ok)).collect();
    assert_eq!(names, [("dns", true), ("grant", true), ("connect", false)]);
    assert!(upstreams.probe("other").await.is_err());
}

#[test]
fn an_authority_is_certificates_and_nothing_else() {
    let one = Authority::new().pem().replace('\r', "").trim().to_owned() + "\n";
    for (ca, expected) in [
        (one.clone(), None),
        (format!("\n{}  \r\n\n", one.trim_end().replace('\n', "\r\n")), None),
        (one.repeat(16), None),
        (one.repeat(17), Some("16 certificates at most, not 17")),
        (format!("{one}{}", "\n".repeat(65_536)), Some("65536 bytes at most")),
        (format!("# ours\n{one}"), Some("nothing else")),
        (format!("{one}subject=CN = ca\n"), Some("nothing else")),
        (one.replace("-----BEGIN", "words -----BEGIN"), Some("nothing else")),
        (one.replace("CERTIFICATE", "PRIVATE KEY"), Some("nothing else")),
        (one.replace("-----END CERTIFICATE-----", ""), Some("nothing else")),
        (one.replacen('\n', "\nComment: x\n", 1), Some("nothing else")),
        (String::new(), Some("holds no certificate")),
    ] {
        let refused = tls::check_trust(&TlsTrust { ca: Some(ca.clone()), fingerprint: None }).err();
        let told = refused.as_ref().map(|error| (error.field.as_deref(), error.message.as_str()));
        let fits = match (told, expected) {
            (None, None) => true,
            (Some((field, message)), Some(words)) => field == Some("tls.ca") && message.contains(words),
            _ => false,
        };
        assert!(fits, "{told:?}, not {expected:?}: {ca:.200}");
    }
}
