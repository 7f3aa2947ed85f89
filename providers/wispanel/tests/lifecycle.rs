//! The provider's calls against a scripted panel: what is asked, what becomes of it, and what a crash leaves.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "what goes wrong in a helper fails the test")]

#[path = "support/panel.rs"]
mod support;

use portico_provider_wispanel::WisPanel;
use portico_sdk::{
    BackupKind, Backups, Billing, Contents, Domains, ErrorKind, Finding, Operations, PageRequest, Progress, Provider, SiteKind,
    Sites, Wordpress,
    backups::{BackupCreate, RestoreInput},
    error::unavailable,
    sites::{Admin, SiteClone, SiteCreate},
    testing::{FakeHost, Method, response},
    wordpress::Target,
};
use serde_json::{Value, json};
use support::{OPERATION, bodies, call, installation, listed, pending, poll, succeeded, target};

fn input(domain: &str, options: &Value) -> SiteCreate {
    let admin = Admin { user: "admin".into(), email: "a@example.com".into(), password: Some("S3cure".into()) };
    SiteCreate {
        name: "My Blog".into(),
        kind: SiteKind::Wordpress,
        domain: Some(domain.into()),
        environment: None,
        php_version: None,
        wordpress_version: None,
        locale: None,
        title: None,
        admin: Some(admin),
        region: None,
        template: None,
        options: options.to_string(),
    }
}

fn copy(domain: Option<&str>, options: &Value) -> SiteClone {
    let domain = domain.map(str::to_owned);
    SiteClone { name: "Copy".into(), domain, source_environment: None, region: None, options: options.to_string() }
}

fn finding(action: &str, args: &Value) -> &'static str {
    match WisPanel.reconcile(OPERATION, action, &args.to_string()).unwrap() {
        Finding::Found(_) => "found",
        Finding::Absent => "absent",
        Finding::Unknown => "unknown",
    }
}

#[test]
fn sites_are_listed_to_the_last_page() {
    let host = FakeHost::install();
    let page = |number: u64, items: Value| {
        let meta = json!({"total": 3, "per_page": 2, "current_page": number, "last_page": 2});
        json!({"success": true, "data": items, "meta": meta})
    };
    host.on(Method::Get, "/wordpress/installations").reply(200, page(2, json!([installation("wp_1", "a.example")])));
    host.on(Method::Get, "/wordpress/installations")
        .times(1)
        .reply(200, page(1, json!([installation("wp_3", "c.example"), installation("wp_2", "b.example")])));
    let all = Sites::list(&WisPanel, &PageRequest::first(2)).unwrap();
    assert_eq!(all.items.iter().map(|site| site.id.as_str()).collect::<Vec<_>>(), ["wp_1", "wp_2"]);
    assert_eq!(all.next.as_deref(), Some("wp_2"));
    assert_eq!(host.requests()[1].query, [("page".to_owned(), "2".to_owned())]);
    host.on(Method::Get, "/wordpress/installations").reply(200, page(1, json!([])));
    let stuck = Sites::list(&WisPanel, &PageRequest::first(2)).unwrap_err();
    assert_eq!(stuck.kind, ErrorKind::Internal, "a panel that knows no pages would tell everything twice");
    host.on(Method::Get, "/wordpress/installations").reply(200, json!([]));
    assert_eq!(Sites::get(&WisPanel, "wp_9").unwrap_err().kind, ErrorKind::NotFound);
}

/// What is removed from the first page moves the first of the second to where nobody looks again.
#[test]
fn a_list_that_changes_while_its_pages_are_read_is_read_again() {
    let host = FakeHost::install();
    let page = |number: u64, total: u64, items: Value| {
        let meta = json!({"total": total, "per_page": 1, "current_page": number, "last_page": 2});
        json!({"success": true, "data": items, "meta": meta})
    };
    let answer = |page: Value| host.on(Method::Get, "/wordpress/installations").times(1).reply(200, page);
    let (a, b) = (json!([installation("wp_1", "a.example")]), json!([installation("wp_2", "b.example")]));
    // The script's newest answer comes first.
    answer(page(2, 2, b.clone()));
    answer(page(1, 2, a.clone()));
    answer(page(2, 2, json!([])));
    answer(page(1, 3, a.clone()));
    let all = Sites::list(&WisPanel, &PageRequest::first(5)).unwrap();
    assert_eq!(all.items.iter().map(|site| site.id.as_str()).collect::<Vec<_>>(), ["wp_1", "wp_2"]);
    for total in 0..3 {
        answer(page(2, total, b.clone()));
        answer(page(1, 9, a.clone()));
    }
    assert_eq!(Sites::list(&WisPanel, &PageRequest::first(5)).unwrap_err().kind, ErrorKind::Unavailable, "and not for ever");
}

#[test]
fn a_key_without_the_right_is_told_from_a_wrong_one() {
    let host = FakeHost::install();
    let refused = json!({"success": false, "code": "FORBIDDEN", "error": "API key is not scoped for 'wordpress'"});
    host.on(Method::Get, "/wordpress/installations").reply(403, refused);
    host.on(Method::Get, "/auth/me").reply(200, json!({"username": "anna", "role": "user", "status": "active"}));
    let error = Sites::list(&WisPanel, &PageRequest::first(1)).unwrap_err();
    assert_eq!((error.kind, error.upstream_status), (ErrorKind::Forbidden, Some(403)));
    assert!(error.message.contains("the key of anna"), "{}", error.message);
    host.on(Method::Get, "/auth/me").reply(401, json!({"success": false, "code": "UNAUTHORIZED", "error": "Invalid key"}));
    assert_eq!(Sites::list(&WisPanel, &PageRequest::first(1)).unwrap_err().kind, ErrorKind::Unauthenticated);
}

#[test]
fn a_status_is_put_together() {
    let host = FakeHost::install();
    let all = json!({"wp_cli_available": true, "installations": [installation("wp_1", "a.example")]});
    host.on(Method::Get, "/wordpress/status").reply(200, all);
    host.on(Method::Get, "/wordpress/installation")
        .reply(404, json!({"success": false, "code": "NOT_FOUND", "error": "Not found"}));
    let plain = WisPanel.get_status(&target()).unwrap();
    assert_eq!((plain.wp_cli_available, plain.version.as_deref(), plain.maintenance), (Some(true), Some("6.9.4"), None));
    host.on(Method::Get, "/wordpress/installation").reply(200, json!({"data": {"id": "wp_1", "maintenance": true}}));
    assert_eq!(WisPanel.get_status(&target()).unwrap().maintenance, Some(true));
    assert_eq!(host.requests().last().unwrap().query, [("id".to_owned(), "wp_1".to_owned())]);
    host.on(Method::Get, "/wordpress/installation").reply(503, json!({}));
    assert_eq!(
        WisPanel.get_status(&target()).unwrap_err().kind,
        ErrorKind::Unavailable,
        "it isn't known whether there is more"
    );
    assert_eq!(WisPanel.get_status(&Target { site: "wp_2".into(), environment: None }).unwrap_err().kind, ErrorKind::NotFound);
    let staging = Target { site: "wp_1".into(), environment: Some("staging".into()) };
    assert_eq!(WisPanel.get_status(&staging).unwrap_err().kind, ErrorKind::NotFound);
}

#[test]
fn a_page_of_html_is_no_success() {
    let host = FakeHost::install();
    listed(&host, &[installation("wp_1", "a.example")]);
    let page = |method, path| {
        host.on(method, path).reply_with(|_| Ok(response(200, &[("content-type", "text/html")], "<!doctype html>")))
    };
    page(Method::Delete, "/wordpress/delete");
    assert_eq!(Sites::delete(&WisPanel, &call(), "wp_1").unwrap_err().kind, ErrorKind::Internal);
    host.on(Method::Delete, "/wordpress/delete").reply_with(|_| Ok(response(204, &[], "")));
    let gone = pending(Sites::delete(&WisPanel, &call(), "wp_1").unwrap());
    page(Method::Get, "/wordpress/installations");
    assert_eq!(WisPanel.poll(OPERATION, &gone.handle).unwrap_err().kind, ErrorKind::Internal, "it couldn't look");
    host.advance(61 * 60_000);
    assert!(matches!(poll(&gone.handle), Progress::Failed(_)), "and doesn't try for ever");
}

#[test]
fn a_success_that_says_it_is_none_is_an_error() {
    let host = FakeHost::install();
    host.on(Method::Get, "/wordpress/installations")
        .reply(200, json!({"success": false, "code": "NOT_FOUND", "error": "No such user"}));
    let error = Sites::list(&WisPanel, &PageRequest::first(1)).unwrap_err();
    assert_eq!((error.kind, error.message.as_str()), (ErrorKind::NotFound, "WisPanel says: No such user"));
}

#[test]
fn wordpress_is_installed_and_watched() {
    let host = FakeHost::install();
    listed(&host, &[]);
    host.on(Method::Post, "/wordpress/install").reply(202, json!({"success": true, "data": {"install_id": "i-7"}}));
    let made = pending(Sites::create(&WisPanel, &call(), input("blog.com", &json!({"db_name": "blog_wp"}))).unwrap());
    // The document's own request.
    let body = json!({"domain": "blog.com", "path": "public_html", "title": "My Blog", "admin_user": "admin",
        "admin_password": "S3cure", "admin_email": "a@example.com", "db_name": "blog_wp"});
    assert_eq!(bodies(&host, Method::Post), [("wordpress/install".to_owned(), body)]);
    assert!(!made.handle.contains("S3cure"), "a handle holds no secret");
    assert!(host.state().iter().all(|(key, value)| !key.contains("S3cure") && !value.ends_with(b"S3cure")));
    let progress = |body: Value| host.on(Method::Get, "/wordpress/install/i-7/progress").reply(200, body);
    progress(json!({"status": "downloading", "percent": 30}));
    let Progress::Running(running) = poll(&made.handle) else { panic!("it goes on") };
    assert_eq!(running.progress, Some(30));
    progress(json!({"status": "completed"}));
    assert!(matches!(poll(&running.handle), Progress::Running(_)), "until the list has it");
    listed(&host, &[installation("wp_1", "blog.com")]);
    assert_eq!(finding("sites.create", &json!({"domain": "blog.com", "options": {}})), "found");
    assert_eq!(succeeded(&poll(&running.handle)), (Some("wp_1".into()), None));
    assert!(host.state().is_empty(), "its note is gone");
}

#[test]
fn an_installation_fails_or_is_never_seen() {
    let host = FakeHost::install();
    listed(&host, &[]);
    host.on(Method::Post, "/wordpress/install").reply(200, json!({"success": true, "id": "i-7"}));
    let made = pending(Sites::create(&WisPanel, &call(), input("blog.com", &json!({}))).unwrap());
    let progress = |status: u16, body: Value| host.on(Method::Get, "/wordpress/install/i-7/progress").reply(status, body);
    progress(200, json!({"success": false, "status": "failed", "error": "no space left"}));
    let Progress::Failed(failed) = poll(&made.handle) else { panic!("it failed") };
    assert!(failed.message.ends_with("WisPanel says: no space left"), "{}", failed.message);
    progress(503, json!({}));
    assert_eq!(WisPanel.poll(OPERATION, &made.handle).unwrap_err().kind, ErrorKind::Unavailable, "it couldn't look");
    // Words that nobody knows, no answer, no JSON: nobody waits for ever.
    for (status, body) in
        [(200, json!({"status": "pondering", "percent": 40})), (404, json!({})), (400, json!({})), (200, json!(null))]
    {
        progress(status, body);
        assert!(matches!(poll(&made.handle), Progress::Running(_)));
    }
    host.advance(11 * 60_000);
    let Progress::Failed(late) = poll(&made.handle) else { panic!("it waits for ever") };
    assert_eq!(late.kind, ErrorKind::Timeout);
    progress(404, json!({}));
    listed(&host, &[installation("wp_1", "blog.com")]);
    assert_eq!(succeeded(&poll(&made.handle)), (Some("wp_1".into()), None));
    progress(200, json!({"status": "pondering"}));
    assert_eq!(succeeded(&poll(&made.handle)), (Some("wp_1".into()), Some(json!({"verified": false}))));
    progress(200, json!({"status": "running"}));
    host.advance(50 * 60_000);
    assert!(matches!(poll(&made.handle), Progress::Failed(_)), "not even for one that always runs");
}

#[test]
fn a_domain_is_added_by_a_key_that_the_panel_honours() {
    let host = FakeHost::install();
    listed(&host, &[]);
    host.on(Method::Post, "/domains").reply(201, json!({"success": true, "message": "Domain created"}));
    host.on(Method::Post, "/wordpress/install").reply(200, json!({"success": true, "message": "installed"}));
    let create = || Sites::create(&WisPanel, &call(), input("blog.com", &json!({"add_domain": true})));
    create().unwrap();
    let added = host.requests().into_iter().find(|request| request.path == ["domains"]).unwrap();
    assert!(added.keyed && added.headers.contains(&("idempotency-key".to_owned(), "key".to_owned())));
    assert_eq!(bodies(&host, Method::Post)[0].1, json!({"domain": "blog.com"}));
    host.on(Method::Post, "/domains")
        .reply(400, json!({"success": false, "code": "VALIDATION_ERROR", "error": "Domain already exists"}));
    create().unwrap();
    host.on(Method::Post, "/domains")
        .reply(403, json!({"success": false, "code": "FORBIDDEN", "error": "Domain limit reached"}));
    assert_eq!(create().unwrap_err().kind, ErrorKind::QuotaExceeded);
}

#[test]
fn what_the_panel_needs_is_asked_for_before_anything_is_sent() {
    let host = FakeHost::install();
    listed(&host, &[installation("wp_1", "blog.com")]);
    let mut no_password = input("new.com", &json!({}));
    no_password.admin.as_mut().unwrap().password = None;
    for (create, kind, field) in [
        (input("blog.com", &json!({})), ErrorKind::Conflict, "domain"),
        (SiteCreate { domain: None, ..input("", &json!({})) }, ErrorKind::InvalidInput, "domain"),
        (SiteCreate { admin: None, ..input("new.com", &json!({})) }, ErrorKind::InvalidInput, "admin"),
        (no_password, ErrorKind::InvalidInput, "admin.password"),
        (input("new.com", &json!({"path": "../x"})), ErrorKind::InvalidInput, "options.path"),
        (
            SiteCreate { kind: SiteKind::Plain, ..input("new.com", &json!({})) },
            ErrorKind::Unsupported,
            "sites.create.kind.plain",
        ),
    ] {
        let error = Sites::create(&WisPanel, &call(), create).unwrap_err();
        assert_eq!((error.kind, error.field.as_deref()), (kind, Some(field)));
    }
    for (clone, field) in [(copy(None, &json!({})), "domain"), (copy(Some("new.com"), &json!({"path": "x"})), "options")] {
        assert_eq!(Sites::clone(&WisPanel, &call(), "wp_1", clone).unwrap_err().field.as_deref(), Some(field));
    }
    assert!(bodies(&host, Method::Post).is_empty() && host.state().is_empty());
}

#[test]
fn a_site_is_cloned_and_deleted() {
    let host = FakeHost::install();
    listed(&host, &[installation("wp_1", "blog.com")]);
    host.on(Method::Post, "/wordpress/clone").reply(200, json!({"success": true, "message": "Cloned"}));
    let made = pending(Sites::clone(&WisPanel, &call(), "wp_1", copy(Some("staging.blog.com"), &json!({}))).unwrap());
    let body = json!({"source_id": "wp_1", "target_domain": "staging.blog.com"});
    assert_eq!(bodies(&host, Method::Post), [("wordpress/clone".to_owned(), body)]);
    listed(&host, &[installation("wp_1", "blog.com"), installation("wp_2", "staging.blog.com")]);
    assert_eq!(succeeded(&poll(&made.handle)), (Some("wp_2".into()), None));
    host.on(Method::Delete, "/wordpress/delete").reply(200, json!({"success": true, "message": "deleted"}));
    let gone = pending(Sites::delete(&WisPanel, &call(), "wp_2").unwrap());
    assert_eq!(bodies(&host, Method::Delete), [("wordpress/delete".to_owned(), json!({"id": "wp_2"}))]);
    assert!(matches!(poll(&gone.handle), Progress::Running(_)));
    listed(&host, &[installation("wp_1", "blog.com")]);
    assert_eq!(succeeded(&poll(&gone.handle)), (Some("wp_2".into()), None));
    assert_eq!(Sites::delete(&WisPanel, &call(), "wp_2").unwrap_err().kind, ErrorKind::NotFound);
}

#[test]
fn a_backup_is_the_one_that_was_not_there_before() {
    let host = FakeHost::install();
    let backups = |status: &str| json!({"success": true, "data": [{"id": "b1", "installation_id": "wp_1"}, {"id": "b2", "status": status}, {"id": "x", "installation_id": "wp_2"}]});
    host.on(Method::Get, "/wordpress/backups").reply(200, backups("running"));
    host.on(Method::Get, "/wordpress/backups").times(1).reply(200, json!([{"id": "b1"}]));
    host.on(Method::Post, "/wordpress/backup").reply(200, json!({"success": true, "message": "Backup started"}));
    let create =
        BackupCreate { environment: Some("production".into()), kind: BackupKind::Full, description: Some("before".into()) };
    let made = pending(Backups::create(&WisPanel, &call(), "wp_1", create).unwrap());
    assert_eq!(made.target.as_deref(), Some("b2"));
    assert_eq!(bodies(&host, Method::Post)[0].1, json!({"id": "wp_1", "description": "before"}));
    assert!(matches!(poll(&made.handle), Progress::Running(_)));
    host.on(Method::Get, "/wordpress/backups").reply(200, backups("completed"));
    assert_eq!(succeeded(&poll(&made.handle)), (Some("b2".into()), None));
    let page = Backups::list(&WisPanel, "wp_1", None, &PageRequest::first(10)).unwrap();
    assert_eq!(page.items.iter().map(|backup| backup.id.as_str()).collect::<Vec<_>>(), ["b1", "b2"], "another's isn't ours");
    assert_eq!(Backups::get(&WisPanel, "wp_1", "x").unwrap_err().kind, ErrorKind::NotFound);
    host.on(Method::Get, "/wordpress/backups").reply(200, backups("failed"));
    assert!(matches!(poll(&made.handle), Progress::Failed(_)));
}

#[test]
fn a_restore_is_verified_only_when_the_panel_says_so() {
    let host = FakeHost::install();
    host.on(Method::Get, "/wordpress/backups").reply(200, json!([{"id": "b1"}]));
    host.on(Method::Post, "/wordpress/restore").reply(200, json!({"success": true, "job_id": "j1"}));
    let all = Contents { database: true, files: true, plugins: true, themes: true };
    let restore = |contents| WisPanel.restore(&call(), "wp_1", "b1", RestoreInput { environment: None, contents });
    let begun = pending(restore(all).unwrap());
    assert_eq!(bodies(&host, Method::Post)[0].1, json!({"id": "wp_1", "backup_id": "b1"}));
    host.on(Method::Get, "/wordpress/install/j1/progress").reply(404, json!({}));
    assert_eq!(succeeded(&poll(&begun.handle)), (Some("b1".into()), Some(json!({"verified": false}))));
    host.on(Method::Get, "/wordpress/install/j1/progress").reply(200, json!({"status": "done"}));
    assert_eq!(succeeded(&poll(&begun.handle)), (Some("b1".into()), None));
    assert_eq!(restore(Contents { files: false, ..all }).unwrap_err().kind, ErrorKind::Unsupported);
}

/// Answers were lost: what is there afterwards, and whether it was sent, tells what was done.
#[test]
fn a_lost_answer_is_looked_up() {
    let host = FakeHost::install();
    listed(&host, &[installation("wp_1", "a.example")]);
    host.on(Method::Get, "/wordpress/plugins").reply(200, json!([{"name": "akismet", "status": "inactive"}]));
    host.on(Method::Post, "/wordpress/install").fail(unavailable("the connection broke"));
    for (action, args, expected) in [
        ("sites.create", json!({"domain": "a.example"}), "absent"),
        ("sites.clone", json!({"site": "wp_1", "input": {"domain": "a.example"}}), "absent"),
        ("sites.delete", json!({"site": "wp_1"}), "absent"),
        ("sites.delete", json!({"site": "gone"}), "found"),
        ("backups.create", json!({"site": "wp_1"}), "absent"),
        ("backups.restore", json!({"site": "wp_1", "backup": "b1"}), "absent"),
        ("wordpress.plugins.delete", json!({"site": "wp_1", "id": "akismet"}), "absent"),
        ("wordpress.plugins.delete", json!({"site": "wp_1", "id": "hello"}), "found"),
        ("wordpress.plugins.install", json!({"site": "wp_1", "source": "akismet", "activate": false}), "absent"),
        ("wordpress.search_replace", json!({"site": "wp_1"}), "unknown"),
    ] {
        assert_eq!(finding(action, &args), expected, "nothing was sent: {action} {args}");
    }
    Sites::create(&WisPanel, &call(), input("new.example", &json!({}))).unwrap_err();
    for (action, args, expected) in [
        ("sites.create", json!({"domain": "new.example"}), "unknown"),
        ("sites.create", json!({"domain": "a.example", "options": {"path": "public_html/"}}), "found"),
        ("sites.create", json!({"input": {"domain": "a.example", "options": {}}}), "found"),
        ("sites.create", json!({"domain": "a.example", "options": {"path": "public_html/shop"}}), "unknown"),
        ("sites.clone", json!({"site": "wp_1", "input": {"domain": "a.example"}}), "found"),
        ("backups.create", json!({"site": "wp_1"}), "unknown"),
        ("wordpress.plugins.install", json!({"site": "wp_1", "source": "akismet", "activate": false}), "found"),
        ("wordpress.plugins.install", json!({"site": "wp_1", "source": "akismet", "activate": true}), "absent"),
        ("wordpress.plugins.install", json!({"site": "wp_1", "input": {"source": "hello"}}), "absent"),
        ("wordpress.plugins.install", json!({"site": "wp_1", "source": "https://a.example/b.zip"}), "unknown"),
    ] {
        assert_eq!(finding(action, &args), expected, "it was sent: {action} {args}");
    }
    assert_eq!(bodies(&host, Method::Post).len(), 1, "looking changes nothing");
}

#[test]
fn the_domain_and_the_account_are_read() {
    let host = FakeHost::install();
    listed(&host, &[installation("wp_1", "a.example")]);
    host.on(Method::Get, "/auth/me")
        .reply(200, json!({"username": "anna", "status": "active", "package": "default", "max_domains": 5}));
    let domains = Domains::list(&WisPanel, "wp_1", None, &PageRequest::first(10)).unwrap();
    assert_eq!((domains.items[0].name.as_str(), domains.items[0].primary), ("a.example", true));
    assert_eq!(WisPanel.get_subscription().unwrap().plan, "default");
    let usage = WisPanel.get_usage().unwrap();
    assert_eq!((usage.sites, usage.native.unwrap().contains("max_domains")), (Some(1), true));
}

#[test]
fn what_the_connection_says_of_itself_fits() {
    let description = WisPanel::describe();
    assert_eq!(description.secrets.iter().map(|secret| secret.name.as_str()).collect::<Vec<_>>(), ["api_key"]);
    let settings = serde_json::from_value(json!({"base_url": "https://203.0.113.5:2083"})).unwrap();
    let (_, configuration) = WisPanel::configure(settings).unwrap();
    assert!(configuration.features.contains(&"sites.list".to_owned()));
}
