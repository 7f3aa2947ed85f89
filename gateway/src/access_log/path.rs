//! What a log may tell of a path.
//!
//! In goes a path as it was sent; out comes the same, unless the value of a token, a session or an invitation stands where an
//! id belongs. Invariant: no more of such a value is left than its beginning, by which people know it; a path without one is as
//! it was sent, and nothing is copied for it.

use memchr::{memchr, memchr_iter, memchr2};
use percent_encoding::percent_decode_str;
use std::{borrow::Cow, ops::Range};

/// `ptk_`, `pts_`, `pti_`: of what kind it is; 43 characters of base64url follow.
const PREFIX: usize = 4;
/// As much as is shown of a token wherever it is listed.
const SHOWN: usize = PREFIX + 6;
/// So many characters after the prefix are a value, also where its end was lost: what is missing could be guessed then. A word
/// such as `scripts_` has fewer after it.
const FEWEST: usize = 32;

/// The path as a log may hold it.
pub fn without_secrets(path: &str) -> Cow<'_, str> {
    // A value has the one, or is written with the other. Few paths have any of them.
    let Some(first) = memchr2(b'_', b'%', path.as_bytes()) else { return Cow::Borrowed(path) };
    let shortened = if memchr(b'%', &path.as_bytes()[first..]).is_none() {
        shortened(path)
    } else {
        // As routing decodes it, once.
        shortened(&percent_decode_str(path).decode_utf8_lossy())
    };
    shortened.map_or(Cow::Borrowed(path), Cow::Owned)
}

/// None: no secret is in it.
fn shortened(text: &str) -> Option<String> {
    let mut next = Some(secret_from(text, 0)?);
    let (mut out, mut done) = (String::with_capacity(text.len()), 0);
    while let Some(secret) = next {
        out.push_str(&text[done..secret.start + SHOWN]);
        out.push('…');
        done = secret.end;
        next = secret_from(text, done);
    }
    out.push_str(&text[done..]);
    Some(out)
}

/// The first one after `from`, where a text begins or a secret ended.
fn secret_from(text: &str, from: usize) -> Option<Range<usize>> {
    memchr_iter(b'_', &text.as_bytes()[from..]).find_map(|at| secret_at(text.as_bytes(), from + at))
}

/// The one whose prefix ends here.
fn secret_at(text: &[u8], underscore: usize) -> Option<Range<usize>> {
    let start = (underscore + 1).checked_sub(PREFIX)?;
    let [b'p', b't', kind, b'_'] = &text[start..=underscore] else { return None };
    let rest = &text[underscore + 1..];
    let length = rest.iter().position(|&byte| !is_of_value(byte)).unwrap_or(rest.len());
    (kind.is_ascii_lowercase() && length >= FEWEST).then_some(start..underscore + 1 + length)
}

/// Of base64url.
const fn is_of_value(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{model::OrganizationId, policy::mint_token};

    fn check(path: &str, expected: &str) {
        assert_eq!(without_secrets(path), expected, "{path}");
    }

    #[test]
    fn of_a_token_no_more_is_left_than_is_shown_of_it_anyway() {
        let (token, record) = mint_token(OrganizationId(uuid::Uuid::nil()), "t", None).unwrap();
        let (token, shown) = (token.as_str(), format!("{}…", record.prefix));
        for before in ["/tokens/", "/tokens", "/members/Bearer ", "/ptk_/", "/ptk_ptk_/", ""] {
            for after in ["", "/rotate", ".json", "…"] {
                check(&format!("{before}{token}{after}"), &format!("{before}{shown}{after}"));
            }
        }
        check(&format!("/{token}/a_b/{token}"), &format!("/{shown}/a_b/{shown}"));
        // One within another is of its value, and the end of one may be lost.
        check(&format!("/{}ptk_{token}", &token[..12]), &format!("/{shown}"));
        check(&format!("/tokens/{}", &token[..40]), &format!("/tokens/{shown}"));
    }

    #[test]
    fn sessions_invitations_and_what_comes_later_are_no_better() {
        let value = "a-B_9".repeat(9);
        for kind in ["pts_", "pti_", "ptx_"] {
            check(&format!("/invitations/{kind}{value}"), &format!("/invitations/{kind}a-B_9a…"));
        }
    }

    #[test]
    fn what_routing_decodes_is_no_hiding_place() {
        let value = "A".repeat(43);
        let shown = "/tokens/ptk_AAAAAA…";
        check(&format!("/tokens/%70tk_{value}"), shown);
        check(&format!("/tokens/ptk%5f{value}"), shown);
        check(&format!("/tokens/ptk_{}", "%41".repeat(43)), shown);
        check(&format!("/tokens/ptk_{value}%20"), &format!("{shown} "));
        check(&format!("/%zz/ptk_{value}%"), "/%zz/ptk_AAAAAA…%");
    }

    #[test]
    fn all_else_is_as_it_was_sent() {
        for path in [
            "",
            "/api/v1/sites/shop~site_01",
            "/sites/a%2Fb_%70/é",
            "/tokens/ptk_nobody",
            "/sites/s/plugins/scripts_and_styles_manager",
            &format!("/sites/{}", "a_".repeat(100)),
            &format!("/sites/PTK_{}", "A".repeat(43)),
        ] {
            let told = without_secrets(path);
            assert!(matches!(told, Cow::Borrowed(_)), "{path}");
            assert_eq!(told, path);
        }
    }
}
