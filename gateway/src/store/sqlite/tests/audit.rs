//! The chain of the audit log against someone who has the database and not the key.
//!
//! Each test writes a log, alters the file as SQL can, and asks which row is named. Invariant: an untouched log is whole.

mod beginning;
mod listed;

use super::*;
use crate::{
    seal::{KEY_LENGTH, Sealer},
    store::{AuditEntry, AuditFilter, AuditMark, AuditReport},
};
use std::path::PathBuf;

struct Log {
    folder: tempfile::TempDir,
    path: PathBuf,
    store: SqliteStore,
    organization: OrganizationId,
}

fn key() -> ChainKey {
    Sealer::new(&[7; KEY_LENGTH]).unwrap().chain_key().unwrap()
}

fn entry(organization: OrganizationId, at: i64) -> AuditEntry {
    AuditEntry {
        at: Timestamp::from_millis(at),
        organization: Some(organization),
        principal: "token:1".to_owned(),
        client: Some([192, 0, 2, 1].into()),
        action: "connections.create".to_owned(),
        target: Some("/connections/a".to_owned()),
        outcome: "done".to_owned(),
        status: Some(201),
        request_id: Some("r".to_owned()),
        operation: Some("op".to_owned()),
    }
}

/// Ten rows; the migrations' rows come first in a real log, here there are none.
async fn log() -> Log {
    let (folder, store) = open().await;
    let path = folder.path().join("data/portico.db");
    store.chain_audit(key()).await.unwrap();
    let organization = organization(&store, "audited").await;
    for at in 1..=10 {
        store.audit(&entry(organization, at)).await.unwrap();
    }
    Log { folder, path, store, organization }
}

impl Log {
    /// As someone would who has the file: nothing of ours is in the way.
    async fn alter(&self, statements: &[&str]) {
        let mut all = vec!["DROP TRIGGER IF EXISTS audit_stays_as_it_is", "DROP TRIGGER IF EXISTS audit_goes_by_age"];
        all.extend(statements);
        for statement in all {
            let statement = sqlx::AssertSqlSafe(statement.to_owned());
            let altered = self
                .store
                .writer
                .write(move |c| Box::pin(async move { Ok(sqlx::query(statement).execute(c).await.map(drop)?) }));
            altered.await.unwrap();
        }
    }

    async fn check(&self, noted: Option<&AuditMark>) -> AuditReport {
        SqliteStore::verify_audit(&self.path, &key(), noted).await.unwrap()
    }

    async fn first_bad(&self) -> Option<Option<i64>> {
        self.check(None).await.findings.first().map(|finding| finding.row)
    }
}

#[tokio::test]
async fn an_untouched_log_is_whole_and_tells_its_head() {
    let log = log().await;
    let report = log.check(None).await;
    assert_eq!((report.rows, report.first, report.head.id, report.unchained), (10, 1, 10, 0));
    assert_eq!(report.findings, []);
    let other = Sealer::new(&[8; KEY_LENGTH]).unwrap().chain_key().unwrap();
    assert_ne!(SqliteStore::verify_audit(&log.path, &other, None).await.unwrap().findings, [], "another key finds it whole");
    // Also after it was closed cleanly, which takes the write-ahead log away.
    log.store.close().await;
    assert_eq!(log.check(Some(&report.head)).await, report);
}

#[tokio::test]
async fn one_byte_in_any_column_is_found_and_the_row_named() {
    for change in [
        "at = at + 1",
        "organization = x'00000000000000000000000000000000'",
        "organization = NULL",
        "principal = 'token:2'",
        "client = '192.0.2.2'",
        "client = NULL",
        "action = 'connections.delete'",
        "target = '/connections/b'",
        "target = NULL",
        "outcome = 'Done'",
        "status = 202",
        "status = NULL",
        "request_id = 's'",
        "request_id = ''",
        "operation = 'oq'",
        "operation = NULL",
        "mac = zeroblob(32)",
        "mac = NULL",
        // What moves from one column to the next.
        "action = 'connections.', target = 'create/connections/a'",
        "outcome = 'x', principal = principal || ''",
    ] {
        let log = log().await;
        log.alter(&[&format!("UPDATE audit SET {change} WHERE id = 4")]).await;
        assert_eq!(log.first_bad().await, Some(Some(4)), "{change}");
    }
    let log = log().await;
    log.alter(&["UPDATE audit SET principal = CAST(x'ff' AS TEXT) WHERE id = 4"]).await;
    assert_eq!(log.first_bad().await, Some(Some(4)), "bytes that are no text");
}

#[tokio::test]
async fn rows_that_go_come_or_move_are_found() {
    for (statements, bad) in [
        (&["DELETE FROM audit WHERE id = 5"] as &[&str], 5),
        (&["DELETE FROM audit WHERE id BETWEEN 5 AND 7"], 5),
        (&["DELETE FROM audit WHERE id = 1"], 1),
        (&["UPDATE audit SET id = -id", "UPDATE audit SET id = CASE id WHEN -3 THEN 6 WHEN -6 THEN 3 ELSE -id END"], 3),
        (&["DELETE FROM audit WHERE id = 5", "UPDATE audit SET id = id - 1 WHERE id > 5"], 5),
        (
            &[
                "INSERT INTO audit SELECT 11, at, organization, principal, client, action, target, outcome, status, request_id, operation, mac FROM audit WHERE id = 10",
            ],
            11,
        ),
        // The newest rows cut off.
        (&["DELETE FROM audit WHERE id > 7"], 8),
        (&["DELETE FROM audit"], 1),
        (&["DELETE FROM audit", "UPDATE audit_head SET last_id = 0, last_mac = base_mac"], 0),
        (
            &[
                "DELETE FROM audit WHERE id > 7",
                "UPDATE audit_head SET last_id = 7, last_mac = (SELECT mac FROM audit WHERE id = 7)",
            ],
            0,
        ),
        (&["DELETE FROM audit_head"], 0),
        (&["UPDATE audit_head SET base_id = 3, base_mac = (SELECT mac FROM audit WHERE id = 3)"], 0),
    ] {
        let log = log().await;
        log.alter(statements).await;
        let found = log.first_bad().await;
        assert_eq!(found, Some((bad > 0).then_some(bad)), "{statements:?}");
        // A row that the gateway adds later makes nothing good again.
        log.store.audit(&entry(log.organization, 20)).await.unwrap();
        assert!(log.first_bad().await.is_some(), "{statements:?} was healed by the next row");
    }
}

#[tokio::test]
async fn what_was_noted_elsewhere_finds_an_older_database() {
    let log = log().await;
    // What its attacker kept: the file as it was.
    let older = log.folder.path().join("older.db");
    let mut aside = SqliteConnectOptions::new().filename(&log.path).connect().await.unwrap();
    let copy = format!("VACUUM INTO '{}'", older.display());
    sqlx::query(sqlx::AssertSqlSafe(copy)).execute(&mut aside).await.unwrap();
    sqlx::Connection::close(aside).await.unwrap();
    log.store.audit(&entry(log.organization, 20)).await.unwrap();
    let head = log.check(None).await.head;
    assert_eq!(head.id, 11);
    let check = async |noted: Option<&AuditMark>| SqliteStore::verify_audit(&older, &key(), noted).await.unwrap().findings;
    assert_eq!(check(None).await, [], "by itself, an older whole log is a whole log");
    assert_eq!(check(Some(&head)).await[0].row, Some(11));
    let wrong = AuditMark { id: 3, mac: [1; 32] };
    assert_eq!(log.check(Some(&wrong)).await.findings[0].row, Some(3));
    assert_eq!(log.check(Some(&head)).await.findings, []);
}

#[tokio::test]
async fn old_rows_go_and_the_rest_stays_whole() {
    let log = log().await;
    let prune = async |before: i64, batch: u32| log.store.audit_prune(Timestamp::from_millis(before), batch).await.unwrap();
    let noted = log.check(None).await.head;
    assert_eq!((prune(1, 100).await, prune(5, 2).await, prune(5, 100).await, prune(5, 100).await), (0, 2, 2, 0));
    let report = log.check(Some(&noted)).await;
    assert_eq!((report.rows, report.first, report.head.id, report.findings), (6, 5, 10, Vec::new()));
    assert_eq!(prune(100, 100).await, 6);
    log.store.audit(&entry(log.organization, 20)).await.unwrap();
    let report = log.check(None).await;
    assert_eq!((report.rows, report.first, report.head.id, report.findings), (1, 11, 11, Vec::new()));
    // Nothing but age takes a row away, and nothing changes one.
    for statement in ["DELETE FROM audit", "UPDATE audit SET principal = 'x'"] {
        let tried =
            log.store.writer.write(move |c| Box::pin(async move { Ok(sqlx::query(statement).execute(c).await.map(drop)?) }));
        assert!(tried.await.is_err(), "{statement}");
    }
    log.alter(&["UPDATE audit_head SET seal = zeroblob(32)"]).await;
    assert_eq!(prune(100, 100).await, 0, "evidence was removed");
}

#[tokio::test]
async fn a_row_that_was_made_old_stays_to_be_found() {
    for change in ["at = 0", "at = 0, mac = NULL", "at = 0 WHERE id > 3"] {
        let log = log().await;
        log.alter(&[&format!("UPDATE audit SET {change}")]).await;
        let bad = log.first_bad().await;
        assert!(log.store.audit_prune(Timestamp::from_millis(4), 100).await.unwrap() <= 3, "{change}");
        assert!(bad.is_some() && log.first_bad().await == bad, "{change} went by its age");
    }
}

#[tokio::test]
async fn what_was_taken_away_whole_is_missed_also_when_the_log_goes_on() {
    for statements in [
        &["DELETE FROM audit", "DELETE FROM audit_head"] as &[&str],
        &["DELETE FROM audit WHERE id > 3", "UPDATE audit SET principal = 'token:2', mac = NULL", "DELETE FROM audit_head"],
    ] {
        let log = log().await;
        log.alter(statements).await;
        assert_eq!(log.first_bad().await, Some(None), "{statements:?}");
        log.store.audit(&entry(log.organization, 11)).await.unwrap();
        let report = log.check(None).await;
        assert!(report.findings[0].what.contains("or none"), "{statements:?}: {:?}", report.findings);
        // And for good.
        log.store.audit(&entry(log.organization, 12)).await.unwrap();
        assert!(log.first_bad().await.is_some(), "{statements:?}");
    }
}

/// Three rows of an older version, and one after the chain began.
async fn older_than_its_chain() -> Log {
    let (folder, store) = open().await;
    let path = folder.path().join("data/portico.db");
    let organization = organization(&store, "old").await;
    for at in 1..=3 {
        store.audit(&entry(organization, at)).await.unwrap();
    }
    store.chain_audit(key()).await.unwrap();
    store.audit(&entry(organization, 4)).await.unwrap();
    Log { folder, path, store, organization }
}

#[tokio::test]
async fn rows_from_before_the_chain_stay_and_are_told() {
    let log = older_than_its_chain().await;
    let report = SqliteStore::verify_audit(&log.path, &key(), None).await.unwrap();
    // Nobody can say of them whether they were altered: that it begins after them is a row of its own.
    let found = report.findings.iter().map(|finding| finding.row).collect::<Vec<_>>();
    assert_eq!((report.unchained, report.rows, report.first, found), (3, 2, 4, vec![Some(4)]));
    let listed = log.store.audit_rows(log.organization, &AuditFilter::default(), None, 10).await.unwrap();
    assert_eq!(listed.iter().map(|row| row.id).collect::<Vec<_>>(), [5, 3, 2, 1]);
}

#[tokio::test]
async fn the_log_of_before_is_taken_over() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("portico.db");
    let options = SqliteConnectOptions::new().filename(&path).create_if_missing(true);
    let mut connection = options.connect().await.unwrap();
    let old = MIGRATIONS.iter().filter(|(version, ..)| *version < 6).map(|&(version, name, sql)| {
        Migration::new(version, name.into(), MigrationType::Simple, sqlx::SqlSafeStr::into_sql_str(sql), false)
    });
    Migrator::with_migrations(old.collect()).run(&mut connection).await.unwrap();
    for statement in [
        "INSERT INTO organizations VALUES (x'00000000000000000000000000000001', 'acme', 'Acme', 1)",
        "INSERT INTO operations (id, organization, connection, connection_slug, principal, action, target_kind, status, created_at, updated_at) VALUES ('op_00000000000000000000000000000001', x'00000000000000000000000000000001', x'02', 'docker', 'token:1', 'sites.stop', 'site', 'succeeded', 1, 1)",
        "INSERT INTO idempotency VALUES (x'00000000000000000000000000000001', 's', 'k', zeroblob(32), 'op_00000000000000000000000000000001', 100)",
        "INSERT INTO audit (id, organization, at, principal, action, connection_slug, operation, outcome) VALUES (3, x'00000000000000000000000000000001', 5, 'token:1', 'sites.stop', 'docker', 'op_00000000000000000000000000000001', 'accepted')",
    ] {
        sqlx::query(statement).execute(&mut connection).await.unwrap();
    }
    sqlx::Connection::close(connection).await.unwrap();
    let store = SqliteStore::open(&path).await.unwrap();
    store.chain_audit(key()).await.unwrap();
    let organization = OrganizationId(Uuid::from_u128(1));
    let rows = store.audit_rows(organization, &AuditFilter::default(), None, 10).await.unwrap();
    assert_eq!((rows.len(), rows[0].id, rows[0].entry.outcome.as_str()), (1, 1, "accepted"));
    let report = SqliteStore::verify_audit(&path, &key(), None).await.unwrap();
    assert_eq!((report.unchained, report.first, report.findings.len()), (1, 2, 1));
    let kept: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM idempotency WHERE operation IS NOT NULL")
        .fetch_one(&store.readers)
        .await
        .unwrap();
    assert_eq!(kept, 1);
}
