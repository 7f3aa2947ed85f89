//! Sealing: authenticated encryption of what must not be readable in the database or by clients (secrets, arguments, cursors).
//!
//! In go plain bytes and the facts they are bound to (associated data); out come sealed bytes that open only under the same
//! facts and key, and that name the master key by an id. Several keys can open, one seals: so keys are replaced while values
//! move from one to the other. Invariant: keys are never printed, and a nonce is never used twice under one key (random, 96
//! bit, far below 2^32 messages a key). It knows no file, no store, and no time.

mod key;

pub use key::{KEY_LENGTH, KeyId, MasterKey};

use crate::{model::Error, wipe};
use arc_swap::ArcSwap;
use key::{ID_LENGTH, Keys};
use ring::{
    aead::{NONCE_LEN, Nonce},
    digest, hkdf, hmac,
    rand::{SecureRandom, SystemRandom},
};
use std::{fmt, sync::Arc};
use zeroize::Zeroizing;

/// First byte of what is sealed: the form of what follows. The first form is nonce, body and tag, bound to the facts themselves,
/// under a key that isn't named.
const VERSION_1: u8 = 1;
/// Key id, nonce, hash of the facts, body and tag, bound to everything before the nonce and the hash. The hash lets a value be
/// sealed anew under another key by one who doesn't know its facts, and it opens under the same facts still.
const VERSION_2: u8 = 2;
const DIGEST: usize = digest::SHA256_OUTPUT_LEN;
const HEAD: usize = 1 + ID_LENGTH;
const BODY: usize = HEAD + NONCE_LEN + DIGEST;

/// What a sealed value is for; each has a key of its own, derived from the master key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Purpose {
    /// Secrets of connections.
    Secret,
    /// Arguments and one-time results of operations.
    Operation,
    /// Paging cursors.
    Cursor,
    /// Keys that are kept in the store and outlive the master key.
    DataKey,
}

impl Purpose {
    const ALL: [Self; 4] = [Self::Secret, Self::Operation, Self::Cursor, Self::DataKey];

    const fn info(self) -> &'static [u8] {
        match self {
            Self::Secret => b"portico secret",
            Self::Operation => b"portico operation",
            Self::Cursor => b"portico cursor",
            Self::DataKey => b"portico data key",
        }
    }
}

/// Under which master key a value is sealed, by its own word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SealedBy {
    Key(KeyId),
    /// The form of before keys had ids.
    Unnamed,
}

impl SealedBy {
    /// None: it isn't sealed at all.
    pub fn of(sealed: &[u8]) -> Option<Self> {
        match sealed.split_first()? {
            (&VERSION_1, _) => Some(Self::Unnamed),
            (&VERSION_2, rest) => rest.first_chunk().map(|id| Self::Key(KeyId(*id))),
            _ => None,
        }
    }
}

/// Holds the derived keys. Cheap to share behind an `Arc`.
pub struct Sealer {
    /// The one that seals comes first.
    ring: ArcSwap<Vec<Arc<Keys>>>,
    stable: hkdf::Prk,
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
    /// Under one key, whose stable hashes change with it: see [`Self::with_stable_key`].
    pub fn new(master: &[u8; KEY_LENGTH]) -> Result<Self, Error> {
        Self::with_ring(&[MasterKey::from_bytes(master)])
    }

    /// Stays the same when the master key is replaced: the chain goes on.
    pub fn chain_key(&self) -> Result<ChainKey, Error> {
        Ok(ChainKey(self.stable_key("audit")?))
    }

    /// The first key seals; all of them open.
    pub fn with_ring(masters: &[MasterKey]) -> Result<Self, Error> {
        let active = masters.first().ok_or_else(|| crypto("seal without a master key"))?;
        let stable = stable(active.bytes());
        Ok(Self { ring: ArcSwap::from_pointee(derive(masters)?), stable, random: SystemRandom::new() })
    }

    /// [`Self::stable_hash`] is keyed by this from now on, whatever the master key is: a key that is kept sealed in the store.
    #[must_use]
    pub fn with_stable_key(self, key: &[u8; KEY_LENGTH]) -> Self {
        Self { stable: stable(key), ..self }
    }

    /// Seals under the first of these from now on, and opens under all of them and those that were here already. What is being
    /// sealed at this moment may still be under the one before.
    pub fn adopt(&self, masters: &[MasterKey]) -> Result<(), Error> {
        if masters.is_empty() {
            return Err(crypto("seal without a master key"));
        }
        let adopted = derive(masters)?;
        self.ring.rcu(|present| {
            let earlier = present.iter().filter(|keys| adopted.iter().all(|one| one.id != keys.id));
            adopted.iter().chain(earlier).cloned().collect::<Vec<_>>()
        });
        Ok(())
    }

    /// Forgets all keys but these and the one that seals.
    pub fn keep(&self, ids: &[KeyId]) {
        self.ring.rcu(|present| {
            let kept = |(index, keys): &(usize, &Arc<Keys>)| *index == 0 || ids.contains(&keys.id);
            present.iter().enumerate().filter(kept).map(|(_, keys)| Arc::clone(keys)).collect::<Vec<_>>()
        });
    }

    /// The ids of the keys that open, beginning with the one that seals.
    pub fn key_ids(&self) -> Vec<KeyId> {
        self.ring.load().iter().map(|keys| keys.id).collect()
    }

    /// Seals `plain`, bound to `facts`: it opens under the same facts only.
    pub fn seal(&self, purpose: Purpose, facts: &[u8], plain: &[u8]) -> Result<Vec<u8>, Error> {
        self.seal_bound(purpose, digest::digest(&digest::SHA256, facts).as_ref(), plain)
    }

    fn seal_bound(&self, purpose: Purpose, facts: &[u8], plain: &[u8]) -> Result<Vec<u8>, Error> {
        let ring = self.ring.load();
        let keys = ring.first().ok_or_else(|| crypto("seal without a master key"))?;
        let mut nonce = [0; NONCE_LEN];
        self.random.fill(&mut nonce).map_err(|_| crypto("read random bytes"))?;
        // With room for the tag: growing would leave a copy of the plain bytes in freed memory.
        let mut out = Vec::with_capacity(BODY + plain.len() + 16);
        out.push(VERSION_2);
        out.extend_from_slice(&keys.id.0);
        out.extend_from_slice(&nonce);
        out.extend_from_slice(facts);
        out.extend_from_slice(plain);
        let bound = bound(&out[..HEAD], facts);
        keys.seal(purpose, Nonce::assume_unique_for_key(nonce), &bound, &mut out, BODY)?;
        Ok(out)
    }

    /// None when it was sealed by another key, for other facts, or was changed.
    pub fn open(&self, purpose: Purpose, facts: &[u8], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        if sealed.first() == Some(&VERSION_1) {
            return self.open_unnamed(purpose, facts, sealed);
        }
        let (digest, plain) = self.open_bound(purpose, sealed)?;
        (digest == digest::digest(&digest::SHA256, facts).as_ref()).then_some(plain)
    }

    fn open_unnamed(&self, purpose: Purpose, facts: &[u8], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let (nonce, body) = sealed.get(1..)?.split_first_chunk::<NONCE_LEN>()?;
        let ring = self.ring.load();
        ring.iter().find_map(|keys| keys.open(purpose, Nonce::assume_unique_for_key(*nonce), facts, body))
    }

    /// The hash of the facts, which is authentic when it opens, and what is inside.
    fn open_bound<'a>(&self, purpose: Purpose, sealed: &'a [u8]) -> Option<(&'a [u8], Zeroizing<Vec<u8>>)> {
        let Some(SealedBy::Key(id)) = SealedBy::of(sealed) else { return None };
        let (head, rest) = sealed.split_at_checked(HEAD)?;
        let (nonce, rest) = rest.split_first_chunk::<NONCE_LEN>()?;
        let (facts, body) = rest.split_at_checked(DIGEST)?;
        let ring = self.ring.load();
        let keys = ring.iter().find(|keys| keys.id == id)?;
        let plain = keys.open(purpose, Nonce::assume_unique_for_key(*nonce), &bound(head, facts), body)?;
        Some((facts, plain))
    }

    /// Whether it names a key that isn't here: one that was replaced, or another installation's.
    pub fn is_foreign(&self, sealed: &[u8]) -> bool {
        matches!(SealedBy::of(sealed), Some(SealedBy::Key(id)) if self.ring.load().iter().all(|keys| keys.id != id))
    }

    /// Whether it is in today's form and under the key that seals.
    pub fn is_current(&self, sealed: &[u8]) -> bool {
        matches!(SealedBy::of(sealed), Some(SealedBy::Key(id)) if self.ring.load().first().is_some_and(|keys| keys.id == id))
    }

    /// Whether a value in today's form opens, whatever its facts are.
    pub fn opens(&self, purpose: Purpose, sealed: &[u8]) -> bool {
        self.open_bound(purpose, sealed).is_some()
    }

    /// The same under the key that seals, opening under the same facts. None: it doesn't open, or its form names no key.
    pub fn renew(&self, purpose: Purpose, sealed: &[u8]) -> Option<Result<Vec<u8>, Error>> {
        let (facts, plain) = self.open_bound(purpose, sealed)?;
        Some(self.seal_bound(purpose, facts, &plain))
    }

    /// The tag that only this key gives to a compiled component under this name.
    pub fn tag_artifact(&self, name: &str, bytes: &[u8]) -> Result<[u8; 32], Error> {
        let ring = self.ring.load();
        let keys = ring.first().ok_or_else(|| crypto("seal without a master key"))?;
        Ok(tag(&keys.artifact, name, bytes))
    }

    /// Whether [`Self::tag_artifact`] gave this tag, under any of the keys. Takes the same time for every wrong one.
    pub fn verify_artifact(&self, name: &str, bytes: &[u8], given: &[u8; 32]) -> bool {
        use subtle::ConstantTimeEq as _;
        self.ring.load().iter().any(|keys| tag(&keys.artifact, name, bytes).ct_eq(given).into())
    }

    /// A keyed hash that stays the same when the master key is replaced. Each `label` has a key of its own.
    pub fn stable_hash(&self, label: &str, bytes: &[u8]) -> Result<[u8; 32], Error> {
        let key = self.stable_key(label)?;
        Ok(wipe::after::<{ wipe::HMAC }, _>(|| copied(hmac::sign(&key, bytes))))
    }

    /// The key of [`Self::stable_hash`] for this label, for one who hashes in parts.
    pub fn stable_key(&self, label: &str) -> Result<hmac::Key, Error> {
        let info = [b"portico stable ".as_slice(), label.as_bytes()];
        let key = self.stable.expand(&info, hmac::HMAC_SHA256).map_err(|_| crypto("derive a key"))?;
        Ok(key.into())
    }

    /// A keyed hash of what a client asked: a stolen database alone doesn't let anyone guess what was in it.
    pub fn fingerprint(&self, bytes: &[u8]) -> Result<[u8; 32], Error> {
        self.stable_hash("request fingerprint", bytes)
    }
}

fn derive(masters: &[MasterKey]) -> Result<Vec<Arc<Keys>>, Error> {
    masters.iter().map(|master| Keys::derive(master.bytes()).map(Arc::new)).collect()
}

fn stable(key: &[u8; KEY_LENGTH]) -> hkdf::Prk {
    hkdf::Salt::new(hkdf::HKDF_SHA256, b"portico stable").extract(key)
}

fn bound(head: &[u8], facts: &[u8]) -> [u8; HEAD + DIGEST] {
    let mut bound = [0; HEAD + DIGEST];
    bound[..HEAD].copy_from_slice(head);
    bound[HEAD..].copy_from_slice(facts);
    bound
}

fn tag(key: &hmac::Key, name: &str, bytes: &[u8]) -> [u8; 32] {
    let mut context = hmac::Context::with_key(key);
    // The length keeps a part of the name from being taken for a part of the bytes.
    context.update(&(name.len() as u64).to_le_bytes());
    context.update(name.as_bytes());
    context.update(bytes);
    copied(context.sign())
}

fn copied(tag: hmac::Tag) -> [u8; 32] {
    let mut copy = [0; 32];
    copy.copy_from_slice(tag.as_ref());
    copy
}

fn crypto(what: &str) -> Error {
    Error::gateway(format_args!("could not {what}"))
}

#[cfg(test)]
mod tests;
