//! WisPanel through the gateway: a panel with a certificate of its own making, its keys and limits, its sites and their backups.
//!
//! The panel is a simulator (`portico_tests::simulators`), which says what of it is our assumption. Invariant: what counts is what is at
//! the panel in the end, and how often it was asked for; the key goes to the pinned certificate alone.

#[path = "wispanel/scene.rs"]
mod scene;
#[path = "wispanel/toolkit.rs"]
mod toolkit;
#[path = "wispanel/trouble.rs"]
mod trouble;

use bytes::Bytes;
use http::Method;
use portico_tests::{
    Gateway,
    simulators::{
        Simulator, WisPanel,
        wispanel::{self, KEY, Lists},
    },
};
use scene::{Scene, ids, text};
use serde_json::{Value, json};
use std::{collections::BTreeSet, time::Duration};

#[tokio::test]
async fn the_pinned_certificate_and_no_other() {
    let certificate = wispanel::certificate();
    let panel = Simulator::start_tls(WisPanel::new(&["blog.com"]), &certificate).await;
    let gateway = Gateway::start().await;
    let api = &gateway.api;
    let by_name = panel.url().replace("127.0.0.1", "localhost");
    let body = |id: &str, tls: Value, url: &str| json!({"id": id, "provider": "wispanel", "name": id, "settings": {"base_url": url}, "secrets": {"api_key": KEY}, "tls": tls});
    let told = async |id: &str| {
        let report = api.post(&format!("/connections/{id}/test"), &json!({})).await.is(200).json();
        let last = report["checks"].as_array().and_then(|checks| checks.last()).expect("a check").clone();
        let path = format!("/sites?connection={id}");
        let list = api.send(Method::GET, &path, &[("cache-control", "no-cache")], Bytes::new()).await.is(200).json();
        let error = &list["errors"][0];
        let why =
            error.as_object().map(|_| format!("{}: {}", text(&error["code"]), text(&error["detail"]))).unwrap_or_default();
        (report["ok"] == true, format!("{}: {}", text(&last["check"]), text(&last["detail"])), why)
    };
    let url = panel.url();
    for (id, tls, url, words) in [
        ("none", json!({}), &url, "pin the certificate in tls.fingerprint"),
        (
            "wrong",
            json!({"fingerprint": "ab".repeat(32)}),
            &url,
            "isn't the pinned one; if it was renewed on purpose, change tls.fingerprint",
        ),
        ("other", json!({"ca": wispanel::certificate().pem}), &by_name, "its certificate"),
        ("name", json!({"ca": certificate.pem}), &url, "its certificate is for another name"),
    ] {
        let _ = api.post("/connections", &body(id, tls, url)).await.is(201);
        let (ok, told, why) = told(id).await;
        assert!(!ok && told.starts_with("upstream.panel.tls: ") && told.contains(words), "{told}");
        assert!(why.starts_with("upstream_tls: ") && why.contains(words), "the list doesn't say it: {why}");
    }
    assert_eq!(panel.seen().len(), 0, "a key was shown to a server that nobody trusts");
    for (id, tls, url) in [
        ("pinned", json!({"fingerprint": certificate.fingerprint()}), &url),
        ("plain", json!({"fingerprint": certificate.fingerprint().replace(':', "").to_lowercase()}), &url),
        ("signed", json!({"ca": certificate.pem}), &by_name),
    ] {
        let _ = api.post("/connections", &body(id, tls, url)).await.is(201);
        let (ok, told, why) = told(id).await;
        assert!(ok && why.is_empty(), "{told} {why}");
    }
    // As the test of the connection said; the key is bound to the trust, so it is given again.
    let pinned = json!({"tls": {"fingerprint": certificate.fingerprint()}, "secrets": {"api_key": KEY}});
    let _ = api.json(Method::PATCH, "/connections/none", &[], &pinned).await.is(200);
    let (ok, told, why) = told("none").await;
    assert!(ok && why.is_empty(), "{told} {why}");
    // A fingerprint that can't be one is refused by its name.
    let refused = api.post("/connections", &body("short", json!({"fingerprint": "3A:7C"}), &url)).await;
    assert!(refused.status == 422 && refused.text().contains("tls.fingerprint"), "{}", refused.text());
}

#[tokio::test]
async fn a_key_that_is_unknown_or_too_narrow_is_told() {
    const NARROW: &str = "wsp_00000000000000000000000000000000000000000000dead";
    const UNKNOWN: &str = "wsp_00000000000000000000000000000000000000000000beef";
    let scene = Scene::new(&["blog.com"]).await;
    scene.panel.world(|panel| panel.add_key(NARROW, Some("webhooks")));
    for (id, key) in [("narrow", NARROW), ("unknown", UNKNOWN)] {
        scene.connect(id, key).await;
    }
    let report = async |connection: &str| {
        let path = format!("/connections/{connection}/test");
        let report = scene.gateway.api.post(&path, &json!({})).await.is(200).json();
        let last = report["checks"].as_array().and_then(|checks| checks.last()).expect("a check").clone();
        format!("{}: {}: {}", report["ok"], text(&last["check"]), text(&last["detail"]))
    };
    assert_eq!(report("w").await, "true: read: the sites could be listed");
    let narrow = report("narrow").await;
    assert!(narrow.starts_with("false: scope: ") && narrow.contains("the key of anna") && narrow.contains("`all`"), "{narrow}");
    let unknown = report("unknown").await;
    assert!(unknown.starts_with("false: credentials: ") && unknown.contains("the secret api_key"), "{unknown}");
    for connection in ["narrow", "unknown"] {
        let problem = scene.gateway.api.get(&format!("/sites/{connection}~wp_1")).await.problem(502, "upstream_credentials");
        assert!(!problem.to_string().contains("wsp_"), "{problem}");
    }
}

#[tokio::test]
async fn a_list_is_walked_to_its_end_in_every_shape() {
    let domains: Vec<String> = (0..11).map(|n| format!("site{n}.example")).collect();
    let scene = Scene::new(&domains.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let wanted: BTreeSet<String> = domains.iter().map(|domain| format!("https://{domain}")).collect();
    for lists in [Lists::Bare, Lists::Named, Lists::Paged(4), Lists::Paged(100)] {
        scene.panel.world(|panel| panel.lists = lists);
        let first = scene.read("/sites?connection=w&limit=4").await;
        let mut urls = urls(&first);
        let mut next = first["next_cursor"].as_str().map(str::to_owned);
        while let Some(cursor) = next {
            let page = scene.gateway.api.get(&format!("/sites?connection=w&limit=4&cursor={cursor}")).await.is(200).json();
            urls.extend(self::urls(&page));
            next = page["next_cursor"].as_str().map(str::to_owned);
        }
        assert_eq!((urls.len(), urls.into_iter().collect::<BTreeSet<_>>()), (11, wanted.clone()), "{lists:?}");
    }
}

fn urls(page: &Value) -> Vec<String> {
    page["data"].as_array().expect("sites").iter().map(|site| text(&site["url"]).to_owned()).collect()
}

/// An installation comes or goes while pages are read: others move from page to page.
#[tokio::test]
async fn what_moves_from_page_to_page_is_neither_lost_nor_told_twice() {
    let scene = Scene::new(&["a.example", "b.example", "c.example", "d.example"]).await;
    scene.panel.world(|panel| panel.lists = Lists::Paged(2));
    let listed = async || ids(&scene.read("/sites?connection=w&limit=100").await);
    let there = || {
        let ids = scene.panel.world(|panel| panel.installations.iter().map(|one| format!("w~{}", one.id)).collect::<Vec<_>>());
        ids.into_iter().collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>()
    };
    assert_eq!(listed().await, there());
    scene.panel.world(|panel| panel.meanwhile = Some(|panel| drop(panel.installations.remove(0))));
    assert_eq!((listed().await, there().len()), (there(), 3), "what moved to the first page was lost");
    scene.panel.world(|panel| {
        panel.meanwhile = Some(|panel| {
            panel.add_installation("e.example");
            panel.installations.rotate_right(1);
        });
    });
    assert_eq!((listed().await, there().len()), (there(), 4), "what moved to the second page was told twice");
}

#[tokio::test]
async fn a_site_from_its_creation_to_its_end() {
    let scene = Scene::new(&["wispanel123.com"]).await;
    scene.panel.world(|panel| (panel.lists, panel.looks) = (Lists::Named, 1));
    let admin = json!({"user": "anna", "email": "anna@blog.example", "password": "correct horse battery"});
    let body = json!({"connection": "w", "name": "Blog", "title": "My Blog", "domain": "blog.example", "admin": admin,
        "options": {"add_domain": true, "db_name": "blog_wp"}});
    let made = scene.change(Method::POST, "/sites", &body).await["result"].clone();
    assert_eq!((&made["name"], &made["status"], &made["kind"]), (&json!("My Blog"), &json!("running"), &json!("wordpress")));
    assert_eq!((&made["url"], &made["wordpress_version"]), (&json!("https://blog.example"), &json!("6.9.3")), "{made}");
    let site = format!("/sites/{}", text(&made["id"]));
    assert_eq!(scene.read(&site).await["id"], made["id"]);
    assert_eq!(ids(&scene.read("/sites?connection=w").await).len(), 2);
    let user = ("anna".to_owned(), "correct horse battery".to_owned());
    assert_eq!(scene.panel.world(|panel| panel.installation("blog.example").users.clone()), [user]);
    let domains = scene.read(&format!("{site}/domains")).await;
    assert_eq!((&domains["data"][0]["name"], &domains["data"][0]["primary"]), (&json!("blog.example"), &json!(true)));

    let copy = json!({"name": "Copy", "domain": "staging.blog.example", "options": {"add_domain": true}});
    let begun = scene.gateway.api.json(Method::POST, &format!("{site}/clone"), &[("prefer", "respond-async")], &copy).await;
    let clone = scene.read(&format!("/operations/{}?wait=30", text(&begun.is(202).json()["id"]))).await;
    assert_eq!(clone["result"]["url"], "https://staging.blog.example", "{clone}");
    assert_ne!(clone["result"]["id"], made["id"]);
    assert_eq!(scene.panel.count(&Method::GET, "/api/v1/wordpress/install/*/progress"), 4, "each was looked at twice");

    scene.change(Method::DELETE, &site, &Value::Null).await;
    assert_eq!(scene.panel.world(|panel| panel.installations.len()), 2);
    scene.gateway.api.get(&site).await.problem(404, "not_found");
}

#[tokio::test]
async fn a_backup_is_made_found_and_restored() {
    for lists in [Lists::Bare, Lists::Named, Lists::Paged(1)] {
        let scene = Scene::new(&["blog.com"]).await;
        scene.panel.world(|panel| panel.lists = lists);
        let site = scene.site().await;
        let body = json!({"description": "before", "environment": "production"});
        let backup = scene.change(Method::POST, &format!("{site}/backups"), &body).await["result"].clone();
        assert_eq!((&backup["description"], &backup["status"]), (&json!("before"), &json!("completed")), "{backup}");
        assert_eq!((&backup["size"], &backup["created_at"]), (&json!(4096), &json!("2026-01-15T10:30:00Z")), "{backup}");
        let list = scene.read(&format!("{site}/backups")).await;
        assert_eq!(ids(&list), [text(&backup["id"])], "{list}");
        let one = format!("{site}/backups/{}", text(&backup["id"]));
        assert_eq!(scene.read(&one).await["id"], backup["id"]);
        scene.change(Method::POST, &format!("{one}/restore"), &json!({})).await;
        let done = scene.panel.world(|panel| panel.installation("blog.com").done.clone());
        assert_eq!(done, [format!("restore {}", text(&backup["id"]))]);
        // There is no call for it.
        scene.gateway.api.delete(&one).await.problem(501, "unsupported");
        scene.gateway.api.get(&format!("{one}/download")).await.problem(501, "unsupported");
    }
}

#[tokio::test]
async fn the_account_and_what_it_uses() {
    let scene = Scene::new(&["a.example", "b.example"]).await;
    let subscription = scene.read("/billing/subscription?connection=w").await;
    assert_eq!((&subscription["plan"], &subscription["status"]), (&json!("business"), &json!("active")), "{subscription}");
    let usage = scene.read("/billing/usage?connection=w").await;
    assert!(usage.to_string().contains("\"sites\":2"), "{usage}");
}

/// What isn't declared is refused by name, and the panel hears nothing of it.
#[tokio::test]
async fn what_the_panel_has_no_call_for_is_501() {
    let scene = Scene::new(&["blog.com"]).await;
    let site = scene.site().await;
    let seen = scene.panel.seen().len();
    for (method, below, body, feature) in [
        (Method::GET, "/usage", Value::Null, "sites.usage"),
        (Method::GET, "/logs", Value::Null, "sites.logs"),
        (Method::GET, "/deployments", Value::Null, "deployments.list"),
        (Method::GET, "/environments", Value::Null, "environments.list"),
        (Method::POST, "/start", json!({}), "sites.start"),
        (Method::POST, "/stop", json!({}), "sites.stop"),
        (Method::PATCH, "", json!({"name": "Other"}), "sites.update"),
        (Method::POST, "/domains", json!({"name": "www.blog.com"}), "domains.create"),
        (Method::POST, "/backups", json!({"kind": "database"}), "backups.create.kind.database"),
    ] {
        let path = format!("{site}{below}");
        let problem = scene.send(method, &path, &body).await.problem(501, "unsupported");
        assert!(text(&problem["detail"]).contains(feature), "{path}: {problem}");
    }
    for path in ["/billing/invoices?connection=w"] {
        scene.gateway.api.get(path).await.problem(501, "unsupported");
    }
    assert_eq!(scene.panel.seen().len(), seen);
}

/// Three in two seconds, by the panel's own count: the gateway waits, and the panel never has to refuse.
#[tokio::test]
async fn the_limit_is_kept_by_what_the_panel_says_is_left() {
    let scene = Scene::new(&["blog.com"]).await;
    scene.panel.world(|panel| (panel.limit, panel.period) = (3, Duration::from_secs(2)));
    for n in 0..8 {
        // Each asks anew.
        let _ = scene.read(&format!("/sites?connection=w&limit={}", 10 + n)).await;
    }
    assert_eq!(scene.panel.seen().len(), 8);
    assert_eq!(scene.panel.world(|panel| panel.refused), 0);
    let limits = scene.gateway.api.get("/connections/w").await.is(200).json()["limits"][0].clone();
    assert_eq!(limits["rate"], json!({"requests": 60, "per_seconds": 60}), "{limits}");
}
