//! Strict JSON for the guard: objects whose every field must be known.
//!
//! In go bytes; out come trees without duplicate keys, and checks by the name of a field. The Engine matches field names
//! without regard to case and lets the last of two win; here a name must be exactly as documented, and stand once.
//! Invariant: what the guard read is what the Engine reads.

use super::refused;
use crate::model::Error;
use serde::{
    Deserialize, Deserializer,
    de::{self, MapAccess, SeqAccess, Visitor},
};
use std::fmt;

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Null,
    Bool(bool),
    Number,
    Text(String),
    List(Vec<Value>),
    Object(Object),
}

/// Fields in their order, each name once.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Object(Vec<(String, Value)>);

/// What a field may hold.
pub(super) enum Rule {
    /// Anything: it can't reach beyond the container.
    Any,
    /// Only what means "not set": null, false, "", [] or {}.
    Unset,
    /// One of these texts, or unset.
    OneOf(&'static [&'static str]),
    Check(fn(&Value) -> Result<(), String>),
}

impl Object {
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, Error> {
        match serde_json::from_slice(bytes) {
            Ok(Value::Object(object)) => Ok(object),
            Ok(_) => Err(refused("the body isn't a JSON object".to_owned())),
            Err(error) => Err(refused(format!("the body isn't strict JSON ({error})"))),
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    pub(super) fn get(&self, name: &str) -> Option<&Value> {
        self.iter().find_map(|(own, value)| (own == name).then_some(value))
    }

    /// `place`: what stands before a field's name in messages, such as `HostConfig.`.
    pub(super) fn check(&self, place: &str, rules: &[(&str, Rule)]) -> Result<(), String> {
        for (name, value) in self.iter() {
            let rule = rules.iter().find_map(|(known, rule)| (*known == name).then_some(rule));
            let rule = rule.ok_or_else(|| format!("{place}{name} isn't on the list of allowed fields"))?;
            rule.check(value).map_err(|why| format!("{place}{name} {why}"))?;
        }
        Ok(())
    }
}

impl Rule {
    fn check(&self, value: &Value) -> Result<(), String> {
        match self {
            Self::Any => Ok(()),
            _ if value.is_unset() && !matches!(self, Self::Check(_)) => Ok(()),
            Self::Unset => Err("must not be set".to_owned()),
            Self::OneOf(allowed) => match value {
                Value::Text(text) if allowed.contains(&text.as_str()) => Ok(()),
                _ => Err(format!("must be one of {}", allowed.join(", "))),
            },
            Self::Check(check) => check(value),
        }
    }
}

impl Value {
    fn is_unset(&self) -> bool {
        match self {
            Self::Null | Self::Bool(false) => true,
            Self::Bool(true) | Self::Number => false,
            Self::Text(text) => text.is_empty(),
            Self::List(items) => items.is_empty(),
            Self::Object(object) => object.0.is_empty(),
        }
    }

    /// The items of a list; null is an empty one.
    pub(super) fn items(&self) -> Result<&[Self], String> {
        match self {
            Self::Null => Ok(&[]),
            Self::List(items) => Ok(items),
            _ => Err("must be a list".to_owned()),
        }
    }

    pub(super) fn object(&self) -> Result<&Object, String> {
        match self {
            Self::Object(object) => Ok(object),
            _ => Err("must be an object".to_owned()),
        }
    }

    pub(super) fn text(&self) -> Result<&str, String> {
        match self {
            Self::Text(text) => Ok(text),
            _ => Err("must be a text".to_owned()),
        }
    }
}

/// Names of containers, volumes and networks, and their ids.
pub(super) fn is_name(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
    text.as_bytes().first().is_some_and(u8::is_ascii_alphanumeric) && text.bytes().all(allowed)
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Value, E> {
        Ok(Value::Number)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Value, E> {
        Ok(Value::Number)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Value, E> {
        Ok(Value::Number)
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element()? {
            items.push(item);
        }
        Ok(Value::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut fields: Vec<(String, Value)> = Vec::new();
        let mut seen = std::collections::HashSet::new();
        while let Some((name, value)) = access.next_entry::<String, Value>()? {
            if !seen.insert(name.clone()) {
                return Err(de::Error::custom(format_args!("the key {name:?} stands twice")));
            }
            fields.push((name, value));
        }
        Ok(Value::Object(Object(fields)))
    }
}
