//! The WordPress toolkit over the API: everything that it can do, once, with its effect read back.
//!
//! Invariant: what a client sees after a change is the change; secrets are shown once, in the one answer that tells the end.

use bytes::Bytes;
use http::Method;
use portico_tests::{Api, Gateway, Reply};
use serde_json::{Value, json};

/// A site on a sandbox where nothing takes time, and the toolkit's place in it.
struct Blog {
    gateway: Gateway,
    path: String,
}

impl Blog {
    async fn new() -> Self {
        Self::with(json!({})).await
    }

    async fn with(settings: Value) -> Self {
        let gateway = Gateway::start().await;
        let mut all = json!({"work_seconds": 0});
        all.as_object_mut().expect("an object").extend(settings.as_object().expect("an object").clone());
        gateway.connect("blogs", "sandbox", all).await;
        let body = json!({"connection": "blogs", "name": "Blog", "wordpress_version": "6.6"});
        let made = gateway.api.post("/sites", &body).await.is(201).json();
        let path = format!("/sites/{}/wordpress", made["result"]["id"].as_str().expect("an id"));
        Self { gateway, path }
    }

    fn api(&self) -> &Api {
        &self.gateway.api
    }

    fn at(&self, below: &str) -> String {
        format!("{}{below}", self.path)
    }

    async fn get(&self, below: &str) -> Value {
        self.api().get(&self.at(below)).await.is(200).json()
    }

    async fn send(&self, method: Method, below: &str, body: &Value) -> Reply {
        self.api().json(method, &self.at(below), &[("prefer", "wait=30")], body).await
    }

    /// Changes something, and gives the operation, which has succeeded.
    async fn change(&self, method: Method, below: &str, action: &str, body: &Value) -> Value {
        let operation = self.send(method, below, body).await.is(200).json();
        assert_eq!((&operation["status"], &operation["action"]), (&json!("succeeded"), &json!(action)), "{operation}");
        operation
    }

    async fn post(&self, below: &str, action: &str, body: &Value) -> Value {
        self.change(Method::POST, below, action, body).await
    }

    /// The plugin or theme of this id in its list.
    async fn listed(&self, kind: &str, id: &str) -> Option<Value> {
        let list = self.get(&format!("/{kind}")).await;
        let found = list["data"].as_array().expect("data").iter().find(|one| one["id"] == id);
        found.cloned()
    }

    fn site(&self) -> &str {
        self.path.trim_start_matches("/sites/").trim_end_matches("/wordpress")
    }
}

#[tokio::test]
async fn status_core_and_maintenance() {
    let blog = Blog::new().await;
    let reply = blog.api().get(&blog.path).await.is(200);
    assert!(reply.header("etag").is_some());
    let status = reply.json();
    assert_eq!((&status["version"], &status["site_title"]), (&json!("6.6"), &json!("Blog")), "{status}");
    assert_eq!(status["db"]["table_prefix"], "wp_", "{status}");
    assert_eq!(status["updates"], json!({"core": "6.8", "plugins": 1, "themes": 1}), "{status}");
    assert_eq!((&status["debug"], &status["multisite"], &status["maintenance"]), (&json!(false), &json!(false), &json!(false)));
    // The action tells the version itself.
    let update = blog.post("/core/update", "wordpress.core.update", &json!({"version": "6.7"})).await;
    assert_eq!(update["result"], json!({"version": "6.7"}), "{update}");
    assert_eq!(update["target"], json!({"type": "site", "id": blog.site()}), "{update}");
    assert_eq!(blog.get("").await["version"], "6.7");
    let newest = blog.post("/core/update", "wordpress.core.update", &json!({})).await;
    assert_eq!(newest["result"], json!({"version": "6.8"}), "{newest}");
    // What it doesn't tell is read back.
    let again = blog.post("/core/reinstall", "wordpress.core.reinstall", &json!({})).await;
    assert_eq!(again["result"]["version"], "6.8", "{again}");
    let on = blog.change(Method::PUT, "/maintenance", "wordpress.maintenance", &json!({"enabled": true})).await;
    assert_eq!(on["result"]["maintenance"], true, "{on}");
    assert_eq!(blog.get("").await["maintenance"], true);
    blog.change(Method::PUT, "/maintenance", "wordpress.maintenance", &json!({"enabled": false})).await;
    assert_eq!(blog.get("").await["maintenance"], false);
}

#[tokio::test]
async fn plugins_come_and_go() {
    let blog = Blog::new().await;
    let list = blog.get("/plugins").await;
    assert_eq!((&list["total"], &list["next_cursor"], &list["errors"]), (&json!(2), &json!(null), &json!([])), "{list}");
    let akismet = "akismet=2Fakismet.php";
    let known = blog.listed("plugins", akismet).await.expect("it is there from the start");
    assert_eq!(
        (&known["name"], &known["active"], &known["update"]),
        (&json!("Akismet Anti-spam"), &json!(false), &json!("5.5"))
    );
    let on = blog.post(&format!("/plugins/{akismet}/activate"), "wordpress.plugins.activate", &json!({})).await;
    assert_eq!((&on["result"]["id"], &on["result"]["active"]), (&json!(akismet), &json!(true)), "{on}");
    assert_eq!(on["target"], json!({"type": "plugin", "id": akismet, "site": blog.site()}), "{on}");
    let off = blog.post(&format!("/plugins/{akismet}/deactivate"), "wordpress.plugins.deactivate", &json!({})).await;
    assert_eq!(off["result"]["active"], false, "{off}");
    let updated = blog.post(&format!("/plugins/{akismet}/update"), "wordpress.plugins.update", &json!({})).await;
    assert_eq!((&updated["result"]["version"], &updated["result"]["update"]), (&json!("5.5"), &json!(null)), "{updated}");
    // From the directory, and from an address.
    let body = json!({"source": "query-monitor", "version": "3.1", "activate": true});
    let made = blog.send(Method::POST, "/plugins", &body).await.is(201);
    assert_eq!(made.header("location"), Some(format!("/api/v1{}", blog.at("/plugins")).as_str()));
    let made = made.json();
    let id = "query-monitor=2Fquery-monitor.php";
    assert_eq!((&made["action"], &made["target"]["id"]), (&json!("wordpress.plugins.install"), &json!(id)), "{made}");
    assert_eq!((&made["result"]["version"], &made["result"]["active"]), (&json!("3.1"), &json!(true)), "{made}");
    let _ = blog.send(Method::POST, "/plugins", &json!({"source": "https://a.example/extra.zip"})).await.is(201);
    assert_eq!(blog.listed("plugins", "extra=2Fextra.php").await.expect("it was installed")["active"], false);
    let again = blog.send(Method::POST, "/plugins", &body).await.problem(409, "conflict");
    assert_eq!(again["fields"][0]["field"], "source", "{again}");
    // The list pages.
    let pages = blog.api().walk(&blog.at("/plugins?limit=3")).await;
    assert_eq!(pages.iter().map(|page| page["data"].as_array().expect("data").len()).collect::<Vec<_>>(), [3, 1]);
    let gone = blog.change(Method::DELETE, &format!("/plugins/{id}"), "wordpress.plugins.delete", &json!({})).await;
    assert_eq!(gone["result"], json!(null), "{gone}");
    assert_eq!(blog.listed("plugins", id).await, None);
    for action in ["/activate", "/deactivate", "/update"] {
        blog.send(Method::POST, &format!("/plugins/{id}{action}"), &json!({})).await.problem(404, "not_found");
    }
    blog.send(Method::DELETE, &format!("/plugins/{id}"), &json!({})).await.problem(404, "not_found");
}

#[tokio::test]
async fn themes_come_and_go() {
    let blog = Blog::new().await;
    let (first, second) = ("twentytwentyfive", "twentytwentyfour");
    assert_eq!(blog.listed("themes", first).await.expect("a theme")["active"], true);
    let updated = blog.post(&format!("/themes/{second}/update"), "wordpress.themes.update", &json!({})).await;
    assert_eq!((&updated["result"]["id"], &updated["result"]["version"]), (&json!(second), &json!("1.3")), "{updated}");
    assert_eq!(updated["target"]["type"], "theme");
    let made = blog.send(Method::POST, "/themes", &json!({"source": "astra"})).await.is(201).json();
    assert_eq!((&made["action"], &made["result"]["id"]), (&json!("wordpress.themes.install"), &json!("astra")), "{made}");
    blog.post("/themes/astra/activate", "wordpress.themes.activate", &json!({})).await;
    assert_eq!(blog.listed("themes", first).await.expect("a theme")["active"], false);
    blog.change(Method::DELETE, &format!("/themes/{first}"), "wordpress.themes.delete", &json!({})).await;
    assert_eq!(blog.listed("themes", first).await, None);
    // The contract has this action for themes too; the sandbox keeps one theme active.
    blog.send(Method::POST, "/themes/astra/deactivate", &json!({})).await.problem(409, "conflict");
    blog.post(&format!("/themes/{second}/deactivate"), "wordpress.themes.deactivate", &json!({})).await;
}

#[tokio::test]
async fn what_an_action_tells_is_the_result() {
    let blog = Blog::new().await;
    let body = json!({"search": "http://", "replace": "https://", "dry_run": true, "tables": ["wp_posts"]});
    let found = blog.post("/search-replace", "wordpress.search_replace", &body).await;
    assert!(found["result"]["replacements"].is_u64() && found["result"]["dry_run"] == true, "{found}");
    blog.post("/search-replace", "wordpress.search_replace", &json!({"search": "x", "replace": ""})).await;
    let sums = blog.post("/security/verify-checksums", "wordpress.security.verify_checksums", &json!({})).await;
    assert_eq!(sums["result"], json!({"modified": [], "missing": [], "unknown": ["wp-content/test-mode.txt"]}), "{sums}");
}

#[tokio::test]
async fn caches_and_switches_stay_as_they_are_set() {
    let blog = Blog::new().await;
    assert_eq!(blog.get("/cache").await, json!({"enabled": true, "kinds": ["object", "page"], "native": null}));
    let off = blog.post("/cache/disable", "wordpress.cache.disable", &json!({})).await;
    assert_eq!(off["result"]["enabled"], false, "{off}");
    assert_eq!(blog.get("/cache").await["enabled"], false);
    blog.post("/cache/enable", "wordpress.cache.enable", &json!({})).await;
    assert_eq!(blog.get("/cache").await["enabled"], true);
    blog.post("/cache/flush", "wordpress.cache.flush", &json!({})).await;
    let some = blog.post("/cache/purge", "wordpress.cache.purge", &json!({"urls": ["https://a.example/"]})).await;
    assert_eq!(some["result"], json!({"urls": 1}), "{some}");
    blog.post("/cache/purge", "wordpress.cache.purge", &json!({})).await;
    let before = blog.get("/security").await;
    assert_eq!((&before["file_edit"], &before["debug"]), (&json!(true), &json!(false)), "{before}");
    let change = json!({"file_edit": false, "hide_login": true});
    let changed = blog.change(Method::PATCH, "/security", "wordpress.security.update", &change).await;
    let wanted = json!({"file_edit": false, "file_protection": false, "hide_login": true, "debug": false, "native": null});
    assert_eq!(changed["result"], wanted, "{changed}");
    assert_eq!(blog.get("/security").await, wanted);
    let change = json!({"file_protection": true, "debug": true});
    blog.change(Method::PATCH, "/security", "wordpress.security.update", &change).await;
    assert_eq!(blog.get("").await["debug"], true);
}

#[tokio::test]
async fn secrets_are_shown_once_and_sealed() {
    const PASSWORD: &str = "correct-horse-battery-staple";
    let blog = Blog::new().await;
    let body = json!({"user": "anna", "email": "anna@example.com"});
    let made = blog.post("/admins", "wordpress.admin.create", &body).await;
    let password = made["secrets"]["password"].as_str().expect("a generated password").to_owned();
    let again = blog.api().get(&format!("/operations/{}", made["id"].as_str().expect("an id"))).await.is(200);
    assert!(!again.text().contains(&password) && again.json()["secrets"].is_null(), "{}", again.text());
    // A link, from an operation that is asked for later.
    let path = blog.at("/login-link");
    let accepted = blog.api().json(Method::POST, &path, &[("prefer", "respond-async")], &json!({"user": "anna"})).await.is(202);
    assert!(accepted.json()["secrets"].is_null(), "{}", accepted.text());
    let location = accepted.header("location").expect("where the operation is").to_owned();
    let first = blog.api().get(&format!("{location}?wait=30s")).await.is(200).json();
    assert!(first["secrets"]["url"].as_str().is_some_and(|url| url.starts_with("https://")), "{first}");
    assert!(blog.api().get(&location).await.is(200).json()["secrets"].is_null());
    // A password that the client chose comes back to nobody.
    let reset = json!({"user": "anna", "password": PASSWORD});
    let operation = blog.post("/password-reset", "wordpress.password_reset", &reset).await;
    assert!(operation["secrets"].is_null() && !operation.to_string().contains(PASSWORD), "{operation}");
    let body = json!({"user": "bob", "email": "bob@example.com", "password": PASSWORD});
    let operation = blog.post("/admins", "wordpress.admin.create", &body).await;
    assert!(operation["secrets"].is_null() && !operation.to_string().contains(PASSWORD), "{operation}");
    let generated = blog.post("/password-reset", "wordpress.password_reset", &json!({"user": "bob"})).await;
    assert!(generated["secrets"]["password"].is_string(), "{generated}");
    for secret in [PASSWORD, &password] {
        assert!(!blog.gateway.log().contains(secret), "a password is in the log");
        for entry in std::fs::read_dir(blog.gateway.data()).expect("the data folder") {
            let path = entry.expect("an entry").path();
            let bytes = std::fs::read(&path).unwrap_or_default();
            let plain = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!plain, "a password is in {}", path.display());
        }
    }
}

#[tokio::test]
async fn the_same_key_is_the_same_operation() {
    let blog = Blog::new().await;
    let send = async |user: &str| {
        let headers = [("idempotency-key", "once"), ("prefer", "wait=30")];
        let body = json!({"user": user, "email": "a@example.com", "password": "correct horse"});
        blog.api().json(Method::POST, &blog.at("/admins"), &headers, &body).await
    };
    let first = send("anna").await.is(200).json();
    assert_eq!(send("anna").await.is(200).json()["id"], first["id"]);
    send("eve").await.problem(422, "idempotency_key_reused");
}

#[tokio::test]
async fn what_a_host_cannot_do_is_501_without_a_call() {
    let off = json!({"features_off": [
        "wordpress.status", "wordpress.themes", "wordpress.plugins.install", "wordpress.security.debug",
        "wordpress.security.verify_checksums", "wordpress.cache.purge", "wordpress.login_link",
    ]});
    let blog = Blog::with(off).await;
    for (method, below, body, feature) in [
        (Method::GET, "", json!(null), "wordpress.status"),
        (Method::GET, "/themes", json!(null), "wordpress.themes.list"),
        (Method::POST, "/themes", json!({"source": "astra"}), "wordpress.themes.install"),
        (Method::POST, "/themes/astra/activate", json!({}), "wordpress.themes.activate"),
        (Method::POST, "/themes/astra/deactivate", json!({}), "wordpress.themes.deactivate"),
        (Method::POST, "/plugins", json!({"source": "astra"}), "wordpress.plugins.install"),
        (Method::PATCH, "/security", json!({"file_edit": true, "debug": true}), "wordpress.security.debug"),
        (Method::POST, "/security/verify-checksums", json!({}), "wordpress.security.verify_checksums"),
        (Method::POST, "/cache/purge", json!({}), "wordpress.cache.purge"),
        (Method::POST, "/login-link", json!({"user": "admin"}), "wordpress.login_link"),
    ] {
        let bytes = if body.is_null() { Bytes::new() } else { Bytes::from(body.to_string()) };
        let reply = blog.api().send(method, &blog.at(below), &[("content-type", "application/json")], bytes).await;
        assert_eq!(reply.problem(501, "unsupported")["fields"][0]["field"], feature);
    }
    let operations = blog.api().get("/operations?connection=blogs").await.is(200).json();
    assert_eq!(operations["data"].as_array().map(Vec::len), Some(1), "the site's own creation and nothing else: {operations}");
    // The other fields of security are there, and what can't be read back is left out.
    blog.change(Method::PATCH, "/security", "wordpress.security.update", &json!({"file_edit": false})).await;
    let quiet = blog.change(Method::PUT, "/maintenance", "wordpress.maintenance", &json!({"enabled": true})).await;
    assert_eq!(quiet["result"], json!(null), "{quiet}");
}

#[tokio::test]
async fn what_does_not_fit_is_refused_by_name() {
    let blog = Blog::new().await;
    for (method, below, body, field) in [
        (Method::POST, "/plugins", json!({}), "source"),
        (Method::POST, "/plugins", json!({"source": "--all"}), "source"),
        (Method::POST, "/plugins", json!({"source": "http://a.example/x.zip"}), "source"),
        (Method::POST, "/plugins", json!({"source": "a", "activate": "yes"}), "activate"),
        (Method::POST, "/themes", json!({"source": "a", "version": ""}), "version"),
        (Method::PUT, "/maintenance", json!({}), "enabled"),
        (Method::POST, "/core/update", json!({"version": "1.0"}), "version"),
        (Method::POST, "/core/reinstall", json!({"force": true}), "force"),
        (Method::POST, "/search-replace", json!({"search": "", "replace": "b"}), "search"),
        (Method::POST, "/search-replace", json!({"search": "a"}), "replace"),
        (Method::POST, "/search-replace", json!({"search": "a", "replace": "b", "tables": []}), "tables"),
        (Method::POST, "/search-replace", json!({"search": "a", "replace": "b", "tables": [1]}), "tables[0]"),
        (Method::POST, "/cache/purge", json!({"urls": []}), "urls"),
        (Method::POST, "/cache/purge", json!({"urls": ["a"]}), "urls[0]"),
        (Method::PATCH, "/security", json!({"debug": "on"}), "debug"),
        (Method::POST, "/admins", json!({"user": "anna", "email": "anna"}), "email"),
        (Method::POST, "/admins", json!({"user": "anna", "email": "a@b.example", "password": ""}), "password"),
        (Method::POST, "/password-reset", json!({"user": ""}), "user"),
        (Method::POST, "/login-link", json!({"user": "nobody"}), "user"),
    ] {
        let problem = blog.send(method, below, &body).await.problem(422, "invalid_input");
        assert_eq!(problem["fields"][0]["field"], field, "{below} {body}: {problem}");
    }
    let nothing = blog.send(Method::PATCH, "/security", &json!({})).await.problem(422, "invalid_input");
    assert!(
        nothing.get("fields").is_none() && nothing["detail"].to_string().contains("at least one of file_edit"),
        "{nothing}"
    );
    blog.send(Method::POST, "/plugins/..%2Fx/activate", &json!({})).await.problem(400, "invalid_id");
}

#[tokio::test]
async fn an_environment_is_named_or_production() {
    let blog = Blog::new().await;
    let _ = blog.send(Method::PUT, "/maintenance?environment=production", &json!({"enabled": true})).await.is(200);
    assert_eq!(blog.get("").await["maintenance"], true);
    // By the escaped form, in which answers write ids, too.
    let environments = blog.at("").replace("/wordpress", "/environments");
    let body = json!({"name": "My Staging", "source": "production"});
    let _ = blog.api().post(&environments, &body).await.is(201);
    for named in ["My%20Staging", "My=20Staging"] {
        for below in ["", "/plugins", "/cache"] {
            let _ = blog.api().get(&blog.at(&format!("{below}?environment={named}"))).await.is(200);
        }
    }
    for below in ["?environment=none", "/plugins?environment=none", "/cache?environment=none"] {
        let reply = blog.api().get(&blog.at(below)).await;
        assert!(reply.status.is_client_error(), "{below}: {}", reply.text());
    }
    let refused = blog.send(Method::POST, "/cache/flush?environment=none", &json!({})).await;
    assert!(refused.status.is_client_error(), "{}", refused.text());
    // Only WordPress has this toolkit.
    let body = json!({"connection": "blogs", "name": "Plain", "kind": "plain"});
    let plain = blog.api().post("/sites", &body).await.is(201).json();
    let path = format!("/sites/{}/wordpress", plain["result"]["id"].as_str().expect("an id"));
    blog.api().get(&path).await.problem(409, "conflict");
}
