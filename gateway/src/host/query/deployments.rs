//! A site's deployments, page by page.
//!
//! Invariant: a list tells no logs, whatever the provider put there: a megabyte for each would be too much.

use super::{Walk, weight};
use crate::{
    host::{
        call::{Running, ask},
        convert,
        limits::Limits,
    },
    model::{Deployment, Error},
};
use portico_bindings::portico::provider::types;

pub(super) async fn list(
    limits: &Limits,
    mut running: Running,
    scope: &convert::Scope,
    site: &str,
    environment: Option<&str>,
) -> Result<Vec<Deployment>, Error> {
    let (mut walk, mut deployments) = (Walk::new(limits), Vec::new());
    loop {
        let page;
        (running, page) = ask!(running, deployments.call_list(site, environment, &walk.request));
        let more = walk.took(page.items.iter().map(|deployment| weight(deployment.native.as_ref())), page.next)?;
        for deployment in page.items {
            deployments.push(convert::deployment(scope, site, types::Deployment { logs: None, ..deployment })?);
        }
        if !more {
            running.rest();
            return Ok(deployments);
        }
    }
}
