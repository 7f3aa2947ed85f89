//! Installs as environments: list, create, delete, push.
//!
//! Invariant: an install is only reached through the site that has it.

use super::{
    Live, client,
    client::API,
    convert,
    handle::{Handle, Task, Unseen},
    make, sites,
};
use portico_sdk::{
    Call, Environment, Environments, Error, Page, PageRequest, Work,
    environments::{EnvironmentCreate, PushInput},
    error::{invalid_input, unsupported},
};
use serde_json::json;

impl Environments for Live {
    fn list(&self, site: &str, page: &PageRequest) -> Result<Page<Environment>, Error> {
        let installs = sites::installs_alone(&client::site_value(site)?)?;
        Page::slice(installs.into_iter().map(convert::environment).collect::<Result<_, _>>()?, page)
    }

    fn create(&self, _call: &Call, site: &str, input: EnvironmentCreate) -> Result<Work, Error> {
        make::environment(site, &input)
    }

    fn delete(&self, _call: &Call, site: &str, id: &str) -> Result<Work, Error> {
        let install = client::resolve(site, Some(id))?;
        API.delete(["installs", &install.id]).send()?;
        Ok(Work::done())
    }

    fn push(&self, _call: &Call, site: &str, id: &str, input: PushInput) -> Result<Work, Error> {
        if input.database && !input.search_replace {
            return Err(unsupported("environments.push.search_replace"));
        }
        let installs = client::installs(&client::site(site)?)?;
        let (from, to) = (convert::pick(&installs, Some(id))?, convert::pick(&installs, Some(&input.target))?);
        if from.id == to.id {
            return Err(invalid_input("target", "this is the environment that is to be pushed"));
        }
        let body = json!({
            "source_environment_id": from.id,
            "destination_environment_id": to.id,
            "notification_emails": self.emails()?,
            "custom_options": {"include_files": input.files, "include_db": input.database},
        });
        API.post(["install_copy"]).json_body(&body).send()?;
        let task = Task::Unseen { install: to.id.clone(), target: to.id.clone(), what: Unseen::Push };
        Handle::new(task).work(&to.id, Unseen::Push.middle())
    }
}
