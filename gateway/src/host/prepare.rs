//! Calls that may send changing requests upstream and yet are no operations.
//!
//! In go a connection and an input; out comes what was prepared. Invariant: only a call whose repetition does no harm is here.
//! A checkout is a page that nobody knows but who asked for it: nothing is bought before the customer pays there, and one that
//! is never opened ends by itself. So there is nothing to remember over a crash, and no intent that would have to be recorded.
//! What changes something that anybody can see is a mutation, and goes through `operations`.

use super::{
    CallContext, Configured, Host,
    call::{Running, ask},
    convert,
    meter::Asked,
};
use crate::{
    egress::Intent,
    model::{Action, CheckoutInput, Error},
};
use async_trait::async_trait;
use std::sync::Arc;

/// Leave to send without a record.
pub(super) struct Unrecorded;

#[async_trait]
impl Intent for Unrecorded {
    async fn sent(&self, _digest: [u8; 32]) -> Result<(), Error> {
        Ok(())
    }
}

/// The address of a page where the customer pays.
pub(super) async fn checkout(
    host: &Arc<Host>,
    on: &Arc<Configured>,
    input: &CheckoutInput,
    context: &CallContext,
) -> Result<String, Error> {
    let running = Running::start(host, on, Asked::Action(Action::BillingCheckout), context).await?;
    let running = running.with_intent(Arc::new(Unrecorded));
    let (running, url) = ask!(running, billing.call_create_checkout(&convert::checkout_input(input)));
    running.rest();
    convert::web_address(url)
}
