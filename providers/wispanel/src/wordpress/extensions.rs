//! Plugins and themes.
//!
//! Invariant: what is to be changed is named by the panel's own slug; what is installed already isn't installed again.

use super::{accepted, finish, post, send, with_id};
use crate::{client, convert, sent};
use portico_sdk::{
    Call, Error, Finding, Work,
    error::conflict,
    wordpress::{Extension, ExtensionAction, ExtensionKind, InstallInput},
};
use serde_json::{Value, json};

/// The path's word and the body's field.
const fn words(kind: ExtensionKind) -> (&'static str, &'static str) {
    match kind {
        ExtensionKind::Plugin => ("plugins", "plugin"),
        ExtensionKind::Theme => ("themes", "theme"),
    }
}

pub fn all(site: &str, kind: ExtensionKind) -> Result<Vec<Extension>, Error> {
    let (plural, _) = words(kind);
    client::list(&client::get_of(&[plural], site), &[plural])?.iter().map(convert::extension).collect()
}

fn body(site: &str, kind: ExtensionKind, id: &str) -> Value {
    with_id(site, json!({words(kind).1: id}))
}

fn known(site: &str, kind: ExtensionKind, id: &str) -> Result<Option<Extension>, Error> {
    Ok(all(site, kind)?.into_iter().find(|known| known.id == convert::slug(id)))
}

/// Of a zip, what it will be called is seen only inside of it.
fn is_zip(source: &str) -> bool {
    source.contains("://")
}

pub fn install(call: &Call, site: &str, kind: ExtensionKind, input: &InstallInput) -> Result<Work, Error> {
    let slug = (!is_zip(&input.source)).then(|| convert::slug(&input.source));
    let there = slug.map(|slug| known(site, kind, slug)).transpose()?.flatten();
    let work = match (there, sent::was(&call.operation_id)?) {
        // This very operation installed it, and was cut off.
        (Some(_), true) => Work::done_with(convert::slug(&input.source)),
        (Some(_), false) => {
            return Err(conflict(format!("this {} is installed already", words(kind).1)).with_field("source"));
        }
        (None, _) => finish(&send_install(call, site, kind, input)?, slug.map(str::to_owned))?,
    };
    match (work, slug) {
        // Its activation has a documented call of its own.
        (Work::Done(_), Some(slug)) if input.activate => change(site, kind, slug, ExtensionAction::Activate),
        (work, _) => Ok(work),
    }
}

fn send_install(call: &Call, site: &str, kind: ExtensionKind, input: &InstallInput) -> Result<Value, Error> {
    let mut body = body(site, kind, &input.source);
    if let Some(version) = &input.version {
        body["version"] = version.as_str().into();
    }
    if input.activate {
        body["activate"] = true.into();
    }
    accepted(sent::send(&call.operation_id, post(&[words(kind).0, "install"], &body))?)
}

pub fn change(site: &str, kind: ExtensionKind, id: &str, action: ExtensionAction) -> Result<Work, Error> {
    let request = post(&[words(kind).0, action.as_str()], &body(site, kind, id));
    let request = if action == ExtensionAction::Delete { request } else { request.repeatable() };
    finish(&send(request)?, Some(id.to_owned()))
}

/// After a crash: what was to be deleted is gone or not.
pub fn deleted(site: &str, kind: ExtensionKind, id: &str) -> Result<Finding, Error> {
    let there = known(site, kind, id)?.is_some();
    Ok(if there { Finding::Absent } else { Finding::Found(Work::done_with(id)) })
}

/// After a crash: what was to be installed is there or not; sending it again finishes what was begun. Of a zip it can't be told.
pub fn installed(operation: &str, site: &str, kind: ExtensionKind, source: &str, activate: bool) -> Result<Finding, Error> {
    if !sent::was(operation)? {
        return Ok(Finding::Absent);
    }
    if is_zip(source) {
        return Ok(Finding::Unknown);
    }
    let is_so = known(site, kind, source)?.is_some_and(|known| known.active || !activate);
    Ok(if is_so { Finding::Found(Work::done_with(convert::slug(source))) } else { Finding::Absent })
}
