//! How a site, a clone or an environment comes to be: a site, its install, and a copy into it.
//!
//! A new site bears a name with the operation's mark until it has its install, and the install's name has the mark for good, so
//! that every step finds what an earlier try has made. Invariant: nothing is made that isn't looked for first; a site whose
//! install can't be made is removed again.

use super::{
    Live, client,
    client::API,
    convert,
    handle::{Copy, Handle, Task},
    types::{Install, Reference, Site},
};
use crate::{error, mark, pace, settings::SiteOptions};
use portico_sdk::{
    Call, Completion, Error, Progress, Work,
    environments::EnvironmentCreate,
    error::{conflict, invalid_input, unsupported},
    json,
    sites::{SiteClone, SiteCreate},
};
use serde_json::{Value, json};

pub const MAKING: &str = "WP Engine is making the install";

pub fn site(live: &Live, call: &Call, input: &SiteCreate) -> Result<Work, Error> {
    check_name(&input.name)?;
    let environment = convert::environment_word(input.environment.as_deref())?;
    let install = install_name(&input.name, &input.options, &call.operation_id)?;
    let account = client::account(live.account())?;
    begin(call, &account, NewSite { name: &input.name, install, environment, copy: None })
}

pub fn clone(_live: &Live, call: &Call, id: &str, input: &SiteClone) -> Result<Work, Error> {
    for (given, feature) in [(input.domain.is_some(), "sites.clone.domain"), (input.region.is_some(), "sites.clone.region")] {
        if given {
            return Err(unsupported(feature));
        }
    }
    check_name(&input.name)?;
    let source = client::site(id)?;
    let from = convert::pick(&client::installs(&source)?, input.source_environment.as_deref())?;
    let install = install_name(&input.name, &input.options, &call.operation_id)?;
    begin(
        call,
        &account_of(&source)?,
        NewSite { name: &input.name, install, environment: "production", copy: Some(Copy::from(&from.id)) },
    )
}

struct NewSite<'a> {
    name: &'a str,
    install: String,
    environment: &'a str,
    copy: Option<Copy>,
}

fn begin(call: &Call, account: &str, new: NewSite<'_>) -> Result<Work, Error> {
    let body = json!({"name": mark::site_name(new.name, &call.operation_id), "account_id": account});
    let made: Reference = API.post(["sites"]).json_body(&body).json()?;
    work(&made.id, new.name, &new.install, new.environment, new.copy)
}

/// What goes on once the site is there.
pub fn work(site: &str, name: &str, install: &str, environment: &str, copy: Option<Copy>) -> Result<Work, Error> {
    let task = Task::Site {
        site: site.to_owned(),
        name: name.to_owned(),
        install: install.to_owned(),
        environment: environment.to_owned(),
        copy,
    };
    Handle::new(task).work(site, MAKING)
}

pub fn check_name(name: &str) -> Result<(), Error> {
    if name.chars().count() > mark::LONGEST_SITE_NAME {
        return Err(invalid_input("name", format!("WP Engine takes {} characters at most", mark::LONGEST_SITE_NAME)));
    }
    Ok(())
}

pub fn install_name(name: &str, options: &str, operation: &str) -> Result<String, Error> {
    Ok(SiteOptions::parse(options)?.install_name.unwrap_or_else(|| mark::install_name(name, operation)))
}

fn account_of(site: &Site) -> Result<String, Error> {
    let missing = || portico_sdk::error::internal("WP Engine doesn't say which account the site belongs to");
    site.account.as_ref().map(|account| account.id.clone()).ok_or_else(missing)
}

/// An environment is an install in a site that is there.
pub fn environment(site_id: &str, input: &EnvironmentCreate) -> Result<Work, Error> {
    check_environment(input)?;
    let site = client::site(site_id)?;
    let installs = client::installs(&site)?;
    if installs.iter().any(|install| install.name == input.name) {
        return Err(conflict("the site has an environment of this name").with_field("name"));
    }
    let copy = match &input.source {
        Some(source) => Some(Copy::from(&convert::pick(&installs, Some(source))?.id)),
        None => None,
    };
    let made: Install = json::read(&post_install(&site, &input.name, convert::kind_word(input.kind))?)?;
    Handle::new(Task::Install { install: made.id.clone(), copy }).work(&made.id, MAKING)
}

fn check_environment(input: &EnvironmentCreate) -> Result<(), Error> {
    SiteOptions::refuse(&input.options, "environments.create")?;
    for (given, feature) in [
        (input.php_version.is_some(), "environments.create.php_version"),
        (input.wordpress_version.is_some(), "environments.create.wordpress_version"),
    ] {
        if given {
            return Err(unsupported(feature));
        }
    }
    let fits = (3..=14).contains(&input.name.len())
        && input.name.starts_with(|c: char| c.is_ascii_lowercase())
        && input.name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    if fits { Ok(()) } else { Err(invalid_input("name", "an install's name is 3 to 14 of a-z and 0-9, a letter first")) }
}

fn post_install(site: &Site, name: &str, environment: &str) -> Result<Value, Error> {
    let account = account_of(site)?;
    let body = json!({"name": name, "account_id": account, "site_id": site.id, "environment": environment});
    API.post(["installs"]).json_body(&body).json()
}

/// One look at a site that is being made, and the steps that are due.
pub fn poll_site(handle: Handle, emails: impl FnOnce() -> Result<Vec<String>, Error>) -> Result<Progress, Error> {
    let Task::Site { site: id, name, install, environment, copy } = handle.task.clone() else {
        return Ok(pace::failed("the handle isn't one of a new site"));
    };
    let Some(site) = client::site_if_found(&id)? else { return Ok(pace::failed("the new site has disappeared at WP Engine")) };
    let known = client::installs(&site)?.into_iter().find(|one| one.name == install);
    let found = match known {
        Some(found) => found,
        None => match post_install(&site, &install, &environment) {
            Ok(value) => json::read(&value)?,
            Err(error) if error::is_passing(&error) => return Err(error),
            Err(error) => return undo(&site, error),
        },
    };
    if site.name != name {
        match API.patch(["sites", &id]).json_body(&json!({"name": name})).send() {
            Ok(_) => {}
            Err(error) if error::is_passing(&error) => return Err(error),
            Err(error) => return Ok(left(error, &site.name)),
        }
    }
    let later = |copy| Handle { task: Task::Site { site: id.clone(), name, install, environment, copy }, polls: handle.polls };
    finish(&found.id, &id, copy, later, emails)
}

/// The site is empty: its only install couldn't be made.
fn undo(site: &Site, reason: Error) -> Result<Progress, Error> {
    Ok(match API.delete(["sites", &site.id]).send() {
        Ok(_) => Progress::Failed(reason),
        Err(_) => left(reason, &site.name),
    })
}

/// What is made, and neither finished nor removed.
fn left(reason: Error, site: &str) -> Progress {
    let message = format!("{}; the site is left at WP Engine as {site}", reason.message);
    Progress::Failed(Error { message, ..reason })
}

pub fn poll_install(handle: Handle, emails: impl FnOnce() -> Result<Vec<String>, Error>) -> Result<Progress, Error> {
    let Task::Install { install, copy } = handle.task.clone() else {
        return Ok(pace::failed("the handle isn't one of a new install"));
    };
    let later = |copy| Handle { task: Task::Install { install: install.clone(), copy }, polls: handle.polls };
    finish(&install, &install, copy, later, emails)
}

/// Waits for the install; then the copy, whose end nothing tells. A copy that is asked for twice ends the same: its target is new.
fn finish(
    install: &str,
    target: &str,
    copy: Option<Copy>,
    later: impl FnOnce(Option<Copy>) -> Handle,
    emails: impl FnOnce() -> Result<Vec<String>, Error>,
) -> Result<Progress, Error> {
    if client::install(install)?.status.as_deref() == Some("pending") {
        return later(copy).running(target, MAKING);
    }
    match copy {
        None => Ok(Progress::Succeeded(Completion::of(target))),
        Some(copy) if copy.sent => Ok(Progress::Succeeded(pace::unverified(
            target,
            "copied, as far as WP Engine tells: it doesn't say when a copy is complete",
        ))),
        Some(copy) => {
            let body = json!({"source_environment_id": copy.from, "destination_environment_id": install, "notification_emails": emails()?});
            API.post(["install_copy"]).json_body(&body).send()?;
            later(Some(Copy { sent: true, ..copy })).running(target, "WP Engine is copying")
        }
    }
}
