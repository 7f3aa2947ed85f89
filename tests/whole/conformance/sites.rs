//! Sites: made, seen, changed, stopped, started, copied, deleted; and each field that a creation may have.

use super::run::{Run, path, text};
use http::Method;
use portico_tests::eventually;
use serde_json::{Value, json};

/// A site from its creation, or from when it was found, to its end.
pub async fn life(run: &Run) {
    let site = run.site("Shop one").await;
    let shown = run.read(&site).await;
    assert_eq!(path(&shown), site, "{shown}");
    run.pass("sites.get");
    let listed = run.listed(&run.sites(), &shown["id"]).await;
    assert!(listed.is_some_and(|one| one["name"] == shown["name"]), "{site} isn't in the list");
    run.pass("sites.list");
    if run.can("sites.create") {
        assert_eq!((&shown["name"], &shown["status"]), (&json!("Shop one"), &json!("running")), "{shown}");
        run.pass("sites.create");
    }
    numbers(run, &site).await;
    updates(run, &site).await;
    stops(run, &site).await;
    clones(run, &site).await;
    if run.can("sites.delete") {
        let _ = run.change(Method::DELETE, &site, &Value::Null).await;
        run.gone(&site).await;
        assert_eq!(run.listed(&run.sites(), &shown["id"]).await, None);
        run.pass("sites.delete");
    }
}

async fn numbers(run: &Run, site: &str) {
    if run.can("sites.usage") {
        let usage = run.read(&format!("{site}/usage")).await;
        let told = ["storage", "bandwidth", "visits"].iter().filter(|name| usage[**name].is_u64()).count();
        assert!(told > 0, "{usage}");
        run.pass("sites.usage");
    }
    if run.can("sites.logs") {
        let logs = run.read(&format!("{site}/logs")).await;
        assert!(!text(&logs["data"][0]["text"]).is_empty(), "{logs}");
        run.pass("sites.logs");
    }
}

async fn updates(run: &Run, site: &str) {
    for field in run.below("sites.update.") {
        let value = run.place.hint(&format!("sites.update.{field}"));
        let _ = run.change(Method::PATCH, site, &json!({&field: value})).await;
        assert_eq!(run.read(site).await[&field], value, "{field}");
        run.pass(&format!("sites.update.{field}"));
        run.pass("sites.update");
    }
}

async fn stops(run: &Run, site: &str) {
    if run.can("sites.stop") {
        let _ = run.post(&format!("{site}/stop"), json!({})).await;
        assert_eq!(run.read(site).await["status"], "stopped");
        run.pass("sites.stop");
        let _ = run.post(&format!("{site}/start"), json!({})).await;
        assert_eq!(run.read(site).await["status"], "running");
        run.pass("sites.start");
    }
}

async fn clones(run: &Run, site: &str) {
    if run.can("sites.clone") {
        let mut body = run.place.hint("sites.clone");
        if body.is_null() {
            body = json!({});
        }
        body["name"] = json!("Shop two");
        let made = run.post(&format!("{site}/clone"), body).await["result"].clone();
        assert!(path(&made) != site && made["status"] == "running", "{made}");
        assert!(run.listed(&run.sites(), &made["id"]).await.is_some(), "the copy isn't in the list");
        run.pass("sites.clone");
    }
}

/// Work that is under way when it is stopped: as the provider can, or with a refusal that names what it can't.
pub async fn cancel(run: &Run) {
    if !run.can("sites.create") {
        return;
    }
    // On a busy machine the work may have ended before anybody could stop it.
    for number in 0..6 {
        if stopped(run, number).await {
            return;
        }
    }
    panic!("the work has always ended before it could be stopped");
}

/// False: it came too late.
async fn stopped(run: &Run, number: usize) -> bool {
    let mut body = run.place.creation("what takes long");
    if body["domain"].is_string() {
        body["domain"] = json!(format!("shop-{number}.example"));
    }
    let name = run.place.hint("name of what takes long").as_str().unwrap_or("Shop").to_owned();
    body["connection"] = json!(run.place.connection);
    body["name"] = json!(format!("{name}-{number}"));
    let headers = [("prefer", "respond-async")];
    let operation = run.place.api().json(Method::POST, "/sites", &headers, &body).await.is(202).json();
    let operation = format!("/operations/{}", text(&operation["id"]));
    let answer = eventually("the work to be under way, or over", async || {
        let status = text(&run.read(&operation).await["status"]).to_owned();
        match status.as_str() {
            // Until the host has begun with it, the gateway drops it by itself.
            "queued" => None,
            "running" => {
                let answer = run.send(Method::POST, &format!("{operation}/cancel"), &json!({})).await;
                Some(answer).filter(|answer| answer.json()["code"] != "operation_not_cancelable").map(Some)
            }
            _ => Some(None),
        }
    })
    .await;
    let Some(answer) = answer.filter(|answer| answer.json()["code"] != "operation_finished") else { return false };
    if !run.can("operations.cancel") {
        let problem = answer.problem(501, "unsupported");
        assert!(text(&problem["detail"]).contains("operations.cancel"), "{problem}");
        return true;
    }
    assert!(answer.status.is_success(), "{}", answer.text());
    let ended = eventually("its end", async || {
        let now = run.read(&operation).await;
        (!["queued", "running"].contains(&text(&now["status"]))).then_some(now)
    })
    .await;
    assert_eq!(ended["status"], "canceled", "{ended}");
    run.pass("operations.cancel");
    true
}

/// One site for each field, which the host was told, or tells.
pub async fn fields(run: &Run) {
    for (number, field) in run.below("sites.create.").iter().enumerate() {
        let feature = format!("sites.create.{field}");
        let made = run.make(&format!("Field {number}"), &feature).await;
        let value = match field.split_once('.') {
            Some((_, value)) => json!(value),
            None => run.place.creation(&feature)[field].clone(),
        };
        let shown = match field.split('.').next() {
            Some("kind") => made["kind"] == value,
            Some("php_version" | "wordpress_version") => made[field] == value,
            _ => is_known(run, &made, value["user"].as_str().unwrap_or_else(|| text(&value))),
        };
        assert!(shown, "{feature}: {value} is nowhere: {made}");
        run.pass(&feature);
    }
}

/// The host heard this word, or where nobody can listen, says it.
fn is_known(run: &Run, made: &Value, word: &str) -> bool {
    run.place.host.heard(word).unwrap_or_else(|| made.to_string().contains(word))
}
