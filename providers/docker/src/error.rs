//! Errors of the Engine: `{"message": …}` and a status, to kinds.
//!
//! Pure. Invariant: the message is cut to one short line; the Engine's texts hold names and paths of its host, never secrets.

use portico_sdk::{Error, ErrorKind, error, json, upstream::Response};
use serde::Deserialize;

#[derive(Deserialize)]
struct Body {
    /// Podman says the cause apart; its `message` is whole, too.
    message: String,
}

pub fn parse(response: &Response) -> Option<Error> {
    let body: Body = json::from_slice(&response.body).ok()?;
    let message = one_line(&body.message);
    let kind = match response.status {
        _ if lacks_addresses(&message) => ErrorKind::QuotaExceeded,
        // Nothing that a user gave reaches the Engine unchecked, so the settings or the image are at fault, not the request.
        400 => ErrorKind::Internal,
        // The host's own rule for what may be asked of an Engine answers before it; this is the Engine refusing by itself, as
        // when a network is still in use.
        403 => ErrorKind::Conflict,
        404 => ErrorKind::NotFound,
        409 => ErrorKind::Conflict,
        // The Engine says 500 for most of what it can't do, and would say it again.
        500 => ErrorKind::Internal,
        _ => error::from_status(response.status, None).kind,
    };
    Some(Error::new(kind, format!("the Engine says: {message}")).with_upstream_status(response.status))
}

/// The Engine's address pools are used up; its own default ends near 31 networks.
fn lacks_addresses(message: &str) -> bool {
    message.contains("non-overlapping IPv4 address pool") || message.contains("all predefined address pools")
}

/// Starting failed because something else listens on the port.
pub fn is_port_taken(error: &Error) -> bool {
    ["port is already allocated", "address already in use", "Ports are not available"]
        .iter()
        .any(|text| error.message.contains(text))
}

/// Looking again later may help.
pub fn is_transient(error: &Error) -> bool {
    matches!(error.kind, ErrorKind::Unavailable | ErrorKind::Timeout | ErrorKind::RateLimited)
}

/// The first line, at most 300 characters, without a final period.
pub fn one_line(text: &str) -> String {
    let line = text.trim().lines().next().unwrap_or_default();
    let short: String = line.chars().filter(|c| !c.is_control()).take(300).collect();
    short.trim_end_matches('.').to_owned()
}

/// The word that a handle keeps a kind under.
pub const fn kind_word(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::InvalidInput => "invalid-input",
        ErrorKind::NotFound => "not-found",
        ErrorKind::Conflict => "conflict",
        ErrorKind::Unauthenticated => "unauthenticated",
        ErrorKind::Forbidden => "forbidden",
        ErrorKind::RateLimited => "rate-limited",
        ErrorKind::QuotaExceeded => "quota-exceeded",
        ErrorKind::Unsupported => "unsupported",
        ErrorKind::Unavailable => "unavailable",
        ErrorKind::Timeout => "timeout",
        ErrorKind::Internal => "internal",
    }
}

/// The inverse of [`kind_word`]; `internal` for a word of another version.
pub fn kind_of(word: &str) -> ErrorKind {
    const KINDS: [ErrorKind; 10] = [
        ErrorKind::InvalidInput,
        ErrorKind::NotFound,
        ErrorKind::Conflict,
        ErrorKind::Unauthenticated,
        ErrorKind::Forbidden,
        ErrorKind::RateLimited,
        ErrorKind::QuotaExceeded,
        ErrorKind::Unsupported,
        ErrorKind::Unavailable,
        ErrorKind::Timeout,
    ];
    KINDS.into_iter().find(|kind| kind_word(*kind) == word).unwrap_or(ErrorKind::Internal)
}

#[cfg(test)]
mod tests {
    use super::*;
    use portico_sdk::testing::{json_response, response};
    use serde_json::json;

    #[test]
    fn statuses_to_kinds() {
        for (status, message, kind) in [
            (400, "invalid reference format", ErrorKind::Internal),
            (403, "error while removing network: network n1 id 68 has active endpoints", ErrorKind::Conflict),
            (404, "No such container: x", ErrorKind::NotFound),
            (409, "Conflict. The container name \"/web1\" is already in use", ErrorKind::Conflict),
            (500, "driver failed programming external connectivity", ErrorKind::Internal),
            (503, "node is not part of a swarm", ErrorKind::Unavailable),
            (
                500,
                "could not find an available, non-overlapping IPv4 address pool among the defaults to assign to the network",
                ErrorKind::QuotaExceeded,
            ),
        ] {
            let error = parse(&json_response(status, &json!({"message": message}))).unwrap();
            assert_eq!((error.kind, error.upstream_status), (kind, Some(status)), "{message}");
        }
        assert_eq!(parse(&response(502, &[], "<html>")), None);
    }

    #[test]
    fn messages_are_short_lines() {
        let error = parse(&json_response(500, &json!({"message": format!("a\u{7}b.\nsecond")}))).unwrap();
        assert_eq!(error.message, "the Engine says: ab");
        assert_eq!(one_line(&"x".repeat(1000)).len(), 300);
    }

    #[test]
    fn taken_ports() {
        for (message, taken) in [
            ("driver failed: Bind for 127.0.0.1:20000 failed: port is already allocated", true),
            ("driver failed: listen tcp4 127.0.0.1:20000: bind: address already in use", true),
            ("oci runtime error", false),
        ] {
            assert_eq!(is_port_taken(&error::internal(message)), taken, "{message}");
        }
    }

    #[test]
    fn kinds_survive_a_handle() {
        for kind in [ErrorKind::Conflict, ErrorKind::Timeout, ErrorKind::Internal, ErrorKind::QuotaExceeded] {
            assert_eq!(kind_of(kind_word(kind)), kind);
        }
        assert_eq!(kind_of("new"), ErrorKind::Internal);
    }
}
