//! Whether a request was sent by our own page: what keeps other sites from using a visitor's cookie.
//!
//! In go header fields; out comes where the request was made, as far as browsers say. Invariant: `Sec-Fetch-Site` decides where
//! it is sent, since no page can forge it; `Origin` where it isn't; a request that says nothing is never taken for our own.

use http::{HeaderMap, Method, header, uri::Authority};

/// Request extension: a page of an origin that the operator lists (`[cors] origins`) sent it, which counts as our own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listed;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Provenance {
    /// Our own page, or the user themself.
    Own,
    /// Another site, or another origin of this one.
    Other,
    /// No browser, or a very old one.
    Unsaid,
}

/// `host`: of the request's target (HTTP/2), where it isn't in `Host`. `secure`: it came over TLS.
pub fn provenance(headers: &HeaderMap, host: Option<&Authority>, secure: bool) -> Provenance {
    let own = |yes: bool| if yes { Provenance::Own } else { Provenance::Other };
    let mut sites = headers.get_all("sec-fetch-site").into_iter().peekable();
    if sites.peek().is_some() {
        return own(sites.all(|site| matches!(site.as_bytes(), b"same-origin" | b"none")));
    }
    let mut origins = headers.get_all(header::ORIGIN).into_iter().peekable();
    if origins.peek().is_none() {
        return Provenance::Unsaid;
    }
    let host = host.map(|host| host.as_str().as_bytes()).or_else(|| Some(headers.get(header::HOST)?.as_bytes()));
    own(host.is_some_and(|host| origins.all(|origin| is_of(origin.as_bytes(), host, secure))))
}

fn is_of(origin: &[u8], host: &[u8], secure: bool) -> bool {
    let authority = match origin.strip_prefix(b"https://") {
        Some(authority) => authority,
        // Behind a proxy that we don't know, TLS may have ended before us; after it, a page over plain HTTP is another's.
        None if secure => return false,
        None => origin.strip_prefix(b"http://").unwrap_or_default(),
    };
    !authority.is_empty() && authority.eq_ignore_ascii_case(host)
}

/// What changes nothing may come from anywhere (RFC 9110, 9.2.1).
pub fn is_safe(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS | Method::TRACE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderName, HeaderValue};

    fn headers(all: &[(&'static str, &'static str)]) -> HeaderMap {
        all.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn browsers_say_where_a_request_was_made() {
        use Provenance::{Other, Own, Unsaid};
        let own = [("host", "panel.example"), ("origin", "https://panel.example")];
        let check = |all: &[(&'static str, &'static str)], secure: bool, expected: Provenance| {
            assert_eq!(provenance(&headers(all), None, secure), expected, "{all:?} {secure}");
        };
        check(&[], false, Unsaid);
        check(&[("host", "panel.example")], false, Unsaid);
        check(&own, false, Own);
        check(&own, true, Own);
        check(&[("host", "panel.example"), ("origin", "http://panel.example")], false, Own);
        check(&[("host", "panel.example"), ("origin", "http://panel.example")], true, Other);
        check(&[("host", "panel.example:8080"), ("origin", "http://panel.example:8080")], false, Own);
        check(&[("host", "panel.example:8080"), ("origin", "http://panel.example")], false, Other);
        check(&[("host", "panel.example"), ("origin", "https://evil.example")], false, Other);
        check(&[("host", "panel.example"), ("origin", "https://panel.example.evil.example")], false, Other);
        check(&[("host", "panel.example"), ("origin", "null")], false, Other);
        check(&[("origin", "https://panel.example")], false, Other);
        check(&[("host", ""), ("origin", "https://")], false, Other);
        for (site, expected) in [
            ("same-origin", Own),
            ("none", Own),
            ("same-site", Other),
            ("cross-site", Other),
            ("", Other),
            ("SAME-ORIGIN", Other),
        ] {
            check(&[("sec-fetch-site", site)], false, expected);
            // It is believed before Origin.
            check(&[own[0], own[1], ("sec-fetch-site", site)], true, expected);
        }
        let authority = Authority::from_static("panel.example");
        assert_eq!(provenance(&headers(&[own[1]]), Some(&authority), true), Own);
        let mut twice = headers(&own);
        twice.append("origin", HeaderValue::from_static("https://evil.example"));
        assert_eq!(provenance(&twice, None, false), Other);
    }
}
