//! Answers as JSON first, and then as what is expected of them.
//!
//! There is one reader of bytes, and one of each type: a component would otherwise carry both for every type. Invariant: an
//! answer of another shape is an error of kind `internal`, never a panic.

use portico_sdk::{Error, error::internal, upstream::Request};
use serde::de::DeserializeOwned;
use serde_json::Value;

/// Everything that is read is an object; serde would take a list of its fields' values for one.
pub fn read<T: DeserializeOwned>(value: &Value) -> Result<T, Error> {
    if value.is_array() {
        return Err(internal("the upstream answered with a list where an object was expected"));
    }
    Ok(T::deserialize(value)?)
}

pub fn parse<T: DeserializeOwned>(text: &str) -> Result<T, Error> {
    read(&serde_json::from_str(text)?)
}

pub fn fetch<T: DeserializeOwned>(request: Request) -> Result<T, Error> {
    read(&request.json()?)
}

/// None when the upstream says 404.
pub fn fetch_if_found<T: DeserializeOwned>(request: Request) -> Result<Option<T>, Error> {
    request.json_if_found::<Value>()?.as_ref().map(read).transpose()
}
