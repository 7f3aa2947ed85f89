//! Backups of a site's installs: list, get, create, restore.
//!
//! Invariant: a backup's id names its install, and that install is the site's.

use super::{
    Live, client,
    client::API,
    convert,
    handle::{Handle, Task, Unseen},
    types::Reference,
    walk,
};
use crate::mark;
use portico_sdk::{
    Backup, Backups, Call, Contents, Error, Page, PageRequest, Work,
    backups::{BackupCreate, RestoreInput},
    error::{not_found, unsupported},
    json,
};
use serde_json::{Value, json};

impl Backups for Live {
    /// One install after the other; the cursor is `install:offset`.
    fn list(&self, site: &str, environment: Option<&str>, page: &PageRequest) -> Result<Page<Backup>, Error> {
        let installs = client::resolve_all(site, environment)?;
        let Some((index, offset)) = walk::place(&installs, page.cursor.as_deref())? else {
            return Ok(Page::last(Vec::new()));
        };
        let install = &installs[index].id;
        let (items, next) = client::page(&["installs", install, "backups"], None, offset, page.limit)?;
        let items = items.into_iter().map(|backup| convert::backup(install, backup)).collect::<Result<_, _>>()?;
        Ok(Page { items, next: walk::next(&installs, index, next) })
    }

    fn get(&self, site: &str, id: &str) -> Result<Backup, Error> {
        let (install, backup) = of_site(site, id)?;
        convert::backup(&install, API.get(["installs", &install, "backups", &backup]).json()?)
    }

    fn create(&self, call: &Call, site: &str, input: BackupCreate) -> Result<Work, Error> {
        let install = client::resolve(site, input.environment.as_deref())?.id;
        let description = mark::description(input.description.as_deref(), &call.operation_id);
        let body = json!({"description": description, "notification_emails": self.emails()?});
        let answer = API.post(["installs", &install, "backups"]).json_body(&body).send()?;
        // Accepted without a word about what: then it is found by its description.
        let backup = answer.json::<Value>().ok().and_then(|made| json::read::<Reference>(&made).ok()).map(|made| made.id);
        work(&install, backup)
    }

    fn restore(&self, _call: &Call, site: &str, id: &str, input: RestoreInput) -> Result<Work, Error> {
        let database = restores_database(&input.contents)?;
        let (install, backup) = of_site(site, id)?;
        let body = json!({"notification_emails": self.emails()?, "restore_database": database});
        API.post(["installs", &install, "backups", &backup, "restore"]).json_body(&body).send()?;
        let task = Task::Unseen { install, target: id.to_owned(), what: Unseen::Restore };
        Handle::new(task).work(id, Unseen::Restore.middle())
    }
}

fn of_site(site: &str, id: &str) -> Result<(String, String), Error> {
    let (install, backup) = convert::split_backup_id(id)?;
    let installs = client::installs(&client::site(site)?)?;
    if installs.iter().any(|one| one.id == install) {
        Ok((install.to_owned(), backup.to_owned()))
    } else {
        Err(not_found("the site has no such backup"))
    }
}

pub fn work(install: &str, backup: Option<String>) -> Result<Work, Error> {
    let target = backup.as_deref().map(|backup| convert::backup_id(install, backup));
    let task = Task::Backup { install: install.to_owned(), backup };
    let mut pending = Handle::new(task).pending("", "WP Engine is making the backup")?;
    pending.target = target;
    Ok(Work::Pending(pending))
}

/// Files always come back whole.
fn restores_database(contents: &Contents) -> Result<bool, Error> {
    if contents.files && contents.plugins && contents.themes {
        return Ok(contents.database);
    }
    let message = "WP Engine restores files, plugins and themes together, with or without the database";
    Err(Error { message: message.into(), ..unsupported("backups.restore.contents") })
}

/// The backup that an operation has made.
pub fn find(install: &str, operation: &str) -> Result<Option<Value>, Error> {
    client::find(&["installs", install, "backups"], None, |backup| {
        Ok(mark::is_of(backup["description"].as_str(), operation).then_some(backup))
    })
}
