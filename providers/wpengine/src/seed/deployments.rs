//! Deployments of a site, from git or a zip that WP Engine fetches.
//!
//! Invariant: a deployment is asked for only after those like it were noted, since nothing of an operation can be attached to it.

use super::{
    Seed,
    client::{self, API, NEWEST_FIRST},
    convert,
    handle::Task,
    trace::{self, New},
    types::Started,
};
use portico_sdk::{
    Call, Deployment, DeploymentSource, Deployments, Error, Page, PageRequest, Work,
    deployments::DeploymentCreate,
    error::{conflict, invalid_input, unsupported},
};
use serde_json::{Value, json};

impl Deployments for Seed {
    /// Of one environment, a page holds those of its items that are of it.
    fn list(&self, site: &str, environment: Option<&str>, page: &PageRequest) -> Result<Page<Deployment>, Error> {
        let mut page = client::model_page(&["sites", site, "deployments"], NEWEST_FIRST, page, |value| {
            // A list has no logs, whatever the upstream says.
            convert::deployment(value).map(|deployment| Deployment { logs: None, ..deployment })
        })?;
        if let Some(environment) = environment {
            page.items.retain(|deployment| deployment.environment.as_deref() == Some(environment));
        }
        Ok(page)
    }

    fn get(&self, site: &str, id: &str) -> Result<Deployment, Error> {
        convert::deployment(API.get(["sites", site, "deployments", id]).json()?)
    }

    fn create(&self, call: &Call, site: &str, input: DeploymentCreate) -> Result<Work, Error> {
        if input.message.is_some() {
            return Err(unsupported("deployments.create.message"));
        }
        let environment = input.environment.as_deref().unwrap_or("production");
        let source = source(&input.source)?;
        match trace::begin(&call.operation_id, alike(site, environment, &source)?)? {
            New::Nothing => {}
            New::One(deployment) => return super::going_on(Task::Deployment { site: site.to_owned(), deployment }),
            New::Several => return Err(conflict("several deployments like this one were made at WP Engine meanwhile")),
        }
        let body = json!({"environment": environment, "source": source});
        let started: Started =
            trace::sent(&call.operation_id, API.post(["sites", site, "deployments"]).json_body(&body).json())?;
        super::started(&started, Task::Deployment { site: site.to_owned(), deployment: started.id.clone() })
    }
}

/// Ids of the newest deployments to this environment from this source.
pub fn alike(site: &str, environment: &str, source: &Value) -> Result<Vec<String>, Error> {
    let page = client::model_page(&["sites", site, "deployments"], NEWEST_FIRST, &PageRequest::first(100), Ok)?;
    let same = |deployment: &&Value| {
        let is_like = |field: &&str| deployment["source"][*field] == source[*field];
        deployment["environment"] == environment && ["type", "repository", "branch", "zip_url"].iter().all(is_like)
    };
    Ok(page.items.iter().filter(same).filter_map(|deployment| deployment["id"].as_str()).map(str::to_owned).collect())
}

fn source(source: &DeploymentSource) -> Result<Value, Error> {
    match source {
        DeploymentSource::Git(git) => {
            let missing = || invalid_input("source.branch", "WP Engine needs the branch");
            let branch = git.branch.as_ref().ok_or_else(missing)?;
            let mut body = json!({"type": "git", "repository": git.repository, "branch": branch});
            if let Some(commit) = &git.commit {
                body["commit"] = json!(commit);
            }
            Ok(body)
        }
        DeploymentSource::Zip(url) => Ok(json!({"type": "zip", "zip_url": url})),
        DeploymentSource::Files => Err(unsupported("deployments.plan")),
    }
}
