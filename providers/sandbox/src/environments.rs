//! Environments of a site. The first is the one that is meant when none is named.
//!
//! Invariant: an environment is found by id or by its name, which is unique in the site; the last one can't be deleted.

use crate::{
    Sandbox, Takes, check, deployments,
    job::Effect,
    outcomes,
    record::{self, Record, Status},
};
use portico_sdk::{Call, Deployment, Environment, Environments, Error, Page, PageRequest, Work, environments::*, error};

const MAX: usize = 10;

impl Environments for Sandbox {
    fn list(&self, site: &str, page: &PageRequest) -> Result<Page<Environment>, Error> {
        self.enter("environments.list")?;
        let record = self.store.get(site)?;
        Page::slice(record.environments.iter().map(|environment| record.model(environment)).collect(), page)
    }

    fn create(&self, call: &Call, site: &str, input: EnvironmentCreate) -> Result<Work, Error> {
        self.enter("environments.create")?;
        check::name("name", &input.name)?;
        check::php_version(input.php_version.as_deref())?;
        check::wordpress_version(input.wordpress_version.as_deref())?;
        self.store.change(call, site, &|record, now| {
            let outcome = outcomes::of(&input.name, "environment", true).or(outcomes::of(&record.name, "environment", false));
            let mut job = self.job(call, "environments.create", Takes::Work, outcome, now)?;
            let id = Self::id("env", call);
            record.free_environment_name(&input.name, &id)?;
            if record.environments.len() >= MAX {
                return Err(error::quota_exceeded(format!("a site here has {MAX} environments at most")));
            }
            job.target = Some(id.clone());
            job.effect = Effect::Environment { id: id.clone(), status: Status::Running };
            job.undo = Effect::EnvironmentGone { id: id.clone() };
            let environment = made(record, &input, id)?;
            record.environments.push(environment);
            Ok(job)
        })
    }

    fn update(&self, call: &Call, site: &str, id: &str, input: EnvironmentUpdate) -> Result<Work, Error> {
        self.enter("environments.update")?;
        check::php_version(input.php_version.as_deref())?;
        check::wordpress_version(input.wordpress_version.as_deref())?;
        if let Some(name) = &input.name {
            check::name("name", name)?;
        }
        self.store.change(call, site, &|record, now| {
            let id = record.environment_at(id)?.id.clone();
            if let Some(name) = &input.name {
                record.free_environment_name(name, &id)?;
            }
            let mut job =
                self.job(call, "environments.update", Takes::NoTime, outcomes::of(&record.name, "update", false), now)?;
            job.target = Some(id.clone());
            let environment = record.environments.iter_mut().find(|environment| environment.id == id && job.failure.is_none());
            if let Some(environment) = environment {
                environment.name = input.name.clone().unwrap_or_else(|| environment.name.clone());
                environment.php_version = input.php_version.clone().or(environment.php_version.take());
                environment.wordpress_version = input.wordpress_version.clone().or(environment.wordpress_version.take());
            }
            Ok(job)
        })
    }

    fn delete(&self, call: &Call, site: &str, id: &str) -> Result<Work, Error> {
        self.enter("environments.delete")?;
        self.store.change(call, site, &|record, now| {
            let found = record.environment_at(id)?.clone();
            if record.environments.first().is_some_and(|first| first.id == found.id) {
                return Err(error::conflict("the first environment goes with its site"));
            }
            let mut job =
                self.job(call, "environments.delete", Takes::Work, outcomes::of(&found.name, "delete", false), now)?;
            job.target = Some(found.id.clone());
            job.undo = Effect::Environment { id: found.id.clone(), status: found.status };
            job.effect = Effect::EnvironmentGone { id: found.id.clone() };
            Effect::Environment { id: found.id, status: Status::Deleting }.apply(record, now);
            Ok(job)
        })
    }

    fn push(&self, call: &Call, site: &str, id: &str, input: PushInput) -> Result<Work, Error> {
        self.enter("environments.push")?;
        if !input.database && !input.files {
            return Err(error::invalid_input("files", "there is nothing to push: choose database, files or both"));
        }
        self.store.change(call, site, &|record, now| {
            let from = record.environment_at(id)?.id.clone();
            let to = record.environment("target", Some(&input.target))?.id.clone();
            if from == to {
                return Err(error::invalid_input("target", "an environment can't be pushed to itself"));
            }
            let mut job = self.job(call, "environments.push", Takes::Work, outcomes::of(&record.name, "push", false), now)?;
            job.target = Some(to.clone());
            job.effect = Effect::Pushed { from, to };
            Ok(job)
        })
    }

    fn current(&self, site: &str, id: &str) -> Result<Option<Deployment>, Error> {
        self.enter("environments.current")?;
        let record = self.store.get(site)?;
        let current = record.environment_at(id)?.released.last();
        let deployment = current.and_then(|id| record.deployments.iter().find(|deployment| deployment.id == *id));
        Ok(deployment.map(|deployment| deployments::model(&record, deployment, true)))
    }
}

fn made(record: &Record, input: &EnvironmentCreate, id: String) -> Result<record::Environment, Error> {
    let source = match &input.source {
        Some(source) => Some(record.environment("source", Some(source))?),
        None => None,
    };
    let like = source.or(record.environments.first());
    Ok(record::Environment {
        id,
        name: input.name.clone(),
        kind: input.kind.into(),
        status: Status::Provisioning,
        php_version: input.php_version.clone().or_else(|| like?.php_version.clone()),
        wordpress_version: input.wordpress_version.clone().or_else(|| like?.wordpress_version.clone()),
        released: Vec::new(),
        wordpress: source.and_then(|source| source.wordpress.clone()),
    })
}

impl Record {
    /// By id or name; the first when none is named. Not finding it is about the input's `field`.
    pub fn environment(&self, field: &str, wanted: Option<&str>) -> Result<&record::Environment, Error> {
        let Some(wanted) = wanted else {
            return self.environments.first().ok_or_else(|| error::internal("this site lost its environments"));
        };
        let found = self.environment_at(wanted);
        let text = || format!("this site has no environment {wanted}: take an id or a name from GET …/environments");
        found.map_err(|_| error::invalid_input(field, text()))
    }

    /// By id or name, as the resource that a call is about.
    pub fn environment_at(&self, wanted: &str) -> Result<&record::Environment, Error> {
        let mut all = self.environments.iter();
        let found = all.find(|environment| environment.id == wanted || environment.name == wanted);
        found.ok_or_else(|| error::not_found("there is no such environment"))
    }

    fn free_environment_name(&self, name: &str, own: &str) -> Result<(), Error> {
        let taken = |other: &record::Environment| other.id != own && (other.name == name || other.id == name);
        if self.environments.iter().any(taken) {
            return Err(error::conflict("another environment of this site has this name").with_field("name"));
        }
        Ok(())
    }

    /// An environment in the contract's model.
    pub fn model(&self, environment: &record::Environment) -> Environment {
        let domain = self.primary_domain(&environment.id);
        // A site that doesn't run has no environment that does.
        let status = if environment.status == Status::Running { self.status } else { environment.status };
        Environment {
            id: environment.id.clone(),
            name: environment.name.clone(),
            kind: environment.kind.into(),
            status: status.into(),
            url: domain.map(|domain| format!("https://{domain}")),
            primary_domain: domain.map(str::to_owned),
            php_version: environment.php_version.clone(),
            wordpress_version: environment.wordpress_version.clone(),
            native: None,
        }
    }
}
