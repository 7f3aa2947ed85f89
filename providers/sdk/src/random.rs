//! Secure random values from the host: bytes, ids, passwords.
//!
//! Invariant: nothing here falls back to a weaker source.

use crate::host;

/// Cryptographically secure random bytes; at most 4096 a call.
pub fn bytes(len: u32) -> Vec<u8> {
    host::random_bytes(len)
}

/// `len` characters of `a-z` and `0-9`, the first a letter; about 5 bits each.
pub fn id(len: u32) -> String {
    const LETTERS: &[u8] = b"abcdefghijklmnopqrstuvwxyz012345";
    let pick = |(index, byte): (usize, u8)| char::from(LETTERS[usize::from(byte) % if index == 0 { 16 } else { 32 }]);
    bytes(len).into_iter().enumerate().map(pick).collect()
}

/// A password of `len` characters without look-alikes; 6 bits each would need two symbols, so it is about 5.
pub fn password(len: u32) -> String {
    // 32 letters and digits without 0, O, o, 1, I, l: a byte taken modulo 32 has no bias.
    const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    bytes(len).into_iter().map(|byte| char::from(LETTERS[usize::from(byte % 32)])).collect()
}
