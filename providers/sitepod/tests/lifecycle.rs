//! The provider's calls against a scripted server, in both dialects: what is asked, what becomes of it, and what a crash leaves.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "what goes wrong in a helper fails the test")]

use portico_provider_sitepod::SitePod;
use portico_sdk::{
    Call, Completion, DeploymentStatus, Deployments, Domains, Environments, ErrorKind, Finding, Operations, PageRequest,
    Provider, Sites, TransferPlace, Work,
    deployments::{File, PlanInput},
    domains::DomainCreate,
    testing::{FakeHost, Method, response},
};
use serde_json::{Value, json};

fn pods(more: &Value) -> SitePod {
    let mut settings = json!({"url": "https://pods.example"});
    settings.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    SitePod::configure(serde_json::from_value(settings).unwrap()).unwrap().0
}

fn live() -> SitePod {
    pods(&json!({}))
}

fn seed() -> SitePod {
    pods(&json!({"dialect": "seed", "projects": ["my-site"]}))
}

fn call() -> Call {
    Call::new("op_1", "key")
}

fn done(work: Work) -> Completion {
    match work {
        Work::Done(done) => done,
        Work::Pending(pending) => panic!("pending: {pending:?}"),
    }
}

fn file(path: &str, digit: &str) -> File {
    let hash = digit.repeat(64);
    File { path: path.into(), blake3: hash.clone(), sha256: hash, size: 5, content_type: None }
}

fn plan(message: Option<&str>) -> PlanInput {
    let files = vec![file("/index.html", "a"), file("/copy.html", "a")];
    PlanInput { environment: Some("production".into()), files, message: message.map(str::to_owned) }
}

fn sent(host: &FakeHost, path: &str) -> Value {
    let request = host.requests().into_iter().rev().find(|request| request.path.join("/") == path);
    serde_json::from_slice(&request.expect(path).body.unwrap()).unwrap()
}

fn query(host: &FakeHost, path: &str) -> Vec<(String, String)> {
    host.requests().into_iter().rev().find(|request| request.path.join("/") == path).expect(path).query
}

fn pair(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

#[test]
fn a_live_deployment_from_plan_to_release() {
    let host = FakeHost::install();
    let hash = "a".repeat(64);
    host.on(Method::Post, "/plan").reply(
        200,
        json!({
            "plan_id": "plan_1", "content_hash": "c1", "upload_mode": "direct", "reusable": 0,
            "missing": [{"path": "index.html", "hash": hash, "size": 5, "upload_url": format!("/api/v1/upload/plan_1/{hash}")}],
        }),
    );
    let planned = live().plan("my-site", plan(Some("v1"))).unwrap();
    assert_eq!((planned.id.as_str(), &planned.missing), ("plan_1", &vec![hash.clone()]));
    assert!(planned.expires_at.is_some());
    assert_eq!(sent(&host, "plan")["files"][0]["path"], "index.html");
    assert_eq!(sent(&host, "plan")["git"]["message"], "v1");

    // A new instance, as always: the address of the upload isn't in memory.
    let transfer = live().upload("my-site", "plan_1", &hash, 5).unwrap();
    let TransferPlace::Upstream(place) = &transfer.place else { panic!("{transfer:?}") };
    assert_eq!(
        (place.path.join("/"), transfer.method.as_str(), transfer.size),
        (format!("upload/plan_1/{hash}"), "POST", Some(5))
    );

    host.on(Method::Post, "/commit").reply(200, json!({"image_id": "img_1", "content_hash": "c1"}));
    let committed = done(live().commit(&call(), "my-site", "plan_1", None).unwrap());
    assert_eq!((committed.target.as_deref(), sent(&host, "commit")), (Some("img_1"), json!({"plan_id": "plan_1"})));

    host.on(Method::Post, "/release").reply(200, json!({"url": "https://my-site.pods.example"}));
    let released = done(live().release(&call(), "my-site", "production", "img_1").unwrap());
    assert!(released.details.unwrap().contains("https://my-site.pods.example"));
    assert_eq!(sent(&host, "release"), json!({"project": "my-site", "environment": "prod", "image_id": "img_1"}));
    let wrong = live().release(&call(), "my-site", "preview", "img_1").unwrap_err();
    assert_eq!((wrong.kind, wrong.field.as_deref()), (ErrorKind::InvalidInput, Some("environment")));
}

#[test]
fn blobs_that_go_to_object_storage_are_remembered_until_the_commit() {
    let host = FakeHost::install();
    let (hash, url) = ("a".repeat(64), "https://s3.example/blobs/aa?X-Amz-Signature=1");
    let missing = json!([{"path": "index.html", "hash": hash, "size": 5, "upload_url": url}]);
    host.on(Method::Post, "/plan").reply(200, json!({"plan_id": "p", "upload_mode": "presigned", "missing": missing}));
    live().plan("my-site", plan(None)).unwrap();
    let transfer = live().upload("my-site", "p", &hash, 5).unwrap();
    assert_eq!((transfer.place, transfer.method.as_str()), (TransferPlace::Blob(url.into()), "PUT"));
    host.on(Method::Post, "/commit").reply(200, json!({"image_id": "i"}));
    live().commit(&call(), "my-site", "p", None).unwrap();
    assert!(host.state().iter().all(|(key, _)| !key.starts_with("blob/")), "{:?}", host.state());
    // And those of a plan that nobody committed go with a later plan.
    live().plan("my-site", plan(None)).unwrap();
    host.advance(3 * 3_600_000);
    host.on(Method::Post, "/plan").reply(200, json!({"plan_id": "q", "missing": []}));
    live().plan("my-site", plan(None)).unwrap();
    assert!(host.state().is_empty(), "{:?}", host.state());
}

#[test]
fn a_seed_deployment_has_its_own_bodies() {
    let host = FakeHost::install();
    host.on(Method::Post, "/plan").reply(200, json!({"plan_id": "plan_abc123", "missing": ["a".repeat(64)]}));
    let planned = seed().plan("my-site", plan(Some("v1"))).unwrap();
    assert_eq!((planned.missing.len(), planned.expires_at), (1, None));
    let expected = json!({"project": "my-site", "files": {"/index.html": "a".repeat(64), "/copy.html": "a".repeat(64)}});
    assert_eq!(sent(&host, "plan"), expected);
    host.on(Method::Post, "/commit").reply(200, json!({"image_id": "img_xyz789", "created_at": "2024-01-15T10:30:00Z"}));
    let committed = done(seed().commit(&call(), "my-site", "plan_abc123", Some("v1.2.0 release")).unwrap());
    assert_eq!(committed.target.as_deref(), Some("img_xyz789"));
    assert_eq!(sent(&host, "commit"), json!({"plan_id": "plan_abc123", "message": "v1.2.0 release"}));
}

fn two_images(host: &FakeHost) {
    let item = |id: &str, hour: u32| json!({"image_id": id, "content_hash": format!("c-{id}"), "created_at": format!("2024-01-15T{hour}:30:00Z"), "git_commit": ""});
    host.on(Method::Get, "/history").reply(200, json!({"items": [item("img_2", 11), item("img_1", 10)]}));
    let mut image = item("img_2", 11);
    image.as_object_mut().unwrap().extend([("deployed_to".into(), json!(["prod"])), ("git_message".into(), json!("v2"))]);
    host.on(Method::Get, "/images").reply(200, json!({"images": [image, item("img_1", 10)], "total": 2}));
    host.on(Method::Get, "/current").reply_with(|request| {
        let is_prod = request.query.contains(&pair("environment", "prod"));
        let body = json!({"image_id": "img_2", "content_hash": "c-img_2", "deployed_at": "2024-01-15T12:00:00Z"});
        Ok(if is_prod { response(200, &[], body.to_string()) } else { response(404, &[], r#"{"error":"ref not found"}"#) })
    });
}

#[test]
fn deployments_are_listed_with_where_they_are_served() {
    let host = FakeHost::install();
    two_images(&host);
    for provider in [live(), seed()] {
        let list =
            |environment: Option<&str>, request: &PageRequest| Deployments::list(&provider, "my-site", environment, request);
        let first = list(None, &PageRequest::first(1)).unwrap();
        assert_eq!((first.items[0].id.as_str(), first.items[0].status), ("img_2", DeploymentStatus::Completed));
        let second = list(None, &PageRequest { cursor: first.next, limit: 1 }).unwrap();
        assert_eq!((second.items[0].id.as_str(), second.items[0].status), ("img_1", DeploymentStatus::Committed));
        assert_eq!(second.next, None);
        let served = list(Some("prod"), &PageRequest::first(9)).unwrap();
        assert_eq!(served.items.iter().map(|one| one.id.as_str()).collect::<Vec<_>>(), ["img_2"]);
        assert!(list(Some("beta"), &PageRequest::first(9)).unwrap().items.is_empty());
        assert_eq!(Deployments::get(&provider, "my-site", "img_1").unwrap().id, "img_1");
        assert_eq!(Deployments::get(&provider, "my-site", "img_9").unwrap_err().kind, ErrorKind::NotFound);
        let current = provider.current("my-site", "production").unwrap().unwrap();
        assert_eq!((current.id.as_str(), current.environment.as_deref()), ("img_2", Some("prod")));
        assert_eq!(provider.current("my-site", "beta").unwrap(), None);
        assert_eq!(provider.current("my-site", "preview").unwrap_err().kind, ErrorKind::NotFound);
    }
    assert_eq!(query(&host, "history"), [pair("project", "my-site"), pair("limit", "200")]);
}

#[test]
fn rolling_back_goes_to_the_image_before() {
    let host = FakeHost::install();
    two_images(&host);
    host.on(Method::Post, "/rollback").reply(200, json!({"url": "https://a.example", "previous_image_id": "img_2"}));
    let back = done(live().rollback(&call(), "my-site", None, None).unwrap());
    assert_eq!(back.target.as_deref(), Some("img_1"));
    assert_eq!(sent(&host, "rollback"), json!({"project": "my-site", "environment": "prod", "image_id": "img_1"}));
    let nothing = live().rollback(&call(), "my-site", Some("beta"), None).unwrap_err();
    assert_eq!(nothing.kind, ErrorKind::Conflict);
}

#[test]
fn projects_are_listed_and_found() {
    let host = FakeHost::install();
    let project = json!({"id": "r1", "name": "my-site", "subdomain": "my-site", "created_at": "2024-01-15 10:30:00.000Z"});
    host.on(Method::Get, "/projects").reply(200, json!([project, {"name": "another"}]));
    host.on(Method::Get, "/projects/my-site").reply(200, project);
    host.on(Method::Get, "/projects/theirs").reply(403, json!({"error": "forbidden"}));
    host.on(Method::Get, "/domains").reply(
        200,
        json!({"domains": [
            {"domain": "www.example.com", "slug": "/shop", "status": "active", "is_primary": false},
            {"domain": "my-site.pods.example", "slug": "/", "status": "active", "is_primary": true},
            {"domain": "www.example.com", "slug": "/", "status": "pending", "is_primary": false},
        ]}),
    );
    let page = Sites::list(&live(), &PageRequest::first(1)).unwrap();
    assert_eq!((page.items[0].id.as_str(), page.next.as_deref()), ("another", Some("another")));
    let site = Sites::get(&live(), "my-site").unwrap();
    assert_eq!(site.url.as_deref(), Some("https://my-site.pods.example"));
    assert_eq!(Sites::get(&live(), "theirs").unwrap_err().kind, ErrorKind::NotFound);
    let domains = Domains::list(&live(), "my-site", None, &PageRequest::first(9)).unwrap().items;
    let names: Vec<&str> = domains.iter().map(|domain| domain.name.as_str()).collect();
    assert_eq!(names, ["my-site.pods.example", "www.example.com"], "each once");
    // The seed's API has no list; the account is looked at all the same.
    host.on(Method::Get, "/auth/info").reply(401, json!({"error": "invalid_token", "message": "expired"}));
    assert_eq!(Sites::list(&seed(), &PageRequest::first(9)).unwrap_err().kind, ErrorKind::Unauthenticated);
    host.on(Method::Get, "/auth/info").reply(200, json!({"email": "me@example.com"}));
    assert_eq!(Sites::list(&seed(), &PageRequest::first(9)).unwrap().items[0].id, "my-site");
    assert_eq!(Sites::get(&seed(), "other").unwrap_err().kind, ErrorKind::NotFound);
}

#[test]
fn domains_are_added_verified_and_removed() {
    let host = FakeHost::install();
    host.on(Method::Post, "/domains").reply(200, json!({"domain": "a.pods.example", "slug": "/", "status": "active"}));
    host.on(Method::Post, "/domains/a.pods.example/verify")
        .reply(200, json!({"verified": false, "message": "DNS TXT record not found."}));
    host.on(Method::Delete, "/domains/a.pods.example").reply_with(|_| Ok(response(200, &[], "")));
    let create = |primary| DomainCreate { name: "a.pods.example".into(), environment: None, primary };
    assert_eq!(Domains::create(&live(), &call(), "my-site", create(true)).unwrap_err().kind, ErrorKind::Unsupported);
    Domains::create(&live(), &call(), "my-site", create(false)).unwrap();
    assert_eq!(sent(&host, "domains"), json!({"project": "my-site", "domain": "a.pods.example", "slug": "/"}));
    let verified = done(live().verify(&call(), "my-site", None, "a.pods.example").unwrap());
    assert_eq!(verified.message.as_deref(), Some("DNS TXT record not found"));
    done(Domains::delete(&live(), &call(), "my-site", None, "a.pods.example").unwrap());
}

/// Answers were lost: what is there afterwards tells what was done.
#[test]
fn a_lost_answer_is_looked_up() {
    let host = FakeHost::install();
    two_images(&host);
    host.on(Method::Get, "/domains").reply(200, json!({"domains": [{"domain": "a.example", "status": "active"}]}));
    // Before and after the images' times: 2024-01-15T10:00:00Z.
    host.set_now(1_705_312_800_000);
    for (id, content) in [("made", "c-img_2"), ("unmade", "c-other")] {
        host.on(Method::Post, "/plan").reply(200, json!({"plan_id": id, "content_hash": content, "missing": []}));
        live().plan("my-site", plan(None)).unwrap();
    }
    host.set_now(1_705_312_800_000 + 86_400_000);
    host.on(Method::Post, "/plan").reply(200, json!({"plan_id": "same", "content_hash": "c-img_2", "missing": []}));
    live().plan("my-site", plan(None)).unwrap();
    for (action, args, expected) in [
        ("deployments.commit", json!({"site": "my-site", "plan": "made"}), "found"),
        ("deployments.commit", json!({"site": "my-site", "plan": "unmade"}), "absent"),
        ("deployments.commit", json!({"site": "my-site", "plan": "same"}), "absent"),
        ("deployments.commit", json!({"site": "my-site", "plan": "never-heard-of"}), "unknown"),
        ("deployments.release", json!({"site": "my-site", "environment": "prod", "deployment": "img_2"}), "found"),
        ("deployments.release", json!({"site": "my-site", "environment": "beta", "deployment": "img_2"}), "absent"),
        ("deployments.rollback", json!({"site": "my-site", "environment": null, "deployment": "img_1"}), "absent"),
        ("deployments.rollback", json!({"site": "my-site", "environment": null, "deployment": null}), "unknown"),
        ("domains.create", json!({"site": "my-site", "input": {"name": "a.example"}}), "found"),
        ("domains.create", json!({"site": "my-site", "input": {"name": "b.example"}}), "absent"),
        ("domains.delete", json!({"site": "my-site", "name": "a.example"}), "absent"),
        ("domains.verify", json!({"site": "my-site", "name": "a.example"}), "found"),
    ] {
        let told = match live().reconcile("op_1", action, &args.to_string()).unwrap() {
            Finding::Found(_) => "found",
            Finding::Absent => "absent",
            Finding::Unknown => "unknown",
        };
        assert_eq!(told, expected, "{action} {args}");
    }
}
