//! Plugins and themes.
//!
//! Invariant: one theme is active, and the active one can't be deactivated or deleted.

use crate::{
    Sandbox, Takes, check,
    job::{Effect, Job},
    outcomes,
    record::{self, Wordpress as State},
};
use portico_sdk::{Call, Error, Work, error, wordpress::*};

const MAX: usize = 40;

fn feature(kind: ExtensionKind, verb: &str) -> String {
    match kind {
        ExtensionKind::Plugin => format!("wordpress.plugins.{verb}"),
        ExtensionKind::Theme => format!("wordpress.themes.{verb}"),
    }
}

fn list(state: &mut State, kind: ExtensionKind) -> &mut Vec<record::Extension> {
    match kind {
        ExtensionKind::Plugin => &mut state.plugins,
        ExtensionKind::Theme => &mut state.themes,
    }
}

impl Sandbox {
    pub(super) fn list_extensions(&self, target: &Target, kind: ExtensionKind) -> Result<Vec<Extension>, Error> {
        self.enter(&feature(kind, "list"))?;
        let (_, mut state) = self.read(target)?;
        let model = |extension: &record::Extension| Extension {
            id: extension.id.clone(),
            name: extension.name.clone(),
            version: Some(extension.version.clone()),
            active: extension.active,
            update: extension.update.clone(),
            native: None,
        };
        Ok(list(&mut state, kind).iter().map(model).collect())
    }

    pub(super) fn install_extension(
        &self,
        call: &Call,
        target: &Target,
        kind: ExtensionKind,
        input: &InstallInput,
    ) -> Result<Work, Error> {
        let slug = slug(&input.source)?;
        check::text("version", input.version.as_deref(), 20)?;
        let id = match kind {
            ExtensionKind::Plugin => format!("{slug}/{slug}.php"),
            ExtensionKind::Theme => slug.clone(),
        };
        self.on(call, target, &feature(kind, "install"), Takes::Work, &|state, environment, job| {
            // The plugin's own name may choose the outcome, as a new site's name does.
            if let Some(outcome) = outcomes::of(&slug, "wordpress", true) {
                *job = Job { secret: None, ..self.job(call, &job.action, Takes::Work, Some(outcome), job.from)? };
            }
            job.target = Some(id.clone());
            let known = list(state, kind);
            if known.iter().any(|extension| extension.id == id) {
                return Err(error::conflict("this is installed already").with_field("source"));
            }
            if known.len() >= MAX {
                return Err(error::quota_exceeded(format!("a site here has {MAX} plugins and {MAX} themes at most")));
            }
            let extension = record::Extension {
                id: id.clone(),
                name: slug.clone(),
                version: input.version.clone().unwrap_or_else(|| "1.0".to_owned()),
                active: input.activate,
                update: None,
            };
            let theme = kind == ExtensionKind::Theme;
            job.effect = Effect::Extension { environment: environment.to_owned(), theme, extension };
            Ok(())
        })
    }

    pub(super) fn act_on_extension(
        &self,
        call: &Call,
        target: &Target,
        kind: ExtensionKind,
        id: &str,
        action: ExtensionAction,
    ) -> Result<Work, Error> {
        self.on(call, target, &feature(kind, action.as_str()), Takes::NoTime, &|state, _, job| {
            job.target = Some(id.to_owned());
            let all = list(state, kind);
            let index = all.iter().position(|extension| extension.id == id);
            let index = index.ok_or_else(|| error::not_found("the site has no such plugin or theme"))?;
            let theme = kind == ExtensionKind::Theme;
            if theme && all[index].active && matches!(action, ExtensionAction::Deactivate | ExtensionAction::Delete) {
                return Err(error::conflict("this is the active theme: activate another one first"));
            }
            match action {
                ExtensionAction::Activate => {
                    if theme {
                        all.iter_mut().for_each(|other| other.active = false);
                    }
                    all[index].active = true;
                }
                ExtensionAction::Deactivate => all[index].active = false,
                ExtensionAction::Update => {
                    if let Some(version) = all[index].update.take() {
                        all[index].version = version;
                    }
                }
                ExtensionAction::Delete => {
                    all.remove(index);
                }
            }
            Ok(())
        })
    }
}

/// A directory's slug, or the file name of an https address of a zip.
fn slug(source: &str) -> Result<String, Error> {
    let slug = match source.split_once(':') {
        Some((_, rest)) if rest.starts_with("//") => {
            check::https("source", source)?;
            let file = source.rsplit('/').next().unwrap_or_default();
            file.strip_suffix(".zip").unwrap_or(file).to_ascii_lowercase()
        }
        _ => source.to_owned(),
    };
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if (1..=60).contains(&slug.len()) && slug.bytes().all(fits) {
        return Ok(slug);
    }
    Err(error::invalid_input("source", "give a slug of the wordpress.org directory, or the https address of a zip"))
}
