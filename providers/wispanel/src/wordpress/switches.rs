//! Caches and the switches of security.
//!
//! Invariant: a switch that may be a toggle is turned only when it was seen to stand the other way.

use super::{change, finish, post, send, with_id};
use crate::{client, convert};
use portico_sdk::{
    Completion, Error, Work,
    error::internal,
    wordpress::{CacheAction, Security, SecurityChange},
};
use serde_json::{Value, json};

pub fn cache(site: &str, action: CacheAction) -> Result<Work, Error> {
    let none = || json!({});
    let (verb, more) = match action {
        CacheAction::Enable => ("enable", none()),
        CacheAction::Disable => ("disable", none()),
        CacheAction::Flush => ("flush", none()),
        CacheAction::Purge(urls) if urls.is_empty() => ("purge", none()),
        // A panel that doesn't know them purges everything, which holds them.
        CacheAction::Purge(urls) => ("purge", json!({"urls": urls})),
    };
    change(&["cache", verb], site, more)
}

pub fn security(site: &str) -> Result<Security, Error> {
    Ok(convert::security(&client::read(client::get_of(&["security"], site))?))
}

/// Each switch has a call of its own, in a fixed order.
pub fn secure(site: &str, input: &SecurityChange) -> Result<Work, Error> {
    let switches = [
        // Named by what it forbids.
        ("disable-file-edit", input.file_edit.map(|allowed| !allowed)),
        ("file-protection", input.file_protection),
        ("hide-login", input.hide_login),
    ];
    let mut last = Completion::of(site).into();
    for (name, enabled) in switches {
        if let Some(enabled) = enabled {
            last = change(&["security", name], site, json!({"enabled": enabled}))?;
        }
    }
    match input.debug {
        Some(wanted) => debug(site, wanted),
        None => Ok(last),
    }
}

/// `toggle-debug` may turn whatever it finds: not repeatable, and looked at before and after. The installation tells `debug`.
fn debug(site: &str, wanted: bool) -> Result<Work, Error> {
    if stands(site)? == Some(wanted) {
        return Ok(Work::done_with(site));
    }
    let answer = send(post(&["security", "toggle-debug"], &with_id(site, json!({"enabled": wanted}))))?;
    let work = finish(&answer, Some(site.to_owned()))?;
    match (&work, stands(site)?) {
        (Work::Done(_), Some(stands)) if stands != wanted => {
            Err(internal("WisPanel took the change of debug and shows the same as before"))
        }
        _ => Ok(work),
    }
}

fn stands(site: &str) -> Result<Option<bool>, Error> {
    let installation: Value = client::installation(site)?.ok_or_else(crate::sites::unknown)?;
    Ok(convert::flag(&installation, &["debug", "wp_debug"]))
}
