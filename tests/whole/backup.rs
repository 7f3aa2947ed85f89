//! A backup is taken while the gateway serves, and everything is there again in another data folder with the key.
//!
//! Invariant: a backup replaces nothing, holds no key, and doesn't open without it.

use http::Method;
use portico_tests::{Answer, Api, Gateway, Setup, Upstream, eventually};
use serde_json::json;
use std::{
    fs::{self, DirBuilder},
    ops::RangeInclusive,
    os::unix::fs::{DirBuilderExt as _, PermissionsExt as _},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
};
use tokio::task::JoinHandle;

const SECRET: &str = "correct-horse-battery-staple";

fn restore(backup: &Path, data: &Path) {
    fs::copy(backup, data.join("portico.db")).expect("the database");
}

/// New names for the connection, one after the other, until they are ended: `Name 1`, `Name 2` and so on.
struct Changes {
    /// The number of the last name that was acknowledged.
    acknowledged: Arc<AtomicU32>,
    ended: Arc<AtomicBool>,
    task: JoinHandle<()>,
}

impl Changes {
    /// With at least one that was acknowledged.
    async fn begin(api: Api) -> Self {
        let (acknowledged, ended) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicBool::new(false)));
        let (last, end) = (Arc::clone(&acknowledged), Arc::clone(&ended));
        let task = tokio::spawn(async move {
            while !end.load(Ordering::SeqCst) {
                let number = last.load(Ordering::SeqCst) + 1;
                let body = json!({"name": format!("Name {number}")});
                let _ = api.json(Method::PATCH, "/connections/keyed", &[], &body).await.is(200);
                last.store(number, Ordering::SeqCst);
            }
        });
        let changes = Self { acknowledged, ended, task };
        eventually("the first change", async || (changes.acknowledged() > 0).then_some(())).await;
        changes
    }

    fn acknowledged(&self) -> u32 {
        self.acknowledged.load(Ordering::SeqCst)
    }

    async fn end(self) {
        self.ended.store(true, Ordering::SeqCst);
        self.task.await.expect("no change failed");
    }
}

/// Takes a backup amid changes; out come its words, and the numbers of the names that it may hold. One that ended before the next
/// change was acknowledged shows nothing, and is taken again.
fn taken_amid(changes: &Changes, gateway: &Gateway, backup: &Path) -> (String, RangeInclusive<u32>) {
    let name = backup.to_str().expect("a name");
    for _ in 0..10 {
        let before = changes.acknowledged();
        let said = gateway.run(&["backup", name]);
        let after = changes.acknowledged();
        if after > before {
            // One more may be stored whose answer is on its way.
            return (said, before..=after + 1);
        }
        fs::remove_file(backup).expect("the backup");
    }
    panic!("no change was acknowledged while ten backups were taken");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_taken_while_serving_is_restored_with_its_key() {
    let upstream = Upstream::start(|_| Answer::Json(200, json!({}))).await;
    let setup = Setup { guests: vec!["keyed"], ..Setup::default() };
    let gateway = Gateway::start_with(setup.clone()).await;
    let settings = json!({"url": upstream.url()});
    let body =
        json!({"id": "keyed", "provider": "keyed", "name": "Keyed", "settings": settings, "secrets": {"api_key": SECRET}});
    let _ = gateway.api.post("/connections", &body).await.is(201);
    let made = gateway.api.post("/sites", &json!({"connection": "sandbox", "name": "Kept"})).await.is(201).json();

    let elsewhere = tempfile::tempdir().expect("a folder");
    let backup = elsewhere.path().join("portico-backup.db");
    let name = backup.to_str().expect("a name");
    let changes = Changes::begin(gateway.fresh_api()).await;
    let (said, sent) = taken_amid(&changes, &gateway, &backup);
    changes.end().await;
    assert!(said.contains("checked") && said.contains("master key"), "{said}");
    let mode = fs::metadata(&backup).expect("the backup").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let whole = fs::read(&backup).expect("the backup");
    assert_eq!(fs::read_dir(elsewhere.path()).expect("its folder").count(), 1, "something lies beside the backup");

    // Nothing is replaced, and nothing is laid beside the key.
    assert!(gateway.refused(&["backup", name]).contains("replaces nothing"));
    assert_eq!(fs::read(&backup).expect("the backup"), whole);
    assert!(gateway.refused(&["backup", elsewhere.path().to_str().expect("a name")]).contains("is a folder"));
    let inside = gateway.data().join("backup.db");
    assert!(gateway.refused(&["backup", inside.to_str().expect("a name")]).contains("in the data folder"));
    let key = fs::read_to_string(gateway.data().join("key")).expect("the key");
    for plain in [key.trim(), SECRET] {
        assert!(!whole.windows(plain.len()).any(|window| window == plain.as_bytes()), "the backup opens by itself");
    }

    let source = gateway.data();
    let restored = Gateway::start_on(setup, |data| {
        restore(&backup, data);
        fs::copy(source.join("key"), data.join("key")).expect("the key");
        DirBuilder::new().mode(0o700).create(data.join("components")).expect("a folder");
        for entry in fs::read_dir(source.join("components")).expect("what was compiled") {
            let entry = entry.expect("an entry");
            fs::copy(entry.path(), data.join("components").join(entry.file_name())).expect("a component");
        }
    })
    .await;
    let operations = restored.api.get("/operations").await.is(200).json();
    assert_eq!(operations["data"][0]["id"], made["id"], "{operations}");
    let id = made["result"]["id"].as_str().expect("an id");
    assert_eq!(restored.api.get(&format!("/sites/{id}")).await.is(200).json()["name"], "Kept");
    let connection = restored.api.get("/connections/keyed").await.is(200).json();
    let number = connection["name"].as_str().and_then(|name| name.strip_prefix("Name ")?.parse::<u32>().ok());
    assert!(number.is_some_and(|number| sent.contains(&number)), "none of {sent:?}: {connection}");
    let before = upstream.seen().len();
    let _ = restored.api.get("/sites/keyed~echo").await.is(200);
    assert_eq!(upstream.seen()[before].headers["authorization"], format!("Bearer {SECRET}"));
    without_its_key(&gateway, &backup);
}

#[tokio::test]
async fn a_backup_is_not_laid_beside_a_key_that_lies_elsewhere() {
    let folder = tempfile::tempdir().expect("a folder");
    let (keys, free) = (folder.path().join("keys"), folder.path().join("free"));
    for folder in [&keys, &free] {
        DirBuilder::new().mode(0o700).create(folder).expect("a folder");
    }
    let key = keys.join("key").to_str().expect("a name").to_owned();
    let environment = vec![("PORTICO_KEYS__FILE".to_owned(), key)];
    let gateway = Gateway::start_with(Setup { environment, ..Setup::default() }).await;
    assert!(keys.join("key").exists());
    let beside = keys.join("copy.db");
    assert!(gateway.refused(&["backup", beside.to_str().expect("a name")]).contains("beside the key"));
    assert_eq!(fs::read_dir(&keys).expect("its folder").count(), 1, "something lies beside the key");
    gateway.run(&["backup", free.join("copy.db").to_str().expect("a name")]);
}

/// A start on the backup without its key, or with another, fails and says why.
fn without_its_key(gateway: &Gateway, backup: &Path) {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    DirBuilder::new().mode(0o700).create(&data).expect("a data folder");
    restore(backup, &data);
    let start = || {
        let mut serve = gateway.command(&["serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"]);
        let ended = serve.env("PORTICO_DATA_DIR", &data).output().expect("it ends");
        assert!(!ended.status.success());
        String::from_utf8_lossy(&ended.stderr).into_owned()
    };
    let said = start();
    assert!(said.contains("is missing, but there is a database: restore the key from your backup"), "{said}");
    assert!(!data.join("key").exists(), "a key was made for a database that another one sealed");
    let other = gateway.run(&["secrets", "generate"]);
    fs::write(data.join("key"), &other).expect("another key");
    let said = start();
    assert!(said.contains("restore the key that belongs to this database") && !said.contains(other.trim()), "{said}");
}
