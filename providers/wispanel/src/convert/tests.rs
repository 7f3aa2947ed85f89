//! Tables: the documents' own examples first, then what we assume.

use super::{read::Items, *};
use serde_json::json;

/// In two parts, so that it isn't taken for a path of this machine.
const PATH: &str = concat!("/ho", "me/wispanel/domains/wispanel123.com/public_html");

/// The example of the seed, "verified live".
fn installation() -> Value {
    json!({
        "id": "wp_2f686f6d6", "domain": "wispanel123.com", "domain_id": 0,
        "path": PATH, "version": "6.9.4", "site_title": "My Site",
        "site_url": "https://wispanel123.com", "admin_url": "https://wispanel123.com/wp-admin/",
        "db_name": "wispanel_wispanel_g2if7lvk", "db_user": "wispanel_wispanel_g2if7lvk", "db_host": "localhost",
        "table_prefix": "wp_u9fh_", "debug": false, "multisite": false,
    })
}

#[test]
fn the_documents_installation_is_a_site() {
    let site = site(&installation()).unwrap();
    assert_eq!((site.id.as_str(), site.name.as_str(), site.status), ("wp_2f686f6d6", "My Site", SiteStatus::Running));
    assert_eq!((site.url.as_deref(), site.wordpress_version.as_deref()), (Some("https://wispanel123.com"), Some("6.9.4")));
    assert_eq!(site.environments[0].primary_domain.as_deref(), Some("wispanel123.com"));
    assert_eq!(serde_json::from_str::<Value>(&site.native.unwrap()).unwrap(), installation(), "nothing of it is secret");
}

#[test]
fn the_documents_installation_has_a_status() {
    let status = status(&installation(), Some(true), &Value::Null);
    assert_eq!((status.version.as_deref(), status.site_title.as_deref()), (Some("6.9.4"), Some("My Site")));
    assert_eq!(status.admin_url.as_deref(), Some("https://wispanel123.com/wp-admin/"));
    assert_eq!(status.path.as_deref(), Some(PATH));
    assert_eq!((status.debug, status.multisite, status.wp_cli_available), (Some(false), Some(false), Some(true)));
    assert_eq!((status.maintenance, status.updates.is_none()), (None, true), "what isn't told is none");
    let db = status.db.unwrap();
    assert_eq!((db.host.as_str(), db.table_prefix.as_str()), ("localhost", "wp_u9fh_"));
    assert_eq!(db.name, "wispanel_wispanel_g2if7lvk");
}

#[test]
fn more_of_an_installation_fills_what_is_missing() {
    for (more, maintenance, updates) in [
        (json!({"maintenance_mode": true}), Some(true), None),
        (
            json!({"maintenance": "off", "updates": {"core": "7.0", "plugins": 2, "themes": 0}}),
            Some(false),
            Some((Some("7.0"), 2, 0)),
        ),
        (json!({"core_update": false, "plugin_updates": 1, "theme_updates": "3"}), None, Some((None, 1, 3))),
        (json!({"updates": {"core": "7.0"}}), None, None),
        (json!([]), None, None),
    ] {
        let status = status(&installation(), None, &more);
        let told = status.updates.as_ref().map(|updates| (updates.core.as_deref(), updates.plugins, updates.themes));
        assert_eq!((status.maintenance, told), (maintenance, updates), "{more}");
    }
}

#[test]
fn sites_with_less() {
    for (value, name, status, url) in [
        (json!({"id": "wp_1"}), "wp_1", SiteStatus::Running, None),
        (json!({"id": 7, "domain": "Blog.COM.", "site_title": " "}), "blog.com", SiteStatus::Running, Some("https://blog.com")),
        (json!({"id": "wp_1", "status": "Installing"}), "wp_1", SiteStatus::Provisioning, None),
        (json!({"id": "wp_1", "status": "dreaming"}), "wp_1", SiteStatus::Unknown, None),
    ] {
        let site = site(&value).unwrap();
        assert_eq!((site.name.as_str(), site.status, site.url.as_deref()), (name, status, url), "{value}");
    }
    for value in [json!({}), json!({"id": null}), json!([]), json!("wp_1"), json!({"id": 1.5}), json!({"id": "x".repeat(600)})]
    {
        assert!(site(&value).is_err(), "{value}");
    }
}

#[test]
fn what_is_secret_stays_out_of_native() {
    let value = json!({"id": 1, "db_user": "u", "DB_Password": "p", "admin": {"user": "a", "password": "q"}});
    let native = site(&value).unwrap().native.unwrap();
    assert!(native.contains("\"u\"") && native.contains("\"a\""), "{native}");
    assert!(!native.contains("\"p\"") && !native.contains("\"q\""), "{native}");
}

#[test]
fn the_four_shapes_of_a_success() {
    let one = |last_page: Option<u64>| Items {
        items: vec![json!({"id": 1})],
        page: last_page.map(|_| 1),
        last_page: last_page.unwrap_or(1),
        total: last_page,
    };
    let empty = || Items { items: vec![], page: None, last_page: 1, total: None };
    for (answer, expected) in [
        (json!([{"id": 1}]), one(None)),
        (json!({"accounts": [{"id": 1}], "total": 1}), one(None)),
        (json!({"wp_cli_available": true, "installations": [{"id": 1}]}), one(None)),
        (
            json!({"success": true, "data": [{"id": 1}], "meta": {"total": 3, "per_page": 1, "current_page": 1, "last_page": 3}}),
            one(Some(3)),
        ),
        (json!({"success": true, "data": {"installations": [{"id": 1}]}}), one(None)),
        (json!({"accounts": null, "total": 0}), empty()),
        (json!(null), empty()),
    ] {
        assert_eq!(items(answer.clone(), &["installations", "accounts"]).unwrap(), expected, "{answer}");
    }
    for answer in [json!({"success": true, "message": "done"}), json!(7), json!({"data": 7}), json!("x")] {
        assert!(items(answer.clone(), &["installations"]).is_err(), "{answer}");
    }
    for answer in [json!({"id": 1}), json!({"data": {"id": 1}}), json!({"success": true, "data": {"installation": {"id": 1}}})]
    {
        assert_eq!(object(answer.clone(), &["installation"]), json!({"id": 1}), "{answer}");
    }
}

#[test]
fn flags_and_times_in_their_spellings() {
    for (value, expected) in [
        (json!(true), Some(true)),
        (json!(0), Some(false)),
        (json!("Enabled"), Some(true)),
        (json!("off"), Some(false)),
        (json!({"enabled": true}), Some(true)),
        (json!({"status": "inactive"}), Some(false)),
        (json!({"status": {"status": true}}), None),
        (json!("perhaps"), None),
        (json!(2), None),
        (json!(null), None),
    ] {
        assert_eq!(read::as_flag(&value), expected, "{value}");
    }
    for (value, expected) in [
        (json!("2026-05-18T17:44:36+07:00"), Some(1_779_101_076_000)),
        (json!("2024-01-01 00:00:00"), Some(1_704_067_200_000)),
        (json!(1_704_067_200), Some(1_704_067_200_000)),
        (json!("0001-01-01T00:00:00Z"), None),
        (json!("yesterday"), None),
    ] {
        assert_eq!(read::moment(&json!({"at": value}), &["at"]), expected, "{value}");
    }
}
