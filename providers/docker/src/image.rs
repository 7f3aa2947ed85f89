//! Names of images, and the progress of a pull as the Engine tells it.
//!
//! Pure. Invariant: a reference that passes [`is_reference`] splits into path segments that the host accepts.

use portico_sdk::json;
use serde::Deserialize;
use std::collections::BTreeMap;

/// Letters, digits and `._-/:@` as in `registry:5000/team/web:1.2@sha256:…`, without empty or dotted parts.
pub fn is_reference(image: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-/:@".contains(&byte);
    let part = |part: &str| part.starts_with(|first: char| first.is_ascii_alphanumeric()) && !part.contains("..");
    (1..=255).contains(&image.len()) && image.bytes().all(allowed) && image.split('/').all(part)
}

/// Name and tag, as `POST /images/create` wants them: without a tag it would pull every one. A digest counts as a tag.
pub fn name_and_tag(image: &str) -> (&str, &str) {
    if let Some((name, digest)) = image.split_once('@') {
        return (name, digest);
    }
    match image.rsplit_once(':') {
        // A colon before the last slash is a registry's port.
        Some((name, tag)) if !tag.contains('/') => (name, tag),
        _ => (image, "latest"),
    }
}

/// What the end of a pull's stream says.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct PullProgress {
    /// The Engine's own error text: the pull has failed, although its HTTP status was 200.
    pub error: Option<String>,
    /// Bytes loaded and to be loaded, over the layers that the tail tells of.
    pub bytes: Option<(u64, u64)>,
    pub status: Option<String>,
}

#[derive(Deserialize)]
struct Line {
    status: Option<String>,
    id: Option<String>,
    error: Option<String>,
    /// Of an answer that isn't a stream (404, 500).
    message: Option<String>,
    #[serde(default, rename = "progressDetail")]
    detail: Option<Detail>,
}

#[derive(Deserialize)]
struct Detail {
    current: Option<u64>,
    total: Option<u64>,
}

/// `tail`: JSON lines; the first may be cut.
pub fn pull_progress(tail: &[u8]) -> PullProgress {
    let mut progress = PullProgress::default();
    let mut layers = BTreeMap::new();
    for line in tail.split(|byte| *byte == b'\n').filter_map(|line| json::from_slice::<Line>(line).ok()) {
        progress.error = line.error.or(line.message).or(progress.error);
        progress.status = line.status.or(progress.status);
        if let (Some(layer), Some(Detail { current: Some(current), total: Some(total) })) = (line.id, line.detail) {
            layers.insert(layer, (current.min(total), total));
        }
    }
    let sum = layers.into_values().fold((0, 0), |(current, total), layer| (current + layer.0, total + layer.1));
    progress.bytes = (sum.1 > 0).then_some(sum);
    progress
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references() {
        for good in ["wordpress", "wordpress:latest", "127.0.0.1:5000/a/b:1", "a/b@sha256:0123", "ghcr.io/x/y_z-1"] {
            assert!(is_reference(good), "{good}");
        }
        for bad in ["", "/a", "a/", "a//b", "../a", "a/../b", "a b", "a\n", "a?x=1", "a%2f", "-a", "a..b", &"a".repeat(256)] {
            assert!(!is_reference(bad), "{bad}");
        }
    }

    #[test]
    fn names_and_tags() {
        for (image, name, tag) in [
            ("wordpress", "wordpress", "latest"),
            ("wordpress:6", "wordpress", "6"),
            ("127.0.0.1:5000/a/b", "127.0.0.1:5000/a/b", "latest"),
            ("127.0.0.1:5000/a/b:1", "127.0.0.1:5000/a/b", "1"),
            ("a/b@sha256:01", "a/b", "sha256:01"),
        ] {
            assert_eq!(name_and_tag(image), (name, tag), "{image}");
        }
    }

    #[test]
    fn progress_of_a_real_stream() {
        let tail = include_bytes!("../tests/captured/pull.jsonl");
        let progress = pull_progress(tail);
        assert_eq!(progress.error, None);
        assert_eq!(progress.status.as_deref(), Some("Status: Downloaded newer image for 127.0.0.1:44281/portico-test/plain:1"));
        assert!(progress.bytes.is_some_and(|(current, total)| current == total && total > 20_000_000), "{progress:?}");
    }

    #[test]
    fn progress_line_by_line() {
        let halfway = b"cut\"}\n{\"status\":\"Downloading\",\"progressDetail\":{\"current\":5,\"total\":10},\"id\":\"a\"}\n\
            {\"status\":\"Downloading\",\"progressDetail\":{\"current\":1,\"total\":30},\"id\":\"b\"}\n";
        assert_eq!(pull_progress(halfway).bytes, Some((6, 40)));
        assert_eq!(pull_progress(b"{\"status\":\"Pulling\",\"progressDetail\":{},\"id\":\"a\"}").bytes, None);
        assert_eq!(pull_progress(b"{\"errorDetail\":{\"message\":\"no\"},\"error\":\"no\"}").error.as_deref(), Some("no"));
        assert_eq!(pull_progress(b"{\"message\":\"manifest unknown\"}").error.as_deref(), Some("manifest unknown"));
        assert_eq!(pull_progress(b""), PullProgress::default());
    }
}
