//! The WordPress toolkit: Kinsta's own calls where there are some, and WP-CLI through Kinsta for the rest.
//!
//! Invariant: what becomes a part of a command is made of letters, digits and a few signs that no shell knows, and can't be taken
//! for an option.

use crate::{
    Kinsta, Place, accepted,
    client::{self, Sender},
    convert,
    handle::{Condition, Goal},
    place,
};
use portico_sdk::{
    Call, Error, Wordpress, Work,
    error::{conflict, invalid_input, not_found},
    wordpress::{Cache, CacheAction, Extension, ExtensionAction, ExtensionKind, InstallInput, Status, Target, Updates},
};
use serde_json::json;

/// A handle holds the ids of so many operations.
const MAX_URLS: usize = 50;

fn of(target: &Target) -> Result<Place, Error> {
    place(&target.site, target.environment.as_deref())
}

const fn word(kind: ExtensionKind) -> (&'static str, &'static str) {
    match kind {
        ExtensionKind::Plugin => ("plugin", "plugins"),
        ExtensionKind::Theme => ("theme", "themes"),
    }
}

pub fn extensions(environment: &str, kind: ExtensionKind) -> Result<Vec<Extension>, Error> {
    client::extensions(environment, word(kind).1)?.into_iter().map(convert::extension).collect()
}

impl Wordpress for Kinsta {
    fn get_status(&self, target: &Target) -> Result<Status, Error> {
        let place = of(target)?;
        let updates = |kind| Ok(extensions(place.id(), kind)?.iter().filter(|one| one.update.is_some()).count());
        let [plugins, themes]: [Result<usize, Error>; 2] = [updates(ExtensionKind::Plugin), updates(ExtensionKind::Theme)];
        let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        Ok(Status {
            version: place.environment.wordpress_version,
            site_title: None,
            admin_url: None,
            path: None,
            wp_cli_available: Some(true),
            db: None,
            debug: None,
            multisite: None,
            maintenance: None,
            updates: Some(Updates { core: None, plugins: number(plugins?), themes: number(themes?) }),
            native: convert::native(place.native),
        })
    }

    fn extensions(&self, target: &Target, kind: ExtensionKind) -> Result<Vec<Extension>, Error> {
        extensions(of(target)?.id(), kind)
    }

    fn install(&self, call: &Call, target: &Target, kind: ExtensionKind, input: InstallInput) -> Result<Work, Error> {
        let place = of(target)?;
        let is_url = input.source.starts_with("https://");
        let source = safe("source", &input.source)?;
        let version = input.version.as_deref().map(|version| safe("version", version)).transpose()?;
        let mut command = format!("{} install {source}", word(kind).0);
        if let Some(version) = version {
            command.push_str(&format!(" --version={version}"));
        }
        if input.activate {
            command.push_str(" --activate");
        }
        let is = if input.activate { Condition::Active } else { Condition::Present };
        // What a zip file will be called is seen only inside of it.
        let goal = if is_url { unseen(None) } else { wanted(&place, kind, source, is) };
        accepted([Sender::of(call).wp_cli(place.id(), &command)?], goal, "Kinsta runs WP-CLI")
    }

    fn change_extension(
        &self,
        call: &Call,
        target: &Target,
        kind: ExtensionKind,
        id: &str,
        action: ExtensionAction,
    ) -> Result<Work, Error> {
        let place = of(target)?;
        let all = extensions(place.id(), kind)?;
        let found = all.into_iter().find(|one| one.id == id);
        let found = found.ok_or_else(|| not_found(format!("there is no such {}", word(kind).0)))?;
        let sender = Sender::of(call);
        let (started, is) = match action {
            ExtensionAction::Update => {
                let Some(version) = found.update else { return Ok(Work::done_with(id)) };
                let body = json!({"name": id, "update_version": version});
                let path = ["sites", "environments", place.id(), word(kind).1];
                (sender.put(&path, &body)?, Condition::Version(version))
            }
            ExtensionAction::Activate => (run(sender, &place, kind, "activate", id)?, Condition::Active),
            ExtensionAction::Deactivate => (run(sender, &place, kind, "deactivate", id)?, Condition::Inactive),
            ExtensionAction::Delete if found.active => {
                return Err(conflict(format!("the {} is active: deactivate it first", word(kind).0)));
            }
            ExtensionAction::Delete => {
                let command = format!("{} delete {}", word(kind).0, safe("id", id)?);
                (sender.wp_cli_once(place.id(), &command)?, Condition::Absent)
            }
        };
        accepted([started], wanted(&place, kind, id, is), "Kinsta changes it")
    }

    fn update_core(&self, call: &Call, target: &Target, version: Option<&str>) -> Result<Work, Error> {
        let place = of(target)?;
        let command = match version {
            Some(version) => format!("core update --version={}", safe("version", version)?),
            None => "core update".to_owned(),
        };
        accepted([Sender::of(call).wp_cli(place.id(), &command)?], unseen(None), "Kinsta runs WP-CLI")
    }

    fn reinstall_core(&self, call: &Call, target: &Target) -> Result<Work, Error> {
        let place = of(target)?;
        let Some(version) = place.environment.wordpress_version.as_deref() else {
            return Err(conflict("Kinsta knows of no WordPress in this environment"));
        };
        let command = format!("core download --force --skip-content --version={}", safe("version", version)?);
        accepted([Sender::of(call).wp_cli(place.id(), &command)?], unseen(None), "Kinsta runs WP-CLI")
    }

    fn set_maintenance(&self, call: &Call, target: &Target, enabled: bool) -> Result<Work, Error> {
        let place = of(target)?;
        let command = if enabled { "maintenance-mode activate" } else { "maintenance-mode deactivate" };
        accepted([Sender::of(call).wp_cli(place.id(), command)?], unseen(None), "Kinsta runs WP-CLI")
    }

    /// `enabled` is the edge cache's: that is the one which can be switched.
    fn get_cache(&self, target: &Target) -> Result<Cache, Error> {
        let place = of(target)?;
        let edge = place.environment.id_edge_cache.is_some();
        let cdn = place.environment.cdn_cache_id.is_some();
        let kinds = [("page", edge), ("cdn", cdn)].into_iter().filter(|(_, on)| *on).map(|(kind, _)| kind.to_owned());
        Ok(Cache { enabled: edge, kinds: kinds.collect(), native: convert::native(place.native) })
    }

    fn change_cache(&self, call: &Call, target: &Target, action: CacheAction) -> Result<Work, Error> {
        let (place, sender) = (of(target)?, Sender::of(call));
        let done = Goal::End { target: None, verified: true };
        match action {
            CacheAction::Enable | CacheAction::Disable => {
                let body = json!({"environment_id": place.id(), "enabled": matches!(action, CacheAction::Enable)});
                accepted([sender.put(&["sites", "edge-caching", "status"], &body)?], done, "Kinsta switches the edge cache")
            }
            CacheAction::Flush => accepted([sender.wp_cli(place.id(), "cache flush")?], unseen(None), "Kinsta runs WP-CLI"),
            CacheAction::Purge(urls) if urls.is_empty() => purge_all(sender, &place, done),
            CacheAction::Purge(urls) => purge(sender, &place, &urls, done),
        }
    }
}

fn run(sender: Sender<'_>, place: &Place, kind: ExtensionKind, action: &str, id: &str) -> Result<client::Started, Error> {
    sender.wp_cli(place.id(), &format!("{} {action} {}", word(kind).0, safe("id", id)?))
}

fn wanted(place: &Place, kind: ExtensionKind, name: &str, is: Condition) -> Goal {
    let (environment, name) = (place.id().to_owned(), name.to_owned());
    Goal::Extension { environment, theme: kind == ExtensionKind::Theme, name, is }
}

/// What WP-CLI answered isn't told by Kinsta's document.
const fn unseen(target: Option<String>) -> Goal {
    Goal::End { target, verified: false }
}

/// A word of a command: the signs that Kinsta's document lets through, less quotes and white space, and no option.
fn safe<'a>(field: &str, text: &'a str) -> Result<&'a str, Error> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-./:=@".contains(&byte);
    match text.bytes().all(is_plain) && !text.is_empty() && !text.starts_with('-') {
        true => Ok(text),
        false => Err(invalid_input(field, "Kinsta takes letters, digits and _-./:=@ here, and no - at the beginning")),
    }
}

/// Every cache that the environment has.
fn purge_all(sender: Sender<'_>, place: &Place, goal: Goal) -> Result<Work, Error> {
    let body = json!({"environment_id": place.id()});
    let mut started = vec![sender.post_repeatable(&["sites", "tools", "clear-cache"], &body)?];
    if place.environment.id_edge_cache.is_some() {
        started.push(sender.post_repeatable(&["sites", "edge-caching", "clear"], &body)?);
    }
    if let Some(cdn) = &place.environment.cdn_cache_id {
        let body = json!({"environment_id": place.id(), "cdn_cache_id": cdn});
        started.push(sender.post_repeatable(&["sites", "cdn", "clear-cache"], &body)?);
    }
    accepted(started, goal, "Kinsta clears the caches")
}

fn purge(sender: Sender<'_>, place: &Place, urls: &[String], goal: Goal) -> Result<Work, Error> {
    if urls.len() > MAX_URLS {
        return Err(invalid_input("urls", format!("{MAX_URLS} addresses at once at most, as Kinsta takes one a request")));
    }
    let one = |url: &String| {
        let body = json!({"environment_id": place.id(), "url": url});
        sender.post_repeatable(&["sites", "edge-caching", "clear"], &body)
    };
    accepted(urls.iter().map(one).collect::<Result<Vec<_>, _>>()?, goal, "Kinsta clears the edge cache")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_commands() {
        for (text, fine) in [
            ("akismet", true),
            ("https://downloads.wordpress.org/plugin/akismet.5.3.zip", true),
            ("6.4.3", true),
            ("--exec=x", false),
            ("-x", false),
            ("a b", false),
            ("a;b", false),
            ("a'b", false),
            ("a?b", false),
            ("$(x)", false),
            ("é", false),
            ("a\nb", false),
            ("", false),
        ] {
            assert_eq!(safe("source", text).is_ok(), fine, "{text}");
        }
    }
}
