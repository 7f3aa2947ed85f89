//! Tables from the examples of the vendor's OpenAPI 1.17.0.

use super::*;
use portico_sdk::{ErrorKind, json};
use serde_json::json;

const INSTALL: &str = "294deacc-d8b8-4005-82c4-0727ba8ddde0";

fn install() -> Value {
    json!({"id": INSTALL, "name": "torquemag", "account": {"id": "eeda3227-9a39-46ae-9e14-20958bb4e6c9"}, "php_version": "7.0",
        "status": "active", "site": {"id": "28c78b6d-c2da-4f09-85f5-1ad588089b2d"}, "cname": "mywebsite.wpengine.com",
        "stable_ips": ["1.2.3.2"], "environment": "production", "primary_domain": "mywebsite.wpengine.com",
        "is_multisite": false, "created_at": "2025-06-12T09:56:42.386Z", "wp_version": "6.8.1"})
}

fn whole_site() -> Value {
    json!({"id": "28c78b6d-c2da-4f09-85f5-1ad588089b2d", "name": "Torque Magazine",
        "account": {"id": "eeda3227-9a39-46ae-9e14-20958bb4e6c9"}, "group_name": "Overdue", "tags": ["tag1"],
        "created_at": "2025-07-10T09:59:58.684Z", "sandbox": false, "transferable": false,
        "installs": [{"id": INSTALL, "name": "torquemag", "environment": "production", "cname": "mywebsite.wpengine.com",
            "php_version": "7.3", "is_multisite": false}]})
}

#[test]
fn a_site_is_its_installs_together() {
    let short = site(whole_site(), &[]).unwrap();
    assert_eq!((short.name.as_str(), short.status), ("Torque Magazine", SiteStatus::Unknown));
    assert_eq!((short.slug.as_deref(), short.php_version.as_deref()), (Some("torquemag"), Some("7.3")));
    assert_eq!(short.created_at, Some(1_752_141_598_684));
    assert!(short.native.unwrap().contains("Overdue"));

    let whole = site(whole_site(), &[install()]).unwrap();
    assert_eq!((whole.status, whole.wordpress_version.as_deref()), (SiteStatus::Running, Some("6.8.1")));
    assert_eq!(whole.url.as_deref(), Some("https://mywebsite.wpengine.com"));
    let [environment] = whole.environments.as_slice() else { panic!("{:?}", whole.environments) };
    assert_eq!((environment.id.as_str(), environment.kind), (INSTALL, EnvironmentKind::Production));
    assert!(environment.native.as_ref().unwrap().contains("stable_ips"));

    let bare = site(json!({"id": "1", "name": "a"}), &[]).unwrap();
    assert_eq!((bare.status, bare.environments.len(), bare.url), (SiteStatus::Unknown, 0, None));
    assert_eq!(site(json!({"name": "a"}), &[]).unwrap_err().kind, ErrorKind::Internal);
}

#[test]
fn environments_are_named_in_four_ways() {
    let of = |id: &str, name: &str, environment: Option<&str>| -> Install {
        read(&json!({"id": id, "name": name, "environment": environment})).unwrap()
    };
    let installs = [
        of("1", "shop", Some("production")),
        of("2", "shopstg", Some("staging")),
        of("3", "shopdev", Some("development")),
        of("4", "shopdev2", Some("development")),
    ];
    for (wanted, id) in
        [(None, "1"), (Some("production"), "1"), (Some("staging"), "2"), (Some("shopdev2"), "4"), (Some("3"), "3")]
    {
        assert_eq!(pick(&installs, wanted).unwrap().id, id, "{wanted:?}");
    }
    assert_eq!(pick(&installs, Some("development")).unwrap_err().kind, ErrorKind::Conflict);
    assert_eq!(pick(&installs, Some("other")).unwrap_err().kind, ErrorKind::NotFound);
    assert_eq!(pick(&installs[1..2], None).unwrap().id, "2");
    assert_eq!(pick(&installs[1..2], Some("production")).unwrap_err().kind, ErrorKind::NotFound);
    assert_eq!(pick(&[], None).unwrap_err().kind, ErrorKind::NotFound);
}

#[test]
fn backups() {
    let value = json!({"id": "e41fa98f", "status": "completed", "description": "Pre-deploy snapshot (op_01)",
        "create_time": "2024-01-15T10:00:00Z", "complete_time": "2024-01-15T10:30:00Z", "wordpress_version": "6.4.2"});
    let made = backup(INSTALL, value).unwrap();
    assert_eq!(split_backup_id(&made.id).unwrap(), (INSTALL, "e41fa98f"));
    assert_eq!(made.description.as_deref(), Some("Pre-deploy snapshot"));
    assert_eq!((made.created_at, made.completed_at), (Some(1_705_312_800_000), Some(1_705_314_600_000)));
    assert!(made.native.unwrap().contains("6.4.2"));
    for (word, status) in [
        ("requested", BackupStatus::Pending),
        ("initiated", BackupStatus::Pending),
        ("in_progress", BackupStatus::Running),
        ("completed", BackupStatus::Completed),
        ("aborted", BackupStatus::Failed),
        ("new word", BackupStatus::Running),
    ] {
        assert_eq!(backup(INSTALL, json!({"id": "1", "status": word, "create_time": null})).unwrap().status, status, "{word}");
    }
    assert_eq!(split_backup_id("e41fa98f").unwrap_err().kind, ErrorKind::NotFound);
}

#[test]
fn domains_and_their_certificates() {
    let certificates: Vec<Certificate> = json::read(&json!([
        {"id": 7, "common_name": "customdomain.com", "cert_source": "LETS_ENCRYPT", "status": "ENABLED", "auth_file": "s",
            "domains": ["customdomain.com", "www.customdomain.com"], "expires_time": "2026-01-01T00:00:00Z"},
        {"cert_source": "CERT_SOURCE_UNSPECIFIED", "domains": ["*.wild.example"]},
    ]))
    .unwrap();
    let value = json!({"name": "Customdomain.com.", "duplicate": true, "primary": true, "id": "e41fa98f", "network_type": "AN",
        "secure_all_urls": false, "ownership_status": "TXT_VERIFICATION_PENDING", "txt_verification_key": "_wpe_verification",
        "txt_verification_value": "abc", "cert_info": {"key": "PRIVATE"}});
    let pending = domain(INSTALL, value, &certificates).unwrap();
    assert_eq!(
        (pending.id.as_str(), pending.primary, pending.status),
        ("customdomain.com", true, DomainStatus::PendingVerification)
    );
    let record = &pending.verification[0];
    assert_eq!((record.record_type.as_str(), record.name.as_str(), record.value.as_str()), ("TXT", "_wpe_verification", "abc"));
    let certificate = pending.certificate.unwrap();
    assert_eq!((certificate.issuer.as_deref(), certificate.status.as_deref()), (Some("lets_encrypt"), Some("enabled")));
    assert_eq!(certificate.expires_at, Some(1_767_225_600_000));
    let native = pending.native.unwrap();
    assert!(native.contains("secure_all_urls") && !native.contains("PRIVATE"), "{native}");

    for (value, status) in [
        (
            json!({"name": "a.wild.example", "id": "1", "ownership_status": "TXT_VERIFIED", "txt_verification_key": null}),
            DomainStatus::Active,
        ),
        (json!({"name": "b.wild.example", "id": "2"}), DomainStatus::Active),
    ] {
        let domain = domain(INSTALL, value, &certificates).unwrap();
        assert_eq!((domain.status, domain.verification.len()), (status, 0));
        assert_eq!(domain.certificate.map(|certificate| certificate.issuer), Some(None));
    }
}

#[test]
fn usage_is_summed_and_unknown_where_nobody_tells() {
    let rollup = |value: Value| read::<Rollup>(&value).unwrap();
    let one = rollup(json!({"visit_count": {"average": "10", "sum": "300", "latest": null},
        "network_total_bytes": {"sum": "1000"}, "storage_file_bytes": {"latest": {"date": "2025-01-01", "value": "70"}},
        "storage_database_bytes": {"latest": {"value": 30}}}));
    let other = rollup(json!({"visit_count": {"sum": "no number"}, "network_total_bytes": {"sum": 5}}));
    assert_eq!(usage(&[one, other]), SiteUsage { storage: Some(100), bandwidth: Some(1005), visits: Some(300) });
    assert_eq!(usage(&[]), SiteUsage { storage: None, bandwidth: None, visits: None });
}

#[test]
fn links_give_an_offset_and_nothing_else() {
    for (link, current, expected) in [
        (None, 0, Ok(None)),
        (Some(""), 0, Ok(None)),
        (Some("https://api.wpengineapi.com/v1/sites?limit=100&offset=200"), 100, Ok(Some(200))),
        (Some("http://169.254.169.254/latest?offset=100#x"), 0, Ok(Some(100))),
        (Some("https://api.wpengineapi.com/v1/sites?offset=100"), 100, Err(())),
        (Some("https://api.wpengineapi.com/v1/sites"), 0, Err(())),
        (Some("https://a/?offset=-1"), 0, Err(())),
    ] {
        assert_eq!(next_offset(link, current).map_err(|_| ()), expected, "{link:?}");
    }
}

#[test]
fn a_new_sites_environment() {
    assert_eq!(environment_word(None).unwrap(), "production");
    assert_eq!(environment_word(Some("staging")).unwrap(), "staging");
    assert_eq!(environment_word(Some("qa")).unwrap_err().field.as_deref(), Some("environment"));
    for kind in [EnvironmentKind::Production, EnvironmentKind::Staging, EnvironmentKind::Development] {
        assert_eq!(super::kind(Some(kind_word(kind))), kind);
    }
}
