//! Redaction: a connection's own secrets are taken out of what its upstream answers.
//!
//! In go bytes and text from an upstream; out come the same, of the same length, with each secret overwritten.
//! Invariant: a guest never sees a secret of 8 bytes or more, nor its usual encodings, however an upstream echoes it; an
//! upstream that transforms a secret otherwise can't be caught. Shorter ones aren't searched for: they would match by chance.

use super::request::ESCAPED;
use crate::model::Secrets;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use memchr::memmem::Finder;
use percent_encoding::utf8_percent_encode;

const MIN_LENGTH: usize = 8;
const MARK: &[u8] = b"[redacted]";

/// What to look for, longest first.
#[derive(Default)]
pub(super) struct Redactor {
    needles: Vec<Needle>,
}

struct Needle {
    finder: Finder<'static>,
    replacement: Vec<u8>,
}

impl Redactor {
    /// `derived`: credentials made from secrets, such as the base64 of a user and a password.
    pub(super) fn new(secrets: &Secrets, derived: Vec<String>) -> Self {
        let mut needles: Vec<Vec<u8>> = derived.into_iter().map(String::into_bytes).collect();
        for secret in secrets.values() {
            let escaped = serde_json::to_string(secret.as_str()).unwrap_or_default();
            let inner = escaped.get(1..escaped.len().saturating_sub(1)).unwrap_or_default();
            needles.push(inner.as_bytes().to_vec());
            needles.push(inner.replace('/', "\\/").into_bytes());
            needles.push(utf8_percent_encode(secret, ESCAPED).to_string().into_bytes());
            needles.push(STANDARD.encode(secret.as_bytes()).into_bytes());
            needles.push(secret.as_bytes().to_vec());
        }
        needles.retain(|needle| needle.len() >= MIN_LENGTH);
        needles.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        needles.dedup();
        Self { needles: needles.iter().map(|needle| Needle::new(needle)).collect() }
    }

    pub(super) fn longest(&self) -> usize {
        self.needles.first().map_or(0, |needle| needle.finder.needle().len())
    }

    pub(super) fn bytes(&self, bytes: Bytes) -> Bytes {
        if !self.needles.iter().any(|needle| needle.finder.find(&bytes).is_some()) {
            return bytes;
        }
        let mut owned = Vec::from(bytes);
        self.overwrite(&mut owned);
        owned.into()
    }

    pub(super) fn text(&self, bytes: &[u8]) -> String {
        let mut owned = bytes.to_vec();
        self.overwrite(&mut owned);
        String::from_utf8_lossy(&owned).into_owned()
    }

    /// How many bytes at the end could be the beginning of a secret whose rest hasn't arrived.
    pub(super) fn unfinished(&self, bytes: &[u8]) -> usize {
        let longest = |needle: &Needle| {
            let needle = needle.finder.needle();
            (1..needle.len()).rev().find(|length| bytes.ends_with(&needle[..*length])).unwrap_or(0)
        };
        self.needles.iter().map(longest).max().unwrap_or(0)
    }

    fn overwrite(&self, bytes: &mut [u8]) {
        for needle in &self.needles {
            let mut from = 0;
            while let Some(found) = bytes.get(from..).and_then(|rest| needle.finder.find(rest)) {
                let start = from + found;
                from = start + needle.replacement.len();
                bytes[start..from].copy_from_slice(&needle.replacement);
            }
        }
    }
}

impl Needle {
    fn new(needle: &[u8]) -> Self {
        let mut replacement = vec![b'*'; needle.len()];
        if let Some(start) = replacement.get_mut(..MARK.len()) {
            start.copy_from_slice(MARK);
        }
        Self { finder: Finder::new(needle).into_owned(), replacement }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redactor(secrets: &[&str]) -> Redactor {
        let pairs = secrets.iter().enumerate().map(|(index, secret)| (index.to_string(), (*secret).to_owned()));
        Redactor::new(&pairs.collect(), vec!["dXNlcjpwYXNz".to_owned()])
    }

    #[test]
    fn secrets_are_overwritten_in_place() {
        let redactor = redactor(&["abcdefgh", "a-long/secret\"value", "short", "abcdefghijklmnop"]);
        for (input, expected) in [
            ("nothing here", "nothing here"),
            ("short", "short"),
            ("x abcdefgh y abcdefgh", "x ******** y ********"),
            ("abcdefghijklmnop", "[redacted]******"),
            ("Basic dXNlcjpwYXNz", "Basic [redacted]**"),
            ("a-long/secret\"value", "[redacted]*********"),
            (r#"{"k":"a-long/secret\"value"}"#, r#"{"k":"[redacted]**********"}"#),
            (r#"{"k":"a-long\/secret\"value"}"#, r#"{"k":"[redacted]***********"}"#),
            ("k=a-long%2Fsecret%22value", "k=[redacted]*************"),
            ("YWJjZGVmZ2g=", "[redacted]**"),
        ] {
            assert_eq!(redactor.bytes(Bytes::from(input.to_owned())), expected.as_bytes(), "{input}");
            assert_eq!(redactor.text(input.as_bytes()), expected);
        }
    }

    proptest::proptest! {
        #[test]
        fn nothing_but_the_secret_changes(parts in proptest::collection::vec("[a-h \"{}]{0,12}", 1..6)) {
            let redactor = redactor(&["abcdefgh"]);
            let text = parts.join("abcdefgh");
            let clean = redactor.text(text.as_bytes());
            proptest::prop_assert_eq!(clean.len(), text.len());
            proptest::prop_assert!(!clean.contains("abcdefgh"));
            let kept = text.bytes().zip(clean.bytes()).all(|(before, after)| before == after || after == b'*');
            proptest::prop_assert!(kept);
        }
    }

    #[test]
    fn the_beginning_of_a_secret_is_noticed() {
        let redactor = redactor(&["abcdefgh"]);
        for (text, length) in [("xyz", 0), ("xyz abc", 3), ("a", 1), ("", 0), ("abcdefgh", 0), ("abcdefg", 7)] {
            assert_eq!(redactor.unfinished(text.as_bytes()), length, "{text}");
        }
    }
}
