//! Examples of the document (version 1.87.0) and of the seed, and any JSON at all.

use super::*;
use crate::{
    error,
    handle::Handle,
    types::{Analytics, Records},
};
use portico_sdk::{BackupStatus, DomainStatus, json, testing::FakeHost, upstream::Response};
use proptest::prelude::*;
use serde_json::json;

const ID: &str = "54fb80af-576c-4fdc-ba4f-b596c83f15a1";

/// `GET /sites/{id}/environments` and `GET /sites?include_environments=true`
fn live() -> Value {
    let domain = json!({"id": ID, "name": "example.com", "site_id": ID, "is_active": true, "type": "live"});
    json!({
        "id": ID, "name": "live", "display_name": "Live", "is_blocked": false, "id_edge_cache": ID, "cdn_cache_id": ID,
        "is_opt_out_from_automatic_php_update": false, "web_root": "/release_v1", "image_optimization_type": "lossy",
        "is_additional_sftp_accounts_enabled": false, "is_premium": false, "wordpress_version": "6.3.1",
        "domains": [domain], "primaryDomain": domain,
        "ssh_connection": {"ssh_port": "808080", "ssh_ip": {"external_ip": "1xx.1xx.1xx.1xx"}},
        "container_info": {"id": ID, "php_engine_version": "php8.3"},
    })
}

fn staging(name: &str, premium: bool) -> Value {
    json!({"id": name, "name": name, "display_name": name, "is_premium": premium, "is_blocked": false, "domains": [], "primaryDomain": null})
}

#[test]
fn a_site_of_the_list() {
    let value = json!({"id": ID, "name": "firstsite", "display_name": "First site", "status": "live",
        "siteLabels": [{"id": ID, "name": "Do not remove"}], "environments": [live()]});
    let site = site(value.clone(), None).unwrap();
    assert_eq!((site.id.as_str(), site.name.as_str(), site.slug.as_deref()), (ID, "First site", Some("firstsite")));
    assert_eq!(
        (site.kind, site.status, site.url.as_deref()),
        (SiteKind::Wordpress, SiteStatus::Running, Some("https://example.com"))
    );
    assert_eq!((site.wordpress_version.as_deref(), site.php_version.as_deref()), (Some("6.3.1"), Some("8.3")));
    assert_eq!((site.environments.len(), site.environments[0].kind), (1, EnvironmentKind::Production));
    // What the model lacks rides along.
    assert_eq!(serde_json::from_str::<Value>(&site.native.unwrap()).unwrap(), value);
}

/// The seed's site: environments without versions, and without a name that says which is the production.
#[test]
fn a_site_of_the_seed() {
    let domain = json!({"id": ID, "name": "example.com", "type": "live"});
    let environment = json!({"id": ID, "name": "first-site", "display_name": "First site", "is_premium": false, "is_blocked": false,
        "domains": [domain], "primaryDomain": domain});
    let value = json!({"id": ID, "name": "first-site", "display_name": "Site Name", "company_id": ID, "status": "live", "environments": [environment]});
    let plain = site(value.clone(), None).unwrap();
    assert_eq!((plain.environments[0].kind, plain.php_version.as_deref()), (EnvironmentKind::Production, None));
    assert_eq!(plain.kind, SiteKind::Wordpress, "nothing says that it is another");
    let whole = site(value, Some(&[live(), staging("staging", false)])).unwrap();
    assert_eq!((whole.wordpress_version.as_deref(), whole.environments.len()), (Some("6.3.1"), 2));
    assert!(whole.native.unwrap().contains("php8.3"));
    let listed = site(json!({"id": "a", "display_name": "A", "status": "new"}), None).unwrap();
    assert_eq!((listed.status, listed.environments.len()), (SiteStatus::Unknown, 0));
}

#[test]
fn kinds_and_states() {
    let with = |name: &str, value: Value| {
        let mut environment = live();
        environment[name] = value;
        site(json!({"id": ID, "display_name": "x", "status": "live", "environments": [environment]}), None).unwrap()
    };
    assert_eq!(with("wordpress_version", Value::Null).kind, SiteKind::Plain);
    let blocked = with("is_blocked", json!(true));
    assert_eq!((blocked.status, blocked.environments[0].status), (SiteStatus::Suspended, SiteStatus::Suspended));
}

#[test]
fn which_environment_is_the_production() {
    for (values, expected) in [
        (vec![staging("staging", false), live()], Some(1)),
        (vec![staging("premium", true), staging("first-site", false)], Some(1)),
        (vec![staging("premium", true)], Some(0)),
        (vec![], None),
    ] {
        let known: Vec<types::Environment> =
            values.iter().map(|value| json::read::<types::Environment>(value).unwrap()).collect();
        assert_eq!(production(&known), expected);
        let kinds = environments(values).unwrap();
        let productions: Vec<usize> =
            (0..kinds.len()).filter(|&index| kinds[index].kind == EnvironmentKind::Production).collect();
        assert_eq!(productions, expected.into_iter().collect::<Vec<_>>());
    }
}

#[test]
fn backups_have_numbers_and_times_in_milliseconds() {
    let value = json!({"id": 123_456_789, "name": "mySiteName-1234567890-backupType", "note": "Daily Auto Backup", "type": "manual", "created_at": 1_665_382_600_770_u64});
    let known = backup("e1", value.clone()).unwrap();
    assert_eq!(
        (known.id.as_str(), known.created_at, known.status),
        ("e1.123456789", Some(1_665_382_600_770), BackupStatus::Completed)
    );
    assert_eq!((known.description.as_deref(), known.environment.as_deref()), (Some("Daily Auto Backup"), Some("e1")));
    assert_eq!(serde_json::from_str::<Value>(&known.native.unwrap()).unwrap(), value);
    assert_eq!(backup("e1", json!({"id": 7, "note": null, "created_at": -1})).unwrap().created_at, None);
}

#[test]
fn an_archives_link_is_never_shown() {
    let value = json!({"id": "1915fa3a-7ef4-4766-806d-71104be7deb0", "created_at": 1_665_382_600_770_u64, "download_link": "https://example.com",
        "expires_at": 1_665_382_600_770_u64, "is_generation_in_progress": true});
    let known = downloadable("e1", value.clone()).unwrap();
    assert_eq!((known.id.as_str(), known.status), ("e1.d-1915fa3a-7ef4-4766-806d-71104be7deb0", BackupStatus::Running));
    assert!(!known.native.unwrap().contains("example.com"));
    assert!(download_link(&value).is_err(), "it isn't ready");
    let mut ready = value;
    ready["is_generation_in_progress"] = json!(false);
    assert_eq!(download_link(&ready).unwrap(), "https://example.com");
    ready["download_link"] = Value::Null;
    assert!(download_link(&ready).is_err());
}

#[test]
fn ids_of_backups() {
    for (text, which) in [
        ("c84ce214-69b9.123", Some(Which::Stored(123))),
        ("a.b.5", Some(Which::Stored(5))),
        ("e.d-1915fa3a", Some(Which::Downloadable("1915fa3a".into()))),
        ("e.007", None),
        ("e.+7", None),
        ("e.", None),
        ("e.d-", None),
        ("e.x", None),
        (".5", None),
        ("123", None),
        ("e.99999999999999999999999", None),
    ] {
        let parsed = BackupId::parse(text).ok();
        assert_eq!(parsed.as_ref().map(|id| &id.which), which.as_ref(), "{text}");
        if let Some(id) = parsed {
            assert_eq!(id.to_string(), text);
        }
    }
    assert!(BackupId::parse("e.d-x").unwrap().number("backups.restore").is_err());
}

#[test]
fn notes_tell_whose_a_backup_is() {
    for (description, text) in
        [(Some("before the update"), "before the update [op_1]"), (None, "[op_1]"), (Some("  "), "[op_1]")]
    {
        assert_eq!(note(description, "op_1"), text);
        assert_eq!(note_of(text), (description.unwrap_or_default().trim(), Some("op_1")));
    }
    for text in ["Daily Auto Backup", "x [y]", "[op_1", "op_1]", ""] {
        assert_eq!(note_of(text), (text, None));
    }
    assert_eq!(backup("e", json!({"id": 1, "note": "[op_1]"})).unwrap().description, None);
}

#[test]
fn domains_and_their_records() {
    let environment = json::read::<types::Environment>(&live()).unwrap();
    let active = domain(json!({"id": ID, "name": "MyDomain.com", "uses_cloudflare_dns": true}), &environment).unwrap();
    assert_eq!((active.id.as_str(), active.name.as_str(), active.primary), ("mydomain.com", "mydomain.com", true));
    assert_eq!((active.status, active.environment.as_deref()), (DomainStatus::Active, Some(ID)));
    let pending =
        domain(json!({"id": "other", "name": "new.example.com", "uses_cloudflare_dns": false}), &environment).unwrap();
    assert_eq!((pending.status, pending.primary), (DomainStatus::PendingVerification, false));
    let known: Records = json::read(&json!({
        "verification_records": [{"name": "_acme-challenge.staging.example-site.io", "value": "staging.example-site.io.kinstavalidation.app", "type": "CNAME"}],
        "pointing_records": [{"name": "staging.example-site.io", "value": "192.0.2.10", "type": "A"}],
    }))
    .unwrap();
    let shown = records(pending, known).unwrap();
    assert_eq!(shown.verification.len(), 1);
    assert_eq!(
        (shown.verification[0].record_type.as_str(), shown.verification[0].name.as_str()),
        ("CNAME", "_acme-challenge.staging.example-site.io")
    );
    let native: Value = serde_json::from_str(&shown.native.unwrap()).unwrap();
    assert_eq!(
        (&native["pointing_records"][0]["value"], &native["uses_cloudflare_dns"]),
        (&json!("192.0.2.10"), &json!(false))
    );
    let mut switched_off = live();
    switched_off["domains"][0]["is_active"] = json!(false);
    let environment = json::read::<types::Environment>(&switched_off).unwrap();
    assert_eq!(
        domain(json!({"id": ID, "name": "example.com"}), &environment).unwrap().status,
        DomainStatus::PendingVerification
    );
}

#[test]
fn plugins_and_themes() {
    let value = json!({"name": "akismet", "title": "Akismet Anti-Spam: Spam Protection", "status": "active", "version": "1.0.0",
        "update": "available", "update_version": "1.0.1", "update_status": "updated"});
    let known = extension(value).unwrap();
    assert_eq!((known.id.as_str(), known.name.as_str(), known.active), ("akismet", "Akismet Anti-Spam: Spam Protection", true));
    assert_eq!((known.version.as_deref(), known.update.as_deref()), (Some("1.0.0"), Some("1.0.1")));
    let newest = extension(json!({"name": "a", "status": "inactive", "update": "none", "update_version": "2"})).unwrap();
    assert_eq!((newest.name.as_str(), newest.active, newest.update), ("a", false, None));
}

#[test]
fn lines_of_logs() {
    let text = "example.com 192.0.2.1 [28/Oct/2025:10:30:00 +0000] GET \"/\" 200\n\n2025/10/28 10:30:00 [error] 7#7: broken\nno time [x] here\n";
    let lines = log_lines("access", text, 10);
    let times: Vec<Option<u64>> = lines.iter().map(|line| line.at).collect();
    assert_eq!(times, [Some(1_761_647_400_000), None, None]);
    assert_eq!((lines[1].source.as_str(), lines[1].text.as_str()), ("access", "2025/10/28 10:30:00 [error] 7#7: broken"));
    assert_eq!(log_lines("access", text, 1)[0].text, "no time [x] here");
    assert!(log_lines("error", "", 5).is_empty());
}

#[test]
fn numbers_of_json() {
    for (number, expected) in
        [(100.0, Some(100)), (1.9, Some(1)), (-1.0, None), (f64::NAN, None), (f64::INFINITY, None), (1e300, None)]
    {
        assert_eq!(count(number), expected, "{number}");
    }
    let series = |points: Value| {
        json::read::<Analytics>(&json!({"analytics": {"analytics_response": {"key": "diskSpaceUsage", "data": [{"name": "diskSpaceUsage", "total": 1000, "dataset": points}]}}})).unwrap()
    };
    let points = json!([{"key": "2025-10-29T00:00:00", "value": "2000"}, {"key": "2025-10-28T00:00:00", "value": "1000"}]);
    assert_eq!(latest(&series(points)), Some(2000));
    assert_eq!(latest(&series(json!([]))), None);
    assert_eq!(latest(&series(json!([{"key": "a", "value": "much"}]))), None);
}

/// JSON of any shape, with the names that are looked at.
fn any_json() -> impl Strategy<Value = Value> {
    const NAMES: [&str; 24] = [
        "id",
        "name",
        "display_name",
        "status",
        "environments",
        "domains",
        "primaryDomain",
        "is_active",
        "container_info",
        "php_engine_version",
        "wordpress_version",
        "note",
        "created_at",
        "download_link",
        "is_generation_in_progress",
        "message",
        "operation_id",
        "title",
        "version",
        "update",
        "update_version",
        "dataset",
        "key",
        "value",
    ];
    let text = prop_oneof![any::<String>(), Just("live".to_owned()), Just("php8.3".to_owned()), Just("[op_1]".to_owned())];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        text.prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 64, 10, |inner| {
        let name = prop_oneof![9 => proptest::sample::select(&NAMES[..]).prop_map(str::to_owned), 1 => any::<String>()];
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            proptest::collection::hash_map(name, inner, 0..10).prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

fn convert_everything(value: &Value) {
    let environment = json::read::<types::Environment>(&live()).unwrap();
    drop(site(value.clone(), None));
    drop(site(json!({"id": "a", "display_name": "b", "environments": value}), None));
    drop(environments(vec![value.clone()]));
    drop(backup("e", value.clone()));
    drop(downloadable("e", value.clone()));
    drop(download_link(value));
    drop(extension(value.clone()));
    if let (Ok(domain), Ok(known)) = (domain(value.clone(), &environment), json::read::<Records>(&value.clone())) {
        records(domain, known).unwrap();
    }
    if let Ok(analytics) = json::read::<Analytics>(&value.clone()) {
        let _ = latest(&analytics);
    }
}

proptest! {
    #[test]
    fn any_json_gives_a_value_or_an_error(value in any_json()) {
        convert_everything(&value);
    }

    #[test]
    fn any_bytes_give_a_value_or_an_error(status in 100_u16..600, body in prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..300),
        any_json().prop_map(|value| value.to_string().into_bytes()),
    ]) {
        let _host = FakeHost::install();
        if let Ok(value) = serde_json::from_slice::<Value>(&body) {
            convert_everything(&value);
        }
        let text = String::from_utf8_lossy(&body).into_owned();
        let _ = log_lines("access", &text, 5);
        prop_assert!(error::one_line(&text).chars().count() <= 300);
        if let Ok(id) = BackupId::parse(&text) {
            prop_assert_eq!(id.to_string(), text.clone());
        }
        let _ = (note_of(&text), Handle::parse(&text));
        let response = Response { status, headers: Vec::new(), body };
        if let Some(parsed) = error::parse(&response) {
            prop_assert!(!parsed.message.contains(['<', '>', '\n']));
        }
        drop(error::state(&response));
    }

    /// The document's examples with one field that is anything.
    #[test]
    fn an_example_with_a_broken_field(which in 0..3_usize, index in any::<prop::sample::Index>(), value in any_json()) {
        let mut example = [live(), json!({"id": ID, "name": "a", "display_name": "b", "status": "live", "environments": [live()]}),
            json!({"id": 1, "note": "n", "type": "manual", "created_at": 1, "download_link": "https://a.example", "name": "x", "title": "t", "version": "1", "update": "available"})][which].clone();
        let names: Vec<String> = example.as_object().unwrap().keys().cloned().collect();
        example[&names[index.index(names.len())]] = value;
        convert_everything(&example);
    }
}
