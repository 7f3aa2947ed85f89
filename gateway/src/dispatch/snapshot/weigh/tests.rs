//! Things whose every string is long: each of its characters is to be in the weight.

use super::*;
use crate::model::WordpressQuery;
use serde_json::{Value, json};

/// As many as no estimate adds by itself.
fn long() -> String {
    "X".repeat(10_000)
}

fn sent(thing: &impl serde::Serialize) -> usize {
    serde_json::to_string(thing).unwrap().matches('X').count()
}

fn native() -> Option<Box<RawValue>> {
    Some(serde_json::value::to_raw_value(&long()).unwrap())
}

fn environment() -> Value {
    let x = long();
    json!({"id": x, "name": x, "kind": "staging", "status": "running", "url": x, "primary_domain": x, "php_version": x,
        "wordpress_version": x, "native": x})
}

fn site() -> Site {
    let x = long();
    let text = json!({"id": x, "connection": "c", "provider": "p", "name": x, "slug": x, "kind": "plain", "status": "running",
        "url": x, "wordpress_version": x, "php_version": x, "environments": [environment(), environment()], "usage": null,
        "labels": {}, "created_at": null, "updated_at": null, "native": x});
    serde_json::from_str(&text.to_string()).unwrap()
}

fn check(thing: &impl serde::Serialize, strings: usize, of: Answer) {
    let sent = sent(thing);
    assert_eq!(sent, strings * 10_000, "a string is missing in the test");
    let weight = usize::try_from(answer(&of)).unwrap();
    assert!(weight >= sent, "{weight} of {sent}: {}", &format!("{of:?}")[..30]);
}

fn read<T: serde::de::DeserializeOwned>(value: &Value) -> T {
    serde_json::from_str(&value.to_string()).unwrap()
}

#[test]
fn every_string_of_a_site_counts_and_twice_where_it_is_kept_as_it_was_written() {
    check(&site(), 7 + 2 * 7, Answer::Sites(vec![site()]));
    check(&[site(), site()], 2 * 21, Answer::Site(site()));
    check(&[environment()], 7, Answer::Environments(vec![read(&environment())]));
    let line = LogLine { at: None, source: long(), text: long() };
    check(&line.clone(), 2, Answer::SiteLogs(vec![line]));
}

#[test]
fn every_string_of_what_a_site_has_counts() {
    let x = long();
    let deployment: Deployment = read(&json!({"id": x, "site": x, "environment": x, "source": {"type": "git", "repository": x,
        "branch": x, "commit": x, "zip_url": x}, "status": "failed", "message": x, "changes": null, "logs": x, "url": x,
        "created_at": null, "completed_at": null, "native": x}));
    check(&deployment, 11, Answer::Deployments(vec![deployment.clone()]));
    check(&deployment, 11, Answer::Current(Some(deployment.clone())));
    check(&deployment, 11, Answer::Deployment(deployment.clone()));
    let backup: Backup = read(&json!({"id": x, "site": x, "environment": x, "kind": "full", "status": "completed",
        "description": x, "size": null, "contents": {"database": true, "files": true, "plugins": true, "themes": true},
        "created_at": null, "completed_at": null, "native": x}));
    check(&backup, 5, Answer::Backups(vec![backup.clone()]));
    check(&backup, 5, Answer::Backup(backup.clone()));
    let record = json!({"type": x, "name": x, "value": x});
    let domain: Domain = read(&json!({"id": x, "name": x, "site": x, "environment": x, "primary": true, "status": "active",
        "verification": [record, record], "certificate": {"issuer": x, "expires_at": null, "status": x}, "native": x}));
    check(&domain, 5 + 2 * 3 + 2, Answer::Domains(vec![domain.clone()]));
}

#[test]
fn every_string_of_the_toolkit_counts() {
    let db = WordpressDatabase { name: long(), user: long(), host: long(), table_prefix: long() };
    let status = WordpressAnswer::Status(WordpressStatus {
        version: Some(long()),
        site_title: Some(long()),
        admin_url: Some(long()),
        path: Some(long()),
        wp_cli_available: None,
        db: Some(db),
        debug: None,
        multisite: None,
        maintenance: None,
        updates: Some(WordpressUpdates { core: Some(long()), plugins: 0, themes: 0 }),
        native: native(),
    });
    let (version, update) = (Some(long()), Some(long()));
    let extension = Extension { id: long(), name: long(), version, active: true, update, native: native() };
    let cache = WordpressCache { enabled: true, kinds: vec![long(), long()], native: native() };
    let native = native();
    let security = WordpressSecurity { file_edit: None, file_protection: None, hide_login: None, debug: None, native };
    for (told, strings) in [
        (status, 10),
        (WordpressAnswer::Extensions(vec![extension.clone(), extension]), 10),
        (WordpressAnswer::Cache(cache), 3),
        (WordpressAnswer::Security(security), 1),
    ] {
        check(&told.clone(), strings, Answer::Wordpress(told));
    }
}

#[test]
fn every_string_of_a_bill_counts() {
    let money = || Some(Money { amount: 1, currency: long() });
    let (plan, status, interval) = (long(), long(), Some(long()));
    let subscription = Subscription { plan, status, price: money(), interval, renews_at: None, native: native() };
    let twice = [subscription.clone(), subscription.clone()];
    check(&twice, 2 * 5, Answer::Billing(BillingAnswer::Subscription(subscription)));
    let (id, number, status, url) = (long(), Some(long()), long(), Some(long()));
    let invoice = Invoice { id, number, status, total: money(), issued_at: None, paid_at: None, url, native: native() };
    check(&invoice, 6, Answer::Billing(BillingAnswer::Invoices(vec![invoice.clone()])));
    let usage = Usage { sites: None, storage: None, bandwidth: None, visits: None, period: None, native: native() };
    check(&usage, 1, Answer::Billing(BillingAnswer::Usage(usage.clone())));
}

#[test]
fn every_string_of_a_question_and_of_a_failure_counts() {
    let (site, environment) = (long(), Some(long()));
    let target = WordpressTarget { site: site.clone(), environment: environment.clone() };
    for (query, strings) in [
        (Query::SitesList, 0),
        (Query::SitesGet { site: site.clone() }, 1),
        (Query::SitesLogs { site: site.clone(), environment: environment.clone(), source: Some(long()), lines: 1 }, 3),
        (Query::EnvironmentsCurrent { site: site.clone(), environment: long() }, 2),
        (Query::DeploymentsGet { site: site.clone(), deployment: long() }, 2),
        (Query::BackupsGet { site: site.clone(), backup: long() }, 2),
        (Query::DomainsList { site, environment }, 2),
        (Query::Wordpress { target, asked: WordpressQuery::Status }, 2),
    ] {
        assert_eq!(question(&query), strings * 10_000, "{:?}", query.action());
    }
    let error = Error::new(crate::model::Kind::NotFound, long()).with_code(long()).with_field(long()).with_internal(long());
    assert_eq!(failure(&error.at(&long(), &long())), 60_000);
}
