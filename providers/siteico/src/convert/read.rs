//! Reading JSON whose fields are known by several names.
//!
//! Pure. Invariant: the first name that holds a value of the wanted kind counts; nothing is guessed from another kind.

use portico_sdk::{Error, error::internal, time};
use serde_json::Value;

/// Larger numbers of a time are milliseconds: as seconds, this is the year 5138.
const MILLIS: u64 = 100_000_000_000;

fn find<T>(value: &Value, names: &[&str], read: impl Fn(&Value) -> Option<T>) -> Option<T> {
    names.iter().find_map(|name| read(value.get(name)?))
}

/// A text that isn't empty, or a whole number as one.
pub fn text(value: &Value, names: &[&str]) -> Option<String> {
    find(value, names, |value| match value {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) if !number.is_f64() => Some(number.to_string()),
        _ => None,
    })
}

pub fn flag(value: &Value, names: &[&str]) -> Option<bool> {
    find(value, names, Value::as_bool)
}

/// A whole number, also as a text of digits.
pub fn number(value: &Value, names: &[&str]) -> Option<u64> {
    find(value, names, |value| value.as_u64().or_else(|| value.as_str()?.parse().ok()))
}

/// A time as RFC 3339, or as seconds or milliseconds since 1970.
pub fn moment(value: &Value, names: &[&str]) -> Option<u64> {
    find(value, names, |value| match value {
        Value::String(text) => time::parse_rfc3339(text),
        number => number.as_u64().map(|number| if number > MILLIS { number } else { number * 1000 }),
    })
}

/// The items of a list: the answer itself, or what it holds as `sites`, `data` or `items` (`name` is `site`).
pub fn items(answer: Value, name: &str) -> Result<Vec<Value>, Error> {
    let plural = format!("{name}s");
    let mut inside = answer;
    for _ in 0..3 {
        let Value::Object(mut object) = inside else { break };
        let found = [plural.as_str(), "data", "items", "results"].iter().find_map(|name| object.remove(*name));
        inside = found.unwrap_or(Value::Null);
    }
    match inside {
        Value::Array(items) => Ok(items),
        _ => Err(internal(format!("SiteICO answered something that holds no list of {plural}"))),
    }
}

/// One thing: the answer itself, or what it holds as `site` or `data`.
pub fn object(answer: Value, name: &str) -> Value {
    let mut inside = answer;
    for wrapper in ["data", name] {
        inside = match inside {
            Value::Object(mut object) if object.get(wrapper).is_some_and(Value::is_object) => {
                object.remove(wrapper).unwrap_or_default()
            }
            other => other,
        };
    }
    inside
}
