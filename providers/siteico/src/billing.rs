//! What the account pays and uses.
//!
//! Invariant: a checkout is made by a POST and paid for at Stripe; nothing here costs anything by itself.

use crate::{PANEL, SiteIco, convert};
use portico_sdk::{
    Billing, Error, Page, PageRequest,
    billing::{CheckoutInput, Invoice, Subscription, Usage},
};
use serde_json::{Map, Value};

fn read(what: &str) -> Result<Value, Error> {
    PANEL.get(["api", "billing", what]).json()
}

impl Billing for SiteIco {
    fn get_subscription(&self) -> Result<Subscription, Error> {
        convert::subscription(&convert::object(read("subscription")?, "subscription"))
    }

    fn create_checkout(&self, input: CheckoutInput) -> Result<String, Error> {
        let fields = [("plan", Some(input.plan)), ("successUrl", input.success_url), ("cancelUrl", input.cancel_url)];
        let given = fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), Value::from(value?))));
        let body: Map<String, Value> = given.collect();
        let answer = PANEL.post(["api", "billing", "checkout"]).json_body(&body).json()?;
        convert::checkout(&convert::object(answer, "session"))
    }

    fn list_invoices(&self, page: &PageRequest) -> Result<Page<Invoice>, Error> {
        let invoices = convert::items(read("invoices")?, "invoice")?;
        let invoices = invoices.iter().map(convert::invoice).collect::<Result<_, _>>()?;
        Ok(Page::by_id(invoices, page, |invoice| &invoice.id))
    }

    fn get_usage(&self) -> Result<Usage, Error> {
        convert::usage(&convert::object(read("usage")?, "usage"))
    }
}
