//! Backups: taken, restored, downloaded, deleted.

use crate::harness::{World, configure, quick, world};
use portico_sdk::{
    BackupKind, BackupStatus, Backups, Contents, Error, ErrorKind, PageRequest, TransferPlace, Work,
    backups::{BackupCreate, RestoreInput},
};
use serde_json::json;

fn input(kind: BackupKind, description: Option<&str>) -> BackupCreate {
    BackupCreate { environment: None, kind, description: description.map(str::to_owned) }
}

fn restore(world: &World, site: &str, id: &str, contents: Contents) -> Result<Work, Error> {
    world.sandbox.restore(&world.call(), site, id, RestoreInput { environment: None, contents })
}

const DATABASE: Contents = Contents { database: true, files: false, plugins: false, themes: false };
const THEMES: Contents = Contents { database: false, files: false, plugins: false, themes: true };

#[test]
fn a_backup_lives() {
    let world = world(json!({"blob_url": "http://127.0.0.1:1/"}));
    let site = world.site("Blog");
    let call = world.call();
    let Work::Pending(started) = Backups::create(&world.sandbox, &call, &site, input(BackupKind::Database, None)).unwrap()
    else {
        panic!("it takes time")
    };
    let id = started.target.unwrap();
    let get = || Backups::get(&world.sandbox, &site, &id);
    assert_eq!((get().unwrap().status, get().unwrap().size), (BackupStatus::Running, None));
    assert_eq!(restore(&world, &site, &id, DATABASE).unwrap_err().kind, ErrorKind::Conflict);
    assert_eq!(world.sandbox.download(&site, &id).unwrap_err().kind, ErrorKind::Conflict);
    world.host.advance(2000);
    let complete = get().unwrap();
    assert_eq!((complete.status, complete.completed_at), (BackupStatus::Completed, started.estimated_completion_at));
    assert!(complete.size.is_some());

    let restored = world.finish(|call| {
        world.sandbox.restore(call, &site, &id, RestoreInput { environment: Some("production".into()), contents: DATABASE })
    });
    assert_eq!(restored.unwrap().target.as_ref(), Some(&id));
    assert_eq!(restore(&world, &site, &id, THEMES).unwrap_err().field.as_deref(), Some("contents.themes"));
    let TransferPlace::Upstream(place) = world.sandbox.download(&site, &id).unwrap().place else { panic!("an upstream") };
    assert_eq!((place.upstream.as_str(), place.path), ("blobs", vec!["backups".to_owned(), id.clone()]));

    world.finish(|call| Backups::delete(&world.sandbox, call, &site, &id)).unwrap();
    assert_eq!(get().unwrap_err().kind, ErrorKind::NotFound);
}

#[test]
fn descriptions_and_names_choose_the_outcome() {
    let world = world(json!({}));
    let site = world.site("fail-restore");
    let create = |text| world.finish(|call| Backups::create(&world.sandbox, call, &site, input(BackupKind::Full, Some(text))));
    assert_eq!(create("unavailable").unwrap_err().kind, ErrorKind::Unavailable);
    assert!(create("fail").is_err());
    let list = |world: &World| Backups::list(&world.sandbox, &site, None, &PageRequest::first(10)).unwrap().items;
    assert_eq!(list(&world)[0].status, BackupStatus::Failed);
    let good = create("nightly").unwrap().target.unwrap();
    let failed = world.finish(|_| restore(&world, &site, &good, DATABASE));
    assert!(failed.is_err());
    assert_eq!(list(&world).len(), 2);
}

#[test]
fn there_are_fifty_at_most() {
    let world = quick();
    let site = world.site("Blog");
    for _ in 0..50 {
        world.finish(|call| Backups::create(&world.sandbox, call, &site, input(BackupKind::Files, Some("x")))).unwrap();
    }
    let more = Backups::create(&world.sandbox, &world.call(), &site, input(BackupKind::Files, None)).unwrap_err();
    assert_eq!(more.kind, ErrorKind::QuotaExceeded);
    let first = Backups::list(&world.sandbox, &site, Some("production"), &PageRequest::first(30)).unwrap();
    assert_eq!((first.items.len(), first.next.is_some()), (30, true));
    let elsewhere = Backups::list(&world.sandbox, &site, Some("none"), &PageRequest::first(30)).unwrap_err();
    assert_eq!(elsewhere.field.as_deref(), Some("environment"));
}

#[test]
fn without_a_place_there_is_no_download() {
    let (_, configuration) = configure(json!({})).unwrap();
    assert!(!configuration.features.contains(&"backups.download".to_owned()));
    let (_, configuration) = configure(json!({"blob_url": "https://blobs.example"})).unwrap();
    assert!(configuration.features.contains(&"backups.download".to_owned()));
    assert_eq!(configuration.upstreams[0].name, "blobs");
}
