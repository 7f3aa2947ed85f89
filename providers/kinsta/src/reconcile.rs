//! `reconcile`: was a change carried out whose answer nobody heard?
//!
//! Invariant: "absent" is said only where Kinsta itself refused it (429), or where sending it again can't do more than was wanted;
//! a creation that can't be told from an older one is unknown.

use crate::{backups, client, convert::BackupId, domains, handle::Goal, operations::environment_exists, place, wordpress};
use portico_sdk::{Completion, Error, ErrorKind, Finding, Work, json, wordpress::ExtensionKind};
use serde::Deserialize;

/// What is needed of a call's arguments. The body's fields stand in `input`, or beside the ids.
#[derive(Deserialize)]
struct Arguments {
    site: Option<String>,
    environment: Option<String>,
    backup: Option<String>,
    /// Of a plugin or theme.
    id: Option<String>,
    name: Option<String>,
    #[serde(default)]
    primary: bool,
    input: Option<Box<Self>>,
}

impl Arguments {
    /// With the input's fields, where there is one.
    fn flat(self) -> Self {
        let Some(input) = self.input else { return self };
        Self {
            site: self.site,
            environment: self.environment.or(input.environment),
            backup: self.backup,
            id: self.id,
            name: self.name.or(input.name),
            primary: input.primary,
            input: None,
        }
    }
}

pub fn reconcile(operation_id: &str, action: &str, args: &str) -> Result<Finding, Error> {
    if client::was_refused(operation_id)? {
        return Ok(Finding::Absent);
    }
    let args = json::from_str::<Arguments>(args)?.flat();
    let Some(site) = args.site.as_deref() else { return Ok(Finding::Unknown) };
    match (action, args.environment.as_deref(), args.backup.as_deref(), args.name.as_deref()) {
        ("sites.delete", ..) => Ok(unless_there(client::site_exists(site)?)),
        ("environments.delete", Some(environment), ..) => Ok(unless_there(environment_exists(site, environment)?)),
        ("backups.delete", _, Some(backup), _) => {
            let id = BackupId::parse(backup)?;
            Ok(unless_there(backups::exists(&id.environment, id.number(action)?)?))
        }
        ("backups.create", environment, ..) => {
            let environment = place(site, environment)?;
            let made = backups::made_by(environment.id(), operation_id, None)?;
            Ok(made.map_or(Finding::Unknown, |id| Finding::Found(Work::done_with(id))))
        }
        ("domains.delete", environment, _, Some(name)) => Ok(unless_there(has_domain(site, environment, name)?)),
        ("domains.create", environment, _, Some(name)) => added(site, environment, name, args.primary),
        ("wordpress.plugins.delete", environment, ..) => deleted(site, environment, ExtensionKind::Plugin, args.id.as_deref()),
        ("wordpress.themes.delete", environment, ..) => deleted(site, environment, ExtensionKind::Theme, args.id.as_deref()),
        _ => Ok(Finding::Unknown),
    }
}

/// Deleting once more what is still there does no harm, whether it is being deleted already or not.
fn unless_there(there: bool) -> Finding {
    if there { Finding::Absent } else { Finding::Found(Completion::default().into()) }
}

fn has_domain(site: &str, environment: Option<&str>, name: &str) -> Result<bool, Error> {
    let places = match environment {
        Some(_) => place(site, environment).map(|place| vec![place]),
        None => crate::places(site),
    };
    let places = match places {
        Err(error) if error.is(ErrorKind::NotFound) => return Ok(false),
        places => places?,
    };
    for place in places {
        if domains::id_of(place.id(), name)?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// It was there before, as `change_extension` had looked.
fn deleted(site: &str, environment: Option<&str>, kind: ExtensionKind, id: Option<&str>) -> Result<Finding, Error> {
    let Some(id) = id else { return Ok(Finding::Unknown) };
    let place = match place(site, environment) {
        Err(error) if error.is(ErrorKind::NotFound) => return Ok(unless_there(false)),
        place => place?,
    };
    Ok(unless_there(wordpress::extensions(place.id(), kind)?.iter().any(|one| one.id == id)))
}

/// It wasn't there before, as `create` had looked. What comes after it is `poll`'s.
fn added(site: &str, environment: Option<&str>, name: &str, primary: bool) -> Result<Finding, Error> {
    let environment = place(site, environment)?.id().to_owned();
    if domains::id_of(&environment, name)?.is_none() {
        return Ok(Finding::Unknown);
    }
    let goal = Goal::Domain { environment, name: name.to_owned(), primary };
    Ok(Finding::Found(crate::accepted([], goal, "Kinsta has added the domain")?))
}
