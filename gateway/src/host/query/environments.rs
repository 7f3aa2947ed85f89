//! A site's environments, page by page.
//!
//! Invariant: as every list: bounded by the walk.

use super::{Walk, weight};
use crate::{
    host::{
        call::{Running, ask},
        convert,
        limits::Limits,
    },
    model::{Environment, Error},
};

pub(super) async fn list(limits: &Limits, mut running: Running, site: &str) -> Result<Vec<Environment>, Error> {
    let (mut walk, mut environments) = (Walk::new(limits), Vec::new());
    loop {
        let page;
        (running, page) = ask!(running, environments.call_list(site, &walk.request));
        let more = walk.took(page.items.iter().map(|environment| weight(environment.native.as_ref())), page.next)?;
        for environment in page.items {
            environments.push(convert::environment(environment)?);
        }
        if !more {
            running.rest();
            return Ok(environments);
        }
    }
}
