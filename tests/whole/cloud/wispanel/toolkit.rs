//! The WordPress toolkit of an installation, each call once, with what it did at the panel.
//!
//! Invariant: a change is seen in the panel's world, not in its answer; what is shown once is found nowhere afterwards.

use super::scene::{Scene, text};
use http::Method;
use portico_tests::simulators::wispanel::{DB_PASSWORD, KEY, LOGIN, WEAK};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// A scene with one installation, and the toolkit's place in it.
async fn toolkit() -> (Scene, String) {
    let scene = Scene::new(&["blog.com"]).await;
    let site = scene.site().await;
    (scene, format!("{site}/wordpress"))
}

#[tokio::test]
async fn status_core_and_maintenance() {
    let (scene, at) = toolkit().await;
    let status = scene.read(&at).await;
    assert_eq!((&status["version"], &status["site_title"]), (&json!("6.9.3"), &json!("My Site")), "{status}");
    assert_eq!((&status["wp_cli_available"], &status["maintenance"]), (&json!(true), &json!(false)), "{status}");
    assert_eq!(status["db"]["table_prefix"], "wp_u9fh_", "{status}");
    assert!(!status.to_string().contains(DB_PASSWORD), "{status}");
    let updated = scene.change(Method::POST, &format!("{at}/core/update"), &json!({"version": "6.9.4"})).await;
    assert_eq!(updated["result"]["version"], "6.9.4", "{updated}");
    scene.change(Method::POST, &format!("{at}/core/reinstall"), &json!({})).await;
    let on = scene.change(Method::PUT, &format!("{at}/maintenance"), &json!({"enabled": true})).await;
    assert_eq!(on["result"]["maintenance"], true, "{on}");
    scene.panel.world(|panel| {
        let blog = panel.installation("blog.com");
        assert_eq!(
            (blog.version.as_str(), blog.maintenance, blog.done.as_slice()),
            ("6.9.4", true, &["reinstall-core".to_owned()][..])
        );
    });
}

#[tokio::test]
async fn plugins_come_and_go() {
    let (scene, at) = toolkit().await;
    let plugins = format!("{at}/plugins");
    let list = scene.read(&plugins).await;
    let akismet = &list["data"][0];
    assert_eq!((&akismet["id"], &akismet["name"]), (&json!("akismet"), &json!("The akismet")), "{list}");
    assert_eq!((&akismet["active"], &akismet["update"]), (&json!(false), &json!("1.1")), "{list}");
    let made = scene.change(Method::POST, &plugins, &json!({"source": "wordfence", "activate": true})).await;
    assert_eq!((&made["result"]["id"], &made["result"]["active"]), (&json!("wordfence"), &json!(true)), "{made}");
    let again = scene.send(Method::POST, &plugins, &json!({"source": "wordfence"})).await.problem(409, "conflict");
    assert_eq!(again["fields"][0]["field"], "source", "{again}");
    let on = scene.change(Method::POST, &format!("{plugins}/akismet/activate"), &json!({})).await;
    assert_eq!(on["result"]["active"], true, "{on}");
}

#[tokio::test]
async fn plugins_are_updated_turned_off_and_deleted() {
    let (scene, at) = toolkit().await;
    let akismet = format!("{at}/plugins/akismet");
    let updated = scene.change(Method::POST, &format!("{akismet}/update"), &json!({})).await;
    assert_eq!((&updated["result"]["version"], &updated["result"]["update"]), (&json!("1.1"), &Value::Null), "{updated}");
    scene.panel.world(|panel| panel.installation("blog.com").plugins[0].active = true);
    let off = scene.change(Method::POST, &format!("{akismet}/deactivate"), &json!({})).await;
    assert_eq!(off["result"]["active"], false, "{off}");
    scene.change(Method::DELETE, &akismet, &Value::Null).await;
    assert_eq!(scene.panel.world(|panel| panel.installation("blog.com").plugins.len()), 0);
    scene.send(Method::POST, &format!("{akismet}/activate"), &json!({})).await.problem(404, "not_found");
}

#[tokio::test]
async fn themes_come_and_go() {
    let (scene, at) = toolkit().await;
    let themes = format!("{at}/themes");
    assert_eq!(scene.read(&themes).await["data"].as_array().map(Vec::len), Some(2));
    let made = scene.change(Method::POST, &themes, &json!({"source": "astra"})).await;
    assert_eq!(made["result"]["id"], "astra", "{made}");
    let on = scene.change(Method::POST, &format!("{themes}/astra/activate"), &json!({})).await;
    assert_eq!(on["result"]["active"], true, "{on}");
    let updated = scene.change(Method::POST, &format!("{themes}/twentytwentyfour/update"), &json!({})).await;
    assert_eq!(updated["result"]["version"], "1.1", "{updated}");
    scene.change(Method::DELETE, &format!("{themes}/twentytwentyfive"), &Value::Null).await;
    scene.change(Method::POST, &format!("{themes}/astra/deactivate"), &json!({})).await;
    let left = scene.panel.world(|panel| {
        let themes = panel.installation("blog.com").themes.iter();
        themes.map(|theme| (theme.slug.clone(), theme.active)).collect::<Vec<_>>()
    });
    assert_eq!(left, [("twentytwentyfour".to_owned(), false), ("astra".to_owned(), false)]);
}

#[tokio::test]
async fn caches_are_turned_and_emptied() {
    let (scene, at) = toolkit().await;
    let cache = format!("{at}/cache");
    let told = scene.read(&cache).await;
    assert_eq!((&told["enabled"], &told["kinds"]), (&json!(false), &json!(["page"])), "{told}");
    let on = scene.change(Method::POST, &format!("{cache}/enable"), &json!({})).await;
    assert_eq!(on["result"]["enabled"], true, "{on}");
    scene.change(Method::POST, &format!("{cache}/flush"), &json!({})).await;
    scene.change(Method::POST, &format!("{cache}/purge"), &json!({"urls": ["https://blog.com/x"]})).await;
    scene.change(Method::POST, &format!("{cache}/purge"), &json!({})).await;
    let done = scene.panel.world(|panel| panel.installation("blog.com").done.clone());
    assert_eq!(done, ["flush", "purge [\"https://blog.com/x\"]", "purge null"]);
    let off = scene.change(Method::POST, &format!("{cache}/disable"), &json!({})).await;
    assert_eq!(off["result"]["enabled"], false, "{off}");
}

#[tokio::test]
async fn security_is_switched_and_checked() {
    let (scene, at) = toolkit().await;
    let security = format!("{at}/security");
    let before = scene.read(&security).await;
    assert_eq!((&before["file_edit"], &before["debug"]), (&json!(true), &json!(false)), "{before}");
    let change = json!({"file_edit": false, "file_protection": true, "hide_login": true, "debug": true});
    let changed = scene.change(Method::PATCH, &security, &change).await;
    for (name, wanted) in change.as_object().expect("an object") {
        assert_eq!(changed["result"][name], *wanted, "{name}: {changed}");
    }
    // What turns whatever it finds isn't called where nothing is to be turned.
    scene.change(Method::PATCH, &security, &json!({"debug": true})).await;
    assert!(scene.panel.world(|panel| panel.installation("blog.com").debug));
    assert_eq!(scene.panel.count(&Method::POST, "/api/v1/wordpress/security/toggle-debug"), 1);
    let sums = scene.change(Method::POST, &format!("{security}/verify-checksums"), &json!({})).await;
    assert_eq!(sums["result"]["modified"], json!(["wp-includes/version.php"]), "{sums}");
}

#[tokio::test]
async fn texts_are_replaced_once() {
    let (scene, at) = toolkit().await;
    let path = format!("{at}/search-replace");
    let replaced = scene.change(Method::POST, &path, &json!({"search": "http://", "replace": "https://"})).await;
    assert_eq!(replaced["result"]["replacements"], 2, "{replaced}");
    let content = scene.panel.world(|panel| panel.installation("blog.com").content.clone());
    assert_eq!(content, "https://blog.com and https://blog.com/shop");
    // The panel has no trial run: it would be a real one.
    let trial = json!({"search": "https", "replace": "x", "dry_run": true});
    scene.send(Method::POST, &path, &trial).await.problem(501, "unsupported");
    assert_eq!(scene.panel.count(&Method::POST, "/api/v1/wordpress/search-replace"), 1);
}

#[tokio::test]
async fn secrets_are_shown_once_and_found_nowhere() {
    const CHOSEN: &str = "canary-that-was-chosen-7398";
    let (scene, at) = toolkit().await;
    let admins = format!("{at}/admins");
    let made = scene.change(Method::POST, &admins, &json!({"user": "anna", "email": "a@blog.example"})).await;
    let first = text(&made["secrets"]["password"]).to_owned();
    let password = |scene: &Scene| scene.panel.world(|panel| panel.installation("blog.com").users[0].1.clone());
    assert_eq!(password(&scene), first);
    let reset = scene.change(Method::POST, &format!("{at}/password-reset"), &json!({"user": "anna"})).await;
    let second = text(&reset["secrets"]["password"]).to_owned();
    assert!(first != second && password(&scene) == second);
    let chosen = json!({"user": "anna", "password": CHOSEN});
    let reset = scene.change(Method::POST, &format!("{at}/password-reset"), &chosen).await;
    assert!(reset["secrets"].is_null() && password(&scene) == CHOSEN, "{reset}");
    let link = scene.change(Method::POST, &format!("{at}/login-link"), &json!({"user": "anna"})).await;
    let url = text(&link["secrets"]["url"]).to_owned();
    assert_eq!(url, format!("https://blog.com/wp-login.php?wis_login={LOGIN}"));
    // What the panel repeats of a password in its refusal goes no further.
    let weak = json!({"user": "bob", "email": "b@blog.example", "password": WEAK});
    let refused = scene.send(Method::POST, &admins, &weak).await.problem(422, "invalid_input");
    assert!(text(&refused["detail"]).contains("is too weak"), "{refused}");

    let mut told = refused.to_string();
    for path in ["/sites?limit=100", "/connections/w", "/operations?limit=100", "/audit?limit=100", at.as_str()] {
        told += &scene.gateway.api.get(path).await.is(200).text();
    }
    told += &scene.gateway.admin.fresh().get("/metrics").await.is(200).text();
    told += &scene.gateway.log();
    for secret in [&first, &second, CHOSEN, LOGIN, WEAK, DB_PASSWORD, KEY] {
        assert!(!told.contains(secret), "{secret} is in an answer, the metrics or the log");
        for file in files(&scene.gateway.data()) {
            let bytes = std::fs::read(&file).unwrap_or_default();
            let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!found, "{secret} is in {}", file.display());
        }
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("the data folder").map(|entry| entry.expect("an entry").path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}
