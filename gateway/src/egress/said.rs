//! What an upstream says about its limits: how many requests are left, and for how long.
//!
//! In go the headers of an answer; out comes the tightest of what they say. Invariant: no header can silence a connection for
//! longer than [`MOST`], and what can't be read is as if it weren't there.
//! Source: draft-ietf-httpapi-ratelimit-headers (`RateLimit`, and the fields of its earlier versions), and the `X-RateLimit-…`
//! fields as GitHub, Hetzner and others send them: Unix seconds or seconds from now.

use super::retry_after::{MOST, now};
use http::{HeaderMap, HeaderValue};
use std::time::{Duration, UNIX_EPOCH};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Said {
    pub remaining: u32,
    /// From now.
    pub reset: Duration,
}

/// Larger numbers are moments, smaller ones are spans: thirty years of seconds.
const MOMENT: u64 = 1_000_000_000;
/// Larger moments are in milliseconds.
const MILLIS: u64 = 100_000_000_000;

pub(super) fn read(headers: &HeaderMap) -> Option<Said> {
    let structured = headers.get_all("ratelimit").iter().filter_map(text).flat_map(items);
    let fields = [("ratelimit-remaining", "ratelimit-reset"), ("x-ratelimit-remaining", "x-ratelimit-reset")];
    let pairs = fields.iter().filter_map(|(remaining, reset)| pair(headers, remaining, reset));
    let tightest = structured.chain(pairs).filter(|said| !said.reset.is_zero());
    tightest.min_by_key(|said| (said.remaining, std::cmp::Reverse(said.reset)))
}

fn text(value: &HeaderValue) -> Option<&str> {
    value.to_str().ok()
}

fn number(text: &str) -> Option<u64> {
    // Some send fractions of seconds.
    match text.trim().split_once('.') {
        Some((whole, _)) => whole.parse::<u64>().ok()?.checked_add(1),
        None => text.trim().parse().ok(),
    }
}

fn pair(headers: &HeaderMap, remaining: &str, reset: &str) -> Option<Said> {
    let remaining = number(text(headers.get(remaining)?)?)?;
    let reset = number(text(headers.get(reset)?)?)?;
    said(remaining, span(reset, headers)?)
}

fn said(remaining: u64, reset: Duration) -> Option<Said> {
    Some(Said { remaining: u32::try_from(remaining).unwrap_or(u32::MAX), reset: reset.min(MOST) })
}

/// A moment is measured as one of `Retry-After` is.
fn span(reset: u64, headers: &HeaderMap) -> Option<Duration> {
    let moment = match reset {
        ..MOMENT => return Some(Duration::from_secs(reset)),
        MOMENT..MILLIS => Duration::from_secs(reset),
        _ => Duration::from_millis(reset),
    };
    moment.checked_sub(now(headers).duration_since(UNIX_EPOCH).ok()?)
}

/// `"default";r=50;t=30`, or `limit=100, remaining=50, reset=30`.
fn items(value: &str) -> Vec<Said> {
    let parameters = |text: &str, separator: char, left: &str, until: &str| {
        let find = |name: &str| {
            let pairs = text.split(separator).filter_map(|part| part.trim().split_once('='));
            pairs.filter(|(key, _)| key.trim() == name).find_map(|(_, value)| number(value))
        };
        said(find(left)?, Duration::from_secs(find(until)?))
    };
    let newer = value.split(',').filter_map(|item| parameters(item, ';', "r", "t"));
    newer.chain(parameters(value, ',', "remaining", "reset")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderName;

    fn check(headers: &[(&'static str, &str)], expected: Option<(u32, u64)>) {
        let pairs = headers.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()));
        let read = read(&pairs.collect());
        let expected = expected.map(|(remaining, seconds)| Said { remaining, reset: Duration::from_secs(seconds) });
        assert_eq!(read, expected, "{headers:?}");
    }

    #[test]
    fn all_forms_are_read() {
        let date = ("date", "Wed, 21 Oct 2026 07:28:00 GMT");
        check(&[], None);
        check(&[("ratelimit", "\"default\";r=50;t=30")], Some((50, 30)));
        check(&[("ratelimit", "\"hour\";r=999;t=600, \"second\";r=0;t=1")], Some((0, 1)));
        check(&[("ratelimit", "limit=100, remaining=7, reset=9")], Some((7, 9)));
        check(&[("ratelimit-remaining", "3"), ("ratelimit-reset", "12")], Some((3, 12)));
        check(&[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1")], Some((0, 1)));
        check(&[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1792567700"), date], Some((0, 20)));
        check(&[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1792567700000"), date], Some((0, 20)));
        check(&[("x-ratelimit-remaining", "4"), ("x-ratelimit-reset", "2.5")], Some((4, 3)));
        check(&[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "999999")], Some((0, 600)));
        check(&[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1792567600"), date], None);
        check(&[("x-ratelimit-remaining", "0")], None);
        check(&[("x-ratelimit-remaining", "few"), ("x-ratelimit-reset", "1")], None);
        check(&[("ratelimit", "r;t;;=,,\"")], None);
        check(&[("ratelimit", "\"a\";r=5;t=3"), ("x-ratelimit-remaining", "2"), ("x-ratelimit-reset", "60")], Some((2, 60)));
    }
}
