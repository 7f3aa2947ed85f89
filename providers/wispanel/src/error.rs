//! Errors of WisPanel, in the three shapes that it has, to kinds.
//!
//! `{"success": false, "code", "error": text, "message", "status"}`, `{"success": false, "error": text, "code"}` and
//! `{"error": {"code", "message", "details"}}` (the vendor's pages on errors). Pure but for the clock, which a 429 is measured by.
//! Invariant: status and code decide; the text only tells a name that is taken, or a limit that is reached, from other refusals.

use portico_sdk::{Error, ErrorKind, clock, error, json, upstream::Response};
use serde_json::Value;

/// None where the answer has none of the shapes: then its status decides.
pub fn parse(response: &Response) -> Option<Error> {
    let body: Value = json::from_slice(&response.body).ok()?;
    let mut error = of_body(&body, response.status)?;
    if error.kind == ErrorKind::RateLimited {
        error.retry_after = reset(response.header("x-ratelimit-reset"), clock::now);
    }
    Some(error)
}

/// What a body says, if it says something; `status` is the answer's, which may be 200.
pub fn of_body(body: &Value, status: u16) -> Option<Error> {
    let (inside, code) = match body.get("error")? {
        Value::Object(_) => (body.get("error")?, body.get("error")?.get("code")),
        _ => (body, body.get("code")),
    };
    let code = code.and_then(Value::as_str).unwrap_or_default();
    let text = [body.get("error"), inside.get("message")];
    let text = text.into_iter().flatten().filter_map(Value::as_str).find_map(one_line);
    let kind = kind(status, code, text.as_deref().unwrap_or_default());
    let message = match text {
        Some(text) => format!("WisPanel says: {text}"),
        None if code.is_empty() => return None,
        None => error::from_status(status, None).message,
    };
    let error = Error::new(kind, message).with_upstream_status(status);
    Some(match refused_field(inside.get("details")).filter(|_| kind == ErrorKind::InvalidInput) {
        Some(field) => error.with_field(field),
        None => error,
    })
}

fn kind(status: u16, code: &str, text: &str) -> ErrorKind {
    let lower = text.to_ascii_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| lower.contains(word));
    let is_refusal = matches!(status, 200..=299 | 400 | 403 | 409 | 422);
    if is_refusal && says(&["limit reached", "limit exceeded", "quota", "maximum number"]) {
        return ErrorKind::QuotaExceeded;
    }
    if is_refusal && status != 403 && says(&["already exists", "already in use", "already installed", "is taken"]) {
        return ErrorKind::Conflict;
    }
    // The codes of the vendor's pages; beyond them the status decides.
    match code {
        "VALIDATION_ERROR" => ErrorKind::InvalidInput,
        "NOT_FOUND" => ErrorKind::NotFound,
        "UNAUTHORIZED" => ErrorKind::Unauthenticated,
        "FORBIDDEN" => ErrorKind::Forbidden,
        "RATE_LIMITED" => ErrorKind::RateLimited,
        "CONFLICT" => ErrorKind::Conflict,
        // `"success": false` under a good status, for a reason of its own.
        _ if (200..=299).contains(&status) => ErrorKind::InvalidInput,
        _ => error::from_status(status, None).kind,
    }
}

/// The first field of `details`, by Portico's name where it has another one.
fn refused_field(details: Option<&Value>) -> Option<String> {
    let name = details?.as_object()?.keys().next()?;
    let ours = match name.as_str() {
        "domain_name" | "target_domain" => "domain",
        "admin_user" => "admin.user",
        "admin_password" => "admin.password",
        "admin_email" => "admin.email",
        "path" => "options.path",
        "db_name" => "options.db_name",
        "plugin" | "theme" => "source",
        "username" => "user",
        other => other,
    };
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"._".contains(&byte);
    (ours.len() <= 64 && ours.bytes().all(is_name)).then(|| ours.to_owned())
}

/// The first line without control characters, at most 300, without a final period; none for markup or nothing. What the panel
/// got ("Missing fields. Got: path=…") is the caller's own input, and may hold what isn't for a log: it is cut off.
pub fn one_line(text: &str) -> Option<String> {
    let line = text.trim().lines().next().unwrap_or_default();
    let told = line.split_once("Got:").map_or(line, |(before, _)| before);
    let short: String = told.chars().filter(|c| !c.is_control()).take(300).collect();
    let short = short.trim().trim_end_matches('.');
    (!short.is_empty() && !short.contains(['<', '>'])).then(|| short.to_owned())
}

/// What the panel repeats of a password that it refuses is for no log and no answer.
pub fn without(error: Error, password: &str) -> Error {
    if password.is_empty() || !error.message.contains(password) {
        return error;
    }
    let message = error.message.replace(password, "…");
    Error { message, ..error }
}

/// Seconds until the limit's period ends; `X-RateLimit-Reset` is a Unix time.
fn reset(header: Option<&str>, now: impl FnOnce() -> u64) -> Option<u32> {
    let at: u64 = header?.trim().parse().ok()?;
    let left = at.saturating_mul(1000).saturating_sub(now()).div_ceil(1000);
    Some(u32::try_from(left).unwrap_or(u32::MAX).max(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use portico_sdk::testing::{FakeHost, START, json_response, response};
    use serde_json::json;

    #[test]
    fn the_three_shapes_of_the_documents() {
        for (status, body, kind, message, field) in [
            (
                400,
                json!({"success": false, "code": "VALIDATION_ERROR", "status": 400, "message": "…",
                    "error": "Missing fields. Got: domain_name=\"\", path=\"\", db_name=\"\", domain=\"\""}),
                ErrorKind::InvalidInput,
                "WisPanel says: Missing fields",
                None,
            ),
            (
                401,
                json!({"success": false, "code": "UNAUTHORIZED", "error": "Missing authorization",
                    "message": "Missing authorization", "status": 401}),
                ErrorKind::Unauthenticated,
                "WisPanel says: Missing authorization",
                None,
            ),
            (
                403,
                json!({"success": false, "error": "API key is not scoped for 'webhooks'", "code": "FORBIDDEN"}),
                ErrorKind::Forbidden,
                "WisPanel says: API key is not scoped for 'webhooks'",
                None,
            ),
            (
                422,
                json!({"error": {"code": "VALIDATION_ERROR", "message": "The domain field is required.",
                    "details": {"domain": ["The domain field is required."]}}}),
                ErrorKind::InvalidInput,
                "WisPanel says: The domain field is required",
                Some("domain"),
            ),
            (
                422,
                json!({"error": {"code": "VALIDATION_ERROR", "message": "no", "details": {"admin_email": ["no"]}}}),
                ErrorKind::InvalidInput,
                "WisPanel says: no",
                Some("admin.email"),
            ),
        ] {
            let error = parse(&json_response(status, &body)).unwrap();
            assert_eq!((error.kind, error.upstream_status, error.field.as_deref()), (kind, Some(status), field), "{body}");
            assert_eq!(error.message, message);
        }
    }

    #[test]
    fn texts_tell_a_taken_name_and_a_full_plan() {
        for (status, code, text, kind) in [
            (400, "VALIDATION_ERROR", "Domain already exists", ErrorKind::Conflict),
            (400, "", "WordPress is already installed in this path", ErrorKind::Conflict),
            (403, "FORBIDDEN", "Domain limit reached", ErrorKind::QuotaExceeded),
            (403, "FORBIDDEN", "this key already exists elsewhere", ErrorKind::Forbidden),
            (404, "", "Installation not found", ErrorKind::NotFound),
            (409, "", "busy", ErrorKind::Conflict),
            (500, "INTERNAL_ERROR", "wp-cli exited with 1", ErrorKind::Unavailable),
            (200, "NOT_FOUND", "no such plugin", ErrorKind::NotFound),
            (200, "", "wp-cli isn't there", ErrorKind::InvalidInput),
        ] {
            let error = parse(&json_response(status, &json!({"success": false, "code": code, "error": text}))).unwrap();
            assert_eq!(error.kind, kind, "{status} {code} {text}");
        }
    }

    #[test]
    fn a_limit_says_when_it_ends() {
        let _host = FakeHost::install();
        let body = json!({"error": {"code": "RATE_LIMITED", "message": "Too many requests"}}).to_string();
        let at = (START / 1000 + 30).to_string();
        let error = parse(&response(429, &[("x-ratelimit-reset", &at)], body.clone())).unwrap();
        assert_eq!((error.kind, error.retry_after), (ErrorKind::RateLimited, Some(30)));
        assert_eq!(parse(&response(429, &[], body)).unwrap().retry_after, None);
        for (header, seconds) in
            [("1", Some(1)), ("soon", None), ("99999999999999999999", None), ("18446744073709551615", Some(u32::MAX))]
        {
            assert_eq!(reset(Some(header), || START), seconds, "{header}");
        }
    }

    #[test]
    fn a_password_is_not_repeated() {
        let refused = || error::invalid_input("admin.password", "WisPanel says: hunter2 is weak: hunter2");
        let without = |password| without(refused(), password);
        assert_eq!(without("hunter2").message, "WisPanel says: … is weak: …");
        assert_eq!((without("").message, without("other").message), (refused().message, refused().message));
        assert_eq!(without("hunter2").field.as_deref(), Some("admin.password"));
    }

    #[test]
    fn what_is_no_error_of_the_panel_is_left_to_the_status() {
        for body in [
            "<html>",
            "",
            "{}",
            "[]",
            r#"{"error": 7}"#,
            r#"{"error": "<b>no</b>"}"#,
            r#"{"error": {}}"#,
            r#"{"success": false}"#,
        ] {
            assert_eq!(parse(&response(502, &[], body)), None, "{body}");
        }
    }
}
