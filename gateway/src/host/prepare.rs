//! Preparing calls: they may send a POST, and belong to no operation.
//!
//! In goes a preparation of the model; out comes what it made. Invariant: what a call here makes is seen by
//! nobody but who asked, and goes away by itself, so nothing has to be remembered of it.

use super::{
    CallContext, Configured, Host,
    call::{Running, ask},
    convert,
    meter::Asked,
};
use crate::model::{Error, Preparation, Prepared};
use std::sync::Arc;

pub(super) async fn prepare(
    host: &Arc<Host>,
    on: &Arc<Configured>,
    preparation: &Preparation,
    context: &CallContext,
) -> Result<Prepared, Error> {
    let running = Running::start(host, on, Asked::Action(preparation.action()), context).await?;
    match preparation {
        Preparation::DeploymentsPlan { site, input } => {
            let (running, answer) = ask!(running, deployments.call_plan(site, &convert::plan_input(input)));
            running.rest();
            convert::plan(&on.scope, site, input, answer).map(Prepared::Plan)
        }
        Preparation::BillingCheckout { input } => {
            let (running, url) = ask!(running, billing.call_create_checkout(&convert::checkout_input(input)));
            running.rest();
            convert::web_address(url).map(Prepared::Checkout)
        }
    }
}
