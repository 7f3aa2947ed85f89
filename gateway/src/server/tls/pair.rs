//! The certificate and its private key, read from files.
//!
//! In go two paths; out comes a pair that belongs together, or a sentence that says which file is wrong and how. Invariant: a
//! private key that other users can read or change is refused, as ssh does; its group may read it, which is how systems
//! hand keys to services.

use crate::clock;
use anyhow::{Context as _, bail, ensure};
use ring::digest::{Context, SHA256};
use rustls::{
    crypto::CryptoProvider,
    pki_types::{
        CertificateDer, PrivateKeyDer,
        pem::{self, PemObject as _},
    },
    sign::CertifiedKey,
};
use std::{
    fs::{self, File},
    io::Read as _,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};
use zeroize::Zeroizing;

/// A chain takes a few KiB.
const MOST: u64 = 1 << 20;

/// Where the pair lies.
#[derive(Clone, Debug)]
pub struct Files {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

/// What the files held.
pub struct Content {
    certificate: Vec<u8>,
    key: Zeroizing<Vec<u8>>,
}

#[derive(Clone)]
pub struct Pair {
    pub key: Arc<CertifiedKey>,
    /// Unix seconds: from when, and until when the own certificate is valid, which is the first of the chain.
    pub not_before: i64,
    pub not_after: i64,
}

impl Files {
    pub fn read(&self) -> anyhow::Result<Content> {
        let certificate = read(&self.certificate).with_context(|| named("tls.certificate", &self.certificate))?;
        let key = read_private(&self.key).with_context(|| named("tls.key", &self.key))?;
        Ok(Content { certificate, key })
    }

    pub fn parse(&self, content: &Content, provider: &CryptoProvider) -> anyhow::Result<Pair> {
        let chain = CertificateDer::pem_slice_iter(&content.certificate)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| anyhow::anyhow!("it isn't PEM: {error}"))
            .with_context(|| named("tls.certificate", &self.certificate))?;
        let dates = validity(&chain).with_context(|| named("tls.certificate", &self.certificate))?;
        self.warn_of_issuers(dates.issuers_not_after);
        let key = PrivateKeyDer::from_pem_slice(&content.key)
            .map_err(|error| no_key(&content.key, &error))
            .with_context(|| named("tls.key", &self.key))?;
        let key = CertifiedKey::from_der(chain, key, provider).map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => {
                anyhow::anyhow!("{} isn't the private key of {}", self.key.display(), self.certificate.display())
            }
            error => anyhow::anyhow!("{}: {error}", named("tls.key", &self.key)),
        })?;
        Ok(Pair { key: Arc::new(key), not_before: dates.not_before, not_after: dates.not_after })
    }

    fn warn_of_issuers(&self, not_after: Option<i64>) {
        if let Some(until) = not_after.map(clock::from_unix).filter(|&until| until <= clock::now()) {
            let certificate = self.certificate.display();
            tracing::warn!(%certificate, "a further certificate of the chain expired at {until}: who needs it will refuse");
        }
    }
}

impl Content {
    /// Tells contents apart without keeping a key in memory.
    pub fn fingerprint(&self) -> [u8; 32] {
        let mut context = Context::new(&SHA256);
        // The length keeps the two apart.
        context.update(&(self.certificate.len() as u64).to_be_bytes());
        context.update(&self.certificate);
        context.update(&self.key);
        let mut out = [0; 32];
        out.copy_from_slice(context.finish().as_ref());
        out
    }
}

/// Of PKCS #8 its label says that it is encrypted, of the older forms a line below that.
fn no_key(content: &[u8], error: &pem::Error) -> anyhow::Error {
    const ENCRYPTED: &[u8] = b"ENCRYPTED";
    if content.windows(ENCRYPTED.len()).any(|part| part == ENCRYPTED) {
        return anyhow::anyhow!("it is encrypted; store it without a passphrase (openssl pkey -in OLD -out NEW)");
    }
    anyhow::anyhow!("it holds no private key in PEM: {error}")
}

fn named(key: &str, path: &Path) -> String {
    format!("`{key}` {}", path.display())
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    ensure!(fs::metadata(path)?.is_file(), "it isn't a file");
    let mut content = Vec::new();
    File::open(path)?.take(MOST).read_to_end(&mut content)?;
    Ok(content)
}

fn read_private(path: &Path) -> anyhow::Result<Zeroizing<Vec<u8>>> {
    let mode = fs::metadata(path)?.permissions().mode();
    if mode & 0o027 != 0 {
        bail!("others may read or change it (mode {:o}): chmod 640 or 600 it", mode & 0o777);
    }
    read(path).map(Zeroizing::new)
}

/// In Unix seconds.
struct Validity {
    not_before: i64,
    not_after: i64,
    /// When the first of the other certificates expires.
    issuers_not_after: Option<i64>,
}

/// The own certificate's dates decide. What expired behind it may be there on purpose, cross-signed for old clients: others have a
/// way of their own to a root that they trust.
fn validity(chain: &[CertificateDer<'_>]) -> anyhow::Result<Validity> {
    let dates = chain.iter().map(dates).collect::<anyhow::Result<Vec<_>>>()?;
    let (&(not_before, not_after), issuers) = dates.split_first().context("it holds no certificate in PEM")?;
    Ok(Validity { not_before, not_after, issuers_not_after: issuers.iter().map(|&(_, until)| until).min() })
}

fn dates(certificate: &CertificateDer<'_>) -> anyhow::Result<(i64, i64)> {
    let (_, parsed) = x509_parser::parse_x509_certificate(certificate)
        .map_err(|error| anyhow::anyhow!("it holds a certificate that can't be read: {error}"))?;
    let validity = parsed.validity();
    Ok((validity.not_before.timestamp(), validity.not_after.timestamp()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(folder: &Path, name: &str) -> Files {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let files = Files { certificate: folder.join(format!("{name}.crt")), key: folder.join(format!("{name}.key")) };
        fs::write(&files.certificate, made.cert.pem()).unwrap();
        fs::write(&files.key, made.signing_key.serialize_pem()).unwrap();
        fs::set_permissions(&files.key, fs::Permissions::from_mode(0o600)).unwrap();
        files
    }

    fn load(files: &Files) -> anyhow::Result<Pair> {
        files.parse(&files.read()?, &rustls::crypto::ring::default_provider())
    }

    #[test]
    fn a_pair_is_taken_and_anything_else_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let (one, other) = (pair(folder.path(), "one"), pair(folder.path(), "other"));
        let good = load(&one).unwrap();
        assert!(good.not_before < good.not_after);
        let text = |files: &Files| format!("{:#}", load(files).err().unwrap());
        let mixed = Files { key: other.key.clone(), ..one.clone() };
        assert!(text(&mixed).contains("isn't the private key of"), "{}", text(&mixed));
        for (certificate, key, wanted) in [
            ("missing", "one.key", "`tls.certificate`"),
            ("one.crt", "missing", "`tls.key`"),
            ("one.key", "one.key", "no certificate"),
            ("one.crt", "one.crt", "no private key"),
            (".", "one.key", "isn't a file"),
        ] {
            let files = Files { certificate: folder.path().join(certificate), key: folder.path().join(key) };
            // A certificate may be read by everybody, but as a key it would be refused for that.
            if key == "one.crt" {
                fs::set_permissions(&files.key, fs::Permissions::from_mode(0o600)).unwrap();
            }
            assert!(text(&files).contains(wanted), "{certificate} {key}: {}", text(&files));
        }
    }

    #[test]
    fn an_encrypted_key_is_told_from_none() {
        let folder = tempfile::tempdir().unwrap();
        let files = pair(folder.path(), "one");
        let plain = fs::read_to_string(&files.key).unwrap();
        let older = "-----BEGIN EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\nAAAA\n\
                     -----END EC PRIVATE KEY-----\n";
        for text in [plain.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY"), older.to_owned()] {
            fs::write(&files.key, &text).unwrap();
            let told = format!("{:#}", load(&files).err().unwrap());
            assert!(told.contains("`tls.key`") && told.contains("it is encrypted; store it without a passphrase"), "{told}");
        }
    }

    #[test]
    fn the_own_certificate_decides_and_not_what_expired_behind_it() {
        let folder = tempfile::tempdir().unwrap();
        let files = pair(folder.path(), "one");
        let alone = load(&files).unwrap();
        let mut old = rcgen::CertificateParams::new(vec!["old.example".to_owned()]).unwrap();
        old.not_after = rcgen::date_time_ymd(2020, 1, 1);
        let old = old.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap();
        let chain = fs::read_to_string(&files.certificate).unwrap() + &old.pem();
        fs::write(&files.certificate, chain).unwrap();
        let whole = load(&files).unwrap();
        assert_eq!(whole.key.cert.len(), 2, "it is shown all the same");
        assert_eq!((whole.not_before, whole.not_after), (alone.not_before, alone.not_after));
        // 2020-01-01: of that it is warned.
        assert_eq!(validity(&whole.key.cert).unwrap().issuers_not_after, Some(1_577_836_800));
        assert_eq!(validity(&alone.key.cert).unwrap().issuers_not_after, None);
    }

    #[test]
    fn a_key_that_others_can_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let files = pair(folder.path(), "one");
        for (mode, good) in [(0o600, true), (0o400, true), (0o640, true), (0o660, false), (0o644, false), (0o602, false)] {
            fs::set_permissions(&files.key, fs::Permissions::from_mode(mode)).unwrap();
            let loaded = load(&files);
            assert_eq!(loaded.is_ok(), good, "{mode:o}");
            assert!(loaded.is_ok() || format!("{:#}", loaded.err().unwrap()).contains("chmod"));
        }
    }

    #[test]
    fn another_content_has_another_fingerprint() {
        let content = |certificate: &str, key: &str| {
            Content { certificate: certificate.into(), key: Zeroizing::new(key.into()) }.fingerprint()
        };
        assert_eq!(content("a", "b"), content("a", "b"));
        assert_ne!(content("ab", "c"), content("a", "bc"));
    }
}
