//! Backups, domains, the toolkit, usage and recovery against a scripted Kinsta.
//!
//! Invariant: a change is followed to what is there at its end, and a crash to what can be known after it.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test that can't go on panics, and that is its report")]

#[path = "support/scene.rs"]
mod scene;

use portico_sdk::{
    BackupKind, Backups, Billing, Completion, DomainStatus, Domains, ErrorKind, Finding, Operations, PageRequest, Sites,
    Transfer, TransferPlace, Wordpress, Work,
    backups::BackupCreate,
    domains::DomainCreate,
    sites::LogRequest,
    testing::{FakeHost, Method, response},
    wordpress::{CacheAction, ExtensionAction, ExtensionKind, InstallInput, Target},
};
use scene::{COMPANY, LIVE, STAGING, accepts, call, creation, end, everything, host, kinsta, last, site};
use serde_json::{Value, json};

#[test]
fn usage_and_logs() {
    let (host, kinsta) = (host(), kinsta(json!({})));
    host.on(Method::Get, "/sites/s1/usage/visits/this-month")
        .reply(200, json!({"site": {"id": "s1", "this_month_usage": {"visits": 100}}}));
    host.on(Method::Get, "/sites/s1/usage/bandwidth/this-month")
        .reply(200, json!({"site": {"id": "s1", "this_month_usage": {"bandwidth": 200}}}));
    host.on(Method::Get, "/sites/s1/usage/cdn-bandwidth/this-month")
        .reply(200, json!({"site": {"id": "s1", "this_month_cdn_usage": {"bandwidth": 300}}}));
    let series = json!({"analytics": {"analytics_response": {"key": "diskSpaceUsage", "data": [{"name": "diskSpaceUsage", "total": 1000, "dataset": [{"key": "2025-10-28T00:00:00", "value": "1000"}]}]}}});
    host.on(Method::Get, &format!("/sites/environments/{LIVE}/analytics/diskspace")).reply(202, series);
    let usage = Sites::usage(&kinsta, "s1").unwrap();
    assert_eq!((usage.visits, usage.bandwidth, usage.storage), (Some(100), Some(500), Some(1000)));
    let all = kinsta.get_usage().unwrap();
    assert_eq!((all.sites, all.visits, all.bandwidth, all.storage), (Some(1), Some(100), Some(500), None));
    let many: Vec<Value> = (0..21).map(|index| site(&format!("s{index}"), "x")).collect();
    host.on(Method::Get, "/sites").reply(200, json!({"company": {"sites": many}}));
    assert_eq!((kinsta.get_usage().unwrap().sites, kinsta.get_usage().unwrap().visits), (Some(21), None));

    host.on(Method::Get, &format!("/sites/environments/{STAGING}/logs"))
        .reply(200, json!({"environment": {"container_info": {"logs": "one\ntwo\nthree\n"}}}));
    let request = |source: &str| LogRequest { environment: Some("Staging".into()), source: Some(source.into()), lines: 2 };
    let lines = kinsta.logs("s1", request("access")).unwrap();
    assert_eq!(lines.iter().map(|line| line.text.as_str()).collect::<Vec<_>>(), ["two", "three"]);
    assert_eq!(kinsta.logs("s1", request("mail")).unwrap_err().field.as_deref(), Some("source"));
}

fn backups(host: &FakeHost, environment: &str, backups: Value) {
    host.on(Method::Get, &format!("/sites/environments/{environment}/backups"))
        .reply(200, json!({"environment": {"display_name": "x", "backups": backups}}));
    host.on(Method::Get, &format!("/sites/environments/{environment}/downloadable-backups")).reply(
        200,
        json!({"environment": {"display_name": "x", "downloadable_backups": [
            {"id": "a1", "created_at": 1, "download_link": "https://storage.example/key", "expires_at": 2, "is_generation_in_progress": false}]}}),
    );
}

#[test]
fn backups_are_made_restored_and_deleted() {
    let (host, kinsta) = (host(), kinsta(json!({"download_origins": ["https://storage.example"]})));
    backups(&host, LIVE, json!([{"id": 5, "name": "n", "note": "Daily Auto Backup", "type": "system", "created_at": 1}]));
    backups(&host, STAGING, json!([]));
    assert_eq!(Backups::list(&kinsta, "s1", None, &PageRequest::first(10)).unwrap().items.len(), 3);
    accepts(&host, Method::Post, &format!("/sites/environments/{LIVE}/manual-backups"), "backups:add-manual-1");
    let input = BackupCreate { environment: None, kind: BackupKind::Full, description: Some("before".into()) };
    let work = Backups::create(&kinsta, &call(), "s1", input).unwrap();
    assert_eq!(last(&host, Method::Post).1, json!({"tag": "before [op_1]"}));
    backups(
        &host,
        LIVE,
        json!([{"id": 5, "note": "x", "type": "system"}, {"id": 7, "note": "before [op_1]", "type": "manual", "created_at": 3}]),
    );
    let id = end(&host, &kinsta, work).unwrap().target.unwrap();
    assert_eq!(id, format!("{LIVE}.7"));
    assert_eq!(Backups::get(&kinsta, "s1", &id).unwrap().description.as_deref(), Some("before"));

    let users = json!({"company": {"users": [{"user": {"id": "u1", "email": "e", "image": "i", "full_name": "f"}}]}});
    host.on(Method::Get, &format!("/company/{COMPANY}/users")).reply(200, users);
    accepts(&host, Method::Post, &format!("/sites/environments/{STAGING}/backups/restore"), "backups:restore-1");
    let work = kinsta.restore(&call(), "s1", &id, everything(Some("Staging"))).unwrap();
    assert_eq!(last(&host, Method::Post).1, json!({"backup_id": 7, "notified_user_id": "u1"}));
    assert_eq!(end(&host, &kinsta, work).unwrap(), Completion::of(&id));

    accepts(&host, Method::Delete, "/sites/environments/backups/7", "backups:remove-1");
    let work = Backups::delete(&kinsta, &call(), "s1", &id).unwrap();
    backups(&host, LIVE, json!([]));
    assert_eq!(end(&host, &kinsta, work).unwrap(), Completion::default());

    let Transfer { place, .. } = kinsta.download("s1", &format!("{LIVE}.d-a1")).unwrap();
    assert_eq!(place, TransferPlace::Blob("https://storage.example/key".into()));
    assert_eq!(kinsta.download("s1", &format!("{LIVE}.d-a2")).map(|_| ()).unwrap_err().kind, ErrorKind::NotFound);
    assert_eq!(kinsta.download("s1", &id).map(|_| ()).unwrap_err().kind, ErrorKind::Unsupported);
    assert_eq!(Backups::get(&kinsta, "s1", "other.5").unwrap_err().kind, ErrorKind::NotFound);
}

/// Without a note, the only new manual one is it.
#[test]
fn a_backup_is_found_by_its_number() {
    let (host, kinsta) = (host(), kinsta(json!({})));
    backups(&host, LIVE, json!([{"id": 5, "note": null, "type": "manual"}]));
    accepts(&host, Method::Post, &format!("/sites/environments/{LIVE}/manual-backups"), "backups:add-manual-1");
    let input = BackupCreate { environment: None, kind: BackupKind::Full, description: None };
    let work = Backups::create(&kinsta, &call(), "s1", input).unwrap();
    backups(
        &host,
        LIVE,
        json!([{"id": 5, "note": null, "type": "manual"}, {"id": 6, "note": "Daily", "type": "system"}, {"id": 8, "note": null, "type": "manual"}]),
    );
    assert_eq!(end(&host, &kinsta, work).unwrap().target, Some(format!("{LIVE}.8")));
}

fn domains(host: &FakeHost, environment: &str, names: &[(&str, &str)]) {
    let list: Vec<Value> =
        names.iter().map(|(id, name)| json!({"id": id, "name": name, "uses_cloudflare_dns": false})).collect();
    host.on(Method::Get, &format!("/sites/environments/{environment}/domains"))
        .reply(200, json!({"environment": {"site_domains": list}}));
}

#[test]
fn domains_are_added_made_primary_and_removed() {
    let (host, kinsta) = (host(), kinsta(json!({"search_replace_on_primary": true})));
    domains(&host, LIVE, &[("d1", "blog.example")]);
    domains(&host, STAGING, &[]);
    accepts(&host, Method::Post, &format!("/sites/environments/{LIVE}/domains"), "sites:add-domain-1");
    accepts(&host, Method::Put, &format!("/sites/environments/{LIVE}/change-primary-domain"), "sites:change-primary-domain-1");
    let input = |name: &str| DomainCreate { name: name.into(), environment: None, primary: true };
    let work = Domains::create(&kinsta, &call(), "s1", input("new.example")).unwrap();
    assert_eq!(last(&host, Method::Post).1, json!({"domain_name": "new.example", "is_wildcardless": true}));
    domains(&host, LIVE, &[("d1", "blog.example"), ("d2", "new.example")]);
    assert_eq!(end(&host, &kinsta, work).unwrap(), Completion::of("new.example"));
    assert_eq!(last(&host, Method::Put).1, json!({"domain_id": "d2", "run_search_and_replace": true}));
    assert_eq!(Domains::create(&kinsta, &call(), "s1", input("new.example")).unwrap_err().kind, ErrorKind::Conflict);
    assert_eq!(Domains::create(&kinsta, &call(), "s1", input("*.new.example")).unwrap_err().kind, ErrorKind::InvalidInput);

    let records = json!({"site_domain": {"verification_records": [{"name": "_acme", "value": "v", "type": "CNAME"}], "pointing_records": []}});
    host.on(Method::Get, "/sites/environments/domains/d2/verification-records").reply(200, records);
    let page = Domains::list(&kinsta, "s1", None, &PageRequest::first(10)).unwrap();
    let shown: Vec<_> =
        page.items.iter().map(|domain| (domain.name.as_str(), domain.status, domain.verification.len())).collect();
    assert_eq!(shown, [("blog.example", DomainStatus::Active, 0), ("new.example", DomainStatus::PendingVerification, 1)]);
    // What is primary already needs nothing.
    assert_eq!(kinsta.set_primary(&call(), "s1", None, "blog.example").unwrap(), Work::done_with("blog.example"));
    let work = kinsta.set_primary(&call(), "s1", None, "new.example").unwrap();
    assert_eq!(end(&host, &kinsta, work).unwrap(), Completion::of("new.example"));

    accepts(&host, Method::Delete, &format!("/sites/environments/{LIVE}/domains"), "sites:delete-domain-1");
    let work = Domains::delete(&kinsta, &call(), "s1", None, "new.example").unwrap();
    assert_eq!(last(&host, Method::Delete).1, json!({"domain_ids": ["d2"]}));
    domains(&host, LIVE, &[("d1", "blog.example")]);
    assert_eq!(end(&host, &kinsta, work).unwrap(), Completion::default());
    assert_eq!(Domains::delete(&kinsta, &call(), "s1", None, "new.example").unwrap_err().kind, ErrorKind::NotFound);
}

fn plugins(host: &FakeHost, list: Value) {
    host.on(Method::Get, &format!("/sites/environments/{LIVE}/plugins"))
        .reply(200, json!({"environment": {"id": LIVE, "container_info": {"id": "c", "wp_plugins": {"data": list}}}}));
    host.on(Method::Get, &format!("/sites/environments/{LIVE}/themes"))
        .reply(200, json!({"environment": {"id": LIVE, "container_info": {"id": "c", "wp_themes": {"data": []}}}}));
}

#[test]
fn plugins_are_what_they_were_asked_to_be_or_it_failed() {
    let (host, kinsta) = (host(), kinsta(json!({})));
    let akismet = |status: &str, version: &str| {
        json!([{"name": "akismet", "title": "Akismet", "status": status, "version": version,
        "update": if version == "1.0.0" { "available" } else { "none" }, "update_version": "1.0.1", "update_status": ""}])
    };
    let target = Target { site: "s1".into(), environment: None };
    let change = |action| kinsta.change_extension(&call(), &target, ExtensionKind::Plugin, "akismet", action);
    plugins(&host, akismet("inactive", "1.0.0"));
    let status = kinsta.get_status(&target).unwrap();
    assert_eq!((status.version.as_deref(), status.updates.unwrap().plugins), (Some("6.3.1"), 1));

    accepts(&host, Method::Put, &format!("/sites/environments/{LIVE}/plugins"), "wp-plugin:update-1");
    let work = change(ExtensionAction::Update).unwrap();
    assert_eq!(last(&host, Method::Put).1, json!({"name": "akismet", "update_version": "1.0.1"}));
    plugins(&host, akismet("inactive", "1.0.1"));
    assert_eq!(end(&host, &kinsta, work).unwrap(), Completion::of("akismet"));
    assert_eq!(change(ExtensionAction::Update).unwrap(), Work::done_with("akismet"));

    accepts(&host, Method::Post, &format!("/sites/environments/{LIVE}/run-wp-cli-command"), "environment:run-wp-cli-command-1");
    let work = change(ExtensionAction::Activate).unwrap();
    assert_eq!(last(&host, Method::Post).1, json!({"wp_command": "wp plugin activate akismet"}));
    let failed = end(&host, &kinsta, work.clone()).unwrap_err();
    assert!(failed.message.contains("akismet isn't as it was asked for"), "{failed:?}");
    plugins(&host, akismet("active", "1.0.1"));
    assert_eq!(end(&host, &kinsta, work).unwrap(), Completion::of("akismet"));
    assert_eq!(change(ExtensionAction::Delete).unwrap_err().kind, ErrorKind::Conflict);

    let input = |source: &str| InstallInput { source: source.into(), version: Some("2.0".into()), activate: true };
    kinsta.install(&call(), &target, ExtensionKind::Theme, input("astra")).unwrap();
    assert_eq!(last(&host, Method::Post).1, json!({"wp_command": "wp theme install astra --version=2.0 --activate"}));
    let odd = kinsta.install(&call(), &target, ExtensionKind::Theme, input("astra --exec=x")).unwrap_err();
    assert_eq!(odd.field.as_deref(), Some("source"));
}

#[test]
fn a_deletion_that_nobody_heard_of_is_found_by_what_is_gone() {
    let (host, kinsta) = (host(), kinsta(json!({})));
    let target = Target { site: "s1".into(), environment: None };
    let akismet = json!([{"name": "akismet", "title": "Akismet", "status": "inactive", "version": "1.0.1", "update": "none",
        "update_version": null, "update_status": ""}]);
    let reconcile = |action: &str, site: &str| {
        let args = json!({"site": site, "environment": null, "id": "akismet"});
        kinsta.reconcile("op_1", action, &args.to_string()).unwrap()
    };
    let done = Finding::Found(Completion::default().into());
    plugins(&host, akismet);
    assert_eq!(reconcile("wordpress.plugins.delete", "s1"), Finding::Absent, "sending it again does no harm");
    assert_eq!(reconcile("wordpress.themes.delete", "s1"), done, "another kind's");
    plugins(&host, json!([]));
    assert_eq!(reconcile("wordpress.plugins.delete", "s1"), done);
    host.on(Method::Get, "/sites/gone/environments").reply(404, json!({"message": "m", "status": 404}));
    assert_eq!(reconcile("wordpress.plugins.delete", "gone"), done);
    // What never was there is no deletion.
    for kind in [ExtensionKind::Plugin, ExtensionKind::Theme] {
        let refused = kinsta.change_extension(&call(), &target, kind, "akismet", ExtensionAction::Delete).unwrap_err();
        assert_eq!(refused.kind, ErrorKind::NotFound);
    }
    assert!(host.requests().iter().all(|request| request.method == Method::Get));
}

#[test]
fn caches_are_cleared_one_after_the_other() {
    let (host, kinsta) = (host(), kinsta(json!({})));
    let target = Target { site: "s1".into(), environment: Some("Staging".into()) };
    accepts(&host, Method::Post, "/sites/tools/clear-cache", "cache:clear-1");
    accepts(&host, Method::Post, "/sites/edge-caching/clear", "edgeCache:clear-1");
    accepts(&host, Method::Post, "/sites/cdn/clear-cache", "cdn-cache:clear-1");
    accepts(&host, Method::Put, "/sites/edge-caching/status", "edge-cache:update-status-1");
    let work = kinsta.change_cache(&call(), &target, CacheAction::Purge(Vec::new())).unwrap();
    assert_eq!(last(&host, Method::Post).1, json!({"environment_id": STAGING, "cdn_cache_id": "c1"}));
    assert_eq!(end(&host, &kinsta, work).unwrap(), Completion::default());
    let watched = |host: &FakeHost| {
        host.requests()
            .iter()
            .filter(|request| request.path[0] == "operations")
            .map(|request| request.path[1].clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(watched(&host), ["cache:clear-1", "edgeCache:clear-1", "cdn-cache:clear-1"]);
    kinsta.change_cache(&call(), &target, CacheAction::Purge(vec!["https://a.example/".into()])).unwrap();
    assert_eq!(last(&host, Method::Post).1, json!({"environment_id": STAGING, "url": "https://a.example/"}));
    kinsta.change_cache(&call(), &target, CacheAction::Disable).unwrap();
    assert_eq!(last(&host, Method::Put).1, json!({"environment_id": STAGING, "enabled": false}));
    assert!(kinsta.get_cache(&target).unwrap().enabled);
}

#[test]
fn what_nobody_heard_the_answer_of_is_looked_up() {
    let (host, kinsta) = (host(), kinsta(json!({})));
    let reconcile = |action: &str, args: Value| kinsta.reconcile("op_1", action, &args.to_string()).unwrap();
    let found = |finding: Finding| matches!(finding, Finding::Found(_));
    // Refused with 429: certainly not done.
    host.on(Method::Post, "/sites")
        .times(1)
        .reply(429, json!({"status": 429, "message": "Too many requests, please try again later."}));
    assert_eq!(Sites::create(&kinsta, &call(), creation()).unwrap_err().kind, ErrorKind::RateLimited);
    assert!(matches!(reconcile("sites.create", json!({"name": "Shop"})), Finding::Absent));
    // The note doesn't outlive the next try.
    host.on(Method::Post, "/sites").reply_with(|_| Ok(response(500, &[], "")));
    Sites::create(&kinsta, &call(), creation()).unwrap_err();
    assert!(matches!(reconcile("sites.create", json!({"name": "Shop"})), Finding::Unknown));
    assert!(host.state().is_empty());

    assert!(matches!(reconcile("sites.delete", json!({"site": "s1"})), Finding::Absent));
    host.on(Method::Get, "/sites/gone").reply(404, json!({"message": "m", "status": 404}));
    assert!(found(reconcile("sites.delete", json!({"site": "gone"}))));
    assert!(matches!(reconcile("environments.delete", json!({"site": "s1", "environment": STAGING})), Finding::Absent));
    assert!(found(reconcile("environments.delete", json!({"site": "s1", "environment": "gone"}))));
    backups(
        &host,
        LIVE,
        json!([{"id": 7, "note": "x [op_1]", "type": "manual"}, {"id": 8, "note": "[op_2]", "type": "manual"}]),
    );
    backups(&host, STAGING, json!([{"id": 9, "note": "[op_3]", "type": "manual"}]));
    match reconcile("backups.create", json!({"site": "s1", "input": {"kind": "full", "description": "x"}})) {
        Finding::Found(Work::Done(done)) => assert_eq!(done.target, Some(format!("{LIVE}.7"))),
        other => panic!("{other:?}"),
    }
    assert!(matches!(
        reconcile("backups.create", json!({"site": "s1", "input": {"environment": "Staging"}})),
        Finding::Unknown
    ));
    assert!(matches!(reconcile("backups.delete", json!({"site": "s1", "backup": format!("{LIVE}.7")})), Finding::Absent));
    assert!(found(reconcile("backups.delete", json!({"site": "s1", "backup": format!("{LIVE}.1")}))));
    domains(&host, LIVE, &[("d1", "blog.example")]);
    domains(&host, STAGING, &[]);
    assert!(found(reconcile(
        "domains.create",
        json!({"site": "s1", "input": {"name": "blog.example", "environment": null, "primary": false}})
    )));
    assert!(matches!(reconcile("domains.create", json!({"site": "s1", "input": {"name": "new.example"}})), Finding::Unknown));
    assert!(matches!(reconcile("domains.delete", json!({"site": "s1", "name": "blog.example"})), Finding::Absent));
    assert!(found(reconcile("domains.delete", json!({"site": "s1", "name": "new.example"}))));
}
