//! Answers: what of an upstream's answer reaches a guest.
//!
//! In goes hyper's response; out come lower-case headers without credentials and a body within the limits, both redacted.
//! Invariant: nothing that an upstream sends can make the gateway hold more than the operator's limits allow.
//! `Retry-After` and everything else that the provider may want to judge is handed on untouched.

use super::{Response, bind::Shared, config::EgressConfig};
use crate::model::{Error, Kind};
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, header, response::Parts};
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Incoming};
use tokio::time::Instant;

/// Sessions and credentials, which are the host's; and fields about the connection, which ends here.
const DROPPED: &[&str] = &[
    "authentication-info",
    "authorization",
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authentication-info",
    "proxy-connection",
    "set-cookie",
    "set-cookie2",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "www-authenticate",
];

/// `heard`: set to when something last came.
pub(super) async fn collect(
    response: http::Response<Incoming>,
    label: &str,
    shared: &Shared,
    heard: &mut Instant,
) -> Result<Response, Error> {
    let (parts, body) = response.into_parts();
    check(&parts, label, &shared.config)?;
    let body = read(body, label, shared.config.response_body_bytes, heard).await?;
    let headers = headers(&parts.headers, shared);
    Ok(Response { status: parts.status.as_u16(), headers, body: shared.redactor.bytes(body) })
}

/// Limits of the header, and that the body is readable as it is.
pub(super) fn check(parts: &Parts, label: &str, config: &EgressConfig) -> Result<(), Error> {
    let bytes: usize = parts.headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    if parts.headers.len() > config.response_headers || bytes > config.response_header_bytes {
        return Err(invalid(label, format_args!("{} header fields of {bytes} bytes, which is too much", parts.headers.len())));
    }
    // Nothing was asked for, and a compressed body would hide a secret from the scan.
    if is_encoded(&parts.headers) {
        return Err(invalid(label, format_args!("a compressed body, which wasn't asked for")));
    }
    Ok(())
}

/// Each of several lines, and each word of a line, tells of one more layer.
fn is_encoded(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::CONTENT_ENCODING).into_iter();
    let mut codings = values.flat_map(|value| value.as_bytes().split(|byte| *byte == b',')).map(<[u8]>::trim_ascii);
    codings.any(|coding| !coding.is_empty() && !coding.eq_ignore_ascii_case(b"identity"))
}

fn headers(map: &HeaderMap, shared: &Shared) -> Vec<(String, String)> {
    let kept = map.iter().filter(|(name, _)| !DROPPED.contains(&name.as_str()));
    kept.map(|(name, value)| (name.as_str().to_owned(), shared.redactor.text(value.as_bytes()))).collect()
}

pub(super) async fn read(mut body: Incoming, label: &str, most: usize, heard: &mut Instant) -> Result<Bytes, Error> {
    let too_large = || invalid(label, format_args!("more than {most} bytes"));
    if body.size_hint().lower() > most as u64 {
        return Err(too_large());
    }
    let mut first = Bytes::new();
    let mut rest = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| broken(label, &error))?;
        *heard = Instant::now();
        let Ok(data) = frame.into_data() else { continue };
        if first.len() + rest.len() + data.len() > most {
            return Err(too_large());
        }
        // Most answers are one frame, which is handed on without a copy.
        if first.is_empty() && rest.is_empty() {
            first = data;
            continue;
        }
        if rest.is_empty() {
            rest.extend_from_slice(&std::mem::take(&mut first));
        }
        rest.extend_from_slice(&data);
    }
    Ok(if rest.is_empty() { first } else { rest.freeze() })
}

pub(super) fn broken(label: &str, error: &hyper::Error) -> Error {
    Error::new(Kind::Unavailable, format!("{label} broke the connection in the middle of its answer")).with_internal(error)
}

fn invalid(label: &str, what: std::fmt::Arguments<'_>) -> Error {
    Error::new(Kind::Internal, format!("{label} answered {what}"))
}
