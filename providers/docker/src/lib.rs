//! The provider `docker`: sites on a Docker Engine.
//!
//! A site is a network, one or two containers and their volumes; labels on them are the only state. Calls that change
//! something answer `pending` as soon as they are anchored, and `poll` does the work step by step. Invariant: nothing is asked
//! of the Engine but through `client`, and nothing about a site is remembered elsewhere.

mod bodies;
mod client;
mod convert;
mod create;
mod error;
#[cfg(test)]
mod fuzz;
mod handle;
mod image;
mod power;
mod remove;
mod settings;
mod spec;
mod types;
mod world;

use client::Client;
use handle::{Handle, Task};
use portico_sdk::{
    Call, Completion, Configuration, Description, Error, Finding, Operations, Page, PageRequest, Progress, Provider, Site,
    Sites, Work, clock,
    error::{conflict, not_found, unsupported},
    json,
    sites::SiteCreate,
};
use serde::Deserialize;
use settings::Settings;
use spec::{Names, Role, Spec};
use world::World;

pub struct Docker {
    settings: Settings,
    client: Client,
}

portico_sdk::provider!(Docker: sites, operations);

impl Provider for Docker {
    type Settings = Settings;

    fn describe() -> Description {
        let summary = "WordPress and other sites in containers of a Docker Engine, through its socket";
        Description::new("docker", "Docker Engine", summary, env!("CARGO_PKG_VERSION"), include_str!("settings.schema.json"))
            .with_documentation("https://docs.docker.com/reference/api/engine/version/v1.41/")
    }

    fn configure(settings: Settings) -> Result<(Self, Configuration), Error> {
        settings.check()?;
        let configuration = settings.configuration();
        Ok((Self { client: Client::new(&settings.namespace), settings }, configuration))
    }
}

impl Docker {
    fn namespace(&self) -> &str {
        &self.settings.namespace
    }

    fn find(&self, site: &str) -> Result<World, Error> {
        let world = self.client.world("site", site)?;
        if world.is_empty() { Err(not_found("there is no such site on this Engine")) } else { Ok(world) }
    }

    /// Whether every container of a whole site is up, or none is.
    fn is_already(&self, world: &World, up: bool) -> Result<bool, Error> {
        let Some(spec) = world.spec(self.namespace()) else {
            return Err(conflict("the site isn't complete: wait until it is made, or delete it"));
        };
        let parts = power::parts(self.namespace(), world, &spec)?;
        Ok(parts.into_iter().all(|part| power::is_up(part) == up))
    }

    fn switch(&self, site: &str, up: bool) -> Result<Work, Error> {
        let world = self.find(site)?;
        if self.is_already(&world, up)? {
            return Ok(Work::done_with(site));
        }
        let (task, message) = if up { (Task::Start, "starting") } else { (Task::Stop, "stopping") };
        Handle::new(task, site).work(message)
    }
}

impl Sites for Docker {
    /// The Engine has no pages: the cursor is the last site's id.
    fn list(&self, page: &PageRequest) -> Result<Page<Site>, Error> {
        let (namespace, now) = (self.namespace(), clock::now());
        let worlds = self.client.everything()?.by_site(namespace);
        let after = |id: &String| page.cursor.as_ref().is_none_or(|cursor| id > cursor);
        let mut rest =
            worlds.into_iter().filter(|(id, _)| after(id)).map(|(id, world)| convert::site(namespace, &id, &world, now));
        let items: Vec<Site> = rest.by_ref().take(page.limit as usize).collect();
        let next = rest.next().and(items.last().map(|site| site.id.clone()));
        Ok(Page { items, next })
    }

    fn get(&self, id: &str) -> Result<Site, Error> {
        let world = self.find(id)?;
        let mut parts = Vec::new();
        for (part, role) in [("web", Role::Web), ("database", Role::Database)] {
            if let Some(container) = world.container(self.namespace(), role)
                && let Some(inspect) = self.client.inspect_raw(&container.id)?
            {
                parts.push((part, inspect));
            }
        }
        Ok(convert::with_details(convert::site(self.namespace(), id, &world, clock::now()), &parts))
    }

    fn create(&self, call: &Call, input: SiteCreate) -> Result<Work, Error> {
        let spec = Spec::new(&self.settings, &input, clock::now())?;
        create::begin(&self.client, &Names::of_operation(self.namespace(), &call.operation_id), &spec)
    }

    /// Only looks: the work is `poll`'s, where it can be repeated.
    fn delete(&self, _call: &Call, id: &str) -> Result<Work, Error> {
        self.find(id)?;
        Handle::new(Task::Delete, id).work("removing the site")
    }

    fn start(&self, _call: &Call, id: &str) -> Result<Work, Error> {
        self.switch(id, true)
    }

    fn stop(&self, _call: &Call, id: &str) -> Result<Work, Error> {
        self.switch(id, false)
    }
}

/// What `reconcile` needs of a call's arguments.
#[derive(Deserialize)]
struct Arguments {
    site: Option<String>,
}

impl Operations for Docker {
    fn poll(&self, operation_id: &str, handle: &str) -> Result<Progress, Error> {
        let handle = Handle::parse(handle)?;
        match handle.task {
            Task::Create => {
                create::poll(&self.client, &self.settings, &Names::of_operation(self.namespace(), operation_id), handle)
            }
            Task::Delete => remove::delete(&self.client, handle),
            Task::Start => power::start(&self.client, self.namespace(), handle),
            Task::Stop => power::stop(&self.client, self.namespace(), handle),
        }
    }

    /// A creation is found by its label. The others change nothing before they are pending, so they are looked up by what
    /// they were to bring about, and doing them again does no harm.
    fn reconcile(&self, operation_id: &str, action: &str, args: &str) -> Result<Finding, Error> {
        let site = json::from_str::<Arguments>(args)?.site;
        match (action, site) {
            ("sites.create", _) => {
                let names = Names::of_operation(self.namespace(), operation_id);
                if self.client.world("operation", operation_id)?.is_empty() {
                    return Ok(Finding::Absent);
                }
                Ok(Finding::Found(Handle::new(Task::Create, &names.site).work("making the site")?))
            }
            ("sites.delete", Some(site)) => {
                let gone = self.client.world("site", &site)?.is_empty();
                Ok(if gone { Finding::Found(Completion::of(site).into()) } else { Finding::Absent })
            }
            ("sites.start" | "sites.stop", Some(site)) => {
                let world = self.client.world("site", &site)?;
                // A site that isn't whole is in neither state; the call itself will say so.
                let done = matches!(self.is_already(&world, action == "sites.start"), Ok(true));
                Ok(if done { Finding::Found(Work::done_with(site)) } else { Finding::Absent })
            }
            _ => Ok(Finding::Unknown),
        }
    }

    fn cancel(&self, operation_id: &str, handle: &str) -> Result<(), Error> {
        match Handle::parse(handle)?.task {
            Task::Create => create::cancel(&self.client, &Names::of_operation(self.namespace(), operation_id)),
            Task::Delete | Task::Start | Task::Stop => {
                let only = unsupported("operations.cancel");
                Err(Error { message: "on a Docker Engine only the creation of a site can be canceled".into(), ..only })
            }
        }
    }
}
