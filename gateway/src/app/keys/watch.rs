//! Takes over the keys that change while the gateway runs, so that a rotation needs no restart. Keys in the environment are read at
//! the start alone.
//!
//! In goes the key's file, again and again, or what the command prints, at each SIGHUP; out comes a sealer with these keys, and word
//! of that in the store. Invariant: a file counts as known only once it was taken over, so that what failed in passing is tried
//! again, after longer and longer pauses; a command runs when it is told to, since nobody knows what it costs.

use super::{fit, ids, read, words};
use crate::{
    config::{Config, KeySource},
    metrics::Metrics,
    seal::{KeyId, Sealer},
    store::{KeyStore as _, SqliteStore},
};
use std::{fs, os::unix::fs::MetadataExt as _, path::Path, sync::Arc, time::Duration};
use tokio::{
    signal::unix::{SignalKind, signal},
    time::Instant,
};

const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long a key that was taken away still opens: longer than the calls that hold something sealed, and as long as a walk by
/// cursor that goes on.
const LEAVING: Duration = Duration::from_mins(10);
/// Looks between two tries of a file that can't be used: each reads how everything in the store is sealed.
const LONGEST_PAUSE: u32 = 60;

pub async fn watch(config: Config, sealer: Arc<Sealer>, store: Arc<SqliteStore>, metrics: Arc<Metrics>) {
    let source = config.keys.source;
    let mut watch = Watch { config, sealer, store, metrics, known: None, failure: None, leaving: None };
    watch.count();
    match source {
        KeySource::File => watch.look_on().await,
        KeySource::Command => watch.listen().await,
        KeySource::Environment => {}
    }
}

struct Watch {
    config: Config,
    sealer: Arc<Sealer>,
    store: Arc<SqliteStore>,
    metrics: Arc<Metrics>,
    /// None: to be read in any case, since the file may have changed since the start.
    known: Option<Stamp>,
    failure: Option<Failure>,
    /// When all keys but these are forgotten.
    leaving: Option<(Instant, Vec<KeyId>)>,
}

/// A file that was replaced or written has another one.
type Stamp = (u64, i64, i64, u64);

struct Failure {
    stamp: Stamp,
    pause: u32,
    passed: u32,
}

impl Watch {
    async fn look_on(&mut self) {
        let mut every = tokio::time::interval(LOOK_EVERY);
        loop {
            every.tick().await;
            self.look().await;
        }
    }

    async fn listen(&mut self) {
        let mut hangup = match signal(SignalKind::hangup()) {
            Ok(hangup) => hangup,
            Err(error) => {
                tracing::error!("can't listen for SIGHUP, so keys.command runs at the start alone: {error}");
                return;
            }
        };
        let mut every = tokio::time::interval(LOOK_EVERY);
        loop {
            tokio::select! {
                _ = every.tick() => self.let_go(),
                Some(()) = hangup.recv() => self.ask().await,
            }
        }
    }

    /// Runs the command once more.
    async fn ask(&mut self) {
        match take_over(&self.config, &self.sealer, &self.store).await {
            Ok(kept) => self.leaving = Some((Instant::now() + LEAVING, kept)),
            Err(error) => {
                tracing::error!("what keys.command prints now can't be used, so the keys stay as they are: {error:#}");
            }
        }
        self.count();
    }

    /// Forgets what was taken away long enough ago.
    fn let_go(&mut self) {
        if let Some((_, kept)) = self.leaving.take_if(|(until, _)| *until <= Instant::now()) {
            self.sealer.keep(&kept);
            self.count();
        }
    }

    async fn look(&mut self) {
        self.let_go();
        let Some(stamp) = stamp(&self.config.key_file()) else { return };
        if self.known == Some(stamp) || self.rests(stamp) {
            return;
        }
        match take_over(&self.config, &self.sealer, &self.store).await {
            Ok(kept) => {
                (self.known, self.failure) = (Some(stamp), None);
                self.leaving = Some((Instant::now() + LEAVING, kept));
            }
            Err(error) => {
                self.fail(stamp);
                tracing::error!("the master key's file changed and can't be used, so the keys stay as they are: {error:#}");
            }
        }
        self.count();
    }

    /// Whether it is too early to try a file again that failed.
    fn rests(&mut self, stamp: Stamp) -> bool {
        let Some(failure) = self.failure.as_mut().filter(|failure| failure.stamp == stamp) else { return false };
        failure.passed += 1;
        failure.passed < failure.pause
    }

    fn fail(&mut self, stamp: Stamp) {
        let before = self.failure.as_ref().filter(|failure| failure.stamp == stamp);
        let pause = before.map_or(1, |failure| (failure.pause * 2).min(LONGEST_PAUSE));
        self.failure = Some(Failure { stamp, pause, passed: 0 });
    }

    fn count(&self) {
        self.metrics.master_keys.set(i64::try_from(self.sealer.key_ids().len()).unwrap_or(i64::MAX));
    }
}

fn stamp(file: &Path) -> Option<Stamp> {
    let facts = fs::metadata(file).ok()?;
    Some((facts.ino(), facts.mtime(), facts.mtime_nsec(), facts.len()))
}

async fn take_over(config: &Config, sealer: &Sealer, store: &SqliteStore) -> anyhow::Result<Vec<KeyId>> {
    let keys = read(config).await?;
    let now = ids(&keys)?;
    fit(store, &now, config).await?;
    let before = sealer.key_ids();
    if before.first() != now.first() || now.iter().any(|id| !before.contains(id)) {
        sealer.adopt(&keys)?;
        tracing::info!(keys = words(now.iter().copied()), "took over the changed master keys");
    }
    // Told only once it is true: a rotation waits for it before it seals anything anew.
    store.keys_hold(&now).await?;
    Ok(now)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        app::keys::write,
        seal::{MasterKey, Purpose},
        store::SealedPosition,
    };

    /// A watch over a store in which one value is sealed under the old key, and the ring of both.
    async fn world(folder: &Path, old: &MasterKey, both: &[MasterKey]) -> (Watch, Arc<Sealer>) {
        let config = Config { data_dir: folder.to_owned(), ..Config::default() };
        let store = Arc::new(SqliteStore::open(&config.database()).await.unwrap());
        let sealer = Arc::new(Sealer::with_ring(std::slice::from_ref(old)).unwrap());
        store.data_key("a", &sealer.seal(Purpose::DataKey, b"a", b"value").unwrap()).await.unwrap();
        let metrics = Arc::new(Metrics::new().unwrap());
        let watch = Watch { config, sealer, store, metrics, known: None, failure: None, leaving: None };
        (watch, Arc::new(Sealer::with_ring(both).unwrap()))
    }

    #[tokio::test]
    async fn what_failed_in_passing_is_tried_again_though_the_file_stays() {
        let folder = tempfile::tempdir().unwrap();
        let both = [MasterKey::generate().unwrap(), MasterKey::generate().unwrap()];
        let [new, old] = &both;
        let (mut watch, rotation) = world(folder.path(), old, &both).await;
        // Too early: what the store holds opens with the old key alone.
        write(&watch.config.key_file(), std::slice::from_ref(new)).unwrap();
        watch.look().await;
        assert_eq!((watch.known, watch.store.keys_held().await.unwrap()), (None, Vec::new()));
        watch.store.sealed_renew(&rotation, SealedPosition::default(), 50).await.unwrap();
        watch.look().await;
        assert_eq!(watch.store.keys_held().await.unwrap(), [new.id().unwrap()]);
        assert_eq!(watch.sealer.key_ids().first(), Some(&new.id().unwrap()));
    }

    #[tokio::test]
    async fn a_file_that_stays_bad_is_tried_ever_less_often_and_another_one_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let both = [MasterKey::generate().unwrap(), MasterKey::generate().unwrap()];
        let (mut watch, _) = world(folder.path(), &both[1], &both).await;
        write(&watch.config.key_file(), &both[..1]).unwrap();
        let mut tries = Vec::new();
        for look in 1..=200 {
            watch.look().await;
            if watch.failure.as_ref().is_some_and(|failure| failure.passed == 0) {
                tries.push(look);
            }
        }
        assert_eq!(tries, [1, 2, 4, 8, 16, 32, 64, 124, 184]);
        write(&watch.config.key_file(), &both).unwrap();
        watch.look().await;
        assert_eq!(watch.store.keys_held().await.unwrap().len(), 2);
    }
}
