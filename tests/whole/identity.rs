//! People: they register, log in, invite each other, and go; other sites' pages and guessers get nowhere.
//!
//! Invariant: everything goes by the API and its cookie, as a browser would; what must not be written down is looked for in the log
//! and in the database's files.

use bytes::Bytes;
use http::Method;
use portico_tests::{Api, Gateway, Reply, Setup};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::Instant;

const PASSWORD: &str = "several words that I remember";
const OTHER: &str = "other words that I remember";

/// A browser: it keeps its cookie, and says that its own page asks.
struct Browser {
    api: Api,
    cookie: Option<String>,
}

impl Browser {
    fn new(gateway: &Gateway) -> Self {
        Self { api: Api::new(gateway.api_address, None), cookie: None }
    }

    async fn send(&self, method: Method, path: &str, body: &Value) -> Reply {
        self.say(method, path, &[("sec-fetch-site", "same-origin")], body).await
    }

    /// With these headers and the cookie, nothing else.
    async fn say(&self, method: Method, path: &str, headers: &[(&str, &str)], body: &Value) -> Reply {
        let mut headers = headers.to_vec();
        headers.extend(self.cookie.as_deref().map(|cookie| ("cookie", cookie)));
        let path = format!("/api/v1{path}");
        if body.is_null() {
            return self.api.send(method, &path, &headers, Bytes::new()).await;
        }
        self.api.json(method, &path, &headers, body).await
    }

    async fn get(&self, path: &str) -> Reply {
        self.send(Method::GET, path, &Value::Null).await
    }

    async fn post(&self, path: &str, body: &Value) -> Reply {
        self.send(Method::POST, path, body).await
    }

    /// Keeps what `Set-Cookie` says, as it has to be for a session.
    #[track_caller]
    fn keep(&mut self, reply: &Reply) {
        let given = reply.header("set-cookie").expect("a cookie");
        let (pair, attributes) = given.split_once(';').expect("attributes");
        for wanted in ["HttpOnly", "SameSite=Lax", "Path=/"] {
            assert!(attributes.contains(wanted), "{attributes}");
        }
        let value = pair.strip_prefix("portico_session=").expect("the session's cookie");
        self.cookie = (!value.is_empty()).then(|| pair.to_owned());
    }

    async fn register(gateway: &Gateway, email: &str) -> Self {
        let mut browser = Self::new(gateway);
        let reply = browser.post("/auth/register", &json!({"email": email, "password": PASSWORD})).await.is(201);
        browser.keep(&reply);
        browser
    }

    async fn login(gateway: &Gateway, email: &str, password: &str) -> Self {
        let mut browser = Self::new(gateway);
        let reply = browser.post("/auth/login", &json!({"email": email, "password": password})).await.is(200);
        browser.keep(&reply);
        browser
    }

    async fn me(&self) -> Value {
        self.get("/auth/me").await.is(200).json()
    }

    /// Invites somebody and lets them accept.
    async fn bring(&self, gateway: &Gateway, email: &str, role: &str) -> Self {
        let invited = self.post("/invitations", &json!({"email": email, "role": role})).await.is(201).json();
        let mut guest = Self::new(gateway);
        let body = json!({"token": invited["token"], "password": PASSWORD});
        let reply = guest.post("/invitations/accept", &body).await.is(201);
        guest.keep(&reply);
        guest
    }
}

fn login_of(email: &str, password: &str) -> Value {
    json!({"email": email, "password": password})
}

/// Runs `portico user …` beside the gateway, and gives what it prints.
fn user(gateway: &Gateway, arguments: &[&str]) -> String {
    let mut command = std::process::Command::new(portico_tests::gateway::binary());
    command.arg("user").args(arguments).env("PORTICO_DATA_DIR", gateway.data());
    let output = command.output().expect("portico user runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

#[tokio::test]
async fn from_the_registration_to_the_logout() {
    let gateway = Gateway::start().await;
    let mut anna = Browser::new(&gateway);
    let body = json!({"email": " Anna@EXAMPLE.com", "password": PASSWORD, "name": "Anna", "organization": "Studio Anna"});
    let reply = anna.post("/auth/register", &body).await.is(201);
    anna.keep(&reply);
    let me = anna.me().await;
    assert_eq!((&me["organization"]["id"], &me["role"]), (&json!("studio-anna"), &json!("owner")), "{me}");
    assert_eq!(
        (&me["user"]["email"], &me["user"]["name"], &me["token"]),
        (&json!("Anna@example.com"), &json!("Anna"), &Value::Null)
    );
    // Work by cookie, in the own organization alone.
    let connection = json!({"id": "mine", "provider": "sandbox", "name": "Mine"});
    let _ = anna.post("/connections", &connection).await.is(201);
    let _ = anna
        .say(
            Method::POST,
            "/sites",
            &[("sec-fetch-site", "same-origin"), ("prefer", "wait=30")],
            &json!({"connection": "mine", "name": "Site"}),
        )
        .await
        .is(201);
    assert_eq!(anna.get("/sites").await.is(200).json()["total"], 1);
    assert_eq!(gateway.api.get("/sites").await.is(200).json()["total"], 0, "another organization sees it");
    // Again, in capitals and under the hosts' own name for it, from another browser.
    let mut second = Browser::new(&gateway);
    let reply = second.post("/auth/login", &json!({"username": "ANNA@example.com", "password": PASSWORD})).await.is(200);
    second.keep(&reply);
    assert_eq!(second.me().await["user"]["id"], me["user"]["id"]);
    // Another cookie for the same session; the old one is dead at once.
    let old = anna.cookie.clone();
    let reply = anna.post("/auth/refresh", &Value::Null).await.is(200);
    anna.keep(&reply);
    assert_eq!(anna.me().await["session"]["id"], me["session"]["id"]);
    let stale = Browser { api: anna.api.clone(), cookie: old };
    stale.get("/auth/me").await.problem(401, "unauthenticated");
    // The logout ends this one, and takes the cookie back.
    let reply = anna.post("/auth/logout", &Value::Null).await.is(204);
    let ended = Browser { api: anna.api.clone(), cookie: anna.cookie.clone() };
    anna.keep(&reply);
    assert_eq!(anna.cookie, None);
    ended.get("/auth/me").await.problem(401, "unauthenticated");
    assert_eq!(second.me().await["role"], "owner", "the other browser's session ended, too");
    // A login replaces the session that the browser has.
    let reply = second.post("/auth/login", &login_of("anna@example.com", PASSWORD)).await.is(200);
    let replaced = Browser { api: second.api.clone(), cookie: second.cookie.clone() };
    second.keep(&reply);
    replaced.get("/auth/me").await.problem(401, "unauthenticated");
    assert_eq!(second.me().await["role"], "owner");
}

#[tokio::test]
async fn a_token_is_told_what_it_is_and_is_no_person() {
    let gateway = Gateway::start().await;
    let me = gateway.api.get("/auth/me").await.is(200).json();
    assert_eq!((&me["organization"]["id"], &me["token"]["name"], &me["user"]), (&json!("demo"), &json!("dev"), &Value::Null));
    for (method, path) in [(Method::POST, "/auth/logout"), (Method::POST, "/auth/refresh"), (Method::DELETE, "/account")] {
        gateway.api.send(method, path, &[], Bytes::new()).await.problem(403, "user_required");
    }
    let body = json!({"current": PASSWORD, "password": OTHER});
    gateway.api.json(Method::PATCH, "/auth/password", &[], &body).await.problem(403, "user_required");
    // A header wins over the cookie that a browser sends by itself.
    let anna = Browser::register(&gateway, "anna@example.com").await;
    let cookie = anna.cookie.as_deref().expect("a session");
    let both = gateway.api.send(Method::GET, "/auth/me", &[("cookie", cookie)], Bytes::new()).await.is(200).json();
    assert_eq!(both["organization"]["id"], "demo");
}

#[tokio::test]
async fn pages_of_other_sites_get_nowhere_with_a_cookie() {
    let gateway = Gateway::start().await;
    let anna = Browser::register(&gateway, "anna@example.com").await;
    let host = gateway.api_address.to_string();
    let (own, own_secure) = (format!("http://{host}"), format!("https://{host}"));
    let body = json!({"email": "bert@example.com", "role": "viewer"});
    let refused: [&[(&str, &str)]; 7] = [
        &[],
        &[("sec-fetch-site", "cross-site")],
        &[("sec-fetch-site", "same-site")],
        &[("sec-fetch-site", "cross-site"), ("origin", &own)],
        &[("origin", "https://evil.example")],
        &[("origin", "null")],
        &[("origin", "http://127.0.0.1")],
    ];
    for headers in refused {
        anna.say(Method::POST, "/invitations", headers, &body).await.problem(403, "cross_origin");
        anna.say(Method::DELETE, "/account", headers, &Value::Null).await.problem(403, "cross_origin");
    }
    assert_eq!(anna.get("/invitations").await.is(200).json()["data"], json!([]));
    let taken: [&[(&str, &str)]; 4] =
        [&[("sec-fetch-site", "same-origin")], &[("sec-fetch-site", "none")], &[("origin", &own)], &[("origin", &own_secure)]];
    for headers in taken {
        let _ = anna.say(Method::POST, "/invitations", headers, &body).await.is(201);
    }
    // What reads is the browser's own business.
    let _ = anna.say(Method::GET, "/sites", &[("sec-fetch-site", "cross-site")], &Value::Null).await.is(200);
    // A token needs none of this.
    let headers = [("sec-fetch-site", "cross-site"), ("content-type", "application/json")];
    let _ = gateway.api.send(Method::POST, "/invitations", &headers, body.to_string().into()).await.is(201);
    // Nor is anybody logged in as somebody else by another site's page.
    let stranger = Browser::new(&gateway);
    for (path, body) in [
        ("/auth/login", login_of("anna@example.com", PASSWORD)),
        ("/auth/register", login_of("eve@example.com", PASSWORD)),
        ("/invitations/accept", json!({"token": "pti_x", "password": PASSWORD})),
    ] {
        for headers in [[("sec-fetch-site", "cross-site")], [("origin", "https://evil.example")]] {
            stranger.say(Method::POST, path, &headers, &body).await.problem(403, "cross_origin");
        }
    }
    let _ = stranger.say(Method::POST, "/auth/login", &[], &login_of("anna@example.com", PASSWORD)).await.is(200);
    // Two cookies of the name: one of them may be of another page of the domain.
    let twice = format!("{}; portico_session=pts_x", anna.cookie.as_deref().expect("a session"));
    Browser { api: anna.api.clone(), cookie: Some(twice) }.get("/auth/me").await.problem(400, "malformed");
}

#[tokio::test]
async fn members_come_by_invitation_and_have_their_role_at_once() {
    let gateway = Gateway::start().await;
    let anna = Browser::register(&gateway, "anna@example.com").await;
    let bert = anna.bring(&gateway, "bert@example.com", "admin").await;
    let me = bert.me().await;
    assert_eq!((&me["role"], &me["organization"]["id"]), (&json!("admin"), &json!("anna")));
    let id = me["user"]["id"].as_str().expect("an id").to_owned();
    let members = anna.get("/members").await.is(200).json();
    let emails: Vec<_> = members["data"].as_array().expect("members").iter().map(|one| one["email"].clone()).collect();
    assert_eq!(emails, ["anna@example.com", "bert@example.com"]);
    assert_eq!(anna.get("/members?limit=1").await.is(200).json()["data"].as_array().map(Vec::len), Some(1));
    // Nobody invites above their own role, or touches somebody above.
    let owner = anna.me().await["user"]["id"].as_str().expect("an id").to_owned();
    bert.post("/invitations", &json!({"email": "c@example.com", "role": "owner"})).await.problem(403, "role_too_high");
    bert.send(Method::PATCH, &format!("/members/{owner}"), &json!({"role": "viewer"})).await.problem(403, "role_too_high");
    bert.send(Method::DELETE, &format!("/members/{owner}"), &Value::Null).await.problem(403, "role_too_high");
    bert.send(Method::PATCH, &format!("/members/{id}"), &json!({"role": "owner"})).await.problem(403, "role_too_high");
    anna.post("/invitations", &json!({"email": "Bert@example.com", "role": "viewer"})).await.problem(409, "already_member");
    // Nor takes away what somebody above invited to, by another invitation or by none.
    let olga = anna.post("/invitations", &json!({"email": "olga@example.com", "role": "owner"})).await.is(201).json();
    let invitation = format!("/invitations/{}", olga["id"].as_str().expect("an id"));
    bert.post("/invitations", &json!({"email": "olga@example.com", "role": "viewer"})).await.problem(403, "role_too_high");
    bert.send(Method::DELETE, &invitation, &Value::Null).await.problem(403, "role_too_high");
    let _ = anna.send(Method::DELETE, &invitation, &Value::Null).await.is(204);
    // Another role ends the sessions that were given under the old one.
    let path = format!("/members/{id}");
    assert_eq!(anna.send(Method::PATCH, &path, &json!({"role": "viewer"})).await.is(200).json()["role"], "viewer");
    bert.get("/auth/me").await.problem(401, "unauthenticated");
    let bert = Browser::login(&gateway, "bert@example.com", PASSWORD).await;
    assert_eq!(bert.me().await["role"], "viewer");
    // The own role goes down with another cookie for the own session.
    let own = format!("/members/{owner}");
    anna.send(Method::PATCH, &own, &json!({"role": "admin"})).await.problem(409, "sole_owner");
    let _ = anna.send(Method::PATCH, &path, &json!({"role": "owner"})).await.is(200);
    let mut anna = anna;
    let old = anna.cookie.clone();
    let reply = anna.send(Method::PATCH, &own, &json!({"role": "admin"})).await.is(200);
    anna.keep(&reply);
    assert_eq!(anna.me().await["role"], "admin");
    Browser { api: anna.api.clone(), cookie: old }.get("/auth/me").await.problem(401, "unauthenticated");
    // Who is taken out has no account any more, and no session.
    let bert = Browser::login(&gateway, "bert@example.com", PASSWORD).await;
    let carla = anna.bring(&gateway, "carla@example.com", "operator").await;
    let id = carla.me().await["user"]["id"].as_str().expect("an id").to_owned();
    let _ = bert.send(Method::DELETE, &format!("/members/{id}"), &Value::Null).await.is(204);
    carla.get("/sites").await.problem(401, "unauthenticated");
    let gone = Browser::new(&gateway).post("/auth/login", &login_of("carla@example.com", PASSWORD)).await;
    gone.problem(401, "wrong_credentials");
    bert.send(Method::DELETE, &format!("/members/{id}"), &Value::Null).await.problem(404, "not_found");
    bert.send(Method::DELETE, "/members/bert", &Value::Null).await.problem(400, "invalid_id");
}

#[tokio::test]
async fn an_invitation_is_good_once_and_for_its_address() {
    let gateway = Gateway::start().await;
    let anna = Browser::register(&gateway, "anna@example.com").await;
    let invite = async |by: &Browser, email: &str| {
        let made = by.post("/invitations", &json!({"email": email, "role": "operator"})).await.is(201).json();
        (made["id"].as_str().expect("an id").to_owned(), made["token"].as_str().expect("a token").to_owned())
    };
    let accept = async |token: &str| {
        Browser::new(&gateway).post("/invitations/accept", &json!({"token": token, "password": PASSWORD})).await
    };
    let (_, first) = invite(&anna, "bert@example.com").await;
    let (id, second) = invite(&anna, "bert@example.com").await;
    assert_ne!(first, second);
    let listed = anna.get("/invitations").await.is(200).json();
    assert_eq!(
        (&listed["data"][0]["id"], &listed["data"][0]["token"], &listed["data"][1]),
        (&json!(id), &Value::Null, &Value::Null)
    );
    // SQLite reckons with dates.
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(gateway.data().join("portico.db")).read_only(true);
    let mut database = sqlx::ConnectOptions::connect(&options).await.expect("the database");
    let left = sqlx::query_scalar("SELECT julianday(?) - julianday('now')").bind(listed["data"][0]["expires_at"].as_str());
    let days: f64 = left.fetch_one(&mut database).await.expect("a time");
    assert!((6.99..7.01).contains(&days), "it ends in {days} days");
    accept(&first).await.problem(422, "invitation_invalid");
    for bad in ["", "pti_x", &second.to_uppercase(), &second[..second.len() - 1]] {
        accept(bad).await.problem(422, "invitation_invalid");
    }
    let weak =
        Browser::new(&gateway).post("/invitations/accept", &json!({"token": second, "password": "bert@example.com"})).await;
    assert_eq!(weak.problem(422, "invalid_input")["fields"][0]["field"], "password");
    let without = Browser::new(&gateway).post("/invitations/accept", &json!({"token": second})).await;
    assert_eq!(without.problem(422, "invalid_input")["fields"][0]["field"], "password");
    let _ = accept(&second).await.is(201);
    accept(&second).await.problem(422, "invitation_invalid");
    let (id, third) = invite(&anna, "carla@example.com").await;
    let _ = anna.send(Method::DELETE, &format!("/invitations/{id}"), &Value::Null).await.is(204);
    anna.send(Method::DELETE, &format!("/invitations/{id}"), &Value::Null).await.problem(404, "not_found");
    accept(&third).await.problem(422, "invitation_invalid");
    // Who has an account joins with their session, and works where they choose to.
    let mut dora = Browser::register(&gateway, "dora@example.com").await;
    let (_, token) = invite(&anna, "Dora@Example.com").await;
    accept(&token).await.problem(409, "account_exists");
    let body = json!({"token": token});
    Browser::login(&gateway, "bert@example.com", PASSWORD)
        .await
        .post("/invitations/accept", &body)
        .await
        .problem(403, "invitation_of_another");
    dora.say(Method::POST, "/invitations/accept", &[], &body).await.problem(403, "cross_origin");
    let reply = dora.post("/invitations/accept", &body).await.is(201);
    let old = Browser { api: dora.api.clone(), cookie: dora.cookie.clone() };
    dora.keep(&reply);
    old.get("/auth/me").await.problem(401, "unauthenticated");
    let me = dora.me().await;
    assert_eq!((&me["organization"]["id"], &me["role"]), (&json!("anna"), &json!("operator")));
    assert_eq!(me["organizations"].as_array().map(Vec::len), Some(2));
    let reply = dora.post("/auth/refresh", &json!({"organization": "dora"})).await.is(200);
    dora.keep(&reply);
    assert_eq!(dora.me().await["role"], "owner");
    dora.post("/auth/refresh", &json!({"organization": "demo"})).await.problem(422, "invalid_input");
    let body = json!({"email": "dora@example.com", "password": PASSWORD, "organization": "anna"});
    assert_eq!(Browser::new(&gateway).post("/auth/login", &body).await.is(200).json()["role"], "operator");
    // Who names none comes to the one that they joined last.
    assert_eq!(Browser::login(&gateway, "dora@example.com", PASSWORD).await.me().await["organization"]["id"], "anna");
}

#[tokio::test]
async fn accounts_end_and_passwords_change() {
    let gateway = Gateway::start().await;
    let mut anna = Browser::register(&gateway, "anna@example.com").await;
    anna.send(Method::DELETE, "/account", &Value::Null).await.problem(409, "sole_owner");
    // Another password: the other sessions end, this one goes on with another cookie.
    let elsewhere = Browser::login(&gateway, "anna@example.com", PASSWORD).await;
    let change = |current: &str, new: &str| json!({"current": current, "password": new});
    let patch = async |anna: &Browser, body: &Value| anna.send(Method::PATCH, "/auth/password", body).await;
    let wrong = patch(&anna, &change("wrong", OTHER)).await.problem(422, "wrong_password");
    assert_eq!(wrong["fields"][0]["field"], "current");
    let rows = anna.get("/audit?action=auth.password").await.is(200).json();
    assert_eq!((&rows["data"][0]["outcome"], &rows["data"][0]["status"]), (&json!("refused"), &json!(422)), "{rows}");
    for weak in ["short", PASSWORD, "anna@example.com", "passwordpassword"] {
        patch(&anna, &change(PASSWORD, weak)).await.problem(422, "invalid_input");
    }
    let reply = patch(&anna, &change(PASSWORD, OTHER)).await.is(200);
    anna.keep(&reply);
    assert_eq!(anna.me().await["role"], "owner");
    elsewhere.get("/auth/me").await.problem(401, "unauthenticated");
    let old = Browser::new(&gateway).post("/auth/login", &login_of("anna@example.com", PASSWORD)).await;
    old.problem(401, "wrong_credentials");
    // The operator resets it: all sessions end, within the seconds that a look-up is trusted.
    let given = user(&gateway, &["reset", "Anna@example.com"]);
    portico_tests::eventually("the session to end", async || (anna.get("/auth/me").await.status == 401).then_some(())).await;
    let anna = Browser::login(&gateway, "anna@example.com", &given).await;
    // The operator makes somebody, who is in the list, and who lets the first owner go.
    let given = user(&gateway, &["create", "--organization", "anna", "--email", "bert@example.com", "--role", "owner"]);
    let list = user(&gateway, &["list", "--organization", "anna"]);
    assert!(list.contains("anna\towner\tbert@example.com") && list.lines().count() == 3, "{list}");
    let bert = Browser::login(&gateway, "bert@example.com", &given).await;
    let mut ended = Browser { api: anna.api.clone(), cookie: anna.cookie.clone() };
    let reply = anna.send(Method::DELETE, "/account", &Value::Null).await.is(204);
    ended.get("/auth/me").await.problem(401, "unauthenticated");
    ended.keep(&reply);
    assert_eq!(ended.cookie, None);
    assert_eq!(bert.get("/members").await.is(200).json()["data"].as_array().map(Vec::len), Some(1));
    // The address is free again.
    Browser::register(&gateway, "anna@example.com").await;
}

#[tokio::test]
async fn registration_is_open_only_where_it_was_opened() {
    for (mode, status) in [("invitation", 201), ("closed", 403)] {
        let gateway = Gateway::start_with(Setup {
            environment: vec![("PORTICO_REGISTRATION__MODE".to_owned(), mode.to_owned())],
            ..Setup::default()
        })
        .await;
        let stranger = Browser::new(&gateway);
        for email in ["anna@example.com", "nobody@example.com"] {
            stranger.post("/auth/register", &login_of(email, PASSWORD)).await.problem(403, "registration_closed");
        }
        let invited =
            gateway.api.post("/invitations", &json!({"email": "anna@example.com", "role": "owner"})).await.is(201).json();
        let reply = stranger.post("/invitations/accept", &json!({"token": invited["token"], "password": PASSWORD})).await;
        assert_eq!(reply.status, status, "{mode}: {}", reply.text());
    }
    // Where it is open, an address has one account, and a grant's organization isn't taken by its name.
    let grants = "[[grants]]\norganization = \"acme\"\nprovider = \"*\"\nnetworks = [\"127.0.0.0/8\"]\nhttp = true\n";
    let gateway = Gateway::start_with(Setup { config: grants.to_owned(), ..Setup::default() }).await;
    let mut slugs = Vec::new();
    for (email, organization) in [("a@example.com", "Acme"), ("b@example.com", "Studio"), ("c@example.com", "Studio")] {
        let body = json!({"email": email, "password": PASSWORD, "organization": organization});
        let me = Browser::new(&gateway).post("/auth/register", &body).await.is(201).json();
        slugs.push(me["organization"]["id"].as_str().expect("a slug").to_owned());
    }
    assert!(slugs[0].starts_with("acme-") && slugs[1] == "studio" && slugs[2].starts_with("studio-"), "{slugs:?}");
    let again = Browser::new(&gateway).post("/auth/register", &login_of("A@Example.com", PASSWORD)).await;
    again.problem(409, "email_taken");
}

/// The link alone is enough: the page behind it makes the account, and the session is out of reach of its scripts.
#[tokio::test]
async fn the_link_of_an_invitation_works_in_a_browser() {
    let gateway = Gateway::start().await;
    let invited =
        gateway.api.post("/invitations", &json!({"email": "bert@example.com", "role": "operator"})).await.is(201).json();
    let origin = format!("http://{}", gateway.api_address);
    let browser = portico_tests::browser::Browser::start().await;
    browser.open(&format!("{origin}{}", invited["link"].as_str().expect("a link"))).await;
    let shows = async |what: &str, script: &str| {
        portico_tests::wait_until(what, Duration::from_secs(60), async || {
            (browser.run(script, &[]).await == true).then_some(())
        })
        .await
    };
    shows("the form", "return document.getElementById('new') !== null").await;
    let fill = "document.getElementById('name').value = 'Bert'; document.getElementById('password').value = arguments[0]; \
                document.querySelector('#new button').click()";
    browser.run(fill, &[json!(PASSWORD)]).await;
    shows(
        "the welcome",
        "return document.getElementById('outcome').textContent === 'Welcome, Bert: you are operator of Demo.'",
    )
    .await;
    assert_eq!(browser.run("return location.hash + document.cookie", &[]).await, "", "a script can read the secret");
    browser.run("fetch('/api/v1/auth/me').then((answer) => answer.json()).then((me) => window.me = me)", &[]).await;
    shows("the session", "return window.me !== undefined && window.me.user.email === 'bert@example.com'").await;
    let leave = "fetch('/api/v1/auth/logout', { method: 'POST' }).then((answer) => window.left = answer.status)";
    browser.run(leave, &[]).await;
    shows("the logout", "return window.left === 204").await;
}

/// How long it takes to be told that a guess was wrong.
async fn guess(stranger: &Browser, email: &str) -> Duration {
    let begun = Instant::now();
    let reply = stranger.post("/auth/login", &login_of(email, "a wrong password")).await;
    let took = begun.elapsed();
    assert_eq!(reply.problem(401, "wrong_credentials")["detail"], "the e-mail address or the password is wrong");
    took
}

/// Whether there is such a user, neither words nor time tell; and nobody is locked out by somebody else's guesses.
#[tokio::test]
async fn guessing_tells_nothing_and_gets_slower() {
    const WHO: [&str; 2] = ["known", "unknown"];
    let gateway = Gateway::start().await;
    let stranger = Browser::new(&gateway);
    let mut least = [Duration::MAX; 2];
    let are_alike = |[known, unknown]: [Duration; 2]| known.max(unknown) < 2 * known.min(unknown);
    // Whatever else the machine does only adds to it: on a busy one it takes longer until both had a quiet moment.
    for pair in 0..150 {
        if pair >= 30 && are_alike(least) {
            break;
        }
        // Five guesses at an account are free.
        let (account, is_new) = (pair / 5, pair % 5 == 0);
        if is_new {
            user(&gateway, &["create", "--organization", "many", "--email", &format!("known-{account}@example.com")]);
        }
        // In turns, so that neither is always the first.
        for who in [pair % 2, 1 - pair % 2] {
            least[who] = guess(&stranger, &format!("{}-{account}@example.com", WHO[who])).await.min(least[who]);
        }
    }
    eprintln!("the least of known and unknown users: {least:?}");
    assert!(are_alike(least), "known and unknown users can be told apart: {least:?}");
    for email in ["guessed@example.com", "unknown@example.com"] {
        for _ in 0..5 {
            stranger.post("/auth/login", &login_of(email, "a wrong password")).await.problem(401, "wrong_credentials");
        }
        let refused = stranger.post("/auth/login", &login_of(email, "a wrong password")).await;
        assert!(refused.header("retry-after").is_some(), "{}", refused.text());
        refused.problem(429, "too_many_attempts");
    }
    assert!(gateway.metric("portico_logins_total", &["outcome=\"throttled\""]).await >= 2.0);
}

#[tokio::test]
async fn a_flood_of_logins_leaves_everybody_else_alone() {
    let gateway = Gateway::start().await;
    let (api, admin) = (gateway.fresh_api(), gateway.admin.fresh());
    let flood: Vec<_> = (0..200)
        .map(|number| {
            let stranger = Browser::new(&gateway);
            tokio::spawn(async move {
                let reply = stranger.post("/auth/login", &login_of(&format!("{number}@example.com"), "a wrong password")).await;
                (reply.status.as_u16(), reply.header("retry-after").is_some())
            })
        })
        .collect();
    // Others are served meanwhile.
    let mut slowest = Duration::ZERO;
    while flood.iter().any(|one| !one.is_finished()) {
        let begun = Instant::now();
        let _ = admin.get("/livez").await.is(200);
        let _ = api.get("/sites").await.is(200);
        slowest = slowest.max(begun.elapsed());
    }
    assert!(slowest < Duration::from_secs(2), "{slowest:?}");
    let (mut compared, mut refused) = (0, 0);
    for one in flood {
        match one.await.expect("an answer") {
            (401, _) => compared += 1,
            (429 | 503, true) => refused += 1,
            other => panic!("{other:?}"),
        }
    }
    assert!(compared > 0 && refused > 0, "{compared} compared, {refused} refused");
    // And it is over when it is over.
    Browser::register(&gateway, "anna@example.com").await;
}

#[tokio::test]
async fn what_opens_a_door_is_written_down_nowhere() {
    let environment = vec![("PORTICO_LOG__LEVEL".to_owned(), "trace,hyper=info,h2=info".to_owned())];
    let gateway = Gateway::start_with(Setup { environment, ..Setup::default() }).await;
    let anna = Browser::register(&gateway, "anna@example.com").await;
    let invited = anna.post("/invitations", &json!({"email": "bert@example.com", "role": "viewer"})).await.is(201).json();
    let bert = Browser::new(&gateway)
        .post("/invitations/accept", &json!({"token": invited["token"], "password": OTHER}))
        .await
        .is(201);
    let given = user(&gateway, &["create", "--organization", "acme", "--email", "carla@example.com"]);
    Browser::new(&gateway)
        .post("/auth/login", &login_of("bert@example.com", "a wrong password"))
        .await
        .problem(401, "wrong_credentials");
    let session = anna.cookie.as_deref().expect("a session").trim_start_matches("portico_session=");
    let mut files = vec![("the log".to_owned(), gateway.log().into_bytes())];
    for entry in std::fs::read_dir(gateway.data()).expect("the data folder") {
        let path = entry.expect("an entry").path();
        if path.is_file() {
            files.push((path.display().to_string(), std::fs::read(&path).expect("a file")));
        }
    }
    assert!(files.iter().any(|(name, bytes)| name.ends_with("portico.db-wal") && !bytes.is_empty()), "nothing was written");
    let holds = |bytes: &[u8], text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(files.iter().any(|(_, bytes)| holds(bytes, "anna@example.com")), "the account isn't there");
    for secret in [PASSWORD, OTHER, "a wrong password", &given, session, invited["token"].as_str().expect("a token")] {
        for (name, bytes) in &files {
            assert!(!holds(bytes, secret), "{secret} is in {name}");
        }
    }
    assert!(!bert.text().contains("pts_"), "a session's secret is in a body");
}

#[tokio::test]
async fn a_stream_takes_the_cookie_and_ends_with_the_session() {
    let gateway = Gateway::start().await;
    let anna = Browser::register(&gateway, "anna@example.com").await;
    let cookie = anna.cookie.as_deref().expect("a session");
    let mut stream = anna.api.watch("/api/v1/events", &[("cookie", cookie)]).await;
    assert_eq!(stream.status, 200);
    let _ = anna.post("/auth/logout", &Value::Null).await.is(204);
    assert!(stream.next().await.is_none(), "the stream outlived its session");
}

/// Another secret for the same session: what came with the one before ends, what came with this one doesn't.
#[tokio::test]
async fn a_refresh_ends_the_streams_of_the_cookie_before_alone() {
    let gateway = Gateway::start().await;
    let mut anna = Browser::register(&gateway, "anna@example.com").await;
    let _ = anna.post("/connections", &json!({"id": "mine", "provider": "sandbox", "name": "Mine"})).await.is(201);
    let watch = async |browser: &Browser| {
        let cookie = browser.cookie.as_deref().expect("a session");
        browser.api.watch("/api/v1/events?types=operation.updated", &[("cookie", cookie)]).await
    };
    let mut before = watch(&anna).await;
    let reply = anna.post("/auth/refresh", &Value::Null).await.is(200);
    anna.keep(&reply);
    let mut after = watch(&anna).await;
    assert_eq!(before.status, 200);
    assert_eq!(after.status, 200);
    assert!(before.next().await.is_none(), "the stream outlived its cookie");
    let _ = anna.post("/sites", &json!({"connection": "mine", "name": "Site"})).await;
    let event = after.next().await.expect("the stream of the present cookie ended as well");
    assert_eq!(event.kind, "operation.updated");
}
