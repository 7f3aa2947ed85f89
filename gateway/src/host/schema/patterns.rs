//! What a schema's patterns cost.
//!
//! In go the patterns of a schema; out comes what it takes to search a text for each. Invariant: the engine is the linear-time one, since
//! patterns come from components and texts from tenants, and no pattern is larger than [`LARGEST`] when compiled.

use super::keywords::bytes;
use jsonschema::PatternOptions;
use serde_json::json;
use std::collections::HashMap;

/// Bytes of a compiled pattern. For each byte of a text, a search looks at one of its states if it goes well, and at all if it goes badly.
const SIZES: [usize; 6] = [2 << 10, 8 << 10, 16 << 10, 32 << 10, 64 << 10, LARGEST];
/// A class that leaves something out, or any character, takes one or two KiB each time: a hundred of them fit.
const LARGEST: usize = 256 << 10;
/// Of the states that a text is searched by: past it, the engine keeps no more of them.
const MOST_CACHE: usize = 256 << 10;
/// Bytes of a compiled pattern that cost a step for each byte of a text; measured, by patterns that defeat the cache.
const PER_STEP: usize = 256;

pub(super) fn options() -> PatternOptions<jsonschema::Regex> {
    sized(LARGEST)
}

fn sized(size: usize) -> PatternOptions<jsonschema::Regex> {
    PatternOptions::regex().size_limit(size).dfa_size_limit(MOST_CACHE)
}

/// By pattern, the steps that a byte of a text takes.
#[derive(Default)]
pub(super) struct Patterns(HashMap<String, u64>);

impl Patterns {
    pub(super) fn weigh(patterns: Vec<&str>) -> Result<Self, String> {
        let weighed = patterns.into_iter().map(|pattern| Ok((pattern.to_owned(), weight(pattern)?)));
        weighed.collect::<Result<_, _>>().map(Self)
    }

    pub(super) fn cost(&self, pattern: &str, text: &str) -> u64 {
        // One that isn't known is in no schema that was reached.
        let weight = self.0.get(pattern).copied().unwrap_or(u64::MAX);
        weight.saturating_mul(1 + bytes(text))
    }
}

/// The library tells no sizes, but which it takes.
fn weight(pattern: &str) -> Result<u64, String> {
    let schema = json!({"pattern": pattern});
    let fits = |size: &&usize| jsonschema::options().with_pattern_options(sized(**size)).build(&schema).is_ok();
    let size = SIZES
        .iter()
        .find(fits)
        .ok_or_else(|| format!("has a pattern that is none, or is too large when compiled: {pattern}"))?;
    u64::try_from(size / PER_STEP).map_err(|_| "has a pattern that is too large".to_owned())
}
