//! SQLite: the embedded store, one file in the data folder.
//!
//! In goes the file's path; out comes a store whose schema is current. Writes go through one connection and are committed
//! together ([`writer`]); reads have connections of their own and never wait for writes. Invariant: one process at a time, held
//! by a lock beside the file, nobody but its user can read the file, and nothing but the start of a gateway changes its schema. It
//! doesn't know what an operation's states mean.

mod actors;
mod audit;
mod backup;
mod connections;
mod events;
mod idempotency;
mod identity;
mod keys;
mod labels;
mod operations;
mod prune;
mod rows;
mod runner;
mod sessions;
#[cfg(test)]
mod tests;
mod tokens;
mod users;
mod verify;
mod writer;

pub use backup::{Copied, copy_progress};

use super::{
    Acceptance, AuditEntry, AuditFilter, AuditMark, AuditReport, AuditRow, Claim, ConnectionRecord, EventRecord, EventScope,
    EventSpan, Fence, Finish, HealthEvent, KeyEnd, KeyRef, LabelRecord, ListFilter, NewOperation, OpenCounts, OperationRecord,
    Organization, Outcome, Reservation, Reserved, Store,
};
use crate::{
    model::{ConnectionId, Error, Labels, Operation, OperationId, OrganizationId, Slug, Timestamp},
    seal::ChainKey,
};
use async_trait::async_trait;
use prometheus::IntCounter;
use rustix::fs::{FlockOperation, flock};
use sqlx::{
    ConnectOptions as _, SqliteConnection, SqlitePool,
    migrate::{MigrateError, Migration, MigrationType, Migrator},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use std::{
    cmp::Ordering,
    collections::BTreeMap,
    fs::{DirBuilder, File, OpenOptions},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt},
    path::Path,
    time::Duration,
};
use tokio::sync::watch;
use uuid::Uuid;
use writer::Writer;

const MIGRATIONS: &[(i64, &str, &str)] = &[
    (1, "initial", include_str!("migrations/1_initial.sql")),
    (2, "events", include_str!("migrations/2_events.sql")),
    (3, "labels", include_str!("migrations/3_labels.sql")),
    (4, "tokens", include_str!("migrations/4_tokens.sql")),
    (5, "users", include_str!("migrations/5_users.sql")),
    (6, "idempotency", include_str!("migrations/6_idempotency.sql")),
    (7, "audit", include_str!("migrations/7_audit.sql")),
    (8, "keys", include_str!("migrations/8_keys.sql")),
    (9, "operations", include_str!("migrations/9_operations.sql")),
];
/// Reading connections; each has a thread.
const READERS: u32 = 4;
/// Only another program (a backup, an operator's shell) can hold the database: the lock keeps other gateways out.
const BUSY: Duration = Duration::from_secs(10);

pub struct SqliteStore {
    writer: Writer,
    readers: SqlitePool,
}

impl SqliteStore {
    /// Opens or makes the database at `path`, and brings its schema up to date. Fails when another process has it open, or
    /// when a newer gateway wrote it.
    pub async fn open(path: &Path) -> Result<Self, Error> {
        let lock = prepare(path)?;
        migrate_file(path).await?;
        Self::connect(path, Some(lock)).await
    }

    /// Opens the database of a gateway that may be running, for a command that reads it or adds a row. It holds no lock, and so
    /// must not run operations. An older schema is refused and left as it is, also where no gateway runs: the version that wrote
    /// it couldn't open it any more.
    pub async fn open_beside(path: &Path) -> Result<Self, Error> {
        let schema = schema_of(path).await?;
        match schema.cmp(&known_schema()) {
            Ordering::Less => Err(older(path, schema)),
            Ordering::Equal => Self::connect(path, None).await,
            Ordering::Greater => Err(newer(path, schema)),
        }
    }

    /// The number of the schema that this version writes.
    pub fn schema() -> i64 {
        known_schema()
    }

    /// From now on rows of the audit log are chained with this key. The chain begins here, unless it began before.
    pub async fn chain_audit(&self, key: ChainKey) -> Result<(), Error> {
        self.writer.set_chain(key)?;
        audit::begin(&self.writer).await
    }

    /// Checks the audit log of a database, without writing, beside a gateway that may be running.
    pub async fn verify_audit(path: &Path, key: &ChainKey, noted: Option<&AuditMark>) -> Result<AuditReport, Error> {
        verify::audit(path, key, noted).await
    }

    async fn connect(path: &Path, lock: Option<File>) -> Result<Self, Error> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(BUSY);
        let connection = options.clone().connect().await?;
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS)
            .test_before_acquire(false)
            .acquire_timeout(BUSY)
            .connect_with(options.read_only(true))
            .await?;
        Ok(Self { writer: Writer::start(connection, lock).await?, readers })
    }

    /// Finishes what was handed in, and frees the data folder for the next process. Later calls fail.
    pub async fn close(&self) {
        // The writer last: the last to leave puts the log into the file, and readers may not.
        self.readers.close().await;
        self.writer.close().await;
    }
}

/// Makes folder and file with the right modes, and takes the lock.
fn prepare(path: &Path) -> Result<File, Error> {
    let at = |path: &Path| {
        let path = path.display().to_string();
        move |error: std::io::Error| Error::gateway(format_args!("could not open {path}: {error}"))
    };
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(at(folder))?;
    let private = |path: &Path| {
        let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path)?;
        file.set_permissions(PermissionsExt::from_mode(0o600)).map(|()| file)
    };
    let lock_path = folder.join("lock");
    let lock = private(&lock_path).map_err(at(&lock_path))?;
    flock(&lock, FlockOperation::NonBlockingLockExclusive).map_err(|error| in_use(folder, error))?;
    private(path).map_err(at(path))?;
    Ok(lock)
}

fn in_use(folder: &Path, error: rustix::io::Errno) -> Error {
    let folder = folder.display();
    let text = match error {
        rustix::io::Errno::WOULDBLOCK => format!("the data folder is in use by another gateway: {folder}"),
        other => format!("could not lock the data folder {folder}: {other}"),
    };
    Error { message: text.clone(), ..Error::gateway(text) }
}

fn older(path: &Path, schema: i64) -> Error {
    let (path, known) = (path.display(), known_schema());
    if schema == 0 {
        return told(format!("{path} isn't set up yet: start the gateway, which does that"));
    }
    told(format!(
        "{path} has the schema of an older version ({schema}, this one's is {known}), which this command leaves as it is: use the \
         program of the version that wrote it, or take a copy with `portico backup` and then start this version's gateway once, \
         which brings the schema up to date"
    ))
}

/// The newest schema that this version knows.
fn known_schema() -> i64 {
    MIGRATIONS.last().map_or(0, |&(version, ..)| version)
}

async fn schema_of(path: &Path) -> Result<i64, Error> {
    let mut connection = SqliteConnectOptions::new().filename(path).read_only(true).busy_timeout(BUSY).connect().await?;
    let schema = schema_in(&mut connection).await?;
    sqlx::Connection::close(connection).await?;
    Ok(schema)
}

/// 0: none.
async fn schema_in(connection: &mut SqliteConnection) -> Result<i64, Error> {
    let table = "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = '_sqlx_migrations')";
    if !sqlx::query_scalar::<_, bool>(table).fetch_one(&mut *connection).await? {
        return Ok(0);
    }
    let newest = "SELECT COALESCE(MAX(version), 0) FROM _sqlx_migrations WHERE success";
    Ok(sqlx::query_scalar(newest).fetch_one(connection).await?)
}

async fn migrate_file(path: &Path) -> Result<(), Error> {
    let options = SqliteConnectOptions::new().filename(path).journal_mode(SqliteJournalMode::Wal).foreign_keys(true);
    let mut connection = options.synchronous(SqliteSynchronous::Full).busy_timeout(BUSY).connect().await?;
    migrate(&mut connection, path).await?;
    sqlx::Connection::close(connection).await?;
    Ok(())
}

async fn migrate(connection: &mut SqliteConnection, path: &Path) -> Result<(), Error> {
    let migrations = MIGRATIONS.iter().map(|&(version, name, sql)| {
        Migration::new(version, name.into(), MigrationType::Simple, sqlx::SqlSafeStr::into_sql_str(sql), false)
    });
    let outcome = Migrator::with_migrations(migrations.collect()).run(connection).await;
    outcome.map_err(|error| match error {
        MigrateError::VersionMissing(version) => newer(path, version),
        other => told(format!("could not bring the schema of {} up to date: {other}", path.display())),
    })
}

fn newer(path: &Path, schema: i64) -> Error {
    let (path, known) = (path.display(), known_schema());
    told(format!(
        "{path} was written by a newer gateway (its schema is {schema}, this one knows up to {known}): start that version again, or \
         restore a backup"
    ))
}

/// An error whose words are for whoever runs the command.
fn told(text: String) -> Error {
    Error { message: text.clone(), ..Error::gateway(text) }
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        Self::gateway(format_args!("database: {error}"))
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn organization_insert(&self, organization: &Organization) -> Result<(), Error> {
        connections::insert_organization(&self.writer, organization.clone()).await
    }

    async fn organization_by_slug(&self, slug: &Slug) -> Result<Option<Organization>, Error> {
        connections::organization_by_slug(&self.readers, slug).await
    }

    async fn organization(&self, id: OrganizationId) -> Result<Option<Organization>, Error> {
        connections::organization(&self.readers, id).await
    }

    async fn connection_insert(&self, connection: &ConnectionRecord) -> Result<(), Error> {
        connections::insert(&self.writer, connection.clone()).await
    }

    async fn connection_update(&self, connection: &ConnectionRecord) -> Result<(), Error> {
        connections::update(&self.writer, connection.clone()).await
    }

    async fn connection_delete(&self, id: ConnectionId, force: bool) -> Result<bool, Error> {
        connections::delete(&self.writer, id, force).await
    }

    async fn connection(&self, id: ConnectionId) -> Result<Option<ConnectionRecord>, Error> {
        connections::get(&self.readers, id).await
    }

    async fn connection_slug_used(&self, organization: OrganizationId, slug: &Slug) -> Result<bool, Error> {
        connections::slug_used(&self.readers, organization, slug).await
    }

    async fn connections(&self, organization: OrganizationId) -> Result<Vec<ConnectionRecord>, Error> {
        connections::list(&self.readers, organization).await
    }

    async fn state_load(&self, connection: ConnectionId) -> Result<Vec<(String, Vec<u8>)>, Error> {
        connections::load_state(&self.readers, connection).await
    }

    async fn state_set(&self, connection: ConnectionId, key: &str, value: &[u8]) -> Result<(), Error> {
        connections::set_state(&self.writer, connection, key.to_owned(), value.to_vec()).await
    }

    async fn state_delete(&self, connection: ConnectionId, key: &str) -> Result<(), Error> {
        connections::delete_state(&self.writer, connection, key.to_owned()).await
    }

    async fn labels(&self, organization: OrganizationId) -> Result<Vec<LabelRecord>, Error> {
        labels::list(&self.readers, organization).await
    }

    async fn labels_of(&self, connection: ConnectionId, site: &str) -> Result<Labels, Error> {
        labels::of(&self.readers, connection, site).await
    }

    async fn labels_change(
        &self,
        connection: ConnectionId,
        site: &str,
        changes: &BTreeMap<String, Option<String>>,
        now: Timestamp,
    ) -> Result<(), Error> {
        labels::change(&self.writer, connection, site.to_owned(), changes.clone(), now).await
    }

    async fn operation_accept(&self, new: &NewOperation) -> Result<Acceptance, Error> {
        operations::accept(&self.writer, new.clone()).await
    }

    async fn operation_of_key(&self, key: &KeyRef, now: Timestamp) -> Result<bool, Error> {
        operations::of_key(&self.readers, key, now).await
    }

    async fn operation(&self, organization: OrganizationId, id: &OperationId) -> Result<Option<Operation>, Error> {
        operations::get(&self.readers, organization, id).await
    }

    async fn operation_record(&self, id: &OperationId) -> Result<Option<OperationRecord>, Error> {
        operations::record_of(&self.readers, id).await
    }

    async fn operations(
        &self,
        organization: OrganizationId,
        filter: &ListFilter,
        after: Option<&(Timestamp, OperationId)>,
        limit: u32,
    ) -> Result<Vec<Operation>, Error> {
        operations::list(&self.readers, organization, filter, after, limit).await
    }

    async fn operations_open(&self, connection: ConnectionId) -> Result<u64, Error> {
        operations::open(&self.readers, connection).await
    }

    async fn operation_counts(&self) -> Result<OpenCounts, Error> {
        operations::counts(&self.readers).await
    }

    async fn operation_take_secrets(
        &self,
        organization: OrganizationId,
        id: &OperationId,
        key: Option<&KeyRef>,
        now: Timestamp,
    ) -> Result<Option<Vec<u8>>, Error> {
        operations::take_secrets((&self.readers, &self.writer), organization, id.clone(), key.cloned(), now).await
    }

    async fn runner_lease(&self, runner: Uuid, until: Timestamp) -> Result<(), Error> {
        runner::lease(&self.writer, runner, until).await
    }

    async fn runner_release(&self, runner: Uuid) -> Result<(), Error> {
        runner::release(&self.writer, runner).await
    }

    async fn operations_claimable(
        &self,
        now: Timestamp,
        after: Option<&OperationId>,
        limit: u32,
    ) -> Result<Vec<(OperationId, OrganizationId)>, Error> {
        runner::claimable(&self.readers, now, after, limit).await
    }

    async fn operation_claim(&self, id: &OperationId, owner: Uuid, now: Timestamp) -> Result<Option<Claim>, Error> {
        runner::claim(&self.writer, id.clone(), owner, now).await
    }

    async fn operation_sent(&self, fence: &Fence, digest: &[u8; 32], now: Timestamp) -> Result<(), Error> {
        runner::sent(&self.writer, fence.clone(), *digest, now).await
    }

    async fn operation_outcome(&self, fence: &Fence, outcome: &Outcome, now: Timestamp) -> Result<(), Error> {
        runner::outcome(&self.writer, fence.clone(), outcome.clone(), now).await
    }

    async fn operation_finish(&self, fence: &Fence, finish: &Finish) -> Result<(), Error> {
        runner::finish(&self.writer, fence.clone(), finish.clone()).await
    }

    async fn operation_cancel_queued(&self, id: &OperationId, now: Timestamp) -> Result<bool, Error> {
        runner::cancel_queued(&self.writer, id.clone(), now).await
    }

    async fn operations_prune(&self, before: Timestamp, batch: u32) -> Result<u64, Error> {
        operations::prune(&self.writer, before, batch).await
    }

    async fn idempotency_expire(&self, now: Timestamp) -> Result<(), Error> {
        idempotency::expire(&self.writer, now).await
    }

    async fn idempotency_reserve(&self, reservation: &Reservation) -> Result<Reserved, Error> {
        idempotency::reserve(&self.writer, reservation.clone()).await
    }

    async fn idempotency_end(&self, key: &KeyRef, owner: Uuid, end: &KeyEnd) -> Result<(), Error> {
        idempotency::end(&self.writer, key.clone(), owner, end.clone()).await
    }

    async fn audit(&self, entry: &AuditEntry) -> Result<(), Error> {
        audit::write(&self.writer, entry.clone()).await
    }

    async fn audit_rows(
        &self,
        organization: OrganizationId,
        filter: &AuditFilter,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Vec<AuditRow>, Error> {
        audit::list(&self.readers, organization, filter, before, limit).await
    }

    async fn audit_prune(&self, before: Timestamp, batch: u32) -> Result<u64, Error> {
        prune::prune(&self.writer, before, batch).await
    }

    fn count_failures(&self, counter: &IntCounter) {
        self.writer.count_failures(counter);
    }

    fn events_written(&self) -> watch::Receiver<i64> {
        self.writer.events()
    }

    async fn events(&self, scope: &EventScope, after: i64, limit: u32) -> Result<Vec<EventRecord>, Error> {
        events::after(&self.readers, scope, after, limit).await
    }

    async fn events_span(&self) -> Result<EventSpan, Error> {
        events::span(&self.readers).await
    }

    async fn operation_at_event(
        &self,
        organization: OrganizationId,
        id: &OperationId,
    ) -> Result<Option<(Operation, i64)>, Error> {
        events::operation_at(&self.readers, organization, id).await
    }

    async fn event_insert_health(&self, event: &HealthEvent) -> Result<(), Error> {
        events::insert_health(&self.writer, event.clone()).await
    }

    async fn events_prune(&self, before: Timestamp, keep: u64, batch: u32) -> Result<u64, Error> {
        events::prune(&self.writer, before, keep, batch).await
    }
}
