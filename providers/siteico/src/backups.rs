//! Backups of a site.
//!
//! There is no endpoint for one backup, so it is found in the list. Invariant: a new backup is the one that the answer names, or
//! else the one that wasn't in the list before.

use crate::{
    PANEL, SiteIco, convert,
    handle::{Handle, Task},
};
use portico_sdk::{
    Backup, Backups, Call, Completion, Error, Page, PageRequest, Work,
    backups::{BackupCreate, RestoreInput},
    clock,
    error::not_found,
};
use serde_json::{Value, json};

pub fn all(site: &str) -> Result<Vec<Backup>, Error> {
    let answer = PANEL.get(["api", "sites", site, "backups"]).json()?;
    convert::items(answer, "backup")?.iter().map(convert::backup).collect()
}

pub fn look(site: &str, id: &str) -> Result<Option<Backup>, Error> {
    Ok(all(site)?.into_iter().find(|backup| backup.id == id))
}

fn new_one(site: &str, before: &[Backup]) -> Result<Option<String>, Error> {
    let is_new = |backup: &Backup| before.iter().all(|known| known.id != backup.id);
    Ok(all(site)?.into_iter().find(is_new).map(|backup| backup.id))
}

impl Backups for SiteIco {
    fn list(&self, site: &str, _environment: Option<&str>, page: &PageRequest) -> Result<Page<Backup>, Error> {
        Ok(Page::by_id(all(site)?, page, |backup| &backup.id))
    }

    fn get(&self, site: &str, id: &str) -> Result<Backup, Error> {
        look(site, id)?.ok_or_else(|| not_found("SiteICO doesn't know this backup"))
    }

    fn create(&self, _call: &Call, site: &str, input: BackupCreate) -> Result<Work, Error> {
        let before = all(site)?;
        let mut request = PANEL.post(["api", "sites", site, "backups"]);
        if let Some(description) = &input.description {
            request = request.json_body(&json!({"description": description}));
        }
        let answer: Value = request.send()?.json().unwrap_or_default();
        let told = convert::backup(&convert::object(answer, "backup")).ok().map(|backup| backup.id);
        let id = match told {
            Some(id) => Some(id),
            None => new_one(site, &before)?,
        };
        match id {
            Some(id) => Handle::new(Task::Backup, Some(site.to_owned()), Some(id), clock::now()).work(),
            None => Ok(Completion::default()
                .with_message("SiteICO took the request and tells nothing of the backup yet")
                .with_details(&json!({"verified": false}))
                .into()),
        }
    }

    fn delete(&self, _call: &Call, site: &str, id: &str) -> Result<Work, Error> {
        PANEL.delete(["api", "sites", site, "backups", id]).send()?;
        Handle::new(Task::Unbackup, Some(site.to_owned()), Some(id.to_owned()), clock::now()).work()
    }

    fn restore(&self, _call: &Call, site: &str, id: &str, _input: RestoreInput) -> Result<Work, Error> {
        PANEL.post(["api", "sites", site, "backups", id, "restore"]).send()?;
        Handle::new(Task::Restore, Some(site.to_owned()), Some(id.to_owned()), clock::now()).work()
    }
}
