//! The provider's calls against a scripted panel: what is asked, what becomes of it, and what a crash leaves.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "what goes wrong in a helper fails the test")]

use portico_provider_siteico::SiteIco;
use portico_sdk::{
    Backups, Billing, Call, Contents, Domains, ErrorKind, Finding, Operations, PageRequest, Pending, Progress, Provider,
    SiteKind, Sites, Work,
    backups::{BackupCreate, RestoreInput},
    billing::CheckoutInput,
    domains::DomainCreate,
    sites::{SiteClone, SiteCreate},
    testing::{FakeHost, Method, response},
};
use serde_json::{Value, json};

const OPERATION: &str = "op_1";

fn call() -> Call {
    Call::new(OPERATION, "key")
}

fn input(name: &str, options: &Value) -> SiteCreate {
    SiteCreate {
        name: name.into(),
        kind: SiteKind::Wordpress,
        domain: None,
        environment: None,
        php_version: None,
        wordpress_version: None,
        locale: None,
        title: None,
        admin: None,
        region: None,
        template: None,
        options: options.to_string(),
    }
}

fn pending(work: Work) -> Pending {
    match work {
        Work::Pending(pending) => pending,
        Work::Done(done) => panic!("done: {done:?}"),
    }
}

fn poll(handle: &str) -> Progress {
    SiteIco.poll(OPERATION, handle).unwrap()
}

fn site_is(host: &FakeHost, status: &str) {
    host.on(Method::Get, "/api/sites/s1").reply(200, json!({"site": {"id": "s1", "name": "Shop", "status": status}}));
}

fn verified(progress: &Progress) -> bool {
    match progress {
        Progress::Succeeded(done) => done.details.is_none(),
        other => panic!("{other:?}"),
    }
}

fn bodies(host: &FakeHost, method: Method) -> Vec<(String, Value)> {
    let of_method = host.requests().into_iter().filter(|request| request.method == method);
    let body = |bytes: Option<Vec<u8>>| bytes.map_or(Value::Null, |bytes| serde_json::from_slice(&bytes).unwrap());
    of_method.map(|request| (request.path.join("/"), body(request.body))).collect()
}

#[test]
fn a_site_is_made_and_watched_until_it_runs() {
    let host = FakeHost::install();
    host.on(Method::Get, "/api/sites").reply(200, json!([{"id": "s0", "name": "Other"}]));
    host.on(Method::Post, "/api/sites").reply(201, json!({"id": "s1", "name": "Shop", "status": "creating"}));
    let made = pending(Sites::create(&SiteIco, &call(), input("Shop", &json!({"plan": "pro"}))).unwrap());
    assert_eq!(made.target.as_deref(), Some("s1"));
    assert_eq!(bodies(&host, Method::Post), [("api/sites".to_owned(), json!({"name": "Shop", "plan": "pro"}))]);
    host.on(Method::Get, "/api/sites/s1").reply(404, json!({"error": "site not found"}));
    let Progress::Running(early) = poll(&made.handle) else { panic!("it may be unknown at first") };
    site_is(&host, "creating");
    assert!(matches!(poll(&early.handle), Progress::Running(_)));
    site_is(&host, "running");
    assert!(verified(&poll(&early.handle)));
    site_is(&host, "hibernating");
    assert!(!verified(&poll(&early.handle)), "an unknown word ends the wait");
    site_is(&host, "failed");
    assert!(matches!(poll(&early.handle), Progress::Failed(_)));
    host.advance(61 * 60_000);
    site_is(&host, "creating");
    let Progress::Failed(late) = poll(&early.handle) else { panic!("it waits for ever") };
    assert_eq!(late.kind, ErrorKind::Timeout);
}

#[test]
fn an_answer_that_tells_nothing_is_helped_by_the_name() {
    let host = FakeHost::install();
    host.on(Method::Get, "/api/sites").reply(200, json!({"sites": []}));
    host.on(Method::Post, "/api/sites/s0/clone").reply_with(|_| Ok(response(202, &[], "")));
    let clone = SiteClone { name: "Copy".into(), domain: None, source_environment: None, region: None, options: "{}".into() };
    let made = pending(Sites::clone(&SiteIco, &call(), "s0", clone).unwrap());
    assert_eq!(made.target, None);
    host.on(Method::Get, "/api/sites").reply(200, json!([{"id": 9, "name": "Copy", "status": "running"}]));
    let Progress::Succeeded(done) = poll(&made.handle) else { panic!("it is there") };
    assert_eq!(done.target.as_deref(), Some("9"));
}

#[test]
fn a_name_that_is_taken_is_never_sent() {
    let host = FakeHost::install();
    host.on(Method::Get, "/api/sites").reply(200, json!([{"id": "s1", "name": "Shop"}]));
    let error = Sites::create(&SiteIco, &call(), input("Shop", &json!({}))).unwrap_err();
    assert_eq!((error.kind, error.field.as_deref()), (ErrorKind::Conflict, Some("name")));
    assert!(bodies(&host, Method::Post).is_empty());
}

#[test]
fn starting_and_stopping() {
    let host = FakeHost::install();
    site_is(&host, "running");
    assert!(matches!(SiteIco.start(&call(), "s1").unwrap(), Work::Done(_)), "it runs already");
    host.on(Method::Post, "/api/sites/s1/stop").reply(200, json!({}));
    let stop = pending(SiteIco.stop(&call(), "s1").unwrap());
    assert!(matches!(poll(&stop.handle), Progress::Running(_)));
    site_is(&host, "stopped");
    assert!(verified(&poll(&stop.handle)));
    assert_eq!(SiteIco.stop(&call(), "s2").unwrap_err().kind, ErrorKind::Internal, "the script knows no s2");
}

#[test]
fn a_backup_is_the_one_that_was_not_there_before() {
    let host = FakeHost::install();
    host.on(Method::Get, "/api/sites/s1/backups").times(1).reply(200, json!([{"id": "b1"}]));
    host.on(Method::Post, "/api/sites/s1/backups").reply_with(|_| Ok(response(202, &[], "")));
    let create = || BackupCreate { environment: None, kind: portico_sdk::BackupKind::Full, description: Some("before".into()) };
    let list = |status: &str| json!({"backups": [{"id": "b1"}, {"id": "b2", "status": status}]});
    // The newest expectation answers first: once the list as it was, then as it is.
    host.on(Method::Get, "/api/sites/s1/backups").reply(200, list("running"));
    host.on(Method::Get, "/api/sites/s1/backups").times(1).reply(200, json!([{"id": "b1"}]));
    let made = pending(Backups::create(&SiteIco, &call(), "s1", create()).unwrap());
    assert_eq!(made.target.as_deref(), Some("b2"));
    assert_eq!(bodies(&host, Method::Post)[0].1, json!({"description": "before"}));
    assert!(matches!(poll(&made.handle), Progress::Running(_)));
    host.on(Method::Get, "/api/sites/s1/backups").reply(200, list("completed"));
    assert!(verified(&poll(&made.handle)));
    assert_eq!(Backups::get(&SiteIco, "s1", "b2").unwrap().id, "b2");
    assert_eq!(Backups::get(&SiteIco, "s1", "b9").unwrap_err().kind, ErrorKind::NotFound);
}

#[test]
fn a_restore_is_verified_only_when_it_was_seen() {
    let host = FakeHost::install();
    host.on(Method::Post, "/api/sites/s1/backups/b1/restore").reply(202, json!({}));
    let all = Contents { database: true, files: true, plugins: true, themes: true };
    let begun = pending(SiteIco.restore(&call(), "s1", "b1", RestoreInput { environment: None, contents: all }).unwrap());
    site_is(&host, "running");
    assert!(!verified(&poll(&begun.handle)));
    site_is(&host, "restoring");
    let Progress::Running(seen) = poll(&begun.handle) else { panic!("it goes on") };
    site_is(&host, "running");
    assert!(verified(&poll(&seen.handle)));
}

#[test]
fn domains_come_become_primary_and_go() {
    let host = FakeHost::install();
    host.on(Method::Post, "/api/sites/s1/domains").reply(201, json!({}));
    host.on(Method::Put, "/api/sites/s1/domains/www.example.com/primary").reply(200, json!({}));
    host.on(Method::Delete, "/api/sites/s1/domains/www.example.com").reply(204, json!({}));
    let create = DomainCreate { name: "www.example.com".into(), environment: None, primary: true };
    Domains::create(&SiteIco, &call(), "s1", create).unwrap();
    Domains::delete(&SiteIco, &call(), "s1", None, "www.example.com").unwrap();
    let paths: Vec<String> = host.requests().into_iter().map(|request| request.path.join("/")).collect();
    let domain = "api/sites/s1/domains/www.example.com";
    assert_eq!(paths, ["api/sites/s1/domains".to_owned(), format!("{domain}/primary"), domain.to_owned()]);
}

#[test]
fn billing_is_read_and_a_checkout_made() {
    let host = FakeHost::install();
    host.on(Method::Get, "/api/billing/subscription").reply(200, json!({"subscription": {"plan": "pro", "status": "active"}}));
    host.on(Method::Get, "/api/billing/usage").reply(200, json!({"sites": 3}));
    host.on(Method::Get, "/api/billing/invoices").reply(200, json!({"invoices": [{"id": "i2"}, {"id": "i1"}]}));
    host.on(Method::Post, "/api/billing/checkout").reply(200, json!({"url": "https://checkout.stripe.com/c"}));
    assert_eq!(SiteIco.get_subscription().unwrap().plan, "pro");
    assert_eq!(SiteIco.get_usage().unwrap().sites, Some(3));
    let page = SiteIco.list_invoices(&PageRequest::first(1)).unwrap();
    assert_eq!((page.items[0].id.as_str(), page.next.as_deref()), ("i1", Some("i1")));
    let checkout = CheckoutInput { plan: "pro".into(), success_url: Some("https://a.example".into()), cancel_url: None };
    assert_eq!(SiteIco.create_checkout(checkout).unwrap(), "https://checkout.stripe.com/c");
    assert_eq!(bodies(&host, Method::Post)[0].1, json!({"plan": "pro", "successUrl": "https://a.example"}));
}

/// Answers were lost: what is there afterwards tells what was done.
#[test]
fn a_lost_answer_is_looked_up() {
    let host = FakeHost::install();
    host.on(Method::Get, "/api/sites").reply(200, json!([{"id": "s1", "name": "Shop", "status": "running"}]));
    host.on(Method::Get, "/api/sites/gone").reply(404, json!({"error": "site not found"}));
    host.on(Method::Get, "/api/sites/s1/backups").reply(200, json!([{"id": "b1"}]));
    host.on(Method::Get, "/api/sites/s1/domains").reply(200, json!(["a.example", {"domain": "b.example", "primary": true}]));
    site_is(&host, "running");
    for (action, args, expected) in [
        ("sites.create", json!({"name": "Shop"}), "found"),
        ("sites.create", json!({"name": "New"}), "absent"),
        ("sites.clone", json!({"site": "s0", "input": {"name": "Shop"}}), "found"),
        ("sites.start", json!({"site": "s1"}), "found"),
        ("sites.stop", json!({"site": "s1"}), "absent"),
        ("sites.delete", json!({"site": "s1"}), "absent"),
        ("sites.delete", json!({"site": "gone"}), "found"),
        ("backups.delete", json!({"site": "s1", "backup": "b1"}), "absent"),
        ("backups.delete", json!({"site": "s1", "backup": "b2"}), "found"),
        ("backups.create", json!({"site": "s1"}), "unknown"),
        ("domains.create", json!({"site": "s1", "input": {"name": "a.example", "primary": false}}), "found"),
        ("domains.create", json!({"site": "s1", "name": "a.example", "primary": true}), "unknown"),
        ("domains.create", json!({"site": "s1", "name": "c.example"}), "absent"),
        ("domains.delete", json!({"site": "s1", "name": "a.example"}), "absent"),
        ("domains.set_primary", json!({"site": "s1", "name": "b.example"}), "found"),
        ("domains.set_primary", json!({"site": "s1", "name": "a.example"}), "absent"),
    ] {
        let finding = SiteIco.reconcile(OPERATION, action, &args.to_string()).unwrap();
        let told = match finding {
            Finding::Found(_) => "found",
            Finding::Absent => "absent",
            Finding::Unknown => "unknown",
        };
        assert_eq!(told, expected, "{action} {args}");
    }
    assert!(bodies(&host, Method::Post).is_empty(), "looking changes nothing");
}

#[test]
fn what_the_connection_says_of_itself_fits() {
    let description = SiteIco::describe();
    let names: Vec<&str> = description.secrets.iter().map(|secret| secret.name.as_str()).collect();
    assert_eq!(names, ["username", "password"]);
    let (_, configuration) = SiteIco::configure(serde_json::from_value(json!({})).unwrap()).unwrap();
    let actions = configuration.recovery.iter().all(|(action, _)| configuration.features.contains(action));
    assert!(actions, "{configuration:?}");
}
