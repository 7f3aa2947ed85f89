//! The data folder: its key, its database, and the addresses of the running gateway.
//!
//! Invariant: the folder and what is made in it are readable by their owner alone, and a key is never made for a database that
//! something was sealed in: it would be unreadable without a word.

use super::{keys, private, rotate};
use crate::{
    clock,
    config::Config,
    model::Error,
    seal::{ChainKey, MasterKey, Sealer},
    store::{AuditEntry, AuditMark, AuditReport, KeyStore as _, SqliteStore, Store as _},
};
use anyhow::{Context as _, bail};
use std::{
    fs,
    net::SocketAddr,
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    sync::Arc,
};

pub struct Data {
    pub folder: PathBuf,
    pub store: Arc<SqliteStore>,
    pub sealer: Arc<Sealer>,
}

/// Opens the folder for a gateway: alone, until the process ends.
pub async fn open(config: &Config) -> anyhow::Result<Data> {
    folder(&config.data_dir)?;
    // The store first: its lock keeps a second gateway from making another key at the same time.
    let store = SqliteStore::open(&config.database()).await.map_err(|error| unopened(config, error))?;
    // A start that couldn't write its key left a database that needs none.
    let fresh = store.sealed_counts().await?.is_empty() && store.keys_held().await?.is_empty();
    let sealer = keys::sealer(&keys::load(config, fresh).await?, &store, config).await?;
    store.keys_hold(&sealer.key_ids()).await?;
    store.chain_audit(sealer.chain_key()?).await?;
    Ok(Data { folder: config.data_dir.clone(), store: Arc::new(store), sealer: Arc::new(sealer) })
}

fn unopened(config: &Config, error: Error) -> anyhow::Error {
    let folder = config.data_dir.display();
    if rotate::gateway_runs(config).unwrap_or(false) {
        return anyhow::anyhow!(
            "a gateway runs on the data folder {folder}: stop that one, or give this one another folder with --data-dir"
        );
    }
    anyhow::Error::new(error).context(format!("can't open the database {}", config.database().display()))
}

/// Looks at the folder without opening or making anything: a gateway may be running on it, or none was ever started.
pub async fn check(config: &Config) -> anyhow::Result<()> {
    if !config.data_dir.exists() {
        return Ok(());
    }
    folder(&config.data_dir)?;
    keys::check(config).await
}

/// An empty folder that goes again, to load providers in, under a name that nobody could have taken.
pub async fn elsewhere() -> anyhow::Result<Data> {
    let path = std::env::temp_dir().join(format!("portico-check-{}", uuid::Uuid::new_v4().simple()));
    folder(&path)?;
    let store = SqliteStore::open(&path.join("portico.db")).await?;
    let sealer = Sealer::with_ring(&[MasterKey::generate()?])?;
    Ok(Data { folder: path, store: Arc::new(store), sealer: Arc::new(sealer) })
}

impl Data {
    pub async fn remove(self) -> anyhow::Result<()> {
        self.store.close().await;
        fs::remove_dir_all(&self.folder).with_context(|| format!("can't remove {}", self.folder.display()))
    }
}

/// Opens the database beside a gateway that may be running, for a command that changes nothing that the audit log tells of.
pub async fn open_store(config: &Config) -> anyhow::Result<SqliteStore> {
    let path = database(config)?;
    SqliteStore::open_beside(&path).await.with_context(|| format!("can't open the database {}", path.display()))
}

/// The database's file, which must be there.
pub fn database(config: &Config) -> anyhow::Result<PathBuf> {
    let path = config.database();
    if !path.exists() {
        bail!(
            "there is no database in {}: start the gateway once, or name its folder with --data-dir",
            config.data_dir.display()
        );
    }
    Ok(path)
}

/// The same as `open_store` for a command whose changes are recorded, which takes the keys.
pub async fn open_recording(config: &Config) -> anyhow::Result<SqliteStore> {
    let store = open_store(config).await?;
    let key = chain_key(config, &store).await?;
    store.chain_audit(key).await?;
    Ok(store)
}

/// Writes into the audit log what an operator did by a command, about the whole gateway, and with which outcome.
pub async fn record(config: &Config, action: &str, outcome: &str) -> anyhow::Result<()> {
    let store = open_recording(config).await?;
    let entry = AuditEntry {
        at: clock::now(),
        organization: None,
        principal: "operator".to_owned(),
        client: None,
        action: action.to_owned(),
        target: None,
        outcome: outcome.to_owned(),
        status: None,
        request_id: None,
        operation: None,
    };
    let recorded = store.audit(&entry).await;
    store.close().await;
    Ok(recorded?)
}

/// Checks the audit log, beside a gateway that may be running.
pub async fn verify_audit(config: &Config, noted: Option<&AuditMark>) -> anyhow::Result<AuditReport> {
    let store = open_store(config).await?;
    let key = chain_key(config, &store).await;
    store.close().await;
    Ok(SqliteStore::verify_audit(&config.database(), &key?, noted).await?)
}

async fn chain_key(config: &Config, store: &SqliteStore) -> anyhow::Result<ChainKey> {
    Ok(keys::sealer(&keys::read(config).await?, store, config).await?.chain_key()?)
}

fn folder(path: &Path) -> anyhow::Result<()> {
    if !path.exists() {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .with_context(|| format!("can't make {}", path.display()))?;
    }
    let metadata = fs::metadata(path).with_context(|| format!("can't read {}", path.display()))?;
    if metadata.permissions().mode() & 0o077 != 0 {
        bail!("{} is open to other users: chmod 700 it", path.display());
    }
    if metadata.uid() != rustix::process::geteuid().as_raw() {
        bail!("{} belongs to another user", path.display());
    }
    Ok(())
}

/// `addresses.json`: where the gateway listens, for scripts that let it choose ports.
pub fn write_addresses(config: &Config, api: SocketAddr, admin: SocketAddr) -> anyhow::Result<()> {
    let addresses = serde_json::json!({"api": api, "admin": admin, "pid": std::process::id()});
    private::write(&config.data_dir.join("addresses.json"), format!("{addresses}\n").as_bytes())
}
