//! Plans: deployments by content. The client says which files there shall be, learns which the host lacks, and commits.
//!
//! Invariant: a plan has no operation, since nothing that anybody sees changes by it; a commit has one. Every file's path, hashes
//! and size are checked here, so that no host is asked to lay out what can't be laid out.

use super::{
    Caller, Shared,
    deployments::MAX_MESSAGE,
    extract::{Json, Path, Waiting, object},
    mutation::Manner,
    names,
    problem::Problem,
    respond,
};
use crate::model::{Mutation, PlanFile, PlanInput, Preparation, Prepared, form};
use axum::{Extension, extract::State, response::Response};
use http::{HeaderValue, StatusCode, header};
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::{HashMap, HashSet};

/// Bytes of a plan's body: ten thousand files with paths of two hundred bytes.
pub const MAX_BODY: usize = 4 << 20;
const MAX_FILES: usize = 10_000;
/// Bytes of a path.
const MAX_PATH: usize = 1024;
/// Bytes between two slashes: what file systems take.
const MAX_SEGMENT: usize = 255;
/// Bytes of a file: what object stores take in one request.
const MAX_FILE: u64 = 5 << 30;
/// Bytes of all files together.
const MAX_TOTAL: u64 = 100 << 30;

#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "PlanCreate")]
#[serde(deny_unknown_fields)]
pub struct CreateBody {
    /// Id or name; production when it isn't given.
    #[schemars(with = "Option<form::Text<1536>>")]
    environment: Option<String>,
    /// 1 to 10,000: every file that the deployment shall have.
    #[serde(deserialize_with = "object::many")]
    #[schemars(length(min = 1, max = 10_000))]
    files: Vec<FileBody>,
    /// At most 500 characters.
    #[schemars(with = "Option<form::Text<500>>")]
    message: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "PlanFile")]
#[serde(deny_unknown_fields)]
pub struct FileBody {
    /// Absolute inside the site, such as `/index.html`; at most 1024 bytes, 255 between two slashes.
    #[schemars(with = "form::FilePath")]
    path: String,
    /// BLAKE3 of the content: 64 lower-case hex digits.
    #[schemars(with = "form::Hash")]
    blake3: String,
    /// SHA-256 of the content: 64 lower-case hex digits.
    #[schemars(with = "form::Hash")]
    sha256: String,
    /// Bytes, at most 5 GiB.
    #[schemars(range(max = 5_368_709_120_u64))]
    size: u64,
    /// The media type that it shall be served with.
    #[schemars(with = "Option<form::MediaType>")]
    content_type: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "PlanCommit")]
#[serde(deny_unknown_fields)]
pub struct CommitBody {
    /// At most 500 characters; the plan's when it isn't given.
    #[schemars(with = "Option<form::Text<500>>")]
    message: Option<String>,
}

pub async fn create(
    State(api): Shared,
    Extension(principal): Caller,
    Path(site): Path<String>,
    waiting: Waiting,
    Json(body): Json<CreateBody, MAX_BODY>,
) -> Result<Response, Problem> {
    let (connection, id) = api.site(&principal, &site).await?;
    let preparation = Preparation::DeploymentsPlan { site: id.native, input: body.checked()? };
    let Prepared::Plan(plan) = api.dispatch.prepare(&connection, &preparation).await? else {
        return Err(super::answer_of_another_kind());
    };
    waiting.still_admits(&principal).await?;
    let mut response = respond::json(StatusCode::CREATED, respond::to_bytes(&plan)?);
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(super::served_by(&connection, response))
}

pub async fn commit(
    State(api): Shared,
    Extension(principal): Caller,
    Path((site, plan)): Path<(String, String)>,
    manner: Manner,
    Json(body): Json<CommitBody>,
) -> Result<Response, Problem> {
    let (connection, id) = api.site(&principal, &site).await?;
    names::text("message", body.message.as_deref(), MAX_MESSAGE)?;
    let mutation = Mutation::DeploymentsCommit { site: id.native, plan: names::native(&plan)?, message: body.message };
    api.carry_out(&principal, &connection, mutation, manner).await
}

impl CreateBody {
    fn checked(self) -> Result<PlanInput, Problem> {
        names::text("message", self.message.as_deref(), MAX_MESSAGE)?;
        check_files(&self.files)?;
        Ok(PlanInput {
            environment: names::environment("environment", self.environment)?,
            files: self.files.into_iter().map(PlanFile::from).collect(),
            message: self.message,
        })
    }
}

fn check_files(files: &[FileBody]) -> Result<(), Problem> {
    if files.is_empty() || files.len() > MAX_FILES {
        return Err(Problem::invalid("files", format!("a plan has 1 to {MAX_FILES} files, not {}", files.len())));
    }
    let (mut paths, mut contents, mut total) = (HashSet::new(), HashMap::new(), 0_u64);
    for (index, file) in files.iter().enumerate() {
        let refuse = |(field, why): (&str, String)| Problem::invalid(format!("files[{index}].{field}"), why);
        file.check().map_err(refuse)?;
        if !paths.insert(file.path.as_str()) {
            return Err(refuse(("path", "another file of the plan has this path".to_owned())));
        }
        let content = (file.sha256.as_str(), file.size);
        if *contents.entry(file.blake3.as_str()).or_insert(content) != content {
            let why = "another file of the plan has this hash, but another sha256 or size".to_owned();
            return Err(refuse(("blake3", why)));
        }
        total = total.saturating_add(file.size);
    }
    if total > MAX_TOTAL {
        return Err(Problem::invalid("files", format!("all files together have at most {MAX_TOTAL} bytes, not {total}")));
    }
    Ok(())
}

impl FileBody {
    /// The field that is wrong, and why.
    fn check(&self) -> Result<(), (&'static str, String)> {
        check_path(&self.path).map_err(|why| ("path", why))?;
        for (field, hash) in [("blake3", &self.blake3), ("sha256", &self.sha256)] {
            if hash.len() != 64 || !hash.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
                return Err((field, "64 lower-case hex digits".to_owned()));
            }
        }
        if self.size > MAX_FILE {
            return Err(("size", format!("a file has at most {MAX_FILE} bytes")));
        }
        match &self.content_type {
            Some(media) if !is_media_type(media) => Err(("content_type", "a media type, such as text/html".to_owned())),
            _ => Ok(()),
        }
    }
}

fn check_path(path: &str) -> Result<(), String> {
    let Some(inside) = path.strip_prefix('/') else {
        return Err("an absolute path, such as /index.html".to_owned());
    };
    if path.len() > MAX_PATH {
        return Err(format!("at most {MAX_PATH} bytes"));
    }
    if path.chars().any(|character| character.is_control() || character == '\\') {
        return Err("no control characters and no backslashes".to_owned());
    }
    let fits = |segment: &str| (1..=MAX_SEGMENT).contains(&segment.len()) && !matches!(segment, "." | "..");
    if inside.split('/').all(fits) {
        Ok(())
    } else {
        Err(format!("1 to {MAX_SEGMENT} bytes between two slashes, and neither . nor .."))
    }
}

/// `type/subtype`, with parameters or without (RFC 9110, 8.3.1), as far as a header must not break by it.
fn is_media_type(text: &str) -> bool {
    let essence = text.split(';').next().unwrap_or_default().trim_end();
    let token = |part: &str| {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        !part.is_empty() && part.bytes().all(allowed)
    };
    text.len() <= 255
        && text.bytes().all(|byte| matches!(byte, b' '..=b'~'))
        && essence.split_once('/').is_some_and(|(kind, subtype)| token(kind) && token(subtype))
}

impl From<FileBody> for PlanFile {
    fn from(file: FileBody) -> Self {
        let FileBody { path, blake3, sha256, size, content_type } = file;
        Self { path, blake3, sha256, size, content_type }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, hash: char) -> FileBody {
        FileBody {
            path: path.to_owned(),
            blake3: hash.to_string().repeat(64),
            sha256: hash.to_string().repeat(64),
            size: 1,
            content_type: None,
        }
    }

    fn check(files: &[FileBody], refused: Option<&str>) {
        let problem = check_files(files).err();
        assert_eq!(problem.as_ref().map(|problem| problem.fields[0].field.as_str()), refused, "{problem:?}");
    }

    #[test]
    fn paths_are_absolute_plain_and_unique() {
        for fine in ["/index.html", "/a/b/c.css", "/.well-known/x", "/a..b", "/ä b/c", &format!("/{}", "x".repeat(255))] {
            check(&[file(fine, 'a')], None);
        }
        for bad in
            ["", "/", "a", "a/b", "//a", "/a/", "/a//b", "/.", "/..", "/a/../b", "/a/./b", "/a\0b", "/a\nb", "/a\\b", "/\u{85}"]
        {
            check(&[file(bad, 'a')], Some("files[0].path"));
        }
        check(&[file(&format!("/{}", "x".repeat(256)), 'a')], Some("files[0].path"));
        check(&[file(&"/x".repeat(513), 'a')], Some("files[0].path"));
        check(&[file("/a", 'a'), file("/b", 'a'), file("/a", 'b')], Some("files[2].path"));
    }

    #[test]
    fn hashes_sizes_counts_and_types_are_checked() {
        check(&[], Some("files"));
        for bad in ["", "a", &"A".repeat(64), &"g".repeat(64), &"a".repeat(65)] {
            check(&[FileBody { blake3: bad.to_owned(), ..file("/a", 'a') }], Some("files[0].blake3"));
            check(&[file("/b", 'a'), FileBody { sha256: bad.to_owned(), ..file("/a", 'a') }], Some("files[1].sha256"));
        }
        check(&[FileBody { size: MAX_FILE, ..file("/a", 'a') }], None);
        check(&[FileBody { size: MAX_FILE + 1, ..file("/a", 'a') }], Some("files[0].size"));
        check(&[file("/a", 'a'), FileBody { size: 2, ..file("/b", 'a') }], Some("files[1].blake3"));
        let large = |index: usize| FileBody { size: MAX_FILE, ..file(&format!("/{index}"), 'a') };
        check(&(0..20).map(large).collect::<Vec<_>>(), None);
        check(&(0..21).map(large).collect::<Vec<_>>(), Some("files"));
        let many = |count: usize| (0..count).map(|index| file(&format!("/{index}"), 'a')).collect::<Vec<_>>();
        check(&many(MAX_FILES), None);
        check(&many(MAX_FILES + 1), Some("files"));
        for (media, refused) in [
            ("text/html", None),
            ("text/html; charset=utf-8", None),
            ("", Some("files[0].content_type")),
            ("html", Some("files[0].content_type")),
            ("text/", Some("files[0].content_type")),
            ("text/html\r\nx: y", Some("files[0].content_type")),
            ("text/hätml", Some("files[0].content_type")),
        ] {
            check(&[FileBody { content_type: Some(media.to_owned()), ..file("/a", 'a') }], refused);
        }
    }
}
