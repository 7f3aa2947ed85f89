//! Inputs of changing calls on deployments, from the model's to the contract's.
//!
//! Invariant: every field goes over; nothing is decided here.

use crate::model::{DeploymentCreate, DeploymentSource};
use portico_bindings::{exports::portico::provider::deployments, portico::provider::types};

pub(super) fn create(input: &DeploymentCreate) -> deployments::DeploymentCreate {
    deployments::DeploymentCreate {
        environment: input.environment.clone(),
        source: source(&input.source),
        message: input.message.clone(),
    }
}

fn source(source: &DeploymentSource) -> types::DeploymentSource {
    match source {
        DeploymentSource::Git { repository, branch, commit } => types::DeploymentSource::Git(types::GitSource {
            repository: repository.clone(),
            branch: branch.clone(),
            commit: commit.clone(),
        }),
        DeploymentSource::Zip { zip_url } => types::DeploymentSource::Zip(zip_url.clone()),
    }
}
