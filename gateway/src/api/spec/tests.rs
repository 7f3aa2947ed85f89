//! The document says what is so: golden file, references, examples, codes.

use super::{Body, Endpoint, document, document::clashes, problems};
use crate::{api::routes, model::Kind};
use serde_json::{Value, json};
use std::{collections::BTreeSet, fs, path::Path};

fn written() -> Value {
    document(&routes::endpoints())
}

/// The committed document: what client authors see change in a review.
#[test]
fn the_golden_document_is_the_document() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi.json");
    let now = serde_json::to_string_pretty(&written()).unwrap() + "\n";
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&golden, &now).unwrap();
    }
    let before = fs::read_to_string(&golden).unwrap_or_default();
    let differs = before.lines().zip(now.lines()).find(|(before, now)| before != now);
    assert!(before == now, "the API's document has changed at {differs:?}: look at it, then run the test with UPDATE_GOLDEN=1");
}

#[test]
fn a_type_has_one_shape() {
    assert_eq!(clashes(&routes::endpoints()), Vec::<String>::new());
}

fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
    match value {
        Value::Object(object) => object.iter().for_each(|(key, value)| match value.as_str() {
            Some(reference) if key == "$ref" => found.push(reference),
            _ => references(value, found),
        }),
        Value::Array(array) => array.iter().for_each(|value| references(value, found)),
        _ => {}
    }
}

#[test]
fn every_reference_resolves_and_every_schema_is_used() {
    let document = written();
    let mut found = Vec::new();
    references(&document, &mut found);
    for reference in &found {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
    for name in document["components"]["schemas"].as_object().unwrap().keys() {
        assert!(found.contains(&format!("#/components/schemas/{name}").as_str()), "{name} is never used");
        assert!(!name.ends_with(|last: char| last.is_ascii_digit()), "{name} has the name of another type: rename it");
    }
}

#[test]
fn every_example_fits() {
    let document = written();
    for endpoint in routes::endpoints() {
        let Some(Body::Json { example, .. }) = &endpoint.body else { continue };
        let operation = &document["paths"][endpoint.path][endpoint.method.as_str().to_ascii_lowercase()];
        let content = &operation["requestBody"]["content"]["application/json"];
        let schema = json!({ "allOf": [content["schema"]], "components": document["components"] });
        let validator = jsonschema::validator_for(&schema).unwrap();
        let example: Value = serde_json::from_str(example).unwrap();
        let errors: Vec<_> = validator.iter_errors(&example).map(|error| error.to_string()).collect();
        assert!(errors.is_empty() && example != json!({}), "{}: {errors:?}", endpoint.name);
    }
}

#[test]
fn every_example_of_an_answer_fits_its_schema() {
    let document = written();
    let examples = document["components"]["examples"].as_object().unwrap();
    for (name, example) in examples {
        let schema = name.strip_suffix("Running").unwrap_or(name);
        let schema = json!({ "$ref": format!("#/components/schemas/{schema}"), "components": document["components"] });
        let validator = jsonschema::options().should_validate_formats(true).build(&schema).unwrap();
        let errors: Vec<_> = validator.iter_errors(&example["value"]).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{name}: {errors:?}");
    }
    for main in ["Site", "SiteList", "Operation", "OperationRunning", "Problem", "Backup", "Plan", "Connection"] {
        assert!(examples.contains_key(main), "{main} has no example");
    }
}

/// What a link gives: each path parameter of an operation that exists, from a field that the answer has.
#[test]
fn every_link_leads_somewhere() {
    let (document, endpoints) = (written(), routes::endpoints());
    let mut sources = BTreeSet::new();
    for source in &endpoints {
        let answers = &document["paths"][source.path][source.method.as_str().to_ascii_lowercase()]["responses"];
        for (status, answer) in answers.as_object().unwrap() {
            for (_, link) in answer["links"].as_object().into_iter().flatten() {
                let target = endpoints.iter().find(|endpoint| link["operationId"] == endpoint.name).unwrap();
                let given = link["parameters"].as_object().unwrap();
                let wanted: BTreeSet<_> = target.path_parameters().collect();
                assert_eq!(
                    given.keys().map(String::as_str).collect::<BTreeSet<_>>(),
                    wanted,
                    "{} to {}",
                    source.name,
                    target.name
                );
                let place =
                    |value: &Value| is_there(&document, source, &answer["content"]["application/json"]["schema"], value);
                assert!(given.values().all(place), "{} {status} to {}: {given:?}", source.name, target.name);
                sources.insert(source.name);
            }
        }
    }
    for main in ["sites.list", "sites.create", "sites.clone", "deployments.plan", "deployments.commit", "connections.create"] {
        assert!(sources.contains(main), "{main} leads nowhere");
    }
}

fn is_there(document: &Value, source: &Endpoint, schema: &Value, expression: &Value) -> bool {
    let expression = expression.as_str().unwrap();
    if let Some(name) = expression.strip_prefix("$request.path.") {
        return source.path_parameters().any(|known| known == name);
    }
    let mut schema = resolved(document, schema);
    for step in expression.strip_prefix("$response.body#/").unwrap().split('/') {
        let inner = if step == "0" { &schema["items"] } else { &schema["properties"][step] };
        schema = resolved(document, inner);
    }
    !schema.is_null()
}

fn resolved<'a>(document: &'a Value, schema: &'a Value) -> &'a Value {
    let reference = schema["$ref"].as_str().and_then(|reference| reference.strip_prefix('#'));
    reference.map_or(schema, |pointer| document.pointer(pointer).unwrap())
}

#[test]
fn names_are_unique_and_groups_are_stable() {
    let endpoints = routes::endpoints();
    let names: BTreeSet<_> = endpoints.iter().map(|endpoint| endpoint.name).collect();
    assert_eq!(names.len(), endpoints.len());
    let described = |endpoint: &Endpoint| {
        endpoint.path_parameters().all(|name| super::shapes::path_parameter(name)["description"].as_str() != Some(""))
    };
    let bare: Vec<_> = endpoints.iter().filter(|endpoint| !described(endpoint)).map(|endpoint| endpoint.path).collect();
    assert_eq!(bare, Vec::<&str>::new(), "say what their path parameters mean");
}

fn sources(folder: &Path, found: &mut String) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => sources(&path, found),
            false if path.ends_with("problems.rs") || path.ends_with("tests.rs") => {}
            false => found.push_str(&fs::read_to_string(path).unwrap()),
        }
    }
}

#[test]
fn every_code_is_listed_and_every_listed_code_is_written() {
    let mut code = String::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut code);
    let listed: BTreeSet<_> = problems::ALL.iter().map(|entry| entry.code).collect();
    let unwritten: Vec<_> = listed.iter().filter(|listed| !code.contains(&format!("\"{listed}\""))).collect();
    assert!(unwritten.is_empty(), "nothing writes {unwritten:?}");
    for marker in ["with_code(\"", "StatusCode::NOT_FOUND, \"", "StatusCode::CONFLICT, \"", "StatusCode::BAD_REQUEST, \""] {
        for rest in code.split(marker).skip(1) {
            let written = rest.split('"').next().unwrap();
            let is_word = written.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
            assert!(!is_word || listed.contains(written), "{written} is not in spec/problems.rs");
        }
    }
    let kinds = [
        Kind::InvalidInput,
        Kind::NotFound,
        Kind::Conflict,
        Kind::Unauthenticated,
        Kind::RateLimited,
        Kind::QuotaExceeded,
        Kind::Unsupported,
        Kind::Unavailable,
        Kind::Timeout,
        Kind::Internal,
        Kind::Trapped,
        Kind::Overloaded,
        Kind::Gateway,
    ];
    for kind in kinds {
        assert!(listed.contains(kind.code()), "{}", kind.code());
    }
}
