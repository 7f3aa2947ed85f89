//! Request headers: what a guest may set, and what its provider may declare.
//!
//! In go a guest's names and values; out comes a header map that holds nothing but allowed fields.
//! Invariant: framing, routing and credential fields are set by the host alone, and no value can start a new line.
//! It adds no credential; that is bound once for each upstream.

use super::fault;
use crate::model::{Error, Kind};
use http::{HeaderMap, HeaderName, HeaderValue};

const ALLOWED: &[&str] = &["accept", "accept-language", "content-type", "idempotency-key", "prefer"];

/// Never by a guest: framing and routing (hyper would honour a caller's Content-Length), credentials, what claims to come
/// from a client, encodings that would hide a credential from the scan of answers, and overrides that turn a GET into
/// another method behind the back of the intent.
const RESERVED: &[&str] = &[
    "accept-encoding",
    "authorization",
    "connection",
    "content-encoding",
    "content-length",
    "cookie",
    "expect",
    "forwarded",
    "host",
    "http2-settings",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "x-real-ip",
];

/// A guest's fields and bytes of them, at most: servers refuse more.
const MAX_FIELDS: usize = 32;
const MAX_BYTES: usize = 16 << 10;

fn is_reserved(name: &str) -> bool {
    RESERVED.contains(&name) || name.starts_with("proxy-") || name.starts_with("x-forwarded-")
}

/// Checks a provider's `request-headers`. `credential`: the field that carries the connection's secret.
pub(super) fn declared(names: &[String], credential: Option<&HeaderName>) -> Result<Vec<HeaderName>, Error> {
    let check = |name: &String| {
        let parsed = HeaderName::from_bytes(name.as_bytes()).ok().filter(|parsed| parsed.as_str() == name);
        let wrong =
            |why: &str| Error::new(Kind::Forbidden, format!("the provider declares the request header {name:?}, {why}"));
        let parsed = parsed.ok_or_else(|| wrong("which is not a lower-case header name"))?;
        if is_reserved(name) || credential == Some(&parsed) {
            return Err(wrong("which only the gateway may set"));
        }
        Ok(parsed)
    };
    names.iter().map(check).collect()
}

/// The field in which a provider wants its secret. `authorization` and `cookie` are fine here: the host writes the value.
pub(super) fn credential_name(name: &str) -> Result<HeaderName, Error> {
    let parsed = HeaderName::from_bytes(name.as_bytes()).ok();
    let fits = |parsed: &HeaderName| matches!(parsed.as_str(), "authorization" | "cookie") || !is_reserved(parsed.as_str());
    parsed.filter(fits).ok_or_else(|| {
        Error::new(
            Kind::Forbidden,
            format!("the provider declares {name:?} for its secret, which is no header for credentials"),
        )
    })
}

/// The guest's own fields, checked.
pub(super) fn from_guest(pairs: &[(String, String)], declared: &[HeaderName]) -> Result<HeaderMap, Error> {
    let bytes: usize = pairs.iter().map(|(name, value)| name.len() + value.len()).sum();
    if pairs.len() > MAX_FIELDS || bytes > MAX_BYTES {
        let message = format!("a request may have {MAX_FIELDS} headers of {MAX_BYTES} bytes together");
        return Err(Error::new(Kind::InvalidInput, message));
    }
    let mut headers = HeaderMap::with_capacity(pairs.len() + 2);
    for (name, value) in pairs {
        let (name, value) = field(name, value, declared)?;
        if headers.insert(name.clone(), value).is_some() {
            return Err(Error::new(Kind::InvalidInput, format!("the request header {name} is given twice")));
        }
    }
    Ok(headers)
}

fn field(name: &str, value: &str, declared: &[HeaderName]) -> Result<(HeaderName, HeaderValue), Error> {
    let Ok(parsed) = HeaderName::from_bytes(name.as_bytes()) else {
        return Err(Error::new(Kind::InvalidInput, format!("{:?} is not a header name", shortened(name))));
    };
    let allowed = ALLOWED.contains(&parsed.as_str()) || parsed.as_str().starts_with("if-") || declared.contains(&parsed);
    if !allowed {
        let message = if is_reserved(parsed.as_str()) {
            format!("the request header {parsed} is set by the gateway alone")
        } else {
            format!("the request header {parsed} isn't declared; add it to the upstream's request-headers")
        };
        return Err(fault::refused(message));
    }
    let value = HeaderValue::from_str(value).map_err(|_| {
        Error::new(Kind::InvalidInput, format!("the value of the request header {parsed} has control characters"))
    })?;
    Ok((parsed, value))
}

fn shortened(text: &str) -> String {
    text.chars().take(64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guests_set_allowed_headers_only() {
        let declared = declared(&["x-api-version".to_owned()], None).unwrap();
        for (name, value, kind) in [
            ("accept", "application/json", None),
            ("Accept", "application/json", None),
            ("content-type", "application/json", None),
            ("if-match", "\"1\"", None),
            ("if-none-match", "*", None),
            ("idempotency-key", "k", None),
            ("prefer", "wait=1", None),
            ("x-api-version", "2", None),
            ("x-other", "2", Some(Kind::Forbidden)),
            ("host", "evil", Some(Kind::Forbidden)),
            ("Host", "evil", Some(Kind::Forbidden)),
            ("authorization", "Bearer x", Some(Kind::Forbidden)),
            ("cookie", "a=b", Some(Kind::Forbidden)),
            ("content-length", "5", Some(Kind::Forbidden)),
            ("transfer-encoding", "chunked", Some(Kind::Forbidden)),
            ("connection", "close", Some(Kind::Forbidden)),
            ("te", "trailers", Some(Kind::Forbidden)),
            ("upgrade", "websocket", Some(Kind::Forbidden)),
            ("x-forwarded-for", "1.1.1.1", Some(Kind::Forbidden)),
            ("accept", "a\r\nhost: evil", Some(Kind::InvalidInput)),
            ("accept", "a\nb", Some(Kind::InvalidInput)),
            ("accept", "a\0b", Some(Kind::InvalidInput)),
            ("accept\r\nhost", "a", Some(Kind::InvalidInput)),
            ("", "a", Some(Kind::InvalidInput)),
        ] {
            let result = from_guest(&[(name.to_owned(), value.to_owned())], &declared);
            assert_eq!(result.map(|headers| headers.len()).map_err(|error| error.kind).err(), kind, "{name:?}: {value:?}");
        }
        let twice = [("accept".to_owned(), "a".to_owned()), ("Accept".to_owned(), "b".to_owned())];
        assert_eq!(from_guest(&twice, &[]).unwrap_err().message, "the request header accept is given twice");
        let many: Vec<_> = (0..=MAX_FIELDS).map(|index| (format!("if-{index}"), String::new())).collect();
        assert!(from_guest(&many, &[]).is_err());
    }

    #[test]
    fn providers_cant_declare_what_the_host_sets() {
        let secret = HeaderName::from_static("x-auth-token");
        for (name, good) in [
            ("x-api-version", true),
            ("user-agent", true),
            ("X-Api-Version", false),
            ("x api", false),
            ("host", false),
            ("authorization", false),
            ("proxy-connection", false),
            ("x-forwarded-host", false),
            ("x-http-method-override", false),
            ("x-auth-token", false),
        ] {
            assert_eq!(declared(&[name.to_owned()], Some(&secret)).is_ok(), good, "{name}");
        }
        for (name, good) in [("x-auth-token", true), ("Authorization", true), ("content-length", false), ("a b", false)] {
            assert_eq!(credential_name(name).is_ok(), good, "{name}");
        }
    }
}
