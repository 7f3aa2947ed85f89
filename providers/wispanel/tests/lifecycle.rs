//! The provider's calls against a scripted panel: what is asked, what becomes of it, and what a crash leaves.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "what goes wrong in a helper fails the test")]

use portico_provider_wispanel::WisPanel;
use portico_sdk::{
    ErrorKind, PageRequest, Sites, Wordpress,
    testing::{FakeHost, Method},
    wordpress::Target,
};
use serde_json::{Value, json};

fn installation(id: &str, domain: &str) -> Value {
    json!({
        "id": id, "domain": domain, "path": format!("/home/a/domains/{domain}/public_html"), "version": "6.9.4",
        "site_title": "My Site", "site_url": format!("https://{domain}"), "db_name": "a_wp", "db_user": "a_wp",
        "db_host": "localhost", "table_prefix": "wp_", "debug": false, "multisite": false,
    })
}

fn target(site: &str) -> Target {
    Target { site: site.into(), environment: None }
}

#[test]
fn sites_are_listed_to_the_last_page() {
    let host = FakeHost::install();
    let page = |number: u64, items: Value| {
        let meta = json!({"total": 3, "per_page": 2, "current_page": number, "last_page": 2});
        json!({"success": true, "data": items, "meta": meta})
    };
    host.on(Method::Get, "/wordpress/installations").reply(200, page(2, json!([installation("wp_1", "a.example")])));
    host.on(Method::Get, "/wordpress/installations")
        .times(1)
        .reply(200, page(1, json!([installation("wp_3", "c.example"), installation("wp_2", "b.example")])));
    let all = Sites::list(&WisPanel, &PageRequest::first(2)).unwrap();
    assert_eq!(all.items.iter().map(|site| site.id.as_str()).collect::<Vec<_>>(), ["wp_1", "wp_2"]);
    assert_eq!(all.next.as_deref(), Some("wp_2"));
    assert_eq!(host.requests()[1].query, [("page".to_owned(), "2".to_owned())]);
    host.on(Method::Get, "/wordpress/installations").reply(200, page(1, json!([])));
    let stuck = Sites::list(&WisPanel, &PageRequest::first(2)).unwrap_err();
    assert_eq!(stuck.kind, ErrorKind::Internal, "a panel that knows no pages would tell everything twice");
    host.on(Method::Get, "/wordpress/installations").reply(200, json!([]));
    assert_eq!(Sites::get(&WisPanel, "wp_9").unwrap_err().kind, ErrorKind::NotFound);
}

#[test]
fn a_key_without_the_right_is_told_from_a_wrong_one() {
    let host = FakeHost::install();
    let refused = json!({"success": false, "code": "FORBIDDEN", "error": "API key is not scoped for 'wordpress'"});
    host.on(Method::Get, "/wordpress/installations").reply(403, refused);
    host.on(Method::Get, "/auth/me").reply(200, json!({"username": "anna", "role": "user", "status": "active"}));
    let error = Sites::list(&WisPanel, &PageRequest::first(1)).unwrap_err();
    assert_eq!((error.kind, error.upstream_status), (ErrorKind::Forbidden, Some(403)));
    assert!(error.message.contains("the key of anna"), "{}", error.message);
    host.on(Method::Get, "/auth/me").reply(401, json!({"success": false, "code": "UNAUTHORIZED", "error": "Invalid key"}));
    assert_eq!(Sites::list(&WisPanel, &PageRequest::first(1)).unwrap_err().kind, ErrorKind::Unauthenticated);
}

#[test]
fn a_status_is_put_together() {
    let host = FakeHost::install();
    let all = json!({"wp_cli_available": true, "installations": [installation("wp_1", "a.example")]});
    host.on(Method::Get, "/wordpress/status").reply(200, all);
    host.on(Method::Get, "/wordpress/installation")
        .reply(404, json!({"success": false, "code": "NOT_FOUND", "error": "Not found"}));
    let plain = WisPanel.get_status(&target("wp_1")).unwrap();
    assert_eq!((plain.wp_cli_available, plain.version.as_deref(), plain.maintenance), (Some(true), Some("6.9.4"), None));
    host.on(Method::Get, "/wordpress/installation").reply(200, json!({"data": {"id": "wp_1", "maintenance": true}}));
    assert_eq!(WisPanel.get_status(&target("wp_1")).unwrap().maintenance, Some(true));
    assert_eq!(host.requests().last().unwrap().query, [("id".to_owned(), "wp_1".to_owned())]);
    host.on(Method::Get, "/wordpress/installation").reply(503, json!({}));
    assert_eq!(
        WisPanel.get_status(&target("wp_1")).unwrap_err().kind,
        ErrorKind::Unavailable,
        "it isn't known whether there is more"
    );
    assert_eq!(WisPanel.get_status(&target("wp_2")).unwrap_err().kind, ErrorKind::NotFound);
    let staging = Target { site: "wp_1".into(), environment: Some("staging".into()) };
    assert_eq!(WisPanel.get_status(&staging).unwrap_err().kind, ErrorKind::NotFound);
}

#[test]
fn a_success_that_says_it_is_none_is_an_error() {
    let host = FakeHost::install();
    host.on(Method::Get, "/wordpress/installations")
        .reply(200, json!({"success": false, "code": "NOT_FOUND", "error": "No such user"}));
    let error = Sites::list(&WisPanel, &PageRequest::first(1)).unwrap_err();
    assert_eq!((error.kind, error.message.as_str()), (ErrorKind::NotFound, "WisPanel says: No such user"));
}
