//! Replacing the master key while the gateway serves, and telling what is sealed under which.
//!
//! In goes the configuration; out come words about each step. The new key joins the old one where keys are kept; once the running
//! gateway has both, every value in the store is sealed anew, row by row; when all of them open with the new key alone, the old
//! one is retired, which the store enforces, and taken away. Invariant: a key is taken away last, after nothing needs it any
//! more, so that a rotation that ends anywhere is finished by running it again.

use super::{data, failure::words, keys};
use crate::{
    clock,
    config::{Config, KeySource},
    seal::{KeyId, MasterKey, Sealer},
    store::{KeyStore as _, SealedCount, SealedPosition, SqliteStore},
};
use anyhow::{Context as _, bail};
use rustix::fs::{FlockOperation, flock};
use std::{
    fs::{self, File},
    io,
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, fchown},
    path::Path,
    sync::Arc,
    time::Duration,
};

/// Rows in one transaction: the gateway's own writes wait no longer than that takes.
const ROWS: u32 = 50;
/// Between two transactions, so that the gateway's writes get their turn.
const PAUSE: Duration = Duration::from_millis(5);
/// How long the running gateway may take until it has a new key: it looks every second.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often what a slow writer still sealed under the old key is sealed anew.
const ROUNDS: usize = 20;

/// How a rotation ended.
#[derive(Debug, PartialEq, Eq)]
pub enum Rotated {
    /// This is the only key.
    Done(KeyId),
    /// Everything is sealed under the first; the others still open.
    Kept(Vec<KeyId>),
    /// Nothing needs these any more, and they are to be taken away where the operator keeps them.
    TakeAway(Vec<KeyId>),
}

/// Replaces the master key, or finishes replacing it.
pub async fn rotate(config: &Config, keep_old: bool, tell: &mut dyn FnMut(String)) -> anyhow::Result<Rotated> {
    let _alone = alone(config)?;
    let store = data::open_store(config).await?;
    let rotated = rotate_in(config, &store, keep_old, tell).await;
    store.close().await;
    // Whatever of it was done; and what is left to do for the operator must be said.
    let outcome = if rotated.is_ok() { "done" } else { "failed" };
    if let Err(error) = data::record(config, "secrets.rotate", outcome).await {
        tell(format!("the audit log doesn't tell of this: {}", words(&error)));
    }
    rotated
}

async fn rotate_in(
    config: &Config,
    store: &SqliteStore,
    keep_old: bool,
    tell: &mut dyn FnMut(String),
) -> anyhow::Result<Rotated> {
    let ring = begin(config, store, tell).await?;
    let ids = keys::ids(&ring)?;
    let (active, old) = ids.split_first().context("there is no key")?;
    await_gateway(config, store, *active, tell).await?;
    let sealer = Arc::new(Sealer::with_ring(&ring)?);
    seal_anew(store, &sealer, tell).await?;
    if keep_old {
        return Ok(Rotated::Kept(ids));
    }
    retire(store, &sealer, &Arc::new(Sealer::with_ring(&ring[..1])?), old, tell).await?;
    if config.keys.source != KeySource::File {
        return Ok(Rotated::TakeAway(old.to_vec()));
    }
    keys::write(&config.key_file(), &ring[..1])?;
    Ok(Rotated::Done(*active))
}

/// Two rotations at once would each take the other's key for the old one.
fn alone(config: &Config) -> anyhow::Result<File> {
    let path = config.data_dir.join("rotate.lock");
    let file = lock(&path, &config.data_dir).with_context(|| format!("can't open {}", path.display()))?;
    flock(&file, FlockOperation::NonBlockingLockExclusive).context("another rotation is running")?;
    Ok(file)
}

/// What root makes in the folder, its owner must be able to open later. Only what was made here is given away: what is there
/// already may lead to anything.
fn lock(path: &Path, folder: &Path) -> io::Result<File> {
    match File::options().write(true).create_new(true).mode(0o600).open(path) {
        Ok(file) => match give_to_owner(&file, folder) {
            Ok(()) => Ok(file),
            // One of root's would be in the owner's way for good.
            Err(error) => fs::remove_file(path).and(Err(error)),
        },
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => File::options().write(true).open(path),
        Err(error) => Err(error),
    }
}

fn give_to_owner(file: &File, folder: &Path) -> io::Result<()> {
    let owner = fs::metadata(folder)?;
    if file.metadata()?.uid() == owner.uid() {
        return Ok(());
    }
    fchown(file, Some(owner.uid()), Some(owner.gid()))
}

/// The new key and the old ones. A rotation that ended early left its new key: it goes on with that.
async fn begin(config: &Config, store: &SqliteStore, tell: &mut dyn FnMut(String)) -> anyhow::Result<Vec<MasterKey>> {
    let ring = keys::load(config, false).await?;
    keys::fit(store, &keys::ids(&ring)?, config).await?;
    if let [new, old @ ..] = ring.as_slice()
        && !old.is_empty()
    {
        tell(format!("going on with master key {}, which is there already", new.id()?));
        return Ok(ring);
    }
    if config.keys.source != KeySource::File {
        let place = keys::place(config);
        let next = match config.keys.source {
            KeySource::Command => "send the gateway SIGHUP",
            _ => "start the gateway again with them",
        };
        bail!(
            "{place} holds one key. Make another (portico secrets generate), let {place} hold both, the new one first and \
             separated by a space, {next}, and run this again with the same"
        );
    }
    let new = MasterKey::generate()?;
    tell(format!("made master key {}", new.id()?));
    let ring: Vec<_> = std::iter::once(new).chain(ring).collect();
    keys::write(&config.key_file(), &ring)?;
    Ok(ring)
}

/// Waits until a gateway that runs on the store has the key: it must open what is sealed anew, and seal under nothing older.
async fn await_gateway(config: &Config, store: &SqliteStore, key: KeyId, tell: &mut dyn FnMut(String)) -> anyhow::Result<()> {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    let mut told = false;
    while gateway_runs(config)? && store.keys_held().await?.first() != Some(&key) {
        let next = match config.keys.source {
            KeySource::File => None,
            KeySource::Environment => Some("start it again with both keys, the new one first"),
            KeySource::Command => Some("send it SIGHUP, and if that doesn't help, its log says why"),
        };
        if let Some(next) = next {
            bail!("the running gateway doesn't seal under master key {key} yet: {next}");
        }
        if tokio::time::Instant::now() > deadline {
            bail!(
                "the running gateway hasn't taken over master key {key}: its log says why. Nothing was sealed anew; run this again"
            );
        }
        if !std::mem::replace(&mut told, true) {
            tell("waiting for the running gateway to take over the new key".to_owned());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}

/// Whether one holds the lock of the data folder.
pub fn gateway_runs(config: &Config) -> anyhow::Result<bool> {
    let path = config.data_dir.join("lock");
    match File::open(&path) {
        // Held for this look alone, and shared.
        Ok(file) => Ok(flock(&file, FlockOperation::NonBlockingLockShared).is_err()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error).with_context(|| format!("can't open {}", path.display())),
    }
}

async fn seal_anew(store: &SqliteStore, sealer: &Arc<Sealer>, tell: &mut dyn FnMut(String)) -> anyhow::Result<()> {
    let all: u64 = store.sealed_counts().await?.iter().map(|one| one.count).sum();
    let (mut seen, mut renewed, mut left) = (0, 0, 0);
    let mut at = Some(SealedPosition::default());
    let mut said = tokio::time::Instant::now();
    while let Some(from) = at {
        let step = store.sealed_renew(sealer, from, ROWS).await?;
        seen += step.seen;
        renewed += step.renewed;
        left += step.left;
        at = step.next;
        if said.elapsed() > Duration::from_secs(1) {
            tell(format!("looked at {seen} of {all} values, sealed {renewed} anew"));
            said = tokio::time::Instant::now();
        }
        if step.renewed > 0 {
            tokio::time::sleep(PAUSE).await;
        }
    }
    tell(format!("looked at {seen} values, sealed {renewed} anew"));
    if left > 0 {
        bail!(
            "{left} values could not be sealed anew, so the old key stays: those in the form of before keys had ids move when their \
             connection is changed (PATCH its name) or their operation is read; `portico secrets status` counts them"
        );
    }
    Ok(())
}

/// Proves that everything opens with the new key alone, and retires the others.
async fn retire(
    store: &SqliteStore,
    sealer: &Arc<Sealer>,
    new: &Arc<Sealer>,
    old: &[KeyId],
    tell: &mut dyn FnMut(String),
) -> anyhow::Result<()> {
    for _ in 0..ROUNDS {
        let left = unopened(store, new).await?;
        if left == 0 && store.keys_retire(old, clock::now()).await? {
            tell("everything opens with the new key alone".to_owned());
            return Ok(());
        }
        // A request that began before the gateway had the new key has been stored meanwhile.
        tokio::time::sleep(Duration::from_millis(200)).await;
        seal_anew(store, sealer, tell).await?;
    }
    bail!("something goes on being sealed under an old key, which stays: run this again")
}

async fn unopened(store: &SqliteStore, sealer: &Arc<Sealer>) -> anyhow::Result<u64> {
    let mut left = 0;
    let mut at = Some(SealedPosition::default());
    while let Some(from) = at {
        let step = store.sealed_check(sealer, from, ROWS * 10).await?;
        left += step.left;
        at = step.next;
    }
    Ok(left)
}

/// The keys where they are kept, and how much in the store is sealed under each.
pub async fn status(config: &Config) -> anyhow::Result<(Vec<KeyId>, Vec<KeyId>, Vec<SealedCount>)> {
    let ring = keys::ids(&keys::load(config, false).await?)?;
    let store = data::open_store(config).await?;
    let found = (ring, store.keys_retired().await?, store.sealed_counts().await?);
    store.close().await;
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{chown, symlink};

    #[test]
    fn the_lock_is_the_folders_owners_and_nothing_else_is_given_away() {
        let folder = tempfile::tempdir().unwrap();
        let (path, other) = (folder.path().join("rotate.lock"), folder.path().join("other"));
        fs::write(&other, "").unwrap();
        let ours = fs::metadata(&other).unwrap().uid();
        if let Err(error) = chown(folder.path(), Some(12_345), None) {
            assert_eq!(error.kind(), io::ErrorKind::PermissionDenied, "{error}");
            eprintln!("not tried, since this user can't give files away: {error}");
            return;
        }
        drop(lock(&path, folder.path()).unwrap());
        assert_eq!(fs::metadata(&path).unwrap().uid(), 12_345);
        assert!(lock(&path, folder.path()).is_ok(), "the one that is there");
        fs::remove_file(&path).unwrap();
        symlink(&other, &path).unwrap();
        drop(lock(&path, folder.path()).unwrap());
        assert_eq!(fs::metadata(&other).unwrap().uid(), ours);
    }
}
