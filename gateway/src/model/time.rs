//! Points in time: milliseconds inside, RFC 3339 in UTC outside.
//!
//! Invariant: every timestamp that a client sees went through this type, so all of them have one form.

use jiff::Timestamp as Instant;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;

/// Milliseconds since 1970-01-01T00:00:00Z, written as RFC 3339 (`2026-11-22T10:30:00Z`, with milliseconds where there are some).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    pub const fn as_millis(self) -> i64 {
        self.0
    }

    #[must_use]
    pub const fn plus_millis(self, millis: i64) -> Self {
        Self(self.0.saturating_add(millis))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (Text::of(self.0), Instant::from_millisecond(self.0)) {
            (Some(text), _) => f.write_str(text.as_str()),
            (None, Ok(at)) => at.fmt(f),
            (None, Err(_)) => f.write_str("9999-12-31T23:59:59Z"),
        }
    }
}

/// The longest is `2026-11-22T10:30:00.123Z`.
const LONGEST: usize = 24;
const DAY: i64 = 86_400_000;
/// The last millisecond of the year 9999.
const LAST: i64 = 253_402_300_799_999;

/// A time from 1970 to 9999, written without the machinery of `fmt`: a list has two in each row.
struct Text {
    bytes: [u8; LONGEST],
    length: usize,
}

impl Text {
    fn of(millis: i64) -> Option<Self> {
        let fits = (0..=LAST).contains(&millis);
        fits.then(|| Self::written(millis.unsigned_abs()))
    }

    fn written(millis: u64) -> Self {
        let (days, of_day) = (millis / DAY.unsigned_abs(), millis % DAY.unsigned_abs());
        let (year, month, day) = civil(days);
        let mut text = Self { bytes: *b"0000-00-00T00:00:00.000Z", length: LONGEST };
        let (seconds, rest) = (of_day / 1000, of_day % 1000);
        for (place, digits, value) in [
            (0, 4, year),
            (5, 2, month),
            (8, 2, day),
            (11, 2, seconds / 3600),
            (14, 2, seconds / 60 % 60),
            (17, 2, seconds % 60),
            (20, 3, rest),
        ] {
            text.put(place, digits, value);
        }
        text.end();
        text
    }

    fn put(&mut self, place: usize, digits: usize, mut value: u64) {
        for byte in self.bytes[place..place + digits].iter_mut().rev() {
            *byte = b'0' + (value % 10) as u8;
            value /= 10;
        }
    }

    /// A fraction has no zeros at its end, and where it is nothing else, there is none.
    fn end(&mut self) {
        let zeros = self.bytes[20..23].iter().rev().take_while(|byte| **byte == b'0').count();
        let end = if zeros == 3 { 19 } else { 23 - zeros };
        self.bytes[end] = b'Z';
        self.length = end + 1;
    }

    fn as_str(&self) -> &str {
        // Digits and signs of ASCII are all there is.
        std::str::from_utf8(&self.bytes[..self.length]).unwrap_or_default()
    }
}

/// Year, month and day of a day after 1970-01-01, by Howard Hinnant's `civil_from_days`.
const fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    // Years that begin in March.
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + if month <= 2 { 1 } else { 0 };
    (year, month, day)
}

impl std::str::FromStr for Timestamp {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let at: Instant = text.parse().map_err(|error| format!("not an RFC 3339 time: {error}"))?;
        Ok(Self(at.as_millisecond()))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match Text::of(self.0) {
            Some(text) => serializer.serialize_str(text.as_str()),
            None => serializer.collect_str(self),
        }
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

impl schemars::JsonSchema for Timestamp {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Timestamp".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "string", "format": "date-time"})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_by_hand_is_what_jiff_writes() {
        let same = |millis: i64| {
            let wanted = Instant::from_millisecond(millis).unwrap().to_string();
            assert_eq!(Timestamp(millis).to_string(), wanted);
            assert_eq!(serde_json::to_string(&Timestamp(millis)).unwrap(), format!("{wanted:?}"));
        };
        // Every day of eight centuries, at a time of its own; and the ends, which aren't all written by hand.
        (0..292_200).for_each(|day| same(day * DAY + day * 7919 % DAY));
        [0, 1, 10, 100, 999, 1000, DAY - 1, DAY, LAST - 2 * DAY, -1, -DAY].into_iter().for_each(same);
        assert_eq!(Timestamp(LAST).to_string(), "9999-12-31T23:59:59.999Z");
        assert_eq!(Timestamp(i64::MAX).to_string(), "9999-12-31T23:59:59Z");
    }

    #[test]
    fn reads_and_writes_rfc_3339() {
        for (millis, text) in [(0, "1970-01-01T00:00:00Z"), (1_700_000_000_123, "2023-11-14T22:13:20.123Z")] {
            assert_eq!(Timestamp::from_millis(millis).to_string(), text);
            assert_eq!(text.parse(), Ok(Timestamp::from_millis(millis)));
        }
        assert_eq!("2023-11-14T23:13:20+01:00".parse(), Ok(Timestamp::from_millis(1_700_000_000_000)));
        assert!("yesterday".parse::<Timestamp>().is_err());
    }
}
