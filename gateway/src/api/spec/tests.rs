//! The document says what is so: golden file, references, examples, codes.

use super::{Answer, Body, Endpoint, Makes, document, document::clashes, problems};
use crate::{
    api::{events, problem::Problem, routes},
    dispatch::as_input,
    model::{Error, Kind},
    policy,
};
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

/// A failure of a connection that is being made or changed is wrong input, perhaps under the code that it has elsewhere.
#[test]
fn every_code_of_a_connection_that_is_refused_is_listed_with_its_status() {
    let codes = problems::ALL.iter().map(|entry| Some(entry.code)).chain([None, Some("never_heard_of")]);
    for code in codes {
        for kind in [Kind::Unauthenticated, Kind::Forbidden] {
            let error = Error { code: code.map(str::to_owned), ..Error::new(kind, "words") };
            let problem = Problem::from(as_input(error));
            let status = problem.status.as_u16();
            let listed = problems::ALL.iter().any(|entry| (entry.status, entry.code) == (status, &*problem.code));
            assert!(listed && status == 422, "{status} {}", problem.code);
        }
    }
}

fn operation<'a>(document: &'a Value, endpoint: &Endpoint) -> &'a Value {
    &document["paths"][endpoint.path][endpoint.method.as_str().to_ascii_lowercase()]
}

#[test]
fn every_operation_tells_the_role_and_the_scope_that_it_takes() {
    let document = written();
    for endpoint in routes::endpoints() {
        let operation = operation(&document, &endpoint);
        if endpoint.open {
            assert_eq!(operation["security"], json!([]), "{}", endpoint.name);
            continue;
        }
        let rule = policy::rule(endpoint.name).unwrap_or_else(|| panic!("{} has no rule", endpoint.name));
        let scope = format!("{}:{}", rule.group.as_str(), rule.access.as_str());
        let told = format!("Takes the role {} and the scope `{scope}`.", rule.role.as_str());
        assert!(operation["description"].as_str().is_some_and(|text| text.ends_with(&told)), "{}: {told}", endpoint.name);
        assert_eq!(operation["security"][0], json!({ "bearer": [scope] }), "{}", endpoint.name);
    }
}

/// What stands in the frame that the document shows is the schema that it names.
#[test]
fn streams_show_a_frame_and_name_its_schema() {
    let document = written();
    let data = events::EXAMPLE.lines().find_map(|line| line.strip_prefix("data: ")).unwrap();
    let event: Value = serde_json::from_str(data).unwrap();
    let schema = json!({ "$ref": "#/components/schemas/Event", "components": document["components"] });
    let validator = jsonschema::validator_for(&schema).unwrap();
    let errors: Vec<_> = validator.iter_errors(&event).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{errors:?}");
    assert!(!validator.is_valid(&json!({ "id": 7, "type": "reset", "at": "2026-11-25T04:38:25Z", "data": {} })));
    for endpoint in routes::endpoints().iter().filter(|endpoint| matches!(endpoint.answer, Answer::Events)) {
        let operation = operation(&document, endpoint);
        assert!(operation["description"].as_str().unwrap().contains(data), "{}", endpoint.name);
        let content = &operation["responses"]["200"]["content"]["text/event-stream"];
        assert_eq!(content["x-event-data"]["$ref"], "#/components/schemas/Event");
        assert_eq!(operation["responses"].get("204").is_some(), endpoint.name == "operations.events");
    }
}

#[test]
fn header_fields_are_told_where_they_are_sent() {
    let (document, endpoints) = (written(), routes::endpoints());
    let named = |name: &str| operation(&document, endpoints.iter().find(|endpoint| endpoint.name == name).unwrap());
    let responses = &document["components"]["responses"];
    for (answer, header) in [
        (&responses["Problem401"], "WWW-Authenticate"),
        (&responses["Problem409"], "Retry-After"),
        (&responses["Problem415"], "Accept-Encoding"),
        (&responses["Problem503"], "Retry-After"),
        (&responses["Problem404"], "X-RateLimit-Reset"),
        (&named("sites.list")["responses"]["304"], "RateLimit-Policy"),
        (&named("sites.create")["responses"]["201"], "Preference-Applied"),
        (&named("sites.start")["responses"]["200"], "Preference-Applied"),
        (&named("sites.start")["responses"]["202"], "Preference-Applied"),
        (&named("backups.download")["responses"]["200"], "Content-Disposition"),
        (&named("backups.download")["responses"]["200"], "Content-Length"),
        (&named("auth.login")["responses"]["200"], "Set-Cookie"),
        (&named("auth.register")["responses"]["201"], "Set-Cookie"),
        (&named("auth.refresh")["responses"]["200"], "Set-Cookie"),
        (&named("invitations.accept")["responses"]["201"], "Set-Cookie"),
        (&named("auth.logout")["responses"]["204"], "Set-Cookie"),
    ] {
        assert!(answer["headers"][header]["$ref"].is_string(), "{header}: {answer}");
    }
    let parameters = named("deployments.upload")["parameters"].as_array().unwrap();
    assert!(parameters.contains(&json!({ "$ref": "#/components/parameters/ContentDigest" })), "{parameters:?}");
}

#[test]
fn what_makes_something_answers_201_and_never_200() {
    let document = written();
    for endpoint in routes::endpoints() {
        let Answer::Operation(makes) = endpoint.answer else { continue };
        let answers = &operation(&document, &endpoint)["responses"];
        let made = makes == Makes::AResource;
        assert_eq!((answers.get("201").is_some(), answers.get("200").is_some()), (made, !made), "{}", endpoint.name);
    }
}

/// What the document says of values that are refused.
#[test]
fn limits_of_values_are_told() {
    let document = written();
    let field = |schema: &str, field: &str| document["components"]["schemas"][schema]["properties"][field].clone();
    for (schema, name) in [("Registration", "email"), ("Login", "email"), ("InvitationCreate", "email")] {
        assert!(field(schema, name)["pattern"].is_string() && field(schema, name)["maxLength"] == 254, "{schema}.{name}");
    }
    for (schema, name) in [("Registration", "password"), ("PasswordChange", "password"), ("InvitationAccept", "password")] {
        let field = field(schema, name);
        assert_eq!((&field["minLength"], &field["maxLength"]), (&json!(12), &json!(128)), "{schema}");
    }
    for name in ["scopes", "allowed_ips"] {
        assert!(field("TokenCreate", name)["items"]["pattern"].is_string(), "{name}");
    }
    let source = json!({ "$ref": "#/components/schemas/DeploymentSource", "components": document["components"] });
    let validator = jsonschema::validator_for(&source).unwrap();
    for (source, fits) in [
        (json!({ "type": "git", "repository": "https://git.example.com/a.git", "commit": null }), true),
        (json!({ "type": "git" }), false),
        (json!({ "type": "git", "repository": "https://git.example.com/a.git", "zip_url": "https://a.example/z" }), false),
        (json!({ "type": "zip", "zip_url": "https://a.example/z" }), true),
        (json!({ "type": "zip" }), false),
        (json!({ "type": "zip", "zip_url": "https://a.example/z", "branch": "main" }), false),
    ] {
        assert_eq!(validator.is_valid(&source), fits, "{source}");
    }
    let names = |name: &str| super::shapes::path_parameter(name)["description"].as_str().unwrap().contains("`=XX`");
    for name in ["site", "environment", "backup", "deployment", "plan", "plugin", "theme"] {
        assert!(names(name), "{name}");
    }
}

#[test]
fn filters_of_lists_tell_their_form() {
    let (document, endpoints) = (written(), routes::endpoints());
    for (name, parameter) in [
        ("operations.list", "connection"),
        ("operations.list", "action"),
        ("sites.list", "connection"),
        ("sites.list", "provider"),
        ("connections.list", "provider"),
        ("audit.list", "actor"),
        ("audit.list", "action"),
    ] {
        let endpoint = endpoints.iter().find(|endpoint| endpoint.name == name).unwrap();
        let parameters = operation(&document, endpoint)["parameters"].as_array().unwrap();
        let found = parameters.iter().find(|one| one["name"] == parameter).unwrap();
        let schema = resolved(&document, &found["schema"]);
        assert!(schema["pattern"].is_string() || schema["enum"].is_array(), "{name} {parameter}: {found}");
    }
}
