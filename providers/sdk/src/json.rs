//! JSON into Rust types, by way of a [`Value`].
//!
//! `serde_json::from_slice` makes code for parsing anew for every type, a loop over the keys included: with the many small types of
//! an API that is most of a component. Here bytes become a [`Value`] in one place, and [`reader`] hands a struct its fields in
//! the order in which it declares them. Invariant: an error names the field and what was expected, never a value.

mod fault;
mod reader;

use crate::Error;
use reader::Reader;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// What `value` is as a `T`: absent fields are none where they are optional, else their `#[serde(default)]`; unknown ones are let
/// be. serde's `alias`, `flatten` and `deny_unknown_fields` don't work here; for the last there is [`strict`].
#[inline(always)]
pub fn read<T: DeserializeOwned>(value: &Value) -> Result<T, Error> {
    Ok(T::deserialize(Reader::of(value))?)
}

#[inline(always)]
pub fn from_slice<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Error> {
    read(&parse(bytes)?)
}

#[inline(always)]
pub fn from_str<T: DeserializeOwned>(text: &str) -> Result<T, Error> {
    from_slice(text.as_bytes())
}

/// For what people write (settings, options): a field that the type doesn't know is an error, at any depth.
pub fn strict<T: DeserializeOwned>(text: &str) -> Result<T, Error> {
    Ok(T::deserialize(Reader::strict(&parse(text.as_bytes())?))?)
}

/// A number in a text, as JSON writes numbers. (`str::parse` for floats has 15 KiB of tables of its own.)
pub fn number(text: &str) -> Option<f64> {
    parse(text.as_bytes()).ok()?.as_f64()
}

/// Any JSON.
pub fn parse(bytes: &[u8]) -> Result<Value, Error> {
    Ok(serde_json::from_slice(bytes)?)
}

#[cfg(test)]
mod tests;
