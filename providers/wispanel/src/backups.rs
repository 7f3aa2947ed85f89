//! Backups of an installation.
//!
//! The panel has a list, and calls to make and to restore one; there is none to delete or to download it. Invariant: a new backup is
//! the one that the answer names, or else the one that wasn't in the list before.

use crate::{
    WisPanel, client, convert,
    handle::{Handle, Task},
    sent,
    wordpress::in_production,
};
use portico_sdk::{
    Backup, BackupKind, Backups, Call, Error, Page, PageRequest, Work,
    backups::{BackupCreate, RestoreInput},
    clock,
    error::{not_found, unsupported},
};
use serde_json::json;

pub fn all(site: &str) -> Result<Vec<Backup>, Error> {
    let values = client::list(&client::get_of(&["backups"], site), &["backups"])?;
    let is_its = |value: &&serde_json::Value| convert::installation_of(value).is_none_or(|owner| owner == site);
    values.iter().filter(is_its).map(convert::backup).collect()
}

pub fn look(site: &str, id: &str) -> Result<Option<Backup>, Error> {
    Ok(all(site)?.into_iter().find(|backup| backup.id == id))
}

fn unknown() -> Error {
    not_found("WisPanel doesn't list this backup of the installation")
}

impl Backups for WisPanel {
    fn list(&self, site: &str, environment: Option<&str>, page: &PageRequest) -> Result<Page<Backup>, Error> {
        in_production(environment)?;
        Ok(Page::by_id(all(site)?, page, |backup| &backup.id))
    }

    fn get(&self, site: &str, id: &str) -> Result<Backup, Error> {
        look(site, id)?.ok_or_else(unknown)
    }

    fn create(&self, call: &Call, site: &str, input: BackupCreate) -> Result<Work, Error> {
        in_production(input.environment.as_deref())?;
        match input.kind {
            BackupKind::Full => {}
            BackupKind::Database => return Err(unsupported("backups.create.kind.database")),
            BackupKind::Files => return Err(unsupported("backups.create.kind.files")),
        }
        let before = all(site)?;
        let mut body = json!({"id": site});
        if let Some(description) = input.description {
            body["description"] = description.into();
        }
        let answer = sent::send(&call.operation_id, client::PANEL.post(["wordpress", "backup"]).json_body(&body))?;
        let told = convert::backup(&convert::object(answer.clone(), &["backup"])).ok().map(|backup| backup.id);
        let now = all(site)?;
        let is_new = |backup: &&Backup| before.iter().all(|known| known.id != backup.id);
        // An id in the answer may be that of the work: it is the backup's only where the list has it.
        let named = told.filter(|id| now.iter().any(|backup| backup.id == *id));
        let backup = named.or_else(|| now.iter().find(is_new).map(|backup| backup.id.clone()));
        Handle::new(Task::Backup { site: site.to_owned(), backup }, convert::job(&answer), clock::now()).work()
    }

    fn restore(&self, call: &Call, site: &str, id: &str, input: RestoreInput) -> Result<Work, Error> {
        in_production(input.environment.as_deref())?;
        let contents = input.contents;
        if !(contents.database && contents.files && contents.plugins && contents.themes) {
            return Err(unsupported("backups.restore.contents"));
        }
        look(site, id)?.ok_or_else(unknown)?;
        let request = client::PANEL.post(["wordpress", "restore"]).json_body(&json!({"id": site, "backup_id": id}));
        let answer = sent::send(&call.operation_id, request)?;
        Handle::new(Task::Restore { backup: id.to_owned() }, convert::job(&answer), clock::now()).work()
    }
}
