//! Two organizations on one gateway: neither sees, changes or learns anything of the other, whatever endpoint it asks.
//!
//! The requests are made from the API's document, so an endpoint that is new is asked as well. Invariant: what is asked with
//! another organization's id is answered as if nobody had it; the same questions with the owner's token prove that it is there.

use bytes::Bytes;
use http::Method;
use portico_tests::{Api, Gateway, Reply, Setup, gateway::root};
use serde_json::{Value, json};
use std::collections::BTreeMap;

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
    second: Api,
    /// Of the first organization: on a connection whose id it alone has, and on one that both have.
    only: Ids,
    shared: Ids,
    /// A site of the second organization.
    own: Ids,
}

impl World {
    async fn new() -> Self {
        let gateway = Gateway::start_with(Setup::default()).await;
        let first = gateway.api.with_token(&gateway.new_token("first"));
        let second = gateway.api.with_token(&gateway.new_token("second"));
        let (only, shared) = (furnish(&first, "only-first").await, furnish(&first, "shared").await);
        let settings = json!({"work_seconds": 0, "blob_url": "http://127.0.0.1:9"});
        let body = json!({"id": "shared", "provider": "sandbox", "name": "Second host", "settings": settings});
        let _ = second.post("/connections", &body).await.is(201);
        let made = second.post("/sites", &json!({"connection": "shared", "name": "Second shop"})).await.is(201).json();
        let own = [("site", text(&made["result"]["id"]))].into();
        Self { _gateway: gateway, first, second, only, shared, own }
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

#[tokio::test]
async fn ids_of_another_organization_are_nobodys() {
    let world = World::new().await;
    let before = world.state().await;
    let marked = before.iter().filter(|(_, value)| value.to_string().contains(MARK)).count();
    assert!(marked > 20, "only {marked} answers have the mark: the test would find nothing");
    let mut asked = 0;
    for endpoint in endpoints() {
        let owned = endpoint.parameters().iter().any(|name| OWNED.contains(name) || *name == "connection");
        for ids in [&world.only, &world.shared] {
            let is_shared = ids["connection"] == "shared";
            // The connection that both have is the second one's own.
            if !owned || (is_shared && endpoint.parameters() == ["connection"]) {
                continue;
            }
            let path = endpoint.fill(ids);
            let what = format!("{} {path}", endpoint.method);
            let reply = endpoint.send(&world.second, &path, &ids["connection"]).await;
            tells_nothing(&reply, &what);
            let problem = reply.is(404).json();
            let codes = ["not_found", "connection_not_found"];
            assert!(codes.contains(&problem["code"].as_str().expect("a code")), "{what}: {problem}");
            if endpoint.method == Method::GET {
                let head = world.second.send(Method::HEAD, &path, &[], Bytes::new()).await;
                tells_nothing(&head.is(404), &what);
            }
            asked += 1;
        }
        // What belongs to a site isn't found under another site, either.
        let mut mixed = world.only.clone();
        mixed.extend(world.own.clone());
        if endpoint.parameters().iter().any(|name| OWNED.contains(name) && *name != "site")
            && endpoint.parameters().contains(&"site")
        {
            let path = endpoint.fill(&mixed);
            let reply = endpoint.send(&world.second, &path, "shared").await;
            tells_nothing(&reply, &path);
            let _ = reply.is(404);
            asked += 1;
        }
    }
    assert!(asked > 130, "only {asked} requests were made");
    for ((path, before), (_, after)) in before.iter().zip(&world.state().await) {
        assert_eq!(before, after, "another organization changed {path}");
    }
}

/// Names in queries and bodies: answered as for one that nobody has.
#[tokio::test]
async fn names_of_another_organization_are_nobodys() {
    let world = World::new().await;
    let mut asked = 0;
    for endpoint in endpoints() {
        let in_query = endpoint.has_query("connection") && endpoint.parameters().is_empty();
        let in_body = endpoint.body("x").is_some_and(|body| body["connection"] == "x");
        if (!in_query && !in_body) || endpoint.is_stream() {
            continue;
        }
        let ask = async |connection: &str| {
            let path = if in_query { format!("{}?connection={connection}", endpoint.path) } else { endpoint.path.clone() };
            let reply = endpoint.send(&world.second, &path, connection).await;
            tells_nothing(&reply, &path);
            let mut value = timeless(reply.json());
            for name in ["detail", "error", "instance", "request_id"] {
                value.as_object_mut().expect("an object").remove(name);
            }
            (reply.status, value)
        };
        assert_eq!(ask("only-first").await, ask("nobodys").await, "{} {}", endpoint.method, endpoint.path);
        asked += 1;
    }
    assert!(asked >= 7, "only {asked} requests were made");
    world.second.get("/events?connection=only-first").await.problem(404, "connection_not_found");
    let limited = json!({"name": "t", "connections": ["only-first"]});
    let problem = world.second.post("/tokens", &limited).await.problem(422, "invalid_input");
    assert_eq!(problem["fields"][0]["field"], "connections[0]", "{problem}");
}

#[tokio::test]
async fn lists_hold_what_is_ones_own() {
    let world = World::new().await;
    let mut asked = 0;
    for endpoint in endpoints().iter().filter(|one| one.method == Method::GET && !one.is_stream()) {
        if !endpoint.parameters().is_empty() && endpoint.parameters() != ["provider"] {
            continue;
        }
        let path = endpoint.fill(&[("provider", "sandbox".to_owned())].into());
        let reply = world.second.get(&path).await;
        tells_nothing(&reply.is(200), &path);
        asked += 1;
    }
    assert!(asked >= 9, "only {asked} lists were asked");
    let ids = |list: &Value| list["data"].as_array().expect("data").iter().map(|one| text(&one["id"])).collect::<Vec<_>>();
    assert_eq!(ids(&world.second.get("/sites").await.json()), [world.own["site"].clone()]);
    assert_eq!(ids(&world.second.get("/connections").await.json()), ["shared"]);
    assert_eq!(ids(&world.second.get("/operations").await.json()).len(), 1);
    assert_eq!(ids(&world.second.get("/tokens").await.json()).len(), 1);
}

/// The same id of a connection, the same site, the same question, the same key: each has its own.
#[tokio::test]
async fn the_same_names_in_both_organizations_are_two_things() {
    let gateway = Gateway::start().await;
    let both = ["first", "second"].map(|name| gateway.api.with_token(&gateway.new_token(name)));
    for api in &both {
        let settings = json!({"work_seconds": 0, "seed_sites": 3});
        let body = json!({"id": "twin", "provider": "sandbox", "name": "Twin", "settings": settings});
        let _ = api.post("/connections", &body).await.is(201);
    }
    let [first, second] = &both;
    let name = async |api: &Api| text(&api.get("/sites/twin~seed-00001").await.is(200).json()["name"]);
    let original = name(second).await;
    let mut watch = second.watch("/events", &[]).await;
    let renamed = json!({"name": format!("{MARK} one")});
    let _ = first.json(Method::PATCH, "/sites/twin~seed-00001", &[("prefer", "wait=30")], &renamed).await.is(200);
    let _ = first.json(Method::PATCH, "/sites/twin~seed-00002", &[], &json!({"labels": {"client": MARK}})).await.is(200);
    // In turns, so that what is kept for one (answers, warm instances) would be met by the other.
    for _ in 0..20 {
        assert_eq!(name(first).await, format!("{MARK} one"));
        assert_eq!(name(second).await, original);
        let lists = [first.get("/sites").await.is(200), second.get("/sites").await.is(200)];
        assert!(lists[0].text().contains(MARK) && !lists[1].text().contains(MARK), "{}", lists[1].text());
        assert_ne!(lists[0].header("etag"), lists[1].header("etag"));
        let live = second.send(Method::GET, "/sites/twin~seed-00001", &[("cache-control", "no-cache")], Bytes::new()).await;
        tells_nothing(&live.is(200), "a live read");
    }
    // One key, one body: two operations, and each organization gets its own again.
    let send = async |api: &Api| {
        let headers = [("idempotency-key", "the-same"), ("prefer", "wait=30")];
        api.json(Method::POST, "/sites", &headers, &json!({"connection": "twin", "name": "Keyed"})).await.is(201).json()
    };
    let (one, other) = (send(first).await, send(second).await);
    assert_ne!(one["id"], other["id"]);
    assert_ne!(one["result"]["id"], other["result"]["id"]);
    assert_eq!((&send(first).await["id"], &send(second).await["id"]), (&one["id"], &other["id"]));
    second.get(&format!("/sites/{}", text(&one["result"]["id"]))).await.problem(404, "not_found");
    // The second one's stream tells of its own operation alone.
    loop {
        let event = watch.next().await.expect("an event");
        assert!(!event.json.to_string().contains(MARK) && event.json["data"]["id"] != one["id"], "{}", event.json);
        if event.json["data"]["id"] == other["id"] && event.json["data"]["status"] == "succeeded" {
            break;
        }
    }
}
