//! What is known of a body before it comes, and whether it came so.
//!
//! In go a size and hashes, then the bytes; out comes the word that all of it is right, or what is wrong. Invariant: "right" is
//! said once, with the last byte, and never of a body that is shorter or longer.

use ring::digest::{Context, SHA256};

/// What a client said about the bytes that it sends.
#[derive(Clone, Debug)]
pub struct Expected {
    /// Bytes.
    pub size: u64,
    pub blake3: [u8; 32],
    pub sha256: Option<[u8; 32]>,
}

/// What was wrong with the bytes, or with their coming.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceFault {
    /// They ended after so many.
    Incomplete {
        received: u64,
    },
    /// None came for too long.
    Idle,
    Blake3,
    Sha256,
}

pub(super) struct Check {
    expected: Expected,
    received: u64,
    blake3: blake3::Hasher,
    sha256: Option<Context>,
}

impl Check {
    pub(super) fn new(expected: Expected) -> Self {
        let sha256 = expected.sha256.map(|_| Context::new(&SHA256));
        Self { expected, received: 0, blake3: blake3::Hasher::new(), sha256 }
    }

    pub(super) const fn size(&self) -> u64 {
        self.expected.size
    }

    pub(super) const fn incomplete(&self) -> SourceFault {
        SourceFault::Incomplete { received: self.received }
    }

    /// True with the last piece, if everything is right.
    pub(super) fn take(&mut self, piece: &[u8]) -> Result<bool, SourceFault> {
        self.received += piece.len() as u64;
        self.blake3.update(piece);
        if let Some(sha256) = &mut self.sha256 {
            sha256.update(piece);
        }
        if self.received < self.expected.size {
            return Ok(false);
        }
        self.conclude()
    }

    /// More than was announced has another hash, too: no need to tell it apart.
    fn conclude(&mut self) -> Result<bool, SourceFault> {
        // The comparison of the crate's own hash takes the same time whatever differs; nothing here is secret.
        if self.received != self.expected.size || self.blake3.finalize() != blake3::Hash::from(self.expected.blake3) {
            return Err(SourceFault::Blake3);
        }
        let sha256 = self.sha256.take().map(Context::finish);
        if sha256.as_ref().map(AsRef::as_ref) != self.expected.sha256.as_ref().map(<[u8; 32]>::as_slice) {
            return Err(SourceFault::Sha256);
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expected(bytes: &[u8], sha256: Option<&[u8]>) -> Expected {
        let sha256 = sha256.map(|bytes| {
            let mut out = [0; 32];
            out.copy_from_slice(ring::digest::digest(&SHA256, bytes).as_ref());
            out
        });
        Expected { size: bytes.len() as u64, blake3: blake3::hash(bytes).into(), sha256 }
    }

    #[test]
    fn the_last_piece_tells_whether_all_is_right() {
        for (wanted, sha256, pieces, last) in [
            ("hello", None, &["hel", "lo"][..], Ok(true)),
            ("hello", Some("hello"), &["hello"], Ok(true)),
            ("hello", Some("hallo"), &["hel", "lo"], Err(SourceFault::Sha256)),
            ("hello", None, &["hal", "lo"], Err(SourceFault::Blake3)),
            ("hello", None, &["hel", "lo!"], Err(SourceFault::Blake3)),
            ("hello", None, &["hel", "l"], Ok(false)),
            ("", None, &[""], Ok(true)),
        ] {
            let mut check = Check::new(expected(wanted.as_bytes(), sha256.map(str::as_bytes)));
            let said: Vec<_> = pieces.iter().map(|piece| check.take(piece.as_bytes())).collect();
            assert_eq!(said.last().copied(), Some(last), "{wanted} {pieces:?}");
            assert!(said[..said.len() - 1].iter().all(|said| *said == Ok(false)));
        }
    }
}
