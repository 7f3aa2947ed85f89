//! The data folder: its key, its database, and the addresses of the running gateway.
//!
//! Invariant: the folder and the key are readable by their owner alone, and a key is never made for a database that already
//! exists: what was sealed under the lost one would be unreadable without a word.

use crate::{
    config::Config,
    seal::{KEY_LENGTH, Sealer},
    store::{AuditMark, AuditReport, SqliteStore},
};
use anyhow::{Context as _, bail};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use std::{
    fs,
    io::Write as _,
    net::SocketAddr,
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    sync::Arc,
};
use zeroize::Zeroizing;

pub struct Data {
    pub folder: PathBuf,
    pub store: Arc<SqliteStore>,
    pub sealer: Arc<Sealer>,
}

/// Opens the folder for a gateway: alone, until the process ends.
pub async fn open(config: &Config) -> anyhow::Result<Data> {
    folder(&config.data_dir)?;
    let fresh = !config.database().exists();
    // The store first: its lock keeps a second gateway from making another key at the same time.
    let store = SqliteStore::open(&config.database()).await?;
    let sealer = Sealer::new(&*key(config, fresh)?)?;
    store.chain_audit(sealer.chain_key()).await?;
    Ok(Data { folder: config.data_dir.clone(), store: Arc::new(store), sealer: Arc::new(sealer) })
}

/// Looks at the folder without opening or making anything: a gateway may be running on it, or none was ever started.
pub fn check(config: &Config) -> anyhow::Result<()> {
    if !config.data_dir.exists() {
        return Ok(());
    }
    folder(&config.data_dir)?;
    match (config.key_file().exists(), config.database().exists()) {
        (true, _) => read_key(&config.key_file()).map(drop),
        (false, true) => Err(missing_key(&config.key_file())),
        (false, false) => Ok(()),
    }
}

/// An empty folder that goes again, to load providers in.
pub async fn elsewhere() -> anyhow::Result<Data> {
    let path = std::env::temp_dir().join(format!("portico-check-{}", std::process::id()));
    folder(&path)?;
    let store = SqliteStore::open(&path.join("portico.db")).await?;
    let sealer = Sealer::new(&*Sealer::generate()?)?;
    Ok(Data { folder: path, store: Arc::new(store), sealer: Arc::new(sealer) })
}

impl Data {
    pub async fn remove(self) -> anyhow::Result<()> {
        self.store.close().await;
        fs::remove_dir_all(&self.folder).with_context(|| format!("can't remove {}", self.folder.display()))
    }
}

/// Opens the database beside a gateway that may be running, for a command.
pub async fn open_store(config: &Config) -> anyhow::Result<SqliteStore> {
    if !config.database().exists() {
        bail!(
            "there is no database in {}: start the gateway once, or name its folder with --data-dir",
            config.data_dir.display()
        );
    }
    let sealer = sealer(config)?;
    let store = SqliteStore::open_beside(&config.database()).await?;
    store.chain_audit(sealer.chain_key()).await?;
    Ok(store)
}

/// Checks the audit log, beside a gateway that may be running.
pub async fn verify_audit(config: &Config, noted: Option<&AuditMark>) -> anyhow::Result<AuditReport> {
    if !config.database().exists() {
        bail!("there is no database in {}: name the gateway's folder with --data-dir", config.data_dir.display());
    }
    Ok(SqliteStore::verify_audit(&config.database(), &sealer(config)?.chain_key(), noted).await?)
}

fn sealer(config: &Config) -> anyhow::Result<Sealer> {
    let file = config.key_file();
    if !file.exists() {
        return Err(missing_key(&file));
    }
    Ok(Sealer::new(&*read_key(&file)?)?)
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

fn key(config: &Config, fresh: bool) -> anyhow::Result<Zeroizing<[u8; KEY_LENGTH]>> {
    let file = config.key_file();
    if file.exists() {
        return read_key(&file);
    }
    if !fresh {
        return Err(missing_key(&file));
    }
    let key = Sealer::generate()?;
    write_private(&file, Zeroizing::new(BASE64_STANDARD.encode(key.as_ref()) + "\n").as_bytes())?;
    tracing::info!(file = %file.display(), "made a new master key: keep a copy in a safe place");
    Ok(key)
}

fn missing_key(file: &Path) -> anyhow::Error {
    let file = file.display();
    anyhow::anyhow!(
        "{file} is missing, but there is a database: restore the key from your backup (a new one couldn't open its secrets)"
    )
}

fn read_key(file: &Path) -> anyhow::Result<Zeroizing<[u8; KEY_LENGTH]>> {
    let text = Zeroizing::new(fs::read_to_string(file).with_context(|| format!("can't read {}", file.display()))?);
    let bytes = BASE64_STANDARD.decode(text.trim()).map(Zeroizing::new).ok();
    let key = bytes.and_then(|bytes| <[u8; KEY_LENGTH]>::try_from(bytes.as_slice()).ok());
    key.map(Zeroizing::new).with_context(|| format!("{} doesn't hold {KEY_LENGTH} bytes in base64", file.display()))
}

/// Writes a file that only its owner can read, as a whole or not at all.
pub fn write_private(file: &Path, content: &[u8]) -> anyhow::Result<()> {
    let draft = file.with_extension("new");
    let write = || {
        let mut open = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
        open.write_all(content)?;
        open.sync_all()?;
        fs::rename(&draft, file)
    };
    write().with_context(|| format!("can't write {}", file.display()))
}

/// `addresses.json`: where the gateway listens, for scripts that let it choose ports.
pub fn write_addresses(config: &Config, api: SocketAddr, admin: SocketAddr) -> anyhow::Result<()> {
    let addresses = serde_json::json!({"api": api, "admin": admin, "pid": std::process::id()});
    write_private(&config.data_dir.join("addresses.json"), format!("{addresses}\n").as_bytes())
}
