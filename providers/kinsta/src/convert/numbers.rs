//! Numbers and times of JSON, which may be anything.
//!
//! Pure. Invariant: what is negative, endless or no number is none.

use crate::types::Analytics;

/// Milliseconds since the epoch, as Kinsta has times.
pub fn millis(number: f64) -> Option<u64> {
    count(number)
}

/// A whole number; what is behind the point is cut.
pub fn count(number: f64) -> Option<u64> {
    /// Whole numbers are exact up to here (2^53).
    const EXACT: f64 = 9_007_199_254_740_992.0;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the range is checked first")]
    (0.0..=EXACT).contains(&number).then_some(number as u64)
}

/// The value at the latest time of a series; ISO times sort as text.
pub fn latest(analytics: &Analytics) -> Option<u64> {
    let points = analytics.analytics.analytics_response.data.iter().flat_map(|line| &line.dataset);
    points.max_by(|one, other| one.key.cmp(&other.key)).and_then(|point| count(portico_sdk::json::number(&point.value)?))
}
