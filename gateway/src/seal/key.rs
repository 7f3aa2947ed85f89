//! Master keys: what is kept outside the database, and the ids by which sealed values name them.
//!
//! In goes base64 text or randomness; out come keys, and everything that is derived from one. Invariant: an id tells nothing
//! about its key, and a key is zeroized when it is dropped and never printed. It reads no file: where keys come from is `app`'s.

use super::{Purpose, crypto};
use crate::model::Error;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use ring::{
    aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey},
    hkdf, hmac,
    rand::{SecureRandom, SystemRandom},
};
use std::fmt;
use zeroize::Zeroizing;

pub const KEY_LENGTH: usize = 32;
pub(super) const ID_LENGTH: usize = 8;

/// Which master key sealed a value. It is derived from the key as other keys are, so it may be shown.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(pub [u8; ID_LENGTH]);

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({self})")
    }
}

#[derive(Clone)]
pub struct MasterKey(Zeroizing<[u8; KEY_LENGTH]>);

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey(…)")
    }
}

impl MasterKey {
    pub fn generate() -> Result<Self, Error> {
        let mut key = Zeroizing::new([0; KEY_LENGTH]);
        SystemRandom::new().fill(key.as_mut()).map_err(|_| crypto("read random bytes"))?;
        Ok(Self(key))
    }

    pub fn from_bytes(bytes: &[u8; KEY_LENGTH]) -> Self {
        Self(Zeroizing::new(*bytes))
    }

    /// None: it isn't a key's length of bytes in base64.
    pub fn parse(text: &str) -> Option<Self> {
        let mut key = Zeroizing::new([0; KEY_LENGTH]);
        // Room for what the decoder estimates; a longer text doesn't fit and is refused.
        let mut room = Zeroizing::new([0; KEY_LENGTH + 4]);
        let length = BASE64_STANDARD.decode_slice(text, room.as_mut()).ok()?;
        (length == KEY_LENGTH).then(|| key.copy_from_slice(&room[..KEY_LENGTH]))?;
        Some(Self(key))
    }

    /// Base64, as [`Self::parse`] reads it.
    pub fn to_text(&self) -> Zeroizing<String> {
        Zeroizing::new(BASE64_STANDARD.encode(self.0.as_ref()))
    }

    pub fn id(&self) -> Result<KeyId, Error> {
        id_of(&extract(&self.0))
    }

    pub fn bytes(&self) -> &[u8; KEY_LENGTH] {
        &self.0
    }
}

fn extract(master: &[u8; KEY_LENGTH]) -> hkdf::Prk {
    hkdf::Salt::new(hkdf::HKDF_SHA256, b"portico").extract(master)
}

struct Length(usize);

impl hkdf::KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

fn id_of(pseudo_random: &hkdf::Prk) -> Result<KeyId, Error> {
    let mut id = [0; ID_LENGTH];
    let expanded = pseudo_random.expand(&[b"portico key id"], Length(ID_LENGTH));
    expanded.and_then(|id_key| id_key.fill(&mut id)).map_err(|_| crypto("derive a key's id"))?;
    Ok(KeyId(id))
}

/// What is derived from one master key: a key for each purpose. The master key itself isn't kept.
pub(super) struct Keys {
    pub id: KeyId,
    purposes: [LessSafeKey; Purpose::ALL.len()],
    /// Integrity of compiled components on disk: they aren't secret, but whoever could change one would run code in here.
    pub artifact: hmac::Key,
}

impl Keys {
    pub fn derive(master: &[u8; KEY_LENGTH]) -> Result<Self, Error> {
        let pseudo_random = extract(master);
        let key = |purpose: Purpose| {
            let info = [purpose.info()];
            let derived = pseudo_random.expand(&info, &CHACHA20_POLY1305).map_err(|_| crypto("derive a key"))?;
            Ok::<_, Error>(LessSafeKey::new(UnboundKey::from(derived)))
        };
        let [secret, operation, cursor, data] = Purpose::ALL;
        let purposes = [key(secret)?, key(operation)?, key(cursor)?, key(data)?];
        let artifact = pseudo_random.expand(&[b"portico artifact"], hmac::HMAC_SHA256).map_err(|_| crypto("derive a key"))?;
        Ok(Self { id: id_of(&pseudo_random)?, purposes, artifact: artifact.into() })
    }

    /// Seals what begins at `start` of `out` and appends the tag.
    pub fn seal(&self, purpose: Purpose, nonce: Nonce, bound: &[u8], out: &mut Vec<u8>, start: usize) -> Result<(), Error> {
        let key = &self.purposes[purpose as usize];
        let tag = key.seal_in_place_separate_tag(nonce, Aad::from(bound), &mut out[start..]).map_err(|_| crypto("seal"))?;
        out.extend_from_slice(tag.as_ref());
        Ok(())
    }

    pub fn open(&self, purpose: Purpose, nonce: Nonce, bound: &[u8], body: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let mut body = Zeroizing::new(body.to_vec());
        let key = &self.purposes[purpose as usize];
        let length = key.open_in_place(nonce, Aad::from(bound), &mut body).ok()?.len();
        body.truncate(length);
        Some(body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_as_it_was_written_and_nothing_else_is_one() {
        let key = MasterKey::generate().unwrap();
        let text = key.to_text();
        assert_eq!(MasterKey::parse(&text).unwrap().bytes(), key.bytes());
        let (short, long) = (BASE64_STANDARD.encode([1; 31]), BASE64_STANDARD.encode([1; 33]));
        for wrong in ["", "x", &short, &long, &text[1..], &format!("{}{}", *text, *text)] {
            assert!(MasterKey::parse(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn an_id_stands_for_its_key_and_shows_nothing_of_it() {
        let key = MasterKey::from_bytes(&[7; KEY_LENGTH]);
        assert_eq!(key.id().unwrap(), MasterKey::from_bytes(&[7; KEY_LENGTH]).id().unwrap());
        assert_ne!(key.id().unwrap(), MasterKey::from_bytes(&[8; KEY_LENGTH]).id().unwrap());
        assert_eq!(key.id().unwrap().to_string().len(), 2 * ID_LENGTH);
        assert_eq!(format!("{key:?}"), "MasterKey(…)");
    }
}
