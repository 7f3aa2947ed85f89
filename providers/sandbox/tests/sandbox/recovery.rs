//! What happens when the process dies: calls arrive again, on another instance, and find what they did.

use crate::harness::{input, pending, world};
use portico_sdk::{
    BackupKind, Backups, Completion, Domains, Error, ErrorKind, Finding, Operations, Progress, Sites, Work,
    backups::BackupCreate, domains::DomainCreate,
};
use serde_json::json;

fn backup() -> BackupCreate {
    BackupCreate { environment: None, kind: BackupKind::Full, description: None }
}

#[test]
fn a_repeated_call_makes_nothing_twice() {
    let mut world = world(json!({}));
    let call = world.call();
    let first = pending(Sites::create(&world.sandbox, &call, input("Blog")).unwrap());
    world.restart(json!({}));
    let second = pending(Sites::create(&world.sandbox, &call, input("Blog")).unwrap());
    assert_eq!((&first.handle, &first.target), (&second.handle, &second.target));
    assert_eq!(world.all(10).len(), 1);
    let site = first.target.unwrap();
    world.host.advance(2000);
    let call = world.call();
    for _ in 0..3 {
        world.restart(json!({}));
        Backups::create(&world.sandbox, &call, &site, backup()).unwrap();
    }
    let all = Backups::list(&world.sandbox, &site, None, &portico_sdk::PageRequest::first(10)).unwrap().items;
    assert_eq!(all.len(), 1);
}

#[test]
fn reconcile_finds_what_was_done_and_nothing_else() {
    let world = world(json!({}));
    let find = |operation: &str, action: &str, args: serde_json::Value| {
        world.sandbox.reconcile(operation, action, &args.to_string()).unwrap()
    };
    let call = world.call();
    let id = call.operation_id.clone();
    assert_eq!(find(&id, "sites.create", json!({"name": "Blog"})), Finding::Absent);
    let made = pending(Sites::create(&world.sandbox, &call, input("Blog")).unwrap());
    assert_eq!(find(&id, "sites.create", json!({"name": "Blog"})), Finding::Found(Work::Pending(made.clone())));
    world.host.advance(2000);
    let site = made.target.unwrap();
    let found = Finding::Found(Work::Done(Completion::of(&site)));
    assert_eq!(find(&id, "sites.create", json!({"name": "Blog"})), found);

    let call = world.call();
    let args = json!({"site": site, "input": {"name": "a.example.com", "primary": false}});
    assert_eq!(find(&call.operation_id, "domains.create", args.clone()), Finding::Absent);
    let input = DomainCreate { name: "a.example.com".into(), environment: None, primary: false };
    Domains::create(&world.sandbox, &call, &site, input).unwrap();
    let found = Finding::Found(Work::Done(Completion::of("a.example.com")));
    assert_eq!(find(&call.operation_id, "domains.create", args), found);

    // A deletion is found although the site is gone.
    let call = world.call();
    Sites::delete(&world.sandbox, &call, &site).unwrap();
    world.host.advance(2000);
    assert_eq!(Sites::get(&world.sandbox, &site).unwrap_err().kind, ErrorKind::NotFound);
    let found = Finding::Found(Work::Done(Completion::of(&site)));
    assert_eq!(find(&call.operation_id, "sites.delete", json!({"site": site})), found);
    assert_eq!(find("op_other", "sites.delete", json!({"site": site})), Finding::Absent);
    assert!(world.sandbox.reconcile("op_x", "sites.delete", "{}").is_err());
}

#[test]
fn failed_work_that_is_looked_up_is_told_by_poll() {
    let world = world(json!({}));
    let call = world.call();
    Sites::create(&world.sandbox, &call, input("fail")).unwrap();
    world.host.advance(2000);
    let Finding::Found(Work::Pending(again)) = world.sandbox.reconcile(&call.operation_id, "sites.create", "{}").unwrap()
    else {
        panic!("it was carried out")
    };
    assert!(matches!(world.sandbox.poll(&call.operation_id, &again.handle), Ok(Progress::Failed(_))));
}

#[test]
fn a_name_without_a_site_is_free_after_a_minute() {
    let world = world(json!({"work_seconds": 0}));
    // As a process leaves it that died between taking the name and making the site.
    Sites::create(&world.sandbox, &world.call(), input("Blog")).unwrap();
    let (key, _) = world.host.state().into_iter().find(|(key, _)| key.starts_with("site/")).unwrap();
    portico_sdk::state::delete(&key).unwrap();
    let create = || Sites::create(&world.sandbox, &world.call(), input("Blog"));
    assert_eq!(create().unwrap_err().kind, ErrorKind::Conflict);
    world.host.advance(60_000);
    create().unwrap();
}

#[test]
fn deleted_sites_are_cleared_away_in_the_end() {
    let world = world(json!({"work_seconds": 0}));
    for index in 0..10 {
        let site = world.site(&format!("s{index}"));
        world.finish(|call| Sites::delete(&world.sandbox, call, &site)).unwrap();
    }
    world.host.advance(3_600_001);
    world.site("last");
    assert_eq!(world.host.state().len(), 2, "one site, one name");
}

#[test]
fn polling_what_is_long_gone() {
    let world = world(json!({}));
    let poll = |handle: &str| -> Result<Progress, Error> { world.sandbox.poll("op_1", handle) };
    assert!(matches!(poll("sites.delete:site-1"), Ok(Progress::Succeeded(_))));
    assert!(matches!(poll("sites.create:site-1"), Ok(Progress::Failed(error)) if error.kind == ErrorKind::NotFound));
    assert_eq!(poll("nonsense").unwrap_err().kind, ErrorKind::InvalidInput);
}
