//! What every provider promises beside its features: whole lists, the host's own words, errors of the right kind, and refusal of what it
//! doesn't declare.
//!
//! Each is a row of the table's second part.

use super::run::{Run, path};
use crate::tenants::{Endpoint, Ids, endpoints};
use bytes::Bytes;
use http::Method;
use portico_tests::{Answer, Reply, simulators::Fault};
use serde_json::{Value, json};
use std::collections::BTreeSet;

pub const LISTS: &str = "lists are whole past their first page";
pub const NATIVE: &str = "the host's own fields ride along in `native`";
pub const ABSENT: &str = "what isn't there is `not_found`";
pub const CREDENTIALS: &str = "a refused credential is `upstream_credentials`";
pub const LIMIT: &str = "the host's limit is `upstream_rate_limited`";
pub const DOWN: &str = "a host that is down is `upstream_unavailable`";
pub const NONSENSE: &str = "an answer that makes no sense is `upstream_invalid`";
pub const UNDECLARED: &str = "what isn't declared is `unsupported`, and the host hears nothing";
pub const ROWS: [&str; 8] = [LISTS, NATIVE, ABSENT, CREDENTIALS, LIMIT, DOWN, NONSENSE, UNDECLARED];

/// There are sites from before, and one or two of today: where the host has pages, more than one of them.
pub async fn lists(run: &Run) {
    let mut made = Vec::new();
    for number in 0..if run.can("sites.create") { 2 } else { 0 } {
        made.push(run.site(&format!("Made {number}")).await);
    }
    let expected = run.place.before + made.len();
    assert!(expected >= 2, "too few to say anything");
    // Large lists in a few pages, none of which ends where the host's do.
    for limit in if expected > 100 { vec![37, 100] } else { vec![1, 2, 100] } {
        let sites = run.walk(&run.sites(), limit).await;
        let ids: BTreeSet<String> = sites.iter().map(path).collect();
        assert_eq!((ids.len(), sites.len()), (expected, expected), "pages of {limit}");
        assert!(made.iter().all(|made| ids.contains(made)), "pages of {limit} lack what was made");
    }
    let total = run.read(&run.sites()).await["total"].clone();
    assert!(total.is_null() || total == json!(expected), "{total} told of {expected}");
    run.note(LISTS);
}

pub async fn native(run: &Run) {
    // A host that tells nothing of a site has no such cell.
    if run.place.hint("native").is_null() {
        return;
    }
    let site = run.site("Shop one").await;
    let native = run.read(&site).await["native"].clone();
    let name = run.place.text("native");
    assert!(!native[&name].is_null(), "no {name} in {native}");
    run.note(NATIVE);
}

pub async fn absent(run: &Run) {
    let absent = run.place.hint("absent");
    let id = absent.as_str().unwrap_or("absent-1");
    run.gone(&format!("/sites/{}~{id}", run.place.connection)).await;
    run.note(ABSENT);
}

pub async fn credentials(run: &Run) {
    let refusal = Answer::Json(401, json!({"message": "Unauthorized", "error": "Unauthorized"}));
    trouble(run, "credentials", Fault::Answer(refusal), 502, "upstream_credentials", CREDENTIALS).await;
}

pub async fn limit(run: &Run) {
    trouble(run, "limit", Fault::TooMany(Some(120)), 429, "upstream_rate_limited", LIMIT).await;
}

pub async fn down(run: &Run) {
    trouble(run, "down", Fault::Html(503), 503, "upstream_unavailable", DOWN).await;
}

pub async fn nonsense(run: &Run) {
    trouble(run, "nonsense", Fault::Html(200), 502, "upstream_invalid", NONSENSE).await;
}

/// The sandbox has a setting for it; a host that nobody can disturb has no such cell.
async fn trouble(run: &Run, name: &str, fault: Fault, status: u16, code: &str, row: &str) {
    let site = run.site("Shop one").await;
    let setting = run.place.hint(&format!("trouble {name}"));
    if let Some(kind) = setting.as_str() {
        let change = json!({"settings": {"fail": {"sites.get": kind}}});
        let _ = run.change_connection(&change).await;
    } else if !run.place.host.trouble(fault) {
        return;
    }
    let headers = [("cache-control", "no-cache")];
    let problem = run.place.api().send(Method::GET, &site, &headers, Bytes::new()).await.problem(status, code);
    let detail = problem["detail"].as_str().expect("words");
    assert!(detail.len() > 8, "{problem}");
    run.note(row);
}

/// Every endpoint and every field that this connection doesn't have.
pub async fn undeclared(run: &Run) {
    let before = run.place.host.requests();
    let mut refused = 0;
    for endpoint in endpoints().iter().filter(|endpoint| is_of_a_host(endpoint)) {
        let action = action(endpoint);
        let has = run
            .place
            .features
            .iter()
            .any(|feature| *feature == action || action.ends_with('.') && feature.starts_with(&action));
        if !has {
            is_refused(&ask(run, endpoint).await, &action);
            refused += 1;
        }
    }
    for (parent, feature, method, below, body) in fields() {
        if run.can(parent) && !run.can(feature) {
            let path = match below {
                "" if method == Method::POST => "/sites".to_owned(),
                _ => format!("/sites/{}~p{below}", run.place.connection),
            };
            let mut body = body;
            if path == "/sites" {
                let mut whole = run.place.creation("sites.create");
                whole.as_object_mut().expect("a body").extend(body.as_object().expect("a field").clone());
                whole["connection"] = json!(run.place.connection);
                whole["name"] = json!("Refused");
                body = whole;
            }
            is_refused(&run.send(method, &path, &body).await, feature);
            refused += 1;
        }
    }
    assert_eq!(run.place.host.requests(), before, "the host was asked for what its provider can't do");
    // Who can everything, and a host that nobody can listen to, have no such cell.
    if refused > 0 && before.is_some() {
        run.note(UNDECLARED);
    }
}

#[track_caller]
fn is_refused(reply: &Reply, feature: &str) {
    let problem = reply.clone().problem(501, "unsupported");
    assert!(problem["detail"].as_str().expect("words").contains(feature), "it doesn't name {feature}: {problem}");
}

/// A field, or a value of one, that is a feature by itself: what it belongs to, its name, and a request with nothing else amiss.
fn fields() -> Vec<(&'static str, &'static str, Method, &'static str, Value)> {
    let (post, patch) = (Method::POST, Method::PATCH);
    let mut all = Vec::new();
    for (feature, body) in [
        ("sites.create.kind.plain", json!({"kind": "plain"})),
        ("sites.create.kind.static", json!({"kind": "static"})),
        ("sites.create.php_version", json!({"php_version": "8.2"})),
        ("sites.create.wordpress_version", json!({"wordpress_version": "6.7"})),
        ("sites.create.region", json!({"region": "eu"})),
        ("sites.create.template", json!({"template": "blank"})),
        ("sites.create.locale", json!({"locale": "de_DE"})),
        ("sites.create.admin", json!({"admin": super::subject::admin()})),
        ("sites.create.title", json!({"title": "A title"})),
        ("sites.create.domain", json!({"domain": "a.example"})),
        ("sites.create.environment", json!({"environment": "staging"})),
    ] {
        all.push(("sites.create", feature, post.clone(), "", body));
    }
    for (parent, feature, method, below, body) in [
        ("sites.update", "sites.update.name", &patch, "", json!({"name": "Other"})),
        ("sites.update", "sites.update.php_version", &patch, "", json!({"php_version": "8.2"})),
        ("sites.update", "sites.update.wordpress_version", &patch, "", json!({"wordpress_version": "6.7"})),
        ("environments.update", "environments.update.name", &patch, "/environments/e", json!({"name": "Other"})),
        ("backups.create", "backups.create.kind.database", &post, "/backups", json!({"kind": "database"})),
        ("backups.create", "backups.create.kind.files", &post, "/backups", json!({"kind": "files"})),
        ("backups.create", "backups.create.environment", &post, "/backups", json!({"environment": "staging"})),
        ("backups.restore", "backups.restore.contents", &post, "/backups/b/restore", json!({"database": true, "files": false})),
        ("backups.restore", "backups.restore.environment", &post, "/backups/b/restore", json!({"environment": "staging"})),
        ("domains.create", "domains.create.environment", &post, "/domains", json!({"name": "a.example", "environment": "e"})),
    ] {
        all.push((parent, feature, method.clone(), below, body));
    }
    all
}

fn action(endpoint: &Endpoint) -> String {
    match endpoint.operation["operationId"].as_str().expect("an id") {
        // Settings of security are features one by one; who plans takes the blobs and commits.
        "wordpress.security.update" => "wordpress.security.".to_owned(),
        _ if endpoint.path.contains("/plans/") => "deployments.plan".to_owned(),
        id => id.to_owned(),
    }
}

fn is_of_a_host(endpoint: &Endpoint) -> bool {
    // These two lists are made of all connections, and leave out those that can't.
    let of_many = ["/sites", "/billing/usage"].contains(&endpoint.path.as_str()) && endpoint.method == Method::GET;
    !of_many && (endpoint.path.starts_with("/sites") || endpoint.path.starts_with("/billing"))
}

/// Ids on this connection that could be.
async fn ask(run: &Run, endpoint: &Endpoint) -> Reply {
    let connection = &run.place.connection;
    let ids: Ids = [
        ("site", path(&json!({"id": format!("{connection}~p")})).trim_start_matches("/sites/").to_owned()),
        ("environment", "prod".to_owned()),
        ("backup", "1".to_owned()),
        ("domain", "www.example.com".to_owned()),
        ("deployment", "1".to_owned()),
        ("plan", "1".to_owned()),
        ("plugin", "akismet".to_owned()),
        ("theme", "twentytwentyfive".to_owned()),
        ("hash", "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef".to_owned()),
    ]
    .into();
    let mut path = endpoint.fill(&ids);
    if endpoint.path.starts_with("/billing") && endpoint.body(connection).is_none() {
        path += &format!("?connection={connection}");
    }
    endpoint.send(run.place.api(), &path, connection).await
}
