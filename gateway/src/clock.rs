//! The wall clock, read in one place.
//!
//! Invariant: nobody else asks the system for the time of day (deadlines use tokio's monotonic clock instead).

use crate::model::Timestamp;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

pub fn now() -> Timestamp {
    #[expect(clippy::disallowed_methods, reason = "this is the one place")]
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// As `Date` has it (RFC 9110, 5.6.7).
pub fn http_date() -> String {
    httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_millis(now().as_millis().try_into().unwrap_or(0)))
}

/// Unix seconds, as certificates have them.
pub fn from_unix(seconds: i64) -> Timestamp {
    Timestamp::from_millis(seconds.saturating_mul(1000))
}
