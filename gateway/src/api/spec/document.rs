//! The OpenAPI 3.1 document, made from the endpoints.
//!
//! In go endpoints; out comes the document as JSON, the same bytes every time. Invariant: every status that an endpoint can
//! answer with is in it, every reference resolves, and nothing in it is written by hand twice.

use super::{Answer, Body, Endpoint, Makes, Shape, examples::Examples, links, problems, rights, shapes};
use crate::api::{answer, events, problem::Problem, walk};
use schemars::{SchemaGenerator, generate::SchemaSettings, transform::ReplaceBoolSchemas};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

const ABOUT: &str = include_str!("about.md");
const SESSION: &str = "From `POST /auth/login`; `__Host-portico_session` over TLS. Browsers send it by themselves. With it, \
                       what changes something is taken from our own pages alone, as `Sec-Fetch-Site` or `Origin` says; outside \
                       of a browser send `Sec-Fetch-Site: none` along (else 403 `cross_origin`). A header with a token wins \
                       over it.";
/// On every answer.
const ALWAYS: [&str; 5] = ["RateLimit", "RateLimit-Policy", "X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset"];
/// What gives or ends a session by its cookie. (A member's new role gives one where it is one's own.)
const COOKIES: [&str; 8] = [
    "account.delete",
    "auth.login",
    "auth.logout",
    "auth.password",
    "auth.refresh",
    "auth.register",
    "invitations.accept",
    "members.update",
];

/// Schemas of what is written and of what is read differ: an answer always has every field, a body may leave some out.
struct Generators {
    answers: SchemaGenerator,
    bodies: SchemaGenerator,
    lists: BTreeMap<String, Value>,
    examples: Examples,
}

impl Generators {
    fn new() -> Self {
        let settings = || {
            let settings = SchemaSettings::draft2020_12().with(|settings| {
                settings.definitions_path = "/components/schemas".into();
                settings.meta_schema = None;
            });
            // Some generators of clients know no `true` for "anything": `{}` means the same.
            let mut anything = ReplaceBoolSchemas::default();
            anything.skip_additional_properties = true;
            settings.with_transform(anything)
        };
        let mut new = Self {
            answers: settings().for_serialize().into_generator(),
            bodies: settings().for_deserialize().into_generator(),
            lists: BTreeMap::new(),
            examples: Examples::default(),
        };
        new.answer(super::shape::<Problem>());
        new.answer(super::shape::<walk::Missing>());
        new.answer(super::shape::<answer::View<'static>>());
        new
    }

    fn answer(&mut self, shape: Shape) -> Value {
        shape(&mut self.answers).to_value()
    }

    fn body(&mut self, shape: Shape) -> Value {
        shape(&mut self.bodies).to_value()
    }

    /// Lists have names of their own, so that generated clients have, too.
    fn list(&mut self, shape: Shape) -> Value {
        let item = self.answer(shape);
        let name = item["$ref"].as_str().and_then(|path| path.rsplit('/').next()).unwrap_or("Anything").to_owned() + "List";
        self.lists.insert(name.clone(), shapes::list_of(&item));
        json!({ "$ref": format!("#/components/schemas/{name}") })
    }

    /// The names of an object's fields.
    fn fields(&mut self, shape: Shape) -> Vec<String> {
        let schema = self.answer(shape);
        let name = schema["$ref"].as_str().and_then(|path| path.rsplit('/').next()).unwrap_or_default();
        let fields =
            self.answers.definitions().get(name).and_then(|schema| schema.get("properties")).and_then(Value::as_object);
        fields.into_iter().flat_map(Map::keys).cloned().collect()
    }

    fn schemas(mut self) -> Value {
        let mut schemas = self.answers.take_definitions(true);
        schemas.extend(self.bodies.take_definitions(true));
        schemas.extend(self.lists);
        schemas.sort_keys();
        Value::Object(schemas)
    }
}

/// Every type has one meaning: one that is written and read with different shapes needs two names.
#[cfg(test)]
pub fn clashes(endpoints: &[Endpoint]) -> Vec<String> {
    let mut generators = Generators::new();
    paths(endpoints, &mut generators);
    let (written, read) = (generators.answers.take_definitions(true), generators.bodies.take_definitions(true));
    written
        .iter()
        .filter(|(name, schema)| read.get(*name).is_some_and(|other| other != *schema))
        .map(|(name, _)| name.clone())
        .collect()
}

pub fn document(endpoints: &[Endpoint]) -> Value {
    let mut generators = Generators::new();
    let paths = paths(endpoints, &mut generators);
    let responses = responses(endpoints, &mut generators.examples);
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Portico",
            "version": env!("CARGO_PKG_VERSION"),
            "summary": "One site, backup, domain, deployment, WordPress and billing API over many hosting systems",
            "description": ABOUT,
            "license": { "name": "Apache-2.0 OR MIT", "identifier": "Apache-2.0 OR MIT" },
        },
        "servers": [{ "url": "/api/v1" }],
        "security": [{ "bearer": [] }, { "apiKey": [] }, { "session": [] }],
        "tags": tags(endpoints),
        "paths": paths,
        "components": {
            "securitySchemes": {
                "bearer": { "type": "http", "scheme": "bearer", "description": "`Authorization: Bearer ptk_…`, or `ApiKey ptk_…`" },
                "apiKey": { "type": "apiKey", "in": "header", "name": "X-API-Key" },
                "session": {
                    "type": "apiKey",
                    "in": "cookie",
                    "name": "portico_session",
                    "description": SESSION,
                },
            },
            "parameters": shapes::header_parameters(),
            "headers": shapes::response_headers(),
            "responses": responses,
            "examples": generators.examples.shown(),
            "schemas": generators.schemas(),
        },
    })
}

fn tags(endpoints: &[Endpoint]) -> Value {
    let mut names: Vec<_> = Vec::new();
    endpoints.iter().map(Endpoint::group).for_each(|group| {
        if !names.contains(&group) {
            names.push(group)
        }
    });
    names.into_iter().map(|name| json!({ "name": name })).collect()
}

fn paths(endpoints: &[Endpoint], generators: &mut Generators) -> Value {
    let mut paths = Map::new();
    for endpoint in endpoints {
        let item = paths.entry(endpoint.path).or_insert_with(|| json!({}));
        item[endpoint.method.as_str().to_ascii_lowercase()] = operation(endpoint, endpoints, generators);
    }
    Value::Object(paths)
}

fn operation(endpoint: &Endpoint, all: &[Endpoint], generators: &mut Generators) -> Value {
    let mut operation = json!({
        "operationId": endpoint.name,
        "tags": [endpoint.group()],
        "summary": endpoint.summary,
        "parameters": parameters(endpoint, generators),
        "responses": answers(endpoint, all, generators),
    });
    let description = description(endpoint);
    if !description.is_empty() {
        operation["description"] = json!(description);
    }
    operation["security"] = rights::security(endpoint);
    if let Some(body) = &endpoint.body {
        operation["requestBody"] = request_body(body, generators);
    }
    operation
}

fn description(endpoint: &Endpoint) -> String {
    let details = Some(endpoint.details.to_owned()).filter(|details| !details.is_empty());
    let frames = matches!(endpoint.answer, Answer::Events).then(|| {
        let frame = events::EXAMPLE.trim_end();
        format!("What stands in `data:` is a line of JSON, the schema `Event`. One frame of the stream:\n\n```\n{frame}\n```")
    });
    let parts = [details, frames, rights::words(endpoint)];
    parts.into_iter().flatten().collect::<Vec<_>>().join("\n\n")
}

fn request_body(body: &Body, generators: &mut Generators) -> Value {
    match body {
        Body::Json { shape, example, required } => {
            let example: Value = serde_json::from_str(example).unwrap_or_default();
            let content = json!({ "schema": generators.body(*shape), "example": example });
            json!({ "required": required, "content": { "application/json": content } })
        }
        Body::Bytes => {
            let content = json!({ "schema": { "type": "string", "format": "binary" } });
            json!({ "required": true, "content": { "application/octet-stream": content } })
        }
    }
}

fn parameters(endpoint: &Endpoint, generators: &mut Generators) -> Value {
    let mut parameters: Vec<Value> = endpoint.path_parameters().map(shapes::path_parameter).collect();
    parameters.extend(endpoint.query.into_iter().flat_map(|shape| query_parameters(shape, generators)));
    parameters.extend(headers(endpoint).iter().map(|name| json!({ "$ref": format!("#/components/parameters/{name}") })));
    Value::Array(parameters)
}

fn headers(endpoint: &Endpoint) -> &'static [&'static str] {
    match endpoint.answer {
        _ if matches!(endpoint.body, Some(Body::Bytes)) => &["ContentDigest"],
        _ if endpoint.keeps_answers() => &["IdempotencyKey"],
        Answer::Operation(_) | Answer::OperationOrKept(_) => &["Prefer", "IdempotencyKey"],
        Answer::Resource(_) | Answer::List(..) => &["IfNoneMatch", "CacheControl"],
        Answer::Events => &["LastEventId"],
        Answer::Progress(_)
        | Answer::ProgressList(_)
        | Answer::Canceled(_)
        | Answer::Kept(..)
        | Answer::Nothing
        | Answer::File => &[],
    }
}

/// A struct of query parameters, field by field.
fn query_parameters(shape: Shape, generators: &mut Generators) -> Vec<Value> {
    let schema = shape(&mut generators.bodies);
    let name = schema.get("$ref").and_then(Value::as_str).and_then(|path| path.rsplit('/').next()).map(str::to_owned);
    // The struct itself is no schema of the document; only its fields are.
    let schema = name.and_then(|name| generators.bodies.definitions_mut().remove(&name)).unwrap_or_else(|| schema.to_value());
    let required = |field: &str| schema["required"].as_array().is_some_and(|all| all.iter().any(|one| one == field));
    let properties = schema["properties"].as_object().cloned().unwrap_or_default();
    properties.into_iter().map(|(field, property)| query_parameter(&field, property, required(&field))).collect()
}

fn query_parameter(field: &str, mut schema: Value, required: bool) -> Value {
    let description = schema.as_object_mut().and_then(|schema| schema.remove("description")).unwrap_or_default();
    json!({ "name": field, "in": "query", "required": required, "description": description, "schema": given(schema) })
}

/// A parameter that is there has a value: null is for the ones that aren't.
fn given(mut schema: Value) -> Value {
    if let Some(types) = schema["type"].as_array() {
        let mut types = types.clone();
        types.retain(|one| one != "null");
        schema["type"] = if types.len() == 1 { types.remove(0) } else { Value::Array(types) };
    }
    match schema["anyOf"].as_array() {
        Some(choices) => choices.iter().find(|one| one["type"] != "null").cloned().unwrap_or(Value::Bool(true)),
        None => {
            if let Some(schema) = schema.as_object_mut() {
                schema.retain(|_, value| !value.is_null());
            }
            schema
        }
    }
}

fn answers(endpoint: &Endpoint, all: &[Endpoint], generators: &mut Generators) -> Value {
    let mut answers = successes(endpoint, generators);
    let fields = match endpoint.answer {
        Answer::List(shape, _) | Answer::ProgressList(shape) | Answer::Kept(shape, _) => generators.fields(shape),
        _ => Vec::new(),
    };
    for (status, answer) in &mut answers {
        let status = status.parse().unwrap_or_default();
        generators.examples.illustrate(answer, status);
        let links = links::of(endpoint, status, &fields, all);
        if !links.is_empty() {
            answer["links"] = Value::Object(links);
        }
    }
    if headers(endpoint).contains(&"IdempotencyKey") {
        let replayed = json!({ "$ref": "#/components/headers/IdempotencyReplayed" });
        answers.values_mut().for_each(|answer| answer["headers"]["Idempotency-Replayed"] = replayed.clone());
    }
    for status in problems::statuses(endpoint) {
        answers.insert(status.to_string(), json!({ "$ref": format!("#/components/responses/Problem{status}") }));
    }
    Value::Object(answers)
}

const ACCEPTED: &str = "Accepted: the operation goes on";
const GOES_ON: [&str; 3] = ["Location", "Retry-After", "Preference-Applied"];

fn successes(endpoint: &Endpoint, generators: &mut Generators) -> Map<String, Value> {
    let operation = json!({ "$ref": "#/components/schemas/Operation" });
    let cookie = COOKIES.contains(&endpoint.name).then_some("Set-Cookie");
    let mut answers = Map::new();
    let mut add = |status: u16, words: &str, headers: &[&str], schema: Option<Value>| {
        answers.insert(status.to_string(), response(words, headers, schema, "application/json"));
    };
    match endpoint.answer {
        Answer::Resource(shape) => {
            add(200, "As it is", &["ETag", "Age", "Cache-Status"], Some(generators.answer(shape)));
            add(304, "Unchanged", &["ETag", "Age", "Cache-Status"], None);
        }
        Answer::List(shape, _) => {
            add(200, "A page", &["ETag", "Age", "Cache-Status"], Some(generators.list(shape)));
            add(304, "Unchanged", &["ETag", "Age", "Cache-Status"], None);
        }
        Answer::Operation(makes) => {
            if makes == Makes::AResource {
                add(
                    201,
                    "Made: the operation has finished, and `result` is the new resource",
                    &["Location", "Preference-Applied"],
                    Some(operation.clone()),
                );
            } else {
                add(200, "Done: the operation has finished", &["Preference-Applied"], Some(operation.clone()));
            }
            add(202, ACCEPTED, &GOES_ON, Some(operation));
        }
        Answer::OperationOrKept(shape) => {
            let either = json!({ "anyOf": [operation, generators.answer(shape)] });
            add(
                200,
                "Done: the finished operation, or the resource where only Portico's own part of it was changed",
                &["Preference-Applied"],
                Some(either),
            );
            add(202, ACCEPTED, &GOES_ON, Some(operation));
        }
        Answer::Progress(shape) => add(200, "As it is now", &["Retry-After"], Some(generators.answer(shape))),
        Answer::ProgressList(shape) => add(200, "A page", &[], Some(generators.list(shape))),
        Answer::Canceled(shape) => {
            let schema = generators.answer(shape);
            add(200, "Canceled", &[], Some(schema.clone()));
            add(202, "The host was asked to stop it", &[], Some(schema));
        }
        Answer::Kept(shape, status) => {
            let place = endpoint.has_place().then_some("Location");
            let headers: Vec<_> = place.into_iter().chain(cookie).collect();
            add(status, "As it is now", &headers, Some(generators.answer(shape)));
        }
        Answer::Nothing => add(204, "Gone", cookie.as_slice(), None),
        Answer::File => {
            let schema = json!({ "type": "string", "format": "binary" });
            let headers = ["Content-Disposition", "Content-Length"];
            answers.insert("200".to_owned(), response("The file", &headers, Some(schema), "application/octet-stream"));
        }
        Answer::Events => {
            if endpoint.path.contains('{') {
                add(204, "There is nothing more to come: the event that ended it was seen already", &[], None);
            }
            answers.insert("200".to_owned(), stream(generators));
        }
    }
    answers
}

/// OpenAPI 3.1 has no word for what a stream is made of.
fn stream(generators: &mut Generators) -> Value {
    const TYPE: &str = "text/event-stream";
    let mut stream = response("A stream of events, which goes on", &[], Some(json!({ "type": "string" })), TYPE);
    let content = &mut stream["content"][TYPE];
    content["example"] = json!(events::EXAMPLE);
    content["x-event-data"] = generators.answer(super::shape::<events::EventView<'static>>());
    stream
}

fn response(words: &str, headers: &[&str], schema: Option<Value>, media_type: &str) -> Value {
    let component = |name: &&str| json!({ "$ref": format!("#/components/headers/{}", name.replace('-', "")) });
    let mut all = Map::from_iter([("X-Request-Id".to_owned(), json!({ "$ref": "#/components/headers/RequestId" }))]);
    all.extend(ALWAYS.iter().chain(headers).map(|name| ((*name).to_owned(), component(name))));
    let mut response = json!({ "description": words, "headers": all });
    if let Some(schema) = schema {
        response["content"] = json!({ media_type: { "schema": schema } });
    }
    response
}

/// One response for each status of a problem, naming its codes.
fn responses(endpoints: &[Endpoint], examples: &mut Examples) -> Value {
    let statuses: std::collections::BTreeSet<u16> = endpoints.iter().flat_map(problems::statuses).collect();
    let problem = json!({ "$ref": "#/components/schemas/Problem" });
    let entry = |status: u16| {
        let codes = problems::ALL.iter().filter(|entry| entry.status == status);
        let words: String = codes.map(|entry| format!("- `{}`: {}. {}.\n", entry.code, entry.cause, entry.remedy)).collect();
        let headers: &[_] = match status {
            401 => &["WWW-Authenticate"],
            409 | 429 | 503 => &["Retry-After"],
            415 => &["Accept-Encoding"],
            _ => &[],
        };
        let mut problem = response(&words, headers, Some(problem.clone()), "application/problem+json");
        examples.illustrate(&mut problem, status);
        (format!("Problem{status}"), problem)
    };
    Value::Object(statuses.into_iter().map(entry).collect())
}
