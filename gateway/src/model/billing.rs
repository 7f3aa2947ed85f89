//! What the customer pays at a host: subscription, invoices, usage, and the way to a checkout.
//!
//! Invariant: an amount never goes without its currency, and nothing here adds amounts up; what isn't known is `null`.

use super::{Action, Native, Timestamp};
use serde::Serialize;

/// A reading call about a connection's bill.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BillingQuery {
    Subscription,
    /// Every invoice: the host walks the provider's pages.
    Invoices,
    Usage,
}

impl BillingQuery {
    pub const fn action(self) -> Action {
        match self {
            Self::Subscription => Action::BillingSubscription,
            Self::Invoices => Action::BillingInvoices,
            Self::Usage => Action::BillingUsage,
        }
    }
}

#[derive(Clone, Debug)]
pub enum BillingAnswer {
    Subscription(Subscription),
    Invoices(Vec<Invoice>),
    Usage(Usage),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Money {
    /// Minor units: cents, or whole yen.
    pub amount: i64,
    /// ISO 4217: `EUR`.
    pub currency: String,
}

#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
pub struct Subscription {
    pub plan: String,
    /// In the host's own word, such as `active`.
    pub status: String,
    pub price: Option<Money>,
    /// What the price is for: `month`, `year`.
    pub interval: Option<String>,
    pub renews_at: Option<Timestamp>,
    #[schemars(with = "Option<serde_json::Value>")]
    pub native: Native,
}

#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
pub struct Invoice {
    /// Native id, escaped.
    pub id: String,
    pub number: Option<String>,
    /// In the host's own word, such as `paid`.
    pub status: String,
    pub total: Option<Money>,
    pub issued_at: Option<Timestamp>,
    pub paid_at: Option<Timestamp>,
    /// Where it can be seen.
    pub url: Option<String>,
    #[schemars(with = "Option<serde_json::Value>")]
    pub native: Native,
}

/// What a connection's plan has used up in its present period.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
pub struct Usage {
    pub sites: Option<u64>,
    /// Bytes on disk.
    pub storage: Option<u64>,
    /// Bytes served.
    pub bandwidth: Option<u64>,
    pub visits: Option<u64>,
    pub period: Option<Period>,
    #[schemars(with = "Option<serde_json::Value>")]
    pub native: Native,
}

impl Usage {
    /// Sums of what is known; what no part knows, and a sum that no number can hold, is null. The period is null unless all
    /// agree, and native is that of a part that is alone.
    pub fn sum<'a>(parts: impl Iterator<Item = &'a Self> + Clone) -> Self {
        let add = |of: fn(&Self) -> Option<u64>| {
            let mut known = parts.clone().filter_map(of);
            let first = known.next()?;
            known.try_fold(first, u64::checked_add)
        };
        let mut all = parts.clone();
        let first = all.next();
        let period = first.and_then(|first| first.period);
        let is_alone = all.clone().next().is_none();
        Self {
            sites: add(|part| part.sites),
            storage: add(|part| part.storage),
            bandwidth: add(|part| part.bandwidth),
            visits: add(|part| part.visits),
            period: period.filter(|_| all.all(|part| part.period == period)),
            native: first.filter(|_| is_alone).and_then(|first| first.native.clone()),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Period {
    pub start: Option<Timestamp>,
    pub end: Option<Timestamp>,
}

/// A page where the customer pays is asked for with this.
#[derive(Clone, Debug)]
pub struct CheckoutInput {
    /// The host's own name of a plan, at most 100 bytes.
    pub plan: String,
    /// https address that the page leads to after the payment.
    pub success_url: Option<String>,
    /// https address that the page leads to when the customer gives up.
    pub cancel_url: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usage(sites: Option<u64>, storage: Option<u64>, month: Option<i64>) -> Usage {
        let period = month.map(|month| Period { start: Some(Timestamp::from_millis(month)), end: None });
        let native = serde_json::value::RawValue::from_string("{}".into()).unwrap();
        Usage { sites, storage, bandwidth: None, visits: Some(u64::MAX), period, native: Some(native) }
    }

    #[test]
    fn sums_are_of_what_is_known() {
        let sum = |parts: &[Usage]| {
            let sum = Usage::sum(parts.iter());
            (sum.sites, sum.storage, sum.bandwidth, sum.visits, sum.period.is_some(), sum.native.is_some())
        };
        assert_eq!(sum(&[]), (None, None, None, None, false, false));
        assert_eq!(sum(&[usage(Some(1), None, Some(1))]), (Some(1), None, None, Some(u64::MAX), true, true));
        let (one, other) = (usage(Some(1), None, Some(1)), usage(Some(2), Some(5), Some(1)));
        assert_eq!(sum(&[one.clone(), other]), (Some(3), Some(5), None, None, true, false), "what overflows is not known");
        let (later, never) = (usage(None, None, Some(2)), usage(None, None, None));
        assert!(!sum(&[one.clone(), later]).4, "periods that differ");
        assert!(!sum(&[one, never.clone()]).4, "a period that one doesn't tell");
        assert!(!sum(&[never.clone(), never]).4);
    }
}
