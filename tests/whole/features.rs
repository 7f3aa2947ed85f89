//! What each provider can do, written down, and that everything else is refused before anything is sent.
//!
//! Invariant: `PROVIDERS.md` is written from what the built-in components declare, so none loses a feature unseen; an endpoint that
//! isn't declared answers 501 and names the feature, and one that is declared never does.

use crate::tenants::{Endpoint, Ids, endpoints};
use portico_tests::{Gateway, Reply, Setup, gateway::root};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

const HEAD: &str = "# What each provider can do

By the features that the built-in components declare for a connection with default settings; `live` and `seed` are dialects, which
each provider's README explains. What a connection can't do is answered 501 `unsupported` and names the feature. Fields of a body
stand behind their action: `sites.create.region` is the field `region` of `POST /sites`. Written by a test: `UPDATE_GOLDEN=1 cargo test
--workspace --test whole features::`.

What was held against what: every request of kinsta and of wpengine (live) against the vendor's own document (`tests/whole/prism.rs`),
docker against a real Engine (`tests/whole/engine_e2e.rs`), the others against simulators made from the seed documents, which say
what of them is our assumption.
";

/// Nothing listens there: what is sent fails, and fails otherwise than by 501.
const NOWHERE: &str = "http://127.0.0.1:9";

/// A name for the connection, the provider, its settings and its secrets.
fn targets() -> Vec<(&'static str, &'static str, Value, Value)> {
    let mail = json!({"email": "a@example.com", "password": "none"});
    let user = json!({"username": "a", "password": "none"});
    vec![
        ("sandbox-all", "sandbox", json!({"blob_url": NOWHERE}), json!({})),
        ("docker", "docker", json!({}), json!({})),
        ("kinsta", "kinsta", json!({"base_url": NOWHERE}), json!({"api_key": "none"})),
        ("siteico", "siteico", json!({"url": NOWHERE}), user.clone()),
        ("sitepod-live", "sitepod", json!({"url": NOWHERE}), mail.clone()),
        ("sitepod-seed", "sitepod", json!({"url": NOWHERE, "dialect": "seed", "projects": ["p"]}), mail),
        ("wispanel", "wispanel", json!({"base_url": NOWHERE}), json!({"api_key": "none"})),
        ("wpengine-live", "wpengine", json!({"base_url": NOWHERE}), user),
        ("wpengine-seed", "wpengine", json!({"base_url": NOWHERE, "dialect": "seed"}), json!({"api_key": "none"})),
    ]
}

/// By connection.
async fn declared(gateway: &Gateway) -> BTreeMap<&'static str, BTreeSet<String>> {
    let mut declared = BTreeMap::new();
    for (id, provider, settings, secrets) in targets() {
        let body = json!({"id": id, "provider": provider, "name": id, "settings": settings, "secrets": secrets});
        let made = gateway.api.post("/connections", &body).await.is(201).json();
        let features = made["features"].as_array().expect("features").iter();
        declared.insert(id, features.map(|name| name.as_str().expect("a name").to_owned()).collect());
    }
    declared
}

async fn gateway() -> Gateway {
    let config = "[[grants]]\norganization = \"*\"\nprovider = \"*\"\nnetworks = [\"127.0.0.0/8\"]\nhttp = true\n\
                  [[grants]]\norganization = \"*\"\nprovider = \"docker\"\nsocket = \"/nonexistent/docker.sock\"\n\
                  socket_name = \"engine\"\nguard = \"docker-engine\"\n";
    Gateway::start_with(Setup { config: config.to_owned(), ..Setup::default() }).await
}

#[tokio::test]
async fn what_each_provider_can_do_is_written_down() {
    let declared = declared(&gateway().await).await;
    let all: BTreeSet<&String> = declared.values().flatten().collect();
    let mut text = HEAD.to_owned();
    let names: Vec<&str> = targets().iter().map(|target| target.0).collect();
    write!(text, "\n| feature | {} |\n|{} --- |\n", names.join(" | "), " --- |".repeat(names.len())).expect("a text");
    for feature in all {
        let cells: Vec<&str> = names.iter().map(|name| if declared[name].contains(feature) { "yes" } else { "–" }).collect();
        writeln!(text, "| `{feature}` | {} |", cells.join(" | ")).expect("a text");
    }
    let file = root().join("PROVIDERS.md");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&file, &text).expect("the table");
    }
    let written = std::fs::read_to_string(&file).unwrap_or_default();
    let differs = written.lines().zip(text.lines()).find(|(before, now)| before != now);
    assert!(
        written == text,
        "PROVIDERS.md isn't what the components declare: {differs:?}; look at it, then use UPDATE_GOLDEN=1"
    );
}

/// Ids on this connection that could be.
fn ids(connection: &str) -> Ids {
    let site = format!("{connection}~p");
    [
        ("site", site.as_str()),
        ("environment", "prod"),
        ("backup", "1"),
        ("domain", "www.example.com"),
        ("deployment", "1"),
        ("plan", "1"),
        ("plugin", "akismet"),
        ("theme", "twentytwentyfive"),
        ("hash", "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"),
    ]
    .map(|(name, id)| (name, id.to_owned()))
    .into()
}

fn is_of_a_host(endpoint: &Endpoint) -> bool {
    // These two lists are made of all connections, and leave out those that can't.
    let of_many = ["/sites", "/billing/usage"].contains(&endpoint.path.as_str()) && endpoint.method == http::Method::GET;
    !of_many && (endpoint.path.starts_with("/sites") || endpoint.path.starts_with("/billing"))
}

async fn ask(gateway: &Gateway, endpoint: &Endpoint, connection: &str) -> Reply {
    let mut path = endpoint.fill(&ids(connection));
    if endpoint.path.starts_with("/billing") && endpoint.body(connection).is_none() {
        path += &format!("?connection={connection}");
    }
    endpoint.send(&gateway.api, &path, connection).await
}

#[tokio::test]
async fn what_is_not_declared_is_refused_by_name() {
    let gateway = gateway().await;
    let declared = declared(&gateway).await;
    let (mut refused, mut let_through) = (0, 0);
    for endpoint in endpoints().iter().filter(|endpoint| is_of_a_host(endpoint)) {
        let id = endpoint.operation["operationId"].as_str().expect("an id");
        // Who plans takes the blobs and commits; settings of security are features one by one.
        let action = match id {
            "wordpress.security.update" => "wordpress.security.",
            _ if endpoint.path.contains("/plans/") => "deployments.plan",
            _ => id,
        };
        for (connection, features) in &declared {
            // Changes would wait for a host that isn't there; each provider's own tests make them.
            let may_wait = endpoint.method != http::Method::GET || *connection == "sandbox-all";
            let has = features.iter().any(|feature| feature == action || action.ends_with('.') && feature.starts_with(action));
            if has && may_wait {
                continue;
            }
            let reply = ask(&gateway, endpoint, connection).await;
            let what = format!("{connection}: {} {}: {}", endpoint.method, endpoint.path, reply.text());
            if has {
                assert_ne!(reply.status, 501, "declared, and refused: {what}");
                let_through += 1;
            } else {
                let problem = reply.is(501).json();
                assert_eq!(problem["code"], "unsupported", "{what}");
                assert!(problem["detail"].as_str().expect("words").contains(action), "it doesn't name {action}: {what}");
                refused += 1;
            }
        }
    }
    assert!(refused > 150 && let_through > 30, "only {refused} refused and {let_through} let through");
}
