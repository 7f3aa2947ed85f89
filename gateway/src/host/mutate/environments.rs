//! Inputs of changing calls on environments, from the model's to the contract's.
//!
//! Invariant: every field goes over; nothing is decided here.

use crate::{
    host::convert,
    model::{EnvironmentCreate, EnvironmentUpdate, PushInput},
};
use portico_bindings::exports::portico::provider::environments;

pub(super) fn create(input: &EnvironmentCreate) -> environments::EnvironmentCreate {
    environments::EnvironmentCreate {
        name: input.name.clone(),
        kind: convert::environment_kind(input.kind),
        source: input.source.clone(),
        php_version: input.php_version.clone(),
        wordpress_version: input.wordpress_version.clone(),
        options: input.options.get().to_owned(),
    }
}

pub(super) fn update(input: &EnvironmentUpdate) -> environments::EnvironmentUpdate {
    environments::EnvironmentUpdate {
        name: input.name.clone(),
        php_version: input.php_version.clone(),
        wordpress_version: input.wordpress_version.clone(),
    }
}

pub(super) fn push(input: &PushInput) -> environments::PushInput {
    environments::PushInput {
        target: input.target.clone(),
        database: input.database,
        files: input.files,
        search_replace: input.search_replace,
    }
}
