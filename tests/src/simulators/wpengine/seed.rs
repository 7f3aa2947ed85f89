//! The API of the older endpoint reference: sites, backups, deployments.
//!
//! Assumptions: what is deleted answers 404 after a few looks; a restore is over when its estimate is (at once, here); errors are
//! `{"error": {code, message, details}}` with the usual statuses, and every answer tells `X-RateLimit-*`.

use super::{Work, number, ok, parts};
use crate::{
    Answer,
    simulators::{Request, World},
};
use bytes::Bytes;
use serde_json::{Value, json};

pub const KEY: &str = "wpe-simulators-api-key";
const CREATED: &str = "2023-04-01T10:30:00Z";
const ESTIMATE: &str = "2023-04-01T10:45:00Z";

/// Something with a status that ends, or a deletion that does.
struct Thing {
    id: String,
    fields: Value,
    /// Its status when the work is over; none: it is gone.
    end: Option<&'static str>,
    work: Work,
}

pub struct SeedSite {
    site: Thing,
    backups: Vec<Thing>,
    deployments: Vec<Thing>,
    /// Bodies of restores.
    pub restores: Vec<Value>,
}

pub struct SeedWpEngine {
    pub sites: Vec<SeedSite>,
    /// Where downloads are said to be.
    pub base: String,
    /// The most rows of a list's page, whatever is asked for.
    pub page: usize,
    last: u32,
}

impl World for SeedWpEngine {
    fn answer(&mut self, request: &Request) -> Answer {
        if request.header("authorization") != Some(&format!("ApiKey {KEY}")) {
            return refusal(401, "unauthorized", "Invalid API key");
        }
        let (method, path) = request.parts();
        let answer = match path.as_slice() {
            ["v1", "sites"] => self.on_sites(method, request),
            ["v1", "sites", id, rest @ ..] => self.on_site(method, id, rest, request),
            _ => None,
        };
        limited(answer.unwrap_or_else(|| refusal(404, "not_found", "No such resource")))
    }
}

impl Default for SeedWpEngine {
    fn default() -> Self {
        Self { sites: Vec::new(), base: "https://wpengineapi.com/v1".to_owned(), page: 100, last: 0 }
    }
}

impl SeedWpEngine {
    pub fn new() -> Self {
        Self::default()
    }

    /// One that was there before.
    pub fn add_site(&mut self, name: &str) {
        let fields =
            json!({"name": name, "environment": "production", "created_at": CREATED, "url": "https://before.wpengine.com"});
        let mut site = Thing::new(self.id("site"), fields, "active");
        site.work = Work(0);
        self.sites.push(SeedSite { site, backups: Vec::new(), deployments: Vec::new(), restores: Vec::new() });
    }

    fn id(&mut self, kind: &str) -> String {
        self.last += 1;
        format!("{kind}_{:05}", self.last)
    }

    fn on_sites(&mut self, method: &str, request: &Request) -> Option<Answer> {
        match method {
            "GET" => Some(list(request, self.page, self.sites.iter().map(|site| site.site.json()).collect())),
            "POST" => {
                let body = request.json();
                if body["name"].as_str().is_none_or(str::is_empty) {
                    return Some(refusal(422, "validation_error", "name is required"));
                }
                let mut fields = parts(&body, &["name", "environment", "php_version", "wordpress_version"]);
                fields["created_at"] = json!(CREATED);
                fields["url"] = json!("https://newsite.wpengine.com");
                let site = Thing::new(self.id("site"), fields, "active");
                let answer = Answer::Json(201, site.started("provisioning"));
                self.sites.push(SeedSite { site, backups: Vec::new(), deployments: Vec::new(), restores: Vec::new() });
                Some(answer)
            }
            _ => None,
        }
    }

    fn on_site(&mut self, method: &str, id: &str, path: &[&str], request: &Request) -> Option<Answer> {
        let (new, base) = (self.id(if path.first() == Some(&"backups") { "backup" } else { "deploy" }), self.base.clone());
        let index = self.sites.iter().position(|site| site.site.id == id)?;
        let site = &mut self.sites[index];
        match (method, path) {
            ("GET", []) if site.site.look() => Some(ok(site.whole())),
            ("GET", []) => {
                self.sites.remove(index);
                None
            }
            ("PUT", []) => Some(site.change(&request.json())),
            ("DELETE", []) => Some(ok(site.site.delete())),
            (_, ["backups", ..]) => site.on_backups(method, &path[1..], request, &new, &base),
            (_, ["deployments", ..]) => site.on_deployments(method, &path[1..], request, &new),
            _ => None,
        }
    }
}

impl SeedSite {
    pub fn name(&self) -> &str {
        self.site.fields["name"].as_str().unwrap_or_default()
    }

    fn whole(&self) -> Value {
        let mut whole = self.site.json();
        whole["environment"] = json!("production");
        whole["updated_at"] = json!(CREATED);
        whole["disk_usage"] = json!({"used": 2.5, "total": 10, "unit": "GB"});
        whole["bandwidth"] = json!({"current_month": 15.7, "unit": "GB"});
        whole["environments"] = json!([
            {"name": "production", "url": "https://mysite.wpengine.com"},
            {"name": "staging", "url": "https://stagingmysite.wpengine.com"},
        ]);
        whole
    }

    fn change(&mut self, body: &Value) -> Answer {
        match body["status"].as_str() {
            Some("active") => self.site.end = Some("active"),
            Some("inactive") => self.site.end = Some("inactive"),
            Some(_) => return refusal(422, "validation_error", "no such status"),
            None => {}
        }
        let changed = parts(body, &["name", "php_version", "wordpress_version"]);
        for (name, value) in changed.as_object().into_iter().flatten() {
            self.site.fields[name] = value.clone();
        }
        ok(self.whole())
    }

    fn on_backups(&mut self, method: &str, path: &[&str], request: &Request, new: &str, base: &str) -> Option<Answer> {
        let place = path.first().and_then(|id| self.backups.iter().position(|backup| backup.id == *id));
        match (method, path) {
            ("GET", []) => Some(list(request, 100, self.backups.iter().rev().map(Thing::json).collect())),
            ("POST", []) => {
                let mut fields = parts(&request.json(), &["description", "type"]);
                fields["site_id"] = json!(self.site.id);
                fields["created_at"] = json!(CREATED);
                fields["size"] = json!("1.2GB");
                fields["download_url"] = json!(format!("{base}/sites/{}/backups/{new}/download", self.site.id));
                self.backups.push(Thing::new(new.to_owned(), fields, "completed"));
                self.backups.last().map(|backup| Answer::Json(201, backup.started("in_progress")))
            }
            ("GET", [_]) => match self.backups[place?].look() {
                true => Some(ok(self.backups[place?].json())),
                false => {
                    self.backups.remove(place?);
                    None
                }
            },
            ("DELETE", [_]) => Some(ok(self.backups[place?].delete())),
            ("GET", [_, "download"]) => {
                let kind = vec![("content-type", "application/zip".to_owned())];
                place.map(|_| Answer::Raw(200, kind, Bytes::from_static(b"the backup's bytes")))
            }
            ("POST", [_, "restore"]) => {
                let backup = self.backups[place?].id.clone();
                self.restores.push(request.json());
                Some(ok(
                    json!({"id": "restore_98765", "backup_id": backup, "status": "in_progress", "estimated_completion_time": ESTIMATE}),
                ))
            }
            _ => None,
        }
    }

    fn on_deployments(&mut self, method: &str, path: &[&str], request: &Request, new: &str) -> Option<Answer> {
        match (method, path) {
            ("GET", []) => {
                let wanted = |one: &Value| request.query("status").is_none_or(|status| one["status"] == status);
                Some(list(request, 100, self.deployments.iter().rev().map(Thing::json).filter(wanted).collect()))
            }
            ("POST", []) => {
                let body = request.json();
                let source = &body["source"];
                let fits = match source["type"].as_str() {
                    Some("git") => source["repository"].is_string() && source["branch"].is_string(),
                    Some("zip") => source["zip_url"].is_string(),
                    _ => false,
                };
                if !fits || !body["environment"].is_string() {
                    return Some(refusal(422, "validation_error", "environment and source are required"));
                }
                let mut fields = parts(&body, &["environment", "source"]);
                fields["created_at"] = json!(CREATED);
                let end = if source["branch"] == "broken" { "failed" } else { "completed" };
                self.deployments.push(Thing::new(new.to_owned(), fields, end));
                self.deployments.last().map(|deployment| Answer::Json(201, deployment.started("in_progress")))
            }
            ("GET", [id]) => {
                let deployment = self.deployments.iter_mut().find(|deployment| deployment.id == *id)?;
                deployment.look();
                let mut whole = deployment.json();
                whole["logs"] = json!("Deployment started\nDeploying...");
                whole["changes"] = json!({"added": 5, "modified": 10, "deleted": 2});
                Some(ok(whole))
            }
            _ => None,
        }
    }
}

impl Thing {
    const fn new(id: String, fields: Value, end: &'static str) -> Self {
        Self { id, fields, end: Some(end), work: Work::new() }
    }

    /// False when it is gone.
    const fn look(&mut self) -> bool {
        !self.work.look() || self.end.is_some()
    }

    fn delete(&mut self) -> Value {
        (self.end, self.work) = (None, Work::new());
        self.started("deleting")
    }

    fn json(&self) -> Value {
        let during = if self.fields["url"].is_string() { "provisioning" } else { "in_progress" };
        let status = match self.end {
            None => "deleting",
            Some(end) if self.work.is_over() => end,
            Some(_) => during,
        };
        let mut whole = self.fields.clone();
        whole["id"] = json!(self.id);
        whole["status"] = json!(status);
        whole
    }

    fn started(&self, status: &str) -> Value {
        let mut whole = self.fields.clone();
        whole["id"] = json!(self.id);
        whole["status"] = json!(status);
        whole["estimated_completion_time"] = json!(ESTIMATE);
        whole
    }
}

fn list(request: &Request, most: usize, all: Vec<Value>) -> Answer {
    let (page, wanted) = (number(request.query("page"), 1), number(request.query("per_page"), 10));
    if page == 0 || !(1..=100).contains(&wanted) {
        return refusal(422, "validation_error", "per_page is 1 to 100");
    }
    let per_page = wanted.min(most);
    let total = all.len();
    let results: Vec<Value> = all.into_iter().skip((page - 1) * per_page).take(per_page).collect();
    let pagination = json!({"total": total, "count": results.len(), "per_page": per_page, "current_page": page,
        "total_pages": total.div_ceil(per_page)});
    ok(json!({"results": results, "pagination": pagination}))
}

fn limited(answer: Answer) -> Answer {
    match answer {
        Answer::Json(status, value) => {
            let headers = vec![
                ("content-type", "application/json".to_owned()),
                ("x-ratelimit-limit", "1000".to_owned()),
                ("x-ratelimit-remaining", "900".to_owned()),
            ];
            Answer::Raw(status, headers, Bytes::from(value.to_string()))
        }
        other => other,
    }
}

fn refusal(status: u16, code: &str, message: &str) -> Answer {
    Answer::Json(status, json!({"error": {"code": code, "message": message, "details": {}}}))
}
