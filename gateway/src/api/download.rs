//! Downloads: a host's bytes, handed on as an attachment.
//!
//! In goes a backup's id; out comes a body that streams. Invariant: whatever the host calls the bytes, a browser saves them and
//! runs none of them; and a body that breaks off breaks the client's connection, so that no file is silently short.

use super::{
    Caller, Shared,
    extract::{Path, Waiting},
    names,
    problem::Problem,
};
use crate::model::{Action, Error};
use axum::{Extension, body::Body, extract::State, response::Response};
use http::{HeaderName, HeaderValue, header};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// Of what the host says about the bytes, what a client may want to compare.
const KEPT: [HeaderName; 2] = [header::LAST_MODIFIED, header::ETAG];
/// `attr-char` of RFC 8187.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'!')
    .remove(b'#')
    .remove(b'$')
    .remove(b'&')
    .remove(b'+')
    .remove(b'-')
    .remove(b'.')
    .remove(b'^')
    .remove(b'_')
    .remove(b'`')
    .remove(b'|')
    .remove(b'~');
/// Characters of a file name: what file systems take, even where each has four bytes.
const MAX_NAME: usize = 60;

pub async fn backup(
    State(api): Shared,
    Extension(principal): Caller,
    Path((site, backup)): Path<(String, String)>,
    waiting: Waiting,
) -> Result<Response, Problem> {
    let (connection, id) = api.site(&principal, &site).await?;
    let native = names::native(&backup)?;
    api.dispatch.require_action(&connection, Action::BackupsDownload).await?;
    let download = api.dispatch.download_backup(&connection, id.native, native).await?;
    // Before its first byte.
    waiting.still_admits(&principal).await?;
    let name = download.file_name.unwrap_or_else(|| format!("backup-{backup}"));
    let mut response = Response::new(Body::new(download.body));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(header::CONTENT_DISPOSITION, HeaderValue::from_str(&attachment(&name)).map_err(Error::gateway)?);
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(size) = download.size {
        headers.insert(header::CONTENT_LENGTH, size.into());
    }
    for (name, value) in download.headers {
        let kept = KEPT.iter().find(|kept| kept.as_str() == name);
        if let (Some(kept), Ok(value)) = (kept, HeaderValue::from_str(&value)) {
            headers.insert(kept, value);
        }
    }
    Ok(super::served_by(&connection, response))
}

/// `Content-Disposition` (RFC 6266): an ASCII name, and the whole one where that says more.
fn attachment(name: &str) -> String {
    let name: String = name.chars().take(MAX_NAME).map(|one| if is_unsafe(one) { '_' } else { one }).collect();
    // A leading dot hides the file; white space and dots at the end are dropped by some systems.
    let name = name.trim_matches(|one: char| one == '.' || one.is_whitespace());
    let name = if name.is_empty() { "download" } else { name };
    let ascii: String = name.chars().map(|one| if one.is_ascii() { one } else { '_' }).collect();
    if ascii == name {
        return format!("attachment; filename=\"{ascii}\"");
    }
    format!("attachment; filename=\"{ascii}\"; filename*=UTF-8''{}", utf8_percent_encode(name, ESCAPED))
}

/// What ends a name, leads to another folder, is decoded by some browsers, or makes the name look like another.
fn is_unsafe(one: char) -> bool {
    const TURNS: [std::ops::RangeInclusive<char>; 3] =
        ['\u{200b}'..='\u{200f}', '\u{202a}'..='\u{202e}', '\u{2066}'..='\u{2069}'];
    one.is_control() || "\"\\/:*?<>|%".contains(one) || TURNS.iter().any(|turn| turn.contains(&one))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_names_are_tamed() {
        let long = "x".repeat(300);
        for (name, expected) in [
            ("site.tar.gz", "attachment; filename=\"site.tar.gz\""),
            ("my site.zip", "attachment; filename=\"my site.zip\""),
            ("../../etc/passwd", "attachment; filename=\"_.._etc_passwd\""),
            ("..\\x.exe", "attachment; filename=\"_x.exe\""),
            ("a\"; filename=\"b.html", "attachment; filename=\"a_; filename=_b.html\""),
            ("a\r\nSet-Cookie: b", "attachment; filename=\"a__Set-Cookie_ b\""),
            ("a%2fb", "attachment; filename=\"a_2fb\""),
            (".htaccess", "attachment; filename=\"htaccess\""),
            (" . ", "attachment; filename=\"download\""),
            ("", "attachment; filename=\"download\""),
            ("Büro.zip", "attachment; filename=\"B_ro.zip\"; filename*=UTF-8''B%C3%BCro.zip"),
            ("ü'(1).zip", "attachment; filename=\"_'(1).zip\"; filename*=UTF-8''%C3%BC%27%281%29.zip"),
            ("gpj.\u{202e}exe", "attachment; filename=\"gpj._exe\""),
        ] {
            assert_eq!(attachment(name), expected, "{name:?}");
            assert!(HeaderValue::from_str(&attachment(name)).is_ok());
        }
        assert_eq!(attachment(&long), format!("attachment; filename=\"{}\"", &long[..MAX_NAME]));
    }
}
