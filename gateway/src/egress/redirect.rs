//! Redirects: which ones are followed.
//!
//! In go the upstream's base, where a request went, and an answer; out comes where to ask next, or nothing.
//! Invariant: a redirect never leaves the scheme, host, port and base path that were granted. It sends nothing.

use super::base::Base;
use http::{HeaderMap, StatusCode, header};

/// Hops of one request.
pub(super) const MAX_HOPS: usize = 3;

/// Path and query of the next hop; none: the answer is the guest's to read.
pub(super) fn next(base: &Base, current: &str, status: StatusCode, headers: &HeaderMap) -> Option<String> {
    if !matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308) {
        return None;
    }
    let location = headers.get(header::LOCATION)?.to_str().ok()?;
    let from = base.join(current)?;
    let to = from.join(location).ok()?;
    let same = to.scheme() == from.scheme()
        && to.host() == from.host()
        && to.port_or_known_default() == from.port_or_known_default()
        && to.username().is_empty()
        && to.password().is_none();
    (same && base.holds(to.path())).then(|| match to.query() {
        Some(query) => format!("{}?{query}", to.path()),
        None => to.path().to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn only_what_stays_below_the_base_is_followed() {
        let base = Base::parse("https://api.example/v2").unwrap();
        for (status, location, expected) in [
            (302, "/v2/other?x=1", Some("/v2/other?x=1")),
            (301, "https://api.example/v2/other", Some("/v2/other")),
            (308, "https://api.example:443/v2/a#b", Some("/v2/a")),
            (307, "b", Some("/v2/b")),
            (302, "/v2", Some("/v2")),
            (302, "/v20/other", None),
            (302, "/v2/../admin", None),
            (302, "/v2/%2e%2e/admin", None),
            (302, "/v2/..%2fadmin", None),
            (302, "/v2/..%5cadmin", None),
            (302, "/v1/other", None),
            (302, "//evil.example/v2/x", None),
            (302, "https://evil.example/v2/x", None),
            (302, "http://api.example/v2/x", None),
            (302, "https://api.example:8443/v2/x", None),
            (302, "https://user@api.example/v2/x", None),
            (302, "javascript:alert(1)", None),
            (200, "/v2/other", None),
            (304, "/v2/other", None),
        ] {
            let headers = HeaderMap::from_iter([(header::LOCATION, HeaderValue::from_str(location).unwrap())]);
            let next = next(&base, "/v2/sites", StatusCode::from_u16(status).unwrap(), &headers);
            assert_eq!(next.as_deref(), expected, "{status} {location}");
        }
        assert_eq!(next(&base, "/v2/sites", StatusCode::FOUND, &HeaderMap::new()), None);
    }
}
