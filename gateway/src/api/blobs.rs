//! Blobs of a deployment's plan: a client's file, streamed to where the host wants it.
//!
//! In go a plan, a hash and a body; out comes 201 when the upstream has all of it. Invariant: a blob is whole and has the hash
//! that names it, or nothing of it is kept: an upload that turns out wrong is broken off before its last bytes.

mod digest;
mod source;
mod turns;

pub use turns::Uploads;

use super::{
    Caller, Shared,
    extract::{self, Path},
    names,
    problem::Problem,
    respond,
};
use crate::{
    dispatch::{BlobUpload, Connection},
    egress::{Expected, SourceFault, UploadError},
    model::{Action, Error},
    policy::Place,
};
use axum::{
    Extension,
    extract::{Request, State},
    response::Response,
};
use http::{Extensions, HeaderMap, HeaderValue, StatusCode, header};
use serde::Serialize;
use source::Source;
use std::sync::Arc;

/// A blob that the host has.
#[derive(Serialize, schemars::JsonSchema)]
#[schemars(rename = "Blob")]
pub struct BlobView<'a> {
    /// The plan's id.
    plan: &'a str,
    /// BLAKE3, 64 lower-case hexadecimal digits.
    hash: &'a str,
    /// Bytes.
    size: u64,
}

pub async fn upload(
    State(api): Shared,
    Extension(principal): Caller,
    Path((site, plan, hash)): Path<(String, String, String)>,
    request: Request,
) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let source = Source::new(&parts.headers, body);
    let sent = async {
        // The hash is of the bytes that come.
        if extract::is_coded(&parts.headers) {
            return Err(Problem::coded_body());
        }
        stand_aside(&parts.extensions)?;
        let (connection, id) = api.site(&principal, &site).await?;
        let (native, blake3) = (names::native(&plan)?, blake3(&hash)?);
        api.dispatch.require_action(&connection, Action::DeploymentsUpload).await?;
        let size = size(&parts.headers, api.dispatch.transfer_limit())?;
        let expected = Expected { size, blake3, sha256: digest::sha256(&parts.headers)? };
        let _turn = api.uploads.enter(connection.record.id, &native)?;
        let upload = BlobUpload { site: id.native, plan: native, hash: hash.clone(), expected };
        let outcome = api.dispatch.upload_blob(&connection, upload, source.clone()).await;
        outcome.map_err(|error| refuse(error, size))?;
        Ok((connection, size))
    };
    match sent.await {
        Ok((connection, size)) => created(&connection, &BlobView { plan: &plan, hash: &hash, size }),
        Err(problem) => {
            source.discard().await;
            Err(problem)
        }
    }
}

/// Bytes come as slowly as the line is: they take no place of those who are answered quickly.
fn stand_aside(extensions: &Extensions) -> Result<(), Problem> {
    let aside = extensions.get::<Place>().is_none_or(Place::step_aside);
    let detail = "as many uploads and waiting requests go on as may at the same time";
    aside.then_some(()).ok_or_else(|| Error::overloaded(detail).into())
}

fn created(connection: &Arc<Connection>, view: &BlobView<'_>) -> Result<Response, Problem> {
    let mut response = respond::json(StatusCode::CREATED, respond::to_bytes(view)?);
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(super::served_by(connection, response))
}

fn blake3(hash: &str) -> Result<[u8; 32], Problem> {
    let is_lower_hex = hash.len() == 64 && hash.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let parsed = if is_lower_hex { blake3::Hash::from_hex(hash).ok() } else { None };
    parsed.map(Into::into).ok_or_else(|| {
        let shown: String = hash.chars().take(80).collect();
        let detail = format!("{shown:?} is not a BLAKE3 hash: 64 digits of 0-9 and a-f");
        Problem::new(StatusCode::BAD_REQUEST, "invalid_id", detail)
    })
}

/// What the client announced.
fn size(headers: &HeaderMap, most: u64) -> Result<u64, Problem> {
    let Some(length) = headers.get(header::CONTENT_LENGTH) else {
        let detail = "send the blob's size as Content-Length: the host must know it before the first byte";
        return Err(Problem::new(StatusCode::LENGTH_REQUIRED, "length_required", detail));
    };
    let length = length.to_str().ok().and_then(|text| text.parse().ok());
    let length: u64 = length.ok_or_else(|| Problem::malformed("Content-Length is not a number of bytes"))?;
    if length > most {
        let detail = format!("a blob has at most {most} bytes (egress.transfer_max_bytes)");
        return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", detail));
    }
    Ok(length)
}

fn refuse(error: UploadError, size: u64) -> Problem {
    let fault = match error {
        UploadError::Upstream(error) => return error.into(),
        UploadError::Source(fault) => fault,
    };
    let mismatch = |field: &str, what: &str| {
        let detail = format!("the {what} of the bytes is another; nothing was kept, so send them again");
        Problem { code: "hash_mismatch".into(), ..Problem::invalid(field, detail) }
    };
    match fault {
        SourceFault::Incomplete { received } => {
            let detail = format!("the body ended after {received} of {size} bytes; nothing was kept, so send it again");
            Problem::new(StatusCode::BAD_REQUEST, "body_incomplete", detail)
        }
        SourceFault::Idle => {
            let detail = "the body stopped coming; nothing was kept, so send it again";
            Problem::new(StatusCode::REQUEST_TIMEOUT, "body_too_slow", detail)
        }
        SourceFault::Blake3 => mismatch("hash", "BLAKE3 hash"),
        SourceFault::Sha256 => mismatch("Content-Digest", "SHA-256 digest"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_have_one_form() {
        let good = "0123456789abcdef".repeat(4);
        assert!(blake3(&good).is_ok());
        for bad in ["", "abc", &good.to_uppercase(), &good[1..], &format!("{good}0"), &"g".repeat(64)] {
            assert_eq!(blake3(bad).unwrap_err().status, StatusCode::BAD_REQUEST, "{bad}");
        }
    }

    #[test]
    fn a_size_is_announced_and_bounded() {
        for (length, expected) in [
            (None, Err(411)),
            (Some("0"), Ok(0)),
            (Some("1000"), Ok(1000)),
            (Some("1001"), Err(413)),
            (Some("99999999999999999999999"), Err(400)),
            (Some("-1"), Err(400)),
        ] {
            let value = |length: &'static str| (header::CONTENT_LENGTH, HeaderValue::from_static(length));
            let headers = HeaderMap::from_iter(length.map(value));
            assert_eq!(size(&headers, 1000).map_err(|problem| problem.status.as_u16()), expected, "{length:?}");
        }
    }
}
