//! `reconcile`: was a change carried out whose answer nobody heard?
//!
//! Invariant: "absent" is said where nothing was sent or the panel refused it (the note in `sent`), or where the thing that was to go is
//! still there; what may be going on unseen is unknown.

use crate::{
    client, convert,
    handle::{Handle, Place, Task},
    sent, sites,
    wordpress::extensions,
};
use portico_sdk::{Error, Finding, Work, clock, json, wordpress::ExtensionKind};
use serde_json::Value;

/// A call's arguments; those of a body may stand in an `input` of their own.
struct Arguments(Value);

impl Arguments {
    fn get(&self, name: &str) -> Option<&Value> {
        let flat = self.0.get(name).filter(|value| !value.is_null());
        flat.or_else(|| self.0.get("input")?.get(name))
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.get(name).and_then(Value::as_str)
    }

    /// Where `sites.create` and `sites.clone` were to install.
    fn place(&self, with_path: bool) -> Option<Place> {
        let path = self.get("options").and_then(|options| convert::text(options, &["path"]));
        let path = path.as_deref().map(|path| path.trim_end_matches('/')).unwrap_or("public_html").to_owned();
        Some(Place { domain: self.text("domain")?.to_owned(), path: with_path.then_some(path) })
    }
}

pub fn reconcile(operation: &str, action: &str, args: &str) -> Result<Finding, Error> {
    let args = Arguments(json::from_str(args)?);
    match action {
        "sites.create" | "sites.clone" => made(operation, args.place(action == "sites.create")),
        "sites.delete" => match args.text("site") {
            Some(site) if client::installation(site)?.is_none() => Ok(Finding::Found(Work::done_with(site))),
            Some(_) => Ok(Finding::Absent),
            None => Ok(Finding::Unknown),
        },
        // What was sent leaves no trace that names the operation.
        "backups.create" | "backups.restore" => Ok(if sent::was(operation)? { Finding::Unknown } else { Finding::Absent }),
        "wordpress.plugins.delete" | "wordpress.plugins.install" => extension(operation, action, ExtensionKind::Plugin, &args),
        "wordpress.themes.delete" | "wordpress.themes.install" => extension(operation, action, ExtensionKind::Theme, &args),
        _ => Ok(Finding::Unknown),
    }
}

fn extension(operation: &str, action: &str, kind: ExtensionKind, args: &Arguments) -> Result<Finding, Error> {
    let Some(site) = args.text("site") else { return Ok(Finding::Unknown) };
    let activate = args.get("activate").and_then(Value::as_bool).unwrap_or(false);
    match (args.text("id"), args.text("source")) {
        (Some(id), _) if action.ends_with(".delete") => extensions::deleted(site, kind, id),
        (_, Some(source)) if action.ends_with(".install") => extensions::installed(operation, site, kind, source, activate),
        _ => Ok(Finding::Unknown),
    }
}

/// Before it was sent, the place was looked at and free: what is there now is what was to be made.
fn made(operation: &str, place: Option<Place>) -> Result<Finding, Error> {
    if !sent::was(operation)? {
        return Ok(Finding::Absent);
    }
    let Some(place) = place else { return Ok(Finding::Unknown) };
    match sites::at(&place)? {
        Some(_) => Ok(Finding::Found(Handle::new(Task::Appear(place), None, clock::now()).work()?)),
        None => Ok(Finding::Unknown),
    }
}
