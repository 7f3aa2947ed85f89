//! A bill that is always the same, and the sum of the sites' usage.
//!
//! Invariant: nothing here costs anything; amounts are in USD cents.

use crate::{Sandbox, check, sites};
use portico_sdk::{Billing, Error, Page, PageRequest, billing::*, clock, error};

const PLANS: &[(&str, i64)] = &[("starter", 900), ("agency", 9900)];
const MONTH: u64 = 30 * 86_400_000;
const INVOICES: u64 = 12;

fn money(amount: i64) -> Option<Money> {
    Some(Money { amount, currency: "USD".to_owned() })
}

impl Billing for Sandbox {
    fn get_subscription(&self) -> Result<Subscription, Error> {
        self.enter("billing.subscription")?;
        let (plan, price) = PLANS[1];
        Ok(Subscription {
            plan: plan.to_owned(),
            status: "active".to_owned(),
            price: money(price),
            interval: Some("month".to_owned()),
            renews_at: Some((clock::now() / MONTH + 1) * MONTH),
            native: None,
        })
    }

    fn create_checkout(&self, input: CheckoutInput) -> Result<String, Error> {
        self.enter("billing.checkout")?;
        if !PLANS.iter().any(|(plan, _)| *plan == input.plan) {
            let plans: Vec<&str> = PLANS.iter().map(|(plan, _)| *plan).collect();
            return Err(error::invalid_input(
                "plan",
                format!("there is no plan {}; take one of {}", input.plan, plans.join(", ")),
            ));
        }
        for (field, url) in [("success_url", &input.success_url), ("cancel_url", &input.cancel_url)] {
            if let Some(url) = url {
                check::https(field, url)?;
            }
        }
        Ok(format!("https://sandbox.invalid/checkout/{}", input.plan))
    }

    fn list_invoices(&self, page: &PageRequest) -> Result<Page<Invoice>, Error> {
        self.enter("billing.invoices")?;
        let this_month = clock::now() / MONTH;
        let invoice = |back: u64| {
            let month = this_month.saturating_sub(back);
            let paid = back > 0;
            Invoice {
                id: format!("invoice-{month}"),
                number: Some(format!("S-{month:05}")),
                status: if paid { "paid" } else { "open" }.to_owned(),
                total: money(PLANS[1].1),
                issued_at: Some(month * MONTH),
                paid_at: paid.then_some(month * MONTH + 86_400_000),
                url: None,
                native: None,
            }
        };
        Page::slice((0..INVOICES).map(invoice).collect(), page)
    }

    fn get_usage(&self) -> Result<Usage, Error> {
        self.enter("billing.usage")?;
        let mut usage = (0, 0, 0, 0);
        for record in self.all_sites()? {
            let of_it = sites::usage(&record);
            usage.0 += 1;
            usage.1 += of_it.storage.unwrap_or(0);
            usage.2 += of_it.bandwidth.unwrap_or(0);
            usage.3 += of_it.visits.unwrap_or(0);
        }
        let start = clock::now() / MONTH * MONTH;
        Ok(Usage {
            sites: Some(usage.0),
            storage: Some(usage.1),
            bandwidth: Some(usage.2),
            visits: Some(usage.3),
            period_start: Some(start),
            period_end: Some(start + MONTH),
            native: None,
        })
    }
}
