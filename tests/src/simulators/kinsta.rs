//! Kinsta: sites, environments, backups, domains and operations as its OpenAPI document (1.87.0) describes them.
//!
//! Invariant: a change is an operation that is unknown at first, then under way, then done, and only then is its effect there.
//! Our assumptions, for which the document has no word: the tag of a manual backup comes back as its note, a new domain isn't
//! active, what is deleted answers 404, and after which number of requests an operation has come how far.

mod operation;
mod site;

use super::{Request, World};
use crate::Answer;
use operation::{Effect, Operation};
use serde_json::{Value, json};
use site::{Environment, Site};
use std::collections::BTreeMap;

pub const KEY: &str = "kinsta-simulators-key";
pub const COMPANY: &str = "54fb80af-576c-4fdc-ba4f-b596c83f15a1";
const USER: &str = "0b7e2f7c-93f1-4a0c-8a9b-0f6f3d8f1c11";
const ARCHIVE: &str = "1915fa3a-7ef4-4766-806d-71104be7deb0";
const NOBODY: &str = "No or invalid API key provided to the request";
const NOTHING: &str = "Could not find data or the user does not have permissions to retrieve it";
const BAD: &str = "Bad request format";

#[derive(Default)]
pub struct Kinsta {
    sites: Vec<Site>,
    operations: BTreeMap<String, Operation>,
    last: u64,
    /// For so many requests, its own included, a new operation is unknown, then for so many it runs.
    pub unknown_for: u32,
    pub running_for: u32,
    /// The next operation ends badly, with these words.
    pub next_fails: Option<&'static str>,
    /// How often which operation was begun: `sites:add`.
    pub begun: BTreeMap<&'static str, usize>,
    /// Where an archive of each environment can be downloaded, if anywhere.
    pub archive: Option<String>,
    /// Bodies of the changes, as they arrived.
    pub changes: Vec<Value>,
}

impl Kinsta {
    pub fn new() -> Self {
        Self { unknown_for: 2, running_for: 1, ..Self::default() }
    }

    pub fn sites(&self) -> Vec<&str> {
        self.sites.iter().map(|site| site.name.as_str()).collect()
    }

    /// One that was there before.
    pub fn add_site(&mut self, name: &str) {
        self.carry_out(Effect::NewSite { name: name.to_owned(), wordpress: true });
    }

    pub fn backups(&self) -> usize {
        self.sites.iter().flat_map(|site| &site.environments).map(|environment| environment.backups.len()).sum()
    }

    /// The last change's body.
    pub fn last_change(&self) -> Value {
        self.changes.last().cloned().unwrap_or_default()
    }

    fn uuid(&mut self) -> String {
        self.last += 1;
        format!("{:08x}-576c-4fdc-ba4f-b596c83f15a1", self.last)
    }

    fn begin(&mut self, what: &'static str, effect: Effect) -> Answer {
        *self.begun.entry(what).or_default() += 1;
        let id = format!("{what}-{}", self.uuid());
        let fails = self.next_fails.take();
        let (unknown, running) = (self.unknown_for, self.running_for);
        self.operations.insert(id.clone(), Operation { unknown, running, fails, effect: Some(effect) });
        Answer::Json(202, json!({"operation_id": id, "message": format!("{what} in progress"), "status": 202}))
    }

    fn look(&self, id: &str) -> Answer {
        let Some(operation) = self.operations.get(id).filter(|operation| operation.unknown == 0) else {
            return refusal(404, NOTHING);
        };
        if operation.running > 0 {
            return Answer::Json(202, json!({"message": "Operation in progress", "status": 202}));
        }
        match operation.fails {
            Some(words) => refusal(500, words),
            None => Answer::Json(200, json!({"message": "Successfully finished request", "status": 200, "data": null})),
        }
    }

    /// Everything under way comes one step further with each request, whatever it asks for.
    fn age(&mut self) {
        let ended: Vec<(String, Effect)> =
            self.operations.iter_mut().filter_map(|(id, operation)| Some((id.clone(), operation.age()?))).collect();
        for (id, effect) in ended {
            if !self.deletes_nothing(&effect) {
                self.carry_out(effect);
            } else if let Some(operation) = self.operations.get_mut(&id) {
                operation.fails = Some("The command failed");
            }
        }
    }

    fn environment(&mut self, id: &str) -> Option<&mut Environment> {
        self.sites.iter_mut().flat_map(|site| &mut site.environments).find(|environment| environment.id == id)
    }

    fn site(&self, id: &str) -> Option<&Site> {
        self.sites.iter().find(|site| site.id == id)
    }

    fn read(&mut self, path: &[&str], request: &Request) -> Option<Answer> {
        let ok = |value: Value| Some(Answer::Json(200, value));
        match path {
            ["validate"] => ok(json!({"name": "key", "expires_at": null, "company": COMPANY, "status": "active"})),
            ["company", COMPANY, "users"] => ok(
                json!({"company": {"users": [{"user": {"id": USER, "email": "a@b.example", "image": "https://b.example/i", "full_name": "A B"}}]}}),
            ),
            ["sites"] if request.query("company") != Some(COMPANY) => None,
            ["sites"] => ok(json!({"company": {"sites": self.sites.iter().map(Site::json).collect::<Vec<_>>()}})),
            ["sites", id] => ok(json!({"site": self.site(id)?.json()})),
            ["sites", id, "environments"] => ok(
                json!({"site": {"environments": self.site(id)?.environments.iter().map(Environment::json).collect::<Vec<_>>()}}),
            ),
            ["sites", id, "usage", "visits", "this-month"] => {
                ok(json!({"site": {"id": self.site(id)?.id, "this_month_usage": {"visits": 100}}}))
            }
            ["sites", id, "usage", "bandwidth", "this-month"] => {
                ok(json!({"site": {"id": self.site(id)?.id, "this_month_usage": {"bandwidth": 2000}}}))
            }
            ["sites", id, "usage", "cdn-bandwidth", "this-month"] => {
                ok(json!({"site": {"id": self.site(id)?.id, "this_month_cdn_usage": {"bandwidth": 3000}}}))
            }
            ["sites", "environments", "domains", id, "verification-records"] => ok(json!({"site_domain": {
                "verification_records": [{"name": "_acme-challenge", "value": format!("{id}.kinstavalidation.app"), "type": "CNAME"}],
                "pointing_records": [{"name": "@", "value": "192.0.2.10", "type": "A"}]}})),
            ["sites", "environments", id, "downloadable-backups"] => {
                let name = self.environment(id)?.name.clone();
                let archive = |link: &String| json!({"id": ARCHIVE, "created_at": 1_665_382_600_770_u64, "is_generation_in_progress": false, "download_link": link});
                let archives: Vec<Value> = self.archive.iter().map(archive).collect();
                ok(json!({"environment": {"display_name": name, "downloadable_backups": archives}}))
            }
            ["sites", "environments", id, rest @ ..] => self.environment(id)?.read(rest),
            _ => None,
        }
    }

    fn change(&mut self, method: &str, path: &[&str], body: &Value) -> Option<Answer> {
        let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
        match (method, path) {
            ("POST", ["sites"] | ["sites", "plain"]) => {
                let wordpress = path.len() == 1;
                let wanted: &[&str] =
                    if wordpress { &["admin_email", "admin_password", "admin_user", "site_title", "wp_language"] } else { &[] };
                if text("company") != COMPANY || text("region").is_empty() || wanted.iter().any(|name| text(name).is_empty()) {
                    return Some(refusal(400, BAD));
                }
                let what = if wordpress { "sites:add" } else { "sites:add-plain" };
                Some(self.begin(what, Effect::NewSite { name: text("display_name"), wordpress }))
            }
            ("POST", ["sites", "clone"]) => {
                let wordpress = self.environment(&text("source_env_id"))?.wordpress.is_some();
                Some(self.begin("site:clone", Effect::NewSite { name: text("display_name"), wordpress }))
            }
            ("DELETE", ["sites", id]) => {
                let id = self.site(id)?.id.clone();
                Some(self.begin("sites:delete", Effect::NoSite(id)))
            }
            ("PUT", ["sites", "tools", "modify-php-version"]) => {
                let environment = self.environment(&text("environment_id"))?.id.clone();
                Some(self.begin("php:modify-version", Effect::Php { environment, version: text("php_version") }))
            }
            (
                "POST",
                ["sites", "tools", "clear-cache"] | ["sites", "edge-caching", "clear"] | ["sites", "cdn", "clear-cache"],
            ) => {
                let _ = self.environment(&text("environment_id"))?;
                Some(self.begin("cache:clear", Effect::Nothing))
            }
            ("PUT", ["sites", "edge-caching", "status"]) => {
                let environment = self.environment(&text("environment_id"))?.id.clone();
                let enabled = body["enabled"].as_bool()?;
                Some(self.begin("edge-cache:switch", Effect::EdgeCache { environment, enabled }))
            }
            ("POST", ["sites", id, "environments", rest @ ..]) => {
                let (site, name) = (self.site(id)?.id.clone(), text("display_name"));
                let wordpress = rest != ["plain"];
                Some(self.begin("environment:add", Effect::NewEnvironment { site, name, wordpress }))
            }
            ("PUT", ["sites", id, "environments"]) => {
                let _ = self.site(id)?;
                Some(self.begin("environments:push", Effect::Nothing))
            }
            ("DELETE", ["sites", "environments", "backups", id]) => {
                Some(self.begin("backups:remove", Effect::NoBackup(id.parse().ok()?)))
            }
            ("DELETE", ["sites", "environments", id]) => {
                let id = self.environment(id)?.id.clone();
                Some(self.begin("environments:delete", Effect::NoEnvironment(id)))
            }
            (_, ["sites", "environments", id, rest @ ..]) => {
                let environment = self.environment(id)?.id.clone();
                self.change_inside(method, environment, rest, body)
            }
            _ => None,
        }
    }

    fn change_inside(&mut self, method: &str, environment: String, rest: &[&str], body: &Value) -> Option<Answer> {
        let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
        match (method, rest) {
            ("POST", ["manual-backups"]) => {
                Some(self.begin("backups:add-manual", Effect::NewBackup { environment, tag: text("tag") }))
            }
            ("POST", ["backups", "restore"]) => {
                // The path's environment is the target: the backup may be of another one of the site.
                let site = self.sites.iter().find(|site| site.environments.iter().any(|one| one.id == environment))?;
                let mut backups = site.environments.iter().flat_map(|one| &one.backups);
                let known = backups.any(|backup| json!(backup.id) == body["backup_id"]);
                let told = text("notified_user_id") == USER;
                Some(if known && told { self.begin("backups:restore", Effect::Nothing) } else { refusal(400, BAD) })
            }
            ("POST", ["domains"]) => {
                Some(self.begin("sites:add-domain", Effect::NewDomain { environment, name: text("domain_name") }))
            }
            ("DELETE", ["domains"]) => {
                let ids = body["domain_ids"].as_array()?.iter().filter_map(Value::as_str).map(str::to_owned).collect();
                Some(self.begin("sites:delete-domain", Effect::NoDomains { environment, ids }))
            }
            ("PUT", ["change-primary-domain"]) => {
                Some(self.begin("sites:change-primary-domain", Effect::Primary { environment, id: text("domain_id") }))
            }
            ("POST", ["run-wp-cli-command"]) => {
                Some(self.begin("environment:run-wp-cli-command", Effect::Command { environment, command: text("wp_command") }))
            }
            ("PUT", [kind @ ("plugins" | "themes")]) => {
                let (name, version) = (text("name"), text("update_version"));
                let (what, kind) =
                    if *kind == "plugins" { ("wp-plugin:update", "plugin") } else { ("wp-theme:update", "theme") };
                Some(self.begin(what, Effect::Extension { environment, kind, name, version }))
            }
            _ => None,
        }
    }
}

impl World for Kinsta {
    fn answer(&mut self, request: &Request) -> Answer {
        if request.header("authorization") != Some(&format!("Bearer {KEY}")) {
            return refusal(401, NOBODY);
        }
        let (method, path) = request.parts();
        let answer = match (method, path.as_slice()) {
            ("GET", ["v2", "operations", id]) => Some(self.look(id)),
            ("GET", ["v2", rest @ ..]) => self.read(rest, request),
            (_, ["v2", rest @ ..]) => {
                let body = request.json();
                self.changes.push(body.clone());
                self.change(method, rest, &body)
            }
            _ => None,
        };
        self.age();
        answer.unwrap_or_else(|| refusal(404, NOTHING))
    }
}

fn refusal(status: u16, message: &str) -> Answer {
    Answer::Json(status, json!({"message": message, "status": status, "data": null}))
}
