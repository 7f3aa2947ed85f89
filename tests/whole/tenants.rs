//! Two organizations on one gateway: neither sees, changes or learns anything of the other, whatever endpoint it asks.
//!
//! The requests are made from the API's document, so an endpoint that is new is asked as well. Invariant: what is asked with
//! another organization's id is answered as if nobody had it, whatever the role and the credential; the same questions with the
//! owner's token prove that it is there.

mod askers;
mod twins;

use askers::{Asker, everybody};
use bytes::Bytes;
use http::Method;
use portico_tests::{Api, Gateway, Reply, gateway::root};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Stands in all that the first organization wrote, and in no id of it: an id is repeated to whoever sent it.
const MARK: &str = "zanzibar";

/// An endpoint of the document.
pub struct Endpoint {
    pub method: Method,
    pub path: String,
    pub operation: Value,
}

pub fn endpoints() -> Vec<Endpoint> {
    let document = std::fs::read(root().join("gateway/openapi.json")).expect("the API's document");
    let document: Value = serde_json::from_slice(&document).expect("JSON");
    let mut all = Vec::new();
    for (path, methods) in document["paths"].as_object().expect("paths") {
        for (method, operation) in methods.as_object().expect("methods") {
            let method = method.to_uppercase().parse().expect("a method");
            all.push(Endpoint { method, path: path.clone(), operation: operation.clone() });
        }
    }
    all
}

impl Endpoint {
    pub fn parameters(&self) -> Vec<&str> {
        self.path.split('/').filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}')).collect()
    }

    fn has_query(&self, name: &str) -> bool {
        let parameters = self.operation["parameters"].as_array().expect("parameters");
        parameters.iter().any(|one| one["in"] == "query" && one["name"] == name)
    }

    /// It asks for no credential.
    pub fn is_open(&self) -> bool {
        self.operation["security"] == json!([])
    }

    /// It is about the caller's own account or session, which a token doesn't have.
    pub fn is_for_people(&self) -> bool {
        self.path.starts_with("/auth/") || self.path == "/account"
    }

    pub fn is_stream(&self) -> bool {
        !self.operation["responses"]["200"]["content"]["text/event-stream"].is_null()
    }

    pub fn fill(&self, ids: &Ids) -> String {
        let segment = |segment: &str| match segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
            Some(name) => ids.get(name).unwrap_or_else(|| panic!("no {name} for {}", self.path)).clone(),
            None => segment.to_owned(),
        };
        self.path.split('/').map(segment).collect::<Vec<_>>().join("/")
    }

    /// The document's example, about this connection.
    pub fn body(&self, connection: &str) -> Option<Value> {
        let mut body = self.operation["requestBody"]["content"]["application/json"]["example"].clone();
        if body["connection"].is_string() {
            body["connection"] = json!(connection);
        }
        // A token gets what its maker has, however little that is.
        if self.path.starts_with("/tokens")
            && let Some(fields) = body.as_object_mut()
        {
            fields.retain(|name, _| name != "scopes" && name != "role");
        }
        (!body.is_null()).then_some(body)
    }

    pub async fn send(&self, api: &Api, path: &str, connection: &str) -> Reply {
        let wait = ("prefer", "wait=30");
        match self.body(connection) {
            Some(body) => api.json(self.method.clone(), path, &[wait], &body).await,
            None if self.operation["requestBody"].is_null() => api.send(self.method.clone(), path, &[wait], Bytes::new()).await,
            None => api.send(self.method.clone(), path, &[], Bytes::from_static(b"a blob")).await,
        }
    }
}

/// By the names that paths have for them.
pub type Ids = BTreeMap<&'static str, String>;

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("not a text: {value}")).to_owned()
}

/// Makes one of everything on a new connection, and tells the ids.
async fn furnish(api: &Api, connection: &str) -> Ids {
    let settings = json!({"work_seconds": 0, "blob_url": "http://127.0.0.1:9"});
    let body = json!({"id": connection, "provider": "sandbox", "name": format!("{MARK} host"), "settings": settings});
    let _ = api.post("/connections", &body).await.is(201);
    let labels = json!({"client": MARK});
    let body = json!({"connection": connection, "name": format!("{MARK} shop"), "title": MARK, "labels": labels});
    let made = api.post("/sites", &body).await.is(201).json();
    let site = text(&made["result"]["id"]);
    let under = async |what: &str, body: Value| {
        let made = api.post(&format!("/sites/{site}/{what}"), &body).await.is(201).json();
        text(if made["result"].is_null() { &made["id"] } else { &made["result"]["id"] })
    };
    let file = json!({"path": format!("/{MARK}"), "size": 6, "blake3": "a".repeat(64), "sha256": "a".repeat(64)});
    let source = json!({"type": "git", "repository": format!("https://git.example/{MARK}.git")});
    let token = api.post("/tokens", &json!({"name": format!("{MARK} token")})).await.is(201).json();
    let invite = async |who: &str| {
        let body = json!({"email": format!("{who}-{connection}-{MARK}@example.com"), "role": "viewer"});
        api.post("/invitations", &body).await.is(201).json()
    };
    let (invitation, accepted) = (invite("open").await, invite("accepted").await);
    let body = json!({"token": accepted["token"], "password": "several words that I remember"});
    let member = api.post("/invitations/accept", &body).await.is(201).json();
    let ids = [
        ("environment", under("environments", json!({"name": "first-only"})).await),
        ("backup", under("backups", json!({"description": MARK})).await),
        ("domain", {
            let _ = under("domains", json!({"name": "first-only.example.com"})).await;
            "first-only.example.com".to_owned()
        }),
        ("deployment", under("deployments", json!({"source": source, "message": MARK, "environment": "first-only"})).await),
        ("plan", under("deployments/plans", json!({"files": [file], "message": MARK})).await),
        ("plugin", under("wordpress/plugins", json!({"source": "first-only-plugin"})).await),
        ("theme", under("wordpress/themes", json!({"source": "first-only-theme"})).await),
        ("hash", "a".repeat(64)),
        ("operation", text(&made["id"])),
        ("token", text(&token["id"])),
        ("member", text(&member["user"]["id"])),
        ("invitation", text(&invitation["id"])),
        ("connection", connection.to_owned()),
        ("provider", "sandbox".to_owned()),
        ("site", site.clone()),
    ];
    ids.into()
}

struct World {
    _gateway: Gateway,
    first: Api,
    /// Of the first organization: on a connection whose id it alone has, and on one that both have.
    only: Ids,
    shared: Ids,
    /// Everybody of the second organization, and a site of it.
    askers: Vec<Asker>,
    own: Ids,
}

impl World {
    async fn new() -> Self {
        let gateway = Gateway::start().await;
        let first = gateway.api.with_token(&gateway.new_token("first"));
        let askers = everybody(&gateway, "second").await;
        let second = &askers[0].api;
        let (only, shared) = (furnish(&first, "only-first").await, furnish(&first, "shared").await);
        let settings = json!({"work_seconds": 0, "blob_url": "http://127.0.0.1:9"});
        let body = json!({"id": "shared", "provider": "sandbox", "name": "Second host", "settings": settings});
        let _ = second.post("/connections", &body).await.is(201);
        let made = second.post("/sites", &json!({"connection": "shared", "name": "Second shop"})).await.is(201).json();
        let own = [("site", text(&made["result"]["id"]))].into();
        Self { _gateway: gateway, first, only, shared, askers, own }
    }

    /// Ids of the first organization for this endpoint, each time with ones that nobody has. None where it takes none, as what is
    /// about the caller's own account or session (`/auth/…`, `/account`) and what asks for no credential: these stay out.
    fn questions(&self, endpoint: &Endpoint) -> Vec<(Ids, Ids)> {
        let parameters = endpoint.parameters();
        let is_owned = parameters.iter().any(|name| OWNED.contains(name));
        let mut all = Vec::new();
        if is_owned || parameters == ["connection"] {
            all.push((self.only.clone(), nobodys(&self.only)));
        }
        // The connection that both have is the second one's own.
        if is_owned {
            all.push((self.shared.clone(), nobodys(&self.shared)));
        }
        // What belongs to a site isn't found under another site, either.
        if parameters.contains(&"site") && parameters.iter().any(|name| OWNED.contains(name) && *name != "site") {
            let under_own = |ids: Ids| ids.into_iter().chain(self.own.clone()).collect();
            all.push((under_own(self.only.clone()), under_own(nobodys(&self.only))));
        }
        all
    }

    /// All that the first organization can read, but for times of looking.
    async fn state(&self) -> Vec<(String, Value)> {
        let mut state = Vec::new();
        for ids in [&self.only, &self.shared] {
            for endpoint in endpoints().iter().filter(|one| one.method == Method::GET && !one.is_stream()) {
                let path = endpoint.fill(ids);
                // Made up as they are asked for, or somebody else's answer.
                if path.ends_with("/logs") || path.ends_with("/download") || path.starts_with("/billing/") {
                    continue;
                }
                let reply = self.first.send(Method::GET, &path, &[("cache-control", "no-cache")], Bytes::new()).await;
                assert_eq!(reply.status, 200, "its owner can't read {path}: {}", reply.text());
                state.push((path, timeless(reply.json())));
            }
        }
        state
    }
}

fn timeless(mut value: Value) -> Value {
    match &mut value {
        Value::Object(fields) => {
            for name in ["as_of", "last_used_at", "health", "checked_at", "next_cursor"] {
                fields.remove(name);
            }
            fields.values_mut().for_each(|value| *value = timeless(value.take()));
        }
        Value::Array(items) => items.iter_mut().for_each(|value| *value = timeless(value.take())),
        _ => {}
    }
    value
}

/// Nothing that the first organization wrote is in the answer.
#[track_caller]
fn tells_nothing(reply: &Reply, what: &str) {
    let said = format!("{:?} {}", reply.headers, String::from_utf8_lossy(&reply.body)).to_lowercase();
    assert!(!said.contains(MARK), "{what} tells of another organization: {said}");
}

/// What belongs to an organization, in paths.
const OWNED: [&str; 12] = [
    "site",
    "environment",
    "backup",
    "domain",
    "deployment",
    "plan",
    "plugin",
    "theme",
    "operation",
    "token",
    "member",
    "invitation",
];

/// Of the same forms, and nobody's.
fn nobodys(theirs: &Ids) -> Ids {
    let connection = if theirs["connection"] == "shared" { "shared" } else { "nobodys" };
    let zeros = "0".repeat(32);
    let made_up = |(&name, id): (&&'static str, &String)| {
        let id = match name {
            "token" | "member" | "invitation" => "00000000-0000-7000-8000-000000000000".to_owned(),
            "operation" => format!("op_{zeros}"),
            "connection" => connection.to_owned(),
            "site" => format!("{connection}~site-{zeros}"),
            "domain" => "nobodys.example.com".to_owned(),
            _ if OWNED.contains(&name) => format!("nobodys-{name}"),
            _ => id.clone(),
        };
        (name, id)
    };
    theirs.iter().map(made_up).collect()
}

/// An answer without what repeats the question, or is of this one request.
fn said(reply: &Reply) -> (u16, Value) {
    let mut value = timeless(reply.json());
    for name in ["detail", "error", "instance", "request_id", "operation"] {
        value.as_object_mut().expect("an object").remove(name);
    }
    (reply.status.as_u16(), value)
}

/// Asks for what the first organization has, and for what nobody has: the answers are alike. Out comes their status.
async fn ask(asker: &Asker, endpoint: &Endpoint, theirs: &Ids, nobodys: &Ids) -> u16 {
    let path = endpoint.fill(theirs);
    let what = format!("{}: {} {path}", asker.who, endpoint.method);
    let reply = endpoint.send(&asker.api, &path, &theirs["connection"]).await;
    tells_nothing(&reply, &what);
    is_refused(asker, &reply, &what);
    let absent = endpoint.send(&asker.api, &endpoint.fill(nobodys), &nobodys["connection"]).await;
    assert_eq!(said(&reply), said(&absent), "{what}");
    if endpoint.method == Method::GET {
        let head = asker.api.send(Method::HEAD, &path, &[], Bytes::new()).await;
        tells_nothing(&head, &what);
        assert_eq!(head.status, reply.status, "{what}");
    }
    reply.status.as_u16()
}

/// It isn't there; or the role may do no such thing, whatever is there. An owner may do everything.
#[track_caller]
fn is_refused(asker: &Asker, reply: &Reply, what: &str) {
    assert!(!reply.status.is_success(), "{what}: {}: {}", reply.status, reply.text());
    let problem = reply.json();
    let code = problem["code"].as_str().expect("a code");
    let is_absent = reply.status == 404 && ["not_found", "connection_not_found"].contains(&code);
    let may_not = asker.role != "owner" && reply.status == 403 && code == "forbidden";
    assert!(is_absent || may_not, "{what}: {problem}");
}

async fn ids_are_nobodys(world: &World, asker: &Asker) -> usize {
    let mut statuses = Vec::new();
    for endpoint in endpoints() {
        for (theirs, nobodys) in world.questions(&endpoint) {
            statuses.push(ask(asker, &endpoint, &theirs, &nobodys).await);
        }
    }
    // A viewer may read alone.
    let absent = statuses.iter().filter(|status| **status == 404).count();
    assert!(absent > 30, "{}: only {absent} of {} were for the role", asker.who, statuses.len());
    statuses.len()
}

/// Names in queries and bodies: answered as for one that nobody has.
async fn names_are_nobodys(asker: &Asker) -> usize {
    let mut asked = 0;
    for endpoint in endpoints() {
        let in_query = endpoint.has_query("connection") && endpoint.parameters().is_empty();
        let in_body = endpoint.body("x").is_some_and(|body| body["connection"] == "x");
        if (!in_query && !in_body) || endpoint.is_stream() {
            continue;
        }
        let ask = async |connection: &str| {
            let path = if in_query { format!("{}?connection={connection}", endpoint.path) } else { endpoint.path.clone() };
            let reply = endpoint.send(&asker.api, &path, connection).await;
            tells_nothing(&reply, &format!("{}: {path}", asker.who));
            said(&reply)
        };
        let (theirs, absent) = (ask("only-first").await, ask("nobodys").await);
        assert_eq!(theirs, absent, "{}: {} {}", asker.who, endpoint.method, endpoint.path);
        asked += 1;
    }
    asker.api.get("/events?connection=only-first").await.problem(404, "connection_not_found");
    let expected = if asker.is_admin() { (422, json!("connections[0]")) } else { (403, Value::Null) };
    for connection in ["only-first", "nobodys"] {
        let limited = asker.api.post("/tokens", &json!({"name": "t", "connections": [connection]})).await;
        assert_eq!((limited.status.as_u16(), limited.json()["fields"][0]["field"].clone()), expected, "{}", asker.who);
    }
    asked
}

/// What is listed is one's own; some lists aren't for every role.
async fn lists_are_ones_own(world: &World, asker: &Asker) -> usize {
    let mut listed = 0;
    for endpoint in endpoints().iter().filter(|one| one.method == Method::GET && !one.is_stream()) {
        if !endpoint.parameters().is_empty() && endpoint.parameters() != ["provider"] {
            continue;
        }
        let path = endpoint.fill(&[("provider", "sandbox".to_owned())].into());
        let (reply, what) = (asker.api.get(&path).await, format!("{}: {path}", asker.who));
        tells_nothing(&reply, &what);
        let may_not = !asker.is_admin() && reply.status == 403;
        assert!(reply.status == 200 || may_not, "{what}: {}", reply.text());
        listed += usize::from(reply.status == 200);
    }
    let ids = async |path: &str| {
        let list = asker.api.get(path).await.is(200).json();
        list["data"].as_array().expect("data").iter().map(|one| text(&one["id"])).collect::<Vec<_>>()
    };
    assert_eq!(ids("/sites").await, [world.own["site"].clone()], "{}", asker.who);
    assert_eq!(ids("/connections").await, ["shared"], "{}", asker.who);
    assert_eq!(ids("/operations").await.len(), 1, "{}", asker.who);
    assert_eq!(ids("/members").await.len(), 4, "{}", asker.who);
    let usage = asker.api.get("/billing/usage").await.is(200).json();
    assert_eq!((&usage["connections"], &usage["sites"]), (&json!(["shared"]), &json!(1)), "{}: {usage}", asker.who);
    if asker.is_admin() {
        assert_eq!(ids("/tokens").await.len(), 4, "{}", asker.who);
        log_is_ones_own(world, asker).await;
    }
    listed
}

async fn log(api: &Api) -> Vec<Value> {
    let pages = api.walk("/audit?limit=100").await;
    pages.into_iter().flat_map(|page| page["data"].as_array().cloned().expect("rows")).collect()
}

/// No row is in the logs of both, nor anything that one of them is known by.
async fn log_is_ones_own(world: &World, asker: &Asker) {
    let (theirs, own) = (log(&world.first).await, log(&asker.api).await);
    assert!(theirs.len() > 20 && own.len() > 10, "{} rows and {}: the test would find nothing", theirs.len(), own.len());
    // The operator's commands are told to both, and both have a connection of this name.
    let common = [Value::Null, json!("operator"), json!("/connections/shared")];
    for field in ["id", "actor", "target", "request_id", "operation"] {
        let told = |rows: &[Value]| -> BTreeSet<String> {
            rows.iter().map(|row| &row[field]).filter(|value| !common.contains(value)).map(Value::to_string).collect()
        };
        let (theirs, own) = (told(&theirs), told(&own));
        assert!(!theirs.is_empty() && theirs.is_disjoint(&own), "{}: {field}: {theirs:?} {own:?}", asker.who);
    }
}

#[tokio::test]
async fn nobody_of_another_organization_sees_or_changes_anything() {
    let world = World::new().await;
    let before = world.state().await;
    let marked = before.iter().filter(|(_, value)| value.to_string().contains(MARK)).count();
    assert!(marked > 20, "only {marked} answers have the mark: the test would find nothing");
    let (mut listed, mut named, mut asked) = (0, 0, 0);
    for asker in &world.askers {
        listed += lists_are_ones_own(&world, asker).await;
        named += names_are_nobodys(asker).await;
    }
    // After the lists: what is asked of the connection that both have becomes an operation of the second one.
    for asker in &world.askers {
        asked += ids_are_nobodys(&world, asker).await;
    }
    assert!(world.askers.len() == 8 && listed >= 8 * 9, "only {listed} lists were asked");
    assert!(named >= 8 * 7 && asked > 8 * 160, "only {named} names and {asked} ids were asked");
    for ((path, before), (_, after)) in before.iter().zip(&world.state().await) {
        assert_eq!(before, after, "another organization changed {path}");
    }
}
