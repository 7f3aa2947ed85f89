//! A provider's JSON Schemas, and values that are held against them.
//!
//! In go a schema that nobody vouches for, and a tenant's values; out comes what is wrong with either. Invariant: no schema, no value and
//! no pair of them takes a worker for long, or its stack: what a schema can cost by itself is bounded by `bounds` when its component is
//! loaded, and what a value costs is counted by `steps` before it is validated. The validation itself is the library's.

use crate::model::{Error, Kind};
use jsonschema::Validator;
use patterns::Patterns;
use serde_json::Value;
use steps::{Count, MOST_STEPS};

mod bounds;
mod keywords;
mod patterns;
mod steps;

/// A schema within its bounds.
pub(super) struct Schema {
    document: Value,
    validator: Validator,
    patterns: Patterns,
}

impl Schema {
    /// An error goes on after "its settings-schema".
    pub(super) fn new(document: &Value) -> Result<Self, String> {
        let patterns = Patterns::weigh(bounds::check(document)?)?;
        let options = jsonschema::options().with_pattern_options(patterns::options());
        let validator = options.build(document).map_err(|error| format!("is not a valid JSON Schema: {error}"))?;
        Ok(Self { document: document.clone(), validator, patterns })
    }

    /// The error's field begins with `root`.
    pub(super) fn conforms(&self, value: &Value, root: &str) -> Result<(), Error> {
        let steps = self.steps(value).map_err(|why| Error::new(Kind::InvalidInput, why).with_field(root))?;
        if self.validator.is_valid(value) {
            return Ok(());
        }
        // To say what is wrong takes longer than to know that something is.
        let error = if steps.telling <= MOST_STEPS / 2 { self.validator.validate(value).err() } else { None };
        let Some(error) = error else {
            let text = "it doesn't conform to its schema, and is too large to say where";
            return Err(Error::new(Kind::InvalidInput, text).with_field(root));
        };
        let path = error.instance_path().to_string().replace('/', ".");
        // Masked: a value may be something that was pasted into the wrong field, a password perhaps.
        Err(Error::new(Kind::InvalidInput, error.masked().to_string()).with_field(format!("{root}{path}")))
    }

    fn steps(&self, value: &Value) -> Result<Count, String> {
        steps::count(&self.document, &self.patterns, value)
    }
}

#[cfg(test)]
mod tests;
