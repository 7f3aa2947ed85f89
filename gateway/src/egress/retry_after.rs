//! `Retry-After`: how long an upstream asks to be left alone.
//!
//! In go the status and header of an answer; out comes a duration, where there is one. Invariant: no upstream can silence a
//! connection for longer than [`MOST`]. The header itself is handed on to the guest as it came.
//! Source: RFC 9110, sections 5.6.7 and 10.2.3.

use http::{HeaderMap, HeaderValue, StatusCode, header};
use std::time::{Duration, SystemTime};

/// Longer waits are often mistakes (milliseconds, a date in the wrong year); the upstream may say it again then.
pub(super) const MOST: Duration = Duration::from_secs(10 * 60);

/// Both forms: seconds, and a date. A date is measured against the upstream's own `Date`, so that its clock may be wrong.
pub(super) fn wait(status: StatusCode, headers: &HeaderMap) -> Option<Duration> {
    if !matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
        return None;
    }
    let value = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    let asked = match value.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => httpdate::parse_http_date(value).ok()?.duration_since(date(headers.get(header::DATE)?)?).ok()?,
    };
    Some(asked.min(MOST)).filter(|wait| !wait.is_zero())
}

pub(super) fn date(value: &HeaderValue) -> Option<SystemTime> {
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
            (429, "Wed, 21 Oct 2026 07:28:45 GMT", Some(DATE), Some(45)),
            (503, "Wednesday, 21-Oct-26 07:29:00 GMT", Some(DATE), Some(60)),
            (429, "Wed, 21 Oct 2026 07:27:00 GMT", Some(DATE), None),
            (429, "Wed, 21 Oct 2026 07:28:45 GMT", None, None),
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
}
