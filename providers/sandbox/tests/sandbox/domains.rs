//! Domains: added, verified, made primary, removed.

use crate::harness::{World, done, quick, world};
use portico_sdk::{Domain, DomainStatus, Domains, ErrorKind, PageRequest, Sites, domains::DomainCreate};
use serde_json::json;

fn input(name: &str, primary: bool) -> DomainCreate {
    DomainCreate { name: name.into(), environment: None, primary }
}

fn list(world: &World, site: &str) -> Vec<Domain> {
    Domains::list(&world.sandbox, site, None, &PageRequest::first(100)).unwrap().items
}

#[test]
fn a_domain_lives() {
    let world = world(json!({}));
    let site = world.site("Blog");
    let created = done(Domains::create(&world.sandbox, &world.call(), &site, input("a.example.com", false)).unwrap());
    assert_eq!(created.target.as_deref(), Some("a.example.com"));
    let pending = list(&world, &site).remove(0);
    assert_eq!((pending.status, pending.verification.len()), (DomainStatus::PendingVerification, 1));

    world.finish(|call| world.sandbox.verify(call, &site, None, "a.example.com")).unwrap();
    let active = list(&world, &site).remove(0);
    assert_eq!((active.status, active.verification.len()), (DomainStatus::Active, 0));
    assert!(active.certificate.is_some());

    done(Domains::create(&world.sandbox, &world.call(), &site, input("b.example.com", true)).unwrap());
    assert_eq!(Sites::get(&world.sandbox, &site).unwrap().url.as_deref(), Some("https://b.example.com"));
    done(world.sandbox.set_primary(&world.call(), &site, Some("production"), "a.example.com").unwrap());
    assert_eq!(
        list(&world, &site).iter().filter(|domain| domain.primary).map(|it| it.name.as_str()).collect::<Vec<_>>(),
        ["a.example.com"]
    );
    assert_eq!(Sites::get(&world.sandbox, &site).unwrap().url.as_deref(), Some("https://a.example.com"));

    let call = world.call();
    for _ in 0..2 {
        // The second time it is gone, and this very operation removed it.
        done(Domains::delete(&world.sandbox, &call, &site, None, "a.example.com").unwrap());
    }
    assert_eq!(list(&world, &site).len(), 1);
}

#[test]
fn refusals_and_outcomes() {
    let world = quick();
    let site = world.site("Blog");
    let create = |name: &str| Domains::create(&world.sandbox, &world.call(), &site, input(name, false));
    done(create("a.example.com").unwrap());
    assert_eq!(create("a.example.com").unwrap_err().kind, ErrorKind::Conflict);
    assert_eq!(create("A.example.com").unwrap_err().field.as_deref(), Some("name"));
    assert_eq!(create("quota.example.com").unwrap_err().kind, ErrorKind::QuotaExceeded);
    done(create("fail-verify.example.com").unwrap());
    world.sandbox.verify(&world.call(), &site, None, "fail-verify.example.com").unwrap_err();
    assert_eq!(list(&world, &site)[1].status, DomainStatus::Error);
    let gone = world.sandbox.verify(&world.call(), &site, None, "none.example.com").unwrap_err();
    assert_eq!(gone.kind, ErrorKind::NotFound);
}
