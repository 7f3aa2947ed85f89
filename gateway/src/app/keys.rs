//! Where master keys come from: a file, the environment, or a command. The first key seals, all of them open.
//!
//! In goes the configuration; out comes a sealer that opens everything in the store. Invariant: a key is made only for a store
//! in which nothing is sealed, a gateway doesn't start with keys that don't open what it has, and no text that might be a key is in an error.

mod watch;

pub use watch::watch;

use super::private;
use crate::{
    config::{Config, KeySource},
    seal::{KEY_LENGTH, KeyId, MasterKey, Purpose, SealedBy, Sealer},
    store::{KeyStore, SqliteStore},
};
use anyhow::{Context as _, bail};
use std::{collections::BTreeSet, fs, os::unix::fs::PermissionsExt as _, path::Path, process::Stdio, time::Duration};
use tokio::{io::AsyncReadExt as _, process::Command};
use zeroize::Zeroizing;

/// The environment variable that may hold keys.
pub const VARIABLE: &str = "PORTICO_MASTER_KEY";
/// One that seals and those that it replaces; more than two is a rotation begun within another.
const MOST: usize = 4;
/// Longer than any list of so many keys.
const MOST_BYTES: u64 = 1024;
/// The name of the key in the store by which stable hashes are keyed.
const STABLE: &str = "stable";

/// Reads the keys, and makes one for a store in which nothing is sealed, and whose keys are in a file.
pub async fn load(config: &Config, fresh: bool) -> anyhow::Result<Vec<MasterKey>> {
    let file = config.key_file();
    if config.keys.source != KeySource::File || file.exists() {
        return read(config).await;
    }
    if !fresh {
        return Err(missing(&file));
    }
    let key = MasterKey::generate()?;
    write(&file, std::slice::from_ref(&key))?;
    tracing::info!(file = %file.display(), key = %key.id()?, "made a new master key: keep a copy in a safe place");
    Ok(vec![key])
}

/// Whether keys can be read, without making any.
pub async fn check(config: &Config) -> anyhow::Result<()> {
    let is_file = config.keys.source == KeySource::File;
    match (is_file && !config.key_file().exists(), config.database().exists()) {
        // Only the start looks into the database.
        (true, true) => {
            let missing = missing(&config.key_file());
            Err(anyhow::anyhow!("{missing}. If no start has succeeded yet, the next one makes a key"))
        }
        (true, false) => Ok(()),
        (false, _) => read(config).await.map(drop),
    }
}

fn missing(file: &Path) -> anyhow::Error {
    let file = file.display();
    anyhow::anyhow!(
        "{file} is missing, but there is a database: restore the key from your backup (a new one couldn't open its secrets)"
    )
}

pub async fn read(config: &Config) -> anyhow::Result<Vec<MasterKey>> {
    let text = match config.keys.source {
        KeySource::File => {
            let file = config.key_file();
            // In the data folder nobody else gets at it.
            let guarded = file.parent() == Some(&config.data_dir);
            read_private(&file, guarded).with_context(|| format!("can't use the master key's file {}", file.display()))?
        }
        KeySource::Environment => Zeroizing::new(std::env::var(VARIABLE).map_err(|error| match error {
            std::env::VarError::NotPresent => anyhow::anyhow!("{VARIABLE} isn't set, and keys.source says that it has the key"),
            std::env::VarError::NotUnicode(_) => anyhow::anyhow!("{VARIABLE} isn't base64"),
        })?),
        KeySource::Command => ask(&config.keys.command, Duration::from_secs(config.keys.command_seconds)).await?,
    };
    parse(&text).with_context(|| place(config))
}

fn read_private(file: &Path, guarded: bool) -> anyhow::Result<Zeroizing<String>> {
    let open = fs::File::open(file)?;
    let mode = open.metadata()?.permissions().mode();
    if !guarded && mode & 0o027 != 0 {
        bail!("others may read or change it (mode {:o}): chmod 600 it", mode & 0o777);
    }
    // With room for all of it: growing would leave copies in freed memory.
    let mut text = Zeroizing::new(String::with_capacity(usize::try_from(MOST_BYTES)?));
    std::io::Read::read_to_string(&mut std::io::Read::take(open, MOST_BYTES), &mut text)?;
    Ok(text)
}

/// Where keys are, for people.
pub fn place(config: &Config) -> String {
    match config.keys.source {
        KeySource::File => config.key_file().display().to_string(),
        KeySource::Environment => VARIABLE.to_owned(),
        KeySource::Command => "what keys.command prints".to_owned(),
    }
}

fn parse(text: &str) -> anyhow::Result<Vec<MasterKey>> {
    let words: Vec<&str> = text.split_ascii_whitespace().collect();
    if !(1..=MOST).contains(&words.len()) {
        bail!("it holds {} keys, and should hold 1 to {MOST}", words.len());
    }
    let keys = words.iter().enumerate().map(|(index, word)| {
        MasterKey::parse(word).with_context(|| format!("word {} isn't {KEY_LENGTH} bytes in base64", index + 1))
    });
    let keys = keys.collect::<anyhow::Result<Vec<_>>>()?;
    if ids(&keys)?.iter().collect::<BTreeSet<_>>().len() < keys.len() {
        bail!("it holds the same key twice");
    }
    Ok(keys)
}

pub fn ids(keys: &[MasterKey]) -> anyhow::Result<Vec<KeyId>> {
    keys.iter().map(|key| Ok(key.id()?)).collect()
}

/// Whoever reads the file goes on reading it: the gateway may be another user than who replaces its key.
pub fn write(file: &Path, keys: &[MasterKey]) -> anyhow::Result<()> {
    // With room for all of them: growing would leave copies in freed memory.
    let mut text = Zeroizing::new(String::with_capacity(keys.len() * 2 * KEY_LENGTH));
    for key in keys {
        text.push_str(&key.to_text());
        text.push('\n');
    }
    private::replace(file, text.as_bytes())
}

/// Runs the command that prints the keys. Its standard error is ours, so that people see why it fails.
async fn ask(command: &[String], patience: Duration) -> anyhow::Result<Zeroizing<String>> {
    let (program, arguments) =
        command.split_first().context("keys.command is empty, and keys.source says that it has the key")?;
    let mut process = Command::new(program);
    process.args(arguments).env_remove(VARIABLE).stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
    let mut child = process.spawn().with_context(|| format!("can't run {program} (keys.command)"))?;
    let output = child.stdout.take().context("keys.command has no standard output")?;
    let answer = async {
        let mut text = Zeroizing::new(String::with_capacity(usize::try_from(MOST_BYTES)?));
        output.take(MOST_BYTES).read_to_string(&mut text).await.context("keys.command printed what isn't base64")?;
        let status = child.wait().await?;
        if !status.success() {
            bail!("{program} (keys.command) failed: {status}");
        }
        Ok(text)
    };
    let answered = tokio::time::timeout(patience, answer).await;
    answered.with_context(|| format!("{program} (keys.command) took longer than {} s", patience.as_secs()))?
}

/// A sealer over these keys that opens everything in the store.
pub async fn sealer(keys: &[MasterKey], store: &SqliteStore, config: &Config) -> anyhow::Result<Sealer> {
    let sealer = Sealer::with_ring(keys)?;
    fit(store, &sealer.key_ids(), config).await?;
    let new = MasterKey::generate()?;
    let kept = store.data_key(STABLE, &sealer.seal(Purpose::DataKey, STABLE.as_bytes(), new.bytes())?).await?;
    let opened = sealer.open(Purpose::DataKey, STABLE.as_bytes(), &kept);
    let stable = opened.as_ref().and_then(|key| key.as_slice().try_into().ok());
    Ok(sealer.with_stable_key(stable.context("the keys in the database were changed: restore a backup of it")?))
}

/// Fails unless everything in the store was sealed under one of these keys, and the first may seal.
pub async fn fit(store: &SqliteStore, ring: &[KeyId], config: &Config) -> anyhow::Result<()> {
    let mut absent = BTreeSet::new();
    let mut values = 0;
    for one in store.sealed_counts().await? {
        match one.by {
            Some(SealedBy::Key(id)) if !ring.contains(&id) => {
                absent.insert(id);
                values += one.count;
            }
            _ => {}
        }
    }
    if !absent.is_empty() {
        bail!(
            "{values} values in {} are sealed under master key {}, and {} holds {}: restore the key that belongs to this database",
            config.database().display(),
            words(absent),
            place(config),
            words(ring.iter().copied())
        );
    }
    if let Some(active) = ring.first()
        && store.keys_retired().await?.contains(active)
    {
        bail!(
            "master key {active} ({}) was replaced and may not seal any more: put the one that replaced it first",
            place(config)
        );
    }
    Ok(())
}

fn words(ids: impl IntoIterator<Item = KeyId>) -> String {
    ids.into_iter().map(|id| id.to_string()).collect::<Vec<_>>().join(" and ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_others_can_read_is_no_key() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key");
        write(&file, &[MasterKey::generate().unwrap()]).unwrap();
        for (mode, good) in [(0o400, true), (0o640, true), (0o644, false), (0o604, false), (0o620, false)] {
            fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(read_private(&file, false).is_ok(), good, "{mode:o}");
            assert!(read_private(&file, true).is_ok());
        }
    }

    #[test]
    fn a_replaced_key_is_read_by_the_same_users_and_by_the_same_link() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("key"), folder.path().join("link"));
        write(&file, &[MasterKey::generate().unwrap()]).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        let new = MasterKey::generate().unwrap();
        write(&link, std::slice::from_ref(&new)).unwrap();
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o640);
        assert!(link.is_symlink());
        let kept = parse(&read_private(&file, false).unwrap()).unwrap();
        assert_eq!(ids(&kept).unwrap(), [new.id().unwrap()]);
    }

    #[test]
    fn keys_are_words_and_errors_show_none_of_them() {
        let (one, two) = (MasterKey::generate().unwrap(), MasterKey::generate().unwrap());
        let both = format!("{}\n{}\n", *one.to_text(), *two.to_text());
        assert_eq!(ids(&parse(&both).unwrap()).unwrap(), [one.id().unwrap(), two.id().unwrap()]);
        let cut = &one.to_text()[..40];
        for (text, wanted) in [
            (String::new(), "holds 0 keys"),
            (format!("{} {cut}", *one.to_text()), "word 2 isn't 32 bytes in base64"),
            (format!("{} {}", *one.to_text(), *one.to_text()), "the same key twice"),
            (both.repeat(3), "holds 6 keys"),
        ] {
            let error = format!("{:#}", parse(&text).unwrap_err());
            assert!(error.contains(wanted) && !error.contains(cut), "{error}");
        }
    }

    async fn answer(script: &str) -> Result<String, String> {
        let command = ["sh", "-c", script].map(str::to_owned);
        let answer = ask(&command, Duration::from_millis(500)).await;
        answer.map(|text| text.to_string()).map_err(|error| format!("{error:#}"))
    }

    #[tokio::test]
    async fn a_command_answers_in_time_or_not_at_all() {
        assert_eq!(answer("echo key").await.unwrap(), "key\n");
        assert!(answer("echo key; exit 3").await.unwrap_err().contains("exit status: 3"));
        assert!(answer("exec sleep 60").await.unwrap_err().contains("took longer than 0 s"));
        assert!(answer("yes").await.is_err(), "an endless answer");
        assert!(ask(&[], Duration::from_secs(1)).await.unwrap_err().to_string().contains("keys.command is empty"));
        let nowhere = ask(&["/nowhere/at/all".to_owned()], Duration::from_secs(1)).await.unwrap_err();
        assert!(nowhere.to_string().contains("can't run /nowhere/at/all"));
    }
}
