//! Sites: their life, lists, special names, refused values.

use crate::harness::{World, done, input, pending, quick, world};
use portico_provider_sandbox::Sandbox;
use portico_sdk::{
    Call, Error, ErrorKind, Operations, PageRequest, Pending, Progress, SiteKind, SiteStatus, Sites, Work,
    sites::{Admin, LogRequest, SiteClone, SiteCreate, SiteUpdate},
};
use serde_json::json;

type Change = fn(&Sandbox, &Call, &str) -> Result<Work, Error>;

#[test]
fn a_site_lives_by_the_clock() {
    let world = world(json!({}));
    let call = world.call();
    let started = pending(Sites::create(&world.sandbox, &call, input("Blog")).unwrap());
    let id = started.target.clone().unwrap();
    assert_eq!(Sites::get(&world.sandbox, &id).unwrap().status, SiteStatus::Provisioning);
    world.host.advance(1000);
    let Progress::Running(half) = world.sandbox.poll(&call.operation_id, &started.handle).unwrap() else { panic!("half way") };
    assert_eq!(half.progress, Some(50));
    world.host.advance(1000);
    assert_eq!(Sites::get(&world.sandbox, &id).unwrap().status, SiteStatus::Running);
    let Progress::Succeeded(end) = world.sandbox.poll(&call.operation_id, &started.handle).unwrap() else { panic!("the end") };
    assert_eq!(end.target.as_ref(), Some(&id));

    for (change, wanted) in [(Sites::stop as Change, SiteStatus::Stopped), (Sites::start as Change, SiteStatus::Running)] {
        world.finish(|call| change(&world.sandbox, call, &id)).unwrap();
        assert_eq!(Sites::get(&world.sandbox, &id).unwrap().status, wanted);
        // What is so already is done at once.
        done(change(&world.sandbox, &world.call(), &id).unwrap());
    }

    let call = world.call();
    pending(Sites::delete(&world.sandbox, &call, &id).unwrap());
    assert_eq!(Sites::get(&world.sandbox, &id).unwrap().status, SiteStatus::Deleting);
    assert_eq!(Sites::delete(&world.sandbox, &world.call(), &id).unwrap_err().kind, ErrorKind::Conflict);
    world.host.advance(2000);
    assert_eq!(Sites::get(&world.sandbox, &id).unwrap_err().kind, ErrorKind::NotFound);
    assert!(world.all(10).is_empty());
    assert_eq!(Sites::delete(&world.sandbox, &world.call(), &id).unwrap_err().kind, ErrorKind::NotFound);
    // This very operation deleted it.
    done(Sites::delete(&world.sandbox, &call, &id).unwrap());
}

#[test]
fn a_list_has_each_site_once_and_in_order() {
    let world = world(json!({"seed_sites": 25, "work_seconds": 0}));
    for name in ["a", "b", "c"] {
        world.site(name);
    }
    world.finish(|call| Sites::delete(&world.sandbox, call, "seed-00003")).unwrap();
    world
        .finish(|call| Sites::update(&world.sandbox, call, "seed-00025", SiteUpdate { name: Some("renamed".into()), ..none() }))
        .unwrap();
    for limit in [1, 7, 27, 1000] {
        let ids: Vec<String> = world.all(limit).into_iter().map(|site| site.id).collect();
        assert_eq!(ids.len(), 27, "limit {limit}");
        assert!(ids.windows(2).all(|pair| pair[0] < pair[1]), "limit {limit}: {ids:?}");
        assert!(!ids.contains(&"seed-00003".to_owned()));
    }
    let renamed = world.all(1000).into_iter().filter(|site| site.name == "renamed").count();
    assert_eq!(renamed, 1);
}

#[test]
fn ten_thousand_seeds_are_listed() {
    let world = world(json!({"seed_sites": 10_000}));
    let all = world.all(1000);
    assert_eq!(all.len(), 10_000);
    assert_eq!(all[9_999].id, "seed-10000");
    assert!(world.host.state().is_empty(), "seeds take no room");
    assert_eq!(Sites::get(&world.sandbox, "seed-10001").unwrap_err().kind, ErrorKind::NotFound);
}

fn none() -> SiteUpdate {
    SiteUpdate { name: None, php_version: None, wordpress_version: None }
}

#[test]
fn names_are_unique_and_free_again() {
    let world = quick();
    let conflict = |name: &str| Sites::create(&world.sandbox, &world.call(), input(name)).unwrap_err();
    let first = world.site("Blog");
    assert_eq!((conflict("Blog").kind, conflict("Blog").field.as_deref()), (ErrorKind::Conflict, Some("name")));
    let rename =
        |name: &str| Sites::update(&world.sandbox, &world.call(), &first, SiteUpdate { name: Some(name.into()), ..none() });
    done(rename("Journal").unwrap());
    let second = world.site("Blog");
    assert_eq!(rename("Blog").unwrap_err().kind, ErrorKind::Conflict);
    assert_eq!(conflict("Journal").kind, ErrorKind::Conflict);
    world.finish(|call| Sites::delete(&world.sandbox, call, &second)).unwrap();
    done(rename("Blog").unwrap());
    assert_eq!(Sites::get(&world.sandbox, &first).unwrap().name, "Blog");
    world.site("Journal");
}

#[test]
fn special_names_choose_the_outcome() {
    let world = world(json!({}));
    for (name, kind) in [
        ("conflict", ErrorKind::Conflict),
        ("quota-7", ErrorKind::QuotaExceeded),
        ("rate-limited", ErrorKind::RateLimited),
        ("unavailable", ErrorKind::Unavailable),
        ("timeout", ErrorKind::Timeout),
        ("unauthenticated", ErrorKind::Unauthenticated),
        ("forbidden", ErrorKind::Forbidden),
        ("invalid", ErrorKind::InvalidInput),
    ] {
        assert_eq!(Sites::create(&world.sandbox, &world.call(), input(name)).unwrap_err().kind, kind, "{name}");
        // A refusal leaves nothing behind.
        assert!(world.host.state().is_empty(), "{name}");
    }
    let failed = world.finish(|call| Sites::create(&world.sandbox, call, input("fail-create"))).unwrap_err();
    assert_eq!(failed.kind, ErrorKind::Internal);
    assert_eq!(world.all(10)[0].status, SiteStatus::Error);
    let slow = pending(Sites::create(&world.sandbox, &world.call(), input("slow-shop")).unwrap());
    assert_eq!(slow.estimated_completion_at, Some(1_700_000_000_000 + 2_000 + 20_000));

    let stop = world.site("fail-stop");
    assert!(world.finish(|call| world.sandbox.stop(call, &stop)).is_err());
    assert_eq!(Sites::get(&world.sandbox, &stop).unwrap().status, SiteStatus::Running);
    let delete = world.site("fail-delete");
    assert!(world.finish(|call| Sites::delete(&world.sandbox, call, &delete)).is_err());
    assert_eq!(Sites::get(&world.sandbox, &delete).unwrap().status, SiteStatus::Running);
}

#[test]
#[should_panic(expected = "asked to trap")]
fn a_name_traps() {
    let world = quick();
    let _ = Sites::create(&world.sandbox, &world.call(), input("trap"));
}

#[test]
fn stuck_work_is_canceled() {
    let world = world(json!({}));
    let call = world.call();
    let stuck = pending(Sites::create(&world.sandbox, &call, input("stuck")).unwrap());
    world.host.advance(86_400_000);
    let poll = |world: &World| world.sandbox.poll(&call.operation_id, &stuck.handle).unwrap();
    assert!(matches!(poll(&world), Progress::Running(Pending { progress: Some(50), .. })));
    world.sandbox.cancel(&call.operation_id, &stuck.handle).unwrap();
    assert_eq!(poll(&world), Progress::Canceled);
    // Once more does no harm.
    world.sandbox.cancel(&call.operation_id, &stuck.handle).unwrap();
}
#[test]
fn refusals_name_the_field() {
    let world = quick();
    let admin = |user: &str, email: &str| Some(Admin { user: user.into(), email: email.into(), password: None });
    let base = || input("x");
    let cases: Vec<(SiteCreate, &str)> = vec![
        (SiteCreate { name: " ".into(), ..base() }, "name"),
        (SiteCreate { php_version: Some("5.2".into()), ..base() }, "php_version"),
        (SiteCreate { wordpress_version: Some("1".into()), ..base() }, "wordpress_version"),
        (SiteCreate { locale: Some("english".into()), ..base() }, "locale"),
        (SiteCreate { region: Some("moon".into()), ..base() }, "region"),
        (SiteCreate { template: Some("x".into()), ..base() }, "template"),
        (SiteCreate { domain: Some("UPPER.example".into()), ..base() }, "domain"),
        (SiteCreate { admin: admin("", "a@b.example"), ..base() }, "admin.user"),
        (SiteCreate { admin: admin("a", "b"), ..base() }, "admin.email"),
        (SiteCreate { options: "{\"boat\":1}".into(), ..base() }, "options"),
        (SiteCreate { kind: SiteKind::StaticFiles, php_version: Some("8.3".into()), ..base() }, "php_version"),
        (SiteCreate { kind: SiteKind::Plain, wordpress_version: Some("6.8".into()), ..base() }, "wordpress_version"),
    ];
    for (input, field) in cases {
        let error = Sites::create(&world.sandbox, &world.call(), input).unwrap_err();
        assert_eq!((error.kind, error.field.as_deref()), (ErrorKind::InvalidInput, Some(field)));
    }
    assert!(world.host.state().is_empty());
}

#[test]
fn a_generated_password_is_told_and_the_same_again() {
    let world = quick();
    let call = world.call();
    let create = || {
        let admin = Admin { user: "anna".into(), email: "anna@a.example".into(), password: None };
        done(Sites::create(&world.sandbox, &call, SiteCreate { admin: Some(admin), ..input("Blog") }).unwrap()).secrets
    };
    let secrets = create();
    assert_eq!(secrets[0].name, "admin_password");
    assert_eq!(create(), secrets);
    assert!(world.host.state().iter().all(|(_, value)| !String::from_utf8_lossy(value).contains(&secrets[0].value)));
}

#[test]
fn a_clone_is_another_site() {
    let world = quick();
    let source =
        world.finish(|call| Sites::create(&world.sandbox, call, SiteCreate { php_version: Some("8.1".into()), ..input("a") }));
    let source = source.unwrap().target.unwrap();
    let clone = |name: &str, environment: Option<&str>| SiteClone {
        name: name.into(),
        domain: Some("b.example.com".into()),
        source_environment: environment.map(str::to_owned),
        region: None,
        options: "{}".into(),
    };
    let copy = world.finish(|call| Sites::clone(&world.sandbox, call, &source, clone("b", None))).unwrap().target.unwrap();
    assert_ne!(copy, source);
    let copy = Sites::get(&world.sandbox, &copy).unwrap();
    assert_eq!((copy.name.as_str(), copy.php_version.as_deref()), ("b", Some("8.1")));
    assert_eq!(copy.url.as_deref(), Some("https://b.example.com"));
    let refused = Sites::clone(&world.sandbox, &world.call(), &source, clone("c", Some("none"))).unwrap_err();
    assert_eq!(refused.field.as_deref(), Some("source_environment"));
    assert_eq!(Sites::clone(&world.sandbox, &world.call(), "gone", clone("c", None)).unwrap_err().kind, ErrorKind::NotFound);
}

#[test]
fn logs_and_usage() {
    let world = quick();
    let site = world.site("Blog");
    let logs =
        |source: &str, lines| world.sandbox.logs(&site, LogRequest { environment: None, source: Some(source.into()), lines });
    assert_eq!(logs("access", 7).unwrap().len(), 7);
    assert_eq!(logs("secret", 7).unwrap_err().field.as_deref(), Some("source"));
    assert!(world.sandbox.usage(&site).unwrap().storage.is_some());
    assert_eq!(world.sandbox.usage("gone").unwrap_err().kind, ErrorKind::NotFound);
    assert_eq!(Sites::list(&world.sandbox, &PageRequest::first(1)).unwrap().next, None);
}
