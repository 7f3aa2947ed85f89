//! Bills: the plan, its invoices, a checkout, and what is used.

use super::run::{Run, text};
use http::Method;
use serde_json::json;
use std::collections::BTreeSet;

pub async fn billing(run: &Run) {
    let of = |what: &str| format!("/billing/{what}?connection={}", run.place.connection);
    if run.can("billing.subscription") {
        let subscription = run.read(&of("subscription")).await;
        assert!(!text(&subscription["plan"]).is_empty() && subscription["status"] == "active", "{subscription}");
        run.pass("billing.subscription");
    }
    if run.can("billing.invoices") {
        let invoices = run.walk(&of("invoices"), 2).await;
        let ids: BTreeSet<&str> = invoices.iter().map(|invoice| text(&invoice["id"])).collect();
        assert!(ids.len() > 2 && ids.len() == invoices.len(), "{invoices:?}");
        assert!(invoices.iter().all(|invoice| invoice["total"]["amount"].is_i64()), "{invoices:?}");
        run.pass("billing.invoices");
    }
    if run.can("billing.usage") {
        let usage = run.read(&of("usage")).await;
        let told = ["sites", "storage", "bandwidth", "visits"].iter().filter(|name| usage[**name].is_u64()).count();
        assert!(told > 0 && usage["connections"] == json!([run.place.connection]), "{usage}");
        run.pass("billing.usage");
    }
    if run.can("billing.checkout") {
        let body = json!({
            "connection": run.place.connection, "plan": run.place.hint("billing.checkout"),
            "success_url": "https://agency.example/paid", "cancel_url": "https://agency.example/",
        });
        let checkout = run.send(Method::POST, "/billing/checkout", &body).await;
        assert!(checkout.status.is_success(), "{}", checkout.text());
        assert!(text(&checkout.json()["url"]).starts_with("https://"), "{}", checkout.text());
        run.pass("billing.checkout");
    }
}
