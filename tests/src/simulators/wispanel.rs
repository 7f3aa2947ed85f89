//! A WisPanel server with one account, as the vendor's pages have it: keys, their limit, and the calls of the WordPress toolkit.
//!
//! Documented: the bearer key, 60 requests a minute for each key with `X-RateLimit-*` and without `Retry-After`, the shapes of errors
//! and successes (`shapes`), `/auth/me`, the list of installations, `/wordpress/status`, the bodies of install, clone, maintenance,
//! search and replace, delete and plugins. Our assumptions: that questions name an installation by `?id=`; what is in all other bodies
//! and answers; which call has which shape; that work has a progress under the id that its beginning told, and is done when that
//! says so; that `toggle-debug` turns whatever it finds; that a call which the panel doesn't know is answered with its page.
//! Invariant: what a refused request would have changed stays as it was.

mod install;
mod shapes;
mod toolkit;

pub use install::{Backup, Extension, Installation};
pub use shapes::Lists;

use super::{Request, World};
use crate::{Answer, tls::Certificate};
use bytes::Bytes;
use serde_json::{Value, json};
use shapes::{listed, refused, refused_briefly, refused_deeply, succeeded};
use std::{
    collections::HashMap,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// `wsp_` and 48 hexadecimal digits.
pub const KEY: &str = "wsp_7394a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f6";
/// In installations as the panel tells them, beside what the documents show: nobody may ever see it.
pub const DB_PASSWORD: &str = "canary-of-wispanels-database-7395";
/// In the links that log in.
pub const LOGIN: &str = "canary-of-wispanels-login-7397";
/// A password that the panel finds too weak, and repeats in its refusal. Assumed.
pub const WEAK: &str = "correct-horse-but-weak-7396";

/// A self-signed certificate, as panels have it.
pub fn certificate() -> Certificate {
    Certificate::until(2090)
}

struct Key {
    token: String,
    /// None: everything (`all`).
    only: Option<&'static str>,
    /// When its period of the limit began, in milliseconds, and how many requests it has had since.
    period: (u64, u32),
}

struct Job {
    /// Looks until it is done.
    left: u32,
    fails: Option<&'static str>,
    makes: Option<Installation>,
}

pub struct WisPanel {
    keys: Vec<Key>,
    /// Requests of one key in a period.
    pub limit: u32,
    pub period: Duration,
    /// Of the account.
    pub domains: Vec<String>,
    pub installations: Vec<Installation>,
    pub lists: Lists,
    /// How often work is looked at before it is done.
    pub looks: u32,
    /// Why the next piece of work fails.
    pub next_fails: Option<&'static str>,
    /// Happens once, after the first page of the installations was given.
    pub meanwhile: Option<fn(&mut Self)>,
    /// Installations that were begun, also those that failed.
    pub begun: usize,
    /// Requests that met the limit.
    pub refused: usize,
    jobs: HashMap<String, Job>,
    answers: HashMap<String, Answer>,
    last: u64,
}

impl Default for WisPanel {
    fn default() -> Self {
        Self {
            keys: Vec::new(),
            limit: 60,
            period: Duration::from_secs(60),
            domains: Vec::new(),
            installations: Vec::new(),
            lists: Lists::Bare,
            looks: 0,
            next_fails: None,
            meanwhile: None,
            begun: 0,
            refused: 0,
            jobs: HashMap::new(),
            answers: HashMap::new(),
            last: 0,
        }
    }
}

impl WisPanel {
    /// With [`KEY`], and an installation in each of these domains.
    pub fn new(domains: &[&str]) -> Self {
        let mut panel = Self::default();
        panel.add_key(KEY, None);
        for domain in domains {
            panel.add_domain(domain);
            panel.add_installation(domain);
        }
        panel
    }

    /// `only`: what it is scoped for; none is everything.
    pub fn add_key(&mut self, token: &str, only: Option<&'static str>) {
        self.keys.push(Key { token: token.to_owned(), only, period: (0, 0) });
    }

    pub fn add_domain(&mut self, domain: &str) {
        self.domains.push(domain.to_owned());
    }

    pub fn add_installation(&mut self, domain: &str) {
        let id = self.id("wp");
        self.installations.push(Installation::new(id, domain, "public_html", "My Site"));
    }

    pub fn installation(&mut self, domain: &str) -> &mut Installation {
        let found = self.installations.iter_mut().find(|installation| installation.domain == domain);
        found.unwrap_or_else(|| panic!("there is no installation in {domain}"))
    }

    fn id(&mut self, kind: &str) -> String {
        self.last += 1;
        format!("{kind}_2f686f{:03x}", self.last)
    }

    /// The id that its progress is asked by.
    fn begin(&mut self, makes: Option<Installation>) -> String {
        let id = self.id("job");
        self.jobs.insert(id.clone(), Job { left: self.looks, fails: self.next_fails.take(), makes });
        id
    }

    fn progress(&mut self, id: &str) -> Answer {
        let Some(job) = self.jobs.get_mut(id) else { return refused(404, "NOT_FOUND", "No such work") };
        if job.left > 0 {
            job.left -= 1;
            return Answer::Json(200, json!({"success": true, "data": {"status": "installing", "progress": 40}}));
        }
        if let Some(why) = job.fails {
            return Answer::Json(200, json!({"success": true, "data": {"status": "failed", "progress": 40, "error": why}}));
        }
        self.installations.extend(job.makes.take());
        Answer::Json(200, json!({"success": true, "data": {"status": "completed", "progress": 100}}))
    }

    fn install(&mut self, body: &Value) -> Answer {
        let text = |name: &str| body[name].as_str().unwrap_or_default();
        let (domain, path, db_name) = (text("domain"), text("path"), text("db_name"));
        if [domain, path, db_name].contains(&"") {
            // The document's own answer.
            let got = format!("domain_name=\"\", path={path:?}, db_name={db_name:?}, domain={domain:?}");
            return refused(400, "VALIDATION_ERROR", &format!("Missing fields. Got: {got}"));
        }
        if text("admin_password") == WEAK {
            return refused(400, "VALIDATION_ERROR", &format!("The password {WEAK} is too weak"));
        }
        if let Some(answer) = self.unless_free(domain, path) {
            return answer;
        }
        let id = self.id("wp");
        let mut new = Installation::new(id, domain, path, text("title"));
        new.users.push((text("admin_user").to_owned(), text("admin_password").to_owned()));
        self.begun += 1;
        let install_id = self.begin(Some(new));
        Answer::Json(202, json!({"success": true, "message": "Installation started", "data": {"install_id": install_id}}))
    }

    fn clone_site(&mut self, body: &Value) -> Answer {
        let domain = body["target_domain"].as_str().unwrap_or_default().to_owned();
        let Some(title) = self.known(&body["source_id"]).map(|source| source.title.clone()) else { return unknown() };
        if let Some(answer) = self.unless_free(&domain, "public_html") {
            return answer;
        }
        let id = self.id("wp");
        self.begun += 1;
        let job_id = self.begin(Some(Installation::new(id, &domain, "public_html", &title)));
        Answer::Json(200, json!({"success": true, "message": "Cloning", "job_id": job_id}))
    }

    /// Why nothing can be installed there.
    fn unless_free(&self, domain: &str, path: &str) -> Option<Answer> {
        if !self.domains.iter().any(|known| known == domain) {
            return Some(refused_deeply(422, "VALIDATION_ERROR", "The domain isn't one of this account.", &["domain"]));
        }
        let is_there = self.installations.iter().any(|known| known.domain == domain && known.path.ends_with(path));
        is_there.then(|| refused(409, "CONFLICT", "WordPress is already installed in this path"))
    }

    fn known(&mut self, id: &Value) -> Option<&mut Installation> {
        self.installations.iter_mut().find(|installation| *id == installation.id.as_str())
    }

    /// A key's second request with the same `Idempotency-Key` gets the first one's answer.
    fn new_domain(&mut self, request: &Request) -> Answer {
        let key = request.header("idempotency-key").map(str::to_owned);
        if let Some(answer) = key.as_ref().and_then(|key| self.answers.get(key)) {
            return answer.clone();
        }
        let domain = request.json()["domain"].as_str().unwrap_or_default().to_owned();
        if domain.is_empty() || self.domains.contains(&domain) {
            return refused(
                400,
                "VALIDATION_ERROR",
                if domain.is_empty() { "Missing domain" } else { "Domain already exists" },
            );
        }
        self.domains.push(domain);
        let answer = Answer::Json(201, json!({"success": true, "message": "Domain created"}));
        self.answers.extend(key.map(|key| (key, answer.clone())));
        answer
    }

    /// Work goes on whether somebody looks at it or not.
    fn work(&mut self) {
        for job in self.jobs.values_mut() {
            job.left = job.left.saturating_sub(1);
            let new = job.makes.take_if(|_| job.left == 0 && job.fails.is_none());
            self.installations.extend(new);
        }
    }

    fn all(&mut self, request: &Request) -> Answer {
        self.work();
        let all = self.installations.iter().map(Installation::json).collect();
        let answer = listed(self.lists, "installations", all, request.query("page"));
        if let Some(change) = self.meanwhile.take() {
            change(self);
        }
        answer
    }

    fn status(&self) -> Answer {
        let all: Vec<Value> = self.installations.iter().map(Installation::json).collect();
        Answer::Json(200, json!({"wp_cli_available": true, "installations": all}))
    }

    fn wordpress(&mut self, request: &Request, path: &[&str]) -> Answer {
        let body = request.json();
        match (request.method.as_str(), path) {
            ("GET", ["installations"]) => self.all(request),
            ("GET", ["status"]) => self.status(),
            ("POST", ["install"]) => self.install(&body),
            ("GET", ["install", id, "progress"]) => self.progress(id),
            ("POST", ["clone"]) => self.clone_site(&body),
            ("DELETE", ["delete"]) => match self.known(&body["id"]).map(|known| known.id.clone()) {
                None => unknown(),
                Some(id) => {
                    self.installations.retain(|installation| installation.id != id);
                    succeeded("WordPress deleted")
                }
            },
            ("POST", ["restore"]) => match self.known(&body["id"]).map(|known| known.restore(&body)) {
                None | Some(false) => refused(404, "NOT_FOUND", "Backup not found"),
                Some(true) => {
                    let job_id = self.begin(None);
                    Answer::Json(202, json!({"success": true, "message": "Restore started", "job_id": job_id}))
                }
            },
            (method, _) => {
                let (lists, looks, new) = (self.lists, self.looks, self.id("bak"));
                let id = if method == "GET" { json!(request.query("id")) } else { body["id"].clone() };
                let Some(known) = self.known(&id) else { return unknown() };
                let answer = if method == "GET" { known.ask(path, lists) } else { known.change(path, &body, &new, looks) };
                answer.unwrap_or_else(page)
            }
        }
    }

    fn account(&self) -> Answer {
        Answer::Json(
            200,
            json!({"username": "anna", "role": "user", "status": "active", "creator": "admin", "package": "business",
                "max_domains": 10, "max_databases": -1, "domains": self.domains.len()}),
        )
    }

    fn carry_out(&mut self, request: &Request) -> Answer {
        let (method, path) = request.parts();
        match (method, path.as_slice()) {
            ("GET", ["api", "v1", "auth", "me"]) => self.account(),
            ("POST", ["api", "v1", "domains"]) => self.new_domain(request),
            (_, ["api", "v1", "wordpress", path @ ..]) => self.wordpress(request, path),
            _ => page(),
        }
    }
}

impl World for WisPanel {
    fn answer(&mut self, request: &Request) -> Answer {
        let token = request.header("authorization").and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default();
        let Some(key) = self.keys.iter_mut().find(|key| key.token == token) else {
            return refused(401, "UNAUTHORIZED", "Invalid API key");
        };
        let told = key.count(self.limit, self.period);
        // `/auth/me` is any key's, so that it can be checked.
        let is_scoped = key.only.is_none_or(|only| request.segments.get(2).is_some_and(|room| room == only || room == "auth"));
        let answer = match &told {
            Err(_) => {
                self.refused += 1;
                refused_deeply(429, "RATE_LIMITED", "Too many requests", &[])
            }
            Ok(_) if !is_scoped => refused_briefly(403, "FORBIDDEN", "API key is not scoped for 'wordpress'"),
            Ok(_) => self.carry_out(request),
        };
        with_limit(answer, self.limit, told.unwrap_or_else(|full| full))
    }
}

impl Key {
    /// What is left, and when the period ends in Unix seconds; an error when nothing was left.
    fn count(&mut self, limit: u32, period: Duration) -> Result<(u32, u64), (u32, u64)> {
        let now = now();
        let length = u64::try_from(period.as_millis()).unwrap_or(u64::MAX);
        if now.saturating_sub(self.period.0) >= length {
            self.period = (now, 0);
        }
        let reset = (self.period.0 + length).div_ceil(1000);
        if self.period.1 >= limit {
            return Err((0, reset));
        }
        self.period.1 += 1;
        Ok((limit - self.period.1, reset))
    }
}

/// Milliseconds of Unix time, which the panel's limit is told in.
#[expect(clippy::disallowed_methods, reason = "the gateway compares what the panel tells with the time of day")]
pub fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock");
    u64::try_from(since.as_millis()).expect("milliseconds")
}

fn with_limit(answer: Answer, limit: u32, (left, reset): (u32, u64)) -> Answer {
    let told = [
        ("x-ratelimit-limit", limit.to_string()),
        ("x-ratelimit-remaining", left.to_string()),
        ("x-ratelimit-reset", reset.to_string()),
    ];
    match answer {
        Answer::Json(status, value) => {
            let headers = told.into_iter().chain([("content-type", "application/json".to_owned())]).collect();
            Answer::Raw(status, headers, Bytes::from(value.to_string()))
        }
        Answer::Raw(status, headers, body) => Answer::Raw(status, headers.into_iter().chain(told).collect(), body),
        other => other,
    }
}

fn unknown() -> Answer {
    refused(404, "NOT_FOUND", "Installation not found")
}

/// What a browser would show there.
fn page() -> Answer {
    const PAGE: &[u8] = b"<!doctype html><html><body><div id=\"app\"></div></body></html>";
    Answer::Raw(200, vec![("content-type", "text/html; charset=utf-8".to_owned())], Bytes::from_static(PAGE))
}
