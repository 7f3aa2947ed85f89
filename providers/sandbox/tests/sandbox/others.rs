//! Billing, and what the settings do to every call.

use crate::harness::{configure, world};
use portico_sdk::{Billing, ErrorKind, PageRequest, Provider, Recovery, Sites, billing::CheckoutInput, error, testing::Method};
use serde_json::json;

#[test]
fn bills_are_told() {
    let world = world(json!({"seed_sites": 3}));
    assert_eq!(world.sandbox.get_usage().unwrap().sites, Some(3));
    assert_eq!(world.sandbox.get_subscription().unwrap().status, "active");
    let first = world.sandbox.list_invoices(&PageRequest::first(5)).unwrap();
    assert_eq!((first.items.len(), first.next.as_deref()), (5, Some("5")));
    assert_eq!((first.items[0].paid_at, first.items[1].status.as_str()), (None, "paid"));
    let checkout = |plan: &str, url: Option<&str>| {
        let input = CheckoutInput { plan: plan.into(), success_url: url.map(str::to_owned), cancel_url: None };
        world.sandbox.create_checkout(input)
    };
    assert!(checkout("starter", None).unwrap().starts_with("https://"));
    assert_eq!(checkout("gold", None).unwrap_err().field.as_deref(), Some("plan"));
    assert_eq!(checkout("starter", Some("ftp://x")).unwrap_err().field.as_deref(), Some("success_url"));
}

#[test]
fn a_rate_limit_is_kept_by_the_clock() {
    let world = world(json!({"rate_limit": "3/min"}));
    let list = || Sites::list(&world.sandbox, &PageRequest::first(1));
    for _ in 0..3 {
        list().unwrap();
    }
    world.host.advance(15_000);
    let limited = list().unwrap_err();
    assert_eq!((limited.kind, limited.retry_after), (ErrorKind::RateLimited, Some(45)));
    world.host.advance(45_000);
    list().unwrap();
}

#[test]
fn actions_fail_as_the_settings_say() {
    let world = world(json!({"fail": {"sites.list": "unavailable", "wordpress.cache.flush": "timeout"}}));
    assert_eq!(Sites::list(&world.sandbox, &PageRequest::first(1)).unwrap_err().kind, ErrorKind::Unavailable);
    assert_eq!(Sites::get(&world.sandbox, "x").unwrap_err().kind, ErrorKind::NotFound);
    let unknown = configure(json!({"fail": {"sites.fly": "timeout"}})).err().unwrap();
    assert_eq!(unknown.field.as_deref(), Some("fail.sites.fly"));
}

#[test]
fn latency_comes_from_an_address() {
    let world = world(json!({"latency_url": "http://127.0.0.1:1/delay", "seed_sites": 1}));
    // Whatever the status is, its time was taken.
    world.host.on(Method::Get, "/").reply(404, json!({}));
    assert_eq!(world.all(10).len(), 1);
    assert_eq!(world.host.requests()[0].upstream, "latency");
    world.host.on(Method::Get, "/").fail(error::timeout("too late"));
    assert_eq!(Sites::get(&world.sandbox, "seed-00001").unwrap_err().kind, ErrorKind::Timeout);
}

#[test]
fn the_description_and_configuration_fit_together() {
    let description = portico_provider_sandbox::Sandbox::describe();
    let schema: serde_json::Value = serde_json::from_str(&description.settings_schema).unwrap();
    assert_eq!(schema["additionalProperties"], false);
    let (_, configuration) = configure(json!({"features_off": ["billing"]})).unwrap();
    assert!(configuration.features.iter().all(|feature| !feature.starts_with("billing")));
    assert!(configuration.recovery.iter().all(|(_, recovery)| *recovery == Recovery::LookUp));
    for work in ["sites.create", "deployments.commit"] {
        assert!(configuration.recovery.iter().any(|(action, _)| action == work), "{work}");
    }
    for property in ["work_seconds", "seed_sites", "features_off", "fail", "rate_limit", "latency_url", "blob_url"] {
        assert!(schema["properties"][property]["description"].is_string(), "{property}");
    }
}
