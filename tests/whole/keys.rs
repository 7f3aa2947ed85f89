//! Every endpoint that takes an Idempotency-Key: asked twice it is carried out once and answers the same, and stands in the audit
//! log.
//!
//! In go the endpoints of the document, each about something of its own. Invariant: one that is new is asked as well, or fails the
//! test until it is named among those that take no key, or that aren't carried out here.

use crate::{
    idempotency::{UNKEYED, same},
    tenants::{Endpoint, endpoints},
};
use bytes::Bytes;
use http::Method;
use portico_tests::{Answer, Api, Gateway, Reply, Upstream, eventually, gateway::root};
use serde_json::{Value, json};

const CONNECTION: &str = "keys";
/// One for all: at another method or path it is another key.
const KEY: &str = "once";
const BLOB: &[u8] = b"a blob";
const PASSWORD: &str = "several words that I remember";

/// A streamed body has no key: its hash is known at its end, and sending it again does no harm.
const UPLOAD: &str = "deployments.upload";
/// Operations that take neither a body nor a query: nothing else can be asked of them under the same key.
const ONE_QUESTION: [&str; 5] = ["backups.delete", "environments.delete", "sites.delete", "sites.start", "sites.stop"];
/// Makes an organization, and stands in the log of that one alone: `doors` reads it there.
const NOT_HERE: [&str; 1] = ["auth.register"];

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("not a text: {value}")).to_owned()
}

/// As the audit log calls it.
fn name(endpoint: &Endpoint) -> &str {
    endpoint.operation["operationId"].as_str().expect("a name")
}

fn parameters(endpoint: &Endpoint) -> impl Iterator<Item = &Value> {
    endpoint.operation["parameters"].as_array().into_iter().flatten()
}

/// A header that many endpoints take, by its name in the document.
fn takes(endpoint: &Endpoint, header: &str) -> bool {
    let reference = format!("#/components/parameters/{header}");
    parameters(endpoint).any(|one| one["$ref"] == reference.as_str())
}

fn has_environment(endpoint: &Endpoint) -> bool {
    parameters(endpoint).any(|one| one["in"] == "query" && one["name"] == "environment")
}

/// The document's example, with what the site has and hasn't yet.
fn body(endpoint: &Endpoint) -> Option<Value> {
    let mut body = endpoint.body(CONNECTION)?;
    for (field, example, fitting) in [("environment", "staging", "production"), ("source", "akismet", "keyed")] {
        if body[field] == example {
            body[field] = json!(fitting);
        }
    }
    Some(body)
}

/// Makes another body of one: it means something else, and is well formed.
fn change(value: &mut Value) {
    match value {
        Value::Bool(is) => *is = !*is,
        Value::String(text) => text.push('x'),
        Value::Number(_) => *value = json!(1),
        Value::Array(items) => items.iter_mut().take(1).for_each(change),
        Value::Object(fields) => {
            let others = fields.iter_mut().filter(|(field, _)| *field != "connection");
            others.take(1).for_each(|(_, value)| change(value));
        }
        Value::Null => {}
    }
}

/// What one endpoint is about, made for it alone: what it changes, no other meets.
struct Own<'a> {
    gateway: &'a Gateway,
    number: usize,
}

impl Own<'_> {
    /// An odd one: every tenth is no WordPress site.
    fn seed(&self) -> String {
        format!("seed-{:05}", 2 * self.number + 1)
    }

    async fn path(&self, endpoint: &Endpoint) -> String {
        let mut path = endpoint.path.clone();
        for parameter in endpoint.parameters() {
            let id = self.id(parameter).await;
            path = path.replace(&format!("{{{parameter}}}"), &id);
        }
        path
    }

    async fn made(&self, path: &str, body: Value) -> Value {
        self.gateway.api.post(path, &body).await.is(201).json()
    }

    async fn below_site(&self, what: &str, body: Value) -> Value {
        self.made(&format!("/sites/{CONNECTION}~{}/{what}", self.seed()), body).await
    }

    async fn id(&self, parameter: &str) -> String {
        match parameter {
            "site" => format!("{CONNECTION}~{}", self.seed()),
            "domain" => format!("{}.example.com", self.seed()),
            "plugin" => "hello.php".to_owned(),
            "theme" => "twentytwentyfour".to_owned(),
            "hash" => blake3::hash(BLOB).to_hex().to_string(),
            "environment" => text(&self.below_site("environments", json!({"name": "staging"})).await["result"]["id"]),
            "backup" => text(&self.below_site("backups", json!({"description": "Before"})).await["result"]["id"]),
            "deployment" => {
                let source = json!({"type": "git", "repository": "https://git.example/shop.git"});
                text(&self.below_site("deployments", json!({"source": source})).await["result"]["id"])
            }
            "plan" => {
                let file = json!({"path": "/a", "size": 1, "blake3": "a".repeat(64), "sha256": "a".repeat(64)});
                text(&self.below_site("deployments/plans", json!({"files": [file]})).await["id"])
            }
            "connection" => self.gateway.connect(&format!("own-{}", self.number), "sandbox", json!({})).await,
            "token" => text(&self.made("/tokens", json!({"name": "Own"})).await["id"]),
            "invitation" => text(&self.invitation("guest").await["id"]),
            "member" => {
                let invited = self.invitation("member").await;
                let accepted = json!({"token": invited["token"], "password": PASSWORD});
                text(&self.made("/invitations/accept", accepted).await["user"]["id"])
            }
            "operation" => self.operation().await,
            other => panic!("nothing is made for {other}"),
        }
    }

    async fn invitation(&self, who: &str) -> Value {
        let email = format!("{who}-{}@example.com", self.number);
        self.made("/invitations", json!({"email": email, "role": "viewer"})).await
    }

    /// One that goes on at the host until it is canceled.
    async fn operation(&self) -> String {
        let (headers, body) = ([("prefer", "respond-async")], json!({"connection": CONNECTION, "name": "stuck"}));
        let accepted = self.gateway.api.json(Method::POST, "/sites", &headers, &body).await.is(202).json();
        let id = text(&accepted["id"]);
        let path = format!("/operations/{id}");
        eventually("the operation to be at the host", async || {
            let now = self.gateway.api.get(&path).await.is(200).json();
            (now["status"] == "running" && !now["progress"].is_null()).then_some(())
        })
        .await;
        id
    }
}

struct Question<'a> {
    api: &'a Api,
    endpoint: &'a Endpoint,
    path: String,
    body: Option<Value>,
}

impl<'a> Question<'a> {
    async fn new(gateway: &'a Gateway, endpoint: &'a Endpoint, number: usize) -> Self {
        let path = Own { gateway, number }.path(endpoint).await;
        Self { api: &gateway.api, endpoint, path, body: body(endpoint) }
    }

    async fn ask(&self, query: &str, body: Option<&Value>, more: &[(&str, &str)]) -> Reply {
        let headers = [more, &[("idempotency-key", KEY), ("prefer", "wait=30")]].concat();
        let (method, path) = (self.endpoint.method.clone(), format!("{}{query}", self.path));
        match body {
            Some(body) => self.api.json(method, &path, &headers, body).await,
            None => self.api.send(method, &path, &headers, Bytes::new()).await,
        }
    }

    /// The query and the body of something else that can be asked with the same method and path.
    fn other(&self) -> Option<(&'static str, Option<Value>)> {
        if let Some(mut body) = self.body.clone() {
            change(&mut body);
            return Some(("", Some(body)));
        }
        if has_environment(self.endpoint) {
            return Some(("?environment=production", None));
        }
        // Of operations it counts what is meant; of all else, what was sent.
        (!takes(self.endpoint, "Prefer")).then_some(("", Some(json!({}))))
    }
}

/// Asked twice, it is carried out once; something else under the same key is refused. False: there is nothing else.
async fn replays(question: &Question<'_>) -> bool {
    let named = [("x-request-id", name(question.endpoint))];
    let first = question.ask("", question.body.as_ref(), &named).await;
    assert!(first.status.is_success(), "{first:?}");
    same(&first, &question.ask("", question.body.as_ref(), &[]).await);
    let Some((query, body)) = question.other() else { return false };
    question.ask(query, body.as_ref(), &[]).await.problem(422, "idempotency_key_reused");
    true
}

async fn upload(gateway: &Gateway, endpoint: &Endpoint, number: usize) {
    let path = Own { gateway, number }.path(endpoint).await;
    let named = [("x-request-id", UPLOAD)];
    let _ = gateway.api.send(endpoint.method.clone(), &path, &named, Bytes::from_static(BLOB)).await.is(201);
}

/// Under `/api/v1`; the request's id is the action's name.
async fn asked(api: &Api, method: Method, path: &str, action: &str, body: Value) -> Reply {
    let reply = api.json(method, &format!("/api/v1{path}"), &[("x-request-id", action)], &body).await;
    assert!(reply.status.is_success(), "{reply:?}");
    reply
}

/// What only a person does, from their coming to their going; each action with the actor's name.
async fn of_a_person(gateway: &Gateway) -> Vec<(String, String)> {
    const EMAIL: &str = "carla@example.com";
    const OTHER: &str = "other words that I remember";
    let stranger = Api::new(gateway.api_address, None);
    let session = |reply: &Reply| {
        let cookie = reply.header("set-cookie").and_then(|given| given.split(';').next()).expect("a session");
        stranger.with_session(cookie)
    };
    let invited = gateway.api.post("/invitations", &json!({"email": EMAIL, "role": "viewer"})).await.is(201).json();
    let accepted = json!({"token": invited["token"], "password": PASSWORD});
    let entered = asked(&stranger, Method::POST, "/invitations/accept", "invitations.accept", accepted).await;
    let actor = format!("user:{}", text(&entered.json()["user"]["id"]));
    let entered = asked(&session(&entered), Method::POST, "/auth/refresh", "auth.refresh", json!({})).await;
    let passwords = json!({"current": PASSWORD, "password": OTHER});
    let entered = asked(&session(&entered), Method::PATCH, "/auth/password", "auth.password", passwords).await;
    asked(&session(&entered), Method::POST, "/auth/logout", "auth.logout", json!({})).await;
    let login = json!({"email": EMAIL, "password": OTHER});
    let entered = asked(&stranger, Method::POST, "/auth/login", "auth.login", login).await;
    asked(&session(&entered), Method::DELETE, "/account", "account.delete", json!({})).await;
    let done = ["invitations.accept", "auth.refresh", "auth.password", "auth.logout", "auth.login", "account.delete"];
    done.map(|action| (action.to_owned(), actor.clone())).into()
}

async fn rows(api: &Api) -> Vec<Value> {
    let pages = api.walk("/audit?limit=100").await;
    pages.into_iter().flat_map(|page| page["data"].as_array().cloned().expect("rows")).collect()
}

/// That this actor's request, which had the action's name for its id, was done, or became an operation that succeeded.
fn is_told(rows: &[Value], action: &str, actor: &str) -> bool {
    let own: Vec<&Value> = rows.iter().filter(|row| row["action"] == action && row["actor"] == actor).collect();
    let succeeded = |operation: &Value| own.iter().any(|row| row["operation"] == *operation && row["outcome"] == "succeeded");
    own.iter().filter(|row| row["request_id"] == action).any(|row| match row["outcome"].as_str() {
        Some("done") => true,
        Some("accepted") => succeeded(&row["operation"]),
        _ => false,
    })
}

/// Actions of the golden table that change something.
fn changing() -> Vec<String> {
    let table = std::fs::read_to_string(root().join("gateway/authorization.txt")).expect("the golden table");
    let lines = table.lines().filter(|line| !line.starts_with('#') && !line.starts_with("GET "));
    lines.map(|line| line.split(' ').nth(2).expect("an action").to_owned()).collect()
}

/// A gateway with a connection to sites enough for all endpoints.
async fn world(blobs: &Upstream) -> Gateway {
    let gateway = Gateway::start().await;
    let settings = json!({"work_seconds": 0, "seed_sites": 1000, "blob_url": blobs.url()});
    let _ = gateway.connect(CONNECTION, "sandbox", settings).await;
    gateway
}

#[tokio::test]
async fn every_endpoint_that_takes_a_key_replays_and_is_told() {
    let blobs = Upstream::start(|_| Answer::Raw(204, Vec::new(), Bytes::new())).await;
    let gateway = world(&blobs).await;
    let me = gateway.api.get("/auth/me").await.is(200).json();
    let token = format!("token:{}", text(&me["token"]["id"]));
    let (mut unkeyed, mut one_question, mut done) = (Vec::new(), Vec::new(), Vec::new());
    let changes: Vec<_> = endpoints().into_iter().filter(|endpoint| endpoint.method != Method::GET).collect();
    for (number, endpoint) in changes.iter().enumerate() {
        let name = name(endpoint);
        if takes(endpoint, "IdempotencyKey") {
            if !replays(&Question::new(&gateway, endpoint, number).await).await {
                one_question.push(name);
            }
        } else if name == UPLOAD {
            upload(&gateway, endpoint, number).await;
        } else {
            unkeyed.push((endpoint.method.clone(), endpoint.path.as_str()));
            continue;
        }
        done.push((name.to_owned(), token.clone()));
    }
    one_question.sort_unstable();
    assert_eq!(one_question, ONE_QUESTION);
    let is_known = |one: &(Method, &str)| UNKEYED.contains(one);
    assert!(unkeyed.len() == UNKEYED.len() && unkeyed.iter().all(is_known), "{unkeyed:?}");

    done.extend(of_a_person(&gateway).await);
    let rows = rows(&gateway.api).await;
    for (action, actor) in &done {
        let of_it: Vec<_> = rows.iter().filter(|row| row["action"] == action.as_str()).collect();
        assert!(is_told(&rows, action, actor), "that {actor} did {action} isn't told: {of_it:?}");
    }
    let left: Vec<String> = changing().into_iter().filter(|action| done.iter().all(|(one, _)| one != action)).collect();
    assert_eq!(left, NOT_HERE);
}
