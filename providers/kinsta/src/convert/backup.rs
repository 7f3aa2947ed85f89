//! Backups: Kinsta's numbers below an environment, and archives to download, under one kind of id.
//!
//! Pure. Invariant: an id that was written here is read back to the same parts, and nothing else is.

use super::{millis, native};
use crate::types;
use portico_sdk::{
    Backup, BackupKind, BackupStatus, Contents, Error,
    error::{self, not_found},
    json,
};
use serde_json::Value;

/// `ENVIRONMENT.NUMBER` or `ENVIRONMENT.d-UUID`: Kinsta asks for the environment, too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackupId {
    pub environment: String,
    pub which: Which,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Which {
    /// One to restore.
    Stored(u64),
    /// An archive that was made to be downloaded.
    Downloadable(String),
}

impl BackupId {
    pub fn stored(environment: &str, id: u64) -> Self {
        Self { environment: environment.to_owned(), which: Which::Stored(id) }
    }

    pub fn parse(text: &str) -> Result<Self, Error> {
        let parts = text.rsplit_once('.').filter(|(environment, _)| !environment.is_empty());
        let (environment, rest) = parts.ok_or_else(|| not_found("there is no such backup"))?;
        let which = match rest.strip_prefix("d-") {
            Some(id) if !id.is_empty() => Some(Which::Downloadable(id.to_owned())),
            // Only as it is written: `007` would be another id of the same backup.
            _ => rest.parse().ok().filter(|number: &u64| number.to_string() == rest).map(Which::Stored),
        };
        let which = which.ok_or_else(|| not_found("there is no such backup"))?;
        Ok(Self { environment: environment.to_owned(), which })
    }

    /// Its number, where the call is for a stored backup alone.
    pub fn number(&self, action: &str) -> Result<u64, Error> {
        match self.which {
            Which::Stored(id) => Ok(id),
            Which::Downloadable(_) => {
                let message = "at Kinsta an archive to download can only be downloaded; it expires by itself";
                Err(Error { message: message.to_owned(), ..error::unsupported(action) })
            }
        }
    }
}

impl std::fmt::Display for BackupId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.which {
            Which::Stored(id) => write!(f, "{}.{id}", self.environment),
            Which::Downloadable(id) => write!(f, "{}.d-{id}", self.environment),
        }
    }
}

const EVERYTHING: Contents = Contents { database: true, files: true, plugins: true, themes: true };

fn model(id: &BackupId, value: Value) -> Backup {
    Backup {
        id: id.to_string(),
        environment: Some(id.environment.clone()),
        kind: BackupKind::Full,
        status: BackupStatus::Completed,
        description: None,
        size: None,
        contents: EVERYTHING,
        created_at: None,
        completed_at: None,
        native: native(value),
    }
}

/// One of `GET …/backups`. What is listed there is complete.
pub fn backup(environment: &str, value: Value) -> Result<Backup, Error> {
    let known = json::read::<types::Backup>(&value)?;
    let description = known.note.as_deref().map(|note| note_of(note).0.to_owned()).filter(|note| !note.is_empty());
    Ok(Backup {
        description,
        created_at: known.created_at.and_then(millis),
        ..model(&BackupId::stored(environment, known.id), value)
    })
}

/// One of `GET …/downloadable-backups`.
pub fn downloadable(environment: &str, value: Value) -> Result<Backup, Error> {
    let known = json::read::<types::Downloadable>(&value)?;
    let id = BackupId { environment: environment.to_owned(), which: Which::Downloadable(known.id) };
    let running = known.is_generation_in_progress;
    Ok(Backup {
        status: if running { BackupStatus::Running } else { BackupStatus::Completed },
        description: Some("an archive to download".to_owned()),
        created_at: known.created_at.and_then(millis),
        ..model(&id, value)
    })
}

/// Where the archive is. The link is a key to it, so it stays out of every answer.
pub fn download_link(value: &Value) -> Result<String, Error> {
    let known = json::read::<types::Downloadable>(value)?;
    match known.download_link.filter(|link| !link.is_empty() && !known.is_generation_in_progress) {
        Some(link) => Ok(link),
        None => Err(error::conflict("the archive isn't ready yet: try again in some minutes")),
    }
}

/// The tag that a backup is made with: the user's words, and whose it is.
pub fn note(description: Option<&str>, operation: &str) -> String {
    match description.map(str::trim).filter(|text| !text.is_empty()) {
        Some(text) => format!("{text} [{operation}]"),
        None => format!("[{operation}]"),
    }
}

/// The words of a tag that was made by [`note`], and the operation.
pub fn note_of(note: &str) -> (&str, Option<&str>) {
    let parts = note.strip_suffix(']').and_then(|rest| rest.rsplit_once('['));
    match parts.filter(|(_, operation)| operation.starts_with("op_")) {
        Some((words, operation)) => (words.trim_end(), Some(operation)),
        None => (note, None),
    }
}
