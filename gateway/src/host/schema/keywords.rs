//! Which keywords of a JSON Schema have schemas, and to what they apply.
//!
//! In goes a keyword with its value; out come the schemas in it. Invariant: in each draft from 6 on, every keyword that the validator
//! follows is here.

use serde_json::Value;

/// What a keyword's schemas are held against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// The same part of the value.
    Same,
    /// What is in it.
    Within,
}

/// None for keywords without schemas; `$ref` is a case of its own.
pub(super) fn reach(keyword: &str) -> Option<Reach> {
    match keyword {
        "allOf" | "anyOf" | "oneOf" | "not" | "if" | "then" | "else" | "dependentSchemas" | "dependencies"
        | "contentSchema" => Some(Reach::Same),
        "properties"
        | "patternProperties"
        | "additionalProperties"
        | "propertyNames"
        | "unevaluatedProperties"
        | "items"
        | "prefixItems"
        | "additionalItems"
        | "unevaluatedItems"
        | "contains" => Some(Reach::Within),
        _ => None,
    }
}

/// Of keywords that have any.
pub(super) fn subschemas<'a>(keyword: &str, value: &'a Value) -> Vec<&'a Value> {
    match (keyword, value) {
        ("properties" | "patternProperties" | "dependentSchemas" | "dependencies", Value::Object(map)) => {
            map.values().collect()
        }
        (_, Value::Array(list)) => list.iter().collect(),
        _ => vec![value],
    }
}

/// Whether what is in it has names of its maker's, not keywords.
pub(super) fn has_names(keyword: &str) -> bool {
    matches!(
        keyword,
        "properties"
            | "patternProperties"
            | "dependentSchemas"
            | "dependencies"
            | "dependentRequired"
            | "$defs"
            | "definitions"
    )
}

/// What others have evaluated is evaluated again for these, more than twice at some places.
pub(super) const UNEVALUATED: [&str; 2] = ["unevaluatedProperties", "unevaluatedItems"];
pub(super) const AGAIN: u64 = 4;

/// Parts of a value with their names, and texts at a fraction of their bytes: what it takes to compare it.
pub(super) fn size(value: &Value) -> u64 {
    match value {
        Value::String(text) => 1 + bytes(text) / 64,
        Value::Array(list) => list.iter().map(size).fold(1, u64::saturating_add),
        Value::Object(map) => map.iter().map(|(name, value)| 1 + bytes(name) / 64 + size(value)).fold(1, u64::saturating_add),
        _ => 1,
    }
}

pub(super) fn bytes(text: &str) -> u64 {
    u64::try_from(text.len()).unwrap_or(u64::MAX)
}

/// Where a `$ref` leads. Escapes by `%` could lead elsewhere than it looks.
pub(super) fn target<'a>(root: &'a Value, reference: &Value) -> Option<&'a Value> {
    let pointer = reference.as_str()?.strip_prefix('#').filter(|pointer| !pointer.contains('%'))?;
    root.pointer(pointer)
}
