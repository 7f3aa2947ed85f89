//! What is asked under a key: where, and of what.
//!
//! In goes a request as it was sent; out come its route and a hash of its body, each in one form. Invariant: a resource has one form
//! however its path is escaped, no two have the same, and that of a path in which nothing needs an escape is the path itself; a JSON
//! body has one form whatever the order of its fields and the blanks between them.

use crate::{model::Error, seal::Sealer};
use http::{Method, Uri};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, percent_encode};
use serde_json::Value;
use std::borrow::Cow;
use zeroize::Zeroizing;

/// Larger bodies are what their bytes are: as values they take many times the memory.
const MOST_IN_ORDER: usize = 256 * 1024;

/// All but what a segment may hold as it stands (RFC 3986, 3.3): ids hold `~` and `=`.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'!')
    .remove(b'$')
    .remove(b'&')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')')
    .remove(b'*')
    .remove(b'+')
    .remove(b',')
    .remove(b';')
    .remove(b'=')
    .remove(b':')
    .remove(b'@');

/// Method and path. Each segment by itself: a slash that was escaped is none that parts segments.
pub fn route(method: &Method, uri: &Uri) -> String {
    format!("{method} {}", one_form(uri.path()))
}

/// A path as it is escaped here.
pub fn one_form(path: &str) -> String {
    let mut form = String::with_capacity(path.len());
    for (index, segment) in path.split('/').enumerate() {
        if index > 0 {
            form.push('/');
        }
        let meant: Cow<'_, [u8]> = percent_decode_str(segment).into();
        form.extend(percent_encode(&meant, ESCAPED));
    }
    form
}

/// What was asked, as a keyed hash that is kept with the key.
#[derive(Clone, Copy)]
pub struct Fingerprint {
    pub meant: [u8; 32],
    /// Of the bytes as they were sent, where they aren't the form that is hashed: a key lives for a day, and may have been reserved by a
    /// gateway that hashed those.
    pub sent: Option<[u8; 32]>,
}

impl From<[u8; 32]> for Fingerprint {
    fn from(meant: [u8; 32]) -> Self {
        Self { meant, sent: None }
    }
}

impl Fingerprint {
    pub fn of(sealer: &Sealer, query: Option<&str>, body: &[u8]) -> Result<Self, Error> {
        let query = query.unwrap_or_default().as_bytes();
        let of = |body: &[u8]| sealer.fingerprint(&Zeroizing::new([query, b"\0", body].concat()));
        match in_order(body).filter(|meant| meant.as_slice() != body) {
            Some(meant) => Ok(Self { meant: of(&meant)?, sent: Some(of(body)?) }),
            None => of(body).map(Self::from),
        }
    }
}

/// JSON with the fields of each object in order and nothing between them. None: it is no JSON, and means its bytes.
fn in_order(body: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    if body.len() > MOST_IN_ORDER {
        return None;
    }
    // Its objects are sorted maps.
    let value: Value = serde_json::from_slice(body).ok()?;
    serde_json::to_vec(&value).ok().map(Zeroizing::new)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seal::KEY_LENGTH;

    fn at(path: &str) -> String {
        route(&Method::POST, &path.parse().unwrap())
    }

    #[test]
    fn a_path_has_one_form_however_it_is_escaped() {
        for (plain, escaped) in [
            ("/sites/kept~seed-00001/backups", "/sites/kept%7Eseed%2D00001/backups"),
            ("/sites/kept~seed-00001/backups", "/sites/kept%7eseed%2d00001/backups?x=1"),
            ("/sites/a~b=2Fc", "/sites/a%7Eb%3D2Fc"),
            ("/sites/a~b/domains/*.example.com", "/sites/a~b/domains/%2A.example.com"),
            ("/tokens/0199-ab/rotate", "/tokens/%30199-ab/rotate"),
        ] {
            assert_eq!((at(plain), at(escaped)), (format!("POST {plain}"), format!("POST {plain}")));
        }
    }

    #[test]
    fn two_resources_have_two_forms() {
        let paths = ["/a/b", "/a%2Fb", "/a%252Fb", "/a//b", "/a/b/", "/a/B", "/a/%00b", "/a%3Fb", "/a%b", "/a+b", "/a%20b"];
        let forms: std::collections::BTreeSet<String> = paths.into_iter().map(at).collect();
        assert_eq!(forms.len(), paths.len(), "{forms:?}");
        assert_eq!((at("/a%2fb"), at("/a%zz")), (at("/a%2Fb"), at("/a%25zz")), "as handlers read them");
    }

    #[test]
    fn a_body_has_one_fingerprint_however_it_is_written() {
        let sealer = Sealer::new(&[1; KEY_LENGTH]).unwrap();
        let of = |query: Option<&str>, body: &str| Fingerprint::of(&sealer, query, body.as_bytes()).unwrap();
        let first = of(None, r#"{"a":{"c":1,"d":[1,2]},"b":"x"}"#);
        assert_eq!(first.sent, None, "it is in order");
        let again = of(None, "{ \"b\": \"\\u0078\",\n\"a\": {\"d\": [1, 2], \"c\": 1} }");
        assert_eq!(again.meant, first.meant);
        assert!(again.sent.is_some_and(|sent| sent != again.meant));
        for (what, other) in [
            ("another value", of(None, r#"{"a":{"c":1,"d":[1,2]},"b":"y"}"#)),
            ("another order of a list", of(None, r#"{"a":{"c":1,"d":[2,1]},"b":"x"}"#)),
            ("another query", of(Some("force=true"), r#"{"a":{"c":1,"d":[1,2]},"b":"x"}"#)),
            ("no JSON", of(None, r#"{"a":{"c":1,"d":[1,2]},"b":"x""#)),
            ("nothing", of(None, "")),
        ] {
            assert_ne!(other.meant, first.meant, "{what}");
        }
        assert_ne!(of(None, "a b").meant, of(None, "a  b").meant, "what is no JSON means its bytes");
    }
}
