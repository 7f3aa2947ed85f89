//! A consistent copy of the database while it is in use.
//!
//! In goes the name of an empty file; out comes the database as it was at one moment. Invariant: writers don't wait for the copy,
//! and a copy that wasn't checked has no schema to show. It decides nothing about where copies may lie.

use super::{SqliteStore, keys, told};
use crate::{model::Error, store::SealedCount};
use sqlx::{ConnectOptions as _, Connection as _, SqliteConnection, sqlite::SqliteConnectOptions};
use std::path::{Path, PathBuf};

/// A copy that is written and not yet checked.
#[derive(Debug)]
pub struct Copied {
    path: PathBuf,
}

impl SqliteStore {
    /// Copies everything to this file, which must be empty or absent.
    pub async fn copy_to(&self, path: &Path) -> Result<Copied, Error> {
        let name = path.to_str().ok_or_else(|| Error::gateway("a copy's name must be UTF-8"))?;
        // In WAL mode this reads from one snapshot, and nobody waits for it. A reader's connection may not write files.
        let mut connection = SqliteConnectOptions::new().filename(&self.path).busy_timeout(super::BUSY).connect().await?;
        let copied = sqlx::query("VACUUM INTO ?").bind(name).execute(&mut connection).await;
        connection.close().await?;
        copied.map_err(|error| told(format!("could not copy the database to {name}: {error}")))?;
        Ok(Copied { path: path.to_owned() })
    }
}

impl Copied {
    /// What of it is sealed, and under which keys.
    pub async fn sealed_counts(&self) -> Result<Vec<SealedCount>, Error> {
        let mut connection = self.open().await?;
        let counts = keys::counts_in(&mut connection).await?;
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
        let schema = "SELECT MAX(version) FROM _sqlx_migrations WHERE success";
        let schema: Option<i64> = sqlx::query_scalar(schema).fetch_one(&mut connection).await?;
        connection.close().await?;
        schema.ok_or_else(|| told("the copy has no schema".to_owned()))
    }
}

/// How far a copy is, in words.
pub fn copy_progress(path: &Path) -> String {
    let bytes = std::fs::metadata(path).map_or(0, |facts| facts.len());
    format!("copied {} MiB", bytes >> 20)
}
