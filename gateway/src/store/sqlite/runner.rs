//! What runners write, in SQLite: leases, claims, intents, outcomes and ends.
//!
//! In go fences and what a runner found out. Invariant: a write whose fence doesn't hold changes nothing and says so; the event of
//! what clients see change is in the transaction that changes it. It doesn't judge what a state means.

use super::{
    audit, events, keys, labels,
    operations::record_of,
    rows::{blob, operation_id, to_json, uuid},
    writer::Writer,
};
use crate::{
    model::{Error, OperationId, OperationStatus, OrganizationId, Target, Timestamp},
    seal::ChainKey,
    store::{AuditEntry, Cause, Claim, Fence, Finish, Outcome, PendingUpdate},
};
use sqlx::{SqliteConnection, SqlitePool, sqlite::SqliteQueryResult};
use std::sync::Arc;
use uuid::Uuid;

pub async fn lease(writer: &Writer, runner: Uuid, until: Timestamp) -> Result<(), Error> {
    // The lock on the data folder proves that every other runner is dead.
    let bury = sqlx::query("DELETE FROM runners WHERE id <> ?").bind(blob(runner));
    let renew = sqlx::query(
        "INSERT INTO runners (id, lease_until) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET lease_until = excluded.lease_until",
    )
    .bind(blob(runner))
    .bind(until.as_millis());
    writer
        .write(move |c| {
            Box::pin(async move {
                bury.execute(&mut *c).await?;
                renew.execute(c).await?;
                Ok(())
            })
        })
        .await
}

pub async fn release(writer: &Writer, runner: Uuid) -> Result<(), Error> {
    let release = sqlx::query("DELETE FROM runners WHERE id = ?").bind(blob(runner));
    writer.write(move |c| Box::pin(async move { Ok(release.execute(c).await.map(drop)?) })).await
}

pub async fn claimable(
    readers: &SqlitePool,
    now: Timestamp,
    after: Option<&OperationId>,
    limit: u32,
) -> Result<Vec<(OperationId, OrganizationId)>, Error> {
    let query = sqlx::query(
        "SELECT id, organization FROM operations WHERE status IN ('queued', 'running') AND id > ?1 AND (status = 'queued' \
         OR owner IS NULL OR owner NOT IN (SELECT id FROM runners WHERE lease_until > ?2)) ORDER BY id LIMIT ?3",
    )
    .bind(after.map_or("", OperationId::as_str))
    .bind(now.as_millis())
    .bind(limit);
    let rows = query.fetch_all(readers).await?;
    rows.iter().map(|row| Ok((operation_id(row)?, OrganizationId(uuid(row, "organization")?)))).collect()
}

pub async fn claim(writer: &Writer, id: OperationId, owner: Uuid, now: Timestamp) -> Result<Option<Claim>, Error> {
    writer.write(move |c| Box::pin(claim_in(c, id, owner, now))).await
}

async fn claim_in(c: &mut SqliteConnection, id: OperationId, owner: Uuid, now: Timestamp) -> Result<Option<Claim>, Error> {
    let from = match record_of(&mut *c, &id).await? {
        Some(record) if !record.operation.status.is_terminal() => record.operation.status,
        _ => return Ok(None),
    };
    let claimed = sqlx::query(
        "UPDATE operations SET status = 'running', owner = ?1, fence = fence + 1, updated_at = ?2 \
         WHERE id = ?3 AND (status = 'queued' OR (status = 'running' AND (owner IS NULL OR owner = ?1 OR owner NOT IN \
         (SELECT id FROM runners WHERE lease_until > ?2))))",
    )
    .bind(blob(owner))
    .bind(now.as_millis())
    .bind(id.as_str())
    .execute(&mut *c)
    .await?;
    if claimed.rows_affected() == 0 {
        return Ok(None);
    }
    if from == OperationStatus::Queued {
        events::of_operation(&mut *c, &id, now).await?;
    }
    Ok(record_of(c, &id).await?.map(|record| Claim { record, from }))
}

/// The tail of every fenced update: three parameters, bound last by `execute`.
macro_rules! fenced {
    ($sql:literal) => {
        concat!($sql, " WHERE id = ? AND owner = ? AND fence = ? AND status = 'running'")
    };
}

/// Runs a statement made by `fenced!`; its own parameters are bound already.
async fn execute(
    c: &mut SqliteConnection,
    query: sqlx::query::Query<'_, sqlx::Sqlite, sqlx::sqlite::SqliteArguments>,
    fence: &Fence,
) -> Result<(), Error> {
    let done = query.bind(fence.id.as_str()).bind(blob(fence.owner)).bind(fence.number).execute(c).await?;
    holds(&done, fence)
}

fn holds(done: &SqliteQueryResult, fence: &Fence) -> Result<(), Error> {
    if done.rows_affected() == 0 { Err(fence.lost()) } else { Ok(()) }
}

pub async fn sent(writer: &Writer, fence: Fence, digest: [u8; 32], now: Timestamp) -> Result<(), Error> {
    writer
        .write(move |c| {
            Box::pin(async move {
                let done = sqlx::query(
                    "UPDATE operations SET steps = steps + 1, digest = ?1, sent_at = ?2, updated_at = ?2 \
                     WHERE id = ?3 AND owner = ?4 AND fence = ?5 AND status = 'running' \
                     AND EXISTS (SELECT 1 FROM runners WHERE id = ?4 AND lease_until > ?2)",
                )
                .bind(digest.to_vec())
                .bind(now.as_millis())
                .bind(fence.id.as_str())
                .bind(blob(fence.owner))
                .bind(fence.number)
                .execute(c)
                .await?;
                holds(&done, &fence)
            })
        })
        .await
}

pub async fn outcome(writer: &Writer, fence: Fence, outcome: Outcome, now: Timestamp) -> Result<(), Error> {
    writer.write(move |c| Box::pin(outcome_in(c, fence, outcome, now))).await
}

async fn outcome_in(c: &mut SqliteConnection, fence: Fence, outcome: Outcome, now: Timestamp) -> Result<(), Error> {
    let at = now.as_millis();
    match outcome {
        Outcome::Pending(update) => pending(c, &fence, update, now).await,
        Outcome::Completed { sealed } => {
            keys::refuse_retired(&mut *c, [sealed.as_slice()]).await?;
            let query = sqlx::query(fenced!("UPDATE operations SET completion = ?, updated_at = ?"));
            execute(c, query.bind(sealed).bind(at), &fence).await
        }
        Outcome::Absent => {
            let query = sqlx::query(fenced!("UPDATE operations SET sent_at = NULL, digest = NULL, updated_at = ?"));
            execute(c, query.bind(at), &fence).await
        }
        Outcome::Queued { message } => {
            let query =
                sqlx::query(fenced!("UPDATE operations SET status = 'queued', owner = NULL, message = ?, updated_at = ?"));
            execute(c, query.bind(message).bind(at), &fence).await?;
            events::of_operation(c, &fence.id, now).await
        }
        Outcome::Message(message) => {
            let query = sqlx::query(fenced!("UPDATE operations SET message = ?, updated_at = ?"));
            execute(c, query.bind(message).bind(at), &fence).await?;
            events::of_operation(c, &fence.id, now).await
        }
    }
}

async fn pending(c: &mut SqliteConnection, fence: &Fence, update: PendingUpdate, now: Timestamp) -> Result<(), Error> {
    let query = sqlx::query(fenced!(
        "UPDATE operations SET handle = ?, target_id = COALESCE(?, target_id), progress = ?, message = ?, \
         estimated_completion_at = ?, updated_at = ?"
    ))
    .bind(update.handle)
    .bind(update.target_id)
    .bind(update.progress)
    .bind(update.message)
    .bind(update.estimated_completion_at.map(|at| at.as_millis()))
    .bind(now.as_millis());
    execute(c, query, fence).await?;
    events::of_operation(c, &fence.id, now).await
}

pub async fn finish(writer: &Writer, fence: Fence, finish: Finish) -> Result<(), Error> {
    let teller = Teller { chain: writer.chain(), cause: None };
    writer.write(move |c| Box::pin(finish_in(c, fence, finish, teller))).await
}

async fn finish_in(c: &mut SqliteConnection, fence: Fence, finish: Finish, teller: Teller) -> Result<(), Error> {
    keys::refuse_retired(&mut *c, finish.secrets.as_deref()).await?;
    let error = finish.error.as_ref().map(to_json).transpose()?;
    let query = sqlx::query(fenced!(
        "UPDATE operations SET status = ?, target_kind = ?, target_id = ?, target_site = ?, progress = ?, message = ?, \
         result = ?, native = ?, error = ?, secrets = ?, finished_at = ?, updated_at = ?, estimated_completion_at = NULL, \
         arguments = NULL, completion = NULL"
    ))
    .bind(finish.status.as_str())
    .bind(finish.target.kind)
    .bind(finish.target.id)
    .bind(finish.target.site)
    .bind(finish.progress)
    .bind(finish.message)
    .bind(finish.result.as_ref().map(|result| result.get().to_owned()))
    .bind(finish.native.as_ref().map(|native| native.get().to_owned()))
    .bind(error)
    .bind(finish.secrets)
    .bind(finish.at.as_millis())
    .bind(finish.at.as_millis());
    execute(c, query, &fence).await?;
    if finish.frees_key {
        let forget = sqlx::query("DELETE FROM idempotency WHERE operation = ?").bind(fence.id.as_str().to_owned());
        forget.execute(&mut *c).await?;
    }
    if let Some(end) = finish.labels {
        labels::at_end(c, &fence.id, end, finish.at).await?;
    }
    audit(c, &teller, &fence.id, finish.status.as_str(), finish.at).await?;
    events::of_operation(c, &fence.id, finish.at).await
}

pub async fn cancel_queued(writer: &Writer, id: OperationId, now: Timestamp) -> Result<bool, Error> {
    let teller = Teller { chain: writer.chain(), cause: None };
    writer.write(move |c| Box::pin(cancel_in(c, id, now, teller))).await
}

async fn cancel_in(c: &mut SqliteConnection, id: OperationId, now: Timestamp, teller: Teller) -> Result<bool, Error> {
    let canceled = sqlx::query(
        "UPDATE operations SET status = 'canceled', finished_at = ?1, updated_at = ?1, arguments = NULL \
         WHERE id = ?2 AND status = 'queued' AND sent_at IS NULL AND handle IS NULL",
    )
    .bind(now.as_millis())
    .bind(id.as_str())
    .execute(&mut *c)
    .await?;
    if canceled.rows_affected() == 0 {
        return Ok(false);
    }
    audit(c, &teller, &id, OperationStatus::Canceled.as_str(), now).await?;
    events::of_operation(c, &id, now).await?;
    Ok(true)
}

/// What a row of the audit log needs beside the operation.
pub struct Teller {
    pub chain: Option<ChainKey>,
    /// The request that is the cause, where one is.
    pub cause: Option<Arc<Cause>>,
}

/// Who asked for the operation, and what came of it.
pub async fn audit(
    c: &mut SqliteConnection,
    teller: &Teller,
    id: &OperationId,
    outcome: &str,
    at: Timestamp,
) -> Result<(), Error> {
    let Some(record) = record_of(&mut *c, id).await? else { return Ok(()) };
    let cause = teller.cause.as_ref();
    let entry = AuditEntry {
        at,
        organization: Some(record.organization),
        principal: record.principal,
        client: cause.and_then(|cause| cause.client),
        action: record.operation.action.as_str().to_owned(),
        target: Some(path_of(&record.operation.target, &record.operation.connection)),
        outcome: outcome.to_owned(),
        status: None,
        request_id: cause.and_then(|cause| cause.request_id.clone()),
        operation: Some(id.as_str().to_owned()),
    };
    audit::append(c, teller.chain.as_ref(), &entry).await
}

/// As far as it is known what it is about.
fn path_of(target: &Target, connection: &str) -> String {
    match (&target.site, &target.id) {
        (Some(site), Some(id)) => format!("/sites/{site}/{}s/{id}", target.kind),
        (Some(site), None) => format!("/sites/{site}"),
        (None, Some(id)) => format!("/sites/{id}"),
        (None, None) => format!("/connections/{connection}"),
    }
}
