//! Bad input on every endpoint: a 4xx problem, never a 500, and nothing has changed.
//!
//! Invariant: the table holds every endpoint of the API's document; one that is missing here is a failing test.

use bytes::Bytes;
use http::Method;
use portico_tests::{Api, Gateway, Reply, gateway::root};
use serde_json::{Value, json};
use std::{collections::BTreeSet, time::Duration};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// A route, and a body that fits it (none: it takes none). `{…}` stands for something that exists.
const ENDPOINTS: [(&str, &str, Option<&str>); 25] = [
    ("GET", "/sites", None),
    ("POST", "/sites", Some(r#"{"connection": "sandbox", "name": "n"}"#)),
    ("GET", "/sites/{site}", None),
    ("PATCH", "/sites/{site}", Some(r#"{"name": "n"}"#)),
    ("DELETE", "/sites/{site}", None),
    ("POST", "/sites/{site}/start", None),
    ("POST", "/sites/{site}/stop", None),
    ("POST", "/sites/{site}/clone", Some(r#"{"name": "n"}"#)),
    ("GET", "/sites/{site}/backups", None),
    ("POST", "/sites/{site}/backups", Some(r#"{"description": "n"}"#)),
    ("GET", "/sites/{site}/backups/{backup}", None),
    ("DELETE", "/sites/{site}/backups/{backup}", None),
    ("POST", "/sites/{site}/backups/{backup}/restore", Some(r#"{"files": true}"#)),
    ("GET", "/sites/{site}/domains", None),
    ("POST", "/sites/{site}/domains", Some(r#"{"name": "a.example"}"#)),
    ("DELETE", "/sites/{site}/domains/{domain}", None),
    ("POST", "/sites/{site}/domains/{domain}/verify", None),
    ("PUT", "/sites/{site}/domains/{domain}/primary", None),
    ("GET", "/connections", None),
    ("POST", "/connections", Some(r#"{"id": "n", "provider": "sandbox", "name": "n"}"#)),
    ("GET", "/connections/{connection}", None),
    ("PATCH", "/connections/{connection}", Some(r#"{"name": "n"}"#)),
    ("DELETE", "/connections/{connection}", None),
    ("POST", "/connections/{connection}/test", None),
    ("GET", "/providers", None),
];
const MORE: [(&str, &str, Option<&str>); 6] = [
    ("GET", "/providers/{provider}", None),
    ("GET", "/operations", None),
    ("GET", "/operations/{operation}", None),
    ("POST", "/operations/{operation}/cancel", None),
    ("GET", "/operations/{operation}/events", None),
    ("GET", "/events", None),
];

const SITE_PARTS: [(&str, &str, Option<&str>); 15] = [
    ("GET", "/sites/{site}/usage", None),
    ("GET", "/sites/{site}/logs", None),
    ("GET", "/sites/{site}/environments", None),
    ("POST", "/sites/{site}/environments", Some(r#"{"name": "n"}"#)),
    ("PATCH", "/sites/{site}/environments/{environment}", Some(r#"{"name": "n"}"#)),
    ("DELETE", "/sites/{site}/environments/{environment}", None),
    ("POST", "/sites/{site}/environments/{environment}/push", Some(r#"{"target": "n", "files": true}"#)),
    ("GET", "/sites/{site}/environments/{environment}/current", None),
    ("GET", "/sites/{site}/deployments", None),
    ("POST", "/sites/{site}/deployments", Some(DEPLOYMENT)),
    ("GET", "/sites/{site}/deployments/{deployment}", None),
    ("POST", "/sites/{site}/deployments/{deployment}/rollback", None),
    ("POST", "/sites/{site}/deployments/{deployment}/release", Some(r#"{"environment": "production"}"#)),
    ("POST", "/sites/{site}/deployments/plans", Some(PLAN)),
    ("POST", "/sites/{site}/deployments/plans/{plan}/commit", Some(r#"{"message": "n"}"#)),
];
const DEPLOYMENT: &str = r#"{"source": {"type": "git", "repository": "https://git.example/n.git"}, "message": "n"}"#;
const PLAN: &str = r#"{"files": [{"path": "/n", "size": 1,
    "blake3": "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "sha256": "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}], "message": "n"}"#;
/// The last takes bytes, and no JSON: whatever the bodies here are, they are blobs of a plan that doesn't exist.
const BULK: [(&str, &str, Option<&str>); 2] = [
    ("GET", "/sites/{site}/backups/{backup}/download", None),
    ("PUT", "/sites/{site}/deployments/plans/{plan}/blobs/{hash}", None),
];

const WORDPRESS: [(&str, &str, Option<&str>); 28] = [
    ("GET", "/sites/{site}/wordpress", None),
    ("GET", "/sites/{site}/wordpress/plugins", None),
    ("POST", "/sites/{site}/wordpress/plugins", Some(r#"{"source": "jetpack", "version": "1.0", "activate": false}"#)),
    ("DELETE", "/sites/{site}/wordpress/plugins/{plugin}", None),
    ("POST", "/sites/{site}/wordpress/plugins/{plugin}/activate", None),
    ("POST", "/sites/{site}/wordpress/plugins/{plugin}/deactivate", None),
    ("POST", "/sites/{site}/wordpress/plugins/{plugin}/update", None),
    ("GET", "/sites/{site}/wordpress/themes", None),
    ("POST", "/sites/{site}/wordpress/themes", Some(r#"{"source": "astra", "version": "1.0", "activate": false}"#)),
    ("DELETE", "/sites/{site}/wordpress/themes/{theme}", None),
    ("POST", "/sites/{site}/wordpress/themes/{theme}/activate", None),
    ("POST", "/sites/{site}/wordpress/themes/{theme}/deactivate", None),
    ("POST", "/sites/{site}/wordpress/themes/{theme}/update", None),
    ("POST", "/sites/{site}/wordpress/core/update", Some(r#"{"version": "6.8"}"#)),
    ("POST", "/sites/{site}/wordpress/core/reinstall", None),
    ("PUT", "/sites/{site}/wordpress/maintenance", Some(r#"{"enabled": true}"#)),
    (
        "POST",
        "/sites/{site}/wordpress/search-replace",
        Some(r#"{"search": "a", "replace": "b", "dry_run": true, "tables": ["wp_posts"]}"#),
    ),
    ("GET", "/sites/{site}/wordpress/cache", None),
    ("POST", "/sites/{site}/wordpress/cache/enable", None),
    ("POST", "/sites/{site}/wordpress/cache/disable", None),
    ("POST", "/sites/{site}/wordpress/cache/flush", None),
    ("POST", "/sites/{site}/wordpress/cache/purge", Some(r#"{"urls": ["https://www.example.com/"]}"#)),
    ("GET", "/sites/{site}/wordpress/security", None),
    (
        "PATCH",
        "/sites/{site}/wordpress/security",
        Some(r#"{"file_edit": true, "file_protection": true, "hide_login": true, "debug": true}"#),
    ),
    ("POST", "/sites/{site}/wordpress/security/verify-checksums", None),
    (
        "POST",
        "/sites/{site}/wordpress/admins",
        Some(r#"{"user": "anna", "email": "anna@example.com", "password": "correct horse"}"#),
    ),
    ("POST", "/sites/{site}/wordpress/password-reset", Some(r#"{"user": "admin", "password": "correct horse"}"#)),
    ("POST", "/sites/{site}/wordpress/login-link", Some(r#"{"user": "admin"}"#)),
];
const TOKENS: [(&str, &str, Option<&str>); 6] = [
    ("GET", "/audit", None),
    ("GET", "/tokens", None),
    (
        "POST",
        "/tokens",
        Some(
            r#"{"name": "n", "role": "viewer", "scopes": ["read"], "connections": ["sandbox"], "allowed_ips": ["127.0.0.1"],
                "expires_at": "2999-01-01T00:00:00Z"}"#,
        ),
    ),
    ("GET", "/tokens/{token}", None),
    ("DELETE", "/tokens/{token}", None),
    ("POST", "/tokens/{token}/rotate", Some(r#"{"overlap_seconds": 60}"#)),
];
const BILLING: [(&str, &str, Option<&str>); 4] = [
    ("GET", "/billing/subscription", None),
    (
        "POST",
        "/billing/checkout",
        Some(
            r#"{"connection": "sandbox", "plan": "agency", "success_url": "https://a.example/", "cancel_url": "https://a.example/"}"#,
        ),
    ),
    ("GET", "/billing/invoices", None),
    ("GET", "/billing/usage", None),
];

const IDENTITY: [(&str, &str, Option<&str>); 14] = [
    (
        "POST",
        "/auth/register",
        Some(r#"{"email": "n@example.com", "password": "a wrong password", "name": "n", "organization": "n"}"#),
    ),
    ("POST", "/auth/login", Some(r#"{"email": "n@example.com", "password": "a wrong password", "organization": "n"}"#)),
    ("POST", "/auth/logout", None),
    ("POST", "/auth/refresh", Some(r#"{"organization": "n"}"#)),
    ("GET", "/auth/me", None),
    ("PATCH", "/auth/password", Some(r#"{"current": "a wrong password", "password": "another password"}"#)),
    ("DELETE", "/account", None),
    ("GET", "/members", None),
    ("PATCH", "/members/{member}", Some(r#"{"role": "viewer"}"#)),
    ("DELETE", "/members/{member}", None),
    ("GET", "/invitations", None),
    ("POST", "/invitations", Some(r#"{"email": "n@example.com", "role": "viewer"}"#)),
    ("DELETE", "/invitations/{invitation}", None),
    ("POST", "/invitations/accept", Some(r#"{"token": "pti_n", "password": "a wrong password", "name": "n"}"#)),
];

fn endpoints() -> impl Iterator<Item = (Method, &'static str, Option<&'static str>)> {
    let parts = ENDPOINTS.iter().chain(&MORE).chain(&SITE_PARTS).chain(&BULK).chain(&WORDPRESS).chain(&BILLING);
    let all = parts.chain(&TOKENS).chain(&IDENTITY);
    all.map(|(method, path, body)| (method.parse().expect("a method"), *path, *body))
}

/// The paths of the API's document, each with its methods.
fn paths() -> serde_json::Map<String, Value> {
    let document = std::fs::read(root().join("gateway/openapi.json")).expect("the API's document");
    let document: Value = serde_json::from_slice(&document).expect("JSON");
    document["paths"].as_object().expect("paths").clone()
}

/// The paths that are read in pages.
fn lists() -> Vec<String> {
    let in_pages = |methods: &Value| {
        let mut parameters = methods["get"]["parameters"].as_array().into_iter().flatten();
        parameters.any(|one| one["in"] == "query" && (one["name"] == "limit" || one["name"] == "cursor"))
    };
    paths().into_iter().filter(|(_, methods)| in_pages(methods)).map(|(path, _)| path).collect()
}

#[test]
fn every_route_is_in_the_table() {
    let mut routes = BTreeSet::new();
    for (path, methods) in paths() {
        routes.extend(methods.as_object().expect("methods").keys().map(|method| format!("{} {path}", method.to_uppercase())));
    }
    let table: BTreeSet<String> = endpoints().map(|(method, path, _)| format!("{method} {path}")).collect();
    assert_eq!(routes, table);
}

/// A gateway with something behind each id, and all that can be seen of it.
struct World {
    gateway: Gateway,
    ids: Vec<(&'static str, String)>,
}

impl World {
    async fn new() -> Self {
        let gateway = Gateway::start().await;
        let api = &gateway.api;
        let made = api.post("/sites", &json!({"connection": "sandbox", "name": "World"})).await.is(201).json();
        let text = |value: &Value| value.as_str().expect("an id").to_owned();
        let site = text(&made["result"]["id"]);
        let backup = api.post(&format!("/sites/{site}/backups"), &json!({})).await.is(201).json();
        let _ = api.post(&format!("/sites/{site}/domains"), &json!({"name": "www.example.com"})).await.is(201);
        let source = json!({"source": {"type": "git", "repository": "https://git.example/n.git"}});
        let deployment = api.post(&format!("/sites/{site}/deployments"), &source).await.is(201).json();
        let files = serde_json::from_str(PLAN).expect("a plan");
        let plan = api.post(&format!("/sites/{site}/deployments/plans"), &files).await.is(201).json();
        let token = api.post("/tokens", &json!({"name": "World"})).await.is(201).json();
        // A place for bulk bytes, else these endpoints are not supported. Nothing listens there, and nothing is sent there.
        let settings = json!({"settings": {"blob_url": "http://127.0.0.1:9"}});
        let _ = api.json(Method::PATCH, "/connections/sandbox", &[], &settings).await.is(200);
        let invite =
            async |email: &str| api.post("/invitations", &json!({"email": email, "role": "viewer"})).await.is(201).json();
        let (open, used) = (invite("open@example.com").await, invite("used@example.com").await);
        let accept = json!({"token": used["token"], "password": "several words that I remember"});
        let member = Api::new(gateway.api_address, None).post("/api/v1/invitations/accept", &accept).await.is(201).json();
        let ids = vec![
            ("{member}", text(&member["user"]["id"])),
            ("{invitation}", text(&open["id"])),
            ("{environment}", "production".to_owned()),
            ("{deployment}", text(&deployment["result"]["id"])),
            ("{plan}", text(&plan["id"])),
            ("{site}", site),
            ("{backup}", text(&backup["result"]["id"])),
            ("{hash}", "0123456789abcdef".repeat(4)),
            ("{domain}", "www.example.com".to_owned()),
            ("{plugin}", "akismet=2Fakismet.php".to_owned()),
            ("{theme}", "twentytwentyfour".to_owned()),
            ("{connection}", "sandbox".to_owned()),
            ("{provider}", "sandbox".to_owned()),
            ("{operation}", text(&made["id"])),
            ("{token}", text(&token["id"])),
        ];
        Self { gateway, ids }
    }

    fn fill(&self, path: &str) -> String {
        // A blob of a real plan would be sent on; of another one it is refused.
        let path = if path.contains("/blobs/") { path.replace("{plan}", "no-such-plan") } else { path.to_owned() };
        self.ids.iter().fold(path, |path, (name, id)| path.replace(name, id))
    }

    /// Everything that a client can see, as it is now: the operations second, the audit log last.
    async fn state(&self) -> Vec<Value> {
        let site = self.fill("{site}");
        let lists = ["/sites", "/operations", "/connections", "/members", "/invitations", "/tokens"].map(str::to_owned);
        let lists = [lists.as_slice(), &[format!("/sites/{site}")]].concat();
        let below = [
            "environments",
            "deployments",
            "backups",
            "domains",
            "wordpress",
            "wordpress/plugins",
            "wordpress/themes",
            "wordpress/cache",
            "wordpress/security",
        ];
        let below = below.map(|kind| format!("/sites/{site}/{kind}"));
        let mut state = Vec::new();
        for path in lists.iter().chain(&below) {
            let reply = self.gateway.api.send(Method::GET, path, &[("cache-control", "no-cache")], Bytes::new()).await;
            let mut value = reply.is(200).json();
            // When it was looked at isn't part of what is there.
            if let Some(list) = value.as_object_mut() {
                list.remove("as_of");
                list.remove("next_cursor");
            }
            state.push(without_uses(value));
        }
        state.push(Value::Array(self.changes().await));
        state
    }

    /// The audit log without refusals: that something was refused is told there, and is no change.
    async fn changes(&self) -> Vec<Value> {
        let pages = self.gateway.api.walk("/audit?limit=100").await;
        let rows = pages.iter().flat_map(|page| page["data"].as_array().expect("rows"));
        rows.filter(|row| row["outcome"] != "refused").cloned().collect()
    }
}

/// Items without what changes by being looked at.
fn without_uses(mut value: Value) -> Value {
    for item in value["data"].as_array_mut().into_iter().flatten() {
        if let Some(item) = item.as_object_mut() {
            item.remove("health");
            item.remove("last_used_at");
        }
    }
    value
}

/// The same without operations, neither themselves nor what the audit log tells of them.
fn without_operations(state: &[Value]) -> Vec<Value> {
    let mut state = [&state[..1], &state[2..]].concat();
    let audit = state.last_mut().and_then(Value::as_array_mut).expect("the audit log is last");
    audit.retain(|row| row["operation"].is_null());
    state
}

/// Refused as it should be: 4xx, problem+json with all that a client needs, and not a word from inside.
#[track_caller]
fn refused(reply: Reply, what: &str) {
    let text = reply.text();
    assert!(reply.status.is_client_error(), "{what}: {} {text}", reply.status);
    assert_eq!(reply.header("content-type"), Some("application/problem+json"), "{what}: {text}");
    let problem = reply.json();
    for key in ["type", "title", "status", "detail", "error", "code", "request_id"] {
        assert!(!problem[key].is_null(), "{what}: no {key} in {problem}");
    }
    for inside in ["panicked", "src/", "::", "sqlx", "wasmtime", "SQL"] {
        assert!(!text.contains(inside), "{what}: {inside:?} reached the client: {text}");
    }
}

async fn send(api: &Api, method: &Method, path: &str, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Reply {
    api.send(method.clone(), path, headers, body.into()).await
}

const JSON: &[(&str, &str)] = &[("content-type", "application/json")];

/// Bodies that fit nothing.
fn bad_bodies() -> Vec<(&'static str, Bytes)> {
    let deep = "[".repeat(100_000);
    let nested = format!("{{\"name\": {}1{}}}", "[".repeat(5000), "]".repeat(5000));
    vec![
        ("not JSON", "{".into()),
        ("two values", "{} {}".into()),
        ("a list", "[]".into()),
        ("a text", "\"x\"".into()),
        ("a number", "7".into()),
        ("null", "null".into()),
        ("an unknown field", r#"{"no_such_field": 1}"#.into()),
        ("deep JSON", deep.into()),
        ("deep JSON in a field", nested.into()),
        ("invalid UTF-8", Bytes::from_static(b"{\"name\": \"\xff\xfe\"}")),
        ("a lone surrogate", r#"{"name": "\ud800"}"#.into()),
        ("a number without bounds", r#"{"name": 1e999999}"#.into()),
        ("2 MiB", Bytes::from(format!("{{\"name\": \"{}\"}}", "x".repeat(2 << 20)))),
    ]
}

#[tokio::test]
async fn bad_bodies_are_refused_and_change_nothing() {
    let world = World::new().await;
    let before = world.state().await;
    for (method, path, good) in endpoints().filter(|(method, ..)| method != Method::GET) {
        let path = world.fill(path);
        for (what, body) in bad_bodies() {
            let reply = send(&world.gateway.api, &method, &path, JSON, body).await;
            refused(reply, &format!("{method} {path} with {what}"));
        }
        let Some(good) = good else { continue };
        let reply = send(&world.gateway.api, &method, &path, &[("content-type", "text/plain")], good).await;
        refused(reply, &format!("{method} {path} as text/plain"));
        // Every field with every wrong type.
        let fields = serde_json::from_str::<Value>(good).expect("a good body");
        for (field, value) in fields.as_object().expect("an object") {
            for wrong in
                [json!(true), json!(-1), json!(1.5), json!([]), json!({}), json!(""), json!("\u{0}"), json!("x".repeat(9999))]
            {
                // True fits a switch, and a text may be replaced by nothing.
                if (value.is_boolean() && wrong.is_boolean()) || (field == "replace" && wrong == "") {
                    continue;
                }
                let mut body = fields.clone();
                body[field] = wrong.clone();
                let what = format!("{method} {path} with {field} = {}", wrong.to_string().chars().take(20).collect::<String>());
                refused(send(&world.gateway.api, &method, &path, JSON, body.to_string()).await, &what);
            }
        }
    }
    assert_eq!(before, world.state().await, "a refused request changed something");
}

/// Ids that can't be: for a whole segment, and for the native part.
const BAD_IDS: [&str; 14] = [
    "no-tilde",
    "~",
    "~x",
    "sandbox~",
    "SANDBOX~x",
    "sandbox~..",
    "sandbox~.",
    "sandbox~=ZZ",
    "sandbox~=2",
    "sandbox~a%2Fb",
    "sandbox~%ff",
    "sandbox~%00",
    "sand box~x",
    "-~x",
];

#[tokio::test]
async fn bad_ids_are_refused_and_change_nothing() {
    let world = World::new().await;
    let before = world.state().await;
    let long = format!("sandbox~{}", "x".repeat(5000));
    for (method, path, good) in endpoints().filter(|(_, path, _)| path.contains('{')) {
        for bad in BAD_IDS.iter().copied().chain([long.as_str()]) {
            let bad = bad.replace(' ', "%20");
            for (name, _) in world.ids.iter().filter(|(name, _)| path.contains(name)) {
                // As an id without a connection, some of these are fine and merely don't exist.
                let path = world.fill(&path.replace(name, &bad));
                // To the end, on a busy machine, too: what the host refuses is an operation until then.
                let headers = [if good.is_some() { JSON } else { &[] }, &[("prefer", "wait=30")]].concat();
                let reply = send(&world.gateway.api, &method, &path, &headers, good.unwrap_or_default()).await;
                refused(reply, &format!("{method} {path}"));
            }
        }
    }
    let after = world.state().await;
    // An operation that was refused by the host is still one that was asked for; everything else is as it was.
    assert_eq!(without_operations(&before), without_operations(&after), "a refused request changed something");
}

#[tokio::test]
async fn bad_queries_and_headers_are_refused_and_change_nothing() {
    let world = World::new().await;
    let before = world.state().await;
    let lists = lists();
    assert!(lists.len() >= 14, "lists that the document hasn't: {lists:?}");
    let queries = [
        "limit=0",
        "limit=-1",
        "limit=101",
        "limit=ten",
        "limit=1&limit=2",
        "limit=99999999999999999999",
        "limit=",
        "cursor=garbage",
        "cursor=",
        "cursor=%ff%fe",
        "cursor=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "no_such_parameter=1",
    ];
    for list in lists {
        for query in queries {
            let path = format!("{}?{query}", world.fill(&list));
            refused(world.gateway.api.get(&path).await, &path);
        }
    }
    let long = format!("cursor={}", "A".repeat(20_000));
    for query in ["status=flying", "sort=size", "order=sideways", "connection=UPPER", "connection=none-such", long.as_str()] {
        refused(world.gateway.api.get(&format!("/sites?{query}")).await, query);
    }
    for path in ["/sites/{site}/wordpress", "/sites/{site}/wordpress/plugins", "/sites/{site}/wordpress/cache"] {
        for query in ["environment=", "environment=%00", "environment=no-such", "site=x"] {
            let path = format!("{}?{query}", world.fill(path));
            refused(world.gateway.api.get(&path).await, &path);
        }
    }
    for path in ["/billing/subscription", "/billing/invoices", "/billing/usage"] {
        for query in ["connection=UPPER", "connection=none-such", "connection=", "connection=a&connection=b", "plan=x"] {
            let path = format!("{path}?{query}");
            refused(world.gateway.api.get(&path).await, &path);
        }
    }
    for query in ["wait=61s", "wait=soon", "wait=-1s"] {
        refused(world.gateway.api.get(&world.fill(&format!("/operations/{{operation}}?{query}"))).await, query);
    }
    for query in ["lines=0", "lines=1001", "lines=x", "lines=", "source=", "environment=", "limit=1", "environment=%00"] {
        refused(world.gateway.api.get(&world.fill(&format!("/sites/{{site}}/logs?{query}"))).await, query);
    }
    for query in ["types=sites", "types=", "types=operation.updated,", "connection=UPPER", "connection=none-such", "since=1"] {
        refused(world.gateway.api.get(&format!("/events?{query}")).await, query);
    }
    for path in ["/events", "/operations/{operation}/events"] {
        for id in ["x", "-1", "1.5", "99999999999999999999", ""] {
            let path = world.fill(path);
            let reply = send(&world.gateway.api, &Method::GET, &path, &[("last-event-id", id)], "").await;
            refused(reply, &format!("{path} after the event {id:?}"));
        }
    }
    let body = r#"{"connection": "sandbox", "name": "n"}"#;
    let huge = "k".repeat(300);
    for header in [("prefer", "wait=61"), ("prefer", "wait=soon"), ("idempotency-key", ""), ("idempotency-key", &huge)] {
        let headers = [JSON, &[header]].concat();
        let reply = send(&world.gateway.api, &Method::POST, "/sites", &headers, body).await;
        refused(reply, &format!("{header:?}"));
    }
    assert_eq!(before, world.state().await, "a refused request changed something");
}

/// One that is ignored may have been a dry run.
#[tokio::test]
async fn a_parameter_that_nobody_knows_is_refused_everywhere_and_changes_nothing() {
    let world = World::new().await;
    let before = world.state().await;
    for (method, path, good) in endpoints() {
        let path = format!("{}?nonsense=1", world.fill(path));
        let headers = if good.is_some() { JSON } else { &[] };
        let reply = send(&world.gateway.api, &method, &path, headers, good.unwrap_or_default()).await;
        assert_eq!(reply.status, 422, "{method} {path}: {}", reply.text());
        refused(reply, &format!("{method} {path}"));
    }
    assert_eq!(before, world.state().await, "a refused request changed something");
}

#[tokio::test]
async fn a_cursor_is_good_for_its_own_question_alone() {
    let world = World::new().await;
    let api = &world.gateway.api;
    let _ = api.post("/sites", &json!({"connection": "sandbox", "name": "Second"})).await.is(201);
    let page = api.get("/sites?limit=1").await.is(200).json();
    let cursor = page["next_cursor"].as_str().expect("a second page");
    let _ = api.get(&format!("/sites?limit=1&cursor={cursor}")).await.is(200);
    refused(api.get(&format!("/sites?limit=1&order=desc&cursor={cursor}")).await, "another order");
    refused(api.get(&format!("/operations?limit=1&cursor={cursor}")).await, "another list");
    let other = api.with_token(&world.gateway.new_token("other"));
    refused(other.get(&format!("/sites?limit=1&cursor={cursor}")).await, "another organization");
    let tampered: String = cursor.chars().rev().collect();
    refused(api.get(&format!("/sites?limit=1&cursor={tampered}")).await, "tampered with");
}

#[tokio::test]
async fn wrong_paths_and_methods_are_refused() {
    let world = World::new().await;
    for (method, path, status) in [
        (Method::GET, "/api/v1/none", 404),
        (Method::GET, "/api/v2/sites", 404),
        (Method::PUT, "/api/v1/sites", 405),
        (Method::DELETE, "/api/v1/providers", 405),
        (Method::GET, "/api/v1/sites/%ff%fe", 400),
    ] {
        let reply = send(&world.gateway.api, &method, path, &[], "").await.is(status);
        refused(reply, path);
    }
}

/// By what its head says alone, and whoever asks first isn't asked for the body.
#[tokio::test]
async fn a_body_that_is_announced_too_large_is_refused_at_once() {
    let gateway = Gateway::start().await;
    let token = std::fs::read_to_string(gateway.data().join("dev-token")).expect("the token");
    for more in ["", "expect: 100-continue\r\n", "expect: 100-continue\r\nidempotency-key: once\r\n"] {
        let mut stream = TcpStream::connect(gateway.api_address).await.expect("a connection");
        let head = format!(
            "POST /api/v1/connections HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\n\
             content-length: 10000000\r\n{more}\r\n",
            token.trim()
        );
        stream.write_all(head.as_bytes()).await.expect("the head is sent");
        let mut line = [0; 12];
        let read = tokio::time::timeout(Duration::from_secs(20), stream.read_exact(&mut line)).await;
        read.expect("an answer in time").expect("an answer");
        assert_eq!(String::from_utf8_lossy(&line), "HTTP/1.1 413", "{more}");
    }
}
