//! Idempotency keys of changes that Portico makes itself, in SQLite.
//!
//! In go reservations and how they ended; out comes what a key stands for. Invariant: a reservation is durable before anything is
//! done under it; one that was left behind is given again only if nothing was changed under it.

use super::{
    keys,
    rows::{blob, digest},
    writer::Writer,
};
use crate::{
    model::{Error, Timestamp},
    store::{KeyEnd, KeyRef, Reservation, Reserved},
};
use sqlx::{Row as _, SqliteConnection, sqlite::SqliteRow};
use uuid::Uuid;

pub async fn reserve(writer: &Writer, reservation: Reservation) -> Result<Reserved, Error> {
    writer.write_aside(move |c| Box::pin(reserve_in(c, reservation))).await
}

async fn reserve_in(c: &mut SqliteConnection, new: Reservation) -> Result<Reserved, Error> {
    let query = sqlx::query(
        "SELECT fingerprint, operation, changed, answer, CASE WHEN owner = ?1 THEN ?6 ELSE EXISTS (SELECT 1 FROM runners r \
         WHERE r.id = owner AND r.lease_until > ?2) END AS lives FROM idempotency \
         WHERE organization = ?3 AND scope = ?4 AND key = ?5 AND expires_at > ?2",
    )
    .bind(blob(new.owner))
    .bind(new.now.as_millis())
    .bind(blob(new.key.organization.0))
    .bind(&new.key.scope)
    .bind(&new.key.key)
    .bind(new.runs.has_others());
    if let Some(row) = query.fetch_optional(&mut *c).await?
        && let Some(taken) = taken(&row, &new.fingerprint)?
    {
        return Ok(taken);
    }
    if is_full(c, &new).await? {
        return Ok(Reserved::Full);
    }
    // Replaces a key whose time is over, and one that was left behind without anything having been changed.
    sqlx::query(
        "INSERT OR REPLACE INTO idempotency (organization, scope, key, fingerprint, owner, expires_at) VALUES (?, ?, ?, ?, ?, ?)",
    )
    .bind(blob(new.key.organization.0))
    .bind(&new.key.scope)
    .bind(&new.key.key)
    .bind(new.fingerprint.to_vec())
    .bind(blob(new.owner))
    .bind(new.expires_at.as_millis())
    .execute(c)
    .await?;
    Ok(Reserved::New)
}

/// None: it was left behind, and nothing was changed.
fn taken(row: &SqliteRow, fingerprint: &[u8; 32]) -> Result<Option<Reserved>, Error> {
    let names_an_operation = row.try_get::<Option<String>, _>("operation")?.is_some();
    if digest(row, "fingerprint")? != *fingerprint || names_an_operation {
        return Ok(Some(Reserved::Reused));
    }
    if let Some(sealed) = row.try_get("answer")? {
        return Ok(Some(Reserved::Answered(sealed)));
    }
    // No owner: whoever carried it out couldn't keep the answer.
    let (lives, changed): (Option<bool>, bool) = (row.try_get("lives")?, row.try_get("changed")?);
    Ok(match (lives == Some(true), changed) {
        (true, _) => Some(Reserved::InProgress),
        (false, true) => Some(Reserved::AnswerLost),
        (false, false) => None,
    })
}

async fn is_full(c: &mut SqliteConnection, new: &Reservation) -> Result<bool, Error> {
    let query = sqlx::query_as(
        "SELECT COUNT(*), COALESCE(SUM(bytes), 0) FROM idempotency WHERE organization = ? AND operation IS NULL \
         AND expires_at > ?",
    );
    let query = query.bind(blob(new.key.organization.0)).bind(new.now.as_millis());
    let (keys, bytes): (i64, i64) = query.fetch_one(c).await?;
    Ok(keys >= i64::from(new.limit.keys) || bytes >= i64::from(new.limit.bytes))
}

/// Notes, in the transaction of a change, that something was changed under the key.
pub async fn mark(c: &mut SqliteConnection, key: &KeyRef) -> Result<(), Error> {
    sqlx::query("UPDATE idempotency SET changed = 1 WHERE organization = ? AND scope = ? AND key = ? AND operation IS NULL")
        .bind(blob(key.organization.0))
        .bind(&key.scope)
        .bind(&key.key)
        .execute(c)
        .await?;
    Ok(())
}

pub async fn end(writer: &Writer, key: KeyRef, owner: Uuid, end: KeyEnd) -> Result<(), Error> {
    writer.write_aside(move |c| Box::pin(end_in(c, key, owner, end))).await
}

macro_rules! reserved {
    ($sql:literal) => {
        concat!(
            $sql,
            " WHERE organization = ? AND scope = ? AND key = ? AND owner = ? AND operation IS NULL AND answer IS NULL"
        )
    };
}

async fn end_in(c: &mut SqliteConnection, key: KeyRef, owner: Uuid, end: KeyEnd) -> Result<(), Error> {
    if let KeyEnd::Answered(sealed) | KeyEnd::AnsweredIfChanged(sealed) = &end {
        keys::refuse_retired(&mut *c, [sealed.as_slice()]).await?;
    }
    let keep = reserved!("UPDATE idempotency SET answer = ?, bytes = ?");
    let size = |sealed: &[u8]| i64::try_from(sealed.len()).unwrap_or(i64::MAX);
    if matches!(end, KeyEnd::AnsweredIfChanged(_) | KeyEnd::AnswerLostIfChanged) {
        let free = sqlx::query(concat!(reserved!("DELETE FROM idempotency"), " AND changed = 0"));
        under(free, &key, owner).execute(&mut *c).await?;
    }
    let query = match &end {
        KeyEnd::Answered(sealed) | KeyEnd::AnsweredIfChanged(sealed) => sqlx::query(keep).bind(sealed).bind(size(sealed)),
        KeyEnd::AnswerLost | KeyEnd::AnswerLostIfChanged => {
            sqlx::query(reserved!("UPDATE idempotency SET changed = 1, owner = NULL"))
        }
        KeyEnd::Free => sqlx::query(reserved!("DELETE FROM idempotency")),
    };
    under(query, &key, owner).execute(c).await?;
    Ok(())
}

type Query<'q> = sqlx::query::Query<'q, sqlx::Sqlite, sqlx::sqlite::SqliteArguments>;

fn under<'q>(query: Query<'q>, key: &KeyRef, owner: Uuid) -> Query<'q> {
    query.bind(blob(key.organization.0)).bind(key.scope.clone()).bind(key.key.clone()).bind(blob(owner))
}

pub async fn expire(writer: &Writer, now: Timestamp) -> Result<(), Error> {
    let delete = sqlx::query("DELETE FROM idempotency WHERE expires_at <= ?").bind(now.as_millis());
    writer.write_aside(move |c| Box::pin(async move { Ok(delete.execute(c).await.map(drop)?) })).await
}
