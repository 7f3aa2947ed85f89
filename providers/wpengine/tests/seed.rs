//! The dialect `seed` against a scripted upstream: whole lives of sites, backups and deployments.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "what goes wrong in a helper fails the test")]

#[path = "support/calls.rs"]
mod support;

use portico_sdk::{
    BackupKind, Backups, Billing, Call, Completion, Contents, DeploymentSource, Deployments, Domains, Environments, ErrorKind,
    Finding, GitSource, Operations, PageRequest, Sites, TransferPlace, Work,
    backups::{BackupCreate, RestoreInput},
    deployments::DeploymentCreate,
    domains::DomainCreate,
    sites::{SiteCreate, SiteUpdate},
    testing::{FakeHost, Method, START, json_response, response},
};
use serde_json::{Value, json};
use support::{End, OPERATION, all, call, done, finish, pending, provider, query, sent, site_create, succeeded};

fn settings() -> Value {
    json!({"dialect": "seed"})
}

fn site(status: &str) -> Value {
    json!({"id": "s1", "name": "New WordPress Site", "environment": "production", "status": status, "php_version": "8.1",
        "environments": [{"name": "production", "url": "https://a"}, {"name": "staging", "url": "https://b"}]})
}

#[test]
fn a_site_is_made_changed_switched_and_deleted() {
    let host = FakeHost::install();
    let started = json!({"id": "s1", "status": "provisioning", "estimated_completion_time": "2023-11-14T22:20:00Z"});
    host.on(Method::Post, "/sites").reply(201, started);
    host.on(Method::Get, "/sites").reply(200, json!({"results": [{"id": "s0", "name": "New WordPress Site"}]}));
    host.on(Method::Get, "/sites/s1").reply(200, site("active"));
    host.on(Method::Get, "/sites/s1").times(2).reply(200, site("provisioning"));
    let input =
        SiteCreate { php_version: Some("8.1".into()), template: Some("blank".into()), ..site_create("New WordPress Site") };
    let made = pending(Sites::create(&provider(&settings()), &call(), input));
    assert_eq!((made.target.as_deref(), made.estimated_completion_at), (Some("s1"), Some(START + 400_000)));
    assert_eq!(finish(&settings(), made.handle), (End::Succeeded(Completion::of("s1")), 3));
    assert_eq!(
        sent(&host, Method::Post)[0].1,
        json!({"name": "New WordPress Site", "php_version": "8.1", "template": "blank"})
    );

    host.on(Method::Put, "/sites/s1").reply(200, site("active"));
    let provider = provider(&settings());
    let update = SiteUpdate { name: Some("Updated".into()), php_version: Some("8.2".into()), wordpress_version: None };
    done(Sites::update(&provider, &call(), "s1", update));
    done(provider.start(&call(), "s1"));
    done(provider.stop(&call(), "s1"));
    let bodies: Vec<Value> = sent(&host, Method::Put).into_iter().map(|(_, body)| body).collect();
    assert_eq!(bodies, [json!({"name": "Updated", "php_version": "8.2"}), json!({"status": "inactive"})]);
    let look = |action: &str, args: Value| provider.reconcile(OPERATION, action, &args.to_string()).unwrap();
    assert!(matches!(look("sites.start", json!({"site": "s1"})), Finding::Found(_)));
    assert_eq!(look("sites.stop", json!({"site": "s1"})), Finding::Absent);
    assert_eq!(look("sites.update", json!({"site": "s1", "input": {"php_version": "8.2"}})), Finding::Absent);
    assert!(matches!(look("sites.update", json!({"site": "s1", "input": {"php_version": "8.1"}})), Finding::Found(_)));
    assert_eq!(look("backups.restore", json!({"site": "s1"})), Finding::Unknown);

    host.on(Method::Delete, "/sites/s1").reply(200, json!({"id": "s1", "status": "deleting"}));
    host.on(Method::Get, "/sites/s1").reply(404, json!({"error": {"code": "not_found", "message": "No such site"}}));
    host.on(Method::Get, "/sites/s1").times(2).reply(200, site("deleting"));
    assert!(matches!(look("sites.delete", json!({"site": "s1"})), Finding::Found(Work::Pending(_))));
    let handle = pending(Sites::delete(&provider, &call(), "s1")).handle;
    assert_eq!(finish(&settings(), handle), (End::Succeeded(Completion::default()), 2));
    assert!(matches!(look("sites.delete", json!({"site": "s1"})), Finding::Found(Work::Done(_))));
}

#[test]
fn what_was_made_without_an_answer_is_what_was_not_there_before() {
    let host = FakeHost::install();
    let named = |ids: &[&str]| json!({"results": ids.iter().map(|id| json!({"id": id, "name": "Shop"})).collect::<Vec<_>>()});
    host.on(Method::Get, "/sites").reply(200, named(&["s0"]));
    host.on(Method::Post, "/sites").reply_with(|_| Ok(response(502, &[], "")));
    let create = || Sites::create(&provider(&settings()), &call(), site_create("Shop"));
    assert_eq!(create().unwrap_err().kind, ErrorKind::Unavailable);
    let look = |action: &str, args: Value| provider(&settings()).reconcile(OPERATION, action, &args.to_string()).unwrap();
    let shop = || look("sites.create", json!({"name": "Shop"}));
    assert_eq!(shop(), Finding::Absent);
    host.on(Method::Get, "/sites").reply(200, named(&["s0", "s1"]));
    assert!(matches!(shop(), Finding::Found(Work::Pending(pending)) if pending.target.as_deref() == Some("s1")));
    assert_eq!(pending(create()).target.as_deref(), Some("s1"), "a late one is taken on, not made again");
    assert_eq!(sent(&host, Method::Post).len(), 1);
    host.on(Method::Get, "/sites").reply(200, named(&["s0", "s1", "s2"]));
    assert_eq!(shop(), Finding::Unknown);

    let args = json!({"site": "s1", "input": {"environment": "staging",
        "source": {"type": "git", "repository": "github.com/username/repo", "branch": "main", "commit": null}}});
    let git = GitSource { repository: "github.com/username/repo".into(), branch: Some("main".into()), commit: None };
    let input = DeploymentCreate { environment: Some("staging".into()), source: DeploymentSource::Git(git), message: None };
    let deployments =
        |ids: &[&str]| json!({"results": ids.iter().map(|id| deployment(id, "staging", "in_progress")).collect::<Vec<_>>()});
    host.on(Method::Get, "/sites/s1/deployments").reply(200, deployments(&["d0"]));
    host.on(Method::Post, "/sites/s1/deployments").reply_with(|_| Ok(response(503, &[], "")));
    let other = Call::new("op_2", "key");
    assert_eq!(Deployments::create(&provider(&settings()), &other, "s1", input).unwrap_err().kind, ErrorKind::Unavailable);
    let found = || provider(&settings()).reconcile("op_2", "deployments.create", &args.to_string()).unwrap();
    assert_eq!(found(), Finding::Absent);
    host.on(Method::Get, "/sites/s1/deployments").reply(200, deployments(&["d1", "d0"]));
    assert!(matches!(found(), Finding::Found(Work::Pending(pending)) if pending.target.as_deref() == Some("d1")));
}

#[test]
fn pages_are_numbered() {
    let host = FakeHost::install();
    host.on(Method::Get, "/sites").reply_with(|request| {
        let page: u64 = query(request, "page").unwrap().parse().unwrap();
        let pagination = json!({"total": 3, "count": 1, "per_page": 2, "current_page": page, "total_pages": 2});
        Ok(json_response(200, &json!({"results": [{"id": format!("s{page}"), "name": "n"}], "pagination": pagination})))
    });
    let provider = provider(&settings());
    let first = Sites::list(&provider, &PageRequest::first(2)).unwrap();
    let last = Sites::list(&provider, &PageRequest { cursor: first.next.clone(), limit: 2 }).unwrap();
    assert_eq!((first.next.as_deref(), last.items[0].id.as_str(), last.next), (Some("2:2"), "s2", None));
    let asked = host.requests().pop().unwrap();
    let pairs = ["page", "per_page", "sort", "order"].map(|name| query(&asked, name).unwrap());
    assert_eq!(pairs, ["2", "2", "created_at", "asc"]);
}

#[test]
fn a_backup_is_made_restored_loaded_and_deleted() {
    let host = FakeHost::install();
    host.on(Method::Get, "/sites/s1").reply(200, site("active"));
    host.on(Method::Post, "/sites/s1/backups").reply(201, json!({"id": "b1", "status": "in_progress"}));
    let backup = |status: &str| {
        json!({"id": "b1", "type": "database", "status": status, "description": format!("d ({OPERATION})"),
        "download_url": "https://wpengineapi.com/v1/sites/s1/backups/b1/download"})
    };
    host.on(Method::Get, "/sites/s1/backups/b1").reply(200, backup("completed"));
    host.on(Method::Get, "/sites/s1/backups/b1").times(1).reply(200, backup("in_progress"));
    host.on(Method::Get, "/sites/s1/backups").reply(200, json!({"results": [backup("completed")]}));
    let provider = provider(&settings());
    let create = |kind| BackupCreate { environment: None, kind, description: Some("d".into()) };
    assert_eq!(Backups::create(&provider, &call(), "s1", create(BackupKind::Files)).unwrap_err().kind, ErrorKind::Unsupported);
    let handle = pending(Backups::create(&provider, &call(), "s1", create(BackupKind::Database))).handle;
    assert_eq!(finish(&settings(), handle), (End::Succeeded(Completion::of("b1")), 2));
    assert_eq!(sent(&host, Method::Post)[0].1, json!({"description": format!("d ({OPERATION})"), "type": "database"}));
    let look = |operation: &str, action: &str| provider.reconcile(operation, action, r#"{"site":"s1","backup":"b1"}"#).unwrap();
    assert!(matches!(look(OPERATION, "backups.create"), Finding::Found(Work::Pending(_))));
    assert_eq!((look("op_1", "backups.create"), look("op_1", "backups.delete")), (Finding::Absent, Finding::Absent));
    assert_eq!(Backups::list(&provider, "s1", Some("staging"), &all()).unwrap_err().kind, ErrorKind::Unsupported);
    assert_eq!(Backups::list(&provider, "s1", None, &all()).unwrap().items[0].description.as_deref(), Some("d"));

    let TransferPlace::Upstream(place) = Backups::download(&provider, "s1", "b1").unwrap().place else {
        panic!("not below the base")
    };
    assert_eq!((place.upstream.as_str(), place.path.join("/")), ("api", "sites/s1/backups/b1/download".to_owned()));
    let elsewhere = json!({"id": "b1", "status": "completed", "download_url": "https://evil.example/b1"});
    host.on(Method::Get, "/sites/s1/backups/b1").times(1).reply(200, elsewhere);
    assert_eq!(Backups::download(&provider, "s1", "b1").unwrap_err().kind, ErrorKind::Internal);

    // A restore is believed when its time is over.
    let estimate = json!({"id": "r1", "status": "in_progress", "estimated_completion_time": "2023-11-14T22:13:30Z"});
    host.on(Method::Post, "/sites/s1/backups/b1/restore").reply(200, estimate);
    let contents = Contents { database: true, files: true, plugins: false, themes: false };
    let restore = |environment: &str| RestoreInput { environment: Some(environment.into()), contents };
    assert_eq!(Backups::restore(&provider, &call(), "s1", "b1", restore("qa")).unwrap_err().kind, ErrorKind::NotFound);
    let handle = pending(Backups::restore(&provider, &call(), "s1", "b1", restore("staging"))).handle;
    assert!(matches!(provider.poll(OPERATION, &handle).unwrap(), portico_sdk::Progress::Running(_)));
    host.advance(10_000);
    assert_eq!(succeeded(&settings(), handle).details.as_deref(), Some(r#"{"verified":false}"#));
    let body =
        json!({"environment": "staging", "contents": {"database": true, "files": true, "plugins": false, "themes": false}});
    assert_eq!(sent(&host, Method::Post)[1].1, body);

    host.on(Method::Delete, "/sites/s1/backups/b1").reply(200, json!({"id": "b1", "status": "deleting"}));
    host.on(Method::Get, "/sites/s1/backups/b1").reply(404, json!({}));
    host.on(Method::Get, "/sites/s1/backups/b1").times(1).reply(200, backup("deleting"));
    let handle = pending(Backups::delete(&provider, &call(), "s1", "b1")).handle;
    assert_eq!(finish(&settings(), handle), (End::Succeeded(Completion::default()), 2));
    assert!(matches!(look("op_1", "backups.delete"), Finding::Found(Work::Done(_))));
}

fn deployment(id: &str, environment: &str, status: &str) -> Value {
    json!({"id": id, "site_id": "s1", "environment": environment, "status": status, "logs": "log",
        "source": {"type": "git", "repository": "github.com/username/repo", "branch": "main"}})
}

#[test]
fn deployments_from_git_and_zip() {
    let host = FakeHost::install();
    host.on(Method::Get, "/sites/s1").reply(200, site("active"));
    host.on(Method::Get, "/sites/s1/deployments").reply(200, json!({"results": []}));
    host.on(Method::Post, "/sites/s1/deployments").reply(201, json!({"id": "d1", "status": "in_progress"}));
    host.on(Method::Get, "/sites/s1/deployments/d1").reply(200, deployment("d1", "staging", "completed"));
    host.on(Method::Get, "/sites/s1/deployments/d1").times(1).reply(200, deployment("d1", "staging", "in_progress"));
    let provider = provider(&settings());
    let git = |branch: Option<&str>| {
        DeploymentSource::Git(GitSource {
            repository: "github.com/username/repo".into(),
            branch: branch.map(str::to_owned),
            commit: None,
        })
    };
    let create = |source, message: Option<&str>| {
        let input = DeploymentCreate { environment: Some("staging".into()), source, message: message.map(str::to_owned) };
        Deployments::create(&provider, &call(), "s1", input)
    };
    assert_eq!(create(git(None), None).unwrap_err().field.as_deref(), Some("source.branch"));
    assert_eq!(create(git(Some("main")), Some("m")).unwrap_err().kind, ErrorKind::Unsupported);
    let handle = pending(create(git(Some("develop")), None)).handle;
    assert_eq!(finish(&settings(), handle.clone()), (End::Succeeded(Completion::of("d1")), 2));
    pending(create(DeploymentSource::Zip("https://a.example/z.zip".into()), None));
    let bodies: Vec<Value> = sent(&host, Method::Post).into_iter().map(|(_, body)| body).collect();
    let git = json!({"type": "git", "repository": "github.com/username/repo", "branch": "develop"});
    let zip = json!({"type": "zip", "zip_url": "https://a.example/z.zip"});
    assert_eq!(bodies, [json!({"environment": "staging", "source": git}), json!({"environment": "staging", "source": zip})]);
    for (status, end) in [("failed", "Failed"), ("canceled", "Canceled")] {
        host.on(Method::Get, "/sites/s1/deployments/d1").reply(200, deployment("d1", "staging", status));
        assert!(format!("{:?}", finish(&settings(), handle.clone()).0).starts_with(end));
    }

    host.on(Method::Get, "/sites/s1/deployments").reply(200, json!({"results": [
        deployment("d4", "staging", "failed"), deployment("d3", "production", "completed"), deployment("d2", "staging", "completed"),
    ]}));
    let staging = Deployments::list(&provider, "s1", Some("staging"), &all()).unwrap().items;
    assert_eq!(
        staging.iter().map(|one| (one.id.as_str(), one.logs.as_deref())).collect::<Vec<_>>(),
        [("d4", None), ("d2", None)]
    );
    assert_eq!(provider.current("s1", "staging").unwrap().unwrap().id, "d2");
    assert_eq!(provider.current("s1", "qa").unwrap_err().kind, ErrorKind::NotFound);
    assert_eq!(Deployments::get(&provider, "s1", "d1").unwrap().logs.as_deref(), Some("log"));
    let listed = Environments::list(&provider, "s1", &all()).unwrap().items;
    assert_eq!(listed.iter().map(|one| one.id.as_str()).collect::<Vec<_>>(), ["production", "staging"]);
}

#[test]
fn what_only_the_other_dialect_has_is_unsupported() {
    let host = FakeHost::install();
    let seed = provider(&settings());
    let domain = DomainCreate { name: "a.example".into(), environment: None, primary: false };
    assert_eq!(Domains::create(&seed, &call(), "s1", domain).unwrap_err().field.as_deref(), Some("domains.create"));
    assert_eq!(seed.get_usage().unwrap_err().field.as_deref(), Some("billing.usage"));
    let live = provider(&json!({}));
    assert_eq!(Deployments::get(&live, "s1", "d1").unwrap_err().field.as_deref(), Some("deployments.get"));
    assert_eq!(live.start(&call(), "s1").unwrap_err().field.as_deref(), Some("sites.start"));
    assert!(host.requests().is_empty());
}
