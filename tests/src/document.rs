//! Every answer that a test gets is held against the API's own document.
//!
//! In go a method, a path, a status and a body; a failure comes out where the document doesn't know the status, or the body isn't
//! what it says. Invariant: this judges by the committed document alone, so a client that was written by it works.

use crate::gateway::root;
use http::{HeaderMap, Method, StatusCode};
use jsonschema::Validator;
use serde_json::{Value, json};
use std::{
    collections::HashMap,
    sync::{Arc, LazyLock, Mutex, PoisonError},
};

struct Document {
    document: Value,
    /// By media type's schema, as text: compiling takes longer than judging.
    validators: Mutex<HashMap<String, Arc<Validator>>>,
}

static DOCUMENT: LazyLock<Document> = LazyLock::new(|| {
    let file = root().join("gateway/openapi.json");
    let text = std::fs::read_to_string(&file).expect("the API's document");
    Document { document: serde_json::from_str(&text).expect("JSON"), validators: Mutex::default() }
});

/// `path` is below `/api/v1`. What has no endpoint is judged elsewhere: such paths answer 404 and 405.
#[track_caller]
pub fn check(method: &Method, path: &str, status: StatusCode, headers: &HeaderMap, body: &[u8]) {
    let Some(template) = DOCUMENT.template(path) else { return };
    let method = if method == Method::HEAD { Method::GET } else { method.clone() };
    let operation = &DOCUMENT.document["paths"][template][method.as_str().to_ascii_lowercase()];
    if operation.is_null() {
        return;
    }
    crate::routes::asked(&method, template);
    let answer = DOCUMENT.resolved(&operation["responses"][status.as_str()]);
    let text = String::from_utf8_lossy(body);
    assert!(!answer.is_null(), "{method} {path} answers {status}, which its document doesn't know: {text}");
    let Some(contents) = answer["content"].as_object() else { return };
    let kind = headers.get("content-type").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = kind.split(';').next().unwrap_or_default();
    let content = contents.get(essence);
    let content = content.unwrap_or_else(|| panic!("{method} {path} {status}: {essence:?} is no type of its document"));
    if !essence.ends_with("json") || body.is_empty() {
        return;
    }
    let body = serde_json::from_slice(body).unwrap_or_else(|error| panic!("{method} {path} {status}: {error}: {text}"));
    let validator = DOCUMENT.validator(&content["schema"]);
    let errors: Vec<_> = validator.iter_errors(&body).map(|error| format!("{}: {error}", error.instance_path())).collect();
    assert!(errors.is_empty(), "{method} {path} {status} isn't what its document says: {errors:?}: {text}");
}

impl Document {
    /// The path with most of its segments written out that fits.
    fn template(&self, path: &str) -> Option<&str> {
        let path = path.split('?').next().unwrap_or_default();
        let asked: Vec<_> = path.split('/').collect();
        let fits = |template: &&String| {
            let segments: Vec<_> = template.split('/').collect();
            segments.len() == asked.len()
                && segments
                    .iter()
                    .zip(&asked)
                    .all(|(segment, asked)| segment == asked || (segment.starts_with('{') && !asked.is_empty()))
        };
        let paths = self.document["paths"].as_object()?.keys();
        paths.filter(fits).min_by_key(|template| template.matches('{').count()).map(String::as_str)
    }

    fn resolved<'a>(&'a self, value: &'a Value) -> &'a Value {
        let reference = value["$ref"].as_str().and_then(|reference| reference.strip_prefix('#'));
        reference.map_or(value, |pointer| self.document.pointer(pointer).unwrap_or(&Value::Null))
    }

    fn validator(&self, schema: &Value) -> Arc<Validator> {
        let mut known = self.validators.lock().unwrap_or_else(PoisonError::into_inner);
        let compile = || {
            let whole = json!({ "allOf": [schema], "components": { "schemas": self.document["components"]["schemas"] } });
            Arc::new(jsonschema::validator_for(&whole).expect("a schema"))
        };
        Arc::clone(known.entry(schema.to_string()).or_insert_with(compile))
    }
}
