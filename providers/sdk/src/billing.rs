//! What the customer pays: subscription, checkout, invoices, usage.
//!
//! Native ids go in and out; paging, escaping and the connection's prefix are Portico's. Invariant: every default is `unsupported` with the
//! feature's name, so a call that nobody implemented can't look like a success.

pub use crate::wit::billing::{CheckoutInput, Invoice, Money, Subscription, Usage};
use crate::{Error, Page, PageRequest, Provider, error, provider::with_current, wit};

/// What the customer pays: subscription, checkout, invoices, usage. A call that isn't implemented is `unsupported`.
pub trait Billing: Provider {
    fn get_subscription(&self) -> Result<Subscription, Error> {
        Err(error::unsupported("billing.subscription"))
    }

    /// The URL of a page where the customer pays.
    fn create_checkout(&self, input: CheckoutInput) -> Result<String, Error> {
        let _ = (input,);
        Err(error::unsupported("billing.checkout"))
    }

    fn list_invoices(&self, page: &PageRequest) -> Result<Page<Invoice>, Error> {
        let _ = (page,);
        Err(error::unsupported("billing.invoices"))
    }

    fn get_usage(&self) -> Result<Usage, Error> {
        Err(error::unsupported("billing.usage"))
    }
}

impl<P: Billing> wit::billing::Guest for P {
    fn get_subscription() -> Result<Subscription, Error> {
        with_current(|provider: &P| Billing::get_subscription(provider))
    }

    fn create_checkout(input: CheckoutInput) -> Result<String, Error> {
        with_current(|provider: &P| Billing::create_checkout(provider, input))
    }

    fn list_invoices(page: PageRequest) -> Result<wit::billing::InvoicePage, Error> {
        with_current(|provider: &P| Billing::list_invoices(provider, &page))
            .map(|page| wit::billing::InvoicePage { items: page.items, next: page.next })
    }

    fn get_usage() -> Result<Usage, Error> {
        with_current(|provider: &P| Billing::get_usage(provider))
    }
}
