//! JSON into Rust types, by way of a [`Value`].
//!
//! `serde_json::from_slice` makes code for parsing anew for every type, a loop over the keys included: with the many small types of
//! an API that is most of a component. (The price: the whole document has to be good JSON, also what nobody reads of it.) Here bytes become a [`Value`] in one place, and [`reader`] hands a struct its fields in
//! the order in which it declares them. Invariant: an error names the field and what was expected, never a value.

mod fault;
mod reader;

use crate::Error;
use reader::Reader;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// What `value` is as a `T`. A field that isn't there is none where it is optional (also where its default would be some), else its
/// `#[serde(default)]`; unknown ones are let be. Types with serde's `alias` can't be read (it panics), `deny_unknown_fields` does nothing
/// ([`strict`] is for that), and the keys of maps are texts.
pub fn read<T: DeserializeOwned>(value: &Value) -> Result<T, Error> {
    fill(Reader::of(value), None)
}

pub fn from_slice<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Error> {
    read(&parse(bytes)?)
}

pub fn from_str<T: DeserializeOwned>(text: &str) -> Result<T, Error> {
    from_slice(text.as_bytes())
}

/// As [`read`], of what an upstream answered with this status.
pub(crate) fn read_answer<T: DeserializeOwned>(value: &Value, status: u16) -> Result<T, Error> {
    fill(Reader::of(value), Some(status))
}

/// Once for each type.
#[inline(never)]
fn fill<T: DeserializeOwned>(reader: Reader<'_>, upstream_status: Option<u16>) -> Result<T, Error> {
    T::deserialize(reader).map_err(|fault| Error { upstream_status, ..fault.into() })
}

/// For what people write (settings, options): a field that the type doesn't know is an error, at any depth (but not inside of
/// enums that serde reads twice, `untagged` and those with a `tag`).
pub fn strict<T: DeserializeOwned>(text: &str) -> Result<T, Error> {
    fill(Reader::strict(&parse(text.as_bytes())?), None)
}

/// A decimal number in a text: `7`, `007`, `1.50`, `.5`. (`str::parse` for floats brings 15 KiB of tables of its own.)
pub fn number(text: &str) -> Option<f64> {
    let text = text.trim();
    if !text.contains(|digit: char| digit.is_ascii_digit()) {
        return None;
    }
    let (sign, digits) = text.strip_prefix('-').map_or(("", text.trim_start_matches('+')), |digits| ("-", digits));
    let digits = digits.trim_start_matches('0');
    // JSON wants one digit before the point, no zeros before that, and digits behind it.
    let zero = if digits.starts_with(|first: char| first.is_ascii_digit()) { "" } else { "0" };
    parse(format!("{sign}{zero}{}", digits.trim_end_matches('.')).as_bytes()).ok()?.as_f64()
}

/// Any JSON.
pub fn parse(bytes: &[u8]) -> Result<Value, Error> {
    Ok(serde_json::from_slice(bytes)?)
}

#[cfg(test)]
mod tests;
