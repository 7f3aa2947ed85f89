//! JSON answers to reads: entity tag, age, where the answer came from, 304.
//!
//! Invariant: an ETag is a hash of the very bytes sent, but for a list of hosts' things: its tag is weak, and of everything but when it
//! was read. An answer with a missing part is never stored by anyone.

use super::{problem::Problem, walk::Page};
use crate::{
    dispatch::{Came, Found, Written},
    model::{Kind, Labels},
};
use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use memchr::memmem;
use serde::Serialize;
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;
use twox_hash::XxHash3_128;

/// Whose answer it is, and for how long it is known.
pub struct Read<'a> {
    pub request: &'a HeaderMap,
    pub age: Option<Duration>,
    /// Some parts are missing.
    pub partial: bool,
    /// How a provider's answer came, which failure an old part of it stands in for, and for how many seconds it is fresh; none for
    /// what Portico itself keeps.
    pub came: Option<(Came, Option<Kind>, i64)>,
}

impl<'a> Read<'a> {
    /// Of one answer of a provider.
    pub fn of(request: &'a HeaderMap, found: &Found) -> Self {
        Self::at(request, found, Instant::now())
    }

    /// The same where the time is known.
    pub fn at(request: &'a HeaderMap, found: &Found, now: Instant) -> Self {
        Self { request, age: Some(found.age(now)), partial: false, came: Some(found.freshness(now)) }
    }

    /// Of what Portico itself keeps.
    pub const fn own(request: &'a HeaderMap) -> Self {
        Self { request, age: Some(Duration::ZERO), partial: false, came: None }
    }

    pub fn answer(&self, body: &impl Serialize) -> Result<Response, Problem> {
        Ok(self.tagged(to_bytes(body)?, entity_tag))
    }

    /// The same for a list of hosts' things: one that was read again and says the same is the same list.
    pub fn answer_list<T: Serialize>(&self, page: &Page<T>) -> Result<Response, Problem> {
        Ok(self.tagged(to_bytes(page)?, list_tag))
    }

    /// The same for what is one answer of a provider: written once, and kept with it. `labels` are those in `body`.
    pub fn answer_kept(&self, found: &Found, labels: Option<Arc<Labels>>, body: &impl Serialize) -> Result<Response, Problem> {
        let written = written(found, labels, body)?;
        Ok(self.send(written.body.clone(), written.tag.clone()))
    }

    fn tagged(&self, body: Vec<u8>, tag: fn(&[u8]) -> HeaderValue) -> Response {
        if self.partial {
            return self.unkept(body);
        }
        let tag = tag(&body);
        self.send(body.into(), tag)
    }

    fn unkept(&self, body: Vec<u8>) -> Response {
        let mut response = json(StatusCode::OK, body);
        response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        self.say_whence(response.headers_mut());
        response
    }

    fn send(&self, body: Bytes, tag: HeaderValue) -> Response {
        let unchanged = has(self.request, &tag);
        let mut response = if unchanged { StatusCode::NOT_MODIFIED.into_response() } else { json(StatusCode::OK, body) };
        let headers = response.headers_mut();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
        headers.insert(header::ETAG, tag);
        if let Some(age) = self.age {
            headers.insert(header::AGE, age.as_secs().into());
        }
        self.say_whence(headers);
        response
    }

    fn say_whence(&self, headers: &mut HeaderMap) {
        if let Some((came, failure, seconds)) = self.came {
            headers.insert(CACHE_STATUS, cache_status(came, failure, seconds));
        }
    }
}

const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");

/// RFC 9211. A negative `ttl` says by how much a stale answer is over its time. `detail` says that a part is old since its host
/// fails, also where others were asked for: whether the host was asked (`hit` or `fwd`) is one thing, what is old another.
fn cache_status(came: Came, failure: Option<Kind>, seconds: i64) -> HeaderValue {
    let mut buffer = itoa::Buffer::new();
    let ttl = buffer.format(seconds);
    let (before, ttl, after) = match came {
        Came::Kept | Came::Stale | Came::Failed(_) => ("portico; hit; ttl=", ttl, ""),
        Came::Joined => ("portico; fwd=uri-miss; ttl=", ttl, "; collapsed"),
        Came::Missing => ("portico; fwd=uri-miss; ttl=", ttl, "; stored"),
        Came::Expired => ("portico; fwd=stale; ttl=", ttl, "; stored"),
        Came::Asked => ("portico; fwd=request; ttl=", ttl, "; stored"),
        Came::Unkept => ("portico; fwd=bypass", "", ""),
    };
    let detail = match (failure, came) {
        (Some(kind), _) => ["; detail=", kind.code()],
        (None, Came::Stale) => ["; detail=", "revalidating"],
        (None, _) => ["", ""],
    };
    let mut text = Vec::with_capacity(56);
    for part in [before, ttl, after].into_iter().chain(detail) {
        text.extend_from_slice(part.as_bytes());
    }
    HeaderValue::from_maybe_shared(Bytes::from(text)).unwrap_or_else(|_| HeaderValue::from_static("portico"))
}

/// An answer as clients get it, kept beside the snapshot it is of as long as its labels are these, and as they aren't too long.
fn written(found: &Found, labels: Option<Arc<Labels>>, body: &impl Serialize) -> Result<Arc<Written>, Problem> {
    let same = |written: &Arc<Written>| match (&written.labels, &labels) {
        (None, None) => true,
        (Some(one), Some(other)) => Arc::ptr_eq(one, other),
        _ => false,
    };
    if let Some(written) = found.written().filter(same) {
        return Ok(written);
    }
    // Without the room to write it in.
    let body = Bytes::from(to_bytes(body)?.into_boxed_slice());
    let written = Arc::new(Written { tag: entity_tag(&body), body, labels });
    // A live answer may well be the only one of its kind.
    if found.came == Came::Kept {
        found.keep_written(&written);
    }
    Ok(written)
}

pub fn to_bytes(body: &impl Serialize) -> Result<Vec<u8>, Problem> {
    let mut out = Vec::with_capacity(4096);
    serde_json::to_writer(&mut out, body).map_err(|error| Problem::from(crate::model::Error::gateway(error)))?;
    Ok(out)
}

/// Room for all header fields of an answer, taken at once.
const FIELDS: usize = 12;

pub fn json(status: StatusCode, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    *response.headers_mut() = HeaderMap::with_capacity(FIELDS);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// 128 bits of XXH3 in quotes tell bodies apart. It need not resist forgers: a tag only ever stands for a body of the same
/// resource, and who could forge one writes that body anyway.
pub fn entity_tag(body: &[u8]) -> HeaderValue {
    quoted(XxHash3_128::oneshot(body))
}

/// The same of a page, but for its `as_of`, which tells nothing but when it was read. Two such bodies aren't the same bytes, so the tag
/// is weak (RFC 9110, 8.8.1).
fn list_tag(page: &[u8]) -> HeaderValue {
    let (before, after) = around_as_of(page);
    let mut hash = XxHash3_128::new();
    hash.write(before);
    hash.write(after);
    let weak = [WEAK, quoted(hash.finish_128()).as_bytes()].concat();
    HeaderValue::from_bytes(&weak).unwrap_or_else(|_| HeaderValue::from_static("W/\"\""))
}

/// What of a written page stands before the value of `as_of`, and what after it. Only `errors` follow, in whose texts every quote is
/// escaped, so the last such bytes are the page's own; and a time has no comma in it.
fn around_as_of(page: &[u8]) -> (&[u8], &[u8]) {
    const KEY: &[u8] = b",\"as_of\":";
    let value = memmem::rfind(page, KEY).map_or(page.len(), |at| at + KEY.len());
    let (before, rest) = page.split_at(value);
    (before, rest.split_at(memchr::memchr(b',', rest).unwrap_or(0)).1)
}

fn quoted(hash: u128) -> HeaderValue {
    let mut text = [b'"'; 24];
    match BASE64_URL_SAFE_NO_PAD.encode_slice(hash.to_be_bytes(), &mut text[1..23]).map(|_| HeaderValue::from_bytes(&text)) {
        Ok(Ok(tag)) => tag,
        // 16 bytes are 22 characters, all of them fit for a header; a tag that matches nothing is correct anyway.
        _ => HeaderValue::from_static("\"\""),
    }
}

/// Whether the client has what this tag is of.
pub fn has(request: &HeaderMap, tag: &HeaderValue) -> bool {
    let mut sent = request.get_all(header::IF_NONE_MATCH).into_iter();
    sent.any(|sent| matches_tag(sent.as_bytes(), tag.as_bytes()))
}

/// Before a tag that doesn't stand for the very bytes.
const WEAK: &[u8] = b"W/";

/// Weak comparison (RFC 9110, 13.1.2).
fn matches_tag(sent: &[u8], tag: &[u8]) -> bool {
    let tag = opaque(tag);
    sent.split(|&byte| byte == b',').map(<[u8]>::trim_ascii).any(|one| one == b"*" || opaque(one) == tag)
}

/// A tag without the mark of a weak one.
fn opaque(tag: &[u8]) -> &[u8] {
    tag.strip_prefix(WEAK).unwrap_or(tag)
}

#[cfg(test)]
mod tests {
    use super::{super::walk::Missing, *};
    use crate::model::Timestamp;
    use serde_json::{Value, json};

    #[test]
    fn says_whence_an_answer_came_as_rfc_9211_wants() {
        let down = Some(Kind::Unavailable);
        for (came, failure, seconds, text) in [
            (Came::Kept, None, 7, "portico; hit; ttl=7"),
            (Came::Kept, down, -7, "portico; hit; ttl=-7; detail=upstream_unavailable"),
            (Came::Stale, None, -3, "portico; hit; ttl=-3; detail=revalidating"),
            (Came::Failed(Kind::Unavailable), down, -60, "portico; hit; ttl=-60; detail=upstream_unavailable"),
            (Came::Joined, None, 9, "portico; fwd=uri-miss; ttl=9; collapsed"),
            (Came::Missing, down, -5, "portico; fwd=uri-miss; ttl=-5; stored; detail=upstream_unavailable"),
            (Came::Unkept, None, 0, "portico; fwd=bypass"),
            (Came::Unkept, down, -5, "portico; fwd=bypass; detail=upstream_unavailable"),
        ] {
            assert_eq!(cache_status(came, failure, seconds), text);
        }
    }

    #[test]
    fn compares_tags_weakly() {
        for (sent, same) in
            [("\"a\"", true), ("W/\"a\"", true), ("\"b\", \"a\"", true), ("*", true), ("\"b\"", false), ("", false)]
        {
            for tag in ["\"a\"", "W/\"a\""] {
                assert_eq!(matches_tag(sent.as_bytes(), tag.as_bytes()), same, "{sent} and {tag}");
            }
        }
    }

    #[test]
    fn a_lists_tag_is_of_all_but_when_it_was_read() {
        let item = |said: &str| json!({"id": "a", "native": {"a": 1, "as_of": said, "b": ",\"as_of\":"}});
        let page = |as_of: i64| Page {
            data: vec![item("then")],
            next_cursor: Some("next".to_owned()),
            total: Some(7),
            as_of: Some(Timestamp::from_millis(as_of)),
            errors: Vec::new(),
        };
        let tag = |page: &Page<Value>| list_tag(&to_bytes(page).unwrap());
        let first = tag(&page(1000));
        assert!(first.as_bytes().starts_with(b"W/\"") && first.len() == 26, "{first:?}");
        assert_eq!(first, tag(&page(2001)), "it was read again");
        assert_eq!(first, tag(&Page { as_of: None, ..page(1000) }));
        let missing = Missing { connection: "b".to_owned(), code: "c".to_owned(), detail: ",\"as_of\":1,".to_owned() };
        for (what, other) in [
            ("data", Page { data: vec![json!({"id": "b"})], ..page(1000) }),
            ("what the host says", Page { data: vec![item("now")], ..page(1000) }),
            ("the cursor", Page { next_cursor: None, ..page(1000) }),
            ("the total", Page { total: None, ..page(1000) }),
            ("a failure", Page { errors: vec![missing], ..page(1000) }),
        ] {
            assert_ne!(first, tag(&other), "{what}");
        }
    }

    #[test]
    fn of_a_page_nothing_but_the_time_is_left_out() {
        let as_of = Some(Timestamp::from_millis(0));
        let page = Page { data: vec![1], next_cursor: None, total: Some(1), as_of, errors: Vec::new() };
        let bytes = to_bytes(&page).unwrap();
        let (before, after) = around_as_of(&bytes);
        let left: Vec<u8> = [before, after].concat();
        assert_eq!(String::from_utf8_lossy(&left), r#"{"data":[1],"next_cursor":null,"total":1,"as_of":,"errors":[]}"#);
        assert_eq!(around_as_of(b"other"), (&b"other"[..], &b""[..]));
    }
}
