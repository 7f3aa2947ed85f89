//! What a request says that its endpoint doesn't take: query parameters where there are none, and preconditions of changes.
//!
//! In go requests of one endpoint, out come the same or a refusal. Invariant: nothing is carried out for a client that asked for
//! something else, as for a dry run, or for a change of what nobody else has changed; nothing is read of bodies but to drop them.

use super::{
    extract::{self, Sending},
    problem::Problem,
    spec::{Body, Endpoint, Shape},
};
use crate::policy::is_safe;
use axum::{
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use http::{HeaderMap, HeaderName, StatusCode, header};
use schemars::SchemaGenerator;
use serde_json::Value;
use std::sync::Arc;

/// What of it an endpoint takes.
#[derive(Clone, Copy)]
pub struct Taken {
    query: Option<Shape>,
    body: Option<Shape>,
}

impl Taken {
    pub fn by(endpoint: &Endpoint) -> Self {
        let body = match &endpoint.body {
            Some(Body::Json { shape, .. }) => Some(*shape),
            Some(Body::Bytes) | None => None,
        };
        Self { query: endpoint.query, body }
    }
}

/// Around every endpoint.
pub async fn refuse(State(taken): State<Taken>, request: Request, next: Next) -> Response {
    let refused = untaken(taken, &request);
    let Some(problem) = refused else { return hinted(taken, next.run(request).await) };
    let (parts, mut body) = request.into_parts();
    // Unread, it could take the answer away.
    if Sending::of(&parts) == Sending::Sends {
        extract::discard(&mut body).await;
    }
    problem.into_response()
}

fn untaken(taken: Taken, request: &Request) -> Option<Problem> {
    let unmet = if is_safe(request.method()) { None } else { condition(request.headers()) };
    if let Some(name) = unmet {
        let detail = format!("changes take no preconditions: read, compare, and send this without {name}; nothing was changed");
        return Some(Problem::new(StatusCode::PRECONDITION_FAILED, "precondition_failed", detail));
    }
    let query = request.uri().query().filter(|_| taken.query.is_none())?;
    let (name, _) = url::form_urlencoded::parse(query.as_bytes()).next()?;
    Some(no_such_parameter(taken, &name))
}

/// RFC 9110, 13.1: what is carried out although its condition is false overwrites what somebody else has done. Any state will do
/// for `If-Match: *`.
fn condition(headers: &HeaderMap) -> Option<HeaderName> {
    let conditions = [header::IF_MATCH, header::IF_NONE_MATCH, header::IF_UNMODIFIED_SINCE];
    conditions.into_iter().find(|name| {
        let mut values = headers.get_all(name).into_iter();
        values.any(|value| *name != header::IF_MATCH || value.as_bytes() != b"*")
    })
}

fn no_such_parameter(taken: Taken, name: &str) -> Problem {
    let hint = if has_field(taken.body, name) { ": it goes into the body" } else { "" };
    let name: String = name.chars().take(100).collect();
    Problem::invalid(name, format!("this endpoint takes no such query parameter{hint}"))
}

/// A field that the body doesn't have may be meant for the query.
fn hinted(taken: Taken, mut response: Response) -> Response {
    if taken.query.is_none() || response.status() != StatusCode::UNPROCESSABLE_ENTITY {
        return response;
    }
    let Some(problem) = response.extensions_mut().get_mut::<Arc<Problem>>() else { return response };
    let Some(unknown) = problem.fields.first().filter(|field| field.message.starts_with("unknown field")) else {
        return response;
    };
    if has_field(taken.query, &unknown.field) {
        *problem = Arc::new(Problem::invalid(unknown.field.clone(), "the body has no such field: it goes into the query"));
    }
    response
}

/// Whether an object of this shape has the field.
fn has_field(shape: Option<Shape>, name: &str) -> bool {
    let Some(shape) = shape else { return false };
    let mut generator = SchemaGenerator::default();
    let schema = shape(&mut generator).to_value();
    let kind = schema["$ref"].as_str().and_then(|path| path.rsplit('/').next()).unwrap_or_default();
    let fields = generator.definitions().get(kind).and_then(|schema| schema.get("properties")).and_then(Value::as_object);
    fields.is_some_and(|fields| fields.contains_key(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::routes;

    fn of(name: &str) -> Taken {
        Taken::by(routes::endpoints().iter().find(|endpoint| endpoint.name == name).unwrap())
    }

    #[test]
    fn what_an_endpoint_takes_passes_and_the_rest_is_named() {
        let check = |endpoint: &str, path: &str, expected: Option<(&str, bool)>| {
            let request = Request::builder().method("POST").uri(path).body(axum::body::Body::empty()).unwrap();
            let problem = untaken(of(endpoint), &request);
            let told = |problem: &Problem| (problem.fields[0].field.clone(), problem.detail.ends_with("goes into the body"));
            let found = problem.as_ref().map(told);
            let expected = expected.map(|(field, hint)| (field.to_owned(), hint));
            assert_eq!(found, expected, "{path}");
        };
        check("backups.create", "/a", None);
        check("backups.create", "/a?", None);
        check("backups.create", "/a?environment=staging", Some(("environment", true)));
        check("backups.create", "/a?dry%5Frun=1&environment=staging", Some(("dry_run", false)));
        check("backups.delete", "/a?environment", Some(("environment", false)));
        check("domains.verify", "/a?environment=staging", None);
        check("domains.verify", "/a?what=ever", None);
    }

    #[test]
    fn preconditions_are_of_changes_and_any_state_is_none() {
        let check = |method: &str, name: &str, value: &str, expected: Option<u16>| {
            let request = Request::builder().method(method).uri("/a").header(name, value).body(axum::body::Body::empty());
            let problem = untaken(of("backups.delete"), &request.unwrap());
            assert_eq!(problem.map(|problem| problem.status.as_u16()), expected, "{method} {name}: {value}");
        };
        check("DELETE", "if-match", "\"a\"", Some(412));
        check("DELETE", "if-match", "*", None);
        check("PATCH", "if-none-match", "*", Some(412));
        check("POST", "if-unmodified-since", "Thu, 01 Jan 2026 00:00:00 GMT", Some(412));
        check("GET", "if-none-match", "\"a\"", None);
        check("GET", "if-match", "\"a\"", None);
    }

    #[test]
    fn a_field_that_belongs_into_the_query_is_told() {
        let unknown = |field: &str| Problem::invalid(field, format!("unknown field `{field}`")).into_response();
        let detail = |response: Response| response.extensions().get::<Arc<Problem>>().unwrap().detail.clone();
        let told = detail(hinted(of("domains.verify"), unknown("environment")));
        assert!(told.ends_with("goes into the query"), "{told}");
        assert_eq!(detail(hinted(of("domains.verify"), unknown("what"))), "what: unknown field `what`");
        assert_eq!(detail(hinted(of("backups.delete"), unknown("environment"))), "environment: unknown field `environment`");
    }
}
