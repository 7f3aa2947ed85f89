//! A consistent copy of the database while it is in use.
//!
//! In goes the name of an empty file; out comes the database as it was at one moment. Invariant: writers don't wait for the copy,
//! neither file gets another schema than it was written with, and a copy that wasn't checked has no schema to show. It decides
//! nothing about where copies may lie.

use super::{SqliteStore, keys, known_schema, newer, schema_in, schema_of, told};
use crate::{model::Error, store::SealedCount};
use sqlx::{ConnectOptions as _, Connection as _, SqliteConnection, sqlite::SqliteConnectOptions};
use std::path::{Path, PathBuf};

/// A copy that is written and not yet checked.
#[derive(Debug)]
pub struct Copied {
    path: PathBuf,
}

impl SqliteStore {
    /// Copies all of a database to a file that must be empty or absent. A gateway may be running on it, also an older one: the
    /// schema stays as it is, here and there.
    pub async fn copy(from: &Path, to: &Path) -> Result<Copied, Error> {
        let name = to.to_str().ok_or_else(|| told("a copy's name must be UTF-8: choose another".to_owned()))?;
        let schema = schema_of(from).await?;
        if schema > known_schema() {
            return Err(newer(from, schema));
        }
        // In WAL mode this reads from one snapshot, and nobody waits for it. A reader's connection may not write files.
        let mut connection = SqliteConnectOptions::new().filename(from).busy_timeout(super::BUSY).connect().await?;
        let copied = sqlx::query("VACUUM INTO ?").bind(name).execute(&mut connection).await;
        connection.close().await?;
        copied.map_err(|error| told(format!("could not copy the database to {name}: {error}")))?;
        Ok(Copied { path: to.to_owned() })
    }
}

impl Copied {
    /// What of it is sealed, and under which keys.
    pub async fn sealed_counts(&self) -> Result<Vec<SealedCount>, Error> {
        let mut connection = self.open().await?;
        let counts = keys::counts_in_older(&mut connection).await?;
        connection.close().await?;
        Ok(counts)
    }

    async fn open(&self) -> Result<SqliteConnection, Error> {
        // Immutable: nobody else has it, and no helper files are made beside it.
        let options = SqliteConnectOptions::new().filename(&self.path).read_only(true).immutable(true);
        Ok(options.connect().await?)
    }

    /// Reads all of it; its schema's number is the answer.
    pub async fn check(&self) -> Result<i64, Error> {
        let mut connection = self.open().await?;
        let problems: Vec<String> = sqlx::query_scalar("PRAGMA integrity_check(3)").fetch_all(&mut connection).await?;
        if problems != ["ok"] {
            return Err(told(format!("the copy is damaged: {}", problems.join("; "))));
        }
        let orphans = sqlx::query("PRAGMA foreign_key_check").fetch_all(&mut connection).await?.len();
        if orphans > 0 {
            return Err(told(format!("the copy is damaged: {orphans} rows refer to nothing")));
        }
        let schema = schema_in(&mut connection).await?;
        connection.close().await?;
        match schema {
            0 => Err(told("the copy has no schema: what was copied is no database of a gateway".to_owned())),
            schema => Ok(schema),
        }
    }
}

/// How far a copy is, in words.
pub fn copy_progress(path: &Path) -> String {
    let bytes = std::fs::metadata(path).map_or(0, |facts| facts.len());
    format!("copied {} MiB", bytes >> 20)
}
