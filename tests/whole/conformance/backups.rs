//! Backups: made of all that can be backed up, found, brought back, downloaded, deleted.

use super::run::{Run, text};
use http::Method;
use serde_json::{Value, json};

pub async fn backups(run: &Run) {
    if !run.can("backups.create") {
        return;
    }
    let site = run.site("Shop one").await;
    let all = format!("{site}/backups");
    let made = run.post(&all, json!({"description": "before the update"})).await["result"].clone();
    assert_eq!((&made["status"], &made["description"]), (&json!("completed"), &json!("before the update")), "{made}");
    run.pass("backups.create");
    let one = format!("{all}/{}", text(&made["id"]));
    assert!(run.listed(&all, &made["id"]).await.is_some(), "{made} isn't in the list");
    run.pass("backups.list");
    assert_eq!(run.read(&one).await["id"], made["id"]);
    run.pass("backups.get");
    kinds(run, &site, &all).await;
    restores(run, &site, &one).await;
    if run.can("backups.download") {
        // With some hosts that is another kind of backup.
        let which = run.place.hint("backups that can be downloaded");
        let one = match which.as_str() {
            None => one.clone(),
            Some(sign) => {
                let found = run.list(&all).await.into_iter().find(|one| text(&one["id"]).contains(sign));
                format!("{all}/{}", text(&found.expect("a backup that can be downloaded")["id"]))
            }
        };
        let bytes = run.place.api().get(&format!("{one}/download")).await.is(200);
        assert_eq!(bytes.text(), BYTES);
        run.pass("backups.download");
    }
    if run.can("backups.delete") {
        let _ = run.change(Method::DELETE, &one, &Value::Null).await;
        run.gone(&one).await;
        run.pass("backups.delete");
    }
}

/// What every host that can be downloaded from gives.
pub const BYTES: &str = "the backup's bytes";

async fn kinds(run: &Run, site: &str, all: &str) {
    for kind in run.below("backups.create.kind.") {
        let made = run.post(all, json!({"kind": kind, "description": format!("kind {kind}")})).await;
        assert_eq!(made["result"]["kind"], json!(kind), "{made}");
        run.pass(&format!("backups.create.kind.{kind}"));
    }
    if run.can("backups.create.environment") {
        let environment = run.another_environment(site).await;
        let made = run.post(all, json!({"environment": environment, "description": "of that one"})).await;
        run.assert_in(&made["result"], &environment);
        run.pass("backups.create.environment");
    }
}

async fn restores(run: &Run, site: &str, one: &str) {
    if !run.can("backups.restore") {
        return;
    }
    let restore = format!("{one}/restore");
    let _ = run.post(&restore, json!({})).await;
    run.pass("backups.restore");
    if run.can("backups.restore.contents") {
        let mut body = run.place.hint("backups.restore.contents");
        if body.is_null() {
            body = json!({"database": true, "files": false, "plugins": false, "themes": false});
        }
        let _ = run.post(&restore, body).await;
        run.pass("backups.restore.contents");
    }
    if run.can("backups.restore.environment") {
        let environment = run.another_environment(site).await;
        let _ = run.post(&restore, json!({ "environment": environment })).await;
        // Nothing tells where it was restored to; but the host was told.
        let told = run.place.host.heard(text(&environment));
        assert!(told != Some(false) || !run.can("environments.create"), "the host heard nothing of {environment}");
        run.pass("backups.restore.environment");
    }
}
