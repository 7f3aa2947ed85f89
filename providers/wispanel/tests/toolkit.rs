//! The WordPress toolkit against a scripted panel: the document's own requests, and what is told afterwards.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "what goes wrong in a helper fails the test")]

#[path = "support/panel.rs"]
mod support;

use portico_provider_wispanel::WisPanel;
use portico_sdk::{
    Completion, Error, ErrorKind, Wordpress, Work,
    testing::{FakeHost, Method},
    wordpress::{AdminCreate, CacheAction, ExtensionAction, ExtensionKind, InstallInput, SearchReplaceInput, SecurityChange},
};
use serde_json::{Value, json};
use support::{bodies, call, installation, listed, pending, poll, succeeded, target};

fn done(work: Result<Work, Error>) -> Completion {
    match work.unwrap() {
        Work::Done(done) => done,
        Work::Pending(pending) => panic!("pending: {pending:?}"),
    }
}

fn fine(host: &FakeHost, path: &str) {
    host.on(Method::Post, path).reply(200, json!({"success": true, "message": "OK, done."}));
}

fn install(source: &str, activate: bool) -> InstallInput {
    InstallInput { source: source.into(), version: None, activate }
}

fn security() -> SecurityChange {
    SecurityChange { file_edit: None, file_protection: None, hide_login: None, debug: None }
}

/// What was posted last, and whether the host may send it again.
fn last(host: &FakeHost) -> (String, Value, bool) {
    let (path, body) = bodies(host, Method::Post).pop().unwrap();
    (path, body, host.requests().into_iter().rfind(|request| request.method == Method::Post).unwrap().keyed)
}

#[test]
fn plugins_and_themes_change_by_the_documents_requests() {
    let host = FakeHost::install();
    for (kind, plural, field) in [(ExtensionKind::Plugin, "plugins", "plugin"), (ExtensionKind::Theme, "themes", "theme")] {
        for (action, verb, keyed) in [
            (ExtensionAction::Activate, "activate", true),
            (ExtensionAction::Deactivate, "deactivate", true),
            (ExtensionAction::Update, "update", true),
            (ExtensionAction::Delete, "delete", false),
        ] {
            fine(&host, &format!("/wordpress/{plural}/{verb}"));
            let told = done(WisPanel.change_extension(&call(), &target(), kind, "wordfence", action));
            assert_eq!((told.target.as_deref(), told.message.as_deref()), (Some("wordfence"), Some("OK, done")));
            assert_eq!(last(&host), (format!("wordpress/{plural}/{verb}"), json!({"id": "wp_1", field: "wordfence"}), keyed));
        }
        host.on(Method::Get, &format!("/wordpress/{plural}"))
            .reply(200, json!({plural: [{"name": "a", "status": "active", "version": "1"}]}));
        let all = WisPanel.extensions(&target(), kind).unwrap();
        assert_eq!((all[0].id.as_str(), all[0].active), ("a", true));
        assert_eq!(host.requests().pop().unwrap().query, [("id".to_owned(), "wp_1".to_owned())]);
    }
}

#[test]
fn a_plugin_is_installed_once_and_activated_by_its_own_call() {
    let host = FakeHost::install();
    let there = |all: Value| host.on(Method::Get, "/wordpress/plugins").reply(200, all);
    there(json!([]));
    fine(&host, "/wordpress/plugins/install");
    fine(&host, "/wordpress/plugins/activate");
    let told = done(WisPanel.install(&call(), &target(), ExtensionKind::Plugin, install("wordfence", true)));
    assert_eq!(told.target.as_deref(), Some("wordfence"));
    let paths: Vec<String> = bodies(&host, Method::Post).into_iter().map(|(path, _)| path).collect();
    assert_eq!(paths, ["wordpress/plugins/install", "wordpress/plugins/activate"]);
    there(json!([{"name": "wordfence", "status": "inactive"}]));
    done(WisPanel.install(&call(), &target(), ExtensionKind::Plugin, install("wordfence", true)));
    assert_eq!(bodies(&host, Method::Post).len(), 3, "the same operation goes on where it was cut off");
    let other = portico_sdk::Call::new("op_2", "key-2");
    let again = WisPanel.install(&other, &target(), ExtensionKind::Plugin, install("wordfence", false)).unwrap_err();
    assert_eq!((again.kind, again.field.as_deref()), (ErrorKind::Conflict, Some("source")));
    let zip = InstallInput { version: Some("2".into()), ..install("https://a.example/b.zip", true) };
    assert_eq!(done(WisPanel.install(&other, &target(), ExtensionKind::Plugin, zip)).target, None);
    let body = json!({"id": "wp_1", "plugin": "https://a.example/b.zip", "version": "2", "activate": true});
    assert_eq!(last(&host), ("wordpress/plugins/install".to_owned(), body, false));
}

#[test]
fn core_maintenance_and_texts() {
    let host = FakeHost::install();
    for path in ["core/update", "reinstall-core", "maintenance"] {
        fine(&host, &format!("/wordpress/{path}"));
    }
    done(WisPanel.update_core(&call(), &target(), None));
    assert_eq!(last(&host), ("wordpress/core/update".to_owned(), json!({"id": "wp_1"}), true));
    done(WisPanel.update_core(&call(), &target(), Some("6.9.4")));
    assert_eq!(last(&host).1, json!({"id": "wp_1", "version": "6.9.4"}));
    done(WisPanel.reinstall_core(&call(), &target()));
    assert_eq!(last(&host), ("wordpress/reinstall-core".to_owned(), json!({"id": "wp_1"}), true));
    done(WisPanel.set_maintenance(&call(), &target(), true));
    assert_eq!(last(&host), ("wordpress/maintenance".to_owned(), json!({"id": "wp_1", "enabled": true}), true));

    let input = || SearchReplaceInput { search: "http://".into(), replace: "https://".into(), dry_run: false, tables: None };
    host.on(Method::Post, "/wordpress/search-replace").reply(200, json!({"success": true, "data": {"replacements": 12}}));
    let told = done(WisPanel.search_replace(&call(), &target(), input()));
    assert_eq!(told.details.as_deref(), Some(r#"{"replacements":12}"#));
    let body = json!({"id": "wp_1", "search": "http://", "replace": "https://"});
    assert_eq!(last(&host), ("wordpress/search-replace".to_owned(), body, false));
    let sent = bodies(&host, Method::Post).len();
    for refused in [
        SearchReplaceInput { dry_run: true, ..input() },
        SearchReplaceInput { tables: Some(vec!["wp_posts".into()]), ..input() },
    ] {
        assert_eq!(WisPanel.search_replace(&call(), &target(), refused).unwrap_err().kind, ErrorKind::Unsupported);
    }
    assert_eq!(bodies(&host, Method::Post).len(), sent, "a trial run is never sent as a real one");
}

#[test]
fn work_that_goes_on_is_watched() {
    let host = FakeHost::install();
    host.on(Method::Post, "/wordpress/core/update").reply(202, json!({"success": true, "status": "running", "job_id": "j1"}));
    let begun = pending(WisPanel.update_core(&call(), &target(), None).unwrap());
    let progress = |body: Value| host.on(Method::Get, "/wordpress/install/j1/progress").reply(200, body);
    progress(json!({"progress": 50}));
    assert!(matches!(poll(&begun.handle), portico_sdk::Progress::Running(_)));
    progress(json!({"state": "success"}));
    assert_eq!(succeeded(&poll(&begun.handle)), (Some("wp_1".into()), None));
    progress(json!({"state": "puzzled"}));
    assert_eq!(succeeded(&poll(&begun.handle)), (Some("wp_1".into()), Some(json!({"verified": false}))));
    host.on(Method::Post, "/wordpress/core/update").reply(200, json!({"status": "failed", "message": "no such version"}));
    let error = WisPanel.update_core(&call(), &target(), None).unwrap_err();
    assert_eq!(error.message, "WisPanel took the change, and it failed; WisPanel says: no such version");
}

#[test]
fn caches() {
    let host = FakeHost::install();
    host.on(Method::Get, "/wordpress/cache").reply(200, json!({"success": true, "data": {"enabled": true, "type": "page"}}));
    let told = WisPanel.get_cache(&target()).unwrap();
    assert_eq!((told.enabled, told.kinds), (true, vec!["page".to_owned()]));
    let urls = vec!["https://a.example/x".to_owned()];
    for (action, verb, body) in [
        (CacheAction::Enable, "enable", json!({"id": "wp_1"})),
        (CacheAction::Disable, "disable", json!({"id": "wp_1"})),
        (CacheAction::Flush, "flush", json!({"id": "wp_1"})),
        (CacheAction::Purge(vec![]), "purge", json!({"id": "wp_1"})),
        (CacheAction::Purge(urls.clone()), "purge", json!({"id": "wp_1", "urls": urls})),
    ] {
        fine(&host, &format!("/wordpress/cache/{verb}"));
        done(WisPanel.change_cache(&call(), &target(), action));
        assert_eq!(last(&host), (format!("wordpress/cache/{verb}"), body, true));
    }
}

#[test]
fn switches_of_security() {
    let host = FakeHost::install();
    host.on(Method::Get, "/wordpress/security").reply(200, json!({"disable_file_edit": true, "hide_login": false}));
    let told = WisPanel.get_security(&target()).unwrap();
    assert_eq!((told.file_edit, told.hide_login, told.debug), (Some(false), Some(false), None));
    for path in ["disable-file-edit", "file-protection", "hide-login", "toggle-debug"] {
        fine(&host, &format!("/wordpress/security/{path}"));
    }
    let change = SecurityChange { file_edit: Some(false), hide_login: Some(true), ..security() };
    done(WisPanel.change_security(&call(), &target(), change));
    let sent: Vec<(String, Value)> = bodies(&host, Method::Post);
    assert_eq!(sent[0], ("wordpress/security/disable-file-edit".to_owned(), json!({"id": "wp_1", "enabled": true})));
    assert_eq!(sent[1], ("wordpress/security/hide-login".to_owned(), json!({"id": "wp_1", "enabled": true})));
    assert_eq!(sent.len(), 2);
}

#[test]
fn debug_is_turned_only_when_it_stands_the_other_way() {
    let host = FakeHost::install();
    let stands = |debug: bool| {
        let mut installation = installation("wp_1", "a.example");
        installation["debug"] = debug.into();
        listed(&host, &[installation]);
    };
    fine(&host, "/wordpress/security/toggle-debug");
    let change = |debug| WisPanel.change_security(&call(), &target(), SecurityChange { debug: Some(debug), ..security() });
    stands(false);
    done(change(false));
    assert!(bodies(&host, Method::Post).is_empty(), "it stands so already");
    assert_eq!(change(true).unwrap_err().kind, ErrorKind::Internal, "it still shows the old one");
    assert_eq!(last(&host), ("wordpress/security/toggle-debug".to_owned(), json!({"id": "wp_1", "enabled": true}), false));
    stands(true);
    let after = json!([{"id": "wp_1", "debug": false}]);
    host.on(Method::Get, "/wordpress/installations").reply(200, after);
    host.on(Method::Get, "/wordpress/installations").times(1).reply(200, json!([{"id": "wp_1", "debug": true}]));
    done(change(false));
    assert_eq!(last(&host).1, json!({"id": "wp_1", "enabled": false}));
}

#[test]
fn checksums_are_told_as_details() {
    let host = FakeHost::install();
    host.on(Method::Get, "/wordpress/verify-checksums")
        .reply(200, json!({"success": true, "data": {"valid": false, "modified": ["wp-load.php"]}}));
    let told = done(WisPanel.verify_checksums(&call(), &target()));
    let details: Value = serde_json::from_str(&told.details.unwrap()).unwrap();
    assert_eq!(details, json!({"valid": false, "modified": ["wp-load.php"]}));
}

#[test]
fn secrets_are_shown_once_and_nowhere_else() {
    let host = FakeHost::install();
    fine(&host, "/wordpress/admin/create");
    let admin = |password: Option<&str>| AdminCreate {
        user: "anna".into(),
        email: "a@example.com".into(),
        password: password.map(str::to_owned),
    };
    let told = done(WisPanel.create_admin(&call(), &target(), admin(None)));
    let (_, body, keyed) = last(&host);
    assert_eq!((told.secrets[0].name.as_str(), told.secrets[0].value.len(), keyed), ("password", 20, false));
    assert_eq!(body, json!({"id": "wp_1", "username": "anna", "email": "a@example.com", "password": told.secrets[0].value}));
    assert!(done(WisPanel.create_admin(&call(), &target(), admin(Some("S3cure")))).secrets.is_empty(), "the user knows it");

    fine(&host, "/wordpress/password/reset");
    let told = done(WisPanel.reset_password(&call(), &target(), "anna", None));
    assert_eq!(last(&host).1, json!({"id": "wp_1", "username": "anna", "password": told.secrets[0].value}));
    assert!(done(WisPanel.reset_password(&call(), &target(), "anna", Some("S3cure"))).secrets.is_empty());

    let link = "https://a.example/wp-login.php?token=t0ken";
    host.on(Method::Post, "/wordpress/auto-login")
        .reply(200, json!({"success": true, "message": format!("go to {link}"), "data": {"url": link}}));
    let told = done(WisPanel.login_link(&call(), &target(), "anna"));
    assert_eq!((told.secrets[0].name.as_str(), told.secrets[0].value.as_str()), ("url", link));
    assert_eq!((told.message, told.details), (None, None));
    host.on(Method::Post, "/wordpress/auto-login").reply(200, json!({"success": true}));
    assert_eq!(WisPanel.login_link(&call(), &target(), "anna").unwrap_err().kind, ErrorKind::Internal);
}

#[test]
fn nothing_is_sent_for_another_environment() {
    let host = FakeHost::install();
    let staging = portico_sdk::wordpress::Target { site: "wp_1".into(), environment: Some("staging".into()) };
    let errors = [
        WisPanel.set_maintenance(&call(), &staging, true).map(drop),
        WisPanel.login_link(&call(), &staging, "anna").map(drop),
        WisPanel.extensions(&staging, ExtensionKind::Theme).map(drop),
        WisPanel.change_cache(&call(), &staging, CacheAction::Flush).map(drop),
        WisPanel.verify_checksums(&call(), &staging).map(drop),
    ];
    assert!(errors.iter().all(|error| error.as_ref().is_err_and(|error| error.is(ErrorKind::NotFound))), "{errors:?}");
    assert!(host.requests().is_empty());
}
