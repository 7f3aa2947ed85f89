//! Sites, environments and operations against a scripted Kinsta: what is sent, and what each answer leads to.
//!
//! Invariant: every path and body here is one of the document's; whether they are right is decided by prism in `tests/whole`.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test that can't go on panics, and that is its report")]

#[path = "support/scene.rs"]
mod scene;

use portico_provider_kinsta::Kinsta;
use portico_sdk::{
    Backups, Completion, EnvironmentKind, Environments, ErrorKind, Operations, PageRequest, Progress, SiteKind, Sites, Work,
    environments::{EnvironmentCreate, EnvironmentUpdate, PushInput},
    sites::{Admin, SiteClone, SiteCreate, SiteUpdate},
    testing::{Method, response},
};
use scene::{
    COMPANY, LIVE, SITE, STAGING, accepts, call, creation, end, environments, everything, host, kinsta, last, pending, site,
};
use serde_json::{Value, json};

#[test]
fn a_site_is_made_and_found() {
    let (host, kinsta) = (host(), kinsta(json!({})));
    accepts(&host, Method::Post, "/sites", "sites:add-1");
    let work = Sites::create(&kinsta, &call(), creation()).unwrap();
    let (path, body) = last(&host, Method::Post);
    assert_eq!(path, "sites");
    assert_eq!(
        body,
        json!({"company": COMPANY, "display_name": "Shop", "region": "us-central1", "install_mode": "new", "is_subdomain_multisite": false,
            "admin_email": "anna@shop.example", "admin_password": "hunter2", "admin_user": "anna", "is_multisite": false,
            "site_title": "Shop", "woocommerce": true, "wordpressseo": false, "wp_language": "en_US"})
    );
    assert!(!pending(work.clone()).handle.contains("hunter2"));
    // Not known in the first seconds, then under way, then done; the list shows the site a little later.
    host.on(Method::Get, "/operations/sites:add-1")
        .times(2)
        .reply(202, json!({"message": "Operation in progress", "status": 202}));
    host.on(Method::Get, "/operations/sites:add-1")
        .times(3)
        .reply(404, json!({"message": "Could not find data", "status": 404}));
    let both = json!({"company": {"sites": [site("s1", "Blog"), site("s2", "Shop")]}});
    host.on(Method::Get, "/sites").reply(200, both);
    host.on(Method::Get, "/sites").times(1).reply(200, json!({"company": {"sites": [site("s1", "Blog")]}}));
    assert_eq!(end(&host, &kinsta, work).unwrap().target.as_deref(), Some("s2"));
    // The company was asked for once.
    assert_eq!(host.requests().iter().filter(|request| request.path == ["validate"]).count(), 1);
}

#[test]
fn a_site_of_the_same_name_is_not_taken_for_the_new_one() {
    let (host, kinsta) = (host(), kinsta(json!({"company_id": COMPANY})));
    accepts(&host, Method::Post, "/sites/clone", "site:clone-1");
    let input = SiteClone {
        name: "Blog".into(),
        domain: None,
        source_environment: Some("Staging".into()),
        region: None,
        options: "{}".into(),
    };
    let work = Sites::clone(&kinsta, &call(), "s1", input).unwrap();
    assert_eq!(
        last(&host, Method::Post),
        ("sites/clone".into(), json!({"company": COMPANY, "display_name": "Blog", "source_env_id": STAGING}))
    );
    host.on(Method::Get, "/sites").reply(200, json!({"company": {"sites": [site("s1", "Blog"), site("s0", "Blog")]}}));
    assert_eq!(end(&host, &kinsta, work).unwrap().target.as_deref(), Some("s0"));
}

#[test]
fn what_is_never_seen_is_said_not_to_be() {
    let (host, kinsta) = (host(), kinsta(json!({"region": "europe-west3"})));
    accepts(&host, Method::Post, "/sites/plain", "sites:add-plain-1");
    let input = SiteCreate { kind: SiteKind::Plain, admin: None, region: None, options: "{}".into(), ..creation() };
    let work = Sites::create(&kinsta, &call(), input).unwrap();
    assert_eq!(
        last(&host, Method::Post),
        ("sites/plain".into(), json!({"company": COMPANY, "display_name": "Shop", "region": "europe-west3"}))
    );
    let done = end(&host, &kinsta, work).unwrap();
    assert_eq!((done.target, done.details.as_deref()), (None, Some(r#"{"verified":false}"#)));
}

#[test]
fn what_cannot_be_sent_is_refused_before_anything_is() {
    let (host, kinsta) = (host(), kinsta(json!({})));
    let field = |input: SiteCreate| Sites::create(&kinsta, &call(), input).unwrap_err().field.unwrap();
    assert_eq!(field(SiteCreate { region: None, ..creation() }), "region");
    assert_eq!(field(SiteCreate { admin: None, ..creation() }), "admin");
    let unknown = Admin { password: None, ..creation().admin.unwrap() };
    assert_eq!(field(SiteCreate { admin: Some(unknown), ..creation() }), "admin.password");
    assert_eq!(field(SiteCreate { options: r#"{"other": 1}"#.into(), ..creation() }), "options");
    assert_eq!(field(SiteCreate { kind: SiteKind::Plain, ..creation() }), "admin");
    assert_eq!(field(SiteCreate { kind: SiteKind::StaticFiles, ..creation() }), "sites.create.kind.static");
    let restore = |id: &str| kinsta.restore(&call(), "s1", id, everything(None)).unwrap_err();
    assert_eq!(restore("nonsense").kind, ErrorKind::NotFound);
    assert_eq!(restore(&format!("{LIVE}.d-archive")).kind, ErrorKind::Unsupported);
    assert_eq!(
        kinsta.environment_create("Live", EnvironmentKind::Production, "{}").unwrap_err().field.as_deref(),
        Some("kind")
    );
    assert!(host.requests().iter().all(|request| request.method == Method::Get));
}

trait Short {
    fn environment_create(&self, name: &str, kind: EnvironmentKind, options: &str) -> Result<Work, portico_sdk::Error>;
}

impl Short for Kinsta {
    fn environment_create(&self, name: &str, kind: EnvironmentKind, options: &str) -> Result<Work, portico_sdk::Error> {
        let (source, php_version, wordpress_version) = (None, None, None);
        let input =
            EnvironmentCreate { name: name.into(), kind, source, php_version, wordpress_version, options: options.into() };
        Environments::create(self, &call(), "s1", input)
    }
}

#[test]
fn reads_of_sites() {
    let (host, kinsta) = (host(), kinsta(json!({})));
    let many: Vec<Value> = (0..5).rev().map(|index| site(&format!("s{index}"), "x")).collect();
    host.on(Method::Get, "/sites").reply(200, json!({"company": {"sites": many}}));
    let first = Sites::list(&kinsta, &PageRequest::first(3)).unwrap();
    assert_eq!(first.items.iter().map(|site| site.id.as_str()).collect::<Vec<_>>(), ["s0", "s1", "s2"]);
    let second = Sites::list(&kinsta, &PageRequest { cursor: first.next, limit: 3 }).unwrap();
    assert_eq!((second.items.len(), second.next), (2, None));
    let sent = host.requests().into_iter().rev().find(|request| request.path == ["sites"]).unwrap();
    assert_eq!(sent.query, [("company".into(), COMPANY.to_owned()), ("include_environments".into(), "true".to_owned())]);
    let one = Sites::get(&kinsta, "s1").unwrap();
    assert_eq!((one.environments.len(), one.wordpress_version.as_deref()), (2, Some("6.3.1")));
    host.on(Method::Get, "/sites/none").reply(
        404,
        json!({"message": "Could not find data or the user does not have permissions to retrieve it", "status": 404}),
    );
    assert_eq!(Sites::get(&kinsta, "none").unwrap_err().kind, ErrorKind::NotFound);
}

#[test]
fn php_versions_and_environments() {
    let (host, kinsta) = (host(), kinsta(json!({})));
    accepts(&host, Method::Put, "/sites/tools/modify-php-version", "php:modify-version-1");
    let update = SiteUpdate { name: None, php_version: Some("8.1".into()), wordpress_version: None };
    let work = Sites::update(&kinsta, &call(), "s1", update).unwrap();
    assert_eq!(last(&host, Method::Put).1, json!({"environment_id": LIVE, "php_version": "8.1"}));
    assert_eq!(end(&host, &kinsta, work).unwrap(), Completion::of("s1"));
    let update = EnvironmentUpdate { name: None, php_version: Some("php8.2".into()), wordpress_version: None };
    Environments::update(&kinsta, &call(), "s1", STAGING, update).unwrap();
    assert_eq!(last(&host, Method::Put).1, json!({"environment_id": STAGING, "php_version": "8.2"}));

    accepts(&host, Method::Post, "/sites/s1/environments/plain", "environment:add-1");
    kinsta.environment_create("QA", EnvironmentKind::Staging, r#"{"premium": true}"#).unwrap();
    assert_eq!(
        last(&host, Method::Post),
        ("sites/s1/environments/plain".into(), json!({"display_name": "QA", "is_premium": true}))
    );
    accepts(&host, Method::Post, "/sites/s1/environments", "environment:add-2");
    let wordpress = r#"{"wordpress": {"title": "T", "admin": {"user": "a", "email": "a@b.example", "password": "hunter2"}}}"#;
    kinsta.environment_create("QA", EnvironmentKind::Staging, wordpress).unwrap();
    let (path, body) = last(&host, Method::Post);
    assert_eq!(
        (path.as_str(), &body["site_title"], &body["admin_password"]),
        ("sites/s1/environments", &json!("T"), &json!("hunter2"))
    );
    accepts(&host, Method::Post, "/sites/s1/environments/clone", "environment:clone-1");
    let (php_version, wordpress_version) = (None, None);
    let copy = EnvironmentCreate {
        name: "QA".into(),
        kind: EnvironmentKind::Staging,
        source: Some("Live".into()),
        php_version,
        wordpress_version,
        options: "{}".into(),
    };
    let work = Environments::create(&kinsta, &call(), "s1", copy).unwrap();
    assert_eq!(last(&host, Method::Post).1, json!({"display_name": "QA", "is_premium": false, "source_env_id": LIVE}));
    let mut all = environments();
    all[1]["display_name"] = json!("QA");
    host.on(Method::Get, "/sites/s1/environments").reply(200, json!({"site": {"environments": all}}));
    assert_eq!(end(&host, &kinsta, work).unwrap().target.as_deref(), Some(STAGING));
}

#[test]
fn environments_are_pushed_and_deleted() {
    let (host, kinsta) = (host(), kinsta(json!({})));
    accepts(&host, Method::Put, "/sites/s1/environments", "environments:push-1");
    let input = PushInput { target: "Live".into(), database: true, files: false, search_replace: true };
    let work = kinsta.push(&call(), "s1", STAGING, input).unwrap();
    let body = json!({"source_env_id": STAGING, "target_env_id": LIVE, "push_db": true, "push_files": false, "run_search_and_replace": true, "push_files_option": "ALL_FILES"});
    assert_eq!(last(&host, Method::Put), ("sites/s1/environments".into(), body));
    assert_eq!(end(&host, &kinsta, work).unwrap().target.as_deref(), Some(LIVE));
    assert_eq!(Environments::delete(&kinsta, &call(), "s1", "Live").unwrap_err().kind, ErrorKind::Conflict);
    accepts(&host, Method::Delete, &format!("/sites/environments/{STAGING}"), "environments:delete-1");
    let work = Environments::delete(&kinsta, &call(), "s1", STAGING).unwrap();
    host.on(Method::Get, "/sites/s1/environments").reply(200, json!({"site": {"environments": [environments()[0]]}}));
    assert_eq!(end(&host, &kinsta, work).unwrap(), Completion::default());
}

#[test]
fn operations_fail_are_forgotten_or_can_not_be_looked_at() {
    let (host, kinsta) = (host(), kinsta(json!({})));
    accepts(&host, Method::Delete, SITE, "sites:delete-1");
    let work = || Sites::delete(&kinsta, &call(), "s1").unwrap();
    let operation = |status: u16, said: Value| host.on(Method::Get, "/operations/sites:delete-1").reply(status, said);
    operation(200, json!({"message": "the site is locked", "status": 500}));
    let failed = end(&host, &kinsta, work()).unwrap_err();
    assert_eq!((failed.kind, failed.message.as_str()), (ErrorKind::Internal, "Kinsta says: the site is locked"));
    // Trouble on the way is no news about the operation.
    let handle = pending(work()).handle;
    host.on(Method::Get, "/operations/sites:delete-1").times(1).reply_with(|_| Ok(response(502, &[], "<html>")));
    assert_eq!(kinsta.poll("op_1", &handle).unwrap_err().kind, ErrorKind::Unavailable);
    host.on(Method::Get, "/operations/sites:delete-1").times(1).reply_with(|_| Ok(response(200, &[], "{\"mess")));
    assert_eq!(kinsta.poll("op_1", &handle).unwrap_err().kind, ErrorKind::Internal);
    // Never known: after two minutes only the effect counts.
    operation(404, json!({"message": "Could not find data", "status": 404}));
    let lost = end(&host, &kinsta, work()).unwrap_err();
    assert!(lost.message.contains("look in MyKinsta"), "{lost:?}");
    host.on(Method::Get, SITE).reply(404, json!({"message": "Could not find data", "status": 404}));
    assert_eq!(end(&host, &kinsta, work()).unwrap(), Completion::default());
}

/// The document doesn't promise an operation's id.
#[test]
fn work_without_an_operation_is_watched_by_its_effect() {
    let (host, kinsta) = (host(), kinsta(json!({})));
    host.on(Method::Delete, SITE).reply(202, json!({"message": "Deleting site in progress", "status": 202}));
    let work = Sites::delete(&kinsta, &call(), "s1").unwrap();
    let handle = pending(work.clone()).handle;
    assert!(matches!(kinsta.poll("op_1", &handle).unwrap(), Progress::Running(_)));
    host.on(Method::Get, SITE).reply(404, json!({"message": "Could not find data", "status": 404}));
    assert_eq!(end(&host, &kinsta, work).unwrap(), Completion::default());
    // What leaves nothing to see says so.
    host.on(Method::Put, "/sites/tools/modify-php-version").reply_with(|_| Ok(response(202, &[], "<html>")));
    let update = SiteUpdate { name: None, php_version: Some("8.1".into()), wordpress_version: None };
    let work = Sites::update(&kinsta, &call(), "s1", update).unwrap();
    assert_eq!(end(&host, &kinsta, work).unwrap().details.as_deref(), Some(r#"{"verified":false}"#));
    // A refusal with the status of a success is a refusal.
    host.on(Method::Delete, SITE).reply(202, json!({"message": "Bad request format", "status": 400}));
    assert_eq!(Sites::delete(&kinsta, &call(), "s1").unwrap_err().kind, ErrorKind::InvalidInput);
}

#[test]
fn a_key_that_is_no_longer_good_says_so() {
    let (host, kinsta) = (host(), kinsta(json!({})));
    host.on(Method::Get, "/validate")
        .reply(200, json!({"name": "k", "expires_at": "1704081600000", "company": COMPANY, "status": "expired"}));
    let refused = Sites::list(&kinsta, &PageRequest::first(1)).unwrap_err();
    assert_eq!(
        (refused.kind, refused.message.as_str()),
        (ErrorKind::Unauthenticated, "Kinsta says that the API key is expired")
    );
}
