//! Sealed values and the ids of master keys, in SQLite.
//!
//! In goes a sealer; out come counts of what it did. Invariant: [`COLUMNS`] and the secrets of connections are everything in the
//! database that is sealed; what is read to be sealed anew is written in the same transaction.

use super::{
    SqliteStore,
    rows::{json, to_json},
    writer::Writer,
};
use crate::{
    model::{Error, Timestamp},
    seal::{KeyId, Purpose, SealedBy, Sealer},
    store::{KeyStore, SealedCount, SealedPosition, SealedSecret, SealedStep, keys::retired},
};
use async_trait::async_trait;
use sqlx::{AssertSqlSafe, Row as _, SqliteConnection, SqlitePool, sqlite::SqliteRow};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// A column of sealed values, or NULL.
struct Column {
    table: &'static str,
    /// The columns of its primary key.
    key: &'static [&'static str],
    value: &'static str,
    purpose: Purpose,
    what: &'static str,
}

const COLUMNS: &[Column] = &[
    Column { table: "data_keys", key: &["name"], value: "sealed", purpose: Purpose::DataKey, what: "keys in the store" },
    operation("arguments", "arguments of operations"),
    operation("completion", "completions of operations"),
    operation("secrets", "secrets in results of operations"),
    Column {
        table: "idempotency",
        key: &["organization", "scope", "key"],
        value: "answer",
        purpose: Purpose::Operation,
        what: "answers kept for keys",
    },
];
const SECRETS: &str = "secrets of connections";

const fn operation(value: &'static str, what: &'static str) -> Column {
    Column { table: "operations", key: &["id"], value, purpose: Purpose::Operation, what }
}

impl Column {
    /// The keys as SQLite itself writes them as literals, beginning after one of them.
    fn select(&self, after: Option<&str>) -> String {
        let Self { table, value, .. } = self;
        let literal = self.key.iter().map(|one| format!("quote({one})")).collect::<Vec<_>>().join(" || ',' || ");
        let key = self.key.join(", ");
        let after = after.map_or_else(String::new, |after| format!("AND ({key}) > ({after})"));
        format!(
            "SELECT {literal} AS place, {value} AS sealed FROM {table} WHERE {value} IS NOT NULL {after} ORDER BY {key} LIMIT ?"
        )
    }

    fn update(&self, place: &str) -> String {
        format!("UPDATE {} SET {} = ? WHERE ({}) = ({place})", self.table, self.value, self.key.join(", "))
    }

    fn count(&self) -> String {
        let Self { table, value, .. } = self;
        format!("SELECT substr({value}, 1, 9) AS head, COUNT(*) AS count FROM {table} WHERE {value} IS NOT NULL GROUP BY 1")
    }
}

async fn data_key(writer: &Writer, name: String, sealed: Vec<u8>) -> Result<Vec<u8>, Error> {
    let insert = sqlx::query("INSERT INTO data_keys (name, sealed) VALUES (?, ?) ON CONFLICT DO NOTHING")
        .bind(name.clone())
        .bind(sealed);
    let kept = sqlx::query_scalar("SELECT sealed FROM data_keys WHERE name = ?").bind(name);
    writer
        .write(move |c| {
            Box::pin(async move {
                insert.execute(&mut *c).await?;
                Ok(kept.fetch_one(c).await?)
            })
        })
        .await
}

fn id(row: &SqliteRow) -> Result<KeyId, Error> {
    let bytes: Vec<u8> = row.try_get("id")?;
    bytes.try_into().map(KeyId).map_err(|_| Error::gateway("the database holds an unreadable id of a master key"))
}

async fn held(readers: &SqlitePool) -> Result<Vec<KeyId>, Error> {
    sqlx::query("SELECT id FROM held_keys ORDER BY position").fetch_all(readers).await?.iter().map(id).collect()
}

async fn hold(writer: &Writer, keys: Vec<KeyId>) -> Result<(), Error> {
    writer
        .write(move |c| {
            Box::pin(async move {
                sqlx::query("DELETE FROM held_keys").execute(&mut *c).await?;
                for key in keys {
                    sqlx::query("INSERT INTO held_keys (id) VALUES (?)").bind(key.0.to_vec()).execute(&mut *c).await?;
                }
                Ok(())
            })
        })
        .await
}

async fn list_retired(readers: &SqlitePool) -> Result<Vec<KeyId>, Error> {
    sqlx::query("SELECT id FROM retired_keys ORDER BY retired_at, id").fetch_all(readers).await?.iter().map(id).collect()
}

async fn retire(writer: &Writer, keys: Vec<KeyId>, now: Timestamp) -> Result<bool, Error> {
    writer.write(move |c| Box::pin(retire_in(c, keys, now))).await
}

async fn retire_in(c: &mut SqliteConnection, keys: Vec<KeyId>, now: Timestamp) -> Result<bool, Error> {
    let used = |by: Option<SealedBy>| match by {
        Some(SealedBy::Key(id)) => keys.contains(&id),
        Some(SealedBy::Unnamed) | None => true,
    };
    if counts_in(&mut *c).await?.iter().any(|one| used(one.by)) {
        return Ok(false);
    }
    for key in &keys {
        sqlx::query("INSERT INTO retired_keys (id, retired_at) VALUES (?, ?) ON CONFLICT DO NOTHING")
            .bind(key.0.to_vec())
            .bind(now.as_millis())
            .execute(&mut *c)
            .await?;
    }
    Ok(true)
}

/// Refuses what a retired key sealed. Everyone who writes a sealed value asks this first, in the same transaction.
pub async fn refuse_retired(c: &mut SqliteConnection, values: impl IntoIterator<Item = &[u8]>) -> Result<(), Error> {
    let ids: BTreeSet<KeyId> = values.into_iter().filter_map(named).collect();
    for id in ids {
        let query = sqlx::query("SELECT 1 FROM retired_keys WHERE id = ?").bind(id.0.to_vec());
        if query.fetch_optional(&mut *c).await?.is_some() {
            return Err(retired());
        }
    }
    Ok(())
}

fn named(sealed: &[u8]) -> Option<KeyId> {
    match SealedBy::of(sealed)? {
        SealedBy::Key(id) => Some(id),
        SealedBy::Unnamed => None,
    }
}

async fn counts(readers: &SqlitePool) -> Result<Vec<SealedCount>, Error> {
    // One transaction, so that a value that is sealed anew meanwhile is counted once.
    let mut transaction = readers.begin().await?;
    counts_in(&mut transaction).await
}

pub async fn counts_in(c: &mut SqliteConnection) -> Result<Vec<SealedCount>, Error> {
    counts_of(c, COLUMNS.iter().collect()).await
}

/// The same in a database whose schema may be older: what it has no column for is not sealed in it.
pub async fn counts_in_older(c: &mut SqliteConnection) -> Result<Vec<SealedCount>, Error> {
    let is_there = "SELECT EXISTS (SELECT 1 FROM pragma_table_info(?) WHERE name = ?)";
    let mut columns = Vec::new();
    for column in COLUMNS {
        let query = sqlx::query_scalar::<_, bool>(is_there).bind(column.table).bind(column.value);
        if query.fetch_one(&mut *c).await? {
            columns.push(column);
        }
    }
    counts_of(c, columns).await
}

async fn counts_of(c: &mut SqliteConnection, columns: Vec<&'static Column>) -> Result<Vec<SealedCount>, Error> {
    let mut counts: BTreeMap<(Option<SealedBy>, &'static str), u64> = BTreeMap::new();
    for column in columns {
        for row in sqlx::query(AssertSqlSafe(column.count())).fetch_all(&mut *c).await? {
            let (head, count): (Vec<u8>, i64) = (row.try_get("head")?, row.try_get("count")?);
            *counts.entry((SealedBy::of(&head), column.what)).or_default() += count.unsigned_abs();
        }
    }
    for row in sqlx::query("SELECT secrets FROM connections").fetch_all(&mut *c).await? {
        let secrets: BTreeMap<String, SealedSecret> = json(&row, "secrets")?;
        for secret in secrets.values() {
            *counts.entry((SealedBy::of(&secret.sealed), SECRETS)).or_default() += 1;
        }
    }
    Ok(counts.into_iter().map(|((by, what), count)| SealedCount { by, what, count }).collect())
}

async fn renew(writer: &Writer, sealer: Arc<Sealer>, from: SealedPosition, limit: u32) -> Result<SealedStep, Error> {
    writer
        .write(move |c| {
            Box::pin(async move {
                match COLUMNS.get(from.place) {
                    Some(column) => renew_column(c, &sealer, column, from, limit).await,
                    None => renew_connections(c, &sealer, from, limit).await,
                }
            })
        })
        .await
}

async fn renew_column(
    c: &mut SqliteConnection,
    sealer: &Sealer,
    column: &Column,
    from: SealedPosition,
    limit: u32,
) -> Result<SealedStep, Error> {
    let select = AssertSqlSafe(column.select(from.after.as_deref()));
    let rows = sqlx::query(select).bind(limit).fetch_all(&mut *c).await?;
    let mut step = SealedStep { next: next(&from, &rows, limit)?, ..SealedStep::default() };
    for row in &rows {
        let (place, mut sealed): (String, Vec<u8>) = (row.try_get("place")?, row.try_get("sealed")?);
        if step.renew(sealer, column.purpose, &mut sealed)? {
            sqlx::query(AssertSqlSafe(column.update(&place))).bind(sealed).execute(&mut *c).await?;
        }
    }
    Ok(step)
}

async fn renew_connections(
    c: &mut SqliteConnection,
    sealer: &Sealer,
    from: SealedPosition,
    limit: u32,
) -> Result<SealedStep, Error> {
    let rows = connections(&mut *c, &from, limit).await?;
    let mut step = SealedStep { next: next(&from, &rows, limit)?, ..SealedStep::default() };
    for row in &rows {
        let mut secrets: BTreeMap<String, SealedSecret> = json(row, "secrets")?;
        let mut changed = false;
        for secret in secrets.values_mut() {
            changed |= step.renew(sealer, Purpose::Secret, &mut secret.sealed)?;
        }
        if changed {
            let update = sqlx::query("UPDATE connections SET secrets = ? WHERE id = ?").bind(to_json(&secrets)?);
            update.bind(row.try_get::<Vec<u8>, _>("id")?).execute(&mut *c).await?;
        }
    }
    Ok(step)
}

async fn connections(
    executor: impl sqlx::SqliteExecutor<'_>,
    from: &SealedPosition,
    limit: u32,
) -> Result<Vec<SqliteRow>, Error> {
    let after = from.after.as_deref().unwrap_or("x''");
    let select = format!("SELECT quote(id) AS place, id, secrets FROM connections WHERE id > {after} ORDER BY id LIMIT ?");
    Ok(sqlx::query(AssertSqlSafe(select)).bind(limit).fetch_all(executor).await?)
}

async fn check(readers: &SqlitePool, sealer: &Sealer, from: SealedPosition, limit: u32) -> Result<SealedStep, Error> {
    let mut step = SealedStep::default();
    let mut look = |purpose, sealed: &[u8]| {
        step.seen += 1;
        step.left += u64::from(!sealer.opens(purpose, sealed));
    };
    let rows = match COLUMNS.get(from.place) {
        Some(column) => {
            let select = AssertSqlSafe(column.select(from.after.as_deref()));
            let rows = sqlx::query(select).bind(limit).fetch_all(readers).await?;
            for row in &rows {
                look(column.purpose, row.try_get("sealed")?);
            }
            rows
        }
        None => {
            let rows = connections(readers, &from, limit).await?;
            for row in &rows {
                let secrets: BTreeMap<String, SealedSecret> = json(row, "secrets")?;
                secrets.values().for_each(|secret| look(Purpose::Secret, &secret.sealed));
            }
            rows
        }
    };
    step.next = next(&from, &rows, limit)?;
    Ok(step)
}

/// Behind the last row of a full step, or at the beginning of the next place; connections are the last one.
fn next(from: &SealedPosition, rows: &[SqliteRow], limit: u32) -> Result<Option<SealedPosition>, Error> {
    match rows.last() {
        Some(last) if rows.len() >= limit as usize => {
            Ok(Some(SealedPosition { place: from.place, after: Some(last.try_get("place")?) }))
        }
        _ if from.place < COLUMNS.len() => Ok(Some(SealedPosition { place: from.place + 1, after: None })),
        _ => Ok(None),
    }
}

impl SealedStep {
    /// Whether `sealed` was replaced.
    fn renew(&mut self, sealer: &Sealer, purpose: Purpose, sealed: &mut Vec<u8>) -> Result<bool, Error> {
        self.seen += 1;
        if sealer.is_current(sealed) {
            return Ok(false);
        }
        let Some(renewed) = sealer.renew(purpose, sealed) else {
            self.left += 1;
            return Ok(false);
        };
        *sealed = renewed?;
        self.renewed += 1;
        Ok(true)
    }
}

#[async_trait]
impl KeyStore for SqliteStore {
    async fn data_key(&self, name: &str, sealed: &[u8]) -> Result<Vec<u8>, Error> {
        data_key(&self.writer, name.to_owned(), sealed.to_vec()).await
    }

    async fn keys_held(&self) -> Result<Vec<KeyId>, Error> {
        held(&self.readers).await
    }

    async fn keys_hold(&self, keys: &[KeyId]) -> Result<(), Error> {
        hold(&self.writer, keys.to_vec()).await
    }

    async fn keys_retired(&self) -> Result<Vec<KeyId>, Error> {
        list_retired(&self.readers).await
    }

    async fn keys_retire(&self, keys: &[KeyId], now: Timestamp) -> Result<bool, Error> {
        retire(&self.writer, keys.to_vec(), now).await
    }

    async fn sealed_counts(&self) -> Result<Vec<SealedCount>, Error> {
        counts(&self.readers).await
    }

    async fn sealed_renew(&self, sealer: &Arc<Sealer>, from: SealedPosition, limit: u32) -> Result<SealedStep, Error> {
        renew(&self.writer, Arc::clone(sealer), from, limit).await
    }

    async fn sealed_check(&self, sealer: &Arc<Sealer>, from: SealedPosition, limit: u32) -> Result<SealedStep, Error> {
        check(&self.readers, sealer, from, limit).await
    }
}
