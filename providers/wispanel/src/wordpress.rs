//! The WordPress toolkit of an installation.
//!
//! Invariant: an installation has one environment, `production`, and what is asked of another one is refused before anything is sent;
//! what the panel's document doesn't offer is refused by name, never left out in silence.

pub mod extensions;
mod switches;

use crate::{
    WisPanel, client, convert,
    convert::State,
    error,
    handle::{Handle, Task},
    sites,
};
use portico_sdk::{
    Call, Completion, Error, ErrorKind, Wordpress, Work, clock,
    error::{internal, not_found, unsupported},
    random,
    upstream::Request,
    wordpress::{
        AdminCreate, Cache, CacheAction, Extension, ExtensionAction, ExtensionKind, InstallInput, SearchReplaceInput, Security,
        SecurityChange, Status, Target,
    },
};
use serde_json::{Value, json};

/// Of a password that the user leaves to us.
const PASSWORD: u32 = 20;

/// The installation's id.
pub fn of(target: &Target) -> Result<&str, Error> {
    in_production(target.environment.as_deref())?;
    Ok(&target.site)
}

pub fn in_production(environment: Option<&str>) -> Result<(), Error> {
    match environment {
        None | Some(convert::PRODUCTION) => Ok(()),
        Some(_) => Err(not_found("an installation has one environment, production").with_field("environment")),
    }
}

/// One of the toolkit's changes; `body` has the installation's `id`.
fn post(path: &[&str], body: &Value) -> Request {
    client::PANEL.post([&["wordpress"], path].concat()).json_body(body)
}

fn send(request: Request) -> Result<Value, Error> {
    accepted(client::told(&request.send()?)?)
}

/// What an answer tells, unless that is a failure.
fn accepted(told: Value) -> Result<Value, Error> {
    match convert::state(&told) {
        State::Failed(why) => {
            let why = why.map(|why| format!("; WisPanel says: {why}")).unwrap_or_default();
            Err(internal(format!("WisPanel took the change, and it failed{why}")))
        }
        _ => Ok(told),
    }
}

/// Done, or going on where the answer says so and names what to ask for.
fn finish(answer: &Value, target: Option<String>) -> Result<Work, Error> {
    if let (State::Running(_), Some(job)) = (convert::state(answer), convert::job(answer)) {
        return Handle::new(Task::Work { target }, Some(job), clock::now()).work();
    }
    let message = convert::text(answer, &["message"]).and_then(|text| error::one_line(&text));
    Ok(Completion { target, message, ..Completion::default() }.into())
}

/// A change that does no harm when it is made twice.
fn change(path: &[&str], site: &str, more: Value) -> Result<Work, Error> {
    finish(&send(post(path, &with_id(site, more)).repeatable())?, Some(site.to_owned()))
}

/// `more` is an object.
fn with_id(site: &str, mut more: Value) -> Value {
    more["id"] = site.into();
    more
}

/// What `/wordpress/installation` tells beyond the list. It is undocumented: a panel that doesn't take our question tells no more.
fn more_of(site: &str) -> Result<Value, Error> {
    match client::read(client::get_of(&["installation"], site)) {
        Ok(answer) => Ok(convert::object(answer, &["installation"])),
        Err(error) if matches!(error.kind, ErrorKind::NotFound | ErrorKind::InvalidInput | ErrorKind::Internal) => {
            Ok(Value::Null)
        }
        Err(error) => Err(error),
    }
}

impl Wordpress for WisPanel {
    fn get_status(&self, target: &Target) -> Result<Status, Error> {
        let site = of(target)?;
        let answer = client::read(client::get(&["wordpress", "status"]))?;
        let wp_cli = convert::flag(&answer, &["wp_cli_available"]);
        let all = convert::items(answer, &["installations"])?.items;
        let is_it = |value: &Value| convert::text(value, &["id"]).as_deref() == Some(site);
        let installation = all.into_iter().find(is_it).ok_or_else(sites::unknown)?;
        Ok(convert::status(&installation, wp_cli, &more_of(site)?))
    }

    fn extensions(&self, target: &Target, kind: ExtensionKind) -> Result<Vec<Extension>, Error> {
        extensions::all(of(target)?, kind)
    }

    fn install(&self, call: &Call, target: &Target, kind: ExtensionKind, input: InstallInput) -> Result<Work, Error> {
        extensions::install(call, of(target)?, kind, &input)
    }

    fn change_extension(
        &self,
        _call: &Call,
        target: &Target,
        kind: ExtensionKind,
        id: &str,
        action: ExtensionAction,
    ) -> Result<Work, Error> {
        extensions::change(of(target)?, kind, id, action)
    }

    fn update_core(&self, _call: &Call, target: &Target, version: Option<&str>) -> Result<Work, Error> {
        let more = version.map_or_else(|| json!({}), |version| json!({"version": version}));
        change(&["core", "update"], of(target)?, more)
    }

    fn reinstall_core(&self, _call: &Call, target: &Target) -> Result<Work, Error> {
        change(&["reinstall-core"], of(target)?, json!({}))
    }

    fn set_maintenance(&self, _call: &Call, target: &Target, enabled: bool) -> Result<Work, Error> {
        change(&["maintenance"], of(target)?, json!({"enabled": enabled}))
    }

    /// A panel that doesn't know a trial run would change everything, so none is asked for; tables likewise.
    fn search_replace(&self, _call: &Call, target: &Target, input: SearchReplaceInput) -> Result<Work, Error> {
        let site = of(target)?;
        if input.dry_run {
            return Err(unsupported("wordpress.search_replace.dry_run"));
        }
        if input.tables.is_some() {
            return Err(unsupported("wordpress.search_replace.tables"));
        }
        let more = json!({"search": input.search, "replace": input.replace});
        let answer = send(post(&["search-replace"], &with_id(site, more)))?;
        let work = finish(&answer, Some(site.to_owned()))?;
        Ok(match (work, convert::replacements(&answer)) {
            (Work::Done(done), Some(count)) => done.with_details(&json!({"replacements": count})).into(),
            (work, _) => work,
        })
    }

    fn get_cache(&self, target: &Target) -> Result<Cache, Error> {
        Ok(convert::cache(&client::read(client::get_of(&["cache"], of(target)?))?))
    }

    fn change_cache(&self, _call: &Call, target: &Target, action: CacheAction) -> Result<Work, Error> {
        switches::cache(of(target)?, action)
    }

    fn get_security(&self, target: &Target) -> Result<Security, Error> {
        switches::security(of(target)?)
    }

    fn change_security(&self, _call: &Call, target: &Target, input: SecurityChange) -> Result<Work, Error> {
        switches::secure(of(target)?, &input)
    }

    fn verify_checksums(&self, _call: &Call, target: &Target) -> Result<Work, Error> {
        let site = of(target)?;
        let answer = client::read(client::get_of(&["verify-checksums"], site))?;
        let message = convert::text(&answer, &["message"]).and_then(|text| error::one_line(&text));
        let completion = Completion { message, ..Completion::of(site) };
        Ok(completion.with_details(&convert::checksums(&answer)).into())
    }

    fn create_admin(&self, _call: &Call, target: &Target, input: AdminCreate) -> Result<Work, Error> {
        let site = of(target)?;
        let (password, shown) = chosen(input.password);
        let more = json!({"username": input.user, "email": input.email, "password": password});
        send(post(&["admin", "create"], &with_id(site, more))).map_err(|error| error::without(error, &password))?;
        Ok(shown.map_or_else(|| Completion::of(site), |shown| Completion::of(site).with_secret("password", shown)).into())
    }

    fn reset_password(&self, _call: &Call, target: &Target, user: &str, password: Option<&str>) -> Result<Work, Error> {
        let site = of(target)?;
        let (password, shown) = chosen(password.map(str::to_owned));
        let more = json!({"username": user, "password": password});
        let request = post(&["password", "reset"], &with_id(site, more)).repeatable();
        send(request).map_err(|error| error::without(error, &password))?;
        Ok(shown.map_or_else(|| Completion::of(site), |shown| Completion::of(site).with_secret("password", shown)).into())
    }

    fn login_link(&self, _call: &Call, target: &Target, user: &str) -> Result<Work, Error> {
        let site = of(target)?;
        let answer = send(post(&["auto-login"], &with_id(site, json!({"username": user}))).repeatable())?;
        Ok(Completion::of(site).with_secret("url", convert::link(&answer)?).into())
    }
}

/// A password, and the same where it was made up and must be shown.
fn chosen(given: Option<String>) -> (String, Option<String>) {
    match given {
        Some(password) => (password, None),
        None => {
            let password = random::password(PASSWORD);
            (password.clone(), Some(password))
        }
    }
}
