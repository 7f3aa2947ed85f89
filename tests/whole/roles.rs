//! Roles, scopes and connections of tokens: every endpoint does what the golden table says, and nothing else.
//!
//! Invariant: the table is `gateway/authorization.txt` and the endpoints are the document's; both are compared, so that neither
//! can be forgotten.

use crate::tenants::{Endpoint, Ids, endpoints};
use portico_tests::{Api, Gateway, Reply, gateway::root};
use serde_json::{Value, json};
use std::collections::BTreeMap;

const ROLES: [&str; 4] = ["viewer", "operator", "admin", "owner"];

/// Ends the lines of endpoints that ask for no credential.
const EVERYBODY: &str = " everybody -";

/// What an endpoint takes.
struct Rule {
    role: String,
    scope: String,
}

/// By method and path.
fn table() -> BTreeMap<String, Rule> {
    let text = std::fs::read_to_string(root().join("gateway/authorization.txt")).expect("the golden table");
    let rule = |line: &str| match line.split(' ').collect::<Vec<_>>()[..] {
        [method, path, _, role, scope] => (format!("{method} {path}"), Rule { role: role.to_owned(), scope: scope.to_owned() }),
        _ => panic!("not a line of the table: {line}"),
    };
    text.lines().filter(|line| !line.starts_with('#') && !line.ends_with(EVERYBODY)).map(rule).collect()
}

/// Ids that could be, and are nobody's: what is allowed finds nothing, and changes nothing.
fn nobodys() -> Ids {
    [
        ("site", "absent~nothing"),
        ("environment", "nothing"),
        ("backup", "nothing"),
        ("domain", "nothing.example.com"),
        ("deployment", "nothing"),
        ("plan", "nothing"),
        ("plugin", "nothing"),
        ("theme", "nothing"),
        ("hash", "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"),
        ("operation", "op_00000000000000000000000000000000"),
        ("token", "00000000-0000-7000-8000-000000000000"),
        ("member", "00000000-0000-7000-8000-000000000000"),
        ("invitation", "00000000-0000-7000-8000-000000000000"),
        ("connection", "absent"),
        ("provider", "sandbox"),
    ]
    .map(|(name, id)| (name, id.to_owned()))
    .into()
}

/// The status, and the problem if it is one.
async fn ask(api: &Api, endpoint: &Endpoint) -> (u16, Value) {
    let path = endpoint.fill(&nobodys());
    if endpoint.is_stream() {
        return (api.watch(&path, &[]).await.status.as_u16(), Value::Null);
    }
    let reply = endpoint.send(api, &path, "absent").await;
    (reply.status.as_u16(), serde_json::from_slice(&reply.body).unwrap_or_default())
}

async fn check(api: &Api, endpoint: &Endpoint, missing: Option<&str>, who: &str) {
    let (status, problem) = ask(api, endpoint).await;
    let what = format!("{who}: {} {}: {problem}", endpoint.method, endpoint.path);
    match missing {
        // For people, whatever a token may.
        None if problem["code"] == "user_required" => assert!(endpoint.is_for_people(), "{what}"),
        None => assert!(!matches!(status, 401 | 403 | 500), "{what}: {status}"),
        Some(_) if endpoint.is_stream() => assert_eq!(status, 403, "{what}"),
        Some(missing) => {
            assert_eq!((status, &problem["code"]), (403, &json!("forbidden")), "{what}");
            assert!(problem["detail"].as_str().expect("words").contains(missing), "{what}: it doesn't name {missing}");
        }
    }
}

fn listed() -> Vec<(Endpoint, Rule)> {
    let mut table = table();
    let with_rule = |endpoint: Endpoint| {
        let name = format!("{} {}", endpoint.method, endpoint.path);
        let rule = table.remove(&name).unwrap_or_else(|| panic!("{name} isn't in the golden table"));
        (endpoint, rule)
    };
    let all: Vec<_> = endpoints().into_iter().filter(|endpoint| !endpoint.is_open()).map(with_rule).collect();
    assert!(table.is_empty(), "the document has no {:?}", table.keys());
    all
}

#[tokio::test]
async fn every_role_may_what_the_table_says() {
    let gateway = Gateway::start().await;
    let owner = gateway.api.with_token(&gateway.new_token("roles"));
    let settings = json!({"seed_sites": 1, "cache": {"sites.get": 3600}});
    let kept = json!({"id": "kept", "provider": "sandbox", "name": "Kept", "settings": settings});
    let _ = owner.post("/connections", &kept).await.is(201);
    for role in ROLES {
        let api = gateway.api.with_token(&gateway.new_token_with("roles", &["--role", role]));
        for (endpoint, rule) in listed() {
            let rank = |role: &str| ROLES.iter().position(|one| *one == role).expect("a role");
            let missing = (rank(role) < rank(&rule.role)).then_some(rule.role.as_str());
            check(&api, &endpoint, missing, role).await;
        }
        // All of them may look, also at what is kept in memory.
        for _ in 0..3 {
            let _ = api.get("/sites/kept~seed-00001").await.is(200);
        }
    }
}

#[tokio::test]
async fn every_endpoint_takes_its_scope() {
    let gateway = Gateway::start().await;
    let mut scopes: Vec<String> = listed().into_iter().map(|(_, rule)| rule.scope).collect();
    scopes.sort();
    scopes.dedup();
    let token = async |scopes: &[String]| {
        let made = gateway.api.post("/tokens", &json!({"name": "scoped", "scopes": scopes})).await.is(201).json();
        gateway.api.with_token(made["token"].as_str().expect("a token"))
    };
    for scope in &scopes {
        let (group, access) = scope.split_once(':').expect("a group and an access");
        // All but this one: to write includes to read, so what may not be read may not be written.
        let others = scopes.iter().filter(|other| {
            let (other, kind) = other.split_once(':').expect("a group and an access");
            other != group || (access == "write" && kind == "read")
        });
        let (with, without) = (token(std::slice::from_ref(scope)).await, token(&others.cloned().collect::<Vec<_>>()).await);
        for (endpoint, rule) in listed().into_iter().filter(|(_, rule)| rule.scope == *scope) {
            check(&with, &endpoint, None, scope).await;
            check(&without, &endpoint, Some(&rule.scope), &format!("without {scope}")).await;
        }
    }
}

/// An organization with a site on each of two connections, and a token for the first alone.
struct Limited {
    gateway: Gateway,
    token: Api,
    sites: [String; 2],
    operations: [String; 2],
}

impl Limited {
    async fn new() -> Self {
        let gateway = Gateway::start().await;
        let (mut sites, mut operations) = (Vec::new(), Vec::new());
        for connection in ["one", "two"] {
            gateway.connect(connection, "sandbox", json!({"work_seconds": 0})).await;
            let made = gateway.api.post("/sites", &json!({"connection": connection, "name": connection})).await.is(201).json();
            sites.push(made["result"]["id"].as_str().expect("an id").to_owned());
            operations.push(made["id"].as_str().expect("an id").to_owned());
        }
        let body = json!({"name": "one", "connections": ["one"]});
        let made = gateway.api.post("/tokens", &body).await.is(201).json();
        let token = gateway.api.with_token(made["token"].as_str().expect("a token"));
        let two = |list: Vec<String>| <[String; 2]>::try_from(list).expect("two");
        Self { gateway, token, sites: two(sites), operations: two(operations) }
    }
}

fn ids(reply: &Reply) -> Vec<String> {
    let list = reply.json();
    let data = list["data"].as_array().unwrap_or_else(|| panic!("no list: {list}"));
    data.iter().map(|one| one["id"].as_str().expect("an id").to_owned()).collect()
}

#[tokio::test]
async fn a_token_for_one_connection_sees_and_does_nothing_on_another() {
    let world = Limited::new().await;
    let (api, [mine, theirs]) = (&world.token, &world.sites);
    // Everything about a site of the other connection is refused, and says why.
    for endpoint in endpoints().iter().filter(|one| one.parameters().contains(&"site")) {
        let mut ids = nobodys();
        ids.insert("site", theirs.clone());
        let problem = endpoint.send(api, &endpoint.fill(&ids), "two").await.problem(403, "forbidden");
        assert!(problem["detail"].as_str().expect("words").contains("connection"), "{problem}");
    }
    for endpoint in endpoints().iter().filter(|one| one.parameters() == ["connection"]) {
        let mut ids = nobodys();
        ids.insert("connection", "two".to_owned());
        endpoint.send(api, &endpoint.fill(&ids), "two").await.problem(403, "forbidden");
    }
    // Nor does it learn whether there is one of a name, or an operation of an id.
    for endpoint in endpoints().iter().filter(|one| one.parameters() == ["operation"]) {
        let ask = async |id: &str| {
            let mut ids = nobodys();
            ids.insert("operation", id.to_owned());
            endpoint.send(api, &endpoint.fill(&ids), "two").await.problem(404, "not_found")
        };
        let (hidden, absent) = (ask(&world.operations[1]).await, ask(&nobodys()["operation"]).await);
        assert_eq!(hidden["detail"], absent["detail"], "{}", endpoint.path);
    }
    for path in ["/sites", "/operations", "/billing/usage", "/billing/invoices", "/billing/subscription", "/events"] {
        let ask = async |name: &str| api.get(&format!("{path}?connection={name}")).await.problem(403, "forbidden");
        assert_eq!(ask("two").await["detail"], ask("three").await["detail"], "{path}");
    }
    for path in ["/connections/three", "/sites/three~nothing"] {
        api.get(path).await.problem(403, "forbidden");
    }
    api.get("/sites?connection=one,two").await.problem(403, "forbidden");
    api.post("/sites", &json!({"connection": "two", "name": "n"})).await.problem(403, "forbidden");
    api.post("/billing/checkout", &json!({"connection": "two", "plan": "agency"})).await.problem(403, "forbidden");
    let new = json!({"id": "three", "provider": "sandbox", "name": "Three"});
    api.post("/connections", &new).await.problem(403, "forbidden");
    // Lists and sums hold its own part, and its own is as ever.
    assert_eq!(ids(&api.get("/sites").await.is(200)), std::slice::from_ref(mine));
    assert_eq!(ids(&api.get("/connections").await.is(200)), ["one"]);
    assert_eq!(ids(&api.get("/operations").await.is(200)), [world.operations[0].clone()]);
    assert_eq!(api.get("/billing/usage").await.is(200).json()["connections"], json!(["one"]));
    assert_eq!(api.get("/billing/subscription").await.is(200).json()["plan"], "agency", "its only connection needs no name");
    let _ = api.get(&format!("/sites/{mine}")).await.is(200);
    let _ = api.get(&format!("/operations/{}?wait=1s", world.operations[0])).await.is(200);
}

#[tokio::test]
async fn its_stream_tells_of_its_own_connection_alone() {
    let world = Limited::new().await;
    let mut watch = world.token.watch("/events", &[("last-event-id", "0")]).await;
    let owner = &world.gateway.api;
    let _ = owner.post(&format!("/sites/{}/backups", world.sites[1]), &json!({})).await.is(201);
    let last = owner.post(&format!("/sites/{}/backups", world.sites[0]), &json!({})).await.is(201).json();
    loop {
        let event = watch.next().await.expect("an event");
        assert_eq!(event.json["data"]["connection"], "one", "{}", event.json);
        if event.json["data"]["id"] == last["id"] && event.json["data"]["status"] == "succeeded" {
            break;
        }
    }
}

/// A viewer may look at operations, but a link that logs in is for who may make one.
#[tokio::test]
async fn looking_gives_no_secrets_and_uses_none_up() {
    let gateway = Gateway::start().await;
    gateway.connect("quick", "sandbox", json!({"work_seconds": 0})).await;
    let made = gateway.api.post("/sites", &json!({"connection": "quick", "name": "Shop"})).await.is(201).json();
    let path = format!("/sites/{}/wordpress/login-link", made["result"]["id"].as_str().expect("an id"));
    let asked = gateway.api.json(http::Method::POST, &path, &[("prefer", "respond-async")], &json!({"user": "admin"})).await;
    let operation = format!("/operations/{}?wait=30s", asked.is(202).json()["id"].as_str().expect("an id"));
    let viewer = gateway.api.with_token(&gateway.new_token_with("demo", &["--role", "viewer"]));
    let scoped = gateway.api.with_token(&gateway.new_token_with("demo", &["--scope", "read", "--scope", "sites:write"]));
    for api in [&viewer, &scoped] {
        let seen = api.get(&operation).await.is(200).json();
        assert_eq!((&seen["status"], &seen["secrets"]), (&json!("succeeded"), &Value::Null), "{seen}");
    }
    let seen = gateway.api.get(&operation).await.is(200).json();
    assert!(seen["secrets"].as_object().is_some_and(|secrets| !secrets.is_empty()), "{seen}");
}

/// 202 points there: whoever began it follows, without the scope to read all of them.
#[tokio::test]
async fn whoever_began_an_operation_sees_how_it_goes() {
    let gateway = Gateway::start().await;
    gateway.connect("quick", "sandbox", json!({"work_seconds": 0})).await;
    let scoped = |scope: &str| gateway.api.with_token(&gateway.new_token_with("demo", &["--scope", scope]));
    let begin = async |api: &Api, path: &str, body: Value| {
        let begun = api.json(http::Method::POST, path, &[("prefer", "respond-async")], &body).await.is(202).json();
        format!("/operations/{}", begun["id"].as_str().expect("an id"))
    };
    let (starter, other) = (scoped("sites:write"), scoped("sites:write"));
    let own = begin(&starter, "/sites", json!({"connection": "quick", "name": "Shop"})).await;
    let ended = starter.get(&format!("{own}?wait=30s")).await.is(200).json();
    assert_eq!(ended["status"], "succeeded", "{ended}");
    // Nobody else does, nor does the one who began it see anything more.
    let foreign = begin(&gateway.api, "/sites", json!({"connection": "quick", "name": "Other"})).await;
    let nobodys = format!("/operations/{}", nobodys()["operation"]);
    for (api, path) in [(&other, &*own), (&starter, &*foreign), (&starter, &*nobodys), (&starter, "/operations")] {
        let problem = api.get(path).await.problem(403, "forbidden");
        assert!(problem["detail"].as_str().expect("words").contains("operations:read"), "{problem}");
    }
    starter.post(&format!("{own}/cancel"), &json!({})).await.problem(403, "forbidden");
    // What is shown once is for who may make it, as ever.
    let (helper, site) = (scoped("wordpress:write"), ended["result"]["id"].as_str().expect("an id"));
    let link = begin(&helper, &format!("/sites/{site}/wordpress/login-link"), json!({"user": "admin"})).await;
    starter.get(&link).await.problem(403, "forbidden");
    let seen = helper.get(&format!("{link}?wait=30s")).await.is(200).json();
    assert!(seen["secrets"].as_object().is_some_and(|secrets| !secrets.is_empty()), "{seen}");
}
