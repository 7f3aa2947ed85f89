//! The shared suite over SQLite, and what only SQLite promises: the lock, the modes, the schema, and commits in groups.

mod audit;

use super::*;
use crate::{
    model::Kind,
    store::suite::{self, connection_record, organization},
};
use std::sync::Arc;

async fn open() -> (tempfile::TempDir, SqliteStore) {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&folder.path().join("data/portico.db")).await.unwrap();
    (folder, store)
}

#[tokio::test]
async fn does_what_every_store_must() {
    let (_folder, store) = open().await;
    suite::check(&store).await;
}

#[tokio::test]
async fn seals_anew_what_every_store_must() {
    let (_folder, store) = open().await;
    suite::keys::check(&store).await;
}

#[tokio::test]
async fn a_copy_is_whole_and_a_damaged_one_is_known() {
    let (folder, store) = open().await;
    let id = organization(&store, "copied").await;
    let path = folder.path().join("copy.db");
    let copied = store.copy_to(&path).await.unwrap();
    assert_eq!(copied.check().await.unwrap(), MIGRATIONS.last().unwrap().0);
    assert!(store.copy_to(&path).await.is_err(), "a copy over a copy");
    let restored = SqliteStore::open(&path).await.unwrap();
    assert!(restored.organization(id).await.unwrap().is_some());
    restored.close().await;
    let mut bytes = std::fs::read(&path).unwrap();
    // Past the first page, whose damage would be no database at all.
    bytes[4096..12288].fill(0xA5);
    std::fs::write(&path, bytes).unwrap();
    assert!(copied.check().await.is_err());
}

#[tokio::test]
async fn only_one_gateway_and_its_user_get_in() {
    let (folder, store) = open().await;
    let path = folder.path().join("data/portico.db");
    let refused = SqliteStore::open(&path).await.err().unwrap();
    assert!(refused.message.starts_with("the data folder is in use by another gateway"), "{refused}");
    let id = organization(&store, "kept").await;
    for file in ["portico.db", "portico.db-wal", "portico.db-shm", "lock"] {
        let mode = std::fs::metadata(folder.path().join("data").join(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
    store.close().await;
    assert!(!folder.path().join("data/portico.db-wal").exists(), "the log was not put into the file");
    let store = SqliteStore::open(&path).await.unwrap();
    assert!(store.organization(id).await.unwrap().is_some(), "what was acknowledged is gone");
}

#[tokio::test]
async fn refuses_the_schema_of_a_newer_gateway() {
    let (folder, store) = open().await;
    let insert = sqlx::query(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) VALUES (999, 'x', 1, x'00', 1)",
    );
    store.writer.write(move |c| Box::pin(async move { Ok(insert.execute(c).await.map(drop)?) })).await.unwrap();
    store.close().await;
    let refused = SqliteStore::open(&folder.path().join("data/portico.db")).await.err().unwrap();
    assert!(refused.message.contains("written by a newer gateway (its schema is 999"), "{refused}");
}

#[tokio::test]
async fn beside_a_gateway_no_schema_is_changed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("portico.db");
    let options = SqliteConnectOptions::new().filename(&path).create_if_missing(true);
    let mut connection = options.connect().await.unwrap();
    let old = MIGRATIONS.iter().filter(|(version, ..)| *version < 8).map(|&(version, name, sql)| {
        Migration::new(version, name.into(), MigrationType::Simple, sqlx::SqlSafeStr::into_sql_str(sql), false)
    });
    Migrator::with_migrations(old.collect()).run(&mut connection).await.unwrap();
    sqlx::Connection::close(connection).await.unwrap();
    let running = prepare(&path).unwrap();
    let refused = SqliteStore::open_beside(&path).await.err().unwrap();
    assert!(refused.message.contains("an older version, which runs on it"), "{refused}");
    assert_eq!(schema_of(&path).await.unwrap(), 7, "it was changed under the gateway that runs");
    drop(running);
    SqliteStore::open_beside(&path).await.unwrap().close().await;
    assert_eq!(schema_of(&path).await.unwrap(), known_schema());
    // And so beside one of this version, which holds the lock.
    let _running = prepare(&path).unwrap();
    SqliteStore::open_beside(&path).await.unwrap().close().await;
}

#[tokio::test]
async fn the_connection_is_as_durable_as_promised() {
    let (_folder, store) = open().await;
    for (pragma, expected) in [("PRAGMA synchronous", 2), ("PRAGMA foreign_keys", 1)] {
        let read = sqlx::query_scalar::<_, i64>(pragma);
        let value = store.writer.write(move |c| Box::pin(async move { Ok(read.fetch_one(c).await?) })).await.unwrap();
        assert_eq!(value, expected, "{pragma}");
    }
    let mode: String = sqlx::query_scalar("PRAGMA journal_mode").fetch_one(&store.readers).await.unwrap();
    assert_eq!(mode, "wal");
}

#[tokio::test]
async fn a_failed_write_takes_nothing_of_its_batch_with_it() {
    let (_folder, store) = open().await;
    let store = Arc::new(store);
    let organization = organization(&*store, "batch").await;
    let writes = (0..300).map(|index| {
        let store = Arc::clone(&store);
        // Every third slug is taken already by its neighbour.
        let record = connection_record(organization, &format!("c{}", if index % 3 == 2 { index - 1 } else { index }));
        tokio::spawn(async move { store.connection_insert(&record).await })
    });
    let mut refused = 0;
    for outcome in futures_util::future::join_all(writes).await {
        match outcome.unwrap() {
            Ok(()) => {}
            Err(error) if error.kind == Kind::Conflict => refused += 1,
            Err(error) => panic!("{error:?}"),
        }
    }
    assert_eq!((refused, store.connections(organization).await.unwrap().len()), (100, 200));
}

#[tokio::test]
async fn what_runs_often_reads_only_what_is_unfinished() {
    let (_folder, store) = open().await;
    for query in [
        "EXPLAIN QUERY PLAN SELECT id FROM operations WHERE status IN ('queued', 'running') AND id > '' ORDER BY id LIMIT 5",
        "EXPLAIN QUERY PLAN SELECT COUNT(*) FROM operations WHERE organization = x'00' AND status = 'queued'",
        "EXPLAIN QUERY PLAN SELECT COUNT(*) FROM operations WHERE connection = x'00' AND status IN ('queued', 'running')",
        "EXPLAIN QUERY PLAN SELECT quote(id), secrets FROM operations WHERE secrets IS NOT NULL AND (id) > ('') ORDER BY id LIMIT 5",
        "EXPLAIN QUERY PLAN SELECT id FROM operations WHERE organization = x'00' ORDER BY created_at DESC, id DESC LIMIT 5",
    ] {
        let plan: Vec<(i64, i64, i64, String)> = sqlx::query_as(query).fetch_all(&store.readers).await.unwrap();
        let plan: Vec<_> = plan.into_iter().map(|(.., step)| step).collect();
        let indexed = plan.len() == 1 && plan[0].contains("INDEX operations_");
        assert!(indexed, "{query}: {plan:?}");
    }
    for (query, index) in [
        (
            "EXPLAIN QUERY PLAN SELECT * FROM events e WHERE e.organization = x'00' AND e.id > 7 ORDER BY e.id LIMIT 5",
            "events_by_organization",
        ),
        ("EXPLAIN QUERY PLAN SELECT MAX(id) FROM events WHERE operation = 'op'", "events_by_operation"),
        ("EXPLAIN QUERY PLAN SELECT * FROM events WHERE id > 7 ORDER BY id LIMIT 5", "PRIMARY KEY"),
    ] {
        let plan: Vec<(i64, i64, i64, String)> = sqlx::query_as(query).fetch_all(&store.readers).await.unwrap();
        assert!(plan.len() == 1 && plan[0].3.contains(index), "{query}: {plan:?}");
    }
}
