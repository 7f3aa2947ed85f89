//! Times of upstreams: RFC 3339 and HTTP dates in, milliseconds out, and RFC 3339 back.
//!
//! Written by hand because date libraries are larger than a whole provider. Sources: RFC 3339, RFC 9110 section 5.6.7.
//! Invariant: what isn't a real date is none, never the nearest one.

/// Milliseconds since the epoch. Takes any offset, `T`, `t` or a space between date and time, and any number of decimals
/// (what is finer than a millisecond is cut). None before 1970.
pub fn parse_rfc3339(text: &str) -> Option<u64> {
    let mut reader = Reader(text.as_bytes());
    let (year, month, day) = (reader.number(4)?, reader.after(b"-", 2)?, reader.after(b"-", 2)?);
    let (hour, minute, second) = (reader.after(b"Tt ", 2)?, reader.after(b":", 2)?, reader.after(b":", 2)?);
    let millis = reader.fraction()?;
    let offset = reader.offset()?;
    let seconds = seconds(Civil { year, month, day, hour, minute, second })?;
    (reader.0.is_empty()).then_some(())?;
    u64::try_from((seconds - offset * 60) * 1000 + millis).ok()
}

/// Milliseconds since the epoch, of the one form that is sent today: `Sun, 06 Nov 1994 08:49:37 GMT`.
pub fn parse_http_date(text: &str) -> Option<u64> {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let rest = text.split_once(',')?.1.strip_prefix(' ')?;
    let mut words = rest.split(' ');
    let (day, name, year, clock, zone) = (words.next()?, words.next()?, words.next()?, words.next()?, words.next()?);
    let month = MONTHS.iter().position(|month| *month == name)? as i64 + 1;
    let day = Reader(day.as_bytes()).number(2)?;
    let year = Reader(year.as_bytes()).number(4)?;
    let mut clock = Reader(clock.as_bytes());
    let (hour, minute, second) = (clock.number(2)?, clock.after(b":", 2)?, clock.after(b":", 2)?);
    let whole = clock.0.is_empty() && zone == "GMT" && words.next().is_none();
    let seconds = seconds(Civil { year, month, day, hour, minute, second })?;
    whole.then(|| u64::try_from(seconds * 1000).ok())?
}

/// `2026-11-22T10:30:00Z`, with milliseconds where there are some.
pub fn format_rfc3339(millis: u64) -> String {
    let (seconds, fraction) = (millis / 1000, millis % 1000);
    let (year, month, day) = date((seconds / 86_400) as i64);
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    let fraction = if fraction == 0 { String::new() } else { format!(".{fraction:03}") };
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{fraction}Z")
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn number(&mut self, digits: usize) -> Option<i64> {
        let (number, rest) = self.0.split_at_checked(digits)?;
        self.0 = rest;
        number.iter().try_fold(0, |sum, byte| byte.is_ascii_digit().then(|| sum * 10 + i64::from(byte - b'0')))
    }

    fn one_of(&mut self, allowed: &[u8]) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        allowed.contains(first).then_some(*first)
    }

    fn after(&mut self, separators: &[u8], digits: usize) -> Option<i64> {
        self.one_of(separators)?;
        self.number(digits)
    }

    /// Milliseconds of an optional `.123456`.
    fn fraction(&mut self) -> Option<i64> {
        let Some(rest) = self.0.strip_prefix(b".") else { return Some(0) };
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let value = |index: usize| if index < digits { i64::from(rest[index] - b'0') } else { 0 };
        self.0 = &rest[digits..];
        (digits > 0).then(|| value(0) * 100 + value(1) * 10 + value(2))
    }

    /// Minutes east of UTC.
    fn offset(&mut self) -> Option<i64> {
        let sign = match self.one_of(b"Zz+-")? {
            b'+' => 1,
            b'-' => -1,
            _ => return Some(0),
        };
        let (hours, minutes) = (self.number(2)?, self.after(b":", 2)?);
        (hours < 24 && minutes < 60).then_some(sign * (hours * 60 + minutes))
    }
}

struct Civil {
    year: i64,
    month: i64,
    day: i64,
    hour: i64,
    minute: i64,
    second: i64,
}

fn seconds(at: Civil) -> Option<i64> {
    let leap = at.year % 4 == 0 && (at.year % 100 != 0 || at.year % 400 == 0);
    let days = match at.month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    // Second 60 is a leap second; as RFC 3339 allows, it counts as the next minute's first.
    let real = (1..=days).contains(&at.day) && at.hour < 24 && at.minute < 60 && at.second <= 60;
    real.then(|| days_since_epoch(at.year, at.month, at.day) * 86_400 + at.hour * 3600 + at.minute * 60 + at.second)
}

/// Days from 1970-01-01 in the Gregorian calendar, counting years from March so that leap days come last.
fn days_since_epoch(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// The inverse of [`days_since_epoch`].
fn date(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_rfc_3339() {
        for (text, millis) in [
            ("1970-01-01T00:00:00Z", Some(0)),
            ("2023-11-14T22:13:20.123Z", Some(1_700_000_000_123)),
            ("2023-11-14t22:13:20.123456789z", Some(1_700_000_000_123)),
            ("2023-11-14 23:13:20+01:00", Some(1_700_000_000_000)),
            ("2023-11-14T16:43:20.5-05:30", Some(1_700_000_000_500)),
            ("2024-02-29T00:00:00Z", Some(1_709_164_800_000)),
            ("2000-02-29T00:00:00Z", Some(951_782_400_000)),
            ("2016-12-31T23:59:60Z", Some(1_483_228_800_000)),
            ("2023-02-29T00:00:00Z", None),
            ("1900-02-29T00:00:00Z", None),
            ("2023-13-01T00:00:00Z", None),
            ("2023-00-01T00:00:00Z", None),
            ("2023-04-31T00:00:00Z", None),
            ("2023-01-01T24:00:00Z", None),
            ("2023-01-01T00:60:00Z", None),
            ("2023-01-01T00:00:00", None),
            ("2023-01-01T00:00:00.Z", None),
            ("2023-01-01T00:00:00+0100", None),
            ("2023-01-01T00:00:00Zx", None),
            ("2023-01-01", None),
            ("1969-12-31T23:59:59Z", None),
            ("+023-01-01T00:00:00Z", None),
            ("", None),
            ("é023-01-01T00:00:00Z", None),
        ] {
            assert_eq!(parse_rfc3339(text), millis, "{text}");
        }
    }

    #[test]
    fn reads_http_dates() {
        for (text, millis) in [
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(784_111_777_000)),
            ("Thu, 01 Jan 1970 00:00:00 GMT", Some(0)),
            ("Sun, 06 Nov 1994 08:49:37 CET", None),
            ("Sun, 31 Nov 1994 08:49:37 GMT", None),
            ("Sunday, 06-Nov-94 08:49:37 GMT", None),
            ("Sun, 06 Nov 1994 08:49:37 GMT x", None),
            ("120", None),
        ] {
            assert_eq!(parse_http_date(text), millis, "{text}");
        }
    }

    #[test]
    fn writes_what_it_reads() {
        assert_eq!(format_rfc3339(0), "1970-01-01T00:00:00Z");
        assert_eq!(format_rfc3339(1_700_000_000_123), "2023-11-14T22:13:20.123Z");
        for day in (0..60_000).step_by(7) {
            let millis = day * 86_400_000 + day * 1001 % 86_400_000;
            assert_eq!(parse_rfc3339(&format_rfc3339(millis)), Some(millis), "{millis}");
        }
    }
}
