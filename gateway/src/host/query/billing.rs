//! Reading calls about a connection's bill.
//!
//! Invariant: invoices are walked page by page, within the bounds of every list.

use super::{Limits, Running, Walk, ask, weight};
use crate::{
    host::convert,
    model::{BillingAnswer, BillingQuery, Error, Invoice},
};

pub(super) async fn billing(limits: &Limits, running: Running, asked: BillingQuery) -> Result<BillingAnswer, Error> {
    match asked {
        BillingQuery::Subscription => {
            let (running, answer) = ask!(running, billing.call_get_subscription());
            running.rest();
            convert::subscription(answer).map(BillingAnswer::Subscription)
        }
        BillingQuery::Invoices => invoices(limits, running).await.map(BillingAnswer::Invoices),
        BillingQuery::Usage => {
            let (running, answer) = ask!(running, billing.call_get_usage());
            running.rest();
            convert::billing_usage(answer).map(BillingAnswer::Usage)
        }
    }
}

async fn invoices(limits: &Limits, mut running: Running) -> Result<Vec<Invoice>, Error> {
    let (mut walk, mut invoices) = (Walk::new(limits), Vec::new());
    loop {
        let page;
        (running, page) = ask!(running, billing.call_list_invoices(&walk.request));
        let more = walk.took(page.items.iter().map(|invoice| weight(invoice.native.as_ref())), page.next)?;
        for invoice in page.items {
            invoices.push(convert::invoice(invoice)?);
        }
        if !more {
            running.rest();
            return Ok(invoices);
        }
    }
}
