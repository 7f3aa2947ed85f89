//! The log of events, in SQLite.
//!
//! Invariant: an event is written in the transaction of the change that it tells, and only when it tells something new. The
//! sequence of ids is SQLite's own (AUTOINCREMENT), so that it survives pruning.

use super::{
    rows::{blob, operation, operation_columns, raw_json, time, uuid},
    writer::Writer,
};
use crate::{
    model::{Error, Operation, OperationId, OrganizationId, Timestamp},
    store::{EventRecord, EventScope, EventSpan, EventSubject, HealthEvent},
};
use sqlx::{Row as _, SqliteConnection, SqlitePool, sqlite::SqliteRow};

/// Tells the operation as it now stands, unless the last event told the same.
pub async fn of_operation(c: &mut SqliteConnection, id: &OperationId, at: Timestamp) -> Result<(), Error> {
    sqlx::query(
        "INSERT INTO events (organization, at, connection, operation, status, progress, message, target_id, \
         estimated_completion_at) SELECT o.organization, ?1, o.connection_slug, o.id, o.status, o.progress, o.message, \
         o.target_id, o.estimated_completion_at FROM operations o \
         LEFT JOIN events e ON e.id = (SELECT MAX(id) FROM events WHERE operation = o.id) \
         WHERE o.id = ?2 AND (e.id IS NULL OR e.status <> o.status OR e.progress IS NOT o.progress \
         OR e.message IS NOT o.message OR e.target_id IS NOT o.target_id \
         OR e.estimated_completion_at IS NOT o.estimated_completion_at)",
    )
    .bind(at.as_millis())
    .bind(id.as_str())
    .execute(c)
    .await?;
    Ok(())
}

pub async fn insert_health(writer: &Writer, event: HealthEvent) -> Result<(), Error> {
    let insert = sqlx::query("INSERT INTO events (organization, at, connection, health) VALUES (?, ?, ?, ?)")
        .bind(blob(event.organization.0))
        .bind(event.at.as_millis())
        .bind(event.connection.as_str().to_owned())
        .bind(event.health.get().to_owned());
    writer.write(move |c| Box::pin(async move { Ok(insert.execute(c).await.map(drop)?) })).await
}

/// The last id that was given.
pub async fn last(c: &mut SqliteConnection) -> Result<i64, sqlx::Error> {
    let last = sqlx::query_scalar("SELECT seq FROM sqlite_sequence WHERE name = 'events'").fetch_optional(c).await?;
    Ok(last.unwrap_or(0))
}

/// Reads [`EventRecord`]s. What an operation gets only at its end is in the event that tells the end.
macro_rules! select {
    ($condition:literal) => {
        concat!(
            "SELECT e.id AS event, e.organization, e.at, e.connection, e.health, o.id, o.action, o.connection_slug, ",
            "o.target_kind, e.target_id, o.target_site, e.status, e.progress, e.message, o.created_at, e.at AS updated_at, ",
            "e.estimated_completion_at, ",
            "CASE WHEN e.status = o.status THEN o.result END AS result, ",
            "CASE WHEN e.status = o.status THEN o.error END AS error, ",
            "CASE WHEN e.status = o.status THEN o.native END AS native, ",
            "CASE WHEN e.status = o.status THEN o.finished_at END AS finished_at ",
            "FROM events e LEFT JOIN operations o ON o.id = e.operation WHERE ",
            $condition,
            " AND e.id > ? ORDER BY e.id LIMIT ?"
        )
    };
}

pub async fn after(readers: &SqlitePool, scope: &EventScope, after: i64, limit: u32) -> Result<Vec<EventRecord>, Error> {
    let query = match scope {
        EventScope::Everyone => sqlx::query(select!("TRUE")),
        EventScope::Organization(organization) => sqlx::query(select!("e.organization = ?")).bind(blob(organization.0)),
        EventScope::Operation(organization, id) => {
            sqlx::query(select!("e.operation = ? AND e.organization = ?")).bind(id.as_str()).bind(blob(organization.0))
        }
    };
    query.bind(after).bind(limit).fetch_all(readers).await?.iter().map(record).collect()
}

fn record(row: &SqliteRow) -> Result<EventRecord, Error> {
    let health: Option<String> = row.try_get("health")?;
    let subject = match health {
        Some(text) => EventSubject::Health(raw_json("health", text)?),
        None => EventSubject::Operation(Box::new(operation(row)?)),
    };
    Ok(EventRecord {
        id: row.try_get("event")?,
        organization: OrganizationId(uuid(row, "organization")?),
        at: time(row, "at")?,
        connection: row.try_get("connection")?,
        subject,
    })
}

pub async fn span(readers: &SqlitePool) -> Result<EventSpan, Error> {
    let query = sqlx::query(
        "SELECT (SELECT MIN(id) FROM events) AS first, \
         COALESCE((SELECT seq FROM sqlite_sequence WHERE name = 'events'), 0) AS last",
    );
    let row = query.fetch_one(readers).await?;
    let (first, last): (Option<i64>, i64) = (row.try_get("first")?, row.try_get("last")?);
    Ok(EventSpan { forgotten: first.map_or(last, |first| first - 1), last })
}

pub async fn operation_at(
    readers: &SqlitePool,
    organization: OrganizationId,
    id: &OperationId,
) -> Result<Option<(Operation, i64)>, Error> {
    // One statement sees one moment.
    let query = sqlx::query(concat!(
        "SELECT ",
        operation_columns!(),
        ", COALESCE((SELECT seq FROM sqlite_sequence WHERE name = 'events'), 0) AS event",
        " FROM operations WHERE id = ? AND organization = ?"
    ))
    .bind(id.as_str())
    .bind(blob(organization.0));
    let Some(row) = query.fetch_optional(readers).await? else { return Ok(None) };
    Ok(Some((operation(&row)?, row.try_get("event")?)))
}

pub async fn prune(writer: &Writer, before: Timestamp, keep: u64, batch: u32) -> Result<u64, Error> {
    // Up to the newest of the oldest that are to go, so that no gap is left where a clock was set back.
    let delete = sqlx::query(
        "DELETE FROM events WHERE id <= (SELECT MAX(id) FROM (SELECT id, at FROM events ORDER BY id LIMIT ?) \
         WHERE at < ? OR id <= (SELECT seq FROM sqlite_sequence WHERE name = 'events') - ?)",
    )
    .bind(batch)
    .bind(before.as_millis())
    .bind(i64::try_from(keep).unwrap_or(i64::MAX));
    writer.write(move |c| Box::pin(async move { Ok(delete.execute(c).await?.rows_affected()) })).await
}
