//! Backups of a site: list, get, create, delete, restore, download.
//!
//! The API doesn't tell which environment a backup is of. Invariant: a download's address is followed only below the
//! connection's own base.

use super::{
    Seed,
    client::{self, API, NEWEST_FIRST},
    convert,
    handle::Task,
    types::{self, Started},
};
use crate::mark;
use portico_sdk::{
    Backup, BackupKind, Backups, Call, Error, Page, PageRequest, Transfer, TransferPlace, UpstreamPath, Work,
    backups::{BackupCreate, RestoreInput},
    error::{conflict, internal, unsupported},
    time,
};
use serde_json::{Value, json};

impl Backups for Seed {
    fn list(&self, site: &str, environment: Option<&str>, page: &PageRequest) -> Result<Page<Backup>, Error> {
        if environment.is_some() {
            let message = "this API doesn't tell which environment a backup is of: leave `environment` out";
            return Err(Error { message: message.into(), ..unsupported("backups.list.environment") });
        }
        client::model_page(&["sites", site, "backups"], NEWEST_FIRST, page, convert::backup)
    }

    fn get(&self, site: &str, id: &str) -> Result<Backup, Error> {
        convert::backup(API.get(["sites", site, "backups", id]).json()?)
    }

    fn create(&self, call: &Call, site: &str, input: BackupCreate) -> Result<Work, Error> {
        let kind = match input.kind {
            BackupKind::Full => "full",
            BackupKind::Database => "database",
            BackupKind::Files => return Err(unsupported("backups.create.kind.files")),
        };
        let description = mark::description(input.description.as_deref(), &call.operation_id);
        let body = json!({"description": description, "type": kind});
        let started: Started = API.post(["sites", site, "backups"]).json_body(&body).json()?;
        super::started(&started, Task::Backup { site: site.to_owned(), backup: started.id.clone() })
    }

    fn delete(&self, _call: &Call, site: &str, id: &str) -> Result<Work, Error> {
        let started: Started = API.delete(["sites", site, "backups", id]).json()?;
        super::started(&started, Task::BackupGone { site: site.to_owned(), backup: id.to_owned() })
    }

    fn restore(&self, _call: &Call, site: &str, id: &str, input: RestoreInput) -> Result<Work, Error> {
        let contents = &input.contents;
        let mut body = json!({"contents": {
            "database": contents.database, "files": contents.files, "plugins": contents.plugins, "themes": contents.themes,
        }});
        if let Some(environment) = &input.environment {
            body["environment"] = json!(super::sites::environment(site, environment)?);
        }
        let started: Started = API.post(["sites", site, "backups", id, "restore"]).json_body(&body).json()?;
        let until = started.estimated_completion_time.as_deref().and_then(time::parse_rfc3339);
        super::started(&started, Task::Restore { site: site.to_owned(), backup: id.to_owned(), until })
    }

    fn download(&self, site: &str, id: &str) -> Result<Transfer, Error> {
        let backup: types::Backup = API.get(["sites", site, "backups", id]).json()?;
        let Some(url) = backup.download_url else { return Err(conflict("the backup can't be downloaded yet")) };
        let elsewhere = || internal("WP Engine's address of the download lies outside this connection's base URL");
        let path = convert::below(&self.base, &url).ok_or_else(elsewhere)?;
        Ok(Transfer {
            place: TransferPlace::Upstream(UpstreamPath { upstream: crate::settings::API.into(), path, query: Vec::new() }),
            method: "GET".into(),
            headers: Vec::new(),
            // The documented size is rounded (`1.2GB`).
            size: None,
            file_name: None,
        })
    }
}

/// The backup that an operation has made.
pub fn find(site: &str, operation: &str) -> Result<Option<String>, Error> {
    client::find(&["sites", site, "backups"], NEWEST_FIRST, |backup: Value| {
        let is_it = mark::is_of(backup["description"].as_str(), operation);
        Ok(backup["id"].as_str().filter(|_| is_it).map(str::to_owned))
    })
}
