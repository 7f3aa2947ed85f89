//! Bounds of a provider's JSON Schemas: what it may cost to hold a value against one.
//!
//! In goes a schema that nobody vouches for; out comes why it can't be used, where it can't. Invariant: by a schema that passed, no
//! part of a value is looked at more than [`MOST_WORK`] times, however its references are nested, and no walk over it is deeper than
//! [`MOST_DEPTH`]. What can't be known of it is refused. It validates nothing itself.

use serde_json::{Map, Value};
use std::{collections::HashMap, ptr};

/// Bytes, without spaces.
const MOST_BYTES: usize = 64 << 10;
/// Schemas within each other, with those that are referred to.
const MOST_DEPTH: u32 = 64;
/// Schemas, each as often as it is reached. The largest of our own providers has less than a hundred.
const MOST_WORK: u64 = 10_000;
/// To know what others have evaluated, validators evaluate them again: more than twice, at some places.
const AGAIN: u64 = 4;

/// An error goes on after "its settings-schema".
pub(super) fn check(schema: &Value) -> Result<(), String> {
    let bytes = schema.to_string().len();
    if bytes > MOST_BYTES {
        return Err(format!("has {bytes} bytes, and may have {MOST_BYTES}"));
    }
    one_document(schema)?;
    let cost = Walk { root: schema, seen: HashMap::new(), depth: 0 }.cost(schema, 0)?;
    if cost.work > MOST_WORK {
        return Err(format!("takes more than {MOST_WORK} steps for each value, with all that it refers to by \"$ref\""));
    }
    // With two ways back, each level of a value would double the steps.
    if cost.returns > 1 {
        return Err("refers to itself in more than one way".to_owned());
    }
    Ok(())
}

/// With a name or a dialect of its own, a part would give another meaning to the references in it. In the dialect of draft 4 every
/// `id` is a name.
fn one_document(root: &Value) -> Result<(), String> {
    if root.get("$schema").and_then(Value::as_str).is_some_and(|dialect| dialect.contains("draft-04")) {
        return Err("is one of draft 4; give it a newer \"$schema\"".to_owned());
    }
    if parts(root).any(has_own_name) { Err("has a part with an \"$id\" or \"$schema\" of its own".to_owned()) } else { Ok(()) }
}

/// No deeper than what reads JSON goes.
fn has_own_name(value: &Value) -> bool {
    let named = |key: &str| value.get(key).is_some_and(Value::is_string);
    named("$id") || named("$schema") || parts(value).any(has_own_name)
}

fn parts(value: &Value) -> Box<dyn Iterator<Item = &Value> + '_> {
    match value {
        Value::Array(list) => Box::new(list.iter()),
        Value::Object(map) => Box::new(map.values()),
        _ => Box::new(std::iter::empty()),
    }
}

/// Of a schema with all that is below it, and all that it refers to.
#[derive(Clone, Copy)]
struct Cost {
    work: u64,
    depth: u32,
    /// Ways back to a schema that this one is below, each as often as it is reached.
    returns: u64,
}

impl Cost {
    const ONE: Self = Self { work: 1, depth: 1, returns: 0 };

    fn include(&mut self, other: Self) {
        self.work = self.work.saturating_add(other.work);
        self.depth = self.depth.max(other.depth.saturating_add(1));
        self.returns = self.returns.saturating_add(other.returns);
    }
}

/// A schema that the walk has met.
enum Met {
    /// The walk is below it; it was met so many parts down in the value.
    Above(u32),
    Done(Cost),
}

struct Walk<'a> {
    root: &'a Value,
    /// By place in memory: the document stays where it is.
    seen: HashMap<*const Value, Met>,
    depth: u32,
}

impl<'a> Walk<'a> {
    /// `down`: so many parts down in the value.
    fn cost(&mut self, schema: &'a Value, down: u32) -> Result<Cost, String> {
        let Value::Object(keywords) = schema else { return Ok(Cost::ONE) };
        let place = ptr::from_ref(schema);
        match self.seen.get(&place) {
            Some(Met::Done(cost)) => return Ok(*cost),
            Some(Met::Above(met)) if *met == down => return Err("refers to itself for the same part of a value".to_owned()),
            Some(Met::Above(_)) => return Ok(Cost { returns: 1, ..Cost::ONE }),
            None => {}
        }
        if self.depth == MOST_DEPTH {
            return Err(too_deep());
        }
        self.seen.insert(place, Met::Above(down));
        self.depth += 1;
        let cost = self.sum(keywords, down)?;
        self.depth -= 1;
        self.seen.insert(place, Met::Done(cost));
        Ok(cost)
    }

    fn sum(&mut self, keywords: &'a Map<String, Value>, down: u32) -> Result<Cost, String> {
        let mut sum = Cost::ONE;
        for (keyword, value) in keywords {
            match (keyword.as_str(), further(keyword)) {
                ("$dynamicRef" | "$recursiveRef", _) => return Err(format!("has a {keyword}; only a \"$ref\" is followed")),
                ("$ref", _) => {
                    let target = self.target(value)?;
                    sum.include(self.cost(target, down)?);
                }
                (_, Some(further)) => {
                    for schema in subschemas(keyword, value) {
                        sum.include(self.cost(schema, down + further)?);
                    }
                }
                _ => {}
            }
        }
        if ["unevaluatedProperties", "unevaluatedItems"].iter().any(|keyword| keywords.contains_key(*keyword)) {
            sum.work = sum.work.saturating_mul(AGAIN);
            sum.returns = sum.returns.saturating_mul(AGAIN);
        }
        // What is met a second time may be deep, too.
        if sum.depth > MOST_DEPTH { Err(too_deep()) } else { Ok(sum) }
    }

    /// Escapes by `%` could lead elsewhere than it looks.
    fn target(&self, reference: &Value) -> Result<&'a Value, String> {
        let pointer = reference.as_str().and_then(|text| text.strip_prefix('#')).filter(|pointer| !pointer.contains('%'));
        let target = pointer.and_then(|pointer| self.root.pointer(pointer));
        target.ok_or_else(|| format!("has a \"$ref\" to {reference}, which isn't found in it by a plain \"#/…\""))
    }
}

fn too_deep() -> String {
    format!("has more than {MOST_DEPTH} schemas within each other, with those that it refers to")
}

/// How many parts further down in the value a keyword's schemas apply; none for keywords without any.
fn further(keyword: &str) -> Option<u32> {
    match keyword {
        "allOf" | "anyOf" | "oneOf" | "not" | "if" | "then" | "else" | "dependentSchemas" | "dependencies"
        | "contentSchema" => Some(0),
        "properties"
        | "patternProperties"
        | "additionalProperties"
        | "propertyNames"
        | "unevaluatedProperties"
        | "items"
        | "prefixItems"
        | "additionalItems"
        | "unevaluatedItems"
        | "contains" => Some(1),
        _ => None,
    }
}

fn subschemas<'a>(keyword: &str, value: &'a Value) -> Vec<&'a Value> {
    match (keyword, value) {
        ("properties" | "patternProperties" | "dependentSchemas" | "dependencies", Value::Object(map)) => {
            map.values().collect()
        }
        (_, Value::Array(list)) => list.iter().collect(),
        _ => vec![value],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// `$defs` of which each refers to the next one so many times in place.
    fn chain(length: usize, times: usize) -> Value {
        let link = |n: usize| (format!("d{n}"), json!({"allOf": vec![json!({"$ref": format!("#/$defs/d{}", n + 1)}); times]}));
        let mut defs: Map<String, Value> = (0..length).map(link).collect();
        defs.insert(format!("d{length}"), json!({"type": "object"}));
        json!({"$defs": defs, "$ref": "#/$defs/d0"})
    }

    #[track_caller]
    fn refused(schema: &Value, words: &str) {
        let why = check(schema).expect_err(&schema.to_string());
        assert!(why.contains(words), "{why}");
    }

    #[test]
    fn a_schema_that_explodes_is_refused() {
        assert!(chain(17, 4).to_string().len() < 2000, "a small one is enough");
        refused(&chain(17, 4), "more than 10000 steps");
        // 4094 steps.
        check(&chain(10, 2)).unwrap();
        refused(&chain(20, 2), "more than 10000 steps");
        refused(&chain(40, 1), "within each other");
        check(&chain(20, 1)).unwrap();
        let nested = (0..10).fold(
            json!({"type": "object"}),
            |inner, _| json!({"allOf": [inner], "properties": {"a": {"type": "string"}}, "unevaluatedProperties": false}),
        );
        refused(&nested, "more than 10000 steps");
        refused(&json!({"enum": ["x".repeat(MOST_BYTES)]}), "bytes");
    }

    #[test]
    fn references_stay_within_and_come_back_once_at_most() {
        check(&json!({"type": "object", "properties": {"children": {"type": "array", "items": {"$ref": "#"}}}})).unwrap();
        let twice = json!({"allOf": [{"$ref": "#/$defs/x"}, {"$ref": "#/$defs/x"}],
            "$defs": {"x": {"properties": {"a": {"$ref": "#"}}}}});
        refused(&twice, "more than one way");
        let again = json!({"allOf": [{"properties": {"a": {"$ref": "#"}}}], "unevaluatedProperties": false});
        refused(&again, "more than one way");
        refused(&json!({"allOf": [{"$ref": "#"}]}), "same part");
        let aside = json!({"properties": {"x": {"$ref": "#/$defs/u"}}, "allOf": [{"$ref": "#/$defs/u"}],
            "$defs": {"u": {"not": {"$ref": "#"}}}});
        assert!(check(&aside).is_err(), "it is met on the way down first");
        for reference in
            ["https://json-schema.org/draft/2020-12/schema", "#anchor", "#/$defs/none", "#/%24defs/a", "other.json"]
        {
            refused(&json!({"$defs": {"a": true, "%24defs": true}, "not": {"$ref": reference}}), "isn't found in it");
        }
        refused(&json!({"items": {"$dynamicRef": "#a"}}), "$dynamicRef");
        refused(&json!({"$defs": {"a": {"$id": "https://a.example/b", "items": {"$ref": "#/$defs/c"}}}}), "of its own");
        refused(&json!({"$schema": "http://json-schema.org/draft-04/schema#"}), "draft 4");
        let named = json!({"$id": "https://a.example", "$schema": "https://json-schema.org/draft/2020-12/schema",
            "properties": {"$id": {"type": "string"}, "id": {"type": "string"}}});
        check(&named).unwrap();
    }

    #[test]
    fn our_own_providers_are_far_from_the_bounds() {
        for text in [
            include_str!("../../../providers/docker/src/settings.schema.json"),
            include_str!("../../../providers/kinsta/src/options.schema.json"),
            include_str!("../../../providers/kinsta/src/settings.schema.json"),
            include_str!("../../../providers/sandbox/src/options.schema.json"),
            include_str!("../../../providers/sandbox/src/settings.schema.json"),
            include_str!("../../../providers/siteico/src/options.schema.json"),
            include_str!("../../../providers/siteico/src/settings.schema.json"),
            include_str!("../../../providers/sitepod/src/settings.schema.json"),
            include_str!("../../../providers/wispanel/src/options.schema.json"),
            include_str!("../../../providers/wispanel/src/settings.schema.json"),
            include_str!("../../../providers/wpengine/src/options.schema.json"),
            include_str!("../../../providers/wpengine/src/settings.schema.json"),
        ] {
            let schema: Value = serde_json::from_str(text).unwrap();
            check(&schema).unwrap();
            let cost = Walk { root: &schema, seen: HashMap::new(), depth: 0 }.cost(&schema, 0).unwrap();
            assert!(cost.work < 100 && cost.depth < 10 && text.len() < MOST_BYTES / 4, "{} steps: {text}", cost.work);
        }
    }
}
