//! `Retry-After`: how long an upstream asks to be left alone.
//!
//! In go the status and header of an answer; out comes a duration, where there is one. Invariant: no upstream can silence a
//! connection for longer than [`MOST`]. The header itself is handed on to the guest as it came. What a 429 without it means is
//! decided by the limits.
//! Source: RFC 9110, sections 5.6.7 and 10.2.3.

use crate::clock;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use std::{
    num::IntErrorKind,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// Longer waits are often mistakes (milliseconds, a date in the wrong year); the upstream may say it again then.
pub(super) const MOST: Duration = Duration::from_secs(10 * 60);

/// Both forms: seconds, and a date.
pub(super) fn wait(status: StatusCode, headers: &HeaderMap) -> Option<Duration> {
    if !matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
        return None;
    }
    let value = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    let asked = match value.parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(error) if *error.kind() == IntErrorKind::PosOverflow => MOST,
        Err(_) => httpdate::parse_http_date(value).ok()?.duration_since(now(headers)).ok()?,
    };
    Some(asked.min(MOST)).filter(|wait| !wait.is_zero())
}

/// By the upstream's own `Date`, so that its clock may be wrong; by ours if it has none.
pub(super) fn now(headers: &HeaderMap) -> SystemTime {
    let ours = || UNIX_EPOCH + Duration::from_millis(u64::try_from(clock::now().as_millis()).unwrap_or_default());
    headers.get(header::DATE).and_then(date).unwrap_or_else(ours)
}

fn date(value: &HeaderValue) -> Option<SystemTime> {
    httpdate::parse_http_date(value.to_str().ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_are_understood() {
        const DATE: &str = "Wed, 21 Oct 2026 07:28:00 GMT";
        for (status, value, date, seconds) in [
            (429, "30", None, Some(30)),
            (503, " 5 ", None, Some(5)),
            (429, "0", None, None),
            (429, "86400", None, Some(600)),
            (429, "99999999999999999999", None, Some(600)),
            (429, "-99999999999999999999", None, None),
            (429, "Wed, 21 Oct 2026 07:28:45 GMT", Some(DATE), Some(45)),
            (503, "Wednesday, 21-Oct-26 07:29:00 GMT", Some(DATE), Some(60)),
            (429, "Wed, 21 Oct 2026 07:27:00 GMT", Some(DATE), None),
            (429, "soon", Some(DATE), None),
            (429, "-1", None, None),
            (200, "30", None, None),
            (302, "30", None, None),
        ] {
            let mut headers = HeaderMap::from_iter([(header::RETRY_AFTER, HeaderValue::from_static(value))]);
            if let Some(date) = date {
                headers.insert(header::DATE, HeaderValue::from_static(date));
            }
            let wait = wait(StatusCode::from_u16(status).unwrap(), &headers);
            assert_eq!(wait, seconds.map(Duration::from_secs), "{status} {value}");
        }
        assert_eq!(wait(StatusCode::TOO_MANY_REQUESTS, &HeaderMap::new()), None);
    }

    #[test]
    fn a_date_without_a_date_is_measured_by_our_clock() {
        let asked = now(&HeaderMap::new()) + Duration::from_secs(45);
        for date in [None, Some("yesterday")] {
            let value = httpdate::fmt_http_date(asked).parse().unwrap();
            let mut headers = HeaderMap::from_iter([(header::RETRY_AFTER, value)]);
            headers.extend(date.map(|date| (header::DATE, HeaderValue::from_static(date))));
            let wait = wait(StatusCode::TOO_MANY_REQUESTS, &headers).unwrap();
            // The date has no fractions of a second, and a busy machine takes its time.
            assert!((Duration::from_secs(30)..=Duration::from_secs(45)).contains(&wait), "{wait:?}");
        }
    }
}
