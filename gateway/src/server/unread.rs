//! What can't be read as HTTP/1, and its answer.
//!
//! In go what hyper would send, and how a connection ended; out comes the gateway's own refusal in its place. Invariant: what hyper
//! writes of its own accord is known by its exact form, and nothing that a handler answered is ever replaced: that ends no connection
//! with an error of parsing.

use super::{connection::MAX_HEAD, stream::Stream, wire::Rest};
use axum::body::Body;
use http::{Request, Response, StatusCode, Version};
use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use std::{cell::Cell, future::ready, io};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// A refusal of hyper's between its status line and its date.
const FIELDS: &[u8] = b"\r\nconnection: close\r\ncontent-length: 0\r\ndate: ";
const DATE: usize = "Sun, 06 Nov 1994 08:49:37 GMT".len();
const STATUS_LINE: &[u8] = b"HTTP/1.1 4";
/// The longest is of a head that is too large.
const LONGEST: usize = 64;
/// A client that still sends gets no answer, but a reset, so that is read to its end; of so much.
const MOST_SENT: u64 = 1024 * 1024;
/// What is answered, to hyper.
const ASK: &[u8] = b"GET / HTTP/1.1\r\nconnection: close\r\n\r\n";

/// Where hyper's own refusal begins, if the bytes end with one.
pub fn refusal_in(bytes: &[u8]) -> Option<usize> {
    let head = bytes.strip_suffix(b"\r\n\r\n")?;
    let head = head.get(..head.len().checked_sub(DATE)?)?.strip_suffix(FIELDS)?;
    let start = head.len().saturating_sub(LONGEST);
    let at = start + head[start..].windows(STATUS_LINE.len()).rposition(|part| part == STATUS_LINE)?;
    (!head[at..].contains(&b'\n')).then_some(at)
}

/// With which status hyper refused and why, if the connection ended since what came wasn't HTTP/1.
pub fn why(refusal: &[u8], error: &(dyn std::error::Error + 'static)) -> Option<(StatusCode, String)> {
    let error = error.downcast_ref::<hyper::Error>().filter(|error| error.is_parse() && !error.is_parse_version_h2())?;
    let status = status(refusal)?;
    let detail = match status {
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => {
            format!("the request's head is larger than {} KiB, or has more than 100 header fields", MAX_HEAD / 1024)
        }
        // Its words are its own, and hold nothing of what was sent.
        _ => format!("this can't be read as HTTP/1.1: {error}"),
    };
    Some((status, detail))
}

/// Why a request of HTTP/2 goes no further, if its head is too large, as RFC 9113 counts (6.5.2). Of HTTP/1 hyper sees to it.
pub fn too_large<B>(request: &Request<B>) -> Option<(StatusCode, String)> {
    const OVERHEAD: usize = 32;
    if request.version() != Version::HTTP_2 {
        return None;
    }
    let fields = request.headers().iter().map(|(name, value)| name.as_str().len() + value.len() + OVERHEAD);
    let uri = request.uri();
    let scheme = uri.scheme_str().map_or(0, |scheme| ":scheme".len() + scheme.len() + OVERHEAD);
    let authority = uri.authority().map_or(0, |authority| ":authority".len() + authority.as_str().len() + OVERHEAD);
    let path = uri.path_and_query().map_or(0, |path| ":path".len() + path.as_str().len() + OVERHEAD);
    let method = ":method".len() + request.method().as_str().len() + OVERHEAD;
    (fields.sum::<usize>() + scheme + authority + path + method > MAX_HEAD).then(head_too_large)
}

/// What is said of such a head.
pub fn head_too_large() -> (StatusCode, String) {
    let detail = format!("the request's head is larger than {} KiB", MAX_HEAD / 1024);
    (StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, detail)
}

fn status(refusal: &[u8]) -> Option<StatusCode> {
    refusal.get(9..12).and_then(|digits| StatusCode::from_bytes(digits).ok())
}

/// Ends a connection with what was held back of it.
pub async fn let_go(mut rest: Rest) -> io::Result<()> {
    rest.stream.write_all(&rest.held).await?;
    rest.stream.shutdown().await
}

/// Ends a connection with an answer.
pub async fn answer(stream: Stream, response: Response<Body>) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let response = Cell::new(Some(response));
    let service = service_fn(move |_| ready(response.take().ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))));
    let joined = TokioIo::new(tokio::io::join(ASK, stream));
    let parts = http1::Builder::new().half_close(true).serve_connection(joined, service).without_shutdown().await?;
    let mut stream = parts.io.into_inner().into_inner().1;
    stream.shutdown().await?;
    tokio::io::copy(&mut stream.take(MOST_SENT), &mut tokio::io::sink()).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const REFUSAL: &[u8] =
        b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\ndate: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\n";

    #[test]
    fn a_refusal_is_known_by_its_form() {
        assert_eq!(refusal_in(REFUSAL), Some(0));
        assert_eq!(status(REFUSAL), Some(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE));
        assert_eq!(refusal_in(&[b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok", REFUSAL].concat()), Some(40));
        for begin in 1..REFUSAL.len() {
            assert_eq!(refusal_in(&REFUSAL[begin..]), None);
            assert_eq!(refusal_in(&REFUSAL[..begin]), None);
        }
    }

    #[test]
    fn a_head_of_http_2_is_counted() {
        let check = |version: Version, length: usize| {
            let (uri, value) = ("https://a.example/b?c", "x".repeat(length));
            let request = Request::builder().version(version).uri(uri).header("name", value).body(()).unwrap();
            too_large(&request).map(|(status, _)| status)
        };
        // Five fields: `name`, `:method` GET, `:scheme` https, `:authority` a.example and `:path` /b?c.
        let rest = 5 * 32 + 4 + 10 + 12 + 19 + 9;
        assert_eq!(check(Version::HTTP_2, MAX_HEAD - rest), None);
        assert_eq!(check(Version::HTTP_2, MAX_HEAD - rest + 1), Some(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE));
        assert_eq!(check(Version::HTTP_11, MAX_HEAD), None);
    }

    #[test]
    fn an_answer_is_no_refusal() {
        let text = std::str::from_utf8(REFUSAL).unwrap();
        for (from, to) in [
            ("HTTP/1.1 4", "HTTP/1.1 5"),
            ("connection: close\r\n", ""),
            ("content-length: 0", "content-length: 1"),
            ("\r\ndate", "\r\nx-request-id: a\r\ndate"),
            ("\r\nconnection", "\r\nx-request-id: a\r\nconnection"),
        ] {
            let other = text.replace(from, to);
            assert_ne!(other, text);
            assert_eq!(refusal_in(other.as_bytes()), None, "{other}");
        }
    }
}
