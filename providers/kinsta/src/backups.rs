//! Backups of all environments of a site: those to restore, and archives to download.
//!
//! Invariant: an id names its environment, and that must be one of the site: a backup of another site isn't found.

use crate::{
    Kinsta, accepted,
    client::{self, Sender},
    convert::{self, BackupId, Which, note},
    handle::Goal,
    place, places, types,
};
use portico_sdk::{
    Backup, BackupKind, Backups, Call, Error, Page, PageRequest, Transfer, TransferPlace, Work,
    backups::{BackupCreate, RestoreInput},
    error::{not_found, unsupported},
    json,
};
use serde_json::{Value, json};

impl Backups for Kinsta {
    fn list(&self, site: &str, environment: Option<&str>, page: &PageRequest) -> Result<Page<Backup>, Error> {
        let places = match environment {
            Some(_) => vec![place(site, environment)?],
            None => places(site)?,
        };
        let mut all = Vec::new();
        for place in places {
            all.extend(of_environment(place.id())?);
        }
        Page::slice(all, page)
    }

    fn get(&self, site: &str, id: &str) -> Result<Backup, Error> {
        let id = BackupId::parse(id)?;
        let _ = place(site, Some(&id.environment)).map_err(missing)?;
        let found = match &id.which {
            Which::Stored(_) => stored(&id.environment)?,
            Which::Downloadable(_) => archives(&id.environment)?,
        };
        let text = id.to_string();
        found.into_iter().find(|backup| backup.id == text).ok_or_else(none)
    }

    fn create(&self, call: &Call, site: &str, input: BackupCreate) -> Result<Work, Error> {
        match input.kind {
            BackupKind::Full => {}
            BackupKind::Database => return Err(unsupported("backups.create.kind.database")),
            BackupKind::Files => return Err(unsupported("backups.create.kind.files")),
        }
        let place = place(site, input.environment.as_deref())?;
        let after = newest(place.id())?;
        let tag = note(input.description.as_deref(), &call.operation_id);
        let path = ["sites", "environments", place.id(), "manual-backups"];
        let started = Sender::of(call).post(&path, &json!({"tag": tag}))?;
        let goal = Goal::Backup { environment: place.id().to_owned(), operation: call.operation_id.clone(), after };
        accepted([started], goal, "Kinsta makes the backup")
    }

    fn delete(&self, call: &Call, site: &str, id: &str) -> Result<Work, Error> {
        let id = BackupId::parse(id)?;
        let number = id.number("backups.delete")?;
        let _ = self.get(site, &id.to_string())?;
        let started = Sender::of(call).delete(&["sites", "environments", "backups", &number.to_string()])?;
        accepted([started], Goal::NoBackup { environment: id.environment, id: number }, "Kinsta deletes the backup")
    }

    fn restore(&self, call: &Call, site: &str, id: &str, input: RestoreInput) -> Result<Work, Error> {
        let contents = input.contents;
        if !(contents.database && contents.files && contents.plugins && contents.themes) {
            return Err(unsupported("backups.restore.contents"));
        }
        let id = BackupId::parse(id)?;
        let number = id.number("backups.restore")?;
        let _ = self.get(site, &id.to_string())?;
        let target = place(site, Some(input.environment.as_deref().unwrap_or(&id.environment)))?;
        let body = json!({"backup_id": number, "notified_user_id": self.notified_user()?});
        let path = ["sites", "environments", target.id(), "backups", "restore"];
        let started = Sender::of(call).post(&path, &body)?;
        accepted([started], Goal::End { target: Some(id.to_string()), verified: true }, "Kinsta restores the backup")
    }

    fn download(&self, site: &str, id: &str) -> Result<Transfer, Error> {
        let id = BackupId::parse(id)?;
        let _ = place(site, Some(&id.environment)).map_err(missing)?;
        let Which::Downloadable(wanted) = &id.which else {
            let message = "only archives that were made for it can be downloaded: make one in MyKinsta, Backups, Download";
            return Err(Error { message: message.to_owned(), ..unsupported("backups.download") });
        };
        let all = client::downloadable_backups(&id.environment)?;
        let of_id = |value: &&Value| json::read::<types::Downloadable>(value).is_ok_and(|known| known.id == *wanted);
        let link = convert::download_link(all.iter().find(of_id).ok_or_else(none)?)?;
        let file_name = Some(format!("kinsta-{wanted}.zip"));
        Ok(Transfer { place: TransferPlace::Blob(link), method: "GET".to_owned(), headers: Vec::new(), size: None, file_name })
    }
}

fn none() -> Error {
    not_found("there is no such backup")
}

/// An id that names an environment which the site doesn't have is an unknown backup.
fn missing(error: Error) -> Error {
    if error.field.is_some() { none() } else { error }
}

fn stored(environment: &str) -> Result<Vec<Backup>, Error> {
    client::backups(environment)?.into_iter().map(|value| convert::backup(environment, value)).collect()
}

fn archives(environment: &str) -> Result<Vec<Backup>, Error> {
    client::downloadable_backups(environment)?.into_iter().map(|value| convert::downloadable(environment, value)).collect()
}

fn of_environment(environment: &str) -> Result<Vec<Backup>, Error> {
    Ok(stored(environment)?.into_iter().chain(archives(environment)?).collect())
}

fn known(environment: &str) -> Result<Vec<types::Backup>, Error> {
    client::backups(environment)?.iter().map(json::read::<types::Backup>).collect()
}

/// The highest number there is: what is made later has a higher one.
fn newest(environment: &str) -> Result<u64, Error> {
    Ok(known(environment)?.into_iter().map(|backup| backup.id).max().unwrap_or(0))
}

/// The one that was made by this operation: by its note, or else the only manual one since.
pub fn made_by(environment: &str, operation: &str, after: Option<u64>) -> Result<Option<String>, Error> {
    let all = known(environment)?;
    let noted =
        all.iter().find(|backup| backup.note.as_deref().is_some_and(|text| convert::note_of(text).1 == Some(operation)));
    let since =
        |backup: &&types::Backup| after.is_some_and(|after| backup.id > after) && backup.kind.as_deref() == Some("manual");
    let mut later = all.iter().filter(since);
    let only = later.next().filter(|_| later.next().is_none());
    Ok(noted.or(only).map(|backup| BackupId::stored(environment, backup.id).to_string()))
}

pub fn exists(environment: &str, id: u64) -> Result<bool, Error> {
    Ok(known(environment)?.iter().any(|backup| backup.id == id))
}
