//! Cookies of one session.
//!
//! In go `Set-Cookie` fields of one upstream's answers; out comes the `Cookie` field for a path there. Invariant: a cookie goes
//! back to the host that set it alone, below its path, and, if it is marked so, over https only; and its value is overwritten
//! in memory when it is dropped. Guests never see one. Source: RFC 6265, sections 5.1 to 5.4.

use crate::clock;
use http::{HeaderMap, header};
use std::{
    fmt,
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tokio::time::Instant;
use zeroize::Zeroizing;

/// Cookies of one session, and bytes of one cookie; browsers keep fifty of 4 KiB.
const MOST: usize = 50;
const MAX_BYTES: usize = 4 << 10;
/// A lifetime beyond this one is for ever.
const FOR_EVER: u64 = 10 * 365 * 86_400;

/// Where an answer came from.
pub(in crate::egress) struct Origin<'a> {
    pub host: &'a str,
    pub path: &'a str,
    pub https: bool,
}

#[derive(Clone, Default)]
pub(in crate::egress) struct Jar(Vec<Cookie>);

#[derive(Clone)]
struct Cookie {
    name: String,
    value: Zeroizing<String>,
    path: String,
    /// None: as long as the session.
    expires: Option<Instant>,
}

impl Jar {
    /// Takes in what an answer sets; the number of cookies that it set and that can be kept.
    pub(in crate::egress) fn take(&mut self, headers: &HeaderMap, origin: &Origin<'_>, now: Instant) -> usize {
        let set = headers.get_all(header::SET_COOKIE).iter().filter_map(|value| value.to_str().ok());
        let cookies: Vec<Cookie> = set.filter_map(|text| parse(text, origin, now)).collect();
        let mut kept = 0;
        for cookie in cookies {
            self.0.retain(|other| (&other.name, &other.path) != (&cookie.name, &cookie.path));
            if cookie.lives(now) && self.0.len() < MOST {
                self.0.push(cookie);
                kept += 1;
            }
        }
        kept
    }

    /// The value of `Cookie` for a request to this path, if there is any; longer paths first.
    pub(in crate::egress) fn header(&self, path: &str, now: Instant) -> Option<Zeroizing<Vec<u8>>> {
        let mut fitting: Vec<&Cookie> =
            self.0.iter().filter(|cookie| cookie.lives(now) && path_matches(path, &cookie.path)).collect();
        fitting.sort_by_key(|cookie| std::cmp::Reverse(cookie.path.len()));
        let size = fitting.iter().map(|cookie| cookie.name.len() + cookie.value.len() + 3).sum();
        // Of its final size at once, so that no part of it stays behind where a smaller one was.
        let mut out = Zeroizing::new(Vec::with_capacity(size));
        for cookie in fitting {
            let parts = [if out.is_empty() { "" } else { "; " }, &cookie.name, "=", &cookie.value];
            parts.iter().for_each(|part| out.extend_from_slice(part.as_bytes()));
        }
        (!out.is_empty()).then_some(out)
    }

    /// No cookie is left that could still be sent.
    pub(in crate::egress) fn is_over(&self, now: Instant) -> bool {
        !self.0.iter().any(|cookie| cookie.lives(now))
    }

    pub(in crate::egress) fn values(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|cookie| cookie.value.as_str())
    }
}

impl fmt::Debug for Jar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} cookies", self.0.len())
    }
}

impl Cookie {
    fn lives(&self, now: Instant) -> bool {
        self.expires.is_none_or(|at| at > now)
    }
}

fn parse(text: &str, origin: &Origin<'_>, now: Instant) -> Option<Cookie> {
    let mut parts = text.split(';').map(str::trim);
    let (name, value) = parts.next()?.split_once('=').map(|(name, value)| (name.trim(), value.trim()))?;
    let is_clean = |text: &str| !text.chars().any(char::is_control);
    if name.is_empty() || name.len() + value.len() > MAX_BYTES || !is_clean(name) || !is_clean(value) {
        return None;
    }
    let mut cookie = Cookie {
        name: name.to_owned(),
        value: Zeroizing::new(value.to_owned()),
        path: default_path(origin.path).to_owned(),
        expires: None,
    };
    let mut age = None;
    for part in parts {
        let (attribute, value) = part.split_once('=').map_or((part, ""), |(name, value)| (name.trim(), value.trim()));
        match attribute.to_ascii_lowercase().as_str() {
            "path" if value.starts_with('/') => value.clone_into(&mut cookie.path),
            "domain" if !value.is_empty() && !domain_matches(origin.host, value) => return None,
            "secure" if !origin.https => return None,
            "expires" => {
                cookie.expires = httpdate::parse_http_date(value).ok().map(|date| moment(date, now)).or(cookie.expires)
            }
            "max-age" => age = lifetime(value).or(age),
            _ => {}
        }
    }
    // A lifetime counts more than a date.
    cookie.expires = age.map(|age| now + age).or(cookie.expires);
    Some(cookie)
}

/// Zero or less: it is to be removed.
fn lifetime(text: &str) -> Option<Duration> {
    let seconds: i64 = text.parse().ok()?;
    Some(Duration::from_secs(u64::try_from(seconds).unwrap_or(0).min(FOR_EVER)))
}

fn moment(date: SystemTime, now: Instant) -> Instant {
    let at = date.duration_since(UNIX_EPOCH).unwrap_or_default();
    let left = at.saturating_sub(Duration::from_millis(u64::try_from(clock::now().as_millis()).unwrap_or(0)));
    now + left.min(Duration::from_secs(FOR_EVER))
}

fn domain_matches(host: &str, domain: &str) -> bool {
    let domain = domain.trim_start_matches('.').to_ascii_lowercase();
    let host = host.to_ascii_lowercase();
    let is_address = host.parse::<std::net::Ipv4Addr>().is_ok() || host.starts_with('[');
    host == domain || (!is_address && host.strip_suffix(&domain).is_some_and(|rest| rest.ends_with('.')))
}

/// The folder of the path that set it.
fn default_path(path: &str) -> &str {
    match path.rfind('/') {
        None | Some(0) => "/",
        Some(end) => &path[..end],
    }
}

fn path_matches(path: &str, of_cookie: &str) -> bool {
    let Some(rest) = path.strip_prefix(of_cookie) else { return false };
    rest.is_empty() || of_cookie.ends_with('/') || rest.starts_with('/')
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn jar(fields: &[&str], https: bool) -> Jar {
        let mut headers = HeaderMap::new();
        for field in fields {
            headers.append(header::SET_COOKIE, HeaderValue::from_str(field).unwrap());
        }
        let mut jar = Jar::default();
        jar.take(&headers, &Origin { host: "panel.example.com", path: "/api/auth/login", https }, Instant::now());
        jar
    }

    fn sent(jar: &Jar, path: &str) -> String {
        let header = jar.header(path, Instant::now());
        header.map(|bytes| String::from_utf8(bytes.to_vec()).unwrap()).unwrap_or_default()
    }

    #[tokio::test]
    async fn cookies_go_where_they_are_meant_for() {
        for (fields, https, path, expected) in [
            (&["s=1; Path=/; HttpOnly"][..], true, "/api/sites", "s=1"),
            (&["s=1"], true, "/api/auth/refresh", "s=1"),
            (&["s=1"], true, "/api/sites", ""),
            (&["s=1; Path=/api"], true, "/api", "s=1"),
            (&["s=1; Path=/api"], true, "/apis", ""),
            (&["s=1; Path=/api/"], true, "/api/sites", "s=1"),
            (&["s=1; Path=sites"], true, "/api/auth/me", "s=1"),
            (&["a=1; Path=/", "b=2; Path=/api"], true, "/api/sites", "b=2; a=1"),
            (&["s=1; Path=/", "s=2; Path=/"], true, "/", "s=2"),
            (&["s=1; Path=/", "s=; Path=/; Max-Age=0"], true, "/", ""),
            (&["s=1; Path=/", "s=x; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT"], true, "/", ""),
            (&["s=1; Path=/; Max-Age=60; Expires=Thu, 01 Jan 1970 00:00:00 GMT"], true, "/", "s=1"),
            (&["s=1; Path=/; Max-Age=soon"], true, "/", "s=1"),
            (&["s=1; Path=/; Max-Age=99999999999999999999"], true, "/", "s=1"),
            (&["s=1; Path=/; Domain=example.com"], true, "/", "s=1"),
            (&["s=1; Path=/; Domain=.PANEL.example.com"], true, "/", "s=1"),
            (&["s=1; Path=/; Domain=ample.com"], true, "/", ""),
            (&["s=1; Path=/; Domain=evil.example"], true, "/", ""),
            (&["s=1; Path=/; Secure"], true, "/", "s=1"),
            (&["s=1; Path=/; Secure"], false, "/", ""),
            (&["s=\"q=1\"; Path=/"], true, "/", "s=\"q=1\""),
            (&["nothing", "=1", ""], true, "/", ""),
        ] {
            assert_eq!(sent(&jar(fields, https), path), expected, "{fields:?} {path}");
        }
        assert!(jar(&["s=1; Max-Age=0"], true).is_over(Instant::now()));
        assert!(!format!("{:?}", jar(&["s=secret"], true)).contains("secret"));
    }

    #[tokio::test]
    async fn a_cookie_ends_in_its_time_and_a_flood_is_cut() {
        let timed = jar(&["s=1; Path=/; Max-Age=60"], true);
        assert!(!timed.is_over(Instant::now()) && timed.is_over(Instant::now() + Duration::from_secs(61)));
        let many: Vec<String> = (0..2 * MOST).map(|number| format!("c{number}=1; Path=/")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert_eq!(jar(&many, true).values().count(), MOST);
    }

    proptest::proptest! {
        #[test]
        fn any_field_is_taken_or_left(field in "[ -~]{0,80}", path in "/[a-z/]{0,12}") {
            let kept = sent(&jar(&[&field], true), &path);
            proptest::prop_assert!(HeaderValue::from_str(&kept).is_ok());
        }
    }
}
