//! Bills: from the contract's records to the model's.
//!
//! Invariant: an amount comes with a currency that ISO 4217 could hold, and an address that customers are sent to is one of the
//! web, so that no provider makes a client open anything else.

use super::{check_id, native, time};
use crate::{
    host::trap::broken,
    model::{CheckoutInput, Error, Invoice, Money, Period, Subscription, Usage, escape},
};
use portico_bindings::exports::portico::provider::billing as guest;

const MAX_URL: usize = 4096;

pub(in crate::host) fn subscription(subscription: guest::Subscription) -> Result<Subscription, Error> {
    Ok(Subscription {
        plan: subscription.plan,
        status: subscription.status,
        price: subscription.price.map(money).transpose()?,
        interval: subscription.interval,
        renews_at: time(subscription.renews_at)?,
        native: native(subscription.native)?,
    })
}

pub(in crate::host) fn invoice(invoice: guest::Invoice) -> Result<Invoice, Error> {
    check_id("invoice", &invoice.id)?;
    Ok(Invoice {
        id: escape(&invoice.id),
        number: invoice.number,
        status: invoice.status,
        total: invoice.total.map(money).transpose()?,
        issued_at: time(invoice.issued_at)?,
        paid_at: time(invoice.paid_at)?,
        url: invoice.url.map(web_address).transpose()?,
        native: native(invoice.native)?,
    })
}

pub(in crate::host) fn billing_usage(usage: guest::Usage) -> Result<Usage, Error> {
    let (start, end) = (time(usage.period_start)?, time(usage.period_end)?);
    Ok(Usage {
        sites: usage.sites,
        storage: usage.storage,
        bandwidth: usage.bandwidth,
        visits: usage.visits,
        period: (start.is_some() || end.is_some()).then_some(Period { start, end }),
        native: native(usage.native)?,
    })
}

pub(in crate::host) fn checkout_input(input: &CheckoutInput) -> guest::CheckoutInput {
    guest::CheckoutInput {
        plan: input.plan.clone(),
        success_url: input.success_url.clone(),
        cancel_url: input.cancel_url.clone(),
    }
}

pub(in crate::host) fn web_address(url: String) -> Result<String, Error> {
    let fits = url.len() <= MAX_URL && url::Url::parse(&url).is_ok_and(|url| matches!(url.scheme(), "https" | "http"));
    if fits { Ok(url) } else { Err(broken(format_args!("an address is no http or https URL of at most {MAX_URL} bytes"))) }
}

fn money(money: guest::Money) -> Result<Money, Error> {
    let fits = money.currency.len() == 3 && money.currency.bytes().all(|byte| byte.is_ascii_uppercase());
    if !fits {
        return Err(broken(format_args!("{:?} is no currency; ISO 4217 has three upper-case letters", money.currency)));
    }
    Ok(Money { amount: money.amount, currency: money.currency })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_amount_needs_a_currency() {
        for (currency, fits) in [("EUR", true), ("eur", false), ("", false), ("EURO", false), ("€", false)] {
            assert_eq!(money(guest::Money { amount: 990, currency: currency.into() }).is_ok(), fits, "{currency}");
        }
    }

    #[test]
    fn customers_are_sent_to_the_web_alone() {
        let long = format!("https://a.example/{}", "x".repeat(MAX_URL));
        for (url, fits) in [
            ("https://pay.example/x?y=1", true),
            ("http://127.0.0.1/pay", true),
            ("javascript:alert(1)", false),
            ("file:///etc/passwd", false),
            ("/pay", false),
            ("", false),
            (long.as_str(), false),
        ] {
            assert_eq!(web_address(url.to_owned()).is_ok(), fits, "{url}");
        }
    }

    #[test]
    fn a_period_that_nobody_knows_is_null() {
        let usage = |start, end| {
            let guest = guest::Usage {
                sites: Some(1),
                storage: None,
                bandwidth: None,
                visits: None,
                period_start: start,
                period_end: end,
                native: None,
            };
            billing_usage(guest).map(|usage| usage.period.is_some())
        };
        assert!(!usage(None, None).unwrap());
        assert!(usage(Some(0), None).unwrap());
        assert!(usage(Some(u64::MAX), None).is_err());
    }
}
