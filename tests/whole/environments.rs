//! Environments of a site, and what a site tells of itself: usage and logs.
//!
//! Invariant: an environment answers to its id and to its name, wherever one can be named.

use http::Method;
use portico_tests::{Api, Gateway};
use serde_json::{Value, json};

const QUICK: &[(&str, &str)] = &[("prefer", "wait=30")];

/// A gateway with a sandbox whose work takes no time, and the path of a site there.
async fn world() -> (Gateway, String) {
    let gateway = Gateway::start().await;
    let path = site(&gateway, json!({"work_seconds": 0})).await;
    (gateway, path)
}

async fn site(gateway: &Gateway, settings: Value) -> String {
    gateway.connect("quick", "sandbox", settings).await;
    let made = gateway.api.post("/sites", &json!({"connection": "quick", "name": "Shop"})).await.is(201).json();
    format!("/sites/{}", text(&made["result"]["id"]))
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("not a text: {value}"))
}

async fn names(api: &Api, site: &str) -> Vec<String> {
    let list = api.get(&format!("{site}/environments")).await.is(200).json();
    assert_eq!((&list["next_cursor"], &list["errors"]), (&json!(null), &json!([])), "{list}");
    list["data"].as_array().expect("environments").iter().map(|one| text(&one["name"]).to_owned()).collect()
}

#[track_caller]
fn field(problem: &Value, name: &str) {
    assert_eq!(problem["fields"][0]["field"], name, "{problem}");
}

#[tokio::test]
async fn an_environment_from_its_creation_to_its_end() {
    let (gateway, site) = world().await;
    let api = &gateway.api;
    assert_eq!(names(api, &site).await, ["production"]);
    api.get(&format!("{site}/environments/production/current")).await.problem(404, "nothing_deployed");

    let body = json!({"name": "My Staging", "source": "production", "php_version": "8.2"});
    let made = api.post(&format!("{site}/environments"), &body).await.is(201);
    assert_eq!(made.header("location"), Some(format!("/api/v1{site}/environments").as_str()));
    let made = made.json();
    let environment = made["result"].clone();
    assert_eq!((&made["action"], &made["target"]["type"]), (&json!("environments.create"), &json!("environment")), "{made}");
    assert_eq!(made["target"]["id"], environment["id"], "{made}");
    assert_eq!((&environment["kind"], &environment["php_version"]), (&json!("staging"), &json!("8.2")), "{made}");
    assert_eq!(environment["status"], "running", "{made}");
    assert_eq!(names(api, &site).await, ["production", "My Staging"]);
    let taken = api.post(&format!("{site}/environments"), &json!({"name": "My Staging"})).await.problem(409, "conflict");
    field(&taken, "name");

    // By its name, escaped as ids are.
    let path = format!("{site}/environments/My=20Staging");
    let body = json!({"name": "QA", "php_version": "8.4"});
    let changed = api.json(Method::PATCH, &path, QUICK, &body).await.is(200).json();
    assert_eq!((&changed["result"]["name"], &changed["result"]["php_version"]), (&json!("QA"), &json!("8.4")), "{changed}");
    assert_eq!(changed["result"]["id"], environment["id"], "{changed}");
    assert_eq!(names(api, &site).await, ["production", "QA"]);

    // Pushed by name, from what was deployed there by id.
    let source = json!({"type": "git", "repository": "https://git.example/shop.git"});
    let deploy = json!({"environment": environment["id"], "source": source});
    let deployed = api.post(&format!("{site}/deployments"), &deploy).await.is(201).json();
    let current = api.get(&format!("{site}/environments/QA/current")).await.is(200).json();
    assert_eq!(current["id"], deployed["result"]["id"], "{current}");
    assert_eq!(current["environment"], environment["id"], "{current}");
    let push = api.post(&format!("{site}/environments/QA/push"), &json!({"target": "production"})).await.is(200).json();
    assert_eq!((&push["action"], &push["target"]["id"]), (&json!("environments.push"), &json!("production")), "{push}");
    assert_eq!(push["result"]["name"], "production", "{push}");

    api.delete(&format!("{site}/environments/production")).await.problem(409, "conflict");
    let gone = api.delete(&format!("{site}/environments/{}", text(&environment["id"]))).await.is(200).json();
    assert_eq!((&gone["status"], &gone["result"]), (&json!("succeeded"), &json!(null)), "{gone}");
    assert_eq!(names(api, &site).await, ["production"]);
    api.delete(&format!("{site}/environments/QA")).await.problem(404, "not_found");
}

#[tokio::test]
async fn an_id_is_understood_as_answers_write_it() {
    let gateway = Gateway::start().await;
    gateway.connect("quick", "sandbox", json!({"work_seconds": 0})).await;
    let body = json!({"connection": "quick", "name": "Odd", "environment": "Main Line"});
    let made = gateway.api.post("/sites", &body).await.is(201).json();
    let site = format!("/sites/{}", text(&made["result"]["id"]));
    let id = text(&made["result"]["environments"][0]["id"]);
    assert_eq!(id, "Main=20Line");
    for named in [id, "Main%20Line"] {
        let logs = gateway.api.get(&format!("{site}/logs?environment={named}&lines=2")).await.is(200).json();
        assert_eq!(logs["total"], 2, "{logs}");
    }
    for named in [id, "Main Line"] {
        let backup = gateway.api.post(&format!("{site}/backups"), &json!({"environment": named})).await.is(201).json();
        assert_eq!(backup["result"]["environment"], id, "{backup}");
    }
}

#[tokio::test]
async fn bad_requests_about_environments_name_the_field() {
    let (gateway, site) = world().await;
    let api = &gateway.api;
    let environments = format!("{site}/environments");
    for (body, wrong) in [
        (json!({}), "name"),
        (json!({"name": ""}), "name"),
        (json!({"name": " a"}), "name"),
        (json!({"name": "x".repeat(101)}), "name"),
        (json!({"name": "a", "kind": "test"}), "kind"),
        (json!({"name": "a", "source": ""}), "source"),
        (json!({"name": "a", "source": "none-such"}), "source"),
        (json!({"name": "a", "php_version": "5.2"}), "php_version"),
        (json!({"name": "a", "options": []}), "options"),
        (json!({"name": "a", "color": 1}), "color"),
    ] {
        field(&api.post(&environments, &body).await.problem(422, "invalid_input"), wrong);
    }
    let production = format!("{environments}/production");
    let patch = async |body: Value| api.json(Method::PATCH, &production, QUICK, &body).await.problem(422, "invalid_input");
    field(&patch(json!({"wordpress_version": "0.1"})).await, "wordpress_version");
    let nothing = patch(json!({})).await;
    assert!(nothing.get("fields").is_none() && text(&nothing["detail"]).contains("at least one of name"), "{nothing}");
    for (body, wrong) in [
        (json!({}), "target"),
        (json!({"target": "none-such"}), "target"),
        (json!({"target": "production"}), "target"),
        (json!({"target": "x", "database": false}), "database"),
        (json!({"target": "x", "files": true, "search_replace": true}), "search_replace"),
    ] {
        field(&api.post(&format!("{production}/push"), &body).await.problem(422, "invalid_input"), wrong);
    }
    for missing in ["environments/none-such/current", "environments/none-such"] {
        let path = format!("{site}/{missing}");
        let reply = if missing.ends_with("current") { api.get(&path).await } else { api.delete(&path).await };
        reply.problem(404, "not_found");
    }
    assert_eq!(names(api, &site).await, ["production"]);
    api.get("/sites/quick~none-such/environments").await.problem(404, "not_found");
}

#[tokio::test]
async fn a_site_tells_its_usage_and_the_end_of_its_logs() {
    let (gateway, site) = world().await;
    let api = &gateway.api;
    let usage = api.get(&format!("{site}/usage")).await.is(200);
    assert!(usage.header("etag").is_some());
    let usage = usage.json();
    for number in ["storage", "bandwidth", "visits"] {
        assert!(usage[number].is_u64(), "{usage}");
    }
    let logs = api.get(&format!("{site}/logs")).await.is(200).json();
    assert_eq!((&logs["total"], &logs["next_cursor"], &logs["errors"]), (&json!(100), &json!(null), &json!([])));
    assert!(logs["as_of"].is_string() && logs["data"][0]["at"].is_string(), "{logs}");
    let errors = api.get(&format!("{site}/logs?source=error&lines=1000&environment=production")).await.is(200).json();
    assert_eq!(errors["data"].as_array().map(Vec::len), Some(1000));
    assert!(errors["data"].as_array().expect("lines").iter().all(|line| line["source"] == "error" && line["text"].is_string()));
    for (query, wrong) in [
        ("lines=0", "lines"),
        ("lines=1001", "lines"),
        ("lines=many", "lines"),
        ("source=", "source"),
        ("source=kernel", "source"),
        ("environment=none-such", "environment"),
        ("cursor=x", ""),
    ] {
        let problem = api.get(&format!("{site}/logs?{query}")).await.problem(422, "invalid_input");
        if !wrong.is_empty() {
            field(&problem, wrong);
        }
    }
    for detail in ["usage", "logs"] {
        api.get(&format!("/sites/quick~none-such/{detail}")).await.problem(404, "not_found");
    }
}

#[tokio::test]
async fn what_is_switched_off_is_501_and_makes_no_operation() {
    let gateway = Gateway::start().await;
    let off = ["sites.usage", "sites.logs", "environments.push", "environments.current", "environments.update.php_version"];
    let site = site(&gateway, json!({"work_seconds": 0, "features_off": off})).await;
    let api = &gateway.api;
    let production = format!("{site}/environments/production");
    let refused = [
        (api.get(&format!("{site}/usage")).await, "sites.usage"),
        (api.get(&format!("{site}/logs")).await, "sites.logs"),
        (api.get(&format!("{production}/current")).await, "environments.current"),
        (api.post(&format!("{production}/push"), &json!({"target": "x"})).await, "environments.push"),
        (
            api.json(Method::PATCH, &production, QUICK, &json!({"name": "a", "php_version": "8.3"})).await,
            "environments.update.php_version",
        ),
    ];
    for (reply, feature) in refused {
        field(&reply.problem(501, "unsupported"), feature);
    }
    let operations = api.get("/operations").await.is(200).json();
    assert_eq!(operations["data"].as_array().map(Vec::len), Some(1), "{operations}");
    let _ = api.json(Method::PATCH, &production, QUICK, &json!({"name": "main"})).await.is(200);
}
