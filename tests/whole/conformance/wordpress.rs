//! The WordPress toolkit.

use super::run::{Run, text};
use http::Method;
use serde_json::{Value, json};

pub async fn core(run: &Run) {
    if !run.can("wordpress.status") {
        return;
    }
    let at = format!("{}/wordpress", run.site("Shop one").await);
    let status = run.read(&at).await;
    assert!(text(&status["version"]).contains('.'), "{status}");
    run.pass("wordpress.status");
    if run.can("wordpress.core.update") {
        let version = run.place.hint("wordpress.core.update");
        let _ = run.post(&format!("{at}/core/update"), json!({"version": version})).await;
        assert_eq!(run.read(&at).await["version"], version);
        run.pass("wordpress.core.update");
    }
    if run.can("wordpress.core.reinstall") {
        let _ = run.post(&format!("{at}/core/reinstall"), json!({})).await;
        run.pass("wordpress.core.reinstall");
    }
    if run.can("wordpress.maintenance") {
        for enabled in [true, false] {
            let before = run.place.host.changes();
            let _ = run.change(Method::PUT, &format!("{at}/maintenance"), &json!({"enabled": enabled})).await;
            let told = run.read(&at).await["maintenance"].clone();
            // A host that doesn't tell has at least heard of it.
            assert!(told == json!(enabled) || told.is_null() && run.place.host.changes() > before, "{told}");
        }
        run.pass("wordpress.maintenance");
    }
}

pub async fn plugins(run: &Run) {
    extensions(run, "plugins").await;
}

pub async fn themes(run: &Run) {
    extensions(run, "themes").await;
}

async fn extensions(run: &Run, kind: &str) {
    let feature = |action: &str| format!("wordpress.{kind}.{action}");
    if !run.can(&feature("list")) {
        return;
    }
    let all = format!("{}/wordpress/{kind}", run.site("Shop one").await);
    let before = run.list(&all).await;
    let old = before.iter().find(|one| one["update"].is_string()).expect("one that can be updated").clone();
    run.pass(&feature("list"));
    let _ = run.post(&format!("{all}/{}/update", text(&old["id"])), json!({})).await;
    let updated = run.listed(&all, &old["id"]).await.expect("it is there");
    assert_eq!((&updated["version"], &updated["update"]), (&old["update"], &Value::Null), "{updated}");
    run.pass(&feature("update"));

    let made = run.post(&all, json!({"source": run.place.hint(kind.trim_end_matches('s'))})).await["result"].clone();
    let shown = run.listed(&all, &made["id"]).await.expect("what was installed is in the list");
    assert_eq!(shown["active"], false, "{shown}");
    run.pass(&feature("install"));
    let one = format!("{all}/{}", text(&made["id"]));
    let is_active = async || run.listed(&all, &made["id"]).await.expect("it is there")["active"] == true;
    let _ = run.post(&format!("{one}/activate"), json!({})).await;
    assert!(is_active().await);
    run.pass(&feature("activate"));
    // A theme gives way to another, where it can't be turned off by itself.
    if kind == "themes" {
        let _ = run.post(&format!("{all}/{}/activate", text(&old["id"])), json!({})).await;
    } else {
        let _ = run.post(&format!("{one}/deactivate"), json!({})).await;
        run.pass(&feature("deactivate"));
    }
    assert!(!is_active().await);
    if kind == "themes" && run.can(&feature("deactivate")) {
        if run.place.hint("an active theme can be turned off") == true {
            let _ = run.post(&format!("{one}/activate"), json!({})).await;
        }
        let _ = run.post(&format!("{all}/{}/deactivate", text(&made["id"])), json!({})).await;
        assert!(!is_active().await);
        run.pass(&feature("deactivate"));
    }
    let _ = run.change(Method::DELETE, &one, &Value::Null).await;
    assert_eq!(run.listed(&all, &made["id"]).await, None);
    run.pass(&feature("delete"));
}

pub async fn cache(run: &Run) {
    if !run.can("wordpress.cache.purge") {
        return;
    }
    let at = format!("{}/wordpress/cache", run.site("Shop one").await);
    if run.can("wordpress.cache.get") {
        assert!(run.read(&at).await["enabled"].is_boolean());
        run.pass("wordpress.cache.get");
        for (verb, wanted) in [("disable", false), ("enable", true), ("disable", false), ("enable", true)] {
            let _ = run.change(Method::POST, &format!("{at}/{verb}"), &json!({})).await;
            assert_eq!(run.read(&at).await["enabled"], json!(wanted), "{verb}");
            run.pass(&format!("wordpress.cache.{verb}"));
        }
    }
    let _ = run.post(&format!("{at}/flush"), json!({})).await;
    run.pass("wordpress.cache.flush");
    let _ = run.post(&format!("{at}/purge"), json!({})).await;
    run.pass("wordpress.cache.purge");
}

pub async fn security(run: &Run) {
    if !run.can("wordpress.security.get") {
        return;
    }
    let at = format!("{}/wordpress/security", run.site("Shop one").await);
    let told = run.read(&at).await;
    assert!(["debug", "file_edit", "file_protection", "hide_login"].iter().any(|one| told[*one].is_boolean()), "{told}");
    run.pass("wordpress.security.get");
    for switch in ["debug", "file_edit", "file_protection", "hide_login"] {
        let feature = format!("wordpress.security.{switch}");
        if run.can(&feature) {
            let turned = !run.read(&at).await[switch].as_bool().expect("on or off");
            let _ = run.change(Method::PATCH, &at, &json!({switch: turned})).await;
            assert_eq!(run.read(&at).await[switch], json!(turned), "{switch}");
            run.pass(&feature);
        }
    }
    if run.can("wordpress.security.verify_checksums") {
        let sums = run.change(Method::POST, &format!("{at}/verify-checksums"), &json!({})).await;
        let lists = ["modified", "missing", "unknown"].map(|list| sums["result"][list].is_array());
        assert_eq!(lists, [true, true, true], "{sums}");
        run.pass("wordpress.security.verify_checksums");
    }
}

/// Who may enter, and what else is asked of WordPress itself.
pub async fn people(run: &Run) {
    if !run.can("wordpress.admin.create") {
        return;
    }
    let at = format!("{}/wordpress", run.site("Shop one").await);
    let made = run.post(&format!("{at}/admins"), json!({"user": "bert", "email": "bert@shop.example"})).await;
    let first = text(&made["secrets"]["password"]).to_owned();
    run.pass("wordpress.admin.create");
    let reset = run.post(&format!("{at}/password-reset"), json!({"user": "bert"})).await;
    assert_ne!(text(&reset["secrets"]["password"]), first);
    run.pass("wordpress.password_reset");
    let link = run.post(&format!("{at}/login-link"), json!({"user": "bert"})).await;
    assert!(text(&link["secrets"]["url"]).starts_with("https://"));
    run.pass("wordpress.login_link");
    let replaced = run.post(&format!("{at}/search-replace"), json!({"search": "http://", "replace": "https://"})).await;
    assert!(replaced["result"]["replacements"].is_u64(), "{replaced}");
    run.pass("wordpress.search_replace");
}
