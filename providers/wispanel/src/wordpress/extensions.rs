//! Plugins and themes.
//!
//! Invariant: what is to be changed is named by the panel's own slug; what is installed already isn't installed again.

use super::{finish, post, send, with_id};
use crate::{client, convert};
use portico_sdk::{
    Error, Finding, Work,
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

/// `akismet` for `akismet/akismet.php`, too: that is how other hosts and WordPress itself name a plugin.
fn is_it(extension: &Extension, id: &str) -> bool {
    let slug = |id: &str| id.split('/').next().unwrap_or_default().trim_end_matches(".php").to_owned();
    extension.id == id || slug(&extension.id) == slug(id)
}

pub fn install(site: &str, kind: ExtensionKind, input: &InstallInput) -> Result<Work, Error> {
    let (plural, field) = words(kind);
    let is_url = input.source.contains("://");
    if !is_url && all(site, kind)?.iter().any(|known| is_it(known, &input.source)) {
        return Err(conflict(format!("this {field} is installed already")).with_field("source"));
    }
    let mut body = body(site, kind, &input.source);
    if let Some(version) = &input.version {
        body["version"] = version.as_str().into();
    }
    if input.activate {
        body["activate"] = true.into();
    }
    let answer = send(post(&[plural, "install"], &body))?;
    // What a zip will be called is seen only inside of it.
    let target = (!is_url).then(|| input.source.clone());
    match finish(&answer, target)? {
        // Its activation has a documented call of its own.
        Work::Done(_) if input.activate && !is_url => change(site, kind, &input.source, ExtensionAction::Activate),
        work => Ok(work),
    }
}

pub fn change(site: &str, kind: ExtensionKind, id: &str, action: ExtensionAction) -> Result<Work, Error> {
    let request = post(&[words(kind).0, action.as_str()], &body(site, kind, id));
    let request = if action == ExtensionAction::Delete { request } else { request.repeatable() };
    finish(&send(request)?, Some(id.to_owned()))
}

/// After a crash: what was to be deleted is gone or not.
pub fn deleted(site: &str, kind: ExtensionKind, id: &str) -> Result<Finding, Error> {
    let there = all(site, kind)?.iter().any(|known| is_it(known, id));
    Ok(if there { Finding::Absent } else { Finding::Found(Work::done_with(id)) })
}

/// After a crash: what was to be installed is there or not. What a zip brought can't be told, and a second step may be missing.
pub fn installed(site: &str, kind: ExtensionKind, source: &str, activate: bool) -> Result<Finding, Error> {
    if source.contains("://") {
        return Ok(Finding::Unknown);
    }
    match all(site, kind)?.into_iter().find(|known| is_it(known, source)) {
        None => Ok(Finding::Absent),
        Some(known) if activate && !known.active => Ok(Finding::Found(change(site, kind, source, ExtensionAction::Activate)?)),
        Some(known) => Ok(Finding::Found(Work::done_with(known.id))),
    }
}
