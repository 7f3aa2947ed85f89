//! The dialect `live` against a scripted upstream: whole lives of sites, backups and domains, and what goes wrong in them.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "what goes wrong in a helper fails the test")]

#[path = "support/calls.rs"]
mod support;

use portico_sdk::{
    Backups, Billing, Contents, DomainStatus, Domains, EnvironmentKind, Environments, ErrorKind, Finding, Operations,
    PageRequest, SiteStatus, Sites, Wordpress, Work,
    backups::{BackupCreate, RestoreInput},
    domains::DomainCreate,
    environments::{EnvironmentCreate, PushInput},
    sites::{SiteClone, SiteUpdate},
    testing::{FakeHost, Method, json_response, response},
    wordpress::{CacheAction, Target},
};
use serde_json::{Value, json};
use support::{End, OPERATION, all, call, done, finish, pending, provider, query, sent, site_create, succeeded};

const ACCOUNT: &str = "eeda3227-9a39-46ae-9e14-20958bb4e6c9";

fn settings() -> Value {
    json!({"account_id": ACCOUNT, "notification_emails": ["ops@example.com"]})
}

fn install(id: &str, name: &str, environment: &str, status: &str) -> Value {
    json!({"id": id, "name": name, "environment": environment, "status": status, "account": {"id": ACCOUNT},
        "php_version": "8.2", "cname": format!("{name}.wpengine.com"), "primary_domain": format!("{name}.example")})
}

fn site(name: &str, installs: &[(&str, &str, &str)]) -> Value {
    let inside = |(id, name, environment): &(&str, &str, &str)| json!({"id": id, "name": name, "environment": environment});
    json!({"id": "s1", "name": name, "account": {"id": ACCOUNT}, "installs": installs.iter().map(inside).collect::<Vec<_>>()})
}

fn list(results: Vec<Value>) -> Value {
    json!({"previous": null, "next": null, "count": results.len(), "results": results})
}

/// A site with a production and a staging.
fn two_installs(host: &FakeHost) {
    host.on(Method::Get, "/sites/s1")
        .reply(200, site("Torque", &[("i1", "torque", "production"), ("i2", "torquestg", "staging")]));
    host.on(Method::Get, "/installs/i1").reply(200, install("i1", "torque", "production", "active"));
    host.on(Method::Get, "/installs/i2").reply(200, install("i2", "torquestg", "staging", "active"));
}

fn marked(host: &FakeHost) -> String {
    sent(host, Method::Post)[0].1["name"].as_str().unwrap().to_owned()
}

#[test]
fn a_site_is_made_with_its_install_and_gets_its_name_last() {
    let host = FakeHost::install();
    host.on(Method::Get, "/accounts").reply(200, list(vec![json!({"id": ACCOUNT, "name": "joe", "nickname": "joe"})]));
    host.on(Method::Post, "/sites").reply(201, site("x", &[]));
    let no_settings = json!({});
    let handle = pending(Sites::create(&provider(&no_settings), &call(), site_create("Torque Magazine"))).handle;
    let marked = marked(&host);
    assert!(marked.starts_with("Torque Magazine (") && marked.len() <= 40, "{marked}");

    host.on(Method::Get, "/sites/s1").times(1).reply(200, site(&marked, &[]));
    host.on(Method::Post, "/installs").reply(201, install("i1", "torque", "production", "pending"));
    host.on(Method::Patch, "/sites/s1").reply(200, site("Torque Magazine", &[]));
    host.on(Method::Get, "/installs/i1").reply(200, install("i1", "torque", "production", "active"));
    host.on(Method::Get, "/installs/i1").times(1).reply(200, install("i1", "torque", "production", "pending"));
    // Its install is in the site from the second look on, under the name that it was asked for.
    let name = {
        let first = provider(&no_settings).poll(OPERATION, &handle).unwrap();
        assert!(matches!(first, portico_sdk::Progress::Running(_)), "{first:?}");
        sent(&host, Method::Post)[1].1["name"].as_str().unwrap().to_owned()
    };
    host.on(Method::Get, "/sites/s1").reply(200, site("Torque Magazine", &[("i1", &name, "production")]));
    let (end, looks) = finish(&no_settings, handle);
    assert_eq!((end, looks), (End::Succeeded(portico_sdk::Completion::of("s1")), 1));
    let posts = sent(&host, Method::Post);
    assert_eq!(
        posts[1],
        ("/installs".into(), json!({"name": name, "account_id": ACCOUNT, "site_id": "s1", "environment": "production"}))
    );
    assert_eq!(posts.len(), 2, "{posts:?}");
    assert_eq!(sent(&host, Method::Patch), [("/sites/s1".into(), json!({"name": "Torque Magazine"}))]);
}

#[test]
fn a_site_whose_install_cannot_be_made_is_removed_again() {
    let host = FakeHost::install();
    host.on(Method::Post, "/sites").reply(201, site("x", &[]));
    host.on(Method::Get, "/sites/s1").reply(200, site("x", &[]));
    host.on(Method::Delete, "/sites/s1").reply_with(|_| Ok(response(204, &[], "")));
    let handle = pending(Sites::create(&provider(&settings()), &call(), site_create("Torque"))).handle;
    host.on(Method::Post, "/installs").reply(
        400,
        json!({"message": "Invalid", "errors": [{"resource": "Installation", "field": "name", "type": "value_unavailable",
            "code": "taken", "message": "Name is taken"}]}),
    );
    host.on(Method::Post, "/installs").times(1).reply_with(|_| Ok(response(503, &[], "")));
    let passing = provider(&settings()).poll(OPERATION, &handle).unwrap_err();
    assert_eq!(passing.kind, ErrorKind::Unavailable);
    assert!(sent(&host, Method::Delete).is_empty(), "what may pass undoes nothing");
    let End::Failed(error) = finish(&settings(), handle).0 else { panic!("it can't succeed") };
    assert_eq!((error.kind, error.message.as_str()), (ErrorKind::Conflict, "WP Engine says: Name is taken"));
    assert_eq!(sent(&host, Method::Delete).len(), 1);
}

#[test]
fn a_site_that_cannot_be_finished_is_named() {
    let host = FakeHost::install();
    host.on(Method::Post, "/sites").reply(201, site("x", &[]));
    host.on(Method::Get, "/sites/s1").reply(200, site("Torque (k3f9x2)", &[]));
    let handle = pending(Sites::create(&provider(&settings()), &call(), site_create("Torque"))).handle;
    let ends = || match finish(&settings(), handle.clone()).0 {
        End::Failed(error) => error.message,
        other => panic!("{other:?}"),
    };
    host.on(Method::Post, "/installs").reply(403, json!({"message": "Forbidden"}));
    host.on(Method::Delete, "/sites/s1").reply(403, json!({"message": "Forbidden"}));
    assert_eq!(ends(), "WP Engine says: Forbidden; the site is left at WP Engine as Torque (k3f9x2)");
    host.on(Method::Post, "/installs").reply(201, install("i1", "torque", "production", "active"));
    host.on(Method::Patch, "/sites/s1").reply(400, json!({"message": "Invalid Site: Name is reserved."}));
    assert_eq!(ends(), "WP Engine says: Invalid Site: Name is reserved; the site is left at WP Engine as Torque (k3f9x2)");
}

#[test]
fn a_creation_whose_answer_was_lost_is_found_by_its_mark() {
    let host = FakeHost::install();
    host.on(Method::Post, "/sites").reply_with(|_| Ok(response(502, &[], "<html>")));
    let lost = Sites::create(&provider(&settings()), &call(), site_create("Torque")).unwrap_err();
    assert_eq!(lost.kind, ErrorKind::Unavailable);
    let marked = marked(&host);
    let args = json!({"name": "Torque", "kind": "wordpress", "options": {}}).to_string();
    let found = || provider(&settings()).reconcile(OPERATION, "sites.create", &args).unwrap();
    host.on(Method::Get, "/sites").reply(200, list(vec![site("Torque", &[("i9", "torque", "production")])]));
    assert_eq!(found(), Finding::Absent, "a site of the same name is somebody else's");
    host.on(Method::Get, "/sites").reply(200, list(vec![site("Torque", &[]), site(&marked, &[])]));
    assert!(matches!(found(), Finding::Found(Work::Pending(pending)) if pending.target.as_deref() == Some("s1")));
}

#[test]
fn several_accounts_want_a_choice_and_long_names_are_refused() {
    let host = FakeHost::install();
    host.on(Method::Get, "/accounts").reply(200, list(vec![json!({"id": "a"}), json!({"id": "b"})]));
    let error = Sites::create(&provider(&json!({})), &call(), site_create("Torque")).unwrap_err();
    assert_eq!((error.kind, error.field.as_deref()), (ErrorKind::InvalidInput, Some("settings.account_id")));
    let error = Sites::create(&provider(&settings()), &call(), site_create(&"x".repeat(41))).unwrap_err();
    assert_eq!((error.kind, error.field.as_deref()), (ErrorKind::InvalidInput, Some("name")));
    assert!(sent(&host, Method::Post).is_empty());
}

#[test]
fn a_clone_is_a_new_site_with_a_copy() {
    let host = FakeHost::install();
    two_installs(&host);
    host.on(Method::Post, "/sites").reply(201, json!({"id": "s2", "name": "x"}));
    let input = SiteClone {
        name: "Copy".into(),
        domain: None,
        source_environment: Some("staging".into()),
        region: None,
        options: r#"{"install_name": "copyname"}"#.into(),
    };
    let handle = pending(Sites::clone(&provider(&settings()), &call(), "s1", input)).handle;
    let made = json!({"id": "s2", "name": "Copy", "account": {"id": ACCOUNT}, "installs": [{"id": "i3", "name": "copyname"}]});
    host.on(Method::Get, "/sites/s2").reply(200, made);
    host.on(Method::Get, "/installs/i3").reply(200, install("i3", "copyname", "production", "active"));
    host.on(Method::Post, "/install_copy").reply_with(|_| Ok(response(202, &[], "")));
    let completion = succeeded(&settings(), handle);
    assert_eq!((completion.target.as_deref(), completion.details.as_deref()), (Some("s2"), Some(r#"{"verified":false}"#)));
    let copies: Vec<_> = sent(&host, Method::Post).into_iter().filter(|(path, _)| path == "/install_copy").collect();
    let body =
        json!({"source_environment_id": "i2", "destination_environment_id": "i3", "notification_emails": ["ops@example.com"]});
    assert_eq!(copies, [("/install_copy".into(), body)]);
}

#[test]
fn a_walk_follows_links_inside_its_own_base_only() {
    let host = FakeHost::install();
    host.on(Method::Get, "/sites").reply_with(|request| {
        let second = query(request, "offset") == Some("2");
        let next = (!second).then_some("https://evil.example/other?limit=2&offset=2");
        Ok(json_response(200, &json!({"next": next, "count": 3, "results": [site(if second { "B" } else { "A" }, &[("i1", "torque", "production")])]})))
    });
    host.on(Method::Get, "/installs").reply(200, list(vec![install("i1", "torque", "production", "active")]));
    let provider = provider(&settings());
    let first = Sites::list(&provider, &PageRequest::first(2)).unwrap();
    assert_eq!((first.items[0].status, first.next.as_deref()), (SiteStatus::Running, Some("2")));
    assert_eq!(first.items[0].url.as_deref(), Some("https://torque.example"));
    let last = Sites::list(&provider, &PageRequest { cursor: first.next, limit: 2 }).unwrap();
    assert_eq!((last.items[0].name.as_str(), last.next), ("B", None));
    for request in host.requests() {
        assert!(request.path == ["sites"] || request.path == ["installs"], "{request:?}");
        assert_eq!(query(&request, "account_id"), Some(ACCOUNT));
    }
    let bad = Sites::list(&provider, &PageRequest { cursor: Some("x".into()), limit: 2 }).unwrap_err();
    assert_eq!(bad.field.as_deref(), Some("cursor"));
}

#[test]
fn a_site_alone_tells_more_is_renamed_and_deleted() {
    let host = FakeHost::install();
    two_installs(&host);
    let provider = provider(&settings());
    let one = Sites::get(&provider, "s1").unwrap();
    assert_eq!((one.status, one.environments.len(), one.php_version.as_deref()), (SiteStatus::Running, 2, Some("8.2")));
    host.on(Method::Patch, "/sites/s1").reply(200, site("New", &[]));
    let update = SiteUpdate { name: Some("New".into()), php_version: None, wordpress_version: None };
    assert_eq!(done(Sites::update(&provider, &call(), "s1", update)).target.as_deref(), Some("s1"));
    let look = |action: &str, args: Value| provider.reconcile(OPERATION, action, &args.to_string()).unwrap();
    assert_eq!(look("sites.update", json!({"site": "s1", "input": {"name": "New"}})), Finding::Absent);
    assert!(matches!(look("sites.update", json!({"site": "s1", "input": {"name": "Torque"}})), Finding::Found(_)));
    host.on(Method::Delete, "/sites/s1").reply_with(|_| Ok(response(204, &[], "")));
    done(Sites::delete(&provider, &call(), "s1"));
    assert_eq!(look("sites.delete", json!({"site": "s1"})), Finding::Absent);
    host.on(Method::Get, "/sites/s1").reply(404, json!({"message": "Not Found"}));
    assert!(matches!(look("sites.delete", json!({"site": "s1"})), Finding::Found(Work::Done(_))));
    assert_eq!(Sites::get(&provider, "s1").unwrap_err().kind, ErrorKind::NotFound);
}

#[test]
fn environments_are_installs() {
    let host = FakeHost::install();
    two_installs(&host);
    let provider = provider(&settings());
    let listed = Environments::list(&provider, "s1", &all()).unwrap().items;
    let kinds: Vec<_> = listed.iter().map(|one| (one.id.as_str(), one.name.as_str(), one.kind)).collect();
    assert_eq!(kinds, [("i1", "torque", EnvironmentKind::Production), ("i2", "torquestg", EnvironmentKind::Staging)]);

    let input = |name: &str, source: Option<&str>| EnvironmentCreate {
        name: name.into(),
        kind: EnvironmentKind::Development,
        source: source.map(str::to_owned),
        php_version: None,
        wordpress_version: None,
        options: "{}".into(),
    };
    for (name, kind) in [
        ("Dev", ErrorKind::InvalidInput),
        ("ab", ErrorKind::InvalidInput),
        ("1ab", ErrorKind::InvalidInput),
        ("torque", ErrorKind::Conflict),
    ] {
        let error = Environments::create(&provider, &call(), "s1", input(name, None)).unwrap_err();
        assert_eq!((error.kind, error.field.as_deref()), (kind, Some("name")), "{name}");
    }
    let versioned = EnvironmentCreate { php_version: Some("8.2".into()), ..input("torquedev", None) };
    assert_eq!(Environments::create(&provider, &call(), "s1", versioned).unwrap_err().kind, ErrorKind::Unsupported);
    host.on(Method::Post, "/installs").reply(201, install("i3", "torquedev", "development", "pending"));
    host.on(Method::Get, "/installs/i3").reply(200, install("i3", "torquedev", "development", "active"));
    host.on(Method::Get, "/installs/i3").times(1).reply(200, install("i3", "torquedev", "development", "pending"));
    host.on(Method::Post, "/install_copy").reply_with(|_| Ok(response(202, &[], "")));
    let handle = pending(Environments::create(&provider, &call(), "s1", input("torquedev", Some("production")))).handle;
    let (end, looks) = finish(&settings(), handle);
    let End::Succeeded(completion) = end else { panic!("{end:?}") };
    assert_eq!((completion.target.as_deref(), looks), (Some("i3"), 3));
    let look = |action: &str, args: Value| provider.reconcile(OPERATION, action, &args.to_string()).unwrap();
    assert_eq!(look("environments.create", json!({"site": "s1", "input": {"name": "torquedev"}})), Finding::Absent);
    assert!(matches!(
        look("environments.create", json!({"site": "s1", "input": {"name": "torquestg"}})),
        Finding::Found(Work::Pending(_))
    ));

    host.on(Method::Delete, "/installs/i2").reply_with(|_| Ok(response(204, &[], "")));
    done(Environments::delete(&provider, &call(), "s1", "staging"));
    assert_eq!(look("environments.delete", json!({"site": "s1", "environment": "i2"})), Finding::Absent);
    assert!(matches!(look("environments.delete", json!({"site": "s1", "environment": "i7"})), Finding::Found(Work::Done(_))));
}

#[test]
fn a_push_is_a_copy_that_nobody_sees_the_end_of() {
    let host = FakeHost::install();
    two_installs(&host);
    let provider = provider(&settings());
    let input =
        |target: &str, search_replace| PushInput { target: target.into(), database: true, files: false, search_replace };
    let push = |id: &str, input| Environments::push(&provider, &call(), "s1", id, input);
    assert_eq!(push("staging", input("production", false)).unwrap_err().kind, ErrorKind::Unsupported);
    assert_eq!(push("staging", input("i2", true)).unwrap_err().field.as_deref(), Some("target"));
    host.on(Method::Post, "/install_copy").reply_with(|_| Ok(response(202, &[], "")));
    host.on(Method::Get, "/installs/i1").times(1).reply(200, install("i1", "torque", "production", "pending"));
    let (end, looks) = finish(&settings(), pending(push("staging", input("production", true))).handle);
    let End::Succeeded(completion) = end else { panic!("{end:?}") };
    assert_eq!(
        (completion.target.as_deref(), completion.details.as_deref(), looks),
        (Some("i1"), Some(r#"{"verified":false}"#), 2)
    );
    let body = json!({"source_environment_id": "i2", "destination_environment_id": "i1", "notification_emails": ["ops@example.com"],
        "custom_options": {"include_files": false, "include_db": true}});
    assert_eq!(sent(&host, Method::Post), [("/install_copy".into(), body)]);
    // Without a database there is nothing to replace in.
    pending(push("staging", PushInput { database: false, files: true, ..input("production", false) }));
    assert_eq!(provider.reconcile(OPERATION, "environments.push", "{}").unwrap(), Finding::Unknown);
}

fn backup(id: &str, status: &str, description: &str) -> Value {
    json!({"id": id, "status": status, "description": description, "create_time": "2024-01-15T10:00:00Z", "complete_time": null})
}

#[test]
fn a_backup_is_watched_to_its_end() {
    let host = FakeHost::install();
    two_installs(&host);
    host.on(Method::Get, "/user").reply(200, json!({"id": "u", "email": "joe@gmail.com"}));
    host.on(Method::Post, "/installs/i1/backups").reply(202, json!({"id": "b1", "status": "requested"}));
    host.on(Method::Get, "/installs/i1/backups/b1").reply(200, backup("b1", "completed", "x"));
    for status in ["in_progress", "initiated", "requested"] {
        host.on(Method::Get, "/installs/i1/backups/b1").times(1).reply(200, backup("b1", status, "x"));
    }
    let bare = json!({"account_id": ACCOUNT});
    let input = BackupCreate { environment: None, kind: portico_sdk::BackupKind::Full, description: Some("Pre-deploy".into()) };
    let made = pending(Backups::create(&provider(&bare), &call(), "s1", input.clone()));
    assert_eq!(made.target.as_deref(), Some("i1.b1"));
    let (end, looks) = finish(&bare, made.handle.clone());
    assert_eq!((end, looks), (End::Succeeded(portico_sdk::Completion::of("i1.b1")), 4));
    let body = json!({"description": format!("Pre-deploy ({OPERATION})"), "notification_emails": ["joe@gmail.com"]});
    assert_eq!(sent(&host, Method::Post), [("/installs/i1/backups".into(), body)]);
    host.on(Method::Get, "/installs/i1/backups/b1").reply(200, backup("b1", "aborted", "x"));
    assert!(matches!(finish(&bare, made.handle).0, End::Failed(_)));

    // A bare 202: it is found by the operation in its description, as soon as it is listed.
    host.on(Method::Post, "/installs/i1/backups").reply_with(|_| Ok(response(202, &[], "")));
    let ours = backup("b2", "completed", &format!("Pre-deploy ({OPERATION})"));
    host.on(Method::Get, "/installs/i1/backups").reply(200, list(vec![backup("b1", "completed", "other"), ours]));
    host.on(Method::Get, "/installs/i1/backups").times(1).reply(200, list(vec![]));
    let made = pending(Backups::create(&provider(&bare), &call(), "s1", input));
    assert_eq!(made.target, None);
    assert_eq!(succeeded(&bare, made.handle).target.as_deref(), Some("i1.b2"));
    let look = |operation: &str| provider(&bare).reconcile(operation, "backups.create", r#"{"site":"s1","input":{}}"#).unwrap();
    assert!(matches!(look(OPERATION), Finding::Found(Work::Pending(pending)) if pending.target.as_deref() == Some("i1.b2")));
    assert_eq!(look("op_1"), Finding::Absent);
}

#[test]
fn backups_of_all_installs_are_one_list_and_a_restore_has_no_end_to_see() {
    let host = FakeHost::install();
    two_installs(&host);
    host.on(Method::Get, "/installs/i1/backups").reply(200, list(vec![backup("b1", "completed", "one")]));
    host.on(Method::Get, "/installs/i2/backups").reply(200, list(vec![backup("b2", "completed", "two")]));
    let provider = provider(&settings());
    let first = Backups::list(&provider, "s1", None, &all()).unwrap();
    let second = Backups::list(&provider, "s1", None, &PageRequest { cursor: first.next, limit: 1000 }).unwrap();
    assert_eq!((first.items[0].id.as_str(), second.items[0].id.as_str(), second.next), ("i1.b1", "i2.b2", None));
    assert_eq!(Backups::list(&provider, "s1", Some("staging"), &all()).unwrap().items[0].environment.as_deref(), Some("i2"));
    assert_eq!(Backups::get(&provider, "s1", "i9.b1").unwrap_err().kind, ErrorKind::NotFound);

    let input = |database, files| RestoreInput {
        environment: None,
        contents: Contents { database, files, plugins: true, themes: true },
    };
    let restore = |input| Backups::restore(&provider, &call(), "s1", "i1.b1", input);
    assert_eq!(restore(input(true, false)).unwrap_err().field.as_deref(), Some("backups.restore.contents"));
    host.on(Method::Post, "/installs/i1/backups/b1/restore").reply_with(|_| Ok(response(202, &[], "")));
    let completion = succeeded(&settings(), pending(restore(input(false, true))).handle);
    assert_eq!((completion.target.as_deref(), completion.details.as_deref()), (Some("i1.b1"), Some(r#"{"verified":false}"#)));
    assert_eq!(sent(&host, Method::Post)[0].1, json!({"notification_emails": ["ops@example.com"], "restore_database": false}));
}

fn domain(id: &str, name: &str, pending: bool) -> Value {
    let status = if pending { "TXT_VERIFICATION_PENDING" } else { "TXT_VERIFIED" };
    json!({"id": id, "name": name, "primary": false, "duplicate": false, "secure_all_urls": false, "ownership_status": status,
        "txt_verification_key": "_wpe_verification", "txt_verification_value": "v"})
}

#[test]
fn domains_by_their_names() {
    let host = FakeHost::install();
    two_installs(&host);
    host.on(Method::Get, "/installs/i1/domains")
        .reply(200, list(vec![domain("d1", "a.example", true), domain("d2", "b.example", false)]));
    host.on(Method::Get, "/installs/i2/domains").reply(200, list(vec![domain("d3", "b.example", false)]));
    host.on(Method::Get, "/installs/*/ssl_certificates").reply_with(|request| {
        let certificate =
            |token: Value| json!({"certificates": [{"domains": ["b.example"], "status": "ENABLED"}], "next_page_token": token});
        Ok(match (request.path[1].as_str(), query(request, "offset")) {
            ("i2", _) => json_response(403, &json!({"message": "Forbidden"})),
            (_, None) => json_response(200, &json!({"certificates": [], "next_page_token": "1"})),
            (_, Some(_)) => json_response(200, &certificate(Value::Null)),
        })
    });
    let provider = provider(&settings());
    let page = Domains::list(&provider, "s1", Some("production"), &all()).unwrap().items;
    assert_eq!((page[0].status, page[0].verification.len()), (DomainStatus::PendingVerification, 1));
    assert_eq!(page[1].certificate.as_ref().and_then(|certificate| certificate.status.as_deref()), Some("enabled"));
    assert_eq!(Domains::list(&provider, "s1", Some("staging"), &all()).unwrap().items[0].certificate, None);

    host.on(Method::Post, "/installs/i2/domains").reply(201, domain("d4", "c.example", true));
    let create = DomainCreate { name: "c.example".into(), environment: Some("staging".into()), primary: true };
    assert_eq!(done(Domains::create(&provider, &call(), "s1", create)).target.as_deref(), Some("c.example"));
    assert_eq!(sent(&host, Method::Post)[0].1, json!({"name": "c.example", "primary": true}));

    host.on(Method::Post, "/installs/i1/domains/d1/verification").reply(200, json!({"id": "d1"}));
    done(Domains::verify(&provider, &call(), "s1", None, "a.example"));
    host.on(Method::Post, "/installs/i1/domains/d2/check_status").reply(202, json!({"report_id": "r1"}));
    let report = |complete| json!({"report": {"complete": complete, "domains": [{"name": "b.example", "result": "ok"}]}});
    host.on(Method::Get, "/installs/i1/domains/check_status/r1").reply(200, report(true));
    host.on(Method::Get, "/installs/i1/domains/check_status/r1").times(1).reply(200, report(false));
    let handle = pending(Domains::verify(&provider, &call(), "s1", Some("i1"), "b.example")).handle;
    assert_eq!(succeeded(&settings(), handle).details.as_deref(), Some(r#"{"results":["ok"]}"#));

    host.on(Method::Patch, "/installs/i1/domains/d2").reply(200, domain("d2", "b.example", false));
    done(Domains::set_primary(&provider, &call(), "s1", Some("production"), "b.example"));
    host.on(Method::Delete, "/installs/i1/domains/d1").reply_with(|_| Ok(response(204, &[], "")));
    done(Domains::delete(&provider, &call(), "s1", None, "a.example"));
    assert_eq!(Domains::delete(&provider, &call(), "s1", None, "b.example").unwrap_err().kind, ErrorKind::Conflict);
    assert_eq!(Domains::delete(&provider, &call(), "s1", None, "z.example").unwrap_err().kind, ErrorKind::NotFound);

    let look = |action: &str, args: Value| provider.reconcile(OPERATION, action, &args.to_string()).unwrap();
    assert!(matches!(look("domains.create", json!({"site": "s1", "input": {"name": "a.example"}})), Finding::Found(_)));
    assert_eq!(look("domains.delete", json!({"site": "s1", "name": "a.example"})), Finding::Absent);
    assert!(matches!(look("domains.delete", json!({"site": "s1", "name": "z.example"})), Finding::Found(_)));
    assert_eq!(look("domains.set_primary", json!({"site": "s1", "name": "a.example"})), Finding::Absent);
}

#[test]
fn caches_are_purged_whole_and_wordpress_tells_little() {
    let host = FakeHost::install();
    two_installs(&host);
    host.on(Method::Post, "/installs/i1/purge_cache").reply_with(|_| Ok(response(202, &[], "")));
    let provider = provider(&settings());
    let target = Target { site: "s1".into(), environment: None };
    let change = |action| Wordpress::change_cache(&provider, &call(), &target, action);
    done(change(CacheAction::Flush));
    done(change(CacheAction::Purge(Vec::new())));
    assert_eq!(change(CacheAction::Purge(vec!["https://a.example/".into()])).unwrap_err().kind, ErrorKind::Unsupported);
    let types: Vec<Value> = sent(&host, Method::Post).into_iter().map(|(_, body)| body["type"].clone()).collect();
    assert_eq!(types, ["object", "all"]);
    assert!(host.requests().iter().filter(|request| request.method == Method::Post).all(|request| request.keyed));
    let whole = json!({"id": "i1", "name": "torque", "wp_version": "6.8.1", "is_multisite": false});
    host.on(Method::Get, "/installs/i1").reply(200, whole);
    let status = Wordpress::get_status(&provider, &target).unwrap();
    assert_eq!((status.version.as_deref(), status.multisite, status.debug), (Some("6.8.1"), Some(false), None));
}

#[test]
fn usage_of_sites_and_accounts() {
    let host = FakeHost::install();
    two_installs(&host);
    let rollup = |visits: &str| json!({"visit_count": {"sum": visits}, "storage_file_bytes": {"latest": {"value": "7"}}});
    host.on(Method::Get, "/installs/i1/usage").reply(200, json!({"metrics_rollup": rollup("10")}));
    host.on(Method::Get, "/installs/i2/usage").reply(200, json!({"metrics_rollup": rollup("5")}));
    let usage = Sites::usage(&provider(&settings()), "s1").unwrap();
    assert_eq!((usage.visits, usage.storage, usage.bandwidth), (Some(15), Some(14), None));

    host.on(Method::Get, "/accounts").reply(200, list(vec![json!({"id": "a"}), json!({"id": "b"})]));
    host.on(Method::Get, "/accounts/*/usage/summary").reply(200, rollup("100"));
    host.on(Method::Get, "/sites").reply(200, list(vec![site("A", &[]), site("B", &[])]));
    let usage = provider(&json!({})).get_usage().unwrap();
    assert_eq!((usage.visits, usage.storage, usage.sites), (Some(200), Some(14), Some(2)));
    let asked = host.requests().into_iter().find(|request| request.path.ends_with(&["summary".to_owned()])).unwrap();
    assert_eq!((query(&asked, "first_date"), query(&asked, "last_date")), (Some("2023-10-16"), Some("2023-11-14")));
}

#[test]
fn what_stands_in_front_of_the_host_is_understood() {
    let host = FakeHost::install();
    for (status, headers, body, kind, wait) in [
        (429, &[("retry-after", "9")][..], "", ErrorKind::RateLimited, Some(9)),
        (502, &[][..], "<html>Bad gateway</html>", ErrorKind::Unavailable, None),
        (503, &[][..], "", ErrorKind::Unavailable, None),
        (401, &[][..], r#"{"message":"Bad Credentials"}"#, ErrorKind::Unauthenticated, None),
        (200, &[][..], "<html>", ErrorKind::Internal, None),
    ] {
        host.on(Method::Get, "/sites").reply_with(move |_| Ok(response(status, headers, body)));
        let error = Sites::list(&provider(&settings()), &all()).unwrap_err();
        assert_eq!((error.kind, error.retry_after), (kind, wait), "{status}");
    }
}
