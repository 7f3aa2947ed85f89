//! The published API: sites group installs; backups and domains hang on installs.
//!
//! Assumptions: an install's name is refused as `value_unavailable` when it is taken; an install is pending while something is
//! copied or restored into it, for a few looks; a new domain waits for its TXT record, and the first request to verify it
//! finds that; a page has at most [`LiveWpEngine::page`] items. `next` names the vendor's own host, as in the document.

use super::{Work, empty, number, ok, texts};
use crate::{
    Answer,
    simulators::{Request, World},
};
use serde_json::{Value, json};

pub const ACCOUNT: &str = "eeda3227-9a39-46ae-9e14-20958bb4e6c9";
pub const USERNAME: &str = "agency";
pub const PASSWORD: &str = "wpe-simulators-password";
const BASIC: &str = "Basic YWdlbmN5OndwZS1zaW11bGF0b3JzLXBhc3N3b3Jk";
const EMAIL: &str = "joe@agency.example";

pub struct Site {
    pub id: String,
    pub name: String,
}

pub struct Install {
    pub id: String,
    pub name: String,
    pub site: String,
    pub environment: String,
    pub backups: Vec<Backup>,
    pub domains: Vec<Domain>,
    /// Caches that were purged, by type.
    pub purged: Vec<String>,
    /// Ids of backups that were restored, and of installs that were copied from.
    pub overwritten_by: Vec<String>,
    work: Work,
}

pub struct Backup {
    pub id: String,
    pub description: String,
    pub emails: Vec<String>,
    work: Work,
}

pub struct Domain {
    pub id: String,
    pub name: String,
    pub primary: bool,
    pub verified: bool,
}

pub struct LiveWpEngine {
    pub sites: Vec<Site>,
    pub installs: Vec<Install>,
    /// The most items of a page, whatever is asked for.
    pub page: usize,
    /// A bare 202 for a backup, without a body.
    pub silent_backups: bool,
    reports: Vec<(String, Work)>,
    last: u32,
}

impl Default for LiveWpEngine {
    fn default() -> Self {
        Self { sites: Vec::new(), installs: Vec::new(), page: 100, silent_backups: false, reports: Vec::new(), last: 0 }
    }
}

impl World for LiveWpEngine {
    fn answer(&mut self, request: &Request) -> Answer {
        if request.header("authorization") != Some(BASIC) {
            return refusal(401, "Bad Credentials");
        }
        let (method, path) = request.parts();
        let Some(("v1", path)) = path.split_first().map(|(first, rest)| (*first, rest)) else {
            return refusal(404, "Not Found");
        };
        let answer = match path {
            ["user"] if method == "GET" => Some(ok(json!({"id": "u1", "first_name": "Joe", "email": EMAIL}))),
            ["accounts", ..] => self.accounts(method, &path[1..], request),
            ["sites", ..] => self.on_sites(method, &path[1..], request),
            ["installs"] => self.on_installs(method, request),
            ["installs", id, rest @ ..] => self.on_install(method, id, rest, request),
            ["install_copy"] if method == "POST" => self.copy(&request.json()),
            _ => None,
        };
        answer.unwrap_or_else(|| refusal(404, "Not Found"))
    }
}

impl LiveWpEngine {
    pub fn new() -> Self {
        Self::default()
    }

    /// One that was there before, with its install.
    pub fn add_site(&mut self, name: &str) {
        let (id, site) = (self.id(), self.id());
        let install = format!("before{}", self.installs.len());
        self.sites.push(Site { id: site.clone(), name: name.to_owned() });
        self.installs.push(Install {
            id,
            name: install,
            site,
            environment: "production".to_owned(),
            backups: Vec::new(),
            domains: Vec::new(),
            purged: Vec::new(),
            overwritten_by: Vec::new(),
            work: Work(0),
        });
    }

    pub fn install(&self, name: &str) -> Option<&Install> {
        self.installs.iter().find(|install| install.name == name)
    }

    fn id(&mut self) -> String {
        self.last += 1;
        format!("{:08x}-9a39-46ae-9e14-20958bb4e6c9", self.last)
    }

    fn accounts(&self, method: &str, path: &[&str], request: &Request) -> Option<Answer> {
        match (method, path) {
            ("GET", []) => Some(self.list(request, vec![json!({"id": ACCOUNT, "name": "joe", "nickname": "joe"})])),
            ("GET", [ACCOUNT, "usage", "summary"]) => {
                let dated =
                    ["first_date", "last_date"].iter().all(|name| request.query(name).is_some_and(|date| date.len() == 10));
                Some(if dated { ok(rollup()) } else { refusal(400, "Must provide or omit both first_date and last_date.") })
            }
            _ => None,
        }
    }

    fn on_sites(&mut self, method: &str, path: &[&str], request: &Request) -> Option<Answer> {
        match (method, path) {
            ("GET", []) => Some(self.list(request, self.sites.iter().map(|site| self.site(site)).collect())),
            ("POST", []) => Some(self.make_site(&request.json())),
            (_, [id]) => {
                let index = self.sites.iter().position(|site| site.id == *id)?;
                match method {
                    "GET" => {}
                    "PATCH" => match request.json()["name"].as_str() {
                        Some(name) if name.chars().count() <= 40 => self.sites[index].name = name.to_owned(),
                        _ => {
                            return Some(invalid(
                                "Site",
                                "name",
                                "invalid_value",
                                "Name is too long (maximum is 40 characters)",
                            ));
                        }
                    },
                    "DELETE" => {
                        self.installs.retain(|install| install.site != *id);
                        self.sites.remove(index);
                        return Some(empty(204));
                    }
                    _ => return None,
                }
                Some(ok(self.site(&self.sites[index])))
            }
            _ => None,
        }
    }

    fn make_site(&mut self, body: &Value) -> Answer {
        let Some(name) = body["name"].as_str().filter(|name| !name.is_empty()) else {
            return invalid("Site", "name", "invalid_value", "Name cannot be empty");
        };
        if name.chars().count() > 40 {
            return invalid("Site", "name", "invalid_value", "Name is too long (maximum is 40 characters)");
        }
        if body["account_id"] != ACCOUNT {
            return invalid("Site", "account_id", "access_error", "No access to the account");
        }
        let site = Site { id: self.id(), name: name.to_owned() };
        self.sites.push(site);
        self.sites.last().map_or_else(|| empty(500), |site| Answer::Json(201, self.site(site)))
    }

    fn on_installs(&mut self, method: &str, request: &Request) -> Option<Answer> {
        match method {
            "GET" => Some(self.list(request, self.installs.iter().map(Install::json).collect())),
            "POST" => Some(self.make_install(&request.json())),
            _ => None,
        }
    }

    fn make_install(&mut self, body: &Value) -> Answer {
        let name = body["name"].as_str().unwrap_or_default();
        let fits = (3..=14).contains(&name.len())
            && name.starts_with(|c: char| c.is_ascii_lowercase())
            && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
        if !fits {
            return invalid("Installation", "name", "invalid_value", "Name is invalid");
        }
        if self.install(name).is_some() {
            return invalid("Installation", "name", "value_unavailable", "Name is taken");
        }
        let site = body["site_id"].as_str().unwrap_or_default();
        if body["account_id"] != ACCOUNT || !self.sites.iter().any(|known| known.id == site) {
            return invalid("Installation", "site_id", "invalid_value", "Site is invalid");
        }
        let install = Install {
            id: self.id(),
            name: name.to_owned(),
            site: site.to_owned(),
            environment: body["environment"].as_str().unwrap_or("production").to_owned(),
            backups: Vec::new(),
            domains: Vec::new(),
            purged: Vec::new(),
            overwritten_by: Vec::new(),
            work: Work::new(),
        };
        let answer = Answer::Json(201, install.json());
        self.installs.push(install);
        answer
    }

    fn on_install(&mut self, method: &str, id: &str, path: &[&str], request: &Request) -> Option<Answer> {
        let index = self.installs.iter().position(|install| install.id == id)?;
        match (method, path) {
            ("GET", []) => {
                let install = &mut self.installs[index];
                install.work.look();
                Some(ok(install.whole()))
            }
            ("DELETE", []) => {
                self.installs.remove(index);
                Some(empty(204))
            }
            ("GET", ["usage"]) => {
                Some(ok(json!({"install_name": self.installs[index].name, "metrics": [], "metrics_rollup": rollup()})))
            }
            ("GET", ["ssl_certificates"]) => Some(ok(json!({"certificates": self.installs[index].certificates()}))),
            ("POST", ["purge_cache"]) => {
                let body = request.json();
                let kind = body["type"].as_str().filter(|kind| ["object", "page", "cdn", "all"].contains(kind));
                let Some(kind) = kind else { return Some(refusal(400, "Invalid type")) };
                self.installs[index].purged.push(kind.to_owned());
                Some(empty(202))
            }
            (_, ["backups", ..]) => self.on_backups(method, index, &path[1..], request),
            (_, ["domains", ..]) => self.on_domains(method, index, &path[1..], request),
            _ => None,
        }
    }

    fn on_backups(&mut self, method: &str, index: usize, path: &[&str], request: &Request) -> Option<Answer> {
        match (method, path) {
            ("GET", []) => {
                let backups = &mut self.installs[index].backups;
                backups.iter_mut().for_each(Backup::look);
                let all = self.installs[index].backups.iter().map(Backup::json).collect();
                Some(self.list(request, all))
            }
            ("POST", []) => Some(self.make_backup(index, &request.json())),
            ("GET", [id]) => {
                let backup = self.installs[index].backups.iter_mut().find(|backup| backup.id == *id)?;
                backup.look();
                Some(ok(backup.json()))
            }
            ("POST", [id, "restore"]) => {
                let install = &mut self.installs[index];
                let backup = install.backups.iter().find(|backup| backup.id == *id && backup.work.is_over())?;
                if texts(&request.json()["notification_emails"]).is_empty() {
                    return Some(refusal(400, "notification_emails is required"));
                }
                install.overwritten_by.push(backup.id.clone());
                install.work = Work::new();
                Some(empty(202))
            }
            _ => None,
        }
    }

    fn make_backup(&mut self, index: usize, body: &Value) -> Answer {
        let emails: Vec<String> = texts(&body["notification_emails"]).into_iter().map(str::to_owned).collect();
        let (Some(description), false) = (body["description"].as_str(), emails.is_empty()) else {
            return refusal(400, "description and notification_emails are required");
        };
        let backup = Backup { id: self.id(), description: description.to_owned(), emails, work: Work::new() };
        let answer = if self.silent_backups { empty(202) } else { Answer::Json(202, backup.json()) };
        self.installs[index].backups.push(backup);
        answer
    }

    fn on_domains(&mut self, method: &str, index: usize, path: &[&str], request: &Request) -> Option<Answer> {
        match (method, path) {
            ("GET", []) => Some(self.list(request, self.installs[index].domains.iter().map(Domain::json).collect())),
            ("POST", []) => Some(self.make_domain(index, &request.json())),
            ("GET", ["check_status", id]) => {
                let (id, work) = self.reports.iter_mut().find(|(report, _)| report == id)?;
                let report = json!({"id": *id, "complete": work.look(), "domains": [{"result": "ok"}]});
                Some(ok(json!({"report": report})))
            }
            (_, [id, rest @ ..]) => {
                let report = self.id();
                let domains = &mut self.installs[index].domains;
                let place = domains.iter().position(|domain| domain.id == *id)?;
                match (method, rest) {
                    ("PATCH", []) => {
                        let primary = request.json()["primary"] == true;
                        domains.iter_mut().for_each(|domain| domain.primary = primary && domain.id == *id);
                        Some(ok(domains[place].json()))
                    }
                    ("DELETE", []) => {
                        domains.remove(place);
                        Some(empty(204))
                    }
                    ("POST", ["verification"]) => {
                        domains[place].verified = true;
                        Some(ok(
                            json!({"id": id, "name": domains[place].name, "txt_verified_time": "2026-04-20T16:00:00.007Z"}),
                        ))
                    }
                    ("POST", ["check_status"]) => {
                        self.reports.push((report.clone(), Work::new()));
                        Some(Answer::Json(202, json!({"report_id": report})))
                    }
                    _ => None,
                }
            }
            _ => None,
        }
    }

    fn make_domain(&mut self, index: usize, body: &Value) -> Answer {
        let name = body["name"].as_str().unwrap_or_default();
        if name.is_empty() || self.installs[index].domains.iter().any(|domain| domain.name == name) {
            return invalid("Domain", "name", "value_unavailable", "Name has already been taken");
        }
        let domain = Domain { id: self.id(), name: name.to_owned(), primary: body["primary"] == true, verified: false };
        let answer = Answer::Json(201, domain.json());
        self.installs[index].domains.push(domain);
        answer
    }

    fn copy(&mut self, body: &Value) -> Option<Answer> {
        let of = |name: &str| self.installs.iter().position(|install| body[name] == install.id.as_str());
        let (from, to) = (of("source_environment_id")?, of("destination_environment_id")?);
        let source = self.installs[from].id.clone();
        self.installs[to].overwritten_by.push(source);
        self.installs[to].work = Work::new();
        Some(empty(202))
    }

    fn site(&self, site: &Site) -> Value {
        let installs = self.installs.iter().filter(|install| install.site == site.id);
        json!({"id": site.id, "name": site.name, "account": {"id": ACCOUNT}, "group_name": null, "tags": ["tag1"],
            "created_at": "2025-07-10T09:59:58.684Z", "sandbox": false, "transferable": false,
            "installs": installs.map(Install::short).collect::<Vec<_>>()})
    }

    fn list(&self, request: &Request, all: Vec<Value>) -> Answer {
        if request.query("account_id").is_some_and(|account| account != ACCOUNT) {
            return refusal(403, "Forbidden");
        }
        let (limit, offset) = (number(request.query("limit"), 100), number(request.query("offset"), 0));
        if limit > 100 {
            return refusal(400, "limit is 100 at most");
        }
        let (limit, count) = (limit.min(self.page), all.len());
        let link = |offset: usize| {
            format!("https://api.wpengineapi.com/v1/{}?limit={limit}&offset={offset}", request.segments[1..].join("/"))
        };
        let next = (offset + limit < count).then(|| link(offset + limit));
        let results: Vec<Value> = all.into_iter().skip(offset).take(limit).collect();
        ok(json!({"previous": null, "next": next, "count": count, "results": results}))
    }
}

impl Install {
    fn short(&self) -> Value {
        json!({"id": self.id, "name": self.name, "environment": self.environment, "cname": format!("{}.wpengine.com", self.name),
            "php_version": "8.2", "is_multisite": false})
    }

    fn json(&self) -> Value {
        let mut whole = self.short();
        let primary = self.domains.iter().find(|domain| domain.primary).map(|domain| domain.name.clone());
        whole["account"] = json!({"id": ACCOUNT});
        whole["site"] = json!({"id": self.site});
        whole["status"] = json!(if self.work.is_over() { "active" } else { "pending" });
        whole["primary_domain"] = json!(primary.unwrap_or_else(|| format!("{}.wpengine.com", self.name)));
        whole["stable_ips"] = json!(["1.2.3.2"]);
        whole
    }

    fn whole(&self) -> Value {
        let mut whole = self.json();
        whole["wp_version"] = json!("6.8.1");
        whole
    }

    fn certificates(&self) -> Vec<Value> {
        let verified = self.domains.iter().filter(|domain| domain.verified);
        let certificate = |domain: &Domain| {
            json!({"id": 7, "cert_source": "LETS_ENCRYPT", "status": "ENABLED", "domains": [domain.name],
                "expires_time": "2026-12-31T00:00:00Z", "auth_file": "nobody-should-see-this"})
        };
        verified.map(certificate).collect()
    }
}

impl Backup {
    const fn look(&mut self) {
        self.work.look();
    }

    fn json(&self) -> Value {
        let over = self.work.is_over();
        let status = if over { "completed" } else { "in_progress" };
        json!({"id": self.id, "status": status, "description": self.description, "create_time": "2024-01-15T10:00:00Z",
            "complete_time": over.then_some("2024-01-15T10:30:00Z"), "wordpress_version": "6.8.1"})
    }
}

impl Domain {
    fn json(&self) -> Value {
        let status = if self.verified { "TXT_VERIFIED" } else { "TXT_VERIFICATION_PENDING" };
        let while_pending = |text: &str| (!self.verified).then(|| text.to_owned());
        json!({"id": self.id, "name": self.name, "primary": self.primary, "duplicate": false, "secure_all_urls": false,
            "network_type": "AN", "ownership_status": status, "txt_verification_key": while_pending("_wpe_verification"),
            "txt_verification_value": while_pending("wpe-verification-value")})
    }
}

fn rollup() -> Value {
    json!({"visit_count": {"sum": "300"}, "network_total_bytes": {"sum": "2000"},
        "storage_file_bytes": {"latest": {"date": "2025-01-01", "value": "70"}}, "storage_database_bytes": {"latest": {"value": "30"}}})
}

fn refusal(status: u16, message: &str) -> Answer {
    Answer::Json(status, json!({"message": message, "documentation_url": "https://wpengineapi.com/"}))
}

fn invalid(resource: &str, field: &str, kind: &str, message: &str) -> Answer {
    let error = json!({"resource": resource, "field": field, "type": kind, "code": "invalid", "message": message});
    Answer::Json(400, json!({"message": format!("Invalid {resource}: {message}."), "errors": [error]}))
}
