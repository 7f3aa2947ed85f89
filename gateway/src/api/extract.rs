//! What handlers take out of a request, with our own refusals instead of the framework's plain text.
//!
//! Invariant: every refusal is problem+json and names the field: 400 for what can't be parsed, 413 and 415 for size and type,
//! 422 for what parses but doesn't fit. Nothing is changed by a refused request.

pub mod object;
mod waiting;

pub use waiting::{Waiting, still_admitted};

use super::problem::{Field, Problem};
use crate::policy::Principal;
use axum::body::Body;
use axum::extract::{FromRequest, FromRequestParts, Request, rejection::PathRejection, rejection::QueryRejection};
use bytes::Bytes;
use http::{HeaderMap, StatusCode, Uri, Version, header, request::Parts};
use http_body::Body as _;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde::de::DeserializeOwned;
use std::{sync::Arc, time::Duration};
use zeroize::Zeroize as _;

/// A JSON body is at most this long: the largest real one, a site with its options, takes a few KiB.
pub const MAX_BODY: usize = 1 << 20;
/// A body of that size takes seconds on a poor line; a trickle must not hold its place.
const MAX_WAIT: Duration = Duration::from_secs(30);

/// A JSON body of at most `MOST` bytes. An empty body stands for `{}`.
pub struct Json<T, const MOST: usize = MAX_BODY>(pub T);

impl<T: DeserializeOwned, S: Send + Sync, const MOST: usize> FromRequest<S> for Json<T, MOST> {
    type Rejection = Problem;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Problem> {
        let is_coded = is_coded(request.headers());
        let content_type = request.headers().get(header::CONTENT_TYPE).map(|value| value.as_bytes().to_ascii_lowercase());
        let body = read(request, MOST).await?;
        if body.is_empty() {
            return parse(b"{}").map(Self);
        }
        if is_coded {
            return Err(Problem::coded_body());
        }
        if !content_type.as_deref().is_some_and(is_json) {
            let detail = "send the body as JSON, with Content-Type: application/json";
            return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", detail));
        }
        let parsed = parse(&body).map(Self);
        // It may hold secrets. Where the connection's own buffer still holds the bytes, the next request overwrites them.
        if let Ok(mut whole) = body.try_into_mut() {
            whole.as_mut().zeroize();
        }
        parsed
    }
}

/// Whether the body must be decoded before it is what it stands for, which nobody does here.
pub fn is_coded(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::CONTENT_ENCODING).into_iter();
    let codings = values.flat_map(|value| value.as_bytes().split(|&byte| byte == b','));
    let mut codings = codings.map(<[u8]>::trim_ascii);
    codings.any(|coding| !coding.is_empty() && !coding.eq_ignore_ascii_case(b"identity"))
}

fn is_json(content_type: &[u8]) -> bool {
    let essence = content_type.split(|&byte| byte == b';').next().unwrap_or_default().trim_ascii();
    essence == b"application/json" || (essence.starts_with(b"application/") && essence.ends_with(b"+json"))
}

/// Whoever sent it must still be let in when it is there: it may have taken half a minute.
pub async fn read(request: Request, most: usize) -> Result<Bytes, Problem> {
    let (parts, body) = request.into_parts();
    let body = collect(body, most, Sending::of(&parts)).await?;
    // What is open to everybody has no principal.
    if let Some(principal) = parts.extensions.get::<Arc<Principal>>() {
        still_admitted(parts.extensions.get(), principal).await?;
    }
    Ok(body)
}

/// How a client sends its body, as far as that is known before it comes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Sending {
    /// As soon as it is asked to (RFC 9110, 10.1.1).
    Waits,
    /// At once, and closing the connection before all is read may take the answer away.
    Sends,
    /// A stream that can be ended by itself.
    Multiplexed,
}

impl Sending {
    pub fn of(parts: &Parts) -> Self {
        let waits =
            || parts.headers.get(header::EXPECT).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"));
        match parts.version {
            Version::HTTP_2 => Self::Multiplexed,
            Version::HTTP_11 if waits() => Self::Waits,
            _ => Self::Sends,
        }
    }
}

/// All of it. One that is announced as too large is refused unread.
pub async fn collect(mut body: Body, most: usize, sending: Sending) -> Result<Bytes, Problem> {
    if body.size_hint().lower() > most as u64 {
        if sending == Sending::Sends {
            discard(&mut body).await;
        }
        return Err(too_large(most));
    }
    let limited = Limited::new(&mut body, most);
    let Ok(read) = tokio::time::timeout(MAX_WAIT, limited.collect()).await else {
        let detail = format!("the body did not arrive within {} s", MAX_WAIT.as_secs());
        return Err(Problem::new(StatusCode::REQUEST_TIMEOUT, "body_too_slow", detail));
    };
    match read {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.downcast_ref::<LengthLimitError>().is_some() => {
            discard(&mut body).await;
            Err(too_large(most))
        }
        Err(_) => Err(Problem::malformed("the body ended early")),
    }
}

fn too_large(most: usize) -> Problem {
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", format!("the body is larger than {most} bytes"))
}

/// Takes in some of what is too much: a connection that is closed over unread bytes is reset, and the client would lose the
/// answer that tells it why.
pub async fn discard(body: &mut Body) {
    const MOST: usize = 8 * MAX_BODY;
    const LONGEST: Duration = Duration::from_secs(2);
    let mut left = MOST;
    let rest = async {
        while let Some(Ok(frame)) = body.frame().await {
            let Some(rest) = left.checked_sub(frame.data_ref().map_or(0, Bytes::len)) else { return };
            left = rest;
        }
    };
    // What doesn't come in time isn't waited for.
    drop(tokio::time::timeout(LONGEST, rest).await);
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    // serde would take an array for an object, field by field.
    if body.trim_ascii_start().first() != Some(&b'{') {
        serde_json::from_slice::<serde::de::IgnoredAny>(body).map_err(|error| refuse(".", &error))?;
        return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_input", "the body must be a JSON object"));
    }
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let value = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let path = error.path().to_string();
        refuse(&path, error.inner())
    })?;
    deserializer.end().map_err(|error| refuse(".", &error))?;
    Ok(value)
}

fn refuse(path: &str, error: &serde_json::Error) -> Problem {
    if !error.is_data() {
        return Problem::malformed(format!("the body is not valid JSON: {error}"));
    }
    let message = plain(error);
    let mut problem = Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_input", message.clone());
    if path != "." {
        problem = Problem::invalid(path, message);
    } else if let Some(field) = quoted(&message) {
        problem.fields.push(Field { field: field.to_owned(), message });
    }
    problem
}

/// serde's message without its position, which the path says better, and without our types' names.
fn plain(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let text = text.rfind(" at line ").map_or(text.as_str(), |end| &text[..end]);
    // Of `mutation::Nothing`.
    if let Some(unknown) = text.strip_suffix(", there are no fields") {
        return format!("{unknown}: this endpoint takes no body");
    }
    match text.rsplit_once(", expected ") {
        Some((found, wanted)) => format!("{found}, expected {}", in_words(wanted)),
        None => text.to_owned(),
    }
}

fn in_words(wanted: &str) -> &str {
    match wanted {
        "u8" => "a whole number from 0 to 255",
        "u16" => "a whole number from 0 to 65535",
        "u32" => "a whole number from 0 to 4294967295",
        "u64" | "usize" => "a whole number from 0 on",
        "i32" | "i64" | "isize" => "a whole number",
        "f32" | "f64" => "a number",
        "a map" => "an object",
        "a sequence" => "a list",
        _ if ["struct ", "internally tagged enum ", "adjacently tagged enum "].iter().any(|one| wanted.starts_with(one)) => {
            "an object"
        }
        _ if wanted.starts_with("enum ") => "a string",
        _ => wanted,
    }
}

/// The name in "missing field `name`".
fn quoted(message: &str) -> Option<&str> {
    let mut parts = message.split('`');
    parts.next()?;
    parts.next()
}

/// Query parameters; unknown ones are refused by the target's `deny_unknown_fields`.
pub struct Query<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        parsed(&parts.uri).map(Self)
    }
}

fn parsed<T: DeserializeOwned>(uri: &Uri) -> Result<T, Problem> {
    match axum::extract::Query::<T>::try_from_uri(uri) {
        Ok(axum::extract::Query(value)) => Ok(value),
        Err(QueryRejection::FailedToDeserializeQueryString(error)) => {
            let text = error.to_string();
            let text = text.rsplit_once("query string: ").map_or(text.as_str(), |(_, cause)| cause);
            Err(query_problem(text, uri.query().unwrap_or_default()))
        }
        Err(_) => Err(Problem::malformed("the query string can't be read")),
    }
}

/// What [`Query`] takes, from a query string.
pub fn query<T: DeserializeOwned>(text: &str) -> Result<T, Problem> {
    let uri = Uri::builder().path_and_query(format!("/?{text}")).build();
    parsed(&uri.map_err(|_| Problem::malformed("the query string can't be read"))?)
}

/// The values of a parameter that may come more than once, decoded, and the query string without them.
pub fn repeated(query: &str, name: &str) -> (Vec<String>, String) {
    let (mut values, mut rest) = (Vec::new(), Vec::new());
    for piece in query.split('&').filter(|piece| !piece.is_empty()) {
        match url::form_urlencoded::parse(piece.as_bytes()).next() {
            Some((key, value)) if key == name => values.push(value.into_owned()),
            _ => rest.push(piece),
        }
    }
    (values, rest.join("&"))
}

fn query_problem(text: &str, query: &str) -> Problem {
    let (field, message) = match text.split_once(": ") {
        Some((field, message)) if !field.contains(' ') => (Some(field), message),
        _ => (about(text), text),
    };
    let Some(field) = field else {
        return Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_input", text.to_owned());
    };
    let value = url::form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == field);
    Problem::invalid(field, unparsed(message, &value.map(|(_, value)| value).unwrap_or_default()))
}

/// The parameter that one of serde's messages is about, where it says so itself.
fn about(message: &str) -> Option<&str> {
    let names_it = ["duplicate field `", "missing field `", "unknown field `"].iter().any(|one| message.starts_with(one));
    quoted(message).filter(|_| names_it)
}

/// What the standard library's parsers say, in words for whoever sent the value.
fn unparsed(message: &str, value: &str) -> String {
    let shown: String = value.chars().take(80).collect();
    match message {
        "invalid digit found in string" | "cannot parse integer from empty string" => {
            format!("a whole number, not {shown:?}")
        }
        "number too large to fit in target type" | "number too small to fit in target type" => {
            format!("{shown:?} is no number that could be meant")
        }
        "provided string was not `true` or `false`" => format!("true or false, not {shown:?}"),
        _ if message.starts_with("duplicate field `") => "it is given more than once".to_owned(),
        _ => message.to_owned(),
    }
}

/// Path parameters, decoded.
pub struct Path<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match axum::extract::Path::<T>::from_request_parts(parts, state).await {
            Ok(axum::extract::Path(value)) => Ok(Self(value)),
            Err(PathRejection::FailedToDeserializePathParams(_)) => Err(Problem::malformed("the path is not valid UTF-8")),
            Err(_) => Err(Problem::malformed("the path can't be read")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::mutation::Nothing;

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Body {
        #[serde(rename = "name")]
        _name: String,
        #[serde(rename = "admin")]
        _admin: Option<Admin>,
    }

    #[derive(Debug, serde::Deserialize)]
    struct Admin {
        #[serde(rename = "email")]
        _email: String,
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_trickles_is_given_up() {
        // A byte every ten seconds, and no end.
        let trickle = futures_util::stream::unfold((), |()| async {
            tokio::time::sleep(Duration::from_secs(10)).await;
            Some((Ok::<_, std::io::Error>(Bytes::from_static(b" ")), ()))
        });
        let begun = tokio::time::Instant::now();
        let problem = read(Request::new(axum::body::Body::from_stream(trickle)), MAX_BODY).await.unwrap_err();
        assert_eq!((problem.status, &*problem.code), (StatusCode::REQUEST_TIMEOUT, "body_too_slow"));
        assert_eq!(begun.elapsed(), MAX_WAIT);
    }

    #[test]
    fn a_repeated_parameter_is_taken_out_wherever_it_stands() {
        for (query, values, rest) in [
            ("", &[][..], ""),
            ("label=a&limit=1&label=b%3Ac+d", &["a", "b:c d"], "limit=1"),
            ("l%61bel=x", &["x"], ""),
            ("labels=x&&limit=2&label", &[""], "labels=x&limit=2"),
        ] {
            assert_eq!(
                repeated(query, "label"),
                (values.iter().map(|&one| one.to_owned()).collect(), rest.to_owned()),
                "{query}"
            );
        }
    }

    fn check(body: &str, status: u16, field: Option<&str>) {
        let problem = parse::<Body>(body.as_bytes()).unwrap_err();
        let named = problem.fields.first().map(|field| field.field.as_str());
        assert_eq!((problem.status.as_u16(), named), (status, field), "{body}: {}", problem.detail);
    }

    #[derive(Debug, serde::Deserialize)]
    struct Typed {
        #[serde(rename = "seconds")]
        _seconds: Option<u32>,
        #[serde(rename = "force", default)]
        _force: bool,
        #[serde(rename = "admin")]
        _admin: Option<Admin>,
    }

    #[test]
    fn refusals_are_in_words() {
        for (text, detail) in [
            ("seconds=abc", "seconds: a whole number, not \"abc\""),
            ("seconds=", "seconds: a whole number, not \"\""),
            ("force=1&seconds=%2D1", "force: true or false, not \"1\""),
            ("seconds=%2D1", "seconds: a whole number, not \"-1\""),
            ("seconds=4294967296", "seconds: \"4294967296\" is no number that could be meant"),
            ("seconds=5&seconds=6", "seconds: it is given more than once"),
        ] {
            let problem = query::<Typed>(text).unwrap_err();
            let named = text.split('=').next().unwrap();
            assert_eq!((&*problem.detail, problem.fields[0].field.as_str()), (detail, named), "{text}");
        }
        for (body, detail) in [
            ("{\"seconds\": -1}", "seconds: invalid value: integer `-1`, expected a whole number from 0 to 4294967295"),
            ("{\"admin\": 1}", "admin: invalid type: integer `1`, expected an object"),
        ] {
            assert_eq!(parse::<Typed>(body.as_bytes()).unwrap_err().detail, detail, "{body}");
        }
        let problem = parse::<Nothing>(br#"{"name": 1}"#).err().unwrap();
        assert!(problem.detail.ends_with("this endpoint takes no body"), "{}", problem.detail);
        assert_eq!(problem.fields[0].field, "name");
    }

    #[test]
    fn a_coded_body_is_told_by_its_head() {
        for (value, coded) in [("gzip", true), ("identity", false), ("Identity, br", true), ("", false)] {
            let headers = HeaderMap::from_iter([(header::CONTENT_ENCODING, http::HeaderValue::from_static(value))]);
            assert_eq!(is_coded(&headers), coded, "{value}");
        }
    }

    #[test]
    fn tells_what_cannot_be_parsed_from_what_does_not_fit() {
        check("{", 400, None);
        check("{\"name\": \"a\"} x", 400, None);
        check("[\"a\"]", 422, None);
        check(&"[".repeat(10_000), 400, None);
        check("{}", 422, Some("name"));
        check("{\"name\": 1}", 422, Some("name"));
        check("{\"name\": \"a\", \"admin\": {\"email\": []}}", 422, Some("admin.email"));
        check("{\"name\": \"a\", \"color\": 1}", 422, Some("color"));
        let deep = format!("{{\"a\": {}", "[".repeat(10_000));
        assert_eq!(parse::<serde_json::Value>(deep.as_bytes()).unwrap_err().status.as_u16(), 400);
        assert_eq!(parse::<Body>(b"{\"name\": \"\xff\"}").unwrap_err().status.as_u16(), 400);
    }
}
