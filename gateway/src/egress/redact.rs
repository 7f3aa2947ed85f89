//! Redaction: a connection's own secrets are taken out of what its upstream answers.
//!
//! In go bytes and text from an upstream; out come the same, of the same length, with each secret overwritten.
//! Invariant: a guest never sees a secret of 8 bytes or more, nor its usual encodings, however an upstream echoes it; an
//! upstream that transforms a secret otherwise can't be caught. Shorter ones aren't searched for: they would match by chance.
//! Tokens and cookies of sessions are learned as they come; the newest ones are searched for.

use super::request::ESCAPED;
use crate::model::Secrets;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use memchr::memmem::Finder;
use percent_encoding::utf8_percent_encode;
use std::{
    collections::VecDeque,
    sync::{PoisonError, RwLock, RwLockReadGuard},
};

const MIN_LENGTH: usize = 8;
/// Learned secrets that are searched for: an upstream may set a new cookie with every answer.
const MOST_LEARNED: usize = 32;
const MARK: &[u8] = b"[redacted]";

/// What to look for, longest first.
#[derive(Default)]
pub(super) struct Redactor {
    needles: Vec<Needle>,
    learned: RwLock<VecDeque<Learned>>,
}

struct Learned {
    secret: Vec<u8>,
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
        secrets.values().for_each(|secret| spellings(secret, &mut needles));
        Self { needles: searched(needles), learned: RwLock::default() }
    }

    /// A secret that came after binding.
    pub(super) fn learn(&self, secret: &str) {
        let is_known = |learned: &VecDeque<Learned>| learned.iter().any(|one| one.secret == secret.as_bytes());
        let mut learned = self.learned.write().unwrap_or_else(PoisonError::into_inner);
        if secret.len() < MIN_LENGTH || is_known(&learned) {
            return;
        }
        let mut needles = Vec::new();
        spellings(secret, &mut needles);
        learned.push_back(Learned { secret: secret.as_bytes().to_vec(), needles: searched(needles) });
        if learned.len() > MOST_LEARNED {
            learned.pop_front();
        }
    }

    pub(super) fn longest(&self) -> usize {
        self.all(&self.learned()).map(|needle| needle.finder.needle().len()).max().unwrap_or(0)
    }

    pub(super) fn bytes(&self, bytes: Bytes) -> Bytes {
        if !self.all(&self.learned()).any(|needle| needle.finder.find(&bytes).is_some()) {
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
        self.all(&self.learned()).map(longest).max().unwrap_or(0)
    }

    fn overwrite(&self, bytes: &mut [u8]) {
        for needle in self.all(&self.learned()) {
            let mut from = 0;
            while let Some(found) = bytes.get(from..).and_then(|rest| needle.finder.find(rest)) {
                let start = from + found;
                from = start + needle.replacement.len();
                bytes[start..from].copy_from_slice(&needle.replacement);
            }
        }
    }

    fn learned(&self) -> RwLockReadGuard<'_, VecDeque<Learned>> {
        self.learned.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn all<'a>(&'a self, learned: &'a VecDeque<Learned>) -> impl Iterator<Item = &'a Needle> {
        self.needles.iter().chain(learned.iter().flat_map(|one| &one.needles))
    }
}

/// As an upstream may write it.
fn spellings(secret: &str, out: &mut Vec<Vec<u8>>) {
    let escaped = serde_json::to_string(secret).unwrap_or_default();
    let inner = escaped.get(1..escaped.len().saturating_sub(1)).unwrap_or_default();
    out.push(inner.as_bytes().to_vec());
    out.push(inner.replace('/', "\\/").into_bytes());
    out.push(utf8_percent_encode(secret, ESCAPED).to_string().into_bytes());
    out.push(STANDARD.encode(secret.as_bytes()).into_bytes());
    out.push(secret.as_bytes().to_vec());
}

/// Longest first.
fn searched(mut needles: Vec<Vec<u8>>) -> Vec<Needle> {
    needles.retain(|needle| needle.len() >= MIN_LENGTH);
    needles.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
    needles.dedup();
    needles.iter().map(|needle| Needle::new(needle)).collect()
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

    #[test]
    fn what_is_learned_is_overwritten_and_the_oldest_forgotten() {
        let redactor = redactor(&["abcdefgh"]);
        redactor.learn("cookie-12345");
        redactor.learn("cookie-12345");
        redactor.learn("short");
        assert_eq!(redactor.text(b"abcdefgh cookie-12345 short"), "******** [redacted]** short");
        assert_eq!(redactor.longest(), STANDARD.encode("cookie-12345").len());
        (0..MOST_LEARNED).for_each(|number| redactor.learn(&format!("another-{number}")));
        assert_eq!(redactor.text(b"cookie-12345"), "cookie-12345");
        assert_eq!(redactor.text(b"another-0"), "*********");
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
