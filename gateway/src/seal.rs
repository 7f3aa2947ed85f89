//! Sealing: authenticated encryption of what must not be readable in the database or by clients (secrets, arguments, cursors).
//!
//! In go plain bytes and the facts they are bound to (associated data); out come sealed bytes that open only under the same
//! facts and key. Invariant: keys are never printed, and a nonce is never used twice under one key (random, 96 bit,
//! far below 2^32 messages a key). It doesn't rotate keys.

use crate::model::Error;
use ring::{
    aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    hkdf, hmac,
    rand::{SecureRandom, SystemRandom},
};
use std::fmt;
use zeroize::Zeroizing;

/// First byte of everything sealed: the form of what follows.
const VERSION: u8 = 1;
pub const KEY_LENGTH: usize = 32;

/// What a sealed value is for; each has a key of its own, derived from the master key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Secrets of connections.
    Secret,
    /// Arguments and one-time results of operations.
    Operation,
    /// Paging cursors.
    Cursor,
}

impl Purpose {
    const fn info(self) -> &'static [u8] {
        match self {
            Self::Secret => b"portico secret",
            Self::Operation => b"portico operation",
            Self::Cursor => b"portico cursor",
        }
    }
}

/// Holds the derived keys. Cheap to share behind an `Arc`.
pub struct Sealer {
    keys: [LessSafeKey; 3],
    /// Integrity of compiled components on disk: they aren't secret, but whoever could change one would run code in here.
    artifact: hmac::Key,
    /// Integrity of the audit log.
    chain: hmac::Key,
    random: SystemRandom,
}

/// The key of the audit log's chain.
#[derive(Clone)]
pub struct ChainKey(hmac::Key);

impl ChainKey {
    /// The tag over all parts, each with its length, so that no byte can move from one to the next.
    pub fn tag(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&self.0);
        for part in parts {
            context.update(&(part.len() as u64).to_le_bytes());
            context.update(part);
        }
        let mut tag = [0; 32];
        tag.copy_from_slice(context.sign().as_ref());
        tag
    }

    /// Takes the same time for every wrong tag.
    pub fn verifies(&self, parts: &[&[u8]], tag: &[u8]) -> bool {
        use subtle::ConstantTimeEq as _;
        self.tag(parts).as_slice().ct_eq(tag).into()
    }
}

impl fmt::Debug for ChainKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ChainKey(…)")
    }
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealer(…)")
    }
}

impl Sealer {
    pub fn new(master: &[u8; KEY_LENGTH]) -> Result<Self, Error> {
        let pseudo_random = hkdf::Salt::new(hkdf::HKDF_SHA256, b"portico").extract(master);
        let key = |purpose: Purpose| {
            let info = [purpose.info()];
            let derived = pseudo_random.expand(&info, &CHACHA20_POLY1305).map_err(|_| crypto("derive a key"))?;
            Ok::<_, Error>(LessSafeKey::new(UnboundKey::from(derived)))
        };
        let keys = [key(Purpose::Secret)?, key(Purpose::Operation)?, key(Purpose::Cursor)?];
        let artifact = pseudo_random.expand(&[b"portico artifact"], hmac::HMAC_SHA256).map_err(|_| crypto("derive a key"))?;
        let chain = pseudo_random.expand(&[b"portico audit"], hmac::HMAC_SHA256).map_err(|_| crypto("derive a key"))?;
        Ok(Self { keys, artifact: artifact.into(), chain: chain.into(), random: SystemRandom::new() })
    }

    pub fn chain_key(&self) -> ChainKey {
        ChainKey(self.chain.clone())
    }

    /// A fresh master key.
    pub fn generate() -> Result<Zeroizing<[u8; KEY_LENGTH]>, Error> {
        let mut key = Zeroizing::new([0; KEY_LENGTH]);
        SystemRandom::new().fill(key.as_mut()).map_err(|_| crypto("read random bytes"))?;
        Ok(key)
    }

    /// Seals `plain`, bound to `facts`: it opens under the same facts only.
    pub fn seal(&self, purpose: Purpose, facts: &[u8], plain: &[u8]) -> Result<Vec<u8>, Error> {
        let mut nonce = [0; NONCE_LEN];
        self.random.fill(&mut nonce).map_err(|_| crypto("read random bytes"))?;
        let mut out = Vec::with_capacity(1 + NONCE_LEN + plain.len() + 16);
        out.push(VERSION);
        out.extend_from_slice(&nonce);
        out.extend_from_slice(plain);
        let tag = self
            .key(purpose)
            .seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), Aad::from(facts), &mut out[1 + NONCE_LEN..])
            .map_err(|_| crypto("seal"))?;
        out.extend_from_slice(tag.as_ref());
        Ok(out)
    }

    /// None when it was sealed by another key, for other facts, or was changed.
    pub fn open(&self, purpose: Purpose, facts: &[u8], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let (&version, rest) = sealed.split_first()?;
        let (nonce, body) = rest.split_first_chunk::<NONCE_LEN>()?;
        if version != VERSION {
            return None;
        }
        let mut body = Zeroizing::new(body.to_vec());
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let length = self.key(purpose).open_in_place(nonce, Aad::from(facts), &mut body).ok()?.len();
        body.truncate(length);
        Some(body)
    }

    /// The tag that only this key gives to a compiled component under this name.
    pub fn tag_artifact(&self, name: &str, bytes: &[u8]) -> [u8; 32] {
        let mut tag = [0; 32];
        tag.copy_from_slice(self.artifact_context(name, bytes).sign().as_ref());
        tag
    }

    /// A keyed hash of what a client asked: a stolen database alone doesn't let anyone guess what was in it.
    pub fn fingerprint(&self, bytes: &[u8]) -> [u8; 32] {
        self.tag_artifact("request fingerprint", bytes)
    }

    /// Whether [`Self::tag_artifact`] gave this tag. Takes the same time for every wrong one.
    pub fn verify_artifact(&self, name: &str, bytes: &[u8], tag: &[u8; 32]) -> bool {
        use subtle::ConstantTimeEq as _;
        self.tag_artifact(name, bytes).ct_eq(tag).into()
    }

    fn artifact_context(&self, name: &str, bytes: &[u8]) -> hmac::Context {
        let mut context = hmac::Context::with_key(&self.artifact);
        // The length keeps a part of the name from being taken for a part of the bytes.
        context.update(&(name.len() as u64).to_le_bytes());
        context.update(name.as_bytes());
        context.update(bytes);
        context
    }

    const fn key(&self, purpose: Purpose) -> &LessSafeKey {
        &self.keys[purpose as usize]
    }
}

fn crypto(what: &str) -> Error {
    Error::gateway(format_args!("could not {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opens_only_under_the_same_key_purpose_and_facts() {
        let sealer = Sealer::new(&[7; KEY_LENGTH]).unwrap();
        let other = Sealer::new(&[8; KEY_LENGTH]).unwrap();
        let sealed = sealer.seal(Purpose::Secret, b"connection 1", b"hunter2").unwrap();
        let opened = sealer.open(Purpose::Secret, b"connection 1", &sealed).unwrap();
        assert_eq!(opened.as_slice(), b"hunter2");
        assert!(sealer.open(Purpose::Secret, b"connection 2", &sealed).is_none());
        assert!(sealer.open(Purpose::Cursor, b"connection 1", &sealed).is_none());
        assert!(other.open(Purpose::Secret, b"connection 1", &sealed).is_none());
        for index in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[index] ^= 1;
            assert!(sealer.open(Purpose::Secret, b"connection 1", &changed).is_none(), "byte {index}");
        }
        assert!(sealer.open(Purpose::Secret, b"", &[]).is_none());
    }

    #[test]
    fn artifacts_verify_under_their_name_and_key_only() {
        let sealer = Sealer::new(&[7; KEY_LENGTH]).unwrap();
        let tag = sealer.tag_artifact("a", b"bc");
        assert!(sealer.verify_artifact("a", b"bc", &tag));
        assert!(!sealer.verify_artifact("ab", b"c", &tag));
        assert!(!sealer.verify_artifact("a", b"bd", &tag));
        assert!(!Sealer::new(&[8; KEY_LENGTH]).unwrap().verify_artifact("a", b"bc", &tag));
    }
}
