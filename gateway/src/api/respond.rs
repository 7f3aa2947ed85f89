//! JSON answers to reads: entity tag, age, 304.
//!
//! Invariant: an ETag is a hash of the very bytes sent; an answer with a missing part is never stored by anyone.

use super::problem::Problem;
use crate::{clock, model::Timestamp};
use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::Serialize;

/// Whose answer it is, and since when it is known.
pub struct Read<'a> {
    pub request: &'a HeaderMap,
    pub as_of: Option<Timestamp>,
    /// Some parts are missing.
    pub partial: bool,
}

impl Read<'_> {
    pub fn answer(&self, body: &impl Serialize) -> Result<Response, Problem> {
        let bytes = to_bytes(body)?;
        if self.partial {
            let mut response = json(StatusCode::OK, bytes);
            response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
            return Ok(response);
        }
        let tag = entity_tag(&bytes);
        let mut sent = self.request.get_all(header::IF_NONE_MATCH).into_iter();
        let unchanged = sent.any(|sent| matches_tag(sent.as_bytes(), tag.as_bytes()));
        let mut response = if unchanged { StatusCode::NOT_MODIFIED.into_response() } else { json(StatusCode::OK, bytes) };
        let headers = response.headers_mut();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
        headers.insert(header::ETAG, tag);
        if let Some(as_of) = self.as_of {
            let seconds = (clock::now().as_millis() - as_of.as_millis()).max(0) / 1000;
            headers.insert(header::AGE, seconds.into());
        }
        Ok(response)
    }
}

pub fn to_bytes(body: &impl Serialize) -> Result<Vec<u8>, Problem> {
    let mut out = Vec::with_capacity(4096);
    serde_json::to_writer(&mut out, body).map_err(|error| Problem::from(crate::model::Error::gateway(error)))?;
    Ok(out)
}

pub fn json(status: StatusCode, body: Vec<u8>) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// 128 bits of XXH3 in quotes tell bodies apart. It need not resist forgers: a tag only ever stands for a body of the same
/// resource, and who could forge one writes that body anyway.
fn entity_tag(body: &[u8]) -> HeaderValue {
    let mut text = [b'"'; 24];
    let hash = twox_hash::XxHash3_128::oneshot(body).to_be_bytes();
    match BASE64_URL_SAFE_NO_PAD.encode_slice(hash, &mut text[1..23]).map(|_| HeaderValue::from_bytes(&text)) {
        Ok(Ok(tag)) => tag,
        // 16 bytes are 22 characters, all of them fit for a header; a tag that matches nothing is correct anyway.
        _ => HeaderValue::from_static("\"\""),
    }
}

/// Weak comparison (RFC 9110, 13.1.2).
fn matches_tag(sent: &[u8], tag: &[u8]) -> bool {
    sent.split(|&byte| byte == b',')
        .map(<[u8]>::trim_ascii)
        .any(|one| one == b"*" || one.strip_prefix(b"W/").unwrap_or(one) == tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compares_tags_weakly() {
        for (sent, same) in
            [("\"a\"", true), ("W/\"a\"", true), ("\"b\", \"a\"", true), ("*", true), ("\"b\"", false), ("", false)]
        {
            assert_eq!(matches_tag(sent.as_bytes(), b"\"a\""), same, "{sent}");
        }
    }
}
