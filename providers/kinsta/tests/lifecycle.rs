//! Calls and polls against a scripted Kinsta: what is sent, and what each answer leads to.
//!
//! Invariant: every path and body here is one of the document's; whether they are right is decided by prism in `tests/whole`.

use portico_provider_kinsta::Kinsta;
use portico_sdk::{
    BackupKind, Backups, Billing, Call, Completion, Contents, DomainStatus, Domains, EnvironmentKind, Environments, ErrorKind,
    Finding, Operations, PageRequest, Pending, Progress, Provider, SiteKind, Sites, Transfer, TransferPlace, Wordpress, Work,
    backups::{BackupCreate, RestoreInput},
    domains::DomainCreate,
    environments::{EnvironmentCreate, EnvironmentUpdate, PushInput},
    sites::{Admin, LogRequest, SiteClone, SiteCreate, SiteUpdate},
    testing::{FakeHost, Method, RawRequest, response},
    wordpress::{CacheAction, ExtensionAction, ExtensionKind, InstallInput, Target},
};
use serde_json::{Value, json};

const COMPANY: &str = "54fb80af-576c-4fdc-ba4f-b596c83f15a1";
const SITE: &str = "/sites/s1";
const LIVE: &str = "e1111111-576c-4fdc-ba4f-b596c83f15a1";
const STAGING: &str = "e2222222-576c-4fdc-ba4f-b596c83f15a1";

fn kinsta(settings: Value) -> Kinsta {
    Kinsta::configure(serde_json::from_value(settings).unwrap()).unwrap().0
}

/// A host with one site of two environments, and operations that are done.
fn host() -> FakeHost {
    let host = FakeHost::install();
    host.on(Method::Get, "/validate")
        .reply(200, json!({"name": "k", "expires_at": null, "company": COMPANY, "status": "active"}));
    host.on(Method::Get, "/sites").reply(200, json!({"company": {"sites": [site("s1", "Blog")]}}));
    host.on(Method::Get, SITE).reply(200, json!({"site": site("s1", "Blog")}));
    host.on(Method::Get, "/sites/s1/environments").reply(200, json!({"site": {"environments": environments()}}));
    host.on(Method::Get, "/operations/*").reply(200, json!({"message": "Successfully finished request", "status": 200}));
    host
}

fn site(id: &str, name: &str) -> Value {
    json!({"id": id, "name": id, "display_name": name, "status": "live", "environments": environments()})
}

fn environments() -> Value {
    let domain = json!({"id": "d1", "name": "blog.example", "is_active": true, "type": "live"});
    let environment = |id: &str, name: &str| {
        json!({"id": id, "name": name.to_lowercase(), "display_name": name, "is_premium": false, "is_blocked": false,
            "wordpress_version": "6.3.1", "domains": [domain], "primaryDomain": domain, "id_edge_cache": "x", "cdn_cache_id": "c1",
            "container_info": {"id": "c", "php_engine_version": "php8.3"}})
    };
    json!([environment(LIVE, "Live"), environment(STAGING, "Staging")])
}

fn accepts(host: &FakeHost, method: Method, path: &str, operation: &str) {
    host.on(method, path).reply(202, json!({"operation_id": operation, "message": "in progress", "status": 202}));
}

fn call() -> Call {
    Call::new("op_1", "key-1")
}

fn last(host: &FakeHost, method: Method) -> (String, Value) {
    let requests = host.requests();
    let request: &RawRequest = requests.iter().rev().find(|request| request.method == method).expect("such a request");
    let body = request.body.as_deref().map(|body| serde_json::from_slice(body).unwrap()).unwrap_or_default();
    (request.path.join("/"), body)
}

#[track_caller]
fn pending(work: Work) -> Pending {
    match work {
        Work::Pending(pending) => pending,
        Work::Done(done) => panic!("done: {done:?}"),
    }
}

/// Polls until it ends, with a second between.
#[track_caller]
fn end(host: &FakeHost, kinsta: &Kinsta, work: Work) -> Result<Completion, portico_sdk::Error> {
    let mut handle = pending(work).handle;
    for _ in 0..1000 {
        match kinsta.poll("op_1", &handle).unwrap() {
            Progress::Running(pending) => handle = pending.handle,
            Progress::Succeeded(completion) => return Ok(completion),
            Progress::Failed(error) => return Err(error),
            Progress::Canceled => panic!("canceled"),
        }
        host.advance(1000);
    }
    panic!("it never ends");
}

fn creation() -> SiteCreate {
    SiteCreate {
        name: "Shop".into(),
        kind: SiteKind::Wordpress,
        domain: None,
        environment: None,
        php_version: None,
        wordpress_version: None,
        locale: None,
        title: None,
        admin: Some(Admin { user: "anna".into(), email: "anna@shop.example".into(), password: Some("hunter2".into()) }),
        region: Some("us-central1".into()),
        template: None,
        options: r#"{"woocommerce": true}"#.into(),
    }
}

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

fn everything(environment: Option<&str>) -> RestoreInput {
    let contents = Contents { database: true, files: true, plugins: true, themes: true };
    RestoreInput { environment: environment.map(str::to_owned), contents }
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
