//! What it takes to hold a value against a schema.
//!
//! In go a schema within its bounds and a value; out come the steps that a validator takes at most. Invariant: it follows every branch
//! that a validator may follow, as often, and stops at [`MOST_STEPS`]; so schemas may refer to themselves as they like, and what that
//! multiplies to is seen at the value that it is for.

use super::{
    keywords::{AGAIN, Reach, UNEVALUATED, bytes, reach, size, subschemas, target},
    patterns::Patterns,
};
use serde_json::{Map, Value};

/// A step takes some 10 ns, and 80 at worst. Full settings of our own providers take a few thousand.
pub(super) const MOST_STEPS: u64 = 1_000_000;
/// What it takes to copy a part of a value, in steps.
const COPY: u64 = 8;
/// Evaluating again doesn't multiply for ever where schemas that ask for it are within each other.
const MOST_AGAIN: u64 = AGAIN.pow(4);
/// Schemas within each other while they are followed: each takes room on a worker's stack.
const MOST_NESTED: u32 = 400;

/// What a value takes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Count {
    pub(super) taken: u64,
    /// To say what is wrong: of alternatives within each other, a validator tries the inner ones again for each outer one.
    pub(super) telling: u64,
}

/// An error says what is wrong with the value.
pub(super) fn count(root: &Value, patterns: &Patterns, value: &Value) -> Result<Count, String> {
    let mut steps = Steps { root, patterns, count: Count { taken: 0, telling: 0 }, nested: 0, alternatives: 1 };
    steps.schema(root, value, 1)?;
    Ok(steps.count)
}

struct Steps<'a> {
    root: &'a Value,
    patterns: &'a Patterns,
    count: Count,
    nested: u32,
    /// One more than the alternatives that it is within.
    alternatives: u64,
}

impl Steps<'_> {
    fn take(&mut self, times: u64, steps: u64) -> Result<(), String> {
        let steps = times.saturating_mul(steps);
        self.count.taken = self.count.taken.saturating_add(steps);
        self.count.telling = self.count.telling.saturating_add(steps.saturating_mul(self.alternatives));
        if self.count.taken <= MOST_STEPS {
            return Ok(());
        }
        Err(format!("it is too large for its schema: to check it would take more than {MOST_STEPS} steps"))
    }

    /// `times`: as often as a validator comes here.
    fn schema(&mut self, schema: &Value, part: &Value, times: u64) -> Result<(), String> {
        self.take(times, 1)?;
        let Value::Object(keywords) = schema else {
            // Names that another name needs, among the dependencies of older drafts.
            return self.take(times, size(schema));
        };
        if self.nested == MOST_NESTED {
            return Err(format!(
                "it is nested too deeply: to check it would take more than {MOST_NESTED} schemas within each other"
            ));
        }
        self.nested += 1;
        let again = UNEVALUATED.iter().any(|keyword| keywords.contains_key(*keyword));
        let often = if again { times.saturating_mul(AGAIN).min(times.max(MOST_AGAIN)) } else { times };
        for (keyword, own) in keywords {
            // Of these, only the names and places are asked for again.
            let times = if matches!(keyword.as_str(), "properties" | "prefixItems" | "items") { times } else { often };
            self.take(times, 1)?;
            match reach(keyword) {
                Some(Reach::Same) if matches!(keyword.as_str(), "anyOf" | "oneOf") => {
                    let choices = subschemas(keyword, own);
                    self.copies(choices.len(), part, times);
                    self.alternatives += 1;
                    self.each(choices, part, times)?;
                    self.alternatives -= 1;
                }
                Some(Reach::Same) => self.each(subschemas(keyword, own), part, times)?,
                Some(Reach::Within) => self.within(keywords, keyword, own, part, times)?,
                None => self.alone(keyword, own, part, times)?,
            }
        }
        self.nested -= 1;
        Ok(())
    }

    /// Each alternative that isn't met is told with the value that didn't meet it.
    fn copies(&mut self, choices: usize, part: &Value, times: u64) {
        // Past that nothing is told, and needn't be counted, which takes time, too.
        if self.count.telling <= MOST_STEPS {
            let copied = size(part).saturating_mul(COPY).saturating_mul(u64::try_from(choices).unwrap_or(u64::MAX));
            self.count.telling = self.count.telling.saturating_add(copied.saturating_mul(times));
        }
    }

    fn each(&mut self, schemas: Vec<&Value>, part: &Value, times: u64) -> Result<(), String> {
        schemas.into_iter().try_for_each(|schema| self.schema(schema, part, times))
    }

    /// Keywords without schemas of their own.
    fn alone(&mut self, keyword: &str, own: &Value, part: &Value, times: u64) -> Result<(), String> {
        match (keyword, part) {
            ("$ref", _) => {
                self.take(times, 1 + own.as_str().map_or(0, bytes) / 16)?;
                target(self.root, own).map_or(Ok(()), |target| self.schema(target, part, times))
            }
            ("enum" | "const" | "type", _) => self.take(times, size(own)),
            // Each name is looked up.
            ("required" | "dependentRequired", _) => self.take(times, size(own).saturating_mul(4)),
            // Of large floating numbers, the remainder takes long.
            ("multipleOf", Value::Number(_)) => self.take(times, 20),
            ("pattern", Value::String(text)) => {
                self.take(times, own.as_str().map_or(0, |pattern| self.patterns.cost(pattern, text)))
            }
            ("minLength" | "maxLength", Value::String(text)) => self.take(times, bytes(text) / 64),
            // The format may be a pattern, which is read.
            ("format", Value::String(text)) if own == "regex" => self.take(times, bytes(text).saturating_mul(64)),
            ("format" | "contentEncoding" | "contentMediaType", Value::String(text)) => self.take(times, bytes(text)),
            // A few are compared with each other, many by their hashes.
            ("uniqueItems", Value::Array(_)) => self.take(times, size(part).saturating_mul(16)),
            _ => Ok(()),
        }
    }

    fn within(
        &mut self,
        beside: &Map<String, Value>,
        keyword: &str,
        own: &Value,
        part: &Value,
        times: u64,
    ) -> Result<(), String> {
        match (part, keyword, own) {
            (Value::Object(map), "properties", Value::Object(schemas)) => schemas.iter().try_for_each(|(name, schema)| {
                self.take(times, 1)?;
                map.get(name).map_or(Ok(()), |part| self.schema(schema, part, times))
            }),
            (Value::Object(map), "patternProperties", Value::Object(schemas)) => {
                schemas.iter().try_for_each(|(pattern, schema)| self.matching(pattern, schema, map, times))
            }
            (Value::Object(map), "propertyNames", _) => {
                map.keys().try_for_each(|name| self.schema(own, &Value::String(name.clone()), times))
            }
            (Value::Object(map), "additionalProperties", _) => {
                let known = beside.get("properties");
                let mut others = map.iter().filter(|(name, _)| known.is_none_or(|known| known.get(name.as_str()).is_none()));
                self.take(times, u64::try_from(map.len()).unwrap_or(u64::MAX))?;
                others.try_for_each(|(_, part)| self.schema(own, part, times))
            }
            (Value::Object(map), "unevaluatedProperties", _) => map.values().try_for_each(|part| self.schema(own, part, times)),
            (Value::Array(list), "prefixItems" | "items", Value::Array(schemas)) => {
                list.iter().zip(schemas).try_for_each(|(part, schema)| self.schema(schema, part, times))
            }
            (Value::Array(list), "items" | "additionalItems" | "unevaluatedItems" | "contains", _) => {
                list.iter().try_for_each(|part| self.schema(own, part, times))
            }
            _ => Ok(()),
        }
    }

    /// Whether it matches isn't asked. For `additionalProperties`, a validator searches the names once more.
    fn matching(&mut self, pattern: &str, schema: &Value, map: &Map<String, Value>, times: u64) -> Result<(), String> {
        map.iter().try_for_each(|(name, part)| {
            self.take(times, self.patterns.cost(pattern, name).saturating_mul(2))?;
            self.schema(schema, part, times)
        })
    }
}
