//! Examples of answers: what a sandbox once said, by the schema that it fits.
//!
//! In go answers as the document has them; they come out with a reference to an example, where there is one. Invariant: an example
//! is stated once, whatever answers with it; a test holds each against its schema.

use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

const VALUES: &str = include_str!("examples.json");
/// The one example of a problem is about something that isn't there.
const PROBLEM: u16 = 404;

pub struct Examples {
    values: Map<String, Value>,
    shown: BTreeSet<String>,
}

impl Default for Examples {
    fn default() -> Self {
        Self { values: serde_json::from_str(VALUES).unwrap_or_default(), shown: BTreeSet::new() }
    }
}

impl Examples {
    /// Refers to examples of every schema that the answer may have.
    pub fn illustrate(&mut self, answer: &mut Value, status: u16) {
        let Some(contents) = answer.get_mut("content").and_then(Value::as_object_mut) else { return };
        for content in contents.values_mut() {
            let schema = &content["schema"];
            let choices = schema["anyOf"].as_array().cloned().unwrap_or_else(|| vec![schema.clone()]);
            let names: Vec<_> = choices.iter().filter_map(|choice| self.name(choice, status)).collect();
            let reference = |name: &String| (name.clone(), json!({ "$ref": format!("#/components/examples/{name}") }));
            if !names.is_empty() {
                content["examples"] = names.iter().map(reference).collect::<Map<_, _>>().into();
                self.shown.extend(names);
            }
        }
    }

    fn name(&self, schema: &Value, status: u16) -> Option<String> {
        let name = schema["$ref"].as_str()?.rsplit('/').next()?;
        let name = match (name, status) {
            ("Operation", 202) => "OperationRunning",
            ("Problem", other) if other != PROBLEM => return None,
            (name, _) => name,
        };
        self.value(name).map(|_| name.to_owned())
    }

    /// That of a list is a page with one item.
    fn value(&self, name: &str) -> Option<Value> {
        let page = |item: &Value| json!({ "data": [item], "next_cursor": null, "total": 1, "as_of": "2026-11-25T04:38:25Z", "errors": [] });
        self.values.get(name).cloned().or_else(|| self.values.get(name.strip_suffix("List")?).map(page))
    }

    /// Those that an answer refers to.
    pub fn shown(&self) -> Value {
        self.shown
            .iter()
            .filter_map(|name| Some((name.clone(), json!({ "value": self.value(name)? }))))
            .collect::<Map<_, _>>()
            .into()
    }
}
