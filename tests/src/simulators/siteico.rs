//! SiteICO's panel, as its API reference has it: the endpoints, the session cookie of a login, and `{"error": text}`.
//!
//! Everything else is our assumption: what bodies hold, that lists are wrapped, that work takes a few looks, that a session which
//! has run out can be refreshed and one that was ended can't. Invariant: without a session, nothing but the login answers.

use super::{Request, World};
use crate::Answer;
use bytes::Bytes;
use serde_json::{Value, json};

/// Looks at a site or backup before its work is done. Assumed.
const LOOKS: u32 = 1;
const COOKIE: &str = "siteico_session";

pub struct SiteIco {
    username: String,
    password: String,
    sessions: Vec<Session>,
    pub sites: Vec<Site>,
    made: u64,
    pub logins: usize,
    pub refreshes: usize,
    /// Whether an id with zeros before it is the same. Assumed.
    pub reads_numbers: bool,
}

struct Session {
    id: String,
    has_run_out: bool,
}

pub struct Site {
    pub id: String,
    pub name: String,
    pub status: &'static str,
    /// What it becomes, after so many looks.
    next: Option<(u32, &'static str)>,
    backups: Vec<Backup>,
    domains: Vec<(String, bool)>,
}

struct Backup {
    id: String,
    looks: u32,
    description: Value,
}

impl SiteIco {
    pub fn new(username: &str, password: &str) -> Self {
        Self {
            username: username.to_owned(),
            password: password.to_owned(),
            sessions: Vec::new(),
            sites: Vec::new(),
            made: 0,
            logins: 0,
            refreshes: 0,
            reads_numbers: false,
        }
    }

    /// All sessions need a refresh.
    pub fn run_out(&mut self) {
        self.sessions.iter_mut().for_each(|session| session.has_run_out = true);
    }

    /// All sessions are over, as after a change of the password elsewhere.
    pub fn end_sessions(&mut self) {
        self.sessions.clear();
    }

    pub fn change_password(&mut self, password: &str) {
        self.end_sessions();
        password.clone_into(&mut self.password);
    }

    fn number(&mut self) -> u64 {
        self.made += 1;
        self.made
    }

    fn session(&mut self) -> Answer {
        let id = format!("s3ss10n-{:08}", self.number());
        let cookie = format!("{COOKIE}={id}; Path=/; HttpOnly; SameSite=Lax");
        self.sessions.push(Session { id, has_run_out: false });
        let headers = vec![("set-cookie", cookie), ("content-type", "application/json".to_owned())];
        Answer::Raw(200, headers, Bytes::from_static(b"{\"ok\":true}"))
    }

    fn held(&self, request: &Request) -> Option<usize> {
        let cookies = request.header("cookie").unwrap_or_default().split("; ");
        let shown = cookies.filter_map(|pair| pair.split_once('=')).find(|(name, _)| *name == COOKIE)?.1;
        self.sessions.iter().position(|session| session.id == shown)
    }

    fn auth(&mut self, request: &Request, action: &str) -> Answer {
        match (action, self.held(request)) {
            ("login", _) => {
                let body = request.json();
                self.logins += 1;
                let good = body["username"] == self.username.as_str() && body["password"] == self.password.as_str();
                if good { self.session() } else { error(401, "invalid username or password") }
            }
            ("refresh", Some(held)) => {
                self.refreshes += 1;
                self.sessions.remove(held);
                self.session()
            }
            ("refresh", None) => {
                self.refreshes += 1;
                error(401, "no session to refresh")
            }
            ("logout", Some(held)) => {
                self.sessions.remove(held);
                Answer::Json(200, json!({}))
            }
            _ => error(401, "not logged in"),
        }
    }

    /// One that was there before.
    pub fn add_site(&mut self, name: &str) {
        self.add(&json!(name));
        self.sites.iter_mut().for_each(|site| (site.status, site.next) = ("running", None));
    }

    fn add(&mut self, name: &Value) -> Answer {
        let Some(name) = name.as_str().filter(|name| !name.is_empty()) else { return error(400, "name is required") };
        if self.sites.iter().any(|site| site.name == name) {
            return error(400, "site name already exists");
        }
        let id = self.number();
        let site = Site {
            id: id.to_string(),
            name: name.to_owned(),
            status: "creating",
            next: Some((LOOKS, "running")),
            backups: Vec::new(),
            domains: Vec::new(),
        };
        let answer = site.view();
        self.sites.push(site);
        Answer::Json(201, json!({"site": answer}))
    }

    fn of_site(&mut self, id: &str, request: &Request, rest: &[&str]) -> Answer {
        let number = self.made + 1;
        let id = if self.reads_numbers { id.trim_start_matches('0') } else { id };
        let Some(place) = self.sites.iter().position(|site| site.id == id) else { return error(404, "site not found") };
        let site = &mut self.sites[place];
        match (request.method.as_str(), rest) {
            ("GET", []) => {
                site.look();
                // It was being removed, and now is.
                if site.status == "gone" {
                    self.sites.remove(place);
                    return error(404, "site not found");
                }
                Answer::Json(200, json!({"site": site.view()}))
            }
            ("DELETE", []) => site.begin(202, "deleting", "gone"),
            ("POST", ["start"]) => site.begin(202, "starting", "running"),
            ("POST", ["stop"]) => site.begin(202, "stopping", "stopped"),
            ("POST", ["clone"]) => {
                let name = request.json()["name"].clone();
                self.add(&name)
            }
            ("GET", ["backups"]) => {
                site.backups.iter_mut().for_each(|backup| backup.looks = backup.looks.saturating_sub(1));
                Answer::Json(200, json!({"backups": site.backups.iter().map(Backup::view).collect::<Vec<_>>()}))
            }
            ("POST", ["backups"]) => {
                self.made = number;
                let description = request.json()["description"].clone();
                site.backups.push(Backup { id: format!("b{number}"), looks: LOOKS, description });
                // Tells nothing, so that the provider has to find it.
                Answer::Json(202, json!({}))
            }
            ("POST", ["backups", id, "restore"]) if site.backups.iter().any(|backup| backup.id == *id) => {
                site.begin(202, "restoring", "running")
            }
            ("DELETE", ["backups", id]) if site.backups.iter().any(|backup| backup.id == *id) => {
                site.backups.retain(|backup| backup.id != *id);
                Answer::Json(200, json!({}))
            }
            (_, ["backups", ..]) => error(404, "backup not found"),
            (_, ["domains", rest @ ..]) => site.domain(request, rest),
            _ => error(404, "no such endpoint"),
        }
    }
}

impl Site {
    fn view(&self) -> Value {
        let primary = self.domains.iter().find(|(_, primary)| *primary).map(|(name, _)| name);
        let id: u64 = self.id.parse().unwrap_or_default();
        json!({
            "id": id, "name": self.name, "status": self.status, "domain": primary, "phpVersion": "8.3",
            "createdAt": "2026-11-01T00:00:00Z", "webserver": "nginx", "adminPassword": "never-to-be-seen-1",
        })
    }

    fn look(&mut self) {
        self.next = match self.next {
            Some((0, status)) => {
                self.status = status;
                None
            }
            Some((looks, status)) => Some((looks - 1, status)),
            None => None,
        };
    }

    fn begin(&mut self, status: u16, now: &'static str, then: &'static str) -> Answer {
        (self.status, self.next) = (now, Some((LOOKS, then)));
        Answer::Json(status, json!({"status": now}))
    }

    fn domain(&mut self, request: &Request, rest: &[&str]) -> Answer {
        let known = |name: &str, domains: &[(String, bool)]| domains.iter().any(|(own, _)| own == name);
        match (request.method.as_str(), rest) {
            ("GET", []) => {
                let view = |(name, primary): &(String, bool)| json!({"domain": name, "primary": primary, "verified": true});
                Answer::Json(200, json!({"domains": self.domains.iter().map(view).collect::<Vec<_>>()}))
            }
            ("POST", []) => match request.json()["domain"].as_str() {
                None => error(400, "domain is required"),
                Some(name) if known(name, &self.domains) => error(400, "domain already exists"),
                Some(name) => {
                    self.domains.push((name.to_owned(), false));
                    Answer::Json(201, json!({}))
                }
            },
            ("DELETE", [name]) if known(name, &self.domains) => {
                self.domains.retain(|(own, _)| own != name);
                Answer::Raw(204, Vec::new(), Bytes::new())
            }
            ("PUT", [name, "primary"]) if known(name, &self.domains) => {
                self.domains.iter_mut().for_each(|(own, primary)| *primary = own == name);
                Answer::Json(200, json!({}))
            }
            _ => error(404, "domain not found"),
        }
    }
}

impl Backup {
    fn view(&self) -> Value {
        let status = if self.looks == 0 { "completed" } else { "in_progress" };
        json!({"id": self.id, "status": status, "size": 1024, "description": self.description, "createdAt": "2026-11-02T00:00:00Z"})
    }
}

fn error(status: u16, text: &str) -> Answer {
    Answer::Json(status, json!({"error": text}))
}

impl World for SiteIco {
    fn answer(&mut self, request: &Request) -> Answer {
        let (method, path) = request.parts();
        if let ("POST", ["api", "auth", action]) = (method, &path[..]) {
            return self.auth(request, action);
        }
        if self.held(request).is_none_or(|held| self.sessions[held].has_run_out) {
            return error(401, "session expired");
        }
        match (method, &path[..]) {
            ("GET", ["api", "sites"]) => {
                Answer::Json(200, json!({"sites": self.sites.iter().map(Site::view).collect::<Vec<_>>()}))
            }
            ("POST", ["api", "sites"]) => {
                let name = request.json()["name"].clone();
                self.add(&name)
            }
            (_, ["api", "sites", id, rest @ ..]) => self.of_site(id, request, rest),
            ("GET", ["api", "billing", "subscription"]) => Answer::Json(
                200,
                json!({"subscription": {"plan": "pro", "status": "active", "amount": 1900, "currency": "usd"}}),
            ),
            ("POST", ["api", "billing", "checkout"]) => Answer::Json(200, json!({"url": "https://checkout.stripe.com/c/1"})),
            ("GET", ["api", "billing", "invoices"]) => {
                let invoice =
                    |number: u32| json!({"id": format!("in_{number}"), "status": "paid", "total": 1900, "currency": "usd"});
                Answer::Json(200, json!({"invoices": (1..=3).map(invoice).collect::<Vec<_>>()}))
            }
            ("GET", ["api", "billing", "usage"]) => {
                Answer::Json(200, json!({"sites": self.sites.len(), "storage": 1024, "bandwidth": 10}))
            }
            _ => error(404, "no such endpoint"),
        }
    }
}
