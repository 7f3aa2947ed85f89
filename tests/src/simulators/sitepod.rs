//! A SitePod server: as its source has it (live), or as its API overview does (seed).
//!
//! Where the overview shows no body, the seed answers as the live server: our assumption. Invariant: a blob is kept only if it has the
//! length that its plan says and the BLAKE3 hash that names it; a plan is committed once, when all its blobs are there.

use super::{Request, World};
use crate::Answer;
use bytes::Bytes;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    Live,
    Seed,
}

pub struct SitePod {
    dialect: Dialect,
    email: String,
    password: String,
    tokens: BTreeSet<String>,
    pub logins: usize,
    made: u64,
    projects: Vec<String>,
    pub blobs: BTreeMap<String, Bytes>,
    plans: BTreeMap<String, Plan>,
    /// The newest last.
    images: Vec<Image>,
    /// Project and environment.
    refs: BTreeMap<(String, String), String>,
    domains: Vec<(String, String)>,
}

struct Plan {
    project: String,
    files: Vec<File>,
    message: String,
    is_committed: bool,
}

#[derive(Clone)]
struct File {
    path: String,
    hash: String,
    size: Option<u64>,
}

struct Image {
    id: String,
    project: String,
    files: Vec<File>,
    message: String,
}

impl SitePod {
    pub fn new(dialect: Dialect, email: &str, password: &str) -> Self {
        Self {
            dialect,
            email: email.to_owned(),
            password: password.to_owned(),
            tokens: BTreeSet::new(),
            logins: 0,
            made: 0,
            projects: Vec::new(),
            blobs: BTreeMap::new(),
            plans: BTreeMap::new(),
            images: Vec::new(),
            refs: BTreeMap::new(),
            domains: Vec::new(),
        }
    }

    /// One that was there before.
    pub fn add_project(&mut self, name: &str) {
        self.projects.push(name.to_owned());
    }

    /// Every token has run out.
    pub fn end_sessions(&mut self) {
        self.tokens.clear();
    }

    /// What visitors would get.
    pub fn serves(&self, project: &str, environment: &str, path: &str) -> Option<Bytes> {
        let id = self.refs.get(&(project.to_owned(), environment.to_owned()))?;
        let image = self.images.iter().find(|image| image.id == *id)?;
        let file = image.files.iter().find(|file| file.path == path)?;
        self.blobs.get(&file.hash).cloned()
    }

    fn name(&mut self, what: &str) -> String {
        self.made += 1;
        format!("{what}_{:08x}", self.made)
    }

    fn login(&mut self, request: &Request) -> Answer {
        self.logins += 1;
        let body = request.json();
        if self.dialect == Dialect::Live && body["action"] != "login" {
            return error(409, "account already exists");
        }
        if body["email"] != self.email.as_str() || body["password"] != self.password.as_str() {
            return error(401, "invalid password");
        }
        let token = self.name("eyJhbGciOiJIUzI1NiJ9.token");
        self.tokens.insert(token.clone());
        Answer::Json(200, json!({"token": token, "user_id": "u1", "email": self.email, "created": false}))
    }

    fn is_known(&self, request: &Request) -> bool {
        request
            .header("authorization")
            .and_then(|value| value.strip_prefix("Bearer "))
            .is_some_and(|token| self.tokens.contains(token))
    }

    fn plan(&mut self, body: &Value) -> Answer {
        let Some(project) = body["project"].as_str().filter(|project| !project.is_empty()) else {
            return error(400, "project required");
        };
        if ["console", "www", "api", "admin"].contains(&project) {
            return error(400, "project name is reserved");
        }
        let files = match self.dialect {
            Dialect::Live => live_files(&body["files"]),
            Dialect::Seed => seed_files(&body["files"]),
        };
        let Some(files) = files else { return error(400, "invalid request") };
        if !self.projects.iter().any(|known| known == project) {
            self.projects.push(project.to_owned());
        }
        let id = self.name("plan");
        let missing: Vec<&File> = files.iter().filter(|file| !self.blobs.contains_key(&file.hash)).collect();
        let url = |file: &File| format!("/api/v1/upload/{id}/{}", file.hash);
        let answer = match self.dialect {
            Dialect::Live => {
                let entry =
                    |file: &&File| json!({"path": file.path, "hash": file.hash, "size": file.size, "upload_url": url(file)});
                let missing: Vec<Value> = missing.iter().map(entry).collect();
                let reusable = files.len() - missing.len();
                json!({"plan_id": id, "content_hash": content_hash(&files), "upload_mode": "direct", "missing": missing, "reusable": reusable})
            }
            Dialect::Seed => {
                let hashes: BTreeSet<&String> = missing.iter().map(|file| &file.hash).collect();
                let urls: BTreeMap<&String, String> = missing.iter().map(|file| (&file.hash, url(file))).collect();
                json!({"plan_id": id, "missing": hashes, "upload_urls": urls})
            }
        };
        let message = body["git"]["message"].as_str().unwrap_or_default().to_owned();
        self.plans.insert(id, Plan { project: project.to_owned(), files, message, is_committed: false });
        Answer::Json(200, answer)
    }

    fn upload(&mut self, request: &Request, plan: &str, hash: &str) -> Answer {
        let Some(plan) = self.plans.get(plan) else { return error(404, "plan not found") };
        if plan.is_committed {
            return error(400, "plan is not pending");
        }
        let Some(file) = plan.files.iter().find(|file| file.hash == hash) else { return error(400, "blob not in plan") };
        let length = request.header("content-length").and_then(|length| length.parse::<u64>().ok());
        match length {
            None => return error(400, "content-length required"),
            Some(length) if file.size.is_some_and(|size| size != length) => return error(400, "size mismatch"),
            Some(_) => {}
        }
        if blake3::hash(&request.body).to_hex().as_str() != hash {
            return error(400, "hash mismatch");
        }
        self.blobs.insert(hash.to_owned(), request.body.clone());
        Answer::Raw(200, Vec::new(), Bytes::new())
    }

    fn commit(&mut self, body: &Value) -> Answer {
        let id = self.name("img");
        let plan = body["plan_id"].as_str().and_then(|id| self.plans.get_mut(id));
        let Some(plan) = plan else { return error(404, "plan not found") };
        if plan.is_committed {
            return error(400, "plan is not pending");
        }
        if let Some(file) = plan.files.iter().find(|file| !self.blobs.contains_key(&file.hash)) {
            return error(400, &format!("missing blob: {}", file.hash));
        }
        plan.is_committed = true;
        let message = body["message"].as_str().map_or_else(|| plan.message.clone(), str::to_owned);
        let (project, files) = (plan.project.clone(), plan.files.clone());
        let hash = content_hash(&files);
        self.images.push(Image { id: id.clone(), project, files, message });
        match self.dialect {
            Dialect::Live => Answer::Json(200, json!({"image_id": id, "content_hash": hash})),
            Dialect::Seed => Answer::Json(200, json!({"image_id": id, "created_at": now()})),
        }
    }

    /// Release and rollback.
    fn point(&mut self, body: &Value) -> Answer {
        let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
        let (project, environment, image) = (text("project"), text("environment"), text("image_id"));
        if !["prod", "beta"].contains(&environment.as_str()) {
            return error(400, "environment must be 'prod' or 'beta'");
        }
        if !self.projects.contains(&project) {
            return error(404, "project not found");
        }
        if !self.images.iter().any(|known| known.id == image && known.project == project) {
            return error(404, "image not found");
        }
        let before = self.refs.insert((project.clone(), environment), image);
        Answer::Json(200, json!({"url": format!("https://{project}.pods.example"), "previous_image_id": before}))
    }

    fn query(&self, what: &str, project: &str, request: &Request) -> Answer {
        if !self.projects.iter().any(|known| known == project) {
            return error(404, "project not found");
        }
        let images = self.images.iter().rev().filter(|image| image.project == project);
        match what {
            "current" => {
                let environment = request.query("environment").unwrap_or_default();
                match self.refs.get(&(project.to_owned(), environment.to_owned())) {
                    None => error(404, "ref not found"),
                    Some(id) => Answer::Json(200, json!({"image_id": id, "deployed_at": now()})),
                }
            }
            "history" => {
                let limit = request.query("limit").and_then(|limit| limit.parse().ok()).unwrap_or(20);
                let item = |image: &Image| json!({"image_id": image.id, "content_hash": content_hash(&image.files), "created_at": now()});
                Answer::Json(200, json!({"items": images.take(limit).map(item).collect::<Vec<_>>()}))
            }
            "images" if self.dialect == Dialect::Live => {
                let images: Vec<Value> = images.take(50).map(|image| self.image(image)).collect();
                Answer::Json(200, json!({"total": images.len(), "images": images}))
            }
            "domains" => {
                let view = |(name, _): &(String, String)| json!({"domain": name, "slug": "/", "type": "system", "status": "active", "is_primary": false});
                let own: Vec<Value> = self.domains.iter().filter(|(_, of)| of == project).map(view).collect();
                Answer::Json(200, json!({"domains": own}))
            }
            _ => error(404, "endpoint not found"),
        }
    }

    fn image(&self, image: &Image) -> Value {
        let serves = |environment: &&str| {
            self.refs.get(&(image.project.clone(), (*environment).to_owned())).is_some_and(|id| *id == image.id)
        };
        let deployed: Vec<&str> = ["prod", "beta"].into_iter().filter(|environment| serves(environment)).collect();
        json!({
            "image_id": image.id, "content_hash": content_hash(&image.files), "file_count": image.files.len(),
            "git_message": image.message, "created_at": now(), "deployed_to": deployed,
        })
    }

    fn add_domain(&mut self, body: &Value) -> Answer {
        let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
        let (project, domain) = (text("project"), text("domain"));
        if !self.projects.contains(&project) {
            return error(404, "project not found");
        }
        if self.domains.iter().any(|(known, _)| *known == domain) {
            return error(409, "domain+slug combination already exists");
        }
        if !domain.ends_with(".pods.example") {
            return error(403, "custom domains require admin privileges");
        }
        self.domains.push((domain.clone(), project));
        Answer::Json(200, json!({"domain": domain, "slug": "/", "status": "active"}))
    }
}

fn live_files(files: &Value) -> Option<Vec<File>> {
    let file = |file: &Value| {
        let text = |name: &str| file[name].as_str().map(str::to_owned);
        // 32 bytes in base64 end with one padding character.
        let digest = text("sha256").filter(|digest| digest.len() == 44 && digest.ends_with('='));
        digest?;
        Some(File {
            path: text("path").filter(|path| !path.starts_with('/'))?,
            hash: text("blake3")?,
            size: file["size"].as_u64(),
        })
    };
    files.as_array()?.iter().map(file).collect()
}

fn seed_files(files: &Value) -> Option<Vec<File>> {
    let file = |(path, hash): (&String, &Value)| {
        let hash = hash.as_str()?.to_owned();
        Some(File { path: path.trim_start_matches('/').to_owned(), hash, size: None })
    };
    files.as_object()?.iter().map(file).collect()
}

fn content_hash(files: &[File]) -> String {
    let mut hasher = blake3::Hasher::new();
    files.iter().for_each(|file| {
        hasher.update(file.path.as_bytes()).update(file.hash.as_bytes());
    });
    hasher.finalize().to_hex().to_string()
}

/// Later than any gateway's clock, so that what was just made is new.
const fn now() -> &'static str {
    "2099-01-01 00:00:00.000Z"
}

fn error(status: u16, text: &str) -> Answer {
    Answer::Json(status, json!({"error": text}))
}

impl World for SitePod {
    fn answer(&mut self, request: &Request) -> Answer {
        let (method, path) = request.parts();
        let ["api", "v1", path @ ..] = &path[..] else { return error(404, "endpoint not found") };
        if (method, path) == ("POST", &["auth", "login"]) {
            return self.login(request);
        }
        if !self.is_known(request) {
            return error(401, "authentication required");
        }
        let project = request.query("project").unwrap_or_default();
        match (method, path) {
            ("GET", ["auth", "info"]) => Answer::Json(200, json!({"id": "u1", "email": self.email, "is_admin": false})),
            ("GET", ["projects"]) if self.dialect == Dialect::Live => {
                let view =
                    |name: &String| json!({"id": name, "name": name, "subdomain": name, "owner": "u1", "created_at": now()});
                Answer::Json(200, self.projects.iter().map(view).collect())
            }
            ("GET", ["projects", name]) if self.dialect == Dialect::Live => {
                match self.projects.iter().any(|known| known == name) {
                    true => Answer::Json(
                        200,
                        json!({"id": name, "name": name, "subdomain": name, "owner": "u1", "created_at": now()}),
                    ),
                    false => error(404, "project not found"),
                }
            }
            ("POST", ["plan"]) => self.plan(&request.json()),
            ("POST", ["upload", plan, hash]) => self.upload(request, plan, hash),
            ("POST", ["commit"]) => self.commit(&request.json()),
            ("POST", ["release" | "rollback"]) => self.point(&request.json()),
            ("GET", [what]) => self.query(what, project, request),
            ("POST", ["domains"]) => self.add_domain(&request.json()),
            ("POST", ["domains", name, "verify"]) if self.domains.iter().any(|(known, _)| known == name) => Answer::Json(
                200,
                json!({"domain": name, "status": "active", "verified": true, "message": "Domain is already verified"}),
            ),
            ("DELETE", ["domains", name]) if self.domains.iter().any(|(known, _)| known == name) => {
                self.domains.retain(|(known, _)| known != name);
                Answer::Raw(200, Vec::new(), Bytes::new())
            }
            _ => error(404, "endpoint not found"),
        }
    }
}
