//! Reading JSON whose fields are known by several names, in the four shapes that WisPanel's successes have.
//!
//! Pure. Invariant: the first name that holds a value of the wanted kind counts; nothing is guessed from another kind.

use portico_sdk::{Error, error::internal, time};
use serde_json::Value;

/// Larger numbers of a time are milliseconds: as seconds, this is the year 5138.
const MILLIS: u64 = 100_000_000_000;

pub fn find<T>(value: &Value, names: &[&str], read: impl Fn(&Value) -> Option<T>) -> Option<T> {
    names.iter().find_map(|name| read(value.get(name)?))
}

/// A text that isn't empty, or a whole number as one.
pub fn text(value: &Value, names: &[&str]) -> Option<String> {
    find(value, names, as_text)
}

pub fn as_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if !text.trim().is_empty() => Some(text.trim().to_owned()),
        Value::Number(number) if !number.is_f64() => Some(number.to_string()),
        _ => None,
    }
}

/// A boolean, or a word for one, or an object that says whether it is `enabled`.
pub fn flag(value: &Value, names: &[&str]) -> Option<bool> {
    find(value, names, as_flag)
}

pub fn as_flag(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(flag) => Some(*flag),
        Value::Number(number) => match number.as_u64() {
            Some(0) => Some(false),
            Some(1) => Some(true),
            _ => None,
        },
        Value::String(word) => match word.to_ascii_lowercase().as_str() {
            "true" | "on" | "yes" | "enabled" | "active" | "1" => Some(true),
            "false" | "off" | "no" | "disabled" | "inactive" | "0" => Some(false),
            _ => None,
        },
        Value::Object(object) => ["enabled", "active", "status"].iter().find_map(|name| match object.get(*name)? {
            Value::Object(_) => None,
            inside => as_flag(inside),
        }),
        _ => None,
    }
}

/// A whole number, also as a text of digits.
pub fn number(value: &Value, names: &[&str]) -> Option<u64> {
    find(value, names, |value| value.as_u64().or_else(|| value.as_str()?.trim().parse().ok()))
}

/// A time as RFC 3339, or as seconds or milliseconds since 1970. Go's zero time (the year 1) is none.
pub fn moment(value: &Value, names: &[&str]) -> Option<u64> {
    find(value, names, |value| match value {
        Value::String(text) => time::parse_rfc3339(text).or_else(|| time::parse_rfc3339(&format!("{text}Z"))),
        number => number.as_u64().map(|number| if number > MILLIS { number } else { number.saturating_mul(1000) }),
    })
}

/// The items of one answer, and how many pages there are.
#[derive(Debug, PartialEq)]
pub struct Items {
    pub items: Vec<Value>,
    /// Which page it is, where the answer tells.
    pub page: Option<u64>,
    /// 1 where the answer tells nothing of pages.
    pub last_page: u64,
    /// Of all pages, where the answer tells.
    pub total: Option<u64>,
}

/// A list's items: the answer itself, or what it holds under one of `names`, `data` or `items`, once or twice inside. A list
/// without anything in it may be null (Go's empty slice).
pub fn items(answer: Value, names: &[&str]) -> Result<Items, Error> {
    let meta = |name| answer.get("meta").and_then(|meta| number(meta, &[name]));
    let (page, last_page, total) = (meta("current_page"), meta("last_page").unwrap_or(1), meta("total"));
    let mut inside = answer;
    for _ in 0..3 {
        let Value::Object(mut object) = inside else { break };
        let known = names.iter().chain(&["data", "items"]).find(|name| object.contains_key(**name));
        let missing = || internal("WisPanel answered something that holds no list");
        inside = object.remove(*known.ok_or_else(missing)?).unwrap_or_default();
    }
    match inside {
        Value::Array(items) => Ok(Items { items, page, last_page, total }),
        Value::Null => Ok(Items { items: Vec::new(), page, last_page, total }),
        _ => Err(internal("WisPanel answered something that holds no list")),
    }
}

/// One thing: the answer itself, or what it holds as `data` or under one of `names`.
pub fn object(answer: Value, names: &[&str]) -> Value {
    let mut inside = answer;
    for wrapper in ["data"].iter().chain(names) {
        inside = match inside {
            Value::Object(mut object) if object.get(*wrapper).is_some_and(Value::is_object) => {
                object.remove(*wrapper).unwrap_or_default()
            }
            other => other,
        };
    }
    inside
}
