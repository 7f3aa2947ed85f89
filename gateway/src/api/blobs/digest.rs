//! `Content-Digest` (RFC 9530): what a client says that its bytes hash to.
//!
//! In go headers; out comes a SHA-256, if one was sent. Invariant: other algorithms are left alone, and a digest that can't be
//! read is refused, since it can't be checked.

use crate::api::problem::Problem;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::HeaderMap;

const HEADER: &str = "content-digest";

pub fn sha256(headers: &HeaderMap) -> Result<Option<[u8; 32]>, Problem> {
    let mut found = None;
    for value in headers.get_all(HEADER) {
        let text = value.to_str().map_err(|_| unreadable())?;
        // An empty field is an empty dictionary (RFC 8941, 4.2).
        for member in text.split(',').filter(|_| !text.trim().is_empty()) {
            let (algorithm, value) = member.trim().split_once('=').ok_or_else(unreadable)?;
            // The last one of a name counts (RFC 8941, 3.2).
            if algorithm == "sha-256" {
                found = Some(bytes(value).ok_or_else(unreadable)?);
            }
        }
    }
    Ok(found)
}

/// A byte sequence: base64 between colons, perhaps with parameters after it.
fn bytes(value: &str) -> Option<[u8; 32]> {
    let (base64, rest) = value.strip_prefix(':')?.split_once(':')?;
    let is_end = rest.is_empty() || rest.starts_with(';');
    is_end.then(|| STANDARD.decode(base64).ok())??.try_into().ok()
}

fn unreadable() -> Problem {
    Problem::malformed("Content-Digest can't be read; write it as sha-256=:BASE64: (RFC 9530), or leave it out")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sha_256_is_found_among_others() {
        // Of "hello".
        let good = "LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=";
        let sum = |text: &str| {
            let headers = HeaderMap::from_iter([(HEADER.parse().unwrap(), text.parse().unwrap())]);
            sha256(&headers).map(|sum| sum.map(|sum| sum[0])).map_err(|problem| problem.status.as_u16())
        };
        for (text, expected) in [
            (format!("sha-256=:{good}:"), Ok(Some(0x2c))),
            (format!("sha-512=:AAAA:, sha-256=:{good}:"), Ok(Some(0x2c))),
            (format!("sha-256=:{good}:;a=1"), Ok(Some(0x2c))),
            ("sha-512=:AAAA:".to_owned(), Ok(None)),
            (String::new(), Ok(None)),
            ("unixsum=:AAAA:".to_owned(), Ok(None)),
            (format!("sha-256={good}"), Err(400)),
            (format!("sha-256=:{good}"), Err(400)),
            (format!("sha-256=:{good}:x"), Err(400)),
            ("sha-256=:AAAA:".to_owned(), Err(400)),
            ("sha-256=:not base64:".to_owned(), Err(400)),
            ("nonsense".to_owned(), Err(400)),
        ] {
            assert_eq!(sum(&text), expected, "{text}");
        }
        assert_eq!(sha256(&HeaderMap::new()).unwrap(), None);
    }
}
