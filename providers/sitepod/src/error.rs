//! Errors of SitePod to kinds: `{"error": "plan not found"}` on live servers, `{"error": "invalid_token", "message": …}` in the seed.
//!
//! Pure. Live servers answer 400 to nearly everything, so their text tells a state and a limit from a wrong value. Invariant: the
//! text that is handed on is one short line for people, without markup.

use portico_sdk::{Error, ErrorKind, error, json, upstream::Response};
use serde::Deserialize;

#[derive(Deserialize)]
struct Body {
    error: String,
    message: Option<String>,
}

/// Beginnings of texts of a 400 that are about the present state.
const STATES: [&str; 5] =
    ["plan is not pending", "plan expired", "missing blob", "cannot remove primary", "no verification token"];
const LIMITS: [&str; 4] = ["too many files", "file too large", "deployment too large", "project limit reached"];

pub fn parse(response: &Response) -> Option<Error> {
    let body: Body = json::from_slice(&response.body).ok()?;
    let text = one_line(body.message.as_deref().unwrap_or(&body.error))?;
    let begins = |words: &[&str]| words.iter().any(|word| text.starts_with(word));
    let kind = match response.status {
        400 if begins(&STATES) => ErrorKind::Conflict,
        400 if begins(&LIMITS) => ErrorKind::QuotaExceeded,
        status => error::from_status(status, None).kind,
    };
    Some(Error::new(kind, format!("SitePod says: {text}")).with_upstream_status(response.status))
}

/// A 404 about an environment to which nothing was released yet.
pub fn is_unreleased(error: &Error) -> bool {
    error.kind == ErrorKind::NotFound && error.message.ends_with("ref not found")
}

/// The first line without control characters, at most 300, without a final period; none for markup or nothing.
pub fn one_line(text: &str) -> Option<String> {
    let line = text.trim().lines().next().unwrap_or_default();
    let short: String = line.chars().filter(|c| !c.is_control()).take(300).collect();
    let short = short.trim().trim_end_matches('.');
    (!short.is_empty() && !short.contains(['<', '>'])).then(|| short.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use portico_sdk::testing::{json_response, response};
    use serde_json::json;

    #[test]
    fn statuses_and_texts_to_kinds() {
        for (status, body, kind, text) in [
            // The seed's own example.
            (
                401,
                json!({"error": "invalid_token", "message": "The provided token is invalid or expired"}),
                ErrorKind::Unauthenticated,
                "The provided token is invalid or expired",
            ),
            // The live server's texts.
            (401, json!({"error": "authentication required"}), ErrorKind::Unauthenticated, "authentication required"),
            (403, json!({"error": "custom domains require admin privileges"}), ErrorKind::Forbidden, "custom domains require"),
            (404, json!({"error": "image not found"}), ErrorKind::NotFound, "image not found"),
            (409, json!({"error": "domain+slug combination already exists"}), ErrorKind::Conflict, "already exists"),
            (400, json!({"error": "plan is not pending"}), ErrorKind::Conflict, "plan is not pending"),
            (400, json!({"error": "missing blob: abc"}), ErrorKind::Conflict, "missing blob: abc"),
            (400, json!({"error": "file too large: a (1 GB, max: 100.0 MB)"}), ErrorKind::QuotaExceeded, "file too large"),
            (400, json!({"error": "project limit reached: 100 (max: 100)"}), ErrorKind::QuotaExceeded, "project limit"),
            (400, json!({"error": "project name is reserved"}), ErrorKind::InvalidInput, "project name is reserved"),
            (500, json!({"error": "failed to write ref"}), ErrorKind::Unavailable, "failed to write ref"),
        ] {
            let error = parse(&json_response(status, &body)).unwrap();
            assert_eq!((error.kind, error.upstream_status), (kind, Some(status)), "{body}");
            assert!(error.message.starts_with("SitePod says: ") && error.message.contains(text), "{}", error.message);
        }
        for body in ["<html>", "", "{}", r#"{"error": null}"#, r#"{"error": "<i>x</i>"}"#] {
            assert_eq!(parse(&response(502, &[], body)), None, "{body}");
        }
    }

    #[test]
    fn an_environment_without_a_release_is_told_from_a_missing_project() {
        for (text, expected) in [("ref not found", true), ("project not found", false)] {
            let error = parse(&json_response(404, &json!({"error": text}))).unwrap();
            assert_eq!(is_unreleased(&error), expected);
        }
    }
}
