//! Errors of SiteICO: `{"error": "site name already exists"}` and a status, to kinds.
//!
//! Pure. The text is written for people, so it is handed on as one short line; what is no plain text is left out. Invariant: the
//! status decides, and the text only tells a name that is taken, or a plan that is used up, from other refusals.

use portico_sdk::{Error, ErrorKind, error, json, upstream::Response};
use serde::Deserialize;

#[derive(Deserialize)]
struct Body {
    error: String,
}

pub fn parse(response: &Response) -> Option<Error> {
    let body: Body = json::from_slice(&response.body).ok()?;
    let text = one_line(&body.error)?;
    let lower = text.to_ascii_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| lower.contains(word));
    let kind = match response.status {
        400 | 403 | 409 | 422 if says(&["limit reached", "quota", "upgrade your plan"]) => ErrorKind::QuotaExceeded,
        400 | 422 if says(&["already exists", "already in use", "is taken"]) => ErrorKind::Conflict,
        status => error::from_status(status, None).kind,
    };
    Some(Error::new(kind, format!("SiteICO says: {text}")).with_upstream_status(response.status))
}

/// The first line without control characters, at most 300, without a final period; none for markup or nothing.
fn one_line(text: &str) -> Option<String> {
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
        for (status, text, kind) in [
            // The document's own example.
            (400, "site name already exists", ErrorKind::Conflict),
            (400, "name is required", ErrorKind::InvalidInput),
            (400, "Site limit reached. Upgrade your plan", ErrorKind::QuotaExceeded),
            (401, "invalid session", ErrorKind::Unauthenticated),
            (403, "not your site", ErrorKind::Forbidden),
            (404, "site not found", ErrorKind::NotFound),
            (409, "site is busy", ErrorKind::Conflict),
            (429, "too many requests", ErrorKind::RateLimited),
            (500, "internal error", ErrorKind::Unavailable),
        ] {
            let error = parse(&json_response(status, &json!({"error": text}))).unwrap();
            assert_eq!((error.kind, error.upstream_status), (kind, Some(status)), "{text}");
            assert_eq!(error.message, format!("SiteICO says: {text}"));
        }
    }

    #[test]
    fn what_is_no_text_is_left_to_the_status() {
        for body in ["<html>", "", "{}", r#"{"error": 7}"#, r#"{"error": ""}"#, r#"{"error": "<b>no</b>"}"#, "[]"] {
            assert_eq!(parse(&response(502, &[], body)), None, "{body}");
        }
        let error = parse(&json_response(400, &json!({"error": format!(" a\u{7}b.\nsecond {}", "x".repeat(500))}))).unwrap();
        assert_eq!(error.message, "SiteICO says: ab");
    }
}
