//! The arguments of a call, as `reconcile` gets them: `{"site", …, "input": {…}}`, or the input's fields beside the ids.
//!
//! Pure. Invariant: only what a look-up compares is read.

use portico_sdk::{Error, error::internal, json};
use serde_json::Value;

pub struct Arguments(Value);

impl Arguments {
    pub fn parse(text: &str) -> Result<Self, Error> {
        Ok(Self(json::from_str(text)?))
    }

    /// A field of the input, or beside it.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.value(name).and_then(Value::as_str)
    }

    pub fn need(&self, name: &str) -> Result<&str, Error> {
        self.get(name).ok_or_else(|| internal(format!("the call's arguments have no {name}")))
    }

    pub fn site(&self) -> Result<&str, Error> {
        self.need("site")
    }

    /// The JSON text of a field, `{}` without one.
    pub fn object(&self, name: &str) -> String {
        self.value(name).map_or_else(|| "{}".to_owned(), Value::to_string)
    }

    fn value(&self, name: &str) -> Option<&Value> {
        self.0.get("input").and_then(|input| input.get(name)).or_else(|| self.0.get(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_in_both_places() {
        for text in [r#"{"site":"s","input":{"name":"n","options":{"a":1}}}"#, r#"{"site":"s","name":"n","options":{"a":1}}"#] {
            let args = Arguments::parse(text).unwrap();
            assert_eq!((args.site().unwrap(), args.get("name")), ("s", Some("n")));
            assert_eq!(args.object("options"), r#"{"a":1}"#);
            assert_eq!(args.object("other"), "{}");
            assert!(args.need("other").is_err());
        }
        assert!(Arguments::parse("{").is_err());
    }
}
