//! Errors of Kinsta, `{message, status, data}`, and the state of its operations, to kinds and words.
//!
//! Pure. Invariant: the body's status counts before the HTTP status, as the two differ at times; a message is one short line, and
//! what isn't Kinsta's own form (a proxy's HTML, a cut body) never becomes a message.

use crate::types::Accepted;
use portico_sdk::{Error, ErrorKind, error, json, upstream::Response};

pub fn parse(response: &Response) -> Option<Error> {
    let body: Accepted = json::from_slice(&response.body).ok()?;
    let said = one_line(&body.message?);
    let status = body.status.and_then(status_code).filter(|status| *status >= 400).unwrap_or(response.status);
    (!said.is_empty()).then(|| of_status(status, &said).with_upstream_status(response.status))
}

/// Kinsta's words under the kind that belongs to the status.
pub fn of_status(status: u16, said: &str) -> Error {
    let kind = match status {
        // "or the user does not have permissions": Kinsta tells neither apart.
        404 => ErrorKind::NotFound,
        _ => error::from_status(status, None).kind,
    };
    Error::new(kind, format!("Kinsta says: {said}"))
}

/// How an operation stands.
#[derive(Debug, PartialEq)]
pub enum State {
    Running,
    Succeeded,
    Failed(Error),
    /// 404: not known yet, in the first seconds, or no longer.
    Unknown,
}

/// The answer of `GET /operations/{id}`; an error means that nothing was learned about the operation.
pub fn state(response: &Response) -> Result<State, Error> {
    let failed_to_look = || response.to_error(Some(parse));
    // A proxy's or the API's own trouble says nothing about the operation; a 500 in Kinsta's form does.
    if matches!(response.status, 401 | 403 | 408 | 429 | 501..=599) {
        return Err(failed_to_look());
    }
    let body = json::from_slice::<Accepted>(&response.body).ok();
    let said = body.as_ref().and_then(|body| body.message.as_deref()).map(one_line).unwrap_or_default();
    match body.and_then(|body| body.status).and_then(status_code) {
        Some(404) => Ok(State::Unknown),
        Some(202) => Ok(State::Running),
        Some(200..=299) => Ok(State::Succeeded),
        Some(status @ 400..=599) => Ok(State::Failed(failure(status, &said).with_upstream_status(response.status))),
        _ if response.status == 404 => Ok(State::Unknown),
        _ => Err(match response.status {
            200..=399 => {
                error::internal("Kinsta's answer about an operation has no status").with_upstream_status(response.status)
            }
            _ => failed_to_look(),
        }),
    }
}

/// Work that ended badly can't be repeated by looking again, so no kind that says "later" is left.
fn failure(status: u16, said: &str) -> Error {
    let mut failure = of_status(status, if said.is_empty() { "the operation failed" } else { said });
    if matches!(failure.kind, ErrorKind::Unavailable | ErrorKind::Timeout | ErrorKind::RateLimited) {
        failure.kind = ErrorKind::Internal;
    }
    failure
}

/// JSON has no integers of its own; what is no status at all is none.
pub fn status_code(number: f64) -> Option<u16> {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the range is checked first")]
    (100.0..600.0).contains(&number).then_some(number as u16)
}

/// The first line, at most 300 characters, without markup and a final period.
pub fn one_line(text: &str) -> String {
    let line = text.trim().lines().next().unwrap_or_default();
    let short: String = line.chars().filter(|c| !c.is_control() && !matches!(c, '<' | '>')).take(300).collect();
    short.trim_end().trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use portico_sdk::testing::{FakeHost, json_response, response};
    use serde_json::json;

    /// Texts of the document's schemas and of the seed.
    #[test]
    fn errors_by_the_bodys_status_first() {
        let _host = FakeHost::install();
        for (http, body, kind, message) in [
            (
                400,
                json!({"message": "Bad request format", "status": 400, "data": null}),
                ErrorKind::InvalidInput,
                "Bad request format",
            ),
            (
                401,
                json!({"message": "No or invalid API key provided to the request", "status": 401}),
                ErrorKind::Unauthenticated,
                "No or invalid API key provided to the request",
            ),
            (
                404,
                json!({"message": "Could not find data or the user does not have permissions to retrieve it", "status": 404, "data": {}}),
                ErrorKind::NotFound,
                "Could not find data or the user does not have permissions to retrieve it",
            ),
            (
                500,
                json!({"message": "Error occurred while processing your request", "status": 500}),
                ErrorKind::Unavailable,
                "Error occurred while processing your request",
            ),
            (
                429,
                json!({"status": 429, "message": "Too many requests, please try again later."}),
                ErrorKind::RateLimited,
                "Too many requests, please try again later",
            ),
            (500, json!({"message": "Site not found", "status": 404}), ErrorKind::NotFound, "Site not found"),
            (404, json!({"message": "no status"}), ErrorKind::NotFound, "no status"),
            (500, json!({"message": "odd", "status": 200}), ErrorKind::Unavailable, "odd"),
        ] {
            let error = parse(&json_response(http, &body)).unwrap();
            assert_eq!((error.kind, error.upstream_status), (kind, Some(http)), "{body}");
            assert_eq!(error.message, format!("Kinsta says: {message}"));
        }
        for body in ["<html>502</html>", "", "{\"message\":", "{\"message\": 7}", "[]", "{\"message\":\" \"}"] {
            assert_eq!(parse(&response(502, &[], body)), None, "{body}");
        }
    }

    #[test]
    fn states_of_operations() {
        let _host = FakeHost::install();
        let failed = |kind| Ok(kind);
        for (http, status, expected) in [
            (200, 200, Err(State::Succeeded)),
            (202, 202, Err(State::Running)),
            (404, 404, Err(State::Unknown)),
            (200, 202, Err(State::Running)),
            (200, 404, Err(State::Unknown)),
            (500, 500, failed(ErrorKind::Internal)),
            (200, 500, failed(ErrorKind::Internal)),
            (200, 400, failed(ErrorKind::InvalidInput)),
            (200, 429, failed(ErrorKind::Internal)),
        ] {
            let answer = json_response(http, &json!({"message": "m", "status": status, "data": {}}));
            match (state(&answer).unwrap(), expected) {
                (State::Failed(error), Ok(kind)) => assert_eq!((error.kind, error.message.as_str()), (kind, "Kinsta says: m")),
                (state, Err(expected)) => assert_eq!(state, expected, "{http} {status}"),
                (state, expected) => panic!("{http} {status}: {state:?}, not {expected:?}"),
            }
        }
    }

    #[test]
    fn what_says_nothing_about_an_operation_is_an_error() {
        let _host = FakeHost::install();
        for (http, body, kind) in [
            (502, "<html>", ErrorKind::Unavailable),
            (503, r#"{"message":"m","status":500}"#, ErrorKind::Unavailable),
            (500, "<html>", ErrorKind::Unavailable),
            (401, r#"{"message":"No or invalid API key provided to the request","status":401}"#, ErrorKind::Unauthenticated),
            (429, "", ErrorKind::RateLimited),
            (200, "{", ErrorKind::Internal),
            (200, r#"{"message":"m"}"#, ErrorKind::Internal),
            (200, r#"{"message":"m","status":1e300}"#, ErrorKind::Internal),
        ] {
            assert_eq!(state(&response(http, &[], body)).unwrap_err().kind, kind, "{http} {body}");
        }
        assert_eq!(state(&response(404, &[], "")).unwrap(), State::Unknown);
    }

    #[test]
    fn messages_are_short_lines() {
        assert_eq!(one_line("a\u{7}<b>b.\nsecond"), "abb");
        assert_eq!(one_line(&"é".repeat(1000)).chars().count(), 300);
    }
}
