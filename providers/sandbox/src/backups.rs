//! Backups of a site. Where their bytes live is an address of the settings; without one there is no download.
//!
//! Invariant: a restore leaves the backup as it is, and needs one that is complete and holds what is asked for.

use crate::{
    Sandbox, Takes, check,
    job::Effect,
    outcomes,
    record::{self, BackupKind, BackupStatus, Record},
    sites,
};
use portico_sdk::{
    Backup, Backups, Call, Contents, Error, Page, PageRequest, Transfer, TransferPlace, UpstreamPath, Work, backups::*, error,
};

const MAX: usize = 50;

impl Backups for Sandbox {
    fn list(&self, site: &str, environment: Option<&str>, page: &PageRequest) -> Result<Page<Backup>, Error> {
        self.enter("backups.list")?;
        let record = self.store.get(site)?;
        let wanted = match environment {
            Some(_) => Some(record.environment("environment", environment)?.id.as_str()),
            None => None,
        };
        let of_it = record.backups.iter().filter(|backup| wanted.is_none_or(|wanted| backup.environment == wanted));
        Page::slice(of_it.map(|backup| model(&record, backup)).collect(), page)
    }

    fn get(&self, site: &str, id: &str) -> Result<Backup, Error> {
        self.enter("backups.get")?;
        let record = self.store.get(site)?;
        Ok(model(&record, record.backup(id)?))
    }

    fn create(&self, call: &Call, site: &str, input: BackupCreate) -> Result<Work, Error> {
        self.enter("backups.create")?;
        check::text("description", input.description.as_deref(), 200)?;
        self.store.change(call, site, &|record, now| {
            let environment = record.environment("environment", input.environment.as_deref())?.id.clone();
            let by_description = input.description.as_deref().and_then(|text| outcomes::of(text, "backup", true));
            let outcome = by_description.or(outcomes::of(&record.name, "backup", false));
            let mut job = self.job(call, "backups.create", Takes::Work, outcome, now)?;
            if record.backups.len() >= MAX {
                return Err(error::quota_exceeded(format!("a site here has {MAX} backups at most: delete one first")));
            }
            let id = Self::id("backup", call);
            job.target = Some(id.clone());
            job.effect = Effect::Backup { id: id.clone(), status: BackupStatus::Completed };
            job.undo = Effect::Backup { id: id.clone(), status: BackupStatus::Failed };
            record.backups.push(record::Backup {
                id,
                environment,
                kind: input.kind.into(),
                status: BackupStatus::Running,
                description: input.description.clone(),
                created_at: now,
                completed_at: None,
            });
            Ok(job)
        })
    }

    fn delete(&self, call: &Call, site: &str, id: &str) -> Result<Work, Error> {
        self.enter("backups.delete")?;
        self.store.change(call, site, &|record, now| {
            let backup = record.backup(id)?;
            if matches!(backup.status, BackupStatus::Running | BackupStatus::Deleting) {
                return Err(error::conflict(
                    format!("the backup is {:?} and can't be deleted now", backup.status).to_ascii_lowercase(),
                ));
            }
            let outcome = backup.description.as_deref().and_then(|text| outcomes::of(text, "delete", false));
            let mut job = self.job(call, "backups.delete", Takes::Work, outcome, now)?;
            job.target = Some(id.to_owned());
            job.effect = Effect::BackupGone { id: id.to_owned() };
            job.undo = Effect::Backup { id: id.to_owned(), status: backup.status };
            Effect::Backup { id: id.to_owned(), status: BackupStatus::Deleting }.apply(record, now);
            Ok(job)
        })
    }

    fn restore(&self, call: &Call, site: &str, id: &str, input: RestoreInput) -> Result<Work, Error> {
        self.enter("backups.restore")?;
        self.store.change(call, site, &|record, now| {
            let backup = record.backup(id)?;
            if backup.status != BackupStatus::Completed {
                return Err(error::conflict("only a complete backup can be restored"));
            }
            let has = contents(backup.kind);
            for (name, wanted, has) in [
                ("contents.database", input.contents.database, has.database),
                ("contents.files", input.contents.files, has.files),
                ("contents.plugins", input.contents.plugins, has.plugins),
                ("contents.themes", input.contents.themes, has.themes),
            ] {
                if wanted && !has {
                    return Err(error::invalid_input(name, "the backup doesn't hold this"));
                }
            }
            record.environment("environment", input.environment.as_deref())?;
            let by_description = backup.description.as_deref().and_then(|text| outcomes::of(text, "restore", false));
            let outcome = by_description.or(outcomes::of(&record.name, "restore", false));
            let mut job = self.job(call, "backups.restore", Takes::Work, outcome, now)?;
            job.target = Some(id.to_owned());
            Ok(job)
        })
    }

    fn download(&self, site: &str, id: &str) -> Result<Transfer, Error> {
        self.enter("backups.download")?;
        if !self.has_blobs {
            return Err(error::unsupported("backups.download"));
        }
        let record = self.store.get(site)?;
        let backup = record.backup(id)?;
        if backup.status != BackupStatus::Completed {
            return Err(error::conflict("only a complete backup can be downloaded"));
        }
        let path = vec!["backups".to_owned(), backup.id.clone()];
        Ok(Transfer {
            place: TransferPlace::Upstream(UpstreamPath { upstream: "blobs".to_owned(), path, query: Vec::new() }),
            method: "GET".to_owned(),
            headers: Vec::new(),
            size: None,
            file_name: Some(format!("{}.tar.gz", backup.id)),
        })
    }
}

impl Record {
    fn backup(&self, id: &str) -> Result<&record::Backup, Error> {
        self.backups.iter().find(|backup| backup.id == id).ok_or_else(|| error::not_found("there is no such backup"))
    }
}

const fn contents(kind: BackupKind) -> Contents {
    let (database, files) = match kind {
        BackupKind::Full => (true, true),
        BackupKind::Database => (true, false),
        BackupKind::Files => (false, true),
    };
    Contents { database, files, plugins: files, themes: files }
}

fn model(record: &Record, backup: &record::Backup) -> Backup {
    let complete = backup.status == BackupStatus::Completed;
    Backup {
        id: backup.id.clone(),
        environment: Some(backup.environment.clone()),
        kind: backup.kind.into(),
        status: backup.status.into(),
        description: backup.description.clone(),
        size: if complete { sites::usage(record).storage } else { None },
        contents: contents(backup.kind),
        created_at: Some(backup.created_at),
        completed_at: backup.completed_at,
        native: None,
    }
}
