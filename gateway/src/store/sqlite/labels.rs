//! Labels of sites, in SQLite.
//!
//! Invariant: a site never has more than [`MAX_LABELS`]; what an operation's end means for them is in the transaction of that
//! end, and labels go with their connection.

use super::{
    rows::{blob, uuid},
    writer::Writer,
};
use crate::{
    model::{ConnectionId, Error, Kind, Labels, MAX_LABELS, OperationId, OrganizationId, Timestamp},
    store::{LabelEnd, LabelRecord},
};
use sqlx::{Row as _, SqliteConnection, SqlitePool};
use std::collections::BTreeMap;

pub async fn list(readers: &SqlitePool, organization: OrganizationId) -> Result<Vec<LabelRecord>, Error> {
    let query = sqlx::query(
        "SELECT l.connection, l.site, l.key, l.value FROM labels l JOIN connections c ON c.id = l.connection \
         WHERE c.organization = ? ORDER BY l.connection, l.site",
    );
    let mut records: Vec<LabelRecord> = Vec::new();
    for row in query.bind(blob(organization.0)).fetch_all(readers).await? {
        let (connection, site) = (ConnectionId(uuid(&row, "connection")?), row.try_get("site")?);
        if records.last().is_none_or(|last| last.connection != connection || last.site != site) {
            records.push(LabelRecord { connection, site, labels: Labels::new() });
        }
        if let Some(last) = records.last_mut() {
            last.labels.insert(row.try_get("key")?, row.try_get("value")?);
        }
    }
    Ok(records)
}

pub async fn of(readers: &SqlitePool, connection: ConnectionId, site: &str) -> Result<Labels, Error> {
    let query = sqlx::query_as("SELECT key, value FROM labels WHERE connection = ? AND site = ?");
    let pairs: Vec<(String, String)> = query.bind(blob(connection.0)).bind(site).fetch_all(readers).await?;
    Ok(pairs.into_iter().collect())
}

pub async fn change(
    writer: &Writer,
    connection: ConnectionId,
    site: String,
    changes: BTreeMap<String, Option<String>>,
    now: Timestamp,
) -> Result<(), Error> {
    writer.write(move |c| Box::pin(change_in(c, connection, site, changes, now))).await
}

async fn change_in(
    c: &mut SqliteConnection,
    connection: ConnectionId,
    site: String,
    changes: BTreeMap<String, Option<String>>,
    now: Timestamp,
) -> Result<(), Error> {
    let known = sqlx::query("SELECT 1 FROM connections WHERE id = ?").bind(blob(connection.0));
    if known.fetch_optional(&mut *c).await?.is_none() {
        return Err(Error::new(Kind::NotFound, "the connection was deleted").with_code("connection_not_found"));
    }
    for (key, value) in changes {
        let query = match &value {
            Some(value) => sqlx::query(
                "INSERT INTO labels (connection, site, key, value, updated_at) VALUES (?1, ?2, ?3, ?4, ?5) \
                 ON CONFLICT (connection, site, key) DO UPDATE SET value = excluded.value, updated_at = excluded.updated_at",
            )
            .bind(blob(connection.0))
            .bind(&site)
            .bind(key)
            .bind(value)
            .bind(now.as_millis()),
            None => sqlx::query("DELETE FROM labels WHERE connection = ? AND site = ? AND key = ?")
                .bind(blob(connection.0))
                .bind(&site)
                .bind(key),
        };
        query.execute(&mut *c).await?;
    }
    let count = sqlx::query_scalar::<_, i64>("SELECT COUNT(*) FROM labels WHERE connection = ? AND site = ?");
    if count.bind(blob(connection.0)).bind(&site).fetch_one(c).await? > i64::from(MAX_LABELS) {
        let text = format!("a site has at most {MAX_LABELS} labels: remove some of them in the same request");
        return Err(Error::new(Kind::InvalidInput, text).with_field("labels"));
    }
    Ok(())
}

/// What the end of an operation means for labels.
pub async fn at_end(c: &mut SqliteConnection, id: &OperationId, end: LabelEnd, at: Timestamp) -> Result<(), Error> {
    match end {
        LabelEnd::Gone { site } => forget(c, id, &site, None).await,
        LabelEnd::Made { site, labels } => {
            forget(c, id, &site, Some(id)).await?;
            for (key, value) in labels {
                give(c, id, (&site, &key, &value), at).await?;
            }
            Ok(())
        }
    }
}

/// `older_than`: only what was said before this operation was accepted, of a site of the same id that is no more.
async fn forget(c: &mut SqliteConnection, id: &OperationId, site: &str, older_than: Option<&OperationId>) -> Result<(), Error> {
    sqlx::query(
        "DELETE FROM labels WHERE connection = (SELECT connection FROM operations WHERE id = ?1) AND site = ?2 \
         AND (?3 IS NULL OR updated_at < (SELECT created_at FROM operations WHERE id = ?3))",
    )
    .bind(id.as_str())
    .bind(site)
    .bind(older_than.map(OperationId::as_str))
    .execute(c)
    .await?;
    Ok(())
}

async fn give(
    c: &mut SqliteConnection,
    id: &OperationId,
    (site, key, value): (&str, &str, &str),
    at: Timestamp,
) -> Result<(), Error> {
    // What was said of the new site while it was being made is newer, and a connection that was deleted has no labels.
    sqlx::query(
        "INSERT INTO labels (connection, site, key, value, updated_at) SELECT c.id, ?1, ?2, ?3, ?4 \
         FROM operations o JOIN connections c ON c.id = o.connection WHERE o.id = ?5 \
         AND (SELECT COUNT(*) FROM labels WHERE connection = c.id AND site = ?1) < ?6 ON CONFLICT DO NOTHING",
    )
    .bind(site)
    .bind(key)
    .bind(value)
    .bind(at.as_millis())
    .bind(id.as_str())
    .bind(MAX_LABELS)
    .execute(c)
    .await?;
    Ok(())
}
