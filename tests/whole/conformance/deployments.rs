//! Deployments: from git, from a zip file, by content; what an environment serves; and back again.

use super::run::{Run, text};
use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};

pub async fn deployments(run: &Run) {
    if !run.can("deployments.list") {
        return;
    }
    let site = run.site("Shop one").await;
    let git = json!({"type": "git", "repository": "https://git.example.com/shop.git", "branch": "main"});
    let zip = json!({"type": "zip", "zip_url": "https://files.example.com/shop.zip"});
    for (kind, source) in [("git", git), ("zip", zip)] {
        let feature = format!("deployments.create.{kind}");
        if run.can(&feature) {
            let body = json!({"source": source, "environment": run.place.hint("production")});
            let made = run.post(&format!("{site}/deployments"), body).await["result"].clone();
            assert_eq!((&made["status"], &made["source"]["type"]), (&json!("completed"), &json!(kind)), "{made}");
            seen(run, &site, &made).await;
            run.pass(&feature);
            run.pass("deployments.create");
            serves(run, &site, &made["id"]).await;
        }
    }
    if run.can("deployments.plan") {
        by_content(run, &site).await;
    }
}

/// In the list and by itself.
async fn seen(run: &Run, site: &str, made: &Value) {
    let all = format!("{site}/deployments");
    assert!(run.listed(&all, &made["id"]).await.is_some(), "{made} isn't in the list");
    run.pass("deployments.list");
    assert_eq!(run.read(&format!("{all}/{}", text(&made["id"]))).await["id"], made["id"]);
    run.pass("deployments.get");
}

async fn serves(run: &Run, site: &str, id: &Value) {
    let production = run.place.text("production");
    assert_eq!(run.read(&format!("{site}/environments/{production}/current")).await["id"], *id);
    run.pass("environments.current");
}

/// Two of them; the first is released, then the second, and then the first again.
async fn by_content(run: &Run, site: &str) {
    let (first, second) = (commit(run, site, "one").await, commit(run, site, "two").await);
    let at = |id: &Value, action: &str| format!("{site}/deployments/{}/{action}", text(id));
    for id in [&first, &second] {
        let _ = run.post(&at(id, "release"), json!({"environment": run.place.hint("production")})).await;
        serves(run, site, id).await;
    }
    run.pass("deployments.release");
    let _ = run.post(&at(&first, "rollback"), json!({})).await;
    serves(run, site, &first).await;
    run.pass("deployments.rollback");
}

/// Plans a page, uploads what is missing, commits: the deployment's id.
async fn commit(run: &Run, site: &str, page: &'static str) -> Value {
    let bytes = Bytes::from_static(page.as_bytes());
    let hash = blake3::hash(&bytes).to_hex().to_string();
    // Hosts look at its form.
    let sha256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    let file =
        json!({"path": "/index.html", "blake3": hash, "sha256": sha256, "size": bytes.len(), "content_type": "text/html"});
    let plans = format!("{site}/deployments/plans");
    let plan = run.send(Method::POST, &plans, &json!({"files": [file], "message": page})).await.is(201).json();
    assert_eq!(plan["missing"], json!([hash]), "{plan}");
    let plan = format!("{plans}/{}", text(&plan["id"]));
    let headers = [("content-type", "application/octet-stream")];
    let _ = run.place.api().send(Method::PUT, &format!("{plan}/blobs/{hash}"), &headers, bytes).await.is(201);
    let made = run.change(Method::POST, &format!("{plan}/commit"), &json!({})).await["result"].clone();
    assert_eq!(made["status"], "committed", "{made}");
    seen(run, site, &made).await;
    run.pass("deployments.plan");
    made["id"].clone()
}
