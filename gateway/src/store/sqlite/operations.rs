//! Operations as clients see them, in SQLite: accepting, reading, listing, and secrets that are shown once.
//!
//! Invariant: an operation, its idempotency key, its audit line and its first event are one transaction, and so are the taking of
//! secrets and the line that says who took them. What a runner writes is in [`super::runner`].

use super::{
    audit, events, keys,
    rows::{blob, digest, operation, operation_columns, record, to_json},
    runner::{self, Teller},
    writer::Writer,
};
use crate::{
    model::{ConnectionId, Error, Operation, OperationId, OperationStatus, OrganizationId, Timestamp},
    store::{Acceptance, AuditEntry, IdempotencyRecord, KeyRef, ListFilter, NewOperation, OpenCounts, OperationRecord, cause},
};
use sqlx::{Row as _, SqliteConnection, SqlitePool};

/// What the audit log calls it that somebody was shown what is shown once.
const TAKEN: &str = "operations.secrets";

pub async fn accept(writer: &Writer, new: NewOperation) -> Result<Acceptance, Error> {
    let cause = cause::cause();
    let teller = Teller { chain: writer.chain(), cause: cause.clone() };
    let acceptance = writer.write_aside(move |c| Box::pin(accept_in(c, new, teller))).await?;
    if let (Acceptance::Accepted, Some(cause)) = (&acceptance, cause) {
        cause.was_recorded();
    }
    Ok(acceptance)
}

async fn accept_in(c: &mut SqliteConnection, new: NewOperation, teller: Teller) -> Result<Acceptance, Error> {
    if let Some(key) = &new.idempotency
        && let Some(earlier) = used_before(c, &new, key).await?
    {
        return Ok(earlier);
    }
    if queue_is_full(c, &new).await? {
        return Ok(Acceptance::QueueFull);
    }
    keys::refuse_retired(c, [new.arguments.as_slice()]).await?;
    insert(c, &new).await?;
    if let Some(key) = &new.idempotency {
        remember(c, &new, key).await?;
    }
    runner::audit(c, &teller, &new.operation.id, "accepted", new.operation.created_at).await?;
    events::of_operation(c, &new.operation.id, new.operation.created_at).await?;
    Ok(Acceptance::Accepted)
}

async fn used_before(
    c: &mut SqliteConnection,
    new: &NewOperation,
    key: &IdempotencyRecord,
) -> Result<Option<Acceptance>, Error> {
    let query = sqlx::query(concat!(
        "SELECT fingerprint, i.operation, o.* FROM idempotency i LEFT JOIN (SELECT ",
        operation_columns!(),
        " FROM operations) o ON o.id = i.operation WHERE i.organization = ? AND i.scope = ? AND i.key = ? AND i.expires_at > ?"
    ))
    .bind(blob(new.organization.0))
    .bind(&key.scope)
    .bind(&key.key)
    .bind(new.operation.created_at.as_millis());
    let Some(row) = query.fetch_optional(c).await? else { return Ok(None) };
    let names_an_operation = row.try_get::<Option<String>, _>("operation")?.is_some();
    if digest(&row, "fingerprint")? != key.fingerprint || !names_an_operation {
        return Ok(Some(Acceptance::KeyReused));
    }
    Ok(Some(Acceptance::Existing(Box::new(operation(&row)?))))
}

pub async fn of_key(readers: &SqlitePool, key: &KeyRef, now: Timestamp) -> Result<bool, Error> {
    let query = sqlx::query_scalar(
        "SELECT EXISTS (SELECT 1 FROM idempotency WHERE organization = ? AND scope = ? AND key = ? AND expires_at > ? \
         AND operation IS NOT NULL)",
    );
    let query = query.bind(blob(key.organization.0)).bind(&key.scope).bind(&key.key).bind(now.as_millis());
    Ok(query.fetch_one(readers).await?)
}

async fn queue_is_full(c: &mut SqliteConnection, new: &NewOperation) -> Result<bool, Error> {
    let queued: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM operations WHERE organization = ? AND status = 'queued'")
        .bind(blob(new.organization.0))
        .fetch_one(c)
        .await?;
    Ok(queued >= i64::from(new.queue_limit))
}

async fn insert(c: &mut SqliteConnection, new: &NewOperation) -> Result<(), Error> {
    let operation = &new.operation;
    sqlx::query(
        "INSERT INTO operations (id, organization, connection, connection_slug, principal, action, target_kind, target_id, \
         target_site, status, message, created_at, updated_at, arguments) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 'queued', ?, ?, ?, ?)",
    )
    .bind(operation.id.as_str())
    .bind(blob(new.organization.0))
    .bind(blob(new.connection.0))
    .bind(&operation.connection)
    .bind(&new.principal)
    .bind(operation.action.as_str())
    .bind(&operation.target.kind)
    .bind(&operation.target.id)
    .bind(&operation.target.site)
    .bind(&operation.message)
    .bind(operation.created_at.as_millis())
    .bind(operation.updated_at.as_millis())
    .bind(&new.arguments)
    .execute(c)
    .await?;
    Ok(())
}

async fn remember(c: &mut SqliteConnection, new: &NewOperation, key: &IdempotencyRecord) -> Result<(), Error> {
    // Replaces a key whose time is over; a living one was found before.
    sqlx::query(
        "INSERT OR REPLACE INTO idempotency (organization, scope, key, fingerprint, operation, expires_at) \
         VALUES (?, ?, ?, ?, ?, ?)",
    )
    .bind(blob(new.organization.0))
    .bind(&key.scope)
    .bind(&key.key)
    .bind(key.fingerprint.to_vec())
    .bind(new.operation.id.as_str())
    .bind(key.expires_at.as_millis())
    .execute(c)
    .await?;
    Ok(())
}

pub async fn get(readers: &SqlitePool, organization: OrganizationId, id: &OperationId) -> Result<Option<Operation>, Error> {
    let query = sqlx::query(concat!("SELECT ", operation_columns!(), " FROM operations WHERE id = ? AND organization = ?"))
        .bind(id.as_str())
        .bind(blob(organization.0));
    query.fetch_optional(readers).await?.as_ref().map(operation).transpose()
}

pub async fn record_of(executor: impl sqlx::SqliteExecutor<'_>, id: &OperationId) -> Result<Option<OperationRecord>, Error> {
    let query = sqlx::query(concat!("SELECT ", operation_columns!(), " FROM operations WHERE id = ?")).bind(id.as_str());
    query.fetch_optional(executor).await?.as_ref().map(record).transpose()
}

pub async fn list(
    readers: &SqlitePool,
    organization: OrganizationId,
    filter: &ListFilter,
    after: Option<&(Timestamp, OperationId)>,
    limit: u32,
) -> Result<Vec<Operation>, Error> {
    let query = sqlx::query(concat!(
        "SELECT ",
        operation_columns!(),
        " FROM operations WHERE organization = ?1",
        " AND (?2 IS NULL OR connection_slug = ?2) AND (?3 IS NULL OR status = ?3) AND (?4 IS NULL OR action = ?4)",
        " AND (?5 IS NULL OR target_id = ?5 OR target_site = ?5)",
        " AND (?6 IS NULL OR (created_at, id) < (?6, ?7))",
        " AND (?9 IS NULL OR connection_slug IN (SELECT value FROM json_each(?9)))",
        " ORDER BY created_at DESC, id DESC LIMIT ?8"
    ))
    .bind(blob(organization.0))
    .bind(&filter.connection)
    .bind(filter.status.map(OperationStatus::as_str))
    .bind(filter.action.map(crate::model::Action::as_str))
    .bind(&filter.target)
    .bind(after.map(|(at, _)| at.as_millis()))
    .bind(after.map(|(_, id)| id.as_str()))
    .bind(limit)
    .bind(filter.connections.as_ref().map(to_json).transpose()?);
    query.fetch_all(readers).await?.iter().map(operation).collect()
}

pub async fn open(readers: &SqlitePool, connection: ConnectionId) -> Result<u64, Error> {
    let query = sqlx::query_scalar("SELECT COUNT(*) FROM operations WHERE connection = ? AND status IN ('queued', 'running')");
    Ok(query.bind(blob(connection.0)).fetch_one(readers).await?)
}

pub async fn counts(readers: &SqlitePool) -> Result<OpenCounts, Error> {
    let query = sqlx::query(
        "SELECT COUNT(*) FILTER (WHERE status = 'queued') AS queued, COUNT(*) FILTER (WHERE status = 'running') AS running \
         FROM operations WHERE status IN ('queued', 'running')",
    );
    let row = query.fetch_one(readers).await?;
    Ok(OpenCounts { queued: row.try_get("queued")?, running: row.try_get("running")? })
}

/// `key`: the request that asks used it, so what it takes is kept with the key, and given to it again. Most operations have nothing to
/// take, which is found without the writer: they can be read while nothing can be written.
pub async fn take_secrets(
    (readers, writer): (&SqlitePool, &Writer),
    organization: OrganizationId,
    id: OperationId,
    key: Option<KeyRef>,
    now: Timestamp,
) -> Result<Option<Vec<u8>>, Error> {
    if has_secrets(readers, organization, &id).await? {
        let teller = Teller { chain: writer.chain(), cause: cause::cause() };
        return writer.write_aside(move |c| Box::pin(take_in(c, organization, id, key, (now, teller)))).await;
    }
    kept_secrets(readers, organization, &id, key.as_ref(), now).await
}

async fn has_secrets(readers: &SqlitePool, organization: OrganizationId, id: &OperationId) -> Result<bool, Error> {
    let query = sqlx::query_scalar(
        "SELECT EXISTS (SELECT 1 FROM operations WHERE id = ? AND organization = ? AND secrets IS NOT NULL)",
    );
    Ok(query.bind(id.as_str()).bind(blob(organization.0)).fetch_one(readers).await?)
}

/// Whoever asks first gets them: another request may have taken them since they were seen.
async fn take_in(
    c: &mut SqliteConnection,
    organization: OrganizationId,
    id: OperationId,
    key: Option<KeyRef>,
    (now, teller): (Timestamp, Teller),
) -> Result<Option<Vec<u8>>, Error> {
    // RETURNING tells the values after the update, so the secrets are read first.
    let select = sqlx::query_scalar("SELECT secrets FROM operations WHERE id = ? AND organization = ?");
    let secrets: Option<Vec<u8>> = select.bind(id.as_str()).bind(blob(organization.0)).fetch_optional(&mut *c).await?.flatten();
    let Some(secrets) = secrets else { return kept_secrets(c, organization, &id, key.as_ref(), now).await };
    sqlx::query("UPDATE operations SET secrets = NULL WHERE id = ?").bind(id.as_str()).execute(&mut *c).await?;
    if let Some(key) = &key {
        let keep = "UPDATE idempotency SET answer = ? WHERE organization = ? AND scope = ? AND key = ? AND operation = ?";
        let keep = sqlx::query(keep).bind(&secrets).bind(blob(key.organization.0)).bind(&key.scope).bind(&key.key);
        keep.bind(id.as_str()).execute(&mut *c).await?;
    }
    tell_taken(c, organization, &id, &teller).await?;
    Ok(Some(secrets))
}

/// It tells of the taker, who needn't be the one who asked for the operation.
async fn tell_taken(
    c: &mut SqliteConnection,
    organization: OrganizationId,
    id: &OperationId,
    teller: &Teller,
) -> Result<(), Error> {
    let Some(cause) = &teller.cause else { return Ok(()) };
    let entry = AuditEntry {
        organization: Some(organization),
        action: TAKEN.to_owned(),
        target: Some(format!("/operations/{id}")),
        operation: Some(id.as_str().to_owned()),
        ..cause.entry("done", None)
    };
    audit::append(c, teller.chain.as_ref(), &entry).await
}

/// What was taken under this key before.
async fn kept_secrets(
    executor: impl sqlx::SqliteExecutor<'_>,
    organization: OrganizationId,
    id: &OperationId,
    key: Option<&KeyRef>,
    now: Timestamp,
) -> Result<Option<Vec<u8>>, Error> {
    let Some(key) = key.filter(|key| key.organization == organization) else { return Ok(None) };
    let kept = sqlx::query_scalar(
        "SELECT answer FROM idempotency WHERE organization = ? AND scope = ? AND key = ? AND operation = ? AND expires_at > ?",
    );
    let kept = kept.bind(blob(key.organization.0)).bind(&key.scope).bind(&key.key).bind(id.as_str()).bind(now.as_millis());
    Ok(kept.fetch_optional(executor).await?.flatten())
}

/// The keys that name one go with it, by the schema. An operation of which there are events still stays: a client that comes back
/// to a stream is promised each of them, and a gap inside of the log would be told to nobody.
pub async fn prune(writer: &Writer, before: Timestamp, batch: u32) -> Result<u64, Error> {
    let delete = sqlx::query(
        "DELETE FROM operations WHERE id IN (SELECT id FROM operations o WHERE finished_at IS NOT NULL AND finished_at < ? \
         AND status NOT IN ('queued', 'running') AND NOT EXISTS (SELECT 1 FROM events WHERE operation = o.id) \
         ORDER BY finished_at LIMIT ?)",
    )
    .bind(before.as_millis())
    .bind(batch);
    writer.write_aside(move |c| Box::pin(async move { Ok(delete.execute(c).await?.rows_affected()) })).await
}
