//! Ids: `<connection>~<native>`, routable without a look-up, and safe in a URL path.
//!
//! Invariant: escaping is a bijection on what it accepts: bytes outside `[A-Za-z0-9._-]` become `=XX` (upper-case hex), never
//! `%2F`, which proxies rewrite; a native id that would be `.` or `..` is refused. Nothing here looks anything up.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::{fmt, fmt::Write as _, sync::Arc};

/// Native ids are at most this long (the contract says so).
const MAX_NATIVE: usize = 512;
const MAX_SLUG: usize = 63;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    #[error("an id is a connection and the host's own id, joined by ~")]
    NoTilde,
    #[error("the id of a connection or organization is 1 to {MAX_SLUG} characters of a-z, 0-9 and -, and begins with no -")]
    Slug,
    #[error("a host's id is 1 to {MAX_NATIVE} bytes of A-Z, a-z, 0-9, '.', '_', '-'; others are written =XX (a space is =20)")]
    Native,
}

/// The id of a connection inside its organization: `[a-z0-9-]`, immutable, never reused.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slug(Arc<str>);

impl Slug {
    pub fn parse(text: &str) -> Result<Self, IdError> {
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let fits = (1..=MAX_SLUG).contains(&text.len()) && !text.starts_with('-') && text.bytes().all(allowed);
        if fits { Ok(Self(text.into())) } else { Err(IdError::Slug) }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Orders and compares as its text does.
impl std::borrow::Borrow<str> for Slug {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Slug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for Slug {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Slug {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

/// A resource's place: its connection, and the upstream's own id for it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ResourceId {
    pub connection: Slug,
    /// Unescaped.
    pub native: String,
}

impl ResourceId {
    pub fn new(connection: Slug, native: impl Into<String>) -> Self {
        Self { connection, native: native.into() }
    }

    pub fn parse(text: &str) -> Result<Self, IdError> {
        let (connection, native) = text.split_once('~').ok_or(IdError::NoTilde)?;
        Ok(Self { connection: Slug::parse(connection)?, native: unescape(native)? })
    }
}

impl fmt::Display for ResourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}~{}", self.connection, escape(&self.native))
    }
}

/// A native id as it stands in a path segment.
pub fn escape(native: &str) -> String {
    let mut out = String::with_capacity(native.len());
    let dots_only = matches!(native, "." | "..");
    for byte in native.bytes() {
        if !dots_only && is_plain(byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a String can't fail.
            let _ = write!(out, "={byte:02X}");
        }
    }
    out
}

/// The native id behind a path segment. Only what [`escape`] writes is accepted.
pub fn unescape(segment: &str) -> Result<String, IdError> {
    if segment.is_empty() || matches!(segment, "." | "..") {
        return Err(IdError::Native);
    }
    let mut out = Vec::with_capacity(segment.len());
    let mut bytes = segment.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'=' => out.push(hex(bytes.next())? << 4 | hex(bytes.next())?),
            plain if is_plain(plain) => out.push(plain),
            _ => return Err(IdError::Native),
        }
    }
    let native = String::from_utf8(out).map_err(|_| IdError::Native)?;
    let canonical = native.len() <= MAX_NATIVE && escape(&native) == segment && !matches!(&*native, "." | "..");
    if canonical { Ok(native) } else { Err(IdError::Native) }
}

const fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-')
}

fn hex(byte: Option<u8>) -> Result<u8, IdError> {
    match byte {
        Some(digit @ b'0'..=b'9') => Ok(digit - b'0'),
        Some(letter @ b'A'..=b'F') => Ok(letter - b'A' + 10),
        _ => Err(IdError::Native),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_split_at_the_first_tilde_and_unescape() {
        let id = ResourceId::parse("my-host~wp=2F1~").map_err(|error| error.to_string());
        assert!(id.is_err(), "a tilde in the native part must be escaped");
        let id = ResourceId::parse("my-host~akismet=2Fakismet.php").unwrap();
        assert_eq!((id.connection.as_str(), id.native.as_str()), ("my-host", "akismet/akismet.php"));
        assert_eq!(id.to_string(), "my-host~akismet=2Fakismet.php");
    }

    #[test]
    fn refuses_what_escape_would_not_write() {
        for bad in ["", "x", "A~1", "-a~1", "a~", "a~.", "a~..", "a~=2e", "a~=41", "a~=FF", "a~a/b", "a~%2F", "a~=2", "a~=2E"] {
            assert!(ResourceId::parse(bad).is_err(), "{bad:?} was accepted");
        }
    }

    proptest::proptest! {
        #[test]
        fn escaping_round_trips(native in "\\PC{1,100}") {
            proptest::prop_assume!(native != "." && native != "..");
            proptest::prop_assert_eq!(unescape(&escape(&native)), Ok(native));
        }
    }
}
