//! What a JSON Schema may be, whatever values are held against it.
//!
//! In goes a schema that nobody vouches for; out come its patterns, or why it can't be used. Invariant: what passed is small, is followed to
//! its end within [`MOST_WORK`] steps and [`MOST_DEPTH`] schemas within each other until it comes back to itself, and never comes back to
//! itself for the same part of a value. What can't be known of it is refused.

use super::keywords::{AGAIN, Reach, UNEVALUATED, bytes, has_names, reach, size, subschemas, target};
use serde_json::{Map, Value};
use std::{collections::HashMap, ptr};

/// Bytes, without spaces.
const MOST_BYTES: usize = 64 << 10;
/// Schemas within each other, with those that are referred to.
const MOST_DEPTH: u32 = 64;
/// Schemas and what they compare with, each as often as it is reached: the compiler repeats what is referred to.
const MOST_WORK: u64 = 10_000;
/// Of a pattern, beside its bytes. It is compiled several times.
const PATTERN: u64 = 100;

/// An error goes on after "its settings-schema".
pub(super) fn check(schema: &Value) -> Result<Vec<&str>, String> {
    let bytes = schema.to_string().len();
    if bytes > MOST_BYTES {
        return Err(format!("has {bytes} bytes, and may have {MOST_BYTES}"));
    }
    one_document(schema)?;
    let mut walk = Walk::new(schema);
    if walk.cost(schema)?.work > MOST_WORK {
        return Err(format!("takes more than {MOST_WORK} steps, with all that it refers to by \"$ref\""));
    }
    loops(schema)?;
    walk.patterns.sort_unstable();
    walk.patterns.dedup();
    Ok(walk.patterns)
}

/// With a name or a dialect of its own, a part would give another meaning to the references in it. In the dialect of draft 4 every
/// `id` is a name.
fn one_document(root: &Value) -> Result<(), String> {
    if dialect(root).contains("draft-04") {
        return Err("is one of draft 4; give it a newer \"$schema\"".to_owned());
    }
    if names_within(root, false, has_anchors(root)) { Err(own_name()) } else { Ok(()) }
}

fn dialect(root: &Value) -> &str {
    root.get("$schema").and_then(Value::as_str).unwrap_or_default()
}

/// Whether `"$id": "#a"` is no name, but an anchor.
fn has_anchors(root: &Value) -> bool {
    ["draft-06", "draft-07"].iter().any(|draft| dialect(root).contains(draft))
}

/// No deeper than what reads JSON goes. What is data isn't looked at, for no reference finds names there; see [`Walk::target`].
fn names_within(value: &Value, are_names: bool, anchors: bool) -> bool {
    let found = |part, are_names| is_named(part, anchors) || names_within(part, are_names, anchors);
    let is_data = |keyword: &str| !are_names && matches!(keyword, "const" | "default" | "enum" | "examples");
    match value {
        Value::Array(list) => list.iter().any(|part| found(part, false)),
        Value::Object(map) => {
            map.iter().any(|(keyword, part)| !is_data(keyword) && found(part, !are_names && has_names(keyword)))
        }
        _ => false,
    }
}

fn is_named(schema: &Value, anchors: bool) -> bool {
    let text = |keyword| schema.get(keyword).and_then(Value::as_str);
    text("$schema").is_some() || text("$id").is_some_and(|id| !(anchors && id.starts_with('#')))
}

fn own_name() -> String {
    "has a part with an \"$id\" or \"$schema\" of its own".to_owned()
}

/// Of a schema with all that is below it, and all that it refers to.
#[derive(Clone, Copy)]
struct Cost {
    work: u64,
    depth: u32,
}

impl Cost {
    const ONE: Self = Self { work: 1, depth: 1 };

    fn include(&mut self, other: Self) {
        self.add(other.work);
        self.depth = self.depth.max(other.depth.saturating_add(1));
    }

    fn add(&mut self, work: u64) {
        self.work = self.work.saturating_add(work);
    }
}

struct Walk<'a> {
    root: &'a Value,
    /// By place in memory: the document stays where it is. None: the walk is below it.
    seen: HashMap<*const Value, Option<Cost>>,
    depth: u32,
    patterns: Vec<&'a str>,
}

impl<'a> Walk<'a> {
    fn new(root: &'a Value) -> Self {
        Self { root, seen: HashMap::new(), depth: 0, patterns: Vec::new() }
    }

    fn cost(&mut self, schema: &'a Value) -> Result<Cost, String> {
        let Value::Object(keywords) = schema else { return Ok(Cost { work: size(schema), ..Cost::ONE }) };
        let place = ptr::from_ref(schema);
        if let Some(met) = self.seen.get(&place) {
            // What comes back to itself ends with the value.
            return Ok(met.unwrap_or(Cost::ONE));
        }
        if self.depth == MOST_DEPTH {
            return Err(too_deep());
        }
        self.seen.insert(place, None);
        self.depth += 1;
        let cost = self.sum(keywords)?;
        self.depth -= 1;
        self.seen.insert(place, Some(cost));
        Ok(cost)
    }

    fn sum(&mut self, keywords: &'a Map<String, Value>) -> Result<Cost, String> {
        let mut sum = Cost::ONE;
        for (keyword, value) in keywords {
            match (keyword.as_str(), reach(keyword)) {
                ("$dynamicRef" | "$recursiveRef", _) => return Err(format!("has a {keyword}; only a \"$ref\" is followed")),
                ("$ref", _) => {
                    let target = self.target(value)?;
                    sum.include(self.cost(target)?);
                }
                (_, Some(_)) => {
                    for schema in subschemas(keyword, value) {
                        sum.include(self.cost(schema)?);
                    }
                }
                ("enum" | "const" | "type" | "required" | "dependentRequired", _) => sum.add(size(value)),
                _ => {}
            }
            sum.add(self.note_patterns(keyword, value));
        }
        if UNEVALUATED.iter().any(|keyword| keywords.contains_key(*keyword)) {
            sum.work = sum.work.saturating_mul(AGAIN);
        }
        // What is met a second time may be deep, too.
        if sum.depth > MOST_DEPTH { Err(too_deep()) } else { Ok(sum) }
    }

    /// The work of compiling them.
    fn note_patterns(&mut self, keyword: &str, value: &'a Value) -> u64 {
        let patterns: Vec<&str> = match (keyword, value) {
            ("pattern", Value::String(pattern)) => vec![pattern],
            ("patternProperties", Value::Object(map)) => map.keys().map(String::as_str).collect(),
            _ => return 0,
        };
        let work = patterns.iter().map(|pattern| PATTERN + bytes(pattern)).sum();
        self.patterns.extend(patterns);
        work
    }

    /// On the way there may be no names either: what was data until now is no longer.
    fn target(&self, reference: &Value) -> Result<&'a Value, String> {
        let found = target(self.root, reference);
        let found =
            found.ok_or_else(|| format!("has a \"$ref\" to {reference}, which isn't found in it by a plain \"#/…\""))?;
        let pointer = reference.as_str().unwrap_or_default().trim_start_matches('#');
        let ends = pointer.match_indices('/').map(|(at, _)| at).skip(1).chain((!pointer.is_empty()).then_some(pointer.len()));
        let mut way = ends.filter_map(|end| self.root.pointer(pointer.get(..end)?));
        let anchors = has_anchors(self.root);
        let named = way.any(|part| is_named(part, anchors) || ptr::eq(part, found) && names_within(part, false, anchors));
        if named { Err(own_name()) } else { Ok(found) }
    }
}

fn too_deep() -> String {
    format!("has more than {MOST_DEPTH} schemas within each other, with those that it refers to")
}

/// Whether any schema comes back to itself for the same part of a value. Apart from [`Walk`], which meets a schema but once, whatever the
/// part.
struct Loops<'a> {
    root: &'a Value,
    /// Whether it was left again.
    met: HashMap<*const Value, bool>,
    /// For other parts, and so without those above them.
    later: Vec<&'a Value>,
}

fn loops(root: &Value) -> Result<(), String> {
    let mut loops = Loops { root, met: HashMap::new(), later: vec![root] };
    while let Some(schema) = loops.later.pop() {
        loops.follow(schema, 0)?;
    }
    Ok(())
}

impl<'a> Loops<'a> {
    fn follow(&mut self, schema: &'a Value, depth: u32) -> Result<(), String> {
        let Value::Object(keywords) = schema else { return Ok(()) };
        let place = ptr::from_ref(schema);
        match self.met.get(&place) {
            Some(true) => return Ok(()),
            Some(false) => return Err("refers to itself for the same part of a value".to_owned()),
            None if depth == MOST_DEPTH => return Err(too_deep()),
            None => {}
        }
        self.met.insert(place, false);
        for (keyword, value) in keywords {
            match reach(keyword) {
                Some(Reach::Within) => self.later.extend(subschemas(keyword, value)),
                Some(Reach::Same) => {
                    subschemas(keyword, value).into_iter().try_for_each(|schema| self.follow(schema, depth + 1))?;
                }
                None if keyword == "$ref" => {
                    target(self.root, value).map_or(Ok(()), |target| self.follow(target, depth + 1))?;
                }
                None => {}
            }
        }
        self.met.insert(place, true);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
