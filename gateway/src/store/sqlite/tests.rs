//! The shared suite over SQLite, and what only SQLite promises: the lock, the modes, the schema, commits in groups, and an audit
//! log in which each byte of the file counts.

mod audit;

use super::*;
use crate::{
    model::Kind,
    seal::{KEY_LENGTH, Sealer},
    store::{
        AuditFinding, MAX_SLUGS,
        suite::{self, connection_record, organization},
    },
};
use std::{os::unix::fs::FileExt as _, sync::Arc};

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
    let source = folder.path().join("data/portico.db");
    let copied = SqliteStore::copy(&source, &path).await.unwrap();
    assert_eq!(copied.check().await.unwrap(), MIGRATIONS.last().unwrap().0);
    assert!(SqliteStore::copy(&source, &path).await.is_err(), "a copy over a copy");
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

/// A database as the version of this schema left it.
async fn of_schema(path: &Path, schema: i64) {
    let options = SqliteConnectOptions::new().filename(path).create_if_missing(true).journal_mode(SqliteJournalMode::Wal);
    let mut connection = options.connect().await.unwrap();
    let old = MIGRATIONS.iter().filter(|(version, ..)| *version <= schema).map(|&(version, name, sql)| {
        Migration::new(version, name.into(), MigrationType::Simple, sqlx::SqlSafeStr::into_sql_str(sql), false)
    });
    Migrator::with_migrations(old.collect()).run(&mut connection).await.unwrap();
    sqlx::Connection::close(connection).await.unwrap();
}

#[tokio::test]
async fn only_the_start_of_a_gateway_changes_the_schema() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("portico.db");
    let before = known_schema() - 1;
    of_schema(&path, before).await;
    let refused = async || {
        let refused = SqliteStore::open_beside(&path).await.err().unwrap();
        assert!(refused.message.contains("the schema of an older version"), "{refused}");
        assert!(refused.message.contains("start this version's gateway once"), "{refused}");
        assert_eq!(schema_of(&path).await.unwrap(), before, "a command changed it");
    };
    refused().await;
    let running = prepare(&path).unwrap();
    refused().await;
    drop(running);
    SqliteStore::open(&path).await.unwrap().close().await;
    assert_eq!(schema_of(&path).await.unwrap(), known_schema());
    // Beside one of this version, which holds the lock, nothing has to be changed.
    let _running = prepare(&path).unwrap();
    SqliteStore::open_beside(&path).await.unwrap().close().await;
}

/// The way back: the version that wrote it opens both.
#[tokio::test]
async fn a_copy_of_an_older_database_leaves_both_as_they_were() {
    let folder = tempfile::tempdir().unwrap();
    for &(schema, ..) in MIGRATIONS {
        let (path, copy) = (folder.path().join(format!("{schema}.db")), folder.path().join(format!("copy-{schema}.db")));
        of_schema(&path, schema).await;
        let copied = SqliteStore::copy(&path, &copy).await.unwrap();
        assert_eq!(copied.check().await.unwrap(), schema);
        assert_eq!(copied.sealed_counts().await.unwrap(), [], "of {schema}");
        assert_eq!((schema_of(&path).await.unwrap(), schema_of(&copy).await.unwrap()), (schema, schema));
        // And this version brings the copy up to date like the database itself.
        SqliteStore::open(&copy).await.unwrap().close().await;
        assert_eq!(schema_of(&copy).await.unwrap(), known_schema());
    }
}

#[tokio::test]
async fn a_copy_of_what_is_no_database_of_ours_or_a_newer_one_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (empty, newer) = (folder.path().join("empty.db"), folder.path().join("newer.db"));
    of_schema(&empty, 0).await;
    of_schema(&newer, known_schema()).await;
    let mut connection = SqliteConnectOptions::new().filename(&newer).connect().await.unwrap();
    sqlx::query("UPDATE _sqlx_migrations SET version = 999 WHERE version = 1").execute(&mut connection).await.unwrap();
    sqlx::Connection::close(connection).await.unwrap();
    let copied = SqliteStore::copy(&empty, &folder.path().join("empty-copy.db")).await.unwrap();
    assert!(copied.check().await.unwrap_err().message.contains("has no schema"));
    let refused = SqliteStore::copy(&newer, &folder.path().join("newer-copy.db")).await.err().unwrap();
    assert!(refused.message.contains("written by a newer gateway (its schema is 999"), "{refused}");
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

/// The header of a row's record as SQLite writes it: its size, and the type of each column. With all columns, and with those alone
/// that must be there.
const FULL: [u8; 13] = [13, 0, 1, 44, 27, 31, 49, 41, 21, 2, 15, 17, 76];
const BARE: [u8; 13] = [13, 0, 1, 0, 27, 0, 49, 0, 21, 0, 0, 0, 76];
/// Where SQLite counts the changes of a file: it keeps what it has read as long as this stays.
const CHANGES: u64 = 24;

fn chain_key() -> ChainKey {
    Sealer::new(&[7; KEY_LENGTH]).unwrap().chain_key().unwrap()
}

/// A file with the rows 1 to 5, of which 4 is bare, that is spoiled byte by byte, and SQLite's view of it.
struct Spoiled {
    folder: tempfile::TempDir,
    file: File,
    bytes: Vec<u8>,
    changes: u32,
    view: SqliteConnection,
    key: ChainKey,
}

impl Spoiled {
    async fn new() -> Self {
        let (folder, store) = open().await;
        store.chain_audit(chain_key()).await.unwrap();
        let organization = organization(&store, "spoiled").await;
        for row in 1..=5 {
            let full = |text: &str| (row != 4).then(|| text.to_owned());
            let entry = AuditEntry {
                // One byte in the file, also of the first.
                at: Timestamp::from_millis(row + 1),
                organization: (row != 4).then_some(organization),
                principal: "token:1".to_owned(),
                client: (row != 4).then_some([192, 0, 2, 1].into()),
                action: "connections.create".to_owned(),
                target: full("/connections/a"),
                outcome: "done".to_owned(),
                status: (row != 4).then_some(201),
                request_id: full("r"),
                operation: full("op"),
            };
            store.audit(&entry).await.unwrap();
        }
        store.close().await;
        let path = folder.path().join("data/portico.db");
        // Without a write-ahead log, so that the file is all that there is.
        let options = SqliteConnectOptions::new().filename(&path).journal_mode(SqliteJournalMode::Delete);
        let view = options.connect().await.unwrap();
        let file = OpenOptions::new().read(true).write(true).open(&path).unwrap();
        Self { folder, file, bytes: std::fs::read(&path).unwrap(), changes: 1 << 30, view, key: chain_key() }
    }

    /// Where the record of this row begins; its length and the row's number are the two bytes before it.
    fn record(&self, row: u8, header: &[u8; 13]) -> usize {
        let wanted = [&[row][..], header.as_slice()].concat();
        let found: Vec<_> = self.bytes.windows(14).enumerate().filter(|(_, bytes)| *bytes == wanted).collect();
        assert_eq!(found.len(), 1, "row {row}");
        found[0].0 + 1
    }

    fn put(&mut self, at: usize, byte: u8) {
        self.file.write_all_at(&[byte], at as u64).unwrap();
        self.changes += 1;
        self.file.write_all_at(&self.changes.to_be_bytes(), CHANGES).unwrap();
    }

    async fn check(&mut self) -> Vec<AuditFinding> {
        verify::check(&mut self.view, &self.key, None).await.unwrap().findings
    }

    async fn with(&mut self, at: usize, byte: u8) -> Vec<AuditFinding> {
        self.put(at, byte);
        let findings = self.check().await;
        self.put(at, self.bytes[at]);
        findings
    }

    /// Each of these values in this place of the row's record must be found, and the row named.
    async fn must_name(&mut self, row: i64, at: usize, values: impl Iterator<Item = u8>) {
        let was = self.bytes[at];
        for byte in values.filter(|byte| *byte != was) {
            let found = self.with(at, byte).await;
            let first = found.first().and_then(|finding| finding.row);
            assert_eq!(first, Some(row), "{was} became {byte} at {at}: {found:?}");
        }
    }
}

/// Of a column's type, what another one says just as well. The first is the row's number, which SQLite keeps elsewhere: nothing
/// reads its place in the record unless it takes room there. None is written as 0, and read from two reserved numbers, too.
fn says_the_same(column: usize, was: u8, byte: u8) -> bool {
    (column == 0 && (8..=13).contains(&byte)) || (was == 0 && matches!(byte, 10 | 11))
}

#[tokio::test]
async fn one_byte_of_a_row_in_the_file_is_found_whichever_it_is() {
    let mut log = Spoiled::new().await;
    assert_eq!(log.check().await, []);
    let record = log.record(3, &FULL);
    for (index, was) in FULL.into_iter().enumerate() {
        let heard = |byte: &u8| index == 0 || !says_the_same(index - 1, was, *byte);
        log.must_name(3, record + index, (0..=255).filter(heard)).await;
    }
    for at in record + FULL.len()..record + usize::from(log.bytes[record - 2]) {
        let was = log.bytes[at];
        log.must_name(3, at, [was ^ 1, was ^ 0x80].into_iter()).await;
    }
    let bare = log.record(4, &BARE);
    for (index, was) in BARE.into_iter().enumerate() {
        let heard = |byte: &u8| index == 0 || !says_the_same(index - 1, was, *byte);
        let bits = (0..8).map(|bit| was ^ (1 << bit));
        log.must_name(4, bare + index, (0..=21).chain(bits).filter(heard)).await;
    }
    // The length of the record and the row's own number: it may stand elsewhere then, and others go missing.
    for at in [record - 2, record - 1] {
        for byte in (0..=255).filter(|byte| *byte != log.bytes[at]).collect::<Vec<_>>() {
            let found = log.with(at, byte).await;
            assert!(found.iter().any(|finding| finding.row.is_some()), "{byte} at {at}: {found:?}");
        }
    }
    assert_eq!(log.check().await, [], "it is as it was");
}

#[tokio::test]
async fn a_value_of_another_type_is_found_by_the_command_as_well() {
    let mut log = Spoiled::new().await;
    let (record, path) = (log.record(3, &FULL), log.folder.path().join("data/portico.db"));
    // Texts become blobs of the same bytes, and blobs texts.
    for at in [3, 4, 5, 6, 7, 8, 10, 11, 12].map(|index| record + index) {
        log.put(at, log.bytes[at] ^ 1);
        let findings = SqliteStore::verify_audit(&path, &chain_key(), None).await.unwrap().findings;
        assert_eq!(findings.first().and_then(|finding| finding.row), Some(3), "{at}: {findings:?}");
        log.put(at, log.bytes[at]);
    }
}

#[tokio::test]
async fn what_was_found_before_an_unreadable_row_is_told() {
    let mut log = Spoiled::new().await;
    let second = log.record(2, &FULL) + FULL.len() + 20;
    log.put(second, log.bytes[second] ^ 1);
    let third = log.record(3, &FULL);
    let found = log.with(third, 12).await;
    assert_eq!(found.iter().map(|finding| finding.row).collect::<Vec<_>>(), [Some(2), Some(3)], "{found:?}");
    // Nobody knows of rows 4 and 5, which are there.
    assert!(found[1].what.starts_with("can't be read: ") && found[1].what.contains("after it"), "{found:?}");
    let path = log.folder.path().join("data/portico.db");
    log.put(third, 12);
    let report = SqliteStore::verify_audit(&path, &chain_key(), None).await.unwrap();
    assert_eq!(report.findings, found, "the command tells the same");
}

#[tokio::test]
async fn an_empty_seal_is_not_a_head_that_is_missing() {
    let mut log = Spoiled::new().await;
    let cut = "DROP TRIGGER audit_stays_as_it_is; DROP TRIGGER audit_goes_by_age; DELETE FROM audit WHERE id > 2; \
        UPDATE audit_head SET last_id = 2, last_mac = (SELECT mac FROM audit WHERE id = 2), seal = x''";
    sqlx::raw_sql(cut).execute(&mut log.view).await.unwrap();
    let found = log.check().await;
    assert_eq!(found.iter().map(|finding| finding.row).collect::<Vec<_>>(), [None], "{found:?}");
    assert!(found[0].what.contains("was altered"), "{found:?}");
}

#[tokio::test]
async fn an_operation_without_secrets_is_read_though_nothing_can_be_written() {
    let (_folder, store) = open().await;
    let organization = organization(&store, "acme").await;
    let mut accepted = Vec::new();
    for _ in 0..2 {
        let new = suite::new_operation(organization, 10);
        store.operation_accept(&new).await.unwrap();
        accepted.push(new.operation.id);
    }
    let update = sqlx::query("UPDATE operations SET secrets = x'07' WHERE id = ?").bind(accepted[1].as_str().to_owned());
    store.writer.write(move |c| Box::pin(async move { Ok(update.execute(c).await.map(drop)?) })).await.unwrap();
    store.writer.close().await;
    let now = Timestamp::from_millis(20);
    let key = KeyRef { organization, scope: "s".to_owned(), key: "k".to_owned() };
    for key in [None, Some(&key)] {
        assert_eq!(store.operation_take_secrets(organization, &accepted[0], key, now).await.unwrap(), None);
    }
    // What is shown once is shown only when that was written.
    assert!(store.operation_take_secrets(organization, &accepted[1], None, now).await.is_err());
}

#[tokio::test]
async fn writes_that_the_store_cannot_carry_out_are_counted() {
    let (_folder, store) = open().await;
    let counter = IntCounter::new("failures", "failures").unwrap();
    store.count_failures(&counter);
    let id = organization(&store, "acme").await;
    let record = connection_record(id, "a");
    store.connection_insert(&record).await.unwrap();
    assert_eq!(store.connection_insert(&connection_record(id, "a")).await.unwrap_err().kind, Kind::Conflict);
    assert_eq!(counter.get(), 0, "a refusal is no failure of the store");
    let full = sqlx::query("CREATE TRIGGER full BEFORE INSERT ON organizations BEGIN SELECT RAISE(FAIL, 'full'); END");
    store.writer.write(move |c| Box::pin(async move { Ok(full.execute(c).await.map(drop)?) })).await.unwrap();
    let slug = Slug::parse("b").unwrap();
    let other = Organization { id: OrganizationId(Uuid::new_v4()), slug, name: "B".to_owned(), created_at: record.created_at };
    assert_eq!(store.organization_insert(&other).await.unwrap_err().kind, Kind::Gateway);
    assert_eq!(counter.get(), 1);
}

#[tokio::test]
async fn ids_of_connections_that_are_kept_for_good_are_bounded() {
    let (_folder, store) = open().await;
    let id = organization(&store, "acme").await;
    let fill = sqlx::query(
        "INSERT INTO connection_slugs (organization, slug) WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n \
         WHERE i < ?) SELECT ?, 'was-' || i FROM n",
    )
    .bind(MAX_SLUGS - 1)
    .bind(rows::blob(id.0));
    store.writer.write(move |c| Box::pin(async move { Ok(fill.execute(c).await.map(drop)?) })).await.unwrap();
    store.connection_insert(&connection_record(id, "last")).await.unwrap();
    let refused = store.connection_insert(&connection_record(id, "more")).await.unwrap_err();
    assert_eq!((refused.kind, refused.code()), (Kind::Conflict, "too_many_connections"));
    assert!(refused.message.contains("never used again"), "{refused}");
}
