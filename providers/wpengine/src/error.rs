//! Errors of both dialects, and of what stands in front of them, to kinds.
//!
//! Live: `{"message", "documentation_url", "errors": [{"resource", "field", "type", "code", "message"}]}`. Seed:
//! `{"error": {"code", "message", "details"}}`. 429, 502 and 503 have no schema: an empty body or a page of HTML leaves the
//! decision to the status. Pure. Invariant: the status decides about the kind, but for a value that is taken; a message is one
//! short line without markup.

use portico_sdk::{Error, ErrorKind, error, json, upstream::Response};
use serde_json::Value;

const LONGEST: usize = 300;

pub fn parse(response: &Response) -> Option<Error> {
    let body: Value = json::from_slice(&response.body).ok()?;
    let status = response.status;
    let said = match body.get("error") {
        Some(error) => seed(error),
        None => live(&body),
    };
    // Who is to slow down or to wait doesn't need a text for it.
    let message = said.message.as_deref().and_then(one_line)?;
    let by_status = error::from_status(status, None);
    let kind = if said.is_taken && by_status.kind == ErrorKind::InvalidInput { ErrorKind::Conflict } else { by_status.kind };
    let error = Error::new(kind, format!("WP Engine says: {message}")).with_upstream_status(status);
    Some(match said.field.as_deref().and_then(one_line) {
        Some(field) => error.with_field(field),
        None => error,
    })
}

#[derive(Default)]
struct Said {
    message: Option<String>,
    field: Option<String>,
    is_taken: bool,
}

fn seed(error: &Value) -> Said {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let field = text(&error["details"]["field"]);
    // A bare text instead of an object isn't documented, but as clear.
    let message = error.get("message").and_then(text).or_else(|| text(error)).or_else(|| error.get("code").and_then(text));
    Said { message, field, is_taken: false }
}

/// The first entry that says something goes before the message, which then only repeats it.
fn live(body: &Value) -> Said {
    let text =
        |value: &Value, name: &str| value.get(name).and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned);
    let errors = body.get("errors").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let first = errors.iter().find(|error| text(error, "message").is_some());
    Said {
        message: first.and_then(|error| text(error, "message")).or_else(|| text(body, "message")),
        field: first.and_then(|error| text(error, "field")),
        is_taken: first.and_then(|error| text(error, "type")).is_some_and(|kind| kind == "value_unavailable"),
    }
}

/// The first line, without a final period; none when there is nothing in it or when it is markup.
fn one_line(text: &str) -> Option<String> {
    let line = text.trim().lines().next().unwrap_or_default();
    let short: String = line.chars().filter(|c| !c.is_control()).take(LONGEST).collect();
    let short = short.trim_end_matches('.').trim().to_owned();
    (!short.is_empty() && !short.contains(['<', '>'])).then_some(short)
}

/// Whether this can end differently later, so that work goes on instead of ending.
pub fn is_passing(error: &Error) -> bool {
    use ErrorKind::{Internal, RateLimited, Timeout, Unauthenticated, Unavailable};
    matches!(error.kind, Unavailable | Timeout | RateLimited | Unauthenticated | Internal)
}

#[cfg(test)]
mod tests {
    use super::*;
    use portico_sdk::testing::{json_response, response};
    use serde_json::json;

    #[test]
    fn both_dialects_by_their_examples() {
        let too_long = json!({"message": "Invalid Site: Name is too long", "documentation_url": "https://wpengineapi.com/",
            "errors": [{"resource": "Site", "field": "name", "type": "invalid_value", "code": "too_long",
                "message": "Name is too long (maximum is 40 characters)"}]});
        let taken = json!({"message": "Invalid", "errors": [{"resource": "Installation", "field": "name",
            "type": "value_unavailable", "code": "taken", "message": "Name is taken."}]});
        let seed =
            json!({"error": {"code": "invalid_request", "message": "Bad php_version", "details": {"field": "php_version"}}});
        for (status, body, kind, message, field) in [
            (
                400,
                json!({"message": "Invalid Site: Name cannot be empty."}),
                ErrorKind::InvalidInput,
                "Invalid Site: Name cannot be empty",
                None,
            ),
            (400, too_long, ErrorKind::InvalidInput, "Name is too long (maximum is 40 characters)", Some("name")),
            (400, taken, ErrorKind::Conflict, "Name is taken", Some("name")),
            (401, json!({"message": "Bad Credentials"}), ErrorKind::Unauthenticated, "Bad Credentials", None),
            (403, json!({"message": "Forbidden"}), ErrorKind::Forbidden, "Forbidden", None),
            (404, json!({"message": "Not Found"}), ErrorKind::NotFound, "Not Found", None),
            (
                409,
                json!({"message": "Transfer has already started and cannot be cancelled"}),
                ErrorKind::Conflict,
                "Transfer has already started and cannot be cancelled",
                None,
            ),
            (
                500,
                json!({"message": "An unexpected error occurred, please try again in a few minutes"}),
                ErrorKind::Unavailable,
                "An unexpected error occurred, please try again in a few minutes",
                None,
            ),
            (422, seed, ErrorKind::InvalidInput, "Bad php_version", Some("php_version")),
            (429, json!({"error": {"code": "rate_limit_exceeded"}}), ErrorKind::RateLimited, "rate_limit_exceeded", None),
        ] {
            let error = parse(&json_response(status, &body)).unwrap();
            assert_eq!((error.kind, error.upstream_status), (kind, Some(status)), "{body}");
            assert_eq!((error.message, error.field.as_deref()), (format!("WP Engine says: {message}"), field), "{body}");
        }
    }

    #[test]
    fn bodies_without_a_schema_leave_it_to_the_status() {
        for body in ["", "<html>Bad gateway</html>", "{}", "[1]", "null", r#"{"message":"<b>no</b>"}"#, r#"{"errors":[{}]}"#] {
            for (status, kind) in [(429, ErrorKind::RateLimited), (502, ErrorKind::Unavailable), (503, ErrorKind::Unavailable)]
            {
                assert_eq!(parse(&response(status, &[], body)), None, "{body}");
                let error = response(status, &[("retry-after", "7")], body).to_error(Some(parse));
                assert_eq!((error.kind, error.retry_after), (kind, Some(7)), "{body}");
            }
        }
    }

    #[test]
    fn messages_are_short_lines() {
        assert_eq!(one_line(&"é".repeat(1000)).unwrap().chars().count(), LONGEST);
        assert_eq!(one_line("a\u{7}b.\nsecond").as_deref(), Some("ab"));
        assert_eq!(one_line(" . "), None);
    }
}
