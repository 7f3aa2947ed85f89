//! Environments and domains of a site.

use super::run::{Run, text};
use http::Method;
use serde_json::{Value, json};

pub async fn environments(run: &Run) {
    if !run.can("environments.list") {
        return;
    }
    let site = run.site("Shop one").await;
    let all = format!("{site}/environments");
    let production = run.place.hint("production");
    let found = run.list(&all).await;
    assert!(found.iter().any(|one| one["name"] == production || one["kind"] == "production"), "{found:?}");
    run.pass("environments.list");
    if !run.can("environments.create") {
        return;
    }
    let body = run.place.hint("environments.create");
    let made = run.post(&all, body.clone()).await["result"].clone();
    assert_eq!(made["name"], body["name"], "{made}");
    assert!(run.listed(&all, &made["id"]).await.is_some(), "{made} isn't in the list");
    run.pass("environments.create");
    let one = format!("{all}/{}", text(&made["id"]));
    for field in run.below("environments.update.") {
        let value = run.place.hint(&format!("environments.update.{field}"));
        let _ = run.change(Method::PATCH, &one, &json!({&field: value})).await;
        let shown = run.listed(&all, &made["id"]).await.expect("it is there");
        assert_eq!(shown[&field], value, "{shown}");
        run.pass(&format!("environments.update.{field}"));
        run.pass("environments.update");
    }
    if run.can("environments.push") {
        let _ = run.post(&format!("{one}/push"), json!({"target": production})).await;
        run.pass("environments.push");
    }
    if run.can("environments.delete") {
        let _ = run.change(Method::DELETE, &one, &Value::Null).await;
        assert_eq!(run.listed(&all, &made["id"]).await, None);
        run.pass("environments.delete");
    }
}

pub async fn domains(run: &Run) {
    if !run.can("domains.list") {
        return;
    }
    let site = run.site("Shop one").await;
    let all = format!("{site}/domains");
    if !run.can("domains.create") {
        // Then it has those that it came with.
        let found = run.list(&all).await;
        assert!(found.iter().any(|one| text(&one["name"]).contains('.')), "{found:?}");
        return run.pass("domains.list");
    }
    let name = run.place.text("domains.create");
    let _ = run.post(&all, json!({"name": name})).await;
    assert_eq!(run.listed(&all, &json!(name)).await.expect("the domain is in the list")["name"], json!(name));
    run.pass("domains.create");
    run.pass("domains.list");
    let one = format!("{all}/{name}");
    if run.can("domains.verify") {
        let _ = run.post(&format!("{one}/verify"), json!({})).await;
        assert_eq!(run.listed(&all, &json!(name)).await.expect("the domain is in the list")["status"], "active");
        run.pass("domains.verify");
    }
    if run.can("domains.set_primary") {
        let _ = run.change(Method::PUT, &format!("{one}/primary"), &Value::Null).await;
        let primary: Vec<Value> = run.list(&all).await.into_iter().filter(|one| one["primary"] == true).collect();
        assert!(primary.len() == 1 && primary[0]["name"] == json!(name), "{primary:?}");
        run.pass("domains.set_primary");
    }
    elsewhere(run, &site, &all).await;
    if run.can("domains.delete") {
        // Hosts keep the one that is primary.
        let spare = run.place.text("domains.create.environment");
        let _ = run.change(Method::DELETE, &format!("{all}/{spare}"), &Value::Null).await;
        assert_eq!(run.listed(&all, &json!(spare)).await, None);
        run.pass("domains.delete");
    }
}

/// A second one, in an environment that is named where that can be.
async fn elsewhere(run: &Run, site: &str, all: &str) {
    let name = run.place.text("domains.create.environment");
    let mut body = json!({"name": name});
    let environment = run.another_environment(site).await;
    if run.can("domains.create.environment") {
        body["environment"] = environment.clone();
    }
    let _ = run.post(all, body).await;
    let shown = run.listed(all, &json!(name)).await.expect("the domain is in the list");
    if run.can("domains.create.environment") {
        run.assert_in(&shown, &environment);
        run.pass("domains.create.environment");
    }
}
