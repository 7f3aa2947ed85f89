//! A copy of the database while the gateway serves.
//!
//! In goes a file's name; out comes the file, whole and checked, or none. Invariant: nothing that exists is replaced, a database of
//! an older version is copied as it is and stays so, and the copy is never laid beside the key: together they are every secret
//! in the clear.

use super::{data, failure::words, private::folder, unless_told_to_end};
use crate::{
    config::{Config, KeySource},
    seal::{KeyId, SealedBy},
    store::{SqliteStore, copy_progress},
};
use anyhow::{Context as _, bail};
use rustix::fs::{CWD, RenameFlags, renameat_with};
use std::{
    collections::BTreeSet,
    fs::{self, File},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

const TELL_EVERY: Duration = Duration::from_secs(1);

/// What a copy holds.
#[derive(Debug)]
pub struct Saved {
    pub bytes: u64,
    /// The number of its schema.
    pub schema: i64,
    /// The master keys that open it.
    pub keys: Vec<KeyId>,
}

impl Saved {
    /// An older version wrote the database, and opens the copy; this one adds no row to its audit log.
    pub fn is_older(&self) -> bool {
        self.schema < SqliteStore::schema()
    }
}

pub async fn backup(config: &Config, destination: &Path, tell: &mut dyn FnMut(String)) -> anyhow::Result<Saved> {
    allowed(config, destination)?;
    let database = data::database(config)?;
    let draft = Draft::new(destination)?;
    // Told to end, it leaves no draft; a copy that is whole stays, and is told.
    let saved = unless_told_to_end(save(&database, &draft, tell)).await?;
    draft.publish(destination)?;
    if saved.is_older() {
        tell("the copy is made, and has the schema of an older version, whose audit log doesn't tell of it".to_owned());
        return Ok(saved);
    }
    // A copy needs no key, and is worth having also where none is at hand; the log is chained by one.
    if let Err(error) = data::record(config, "backup", "done").await {
        tell(format!("the copy is made, but the audit log doesn't tell of it: {}", words(&error)));
    }
    Ok(saved)
}

/// Refuses a destination that exists, the data folder, and the folder of the key.
fn allowed(config: &Config, destination: &Path) -> anyhow::Result<()> {
    let shown = destination.display();
    if destination.is_dir() {
        bail!("{shown} is a folder: name the file to make in it");
    }
    if destination.symlink_metadata().is_ok() {
        bail!("{shown} exists, and a backup replaces nothing: name another file");
    }
    let folder = folder(destination).canonicalize().with_context(|| format!("there is no folder for {shown}"))?;
    let is_inside = config.data_dir.canonicalize().is_ok_and(|data| folder.starts_with(data));
    if is_inside {
        bail!("{shown} is in the data folder, with the key and on the same disk: name a file elsewhere");
    }
    if key_folders(config).contains(&folder) {
        bail!("{shown} would lie beside the key {}: name a file elsewhere", config.key_file().display());
    }
    Ok(())
}

/// Where the key's file lies, by its name and, where that is a link, in truth.
fn key_folders(config: &Config) -> Vec<PathBuf> {
    if config.keys.source != KeySource::File {
        return Vec::new();
    }
    let file = config.key_file();
    let named = folder(&file).canonicalize().ok();
    let real = file.canonicalize().ok().and_then(|file| file.parent().map(Path::to_path_buf));
    named.into_iter().chain(real).collect()
}

async fn save(database: &Path, draft: &Draft, tell: &mut dyn FnMut(String)) -> anyhow::Result<Saved> {
    let mut copying = Box::pin(SqliteStore::copy(database, &draft.path));
    let mut every = tokio::time::interval(TELL_EVERY);
    every.tick().await;
    let copied = loop {
        tokio::select! {
            copied = &mut copying => break copied?,
            _ = every.tick() => tell(copy_progress(&draft.path)),
        }
    };
    let file = File::open(&draft.path)?;
    file.sync_all().context("can't write the copy to the disk")?;
    tell("checking the copy".to_owned());
    let schema = copied.check().await?;
    // Of the copy: a rotation may have ended since it was made.
    let named = copied.sealed_counts().await?.into_iter().filter_map(|one| match one.by {
        Some(SealedBy::Key(id)) => Some(id),
        _ => None,
    });
    let keys: BTreeSet<KeyId> = named.collect();
    Ok(Saved { bytes: file.metadata()?.len(), schema, keys: keys.into_iter().collect() })
}

/// The file while it isn't whole; it goes when it isn't published.
struct Draft {
    path: PathBuf,
}

impl Draft {
    /// Beside its destination, and readable by its owner alone.
    fn new(destination: &Path) -> anyhow::Result<Self> {
        let mut name = destination.file_name().context("name a file")?.to_owned();
        name.push(format!(".{}.part", std::process::id()));
        let path = folder(destination).join(name);
        let made = File::options().write(true).create_new(true).mode(0o600).open(&path);
        made.with_context(|| format!("can't make {}", path.display()))?;
        Ok(Self { path })
    }

    /// Gives it its name, durably, unless something has that name by now.
    fn publish(self, destination: &Path) -> anyhow::Result<()> {
        let moved = match renameat_with(CWD, &self.path, CWD, destination, RenameFlags::NOREPLACE) {
            // Not every file system can.
            Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) if destination.symlink_metadata().is_err() => {
                fs::rename(&self.path, destination)
            }
            moved => moved.map_err(Into::into),
        };
        moved.with_context(|| format!("can't make {}", destination.display()))?;
        File::open(folder(destination))?.sync_all().context("can't write the copy's name to the disk")
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // SQLite's own helpers of a copy that was cut off go with it. What was published has another name.
        for suffix in ["", "-journal", "-wal", "-shm"] {
            let mut path = self.path.clone().into_os_string();
            path.push(suffix);
            drop(fs::remove_file(path));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        config::Keys,
        seal::{MasterKey, Purpose, Sealer},
        store::{KeyStore as _, SealedPosition},
    };
    use std::{sync::Arc, thread};

    /// Seals everything anew under the first key, as a rotation does from another process.
    fn rotate(database: &Path, sealer: &Arc<Sealer>) {
        let rotation = async || {
            let store = SqliteStore::open_beside(database).await.unwrap();
            assert_eq!(store.sealed_renew(sealer, SealedPosition::default(), 50).await.unwrap().renewed, 1);
            store.close().await;
        };
        // A runtime of its own in a thread of its own: this one's is busy with the copy.
        let run = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(rotation());
        thread::scope(|scope| scope.spawn(run).join()).unwrap();
    }

    #[test]
    fn a_copy_is_not_laid_beside_the_key_wherever_that_is() {
        let outer = tempfile::tempdir().unwrap();
        let place = |name: &str| {
            let path = outer.path().join(name);
            fs::create_dir(&path).unwrap();
            path
        };
        let (data, keys, links, free) = (place("data"), place("keys"), place("links"), place("free"));
        fs::write(keys.join("key"), "").unwrap();
        std::os::unix::fs::symlink(keys.join("key"), links.join("key")).unwrap();
        let with = |source: KeySource, file: PathBuf| Config {
            data_dir: data.clone(),
            keys: Keys { source, file, ..Keys::default() },
            ..Config::default()
        };
        let refused = |config: &Config, folder: &Path| {
            allowed(config, &folder.join("copy.db")).err().is_some_and(|error| error.to_string().contains("beside the key"))
        };
        let direct = with(KeySource::File, keys.join("key"));
        assert_eq!([&keys, &links, &free].map(|folder| refused(&direct, folder)), [true, false, false]);
        // Also by a way around.
        assert!(refused(&direct, &free.join("../keys")));
        let linked = with(KeySource::File, links.join("key"));
        assert_eq!([&keys, &links, &free].map(|folder| refused(&linked, folder)), [true, true, false]);
        let elsewhere = with(KeySource::Environment, keys.join("key"));
        assert!(allowed(&elsewhere, &keys.join("copy.db")).is_ok());
    }

    #[tokio::test]
    async fn the_keys_that_are_named_are_those_of_the_copy() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("portico.db");
        let store = SqliteStore::open(&database).await.unwrap();
        let (old, new) = (MasterKey::generate().unwrap(), MasterKey::generate().unwrap());
        let before = old.id().unwrap();
        let sealed = Sealer::with_ring(std::slice::from_ref(&old)).unwrap().seal(Purpose::DataKey, b"a", b"value").unwrap();
        store.data_key("a", &sealed).await.unwrap();
        let both = Arc::new(Sealer::with_ring(&[new, old]).unwrap());
        let draft = Draft::new(&folder.path().join("copy.db")).unwrap();
        let mut rotated = false;
        let mut tell = |line: String| {
            if line == "checking the copy" {
                rotate(&database, &both);
                rotated = true;
            }
        };
        let saved = save(&database, &draft, &mut tell).await.unwrap();
        assert_eq!((saved.keys, rotated), (vec![before], true));
    }
}
