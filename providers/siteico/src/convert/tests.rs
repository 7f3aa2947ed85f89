//! Tables of what may come. No body is documented, so these are the shapes that we assume.

use super::*;
use serde_json::json;

const DAY: u64 = 1_704_067_200_000;

#[test]
fn sites_in_both_spellings() {
    for (value, expected) in [
        (json!({"id": 7, "name": "Shop"}), ("7", "Shop", SiteStatus::Unknown, None, None)),
        (
            json!({"id": "s1", "name": "Shop", "status": "Running", "domain": "shop.example", "createdAt": "2024-01-01T00:00:00Z"}),
            ("s1", "Shop", SiteStatus::Running, Some("https://shop.example"), Some(DAY)),
        ),
        (
            json!({"_id": "s2", "site_name": "B", "state": "creating", "url": "https://b.example", "created_at": 1_704_067_200}),
            ("s2", "B", SiteStatus::Provisioning, Some("https://b.example"), Some(DAY)),
        ),
        (json!({"id": "s3", "status": "dreaming", "created": DAY}), ("s3", "s3", SiteStatus::Unknown, None, Some(DAY))),
    ] {
        let site = site(&value).unwrap();
        let got = (site.id.as_str(), site.name.as_str(), site.status, site.url.as_deref(), site.created_at);
        assert_eq!(got, expected, "{value}");
        assert_eq!(site.environments.len(), 1);
    }
    for value in [json!({}), json!({"id": null}), json!([]), json!("s1"), json!({"id": 1.5}), json!({"id": "x".repeat(600)})] {
        assert!(site(&value).is_err(), "{value}");
    }
}

#[test]
fn what_is_secret_stays_out_of_native() {
    let value = json!({"id": 1, "owner": "a@example.com", "adminPassword": "p", "db": {"db_password": "q", "name": "wp"}});
    let native = site(&value).unwrap().native.unwrap();
    assert!(native.contains("a@example.com") && native.contains("\"wp\""), "{native}");
    assert!(!native.contains("\"p\"") && !native.contains("\"q\""), "{native}");
}

#[test]
fn words_of_a_site() {
    for (word, status) in [
        ("ACTIVE", SiteStatus::Running),
        ("stopped", SiteStatus::Stopped),
        ("stopping", SiteStatus::Running),
        ("cloning", SiteStatus::Provisioning),
        ("suspended", SiteStatus::Suspended),
        ("deleting", SiteStatus::Deleting),
        ("failed", SiteStatus::Error),
        ("", SiteStatus::Unknown),
    ] {
        assert_eq!(site_status(word), status, "{word}");
    }
}

#[test]
fn backups_and_their_states() {
    for (value, status, kind) in [
        (json!({"id": "b"}), BackupStatus::Completed, BackupKind::Full),
        (json!({"id": "b", "status": "in_progress", "type": "db"}), BackupStatus::Running, BackupKind::Database),
        (json!({"id": "b", "status": "queued", "type": "files"}), BackupStatus::Pending, BackupKind::Files),
        (json!({"id": "b", "state": "failed"}), BackupStatus::Failed, BackupKind::Full),
        (json!({"id": "b", "status": "done"}), BackupStatus::Completed, BackupKind::Full),
    ] {
        let backup = backup(&value).unwrap();
        assert_eq!((backup.status, backup.kind), (status, kind), "{value}");
    }
    let full = backup(&json!({"id": 3, "size": "1024", "created_at": "2024-01-01T00:00:00Z", "name": "nightly"})).unwrap();
    assert_eq!((full.id.as_str(), full.size, full.created_at), ("3", Some(1024), Some(DAY)));
    assert_eq!(full.description.as_deref(), Some("nightly"));
}

#[test]
fn domains_as_names_and_as_objects() {
    for (value, name, primary, status) in [
        (json!("Shop.Example."), "shop.example", false, DomainStatus::Active),
        (json!({"domain": "a.example", "isPrimary": true}), "a.example", true, DomainStatus::Active),
        (json!({"name": "b.example", "verified": false}), "b.example", false, DomainStatus::PendingVerification),
        (json!({"name": "c.example", "status": "failed"}), "c.example", false, DomainStatus::Error),
    ] {
        let domain = domain(&value).unwrap();
        assert_eq!((domain.name.as_str(), domain.primary, domain.status), (name, primary, status));
    }
    assert!(domain(&json!({})).is_err() && domain(&json!("")).is_err());
}

#[test]
fn money_needs_a_currency() {
    for (value, amount) in [
        (json!({"plan": "pro", "amount": 1900, "currency": "usd"}), Some((1900, "USD"))),
        (json!({"plan": "pro", "amount": 1900}), None),
        (json!({"plan": {"name": "pro"}, "price": 19.5, "currency": "USD"}), None),
        (json!({"planName": "pro", "price": 5, "currency": "dollars"}), None),
    ] {
        let told = subscription(&value).unwrap();
        assert_eq!(told.plan, "pro");
        assert_eq!(told.price.as_ref().map(|money| (money.amount, money.currency.as_str())), amount, "{value}");
    }
    let invoice =
        invoice(&json!({"id": "in_1", "status": "paid", "total": 500, "currency": "eur", "paidAt": 1_704_067_200})).unwrap();
    assert_eq!((invoice.status.as_str(), invoice.paid_at), ("paid", Some(DAY)));
    assert!(subscription(&json!({})).is_err());
}

#[test]
fn usage_plain_or_with_limits() {
    let plain = usage(&json!({"sites": 2, "storage": 1000, "bandwidth": 5})).unwrap();
    let limited =
        usage(&json!({"sites": {"used": 2, "limit": 5}, "storage": {"used": 1000}, "bandwidth": {"current": 5}})).unwrap();
    for usage in [plain, limited] {
        assert_eq!((usage.sites, usage.storage, usage.bandwidth, usage.visits), (Some(2), Some(1000), Some(5), None));
    }
    assert!(usage(&json!([])).is_err());
}

#[test]
fn a_checkout_is_an_https_address() {
    assert_eq!(checkout(&json!({"url": "https://checkout.stripe.com/x"})).unwrap(), "https://checkout.stripe.com/x");
    assert!(checkout(&json!({"url": "javascript:alert(1)"})).is_err() && checkout(&json!({})).is_err());
}

#[test]
fn lists_and_things_come_bare_or_wrapped() {
    for value in
        [json!([1]), json!({"sites": [1]}), json!({"data": [1]}), json!({"data": {"sites": [1]}}), json!({"items": [1]})]
    {
        assert_eq!(items(value.clone(), "site").unwrap(), [json!(1)], "{value}");
    }
    for value in [json!({}), json!(7), json!({"sites": {}}), json!(null)] {
        assert!(items(value.clone(), "site").is_err(), "{value}");
    }
    for value in
        [json!({"id": 1}), json!({"site": {"id": 1}}), json!({"data": {"id": 1}}), json!({"data": {"site": {"id": 1}}})]
    {
        assert_eq!(object(value.clone(), "site"), json!({"id": 1}), "{value}");
    }
}
