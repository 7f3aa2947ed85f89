//! Plans: what shall be there, and which blobs SitePod lacks.
//!
//! Pure. Invariant: a hash is missing once, however many files have it.

use super::text;
use crate::settings::Dialect;
use portico_sdk::{
    Error,
    deployments::{File, PlanInput},
    error::internal,
};
use serde_json::{Map, Value, json};

/// The body of `POST /plan`.
pub fn plan_body(dialect: Dialect, project: &str, input: &PlanInput) -> Value {
    if dialect == Dialect::Seed {
        let files: Map<String, Value> = input.files.iter().map(|file| (file.path.clone(), json!(file.blake3))).collect();
        return json!({"project": project, "files": files});
    }
    let mut body = json!({"project": project, "files": input.files.iter().map(live_file).collect::<Vec<_>>()});
    if let Some(message) = &input.message {
        body["git"] = json!({"commit": "", "branch": "", "message": message});
    }
    body
}

/// The server finds a file by its path without the first slash, and hands the SHA-256 to object storage, which wants base64.
fn live_file(file: &File) -> Value {
    json!({
        "path": file.path.trim_start_matches('/'),
        "blake3": file.blake3,
        "sha256": bytes(&file.sha256).map(|bytes| base64(&bytes)).unwrap_or_default(),
        "size": file.size,
        "content_type": file.content_type.as_deref().unwrap_or_default(),
    })
}

fn bytes(hex: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let pairs = hex.as_bytes().chunks(2);
    pairs.map(|pair| u8::try_from(digit(pair[0])? * 16 + digit(*pair.get(1)?)?).ok()).collect()
}

/// RFC 4648, with padding.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let group = three.iter().fold(0_u32, |sum, byte| sum << 8 | u32::from(*byte)) << (8 * (3 - three.len()));
        for place in 0..4 {
            let digit = DIGITS[(group >> (18 - 6 * place)) as usize & 63];
            out.push(if place <= three.len() { char::from(digit) } else { '=' });
        }
    }
    out
}

/// The answer to a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planned {
    pub id: String,
    pub content_hash: Option<String>,
    pub missing: Vec<Missing>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    pub hash: String,
    /// Where it goes, if that isn't the server itself.
    pub url: Option<String>,
}

/// Both dialects: missing blobs are hashes, or objects with their hash.
pub fn planned(answer: &Value) -> Result<Planned, Error> {
    let id =
        text(answer, "plan_id").filter(|id| id.len() <= 128).ok_or_else(|| internal("SitePod told a plan without an id"))?;
    let listed = answer.get("missing").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let mut missing: Vec<Missing> = Vec::new();
    for one in listed {
        let hash = one.as_str().map(str::to_owned).or_else(|| text(one, "hash"));
        let hash = hash.ok_or_else(|| internal("SitePod told a missing blob without its hash"))?;
        let url = text(one, "upload_url").filter(|url| url.starts_with("https://") || url.starts_with("http://"));
        if missing.iter().all(|known| known.hash != hash) {
            missing.push(Missing { hash, url });
        }
    }
    Ok(Planned { id, content_hash: text(answer, "content_hash"), missing })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, size: u64) -> File {
        let sha256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855".to_owned();
        File { path: path.into(), blake3: "ab".repeat(32), sha256, size, content_type: Some("text/html".into()) }
    }

    #[test]
    fn bodies_of_both_dialects() {
        let input = PlanInput { environment: None, files: vec![file("/a/index.html", 0)], message: Some("v1".into()) };
        let live = plan_body(Dialect::Live, "my-site", &input);
        let expected = json!({
            "path": "a/index.html", "blake3": "ab".repeat(32), "sha256": "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
            "size": 0, "content_type": "text/html",
        });
        assert_eq!(
            (&live["project"], &live["files"], &live["git"]["message"]),
            (&json!("my-site"), &json!([expected]), &json!("v1"))
        );
        // The seed's own example.
        let seed = plan_body(Dialect::Seed, "my-site", &input);
        assert_eq!(seed, json!({"project": "my-site", "files": {"/a/index.html": "ab".repeat(32)}}));
    }

    #[test]
    fn answers_of_both_dialects() {
        // The seed's own example, with its hashes cut as there.
        let seed = planned(&json!({
            "plan_id": "plan_abc123",
            "missing": ["f6e5d4c3b2a1...", "1a2b3c4d5e6f..."],
            "upload_urls": {"f6e5d4c3b2a1...": "/api/v1/upload/plan_abc123/f6e5d4c3b2a1..."},
        }));
        let own = |hash: &str| Missing { hash: hash.into(), url: None };
        let missing = vec![own("f6e5d4c3b2a1..."), own("1a2b3c4d5e6f...")];
        assert_eq!(seed.unwrap(), Planned { id: "plan_abc123".into(), content_hash: None, missing });
        let live = planned(&json!({
            "plan_id": "plan_1", "content_hash": "c", "upload_mode": "direct", "reusable": 0,
            "missing": [
                {"path": "a", "hash": "h", "size": 1, "upload_url": "/api/v1/upload/plan_1/h"},
                {"path": "b", "hash": "h", "size": 1, "upload_url": "/api/v1/upload/plan_1/h"},
            ],
        }));
        assert_eq!(live.unwrap(), Planned { id: "plan_1".into(), content_hash: Some("c".into()), missing: vec![own("h")] });
        let presigned = planned(&json!({"plan_id": "p", "missing": [{"hash": "h", "upload_url": "https://s3.example/h?X=1"}]}));
        assert_eq!(presigned.unwrap().missing[0].url.as_deref(), Some("https://s3.example/h?X=1"));
        for wrong in [json!({}), json!({"plan_id": "p", "missing": [{}]}), json!({"plan_id": "p", "missing": [7]})] {
            assert!(planned(&wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn base64_as_in_the_rfc() {
        for (plain, coded) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("foobar", "Zm9vYmFy")]
        {
            assert_eq!(base64(plain.as_bytes()), coded);
        }
        assert_eq!((bytes("00ff"), bytes("0"), bytes("zz")), (Some(vec![0, 255]), None, None));
    }
}
