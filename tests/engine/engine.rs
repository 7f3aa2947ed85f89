//! A real Docker Engine for tests, started by `engine.sh` and shared by every test of this checkout.
//!
//! In goes nothing, out come its socket, images to make sites from, and a plain way to look at what exists on it.
//! Invariant: the Engine runs while at least one [`Engine`] lives in any process, and ends with the last one; what tests left
//! on it is removed then. It doesn't know the gateway: tests hand the socket's path to the one that they start.

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use std::{
    fs::File,
    path::{Path, PathBuf},
};
use tokio::{net::UnixStream, process::Command};

/// What the test images are called on the Engine.
pub const WORDPRESS_IMAGE: &str = "portico-test/wordpress:1";
pub const DATABASE_IMAGE: &str = "portico-test/mariadb:1";

/// The kernel's limit for socket paths, less what containerd appends; `engine.sh` refuses longer ones.
const LONGEST_FOLDER: usize = 60;

pub struct Engine {
    folder: PathBuf,
    in_use: File,
}

impl Engine {
    /// Starts the Engine with the test images, or joins the one that runs. From nothing that takes about a minute (packages
    /// are downloaded), later a few seconds. An error says what is missing; tests must fail with it, never skip.
    pub async fn start() -> Result<Self> {
        let folder = folder()?;
        std::fs::create_dir_all(&folder).with_context(|| format!("can't make {}", folder.display()))?;
        let path = folder.join("in-use");
        // Blocks while another process is ending the Engine.
        let in_use = tokio::task::spawn_blocking(move || {
            let file = File::create(path)?;
            file.lock_shared().map(|()| file)
        })
        .await??;
        let engine = Self { folder, in_use };
        engine.script("images").await?;
        Ok(engine)
    }

    /// What the operator's config grants as `engine`.
    pub fn socket(&self) -> PathBuf {
        self.folder.join("docker.sock")
    }

    /// Name of a small web server's image (kind `plain`, listening on port 80) that a registry on loopback holds and the
    /// Engine doesn't, so that it must be pulled.
    pub async fn pullable_image(&self) -> Result<String> {
        let image = self.script("registry").await?;
        let (status, body) = self.request(Method::DELETE, &format!("/images/{image}?force=true"), None).await?;
        ensure!(status.is_success() || status == StatusCode::NOT_FOUND, "removing {image}: {status} {body}");
        Ok(image)
    }

    /// That web server under another name of this Engine, which stays whatever happens to the first: pulled now, and then there.
    pub async fn kept_image(&self) -> Result<String> {
        const KEPT: (&str, &str) = ("portico-test/kept", "1");
        let image = self.pullable_image().await?;
        let (name, tag) = image.rsplit_once(':').context("no tag")?;
        let kept = format!("/images/{}/tag?repo={}&tag={}", urlencode(&image), urlencode(KEPT.0), KEPT.1);
        for path in [format!("/images/create?fromImage={}&tag={tag}", urlencode(name)), kept] {
            let (status, body) = self.request(Method::POST, &path, None).await?;
            ensure!(status.is_success(), "{path}: {status} {body}");
        }
        Ok(format!("{}:{}", KEPT.0, KEPT.1))
    }

    /// Everything on the Engine that has this label (`name` or `name=value`), as `container <name>`, `network <name>` and
    /// `volume <name>`, sorted: what a test compares with nothing after a deletion.
    pub async fn labelled(&self, label: &str) -> Result<Vec<String>> {
        let filter = urlencode(&serde_json::json!({ "label": [label] }).to_string());
        let (_, containers) = self.request(Method::GET, &format!("/containers/json?all=1&filters={filter}"), None).await?;
        let (_, networks) = self.request(Method::GET, &format!("/networks?filters={filter}"), None).await?;
        let (_, volumes) = self.request(Method::GET, &format!("/volumes?filters={filter}"), None).await?;
        let mut found = names("container", &containers, "/Names/0");
        found.extend(names("network", &networks, "/Name"));
        found.extend(names("volume", &volumes["Volumes"], "/Name"));
        found.sort();
        Ok(found)
    }

    /// A request of the Engine's API 1.41, for what a test wants to see or break by itself. Null for an empty answer.
    pub async fn request(&self, method: Method, path: &str, body: Option<Value>) -> Result<(StatusCode, Value)> {
        let stream = UnixStream::connect(self.socket()).await.context("the Engine doesn't answer")?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        let request = Request::builder()
            .method(method)
            .uri(format!("/v1.41{path}"))
            .header("host", "engine")
            .header("content-type", "application/json")
            .body(Full::new(body.map_or_else(Bytes::new, |value| Bytes::from(value.to_string()))))?;
        let response = sender.send_request(request).await?;
        let status = response.status();
        let bytes = response.into_body().collect().await?.to_bytes();
        let text = || Value::String(String::from_utf8_lossy(&bytes).into_owned());
        let value = if bytes.is_empty() { Value::Null } else { serde_json::from_slice(&bytes).unwrap_or_else(|_| text()) };
        Ok((status, value))
    }

    async fn script(&self, step: &str) -> Result<String> {
        let output = Command::new(script())
            .args([step.as_ref(), self.folder.as_os_str()])
            .output()
            .await
            .context("can't run engine.sh")?;
        let told = String::from_utf8_lossy(&output.stderr);
        eprint!("{told}");
        if !output.status.success() {
            bail!("engine.sh {step} failed (see {} as well):\n{told}", self.folder.join("dockerd.log").display());
        }
        Ok(String::from_utf8(output.stdout)?.trim().to_owned())
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        let last = self.in_use.unlock().is_ok() && self.in_use.try_lock().is_ok();
        if last && let Err(error) = std::process::Command::new(script()).arg("stop").arg(&self.folder).status() {
            eprintln!("the Engine in {} could not be stopped: {error}", self.folder.display());
        }
    }
}

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("engine/engine.sh")
}

/// One for each checkout, so that images stay between runs; in the folder for temporary files where the checkout's own path is
/// too long.
fn folder() -> Result<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("the tests have no parent folder")?;
    let inside = root.join("target/engine/run");
    if inside.as_os_str().len() <= LONGEST_FOLDER {
        return Ok(inside);
    }
    let mut hasher = std::hash::DefaultHasher::new();
    std::hash::Hash::hash(root, &mut hasher);
    Ok(std::env::temp_dir().join(format!("portico-engine-{:08x}", std::hash::Hasher::finish(&hasher) >> 32)))
}

fn names(kind: &str, list: &Value, pointer: &str) -> Vec<String> {
    let items = list.as_array().map(Vec::as_slice).unwrap_or_default();
    items
        .iter()
        .filter_map(|item| item.pointer(pointer)?.as_str())
        .map(|name| format!("{kind} {}", name.trim_start_matches('/')))
        .collect()
}

fn urlencode(text: &str) -> String {
    text.bytes()
        .map(|byte| if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn runs_holds_the_images_and_pulls() -> Result<()> {
        let engine = Engine::start().await?;
        for image in [WORDPRESS_IMAGE, DATABASE_IMAGE] {
            let (status, _) = engine.request(Method::GET, &format!("/images/{image}/json"), None).await?;
            assert_eq!(status, StatusCode::OK, "{image}");
        }
        let image = engine.pullable_image().await?;
        let inspect = format!("/images/{image}/json");
        assert_eq!(engine.request(Method::GET, &inspect, None).await?.0, StatusCode::NOT_FOUND);
        let (name, tag) = image.rsplit_once(':').context("no tag")?;
        let pull = format!("/images/create?fromImage={}&tag={tag}", urlencode(name));
        let (status, body) = engine.request(Method::POST, &pull, None).await?;
        assert_eq!(status, StatusCode::OK, "{body}");
        assert_eq!(engine.request(Method::GET, &inspect, None).await?.0, StatusCode::OK, "{body}");
        Ok(())
    }

    #[tokio::test]
    async fn finds_what_carries_a_label() -> Result<()> {
        let engine = Engine::start().await?;
        let network = serde_json::json!({"Name": "rig-label", "Labels": {"rig.label": "a b"}});
        let (status, body) = engine.request(Method::POST, "/networks/create", Some(network)).await?;
        assert_eq!(status, StatusCode::CREATED, "{body}");
        assert_eq!(engine.labelled("rig.label=a b").await?, ["network rig-label"]);
        assert_eq!(engine.request(Method::DELETE, "/networks/rig-label", None).await?.0, StatusCode::NO_CONTENT);
        assert!(engine.labelled("rig.label").await?.is_empty());
        Ok(())
    }
}
