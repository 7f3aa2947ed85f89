//! Billing answers to Portico's model.
//!
//! Pure. SiteICO sells through Stripe, so amounts are read as Stripe writes them: minor units with a currency. Invariant: an amount
//! without a currency is none.

use super::{
    native_of,
    read::{moment, number, text},
};
use portico_sdk::{
    Error,
    billing::{Invoice, Money, Subscription, Usage},
    error::internal,
};
use serde_json::Value;

fn money(value: &Value, names: &[&str]) -> Option<Money> {
    let amount = names.iter().find_map(|name| value.get(name)?.as_i64())?;
    let currency = text(value, &["currency"])?.to_ascii_uppercase();
    let is_code = currency.len() == 3 && currency.bytes().all(|byte| byte.is_ascii_uppercase());
    is_code.then_some(Money { amount, currency })
}

pub fn subscription(value: &Value) -> Result<Subscription, Error> {
    let plan = text(value, &["plan", "planName", "plan_name", "planId", "plan_id", "tier"])
        .or_else(|| text(value.get("plan")?, &["name", "id"]));
    let plan = plan.ok_or_else(|| internal("SiteICO told a subscription without a plan"))?;
    Ok(Subscription {
        plan,
        status: text(value, &["status", "state"]).unwrap_or_else(|| "unknown".to_owned()),
        price: money(value, &["amount", "price", "priceCents", "price_cents", "unitAmount", "unit_amount"]),
        interval: text(value, &["interval", "billingInterval", "billing_interval"]),
        renews_at: moment(value, &["renewsAt", "renews_at", "currentPeriodEnd", "current_period_end"]),
        native: native_of(value),
    })
}

pub fn invoice(value: &Value) -> Result<Invoice, Error> {
    let id = text(value, &["id", "number"]).filter(|id| id.len() <= 512);
    Ok(Invoice {
        id: id.ok_or_else(|| internal("SiteICO told an invoice without an id"))?,
        number: text(value, &["number", "invoiceNumber", "invoice_number"]),
        status: text(value, &["status", "state"]).unwrap_or_else(|| "unknown".to_owned()),
        total: money(value, &["total", "amount", "amountDue", "amount_due", "amountPaid", "amount_paid"]),
        issued_at: moment(value, &["issuedAt", "issued_at", "createdAt", "created_at", "created", "date"]),
        paid_at: moment(value, &["paidAt", "paid_at"]),
        url: text(value, &["url", "hostedInvoiceUrl", "hosted_invoice_url", "pdf", "invoicePdf", "invoice_pdf"]),
        native: native_of(value),
    })
}

/// A number, or an object that says what is `used`. Sizes are bytes.
fn used(value: &Value, names: &[&str]) -> Option<u64> {
    number(value, names)
        .or_else(|| names.iter().find_map(|name| number(value.get(name)?, &["used", "current", "value", "count"])))
}

pub fn usage(value: &Value) -> Result<Usage, Error> {
    if !value.is_object() {
        return Err(internal("SiteICO told no usage"));
    }
    Ok(Usage {
        sites: used(value, &["sites", "siteCount", "site_count"]),
        storage: used(value, &["storage", "storageBytes", "storage_bytes"]),
        bandwidth: used(value, &["bandwidth", "bandwidthBytes", "bandwidth_bytes"]),
        visits: used(value, &["visits"]),
        period_start: moment(value, &["periodStart", "period_start"]),
        period_end: moment(value, &["periodEnd", "period_end"]),
        native: native_of(value),
    })
}

/// Where the customer pays.
pub fn checkout(value: &Value) -> Result<String, Error> {
    let url = text(value, &["url", "checkoutUrl", "checkout_url", "sessionUrl", "session_url"]);
    url.filter(|url| url.starts_with("https://")).ok_or_else(|| internal("SiteICO told no address to pay at"))
}
