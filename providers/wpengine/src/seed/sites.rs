//! Sites and their environments, which this API only shows.
//!
//! Invariant: a new site is asked for only after what bears its name was noted, since nothing of an operation can be attached to it.

use super::{
    Seed, client,
    client::{API, NEWEST_FIRST, OLDEST_FIRST, Order},
    convert,
    handle::Task,
    trace::{self, New},
    types::{Environment, Started},
};
use crate::settings::SiteOptions;
use portico_sdk::{
    Call, Deployment, Environments, Error, Page, PageRequest, Site, SiteUsage, Sites, Work,
    error::{conflict, not_found},
    json,
    sites::{SiteCreate, SiteUpdate},
};
use serde_json::{Map, Value, json};

impl Sites for Seed {
    fn list(&self, page: &PageRequest) -> Result<Page<Site>, Error> {
        client::model_page(&["sites"], OLDEST_FIRST, page, convert::site)
    }

    fn get(&self, id: &str) -> Result<Site, Error> {
        convert::site(API.get(["sites", id]).json()?)
    }

    fn create(&self, call: &Call, input: SiteCreate) -> Result<Work, Error> {
        SiteOptions::refuse(&input.options, "sites.create")?;
        match trace::begin(&call.operation_id, named(&input.name)?)? {
            New::Nothing => {}
            New::One(site) => return super::going_on(Task::Site { site }),
            New::Several => return Err(several()),
        }
        let body = given(&[
            ("name", Some(&input.name)),
            ("environment", input.environment.as_ref()),
            ("php_version", input.php_version.as_ref()),
            ("wordpress_version", input.wordpress_version.as_ref()),
            ("template", input.template.as_ref()),
        ]);
        let started: Started = trace::sent(&call.operation_id, API.post(["sites"]).json_body(&body).json())?;
        super::started(&started, Task::Site { site: started.id.clone() })
    }

    fn update(&self, _call: &Call, id: &str, input: SiteUpdate) -> Result<Work, Error> {
        let body = given(&[
            ("name", input.name.as_ref()),
            ("php_version", input.php_version.as_ref()),
            ("wordpress_version", input.wordpress_version.as_ref()),
        ]);
        API.put(["sites", id]).json_body(&body).send()?;
        Ok(Work::done_with(id))
    }

    fn delete(&self, _call: &Call, id: &str) -> Result<Work, Error> {
        let started: Started = API.delete(["sites", id]).json()?;
        super::started(&started, Task::SiteGone { site: id.to_owned() })
    }

    fn start(&self, _call: &Call, id: &str) -> Result<Work, Error> {
        switch(id, "active")
    }

    fn stop(&self, _call: &Call, id: &str) -> Result<Work, Error> {
        switch(id, "inactive")
    }

    fn usage(&self, id: &str) -> Result<SiteUsage, Error> {
        Ok(convert::usage(&client::site(id)?))
    }
}

/// Ids of the sites of this name.
pub fn named(name: &str) -> Result<Vec<String>, Error> {
    let mut ids = Vec::new();
    client::find(&["sites"], OLDEST_FIRST, |site| {
        ids.extend(site["id"].as_str().filter(|_| site["name"] == name).map(str::to_owned));
        Ok(None::<()>)
    })?;
    Ok(ids)
}

fn several() -> Error {
    conflict("several sites of this name were made at WP Engine meanwhile: look there which one is yours")
}

/// A change of the status is done when it is answered. What is in that state already isn't touched.
fn switch(id: &str, status: &str) -> Result<Work, Error> {
    if client::site(id)?.status.as_deref() != Some(status) {
        API.put(["sites", id]).json_body(&json!({"status": status})).send()?;
    }
    Ok(Work::done_with(id))
}

/// A body of what was given.
fn given(fields: &[(&str, Option<&String>)]) -> Value {
    let mut given = Map::new();
    for (name, value) in fields {
        if let Some(value) = value {
            given.insert((*name).to_owned(), value.as_str().into());
        }
    }
    Value::Object(given)
}

impl Environments for Seed {
    fn list(&self, site: &str, page: &PageRequest) -> Result<Page<portico_sdk::Environment>, Error> {
        let site = client::site(site)?;
        let environments = site.environments.iter().map(|one| convert::environment(&site, one));
        Page::slice(environments.collect::<Result<_, _>>()?, page)
    }

    /// The newest deployment there that has completed.
    fn current(&self, site: &str, id: &str) -> Result<Option<Deployment>, Error> {
        environment(site, id)?;
        let completed = Order { status: Some("completed"), ..NEWEST_FIRST };
        client::find(&["sites", site, "deployments"], completed, |value| {
            let deployment = convert::deployment(value)?;
            let is_it =
                deployment.environment.as_deref() == Some(id) && deployment.status == portico_sdk::DeploymentStatus::Completed;
            Ok(is_it.then_some(deployment))
        })
    }
}

/// An environment's name, if the site has it.
pub fn environment(site: &str, name: &str) -> Result<String, Error> {
    let site = client::site(site)?;
    let known = site.environments.iter().filter_map(|value| json::read::<Environment>(value).ok());
    match known.map(|environment| environment.name).find(|known| known == name) {
        Some(name) => Ok(name),
        None => Err(not_found(format!("the site has no environment {name}")).with_field("environment")),
    }
}
