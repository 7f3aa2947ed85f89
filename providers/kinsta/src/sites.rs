//! Sites: list, get, create, update, delete, clone, usage, logs.
//!
//! Invariant: what Kinsta can't be told is refused by name before anything is sent.

use crate::{
    Kinsta, accepted,
    client::{self, Sender},
    convert,
    handle::Goal,
    place, usage,
};
use portico_sdk::{
    Call, Error, Page, PageRequest, Site, SiteKind, SiteUsage, Sites, Work,
    error::{internal, invalid_input, unsupported},
    json,
    sites::{Admin, LogLine, LogRequest, SiteClone, SiteCreate, SiteUpdate},
};
use serde::Deserialize;
use serde_json::{Map, Value, json};

impl Sites for Kinsta {
    /// Kinsta has no pages: the cursor is the last site's id.
    fn list(&self, page: &PageRequest) -> Result<Page<Site>, Error> {
        let sites = client::sites(self.company()?)?;
        let sites = sites.into_iter().map(|value| convert::site(value, None)).collect::<Result<Vec<_>, _>>()?;
        Ok(Page::by_id(sites, page, |site| &site.id))
    }

    fn get(&self, id: &str) -> Result<Site, Error> {
        let site = client::site(id)?;
        convert::site(site, Some(&client::environments(id)?))
    }

    fn create(&self, call: &Call, input: SiteCreate) -> Result<Work, Error> {
        let region = input.region.as_ref().or(self.settings.region.as_ref());
        let missing =
            || invalid_input("region", "Kinsta wants a region, such as us-central1: give one, or set one for the connection");
        let region = region.ok_or_else(missing)?;
        let common = json!({"company": self.company()?, "display_name": input.name, "region": region});
        let (path, body): (&[&str], Value) = match input.kind {
            SiteKind::Wordpress => (&["sites"], wordpress(common, &input)?),
            SiteKind::Plain => (&["sites", "plain"], plain(common, &input)?),
            SiteKind::StaticFiles => return Err(unsupported("sites.create.kind.static")),
        };
        let goal = self.new_site(&input.name)?;
        accepted([Sender::of(call).post(path, &body)?], goal, "Kinsta adds the site, which takes some minutes")
    }

    fn update(&self, call: &Call, id: &str, input: SiteUpdate) -> Result<Work, Error> {
        match (input, place(id, None)?) {
            (SiteUpdate { name: None, wordpress_version: None, php_version: Some(version) }, place) => {
                php_version(call, place.id(), &version, id)
            }
            (SiteUpdate { name: Some(_), .. }, _) => Err(unsupported("sites.update.name")),
            (SiteUpdate { wordpress_version: Some(_), .. }, _) => Err(unsupported("sites.update.wordpress_version")),
            (SiteUpdate { php_version: None, .. }, _) => Ok(Work::done_with(id)),
        }
    }

    fn delete(&self, call: &Call, id: &str) -> Result<Work, Error> {
        let started = Sender::of(call).delete(&["sites", id])?;
        accepted([started], Goal::NoSite { id: id.to_owned() }, "Kinsta deletes the site")
    }

    fn clone(&self, call: &Call, id: &str, input: SiteClone) -> Result<Work, Error> {
        refuse(&[("sites.clone.domain", input.domain.is_some()), ("sites.clone.region", input.region.is_some())])?;
        if json::from_str::<Map<String, Value>>(&input.options).is_ok_and(|options| !options.is_empty()) {
            return Err(invalid_input("options", "a copy is as its source is: it takes no options"));
        }
        let source = place(id, input.source_environment.as_deref()).map_err(|error| match error.field {
            Some(_) => error.with_field("source_environment"),
            None => error,
        })?;
        let goal = self.new_site(&input.name)?;
        let body = json!({"company": self.company()?, "display_name": input.name, "source_env_id": source.id()});
        accepted([Sender::of(call).post(&["sites", "clone"], &body)?], goal, "Kinsta copies the site")
    }

    fn usage(&self, id: &str) -> Result<SiteUsage, Error> {
        usage::of_site(self.company()?, id)
    }

    fn logs(&self, id: &str, request: LogRequest) -> Result<Vec<LogLine>, Error> {
        const FILES: [&str; 3] = ["error", "access", "kinsta-cache-perf"];
        let wanted = request.source.as_deref().unwrap_or("error");
        let Some(file) = FILES.into_iter().find(|file| *file == wanted) else {
            return Err(invalid_input("source", "Kinsta's logs are error, access and kinsta-cache-perf"));
        };
        let place = place(id, request.environment.as_deref())?;
        let text = client::logs(place.id(), file, request.lines)?;
        Ok(convert::log_lines(file, &text, request.lines as usize))
    }
}

impl Kinsta {
    /// Kinsta's operations don't say what they made: it is the site of this name that wasn't there before.
    fn new_site(&self, name: &str) -> Result<Goal, Error> {
        Ok(Goal::Site { name: name.to_owned(), not: named(client::sites(self.company()?)?, name)? })
    }
}

/// The ids of the sites or environments with this name.
pub fn named(values: Vec<Value>, name: &str) -> Result<Vec<String>, Error> {
    #[derive(Deserialize)]
    struct Named {
        id: String,
        display_name: String,
    }
    let all = values.iter().map(json::read::<Named>).collect::<Result<Vec<_>, _>>()?;
    Ok(all.into_iter().filter(|one| one.display_name == name).map(|one| one.id).collect())
}

/// PHP runs in each environment by itself.
pub fn php_version(call: &Call, environment: &str, version: &str, target: &str) -> Result<Work, Error> {
    let body = json!({"environment_id": environment, "php_version": convert::php_number(version)});
    let started = Sender::of(call).put(&["sites", "tools", "modify-php-version"], &body)?;
    let goal = Goal::End { target: Some(target.to_owned()), verified: true };
    accepted([started], goal, "Kinsta changes the version of PHP")
}

/// The first feature that is asked for although there is none.
pub fn refuse(asked: &[(&str, bool)]) -> Result<(), Error> {
    asked.iter().find(|(_, asked)| *asked).map_or(Ok(()), |(feature, _)| Err(unsupported(feature)))
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub struct Options {
    pub is_multisite: bool,
    pub is_subdomain_multisite: bool,
    pub woocommerce: bool,
    pub wordpressseo: bool,
}

fn wordpress(common: Value, input: &SiteCreate) -> Result<Value, Error> {
    let options: Options = json::strict(&input.options).map_err(|_| invalid_input("options", "these options don't fit"))?;
    let Some(admin) = &input.admin else {
        return Err(invalid_input("admin", "Kinsta wants an administrator: give `admin` with user, email and password"));
    };
    let more = json!({
        "install_mode": "new",
        "site_title": input.title.as_ref().unwrap_or(&input.name),
        "wp_language": input.locale.as_deref().unwrap_or("en_US"),
        "is_multisite": options.is_multisite,
        "is_subdomain_multisite": options.is_subdomain_multisite,
        "woocommerce": options.woocommerce,
        "wordpressseo": options.wordpressseo,
    });
    joined([common, more, administrator(admin)?])
}

/// Kinsta tells the password to nobody afterwards, and what isn't kept can't be shown at the end: so the user chooses it.
pub fn administrator(admin: &Admin) -> Result<Value, Error> {
    let missing = || invalid_input("admin.password", "choose the administrator's password: Kinsta doesn't tell it afterwards");
    let password = admin.password.as_ref().ok_or_else(missing)?;
    Ok(json!({"admin_user": admin.user, "admin_email": admin.email, "admin_password": password}))
}

fn plain(common: Value, input: &SiteCreate) -> Result<Value, Error> {
    let given = [("title", input.title.is_some()), ("locale", input.locale.is_some()), ("admin", input.admin.is_some())];
    if let Some((field, _)) = given.into_iter().find(|(_, given)| *given) {
        return Err(invalid_input(field, "a plain site has no WordPress that this could be for"));
    }
    if json::from_str::<Map<String, Value>>(&input.options).is_ok_and(|options| !options.is_empty()) {
        return Err(invalid_input("options", "a plain site has no WordPress that these options could be for"));
    }
    Ok(common)
}

/// One object of several.
pub fn joined<const N: usize>(parts: [Value; N]) -> Result<Value, Error> {
    let mut whole = Map::new();
    for part in parts {
        let Value::Object(part) = part else { return Err(internal("a part of a request is no object")) };
        whole.extend(part);
    }
    Ok(Value::Object(whole))
}

/// Whether a site of this name is there that wasn't before.
pub fn find_new(values: Vec<Value>, name: &str, not: &[String]) -> Result<Option<String>, Error> {
    Ok(named(values, name)?.into_iter().find(|id| !not.contains(id)))
}
