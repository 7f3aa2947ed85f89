//! Environments: created, found by name, pushed, deleted.

use crate::harness::{done, quick, world};
use portico_sdk::{
    Environment, EnvironmentKind, Environments, ErrorKind, PageRequest, SiteStatus, Sites,
    environments::{EnvironmentCreate, EnvironmentUpdate, PushInput},
};
use serde_json::json;

fn staging(name: &str) -> EnvironmentCreate {
    EnvironmentCreate {
        name: name.into(),
        kind: EnvironmentKind::Staging,
        source: Some("production".into()),
        php_version: Some("8.4".into()),
        wordpress_version: None,
        options: "{}".into(),
    }
}

fn push(target: &str) -> PushInput {
    PushInput { target: target.into(), database: true, files: true, search_replace: true }
}

#[test]
fn an_environment_lives() {
    let world = world(json!({}));
    let site = world.site("Blog");
    let list = || Environments::list(&world.sandbox, &site, &PageRequest::first(100)).unwrap().items;
    let call = world.call();
    Environments::create(&world.sandbox, &call, &site, staging("staging")).unwrap();
    assert_eq!(list()[1].status, SiteStatus::Provisioning);
    world.host.advance(2000);
    let made: Environment = list().remove(1);
    assert_eq!((made.status, made.php_version.as_deref()), (SiteStatus::Running, Some("8.4")));
    assert_eq!(made.wordpress_version.as_deref(), Some("6.8"));
    assert_eq!(Sites::get(&world.sandbox, &site).unwrap().environments.len(), 2);

    let update = EnvironmentUpdate { name: Some("test".into()), php_version: Some("8.2".into()), wordpress_version: None };
    done(Environments::update(&world.sandbox, &world.call(), &site, &made.id, update).unwrap());
    world.finish(|call| world.sandbox.push(call, &site, "test", push("production"))).unwrap();
    assert_eq!(list()[0].php_version.as_deref(), Some("8.2"));

    world.finish(|call| Environments::delete(&world.sandbox, call, &site, &made.id)).unwrap();
    assert_eq!(list().len(), 1);
    assert_eq!(world.sandbox.current(&site, &made.id).unwrap_err().kind, ErrorKind::NotFound);
}

#[test]
fn refusals() {
    let world = quick();
    let site = world.site("Blog");
    let create = |input| Environments::create(&world.sandbox, &world.call(), &site, input).unwrap_err();
    assert_eq!(create(staging("production")).kind, ErrorKind::Conflict);
    let from_nowhere = EnvironmentCreate { source: Some("none".into()), ..staging("a") };
    assert_eq!(create(from_nowhere).field.as_deref(), Some("source"));
    assert_eq!(create(staging("quota")).kind, ErrorKind::QuotaExceeded);
    for index in 1..10 {
        world.finish(|call| Environments::create(&world.sandbox, call, &site, staging(&format!("e{index}")))).unwrap();
    }
    assert_eq!(create(staging("one-more")).kind, ErrorKind::QuotaExceeded);
    let delete_first = Environments::delete(&world.sandbox, &world.call(), &site, "production").unwrap_err();
    assert_eq!(delete_first.kind, ErrorKind::Conflict);
    let to_itself = world.sandbox.push(&world.call(), &site, "e1", push("e1")).unwrap_err();
    assert_eq!(to_itself.field.as_deref(), Some("target"));
    let nothing = PushInput { database: false, files: false, ..push("e1") };
    assert_eq!(world.sandbox.push(&world.call(), &site, "production", nothing).unwrap_err().kind, ErrorKind::InvalidInput);
}
