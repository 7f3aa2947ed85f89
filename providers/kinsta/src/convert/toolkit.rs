//! Plugins, themes and the lines of logs.
//!
//! Pure. Invariant: a line's time is told only where the line itself tells its zone, as access logs do.

use super::native;
use crate::types;
use portico_sdk::{Error, json, sites::LogLine, time, wordpress::Extension};
use serde_json::Value;

/// The name of its folder is its id here.
pub fn extension(value: Value) -> Result<Extension, Error> {
    let known = json::read::<types::Extension>(&value)?;
    let available = known.update.as_deref() == Some("available");
    Ok(Extension {
        name: known.title.filter(|title| !title.is_empty()).unwrap_or_else(|| known.name.clone()),
        id: known.name,
        version: known.version.filter(|version| !version.is_empty()),
        // A multisite has `active-network`.
        active: known.status.is_some_and(|status| status.starts_with("active")),
        update: known.update_version.filter(|version| available && !version.is_empty()),
        native: native(value),
    })
}

/// The last `limit` lines.
pub fn log_lines(source: &str, text: &str, limit: usize) -> Vec<LogLine> {
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let last = lines.iter().skip(lines.len().saturating_sub(limit));
    last.map(|line| LogLine { at: access_time(line), source: source.to_owned(), text: (*line).to_owned() }).collect()
}

/// `[28/Oct/2025:10:30:00 +0000]`, the time of the common log format.
fn access_time(line: &str) -> Option<u64> {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let (inside, _) = line.split_once('[')?.1.split_once(']')?;
    let (at, zone) = inside.split_once(' ')?;
    let (date, clock) = at.split_once(':')?;
    let mut parts = date.split('/');
    let (day, name, year) = (parts.next()?, parts.next()?, parts.next()?);
    let month = MONTHS.iter().position(|month| *month == name)? + 1;
    let (hours, minutes) = zone.split_at_checked(3)?;
    time::parse_rfc3339(&format!("{year}-{month:02}-{day}T{clock}{hours}:{minutes}"))
}
