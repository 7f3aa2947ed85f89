//! The index by which the log is listed, against someone who makes it show other rows than there are.
//!
//! Each test alters the schema of the file, which only a new connection reads. Invariant: what lists leave out is named.

use super::*;

const INDEX: &str = "CREATE INDEX audit_by_organization ON audit (organization, id)";

impl Log {
    /// Over a connection of its own, which reads the schema as it stands then.
    async fn run(&self, statements: &str) {
        let mut connection = SqliteConnectOptions::new().filename(&self.path).connect().await.unwrap();
        let statements = sqlx::AssertSqlSafe(statements.to_owned());
        sqlx::raw_sql(statements).execute(&mut connection).await.unwrap();
        sqlx::Connection::close(connection).await.unwrap();
    }

    async fn say(&self, index: &str) {
        let text = index.replace('\'', "''");
        let update = format!("UPDATE sqlite_schema SET sql = '{text}' WHERE name = 'audit_by_organization'");
        self.run(&format!("PRAGMA writable_schema = ON; {update}")).await;
    }

    async fn make(&self, index: &str) {
        self.say(index).await;
        self.run("REINDEX audit_by_organization").await;
    }

    async fn listed(&self) -> Vec<i64> {
        let rows = self.store.audit_rows(self.organization, &AuditFilter::default(), None, 100).await.unwrap();
        rows.iter().map(|row| row.id).collect()
    }
}

#[tokio::test]
async fn a_row_that_lists_leave_out_is_named() {
    // Row 5 has no entry, or one under another organization.
    let moved = "CREATE INDEX audit_by_organization ON audit (CASE id WHEN 5 THEN x'00' ELSE organization END, id)";
    for index in [format!("{INDEX} WHERE id <> 5"), moved.to_owned()] {
        let log = log().await;
        log.make(&index).await;
        log.say(INDEX).await;
        assert_eq!(log.listed().await, [10, 9, 8, 7, 6, 4, 3, 2, 1], "{index}");
        let found = log.check(None).await.findings;
        assert_eq!(found.iter().map(|finding| finding.row).collect::<Vec<_>>(), [Some(5)], "{found:?}");
        assert!(found[0].what.contains("which leave it out"), "{found:?}");
        log.run("REINDEX audit_by_organization").await;
        assert_eq!((log.listed().await.len(), log.check(None).await.findings), (10, Vec::new()));
    }
}

#[tokio::test]
async fn an_entry_in_a_wrong_place_is_found() {
    let log = log().await;
    log.make("CREATE INDEX audit_by_organization ON audit (organization, id DESC)").await;
    log.say(INDEX).await;
    assert_ne!(log.check(None).await.findings, []);
}

#[tokio::test]
async fn an_index_that_is_another_is_told() {
    let turned = "CREATE INDEX audit_by_organization ON audit (organization, -id)";
    for index in [format!("{INDEX} WHERE id <> 5"), turned.to_owned()] {
        let log = log().await;
        log.make(&index).await;
        let found = log.check(None).await.findings;
        assert!(found.len() == 1 && found[0].row.is_none() && found[0].what.contains("index"), "{found:?}");
    }
    let log = log().await;
    log.run("ALTER TABLE audit RENAME TO out_of_reach; ALTER TABLE out_of_reach RENAME TO audit").await;
    assert_eq!(log.check(None).await.findings, [], "it is the same");
    log.run("DROP INDEX audit_by_organization").await;
    assert_eq!(log.first_bad().await, Some(None));
}

/// SQLite may read a table from an index that has all that is asked for.
#[tokio::test]
async fn a_check_reads_the_table_whatever_an_index_shows() {
    let log = log().await;
    log.alter(&[]).await;
    let columns = "id, at, status, organization, principal, client, action, target, outcome, request_id, operation, mac";
    let forget = "PRAGMA writable_schema = ON; DELETE FROM sqlite_schema WHERE name = 'shown'";
    let keep = "CREATE TABLE kept AS SELECT * FROM sqlite_schema WHERE name = 'shown'";
    log.run(&format!("CREATE INDEX shown ON audit ({columns}); {keep}; {forget}")).await;
    log.run("UPDATE audit SET principal = 'token:2' WHERE id = 4").await;
    log.run("PRAGMA writable_schema = ON; INSERT INTO sqlite_schema SELECT * FROM kept").await;
    let small = "INSERT INTO sqlite_stat1 VALUES ('audit', 'shown', '100000 1 sz=1')";
    log.run(&format!("ANALYZE; DELETE FROM sqlite_stat1; {small}")).await;
    assert_eq!(log.first_bad().await, Some(Some(4)));
}
