//! Deployments: git and zip, rolled back, released, planned.

use crate::harness::{World, done, quick, world};
use portico_sdk::{
    DeploymentSource, DeploymentStatus, Deployments, Environments, ErrorKind, GitSource, PageRequest, TransferPlace,
    deployments::{DeploymentCreate, File, PlanInput},
};
use serde_json::json;

fn git(message: &str) -> DeploymentCreate {
    let git = GitSource { repository: "https://git.example/site".into(), branch: Some("main".into()), commit: None };
    DeploymentCreate { environment: None, source: DeploymentSource::Git(git), message: Some(message.into()) }
}

fn deploy(world: &World, site: &str, message: &str) -> String {
    world.finish(|call| Deployments::create(&world.sandbox, call, site, git(message))).unwrap().target.unwrap()
}

fn plan(world: &World, site: &str) -> portico_sdk::deployments::PlanAnswer {
    let file = File { path: "/index.html".into(), blake3: "b".repeat(64), sha256: "a".repeat(64), size: 5, content_type: None };
    world.sandbox.plan(site, PlanInput { environment: None, files: vec![file.clone(), file], message: None }).unwrap()
}

#[test]
fn deployments_follow_each_other() {
    let world = world(json!({}));
    let site = world.site("Blog");
    let current = || world.sandbox.current(&site, "production").unwrap().map(|deployment| deployment.id);
    assert_eq!(current(), None);
    assert_eq!(world.sandbox.rollback(&world.call(), &site, None, None).unwrap_err().kind, ErrorKind::Conflict);
    let first = deploy(&world, &site, "one");
    let second = deploy(&world, &site, "two");
    assert_eq!(current().as_ref(), Some(&second));
    world.finish(|call| world.sandbox.rollback(call, &site, None, None)).unwrap();
    assert_eq!(current().as_ref(), Some(&first));
    world.finish(|call| world.sandbox.release(call, &site, "production", &second)).unwrap();
    assert_eq!(current().as_ref(), Some(&second));

    let list = Deployments::list(&world.sandbox, &site, None, &PageRequest::first(10)).unwrap().items;
    assert_eq!(list.iter().map(|it| it.id.as_str()).collect::<Vec<_>>(), [second.as_str(), first.as_str()]);
    assert!(list.iter().all(|deployment| deployment.logs.is_none()));
    let one = Deployments::get(&world.sandbox, &site, &first).unwrap();
    assert_eq!((one.status, one.logs.is_some()), (DeploymentStatus::Completed, true));

    assert!(world.finish(|call| Deployments::create(&world.sandbox, call, &site, git("fail"))).is_err());
    assert_eq!(current().as_ref(), Some(&second));
    let failed = Deployments::list(&world.sandbox, &site, None, &PageRequest::first(1)).unwrap().items.remove(0);
    assert_eq!(failed.status, DeploymentStatus::Failed);
    assert_eq!(world.sandbox.release(&world.call(), &site, "production", &failed.id).unwrap_err().kind, ErrorKind::Conflict);
}

#[test]
fn old_deployments_make_room() {
    let world = quick();
    let site = world.site("Blog");
    for index in 0..30 {
        deploy(&world, &site, &format!("d{index}"));
    }
    let list = Deployments::list(&world.sandbox, &site, None, &PageRequest::first(100)).unwrap().items;
    assert_eq!((list.len(), list[0].message.as_deref()), (20, Some("d29")));
}

#[test]
fn a_plan_is_committed_and_released() {
    let world = world(json!({"work_seconds": 0, "blob_url": "http://127.0.0.1:1/"}));
    let site = world.site("Blog");
    let answer = plan(&world, &site);
    assert_eq!(answer.missing, ["b".repeat(64)]);
    let transfer = world.sandbox.upload(&site, &answer.id, &answer.missing[0], 5).unwrap();
    let TransferPlace::Upstream(place) = transfer.place else { panic!("an upstream") };
    assert_eq!((transfer.method.as_str(), transfer.size, place.path[0].as_str()), ("PUT", Some(5), "blobs"));
    let call = world.call();
    let commit = || done(world.sandbox.commit(&call, &site, &answer.id, None).unwrap()).target.unwrap();
    let id = commit();
    assert_eq!(commit(), id, "the same call again");
    assert_eq!(world.sandbox.commit(&world.call(), &site, &answer.id, None).unwrap_err().kind, ErrorKind::NotFound);
    assert_eq!(Deployments::get(&world.sandbox, &site, &id).unwrap().status, DeploymentStatus::Committed);
    assert_eq!(world.sandbox.current(&site, "production").unwrap(), None);
    world.finish(|call| world.sandbox.release(call, &site, "production", &id)).unwrap();
    assert_eq!(world.sandbox.current(&site, "production").unwrap().map(|it| it.id), Some(id));
}

#[test]
fn plans_expire_and_refusals_name_the_field() {
    let world = quick();
    let site = world.site("Blog");
    let answer = plan(&world, &site);
    assert!(answer.missing.is_empty(), "without a place for blobs nothing is missing");
    world.host.advance(3_600_000);
    assert_eq!(world.sandbox.commit(&world.call(), &site, &answer.id, None).unwrap_err().kind, ErrorKind::NotFound);
    let zip = |url: &str| DeploymentCreate { source: DeploymentSource::Zip(url.into()), ..git("x") };
    let refused = Deployments::create(&world.sandbox, &world.call(), &site, zip("http://a.example/x.zip")).unwrap_err();
    assert_eq!(refused.field.as_deref(), Some("zip_url"));
    done(Deployments::create(&world.sandbox, &world.call(), &site, zip("https://a.example/x.zip")).unwrap());
    let empty = PlanInput { environment: None, files: Vec::new(), message: None };
    assert_eq!(world.sandbox.plan(&site, empty).unwrap_err().field.as_deref(), Some("files"));
}
