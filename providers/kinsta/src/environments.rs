//! Environments: list, create, change the version of PHP, delete, push.
//!
//! Invariant: the production is made and deleted with its site, never here.

use crate::{
    Kinsta, accepted,
    client::{self, Sender},
    convert,
    handle::Goal,
    place,
    sites::{self, Options, administrator, joined, named, refuse},
};
use portico_sdk::{
    Call, Environment, EnvironmentKind, Environments, Error, Page, PageRequest, Work,
    environments::{EnvironmentCreate, EnvironmentUpdate, PushInput},
    error::{conflict, invalid_input},
    json,
    sites::Admin,
};
use serde::Deserialize;
use serde_json::{Value, json};

/// `options` of a new environment.
#[derive(Default, Deserialize)]
#[serde(default)]
struct EnvironmentOptions {
    /// A premium staging environment, which is paid for.
    premium: bool,
    /// Install a new WordPress; without it, the environment is empty.
    wordpress: Option<Wordpress>,
}

#[derive(Deserialize)]
struct Wordpress {
    title: Option<String>,
    language: Option<String>,
    admin: Administrator,
    #[serde(default)]
    easy_digital_downloads: bool,
    #[serde(default)]
    is_multisite: bool,
    #[serde(default)]
    is_subdomain_multisite: bool,
    #[serde(default)]
    woocommerce: bool,
    #[serde(default)]
    wordpressseo: bool,
}

#[derive(Deserialize)]
struct Administrator {
    user: String,
    email: String,
    password: Option<String>,
}

impl Environments for Kinsta {
    fn list(&self, site: &str, page: &PageRequest) -> Result<Page<Environment>, Error> {
        Page::slice(convert::environments(client::environments(site)?)?, page)
    }

    fn create(&self, call: &Call, site: &str, input: EnvironmentCreate) -> Result<Work, Error> {
        if input.kind != EnvironmentKind::Staging {
            return Err(invalid_input("kind", "every environment at Kinsta but the production is a staging one"));
        }
        refuse(&[
            ("environments.create.php_version", input.php_version.is_some()),
            ("environments.create.wordpress_version", input.wordpress_version.is_some()),
        ])?;
        let options: EnvironmentOptions = json::strict(&input.options).map_err(|_| {
            invalid_input(
                "options",
                "options are `premium` and, for a new WordPress, `wordpress` with an `admin` (user, email, password)",
            )
        })?;
        let common = json!({"display_name": input.name, "is_premium": options.premium});
        let (last, body) = match (&input.source, options.wordpress) {
            (Some(_), Some(_)) => return Err(invalid_input("options.wordpress", "a copy has its source's WordPress")),
            (Some(source), None) => {
                let source = place(site, Some(source))
                    .map_err(|error| if error.field.is_some() { error.with_field("source") } else { error })?;
                (Some("clone"), joined([common, json!({"source_env_id": source.id()})])?)
            }
            (None, Some(wordpress)) => (None, joined([common, installation(&input.name, wordpress)?])?),
            (None, None) => (Some("plain"), common),
        };
        let not = named(client::environments(site)?, &input.name)?;
        let path: Vec<&str> = ["sites", site, "environments"].into_iter().chain(last).collect();
        let started = Sender::of(call).post(&path, &body)?;
        accepted([started], Goal::Environment { site: site.to_owned(), name: input.name, not }, "Kinsta makes the environment")
    }

    fn update(&self, call: &Call, site: &str, id: &str, input: EnvironmentUpdate) -> Result<Work, Error> {
        refuse(&[
            ("environments.update.name", input.name.is_some()),
            ("environments.update.wordpress_version", input.wordpress_version.is_some()),
        ])?;
        let place = place(site, Some(id))?;
        match input.php_version {
            Some(version) => sites::php_version(call, place.id(), &version, place.id()),
            None => Ok(Work::done_with(place.id())),
        }
    }

    fn delete(&self, call: &Call, site: &str, id: &str) -> Result<Work, Error> {
        let (production, place) = (place(site, None)?, place(site, Some(id))?);
        if production.id() == place.id() {
            return Err(conflict("the production environment goes with its site: delete the site"));
        }
        let started = Sender::of(call).delete(&["sites", "environments", place.id()])?;
        let goal = Goal::NoEnvironment { site: site.to_owned(), id: place.id().to_owned() };
        accepted([started], goal, "Kinsta deletes the environment")
    }

    fn push(&self, call: &Call, site: &str, id: &str, input: PushInput) -> Result<Work, Error> {
        let source = place(site, Some(id))?;
        let target = place(site, Some(&input.target))
            .map_err(|error| if error.field.is_some() { error.with_field("target") } else { error })?;
        let body = json!({
            "source_env_id": source.id(),
            "target_env_id": target.id(),
            "push_db": input.database,
            "push_files": input.files,
            "run_search_and_replace": input.search_replace,
            "push_files_option": "ALL_FILES",
        });
        let started = Sender::of(call).put(&["sites", site, "environments"], &body)?;
        let goal = Goal::End { target: Some(target.id().to_owned()), verified: true };
        accepted([started], goal, "Kinsta pushes the environment")
    }
}

fn installation(name: &str, wordpress: Wordpress) -> Result<Value, Error> {
    let Administrator { user, email, password } = wordpress.admin;
    let admin = administrator(&Admin { user, email, password })
        .map_err(|error| error.with_field("options.wordpress.admin.password"))?;
    let options = Options {
        is_multisite: wordpress.is_multisite,
        is_subdomain_multisite: wordpress.is_subdomain_multisite,
        woocommerce: wordpress.woocommerce,
        wordpressseo: wordpress.wordpressseo,
    };
    let more = json!({
        "site_title": wordpress.title.as_deref().unwrap_or(name),
        "wp_language": wordpress.language.as_deref().unwrap_or("en_US"),
        "is_multisite": options.is_multisite,
        "is_subdomain_multisite": options.is_subdomain_multisite,
        "woocommerce": options.woocommerce,
        "wordpressseo": options.wordpressseo,
        "wordpress_plugin_edd": wordpress.easy_digital_downloads,
    });
    joined([more, admin])
}
