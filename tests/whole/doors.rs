//! Who comes in, and with how much: strangers that take their time, tokens that give more than they have, people who go while they
//! are asking.
//!
//! Invariant: what is refused here has changed nothing, and whoever was let in is served meanwhile.

use http::Method;
use portico_tests::{Answer, Api, Gateway, Reply, Setup, Upstream, eventually};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

const PASSWORD: &str = "several words that I remember";

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("not a text: {value}"))
}

/// A head that announces a body, and as much of the body as isn't held back.
async fn begun(gateway: &Gateway, path: &str, headers: &[(&str, &str)], body: &str, held: usize) -> TcpStream {
    let mut stream = TcpStream::connect(gateway.api_address).await.expect("the gateway listens");
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let length = body.len();
    let head = format!(
        "POST /api/v1{path} HTTP/1.1\r\nhost: a\r\n{headers}content-type: application/json\r\ncontent-length: {length}\r\n\
         connection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.expect("it reads");
    stream.write_all(&body.as_bytes()[..length - held]).await.expect("it reads");
    stream
}

/// With `expect: 100-continue`, whose answer comes when the body is asked for: whoever sends it was let in by then.
async fn let_in(gateway: &Gateway, path: &str, headers: &[(&str, &str)], body: &str) -> TcpStream {
    const ASKED_FOR: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";
    let headers = [headers, &[("expect", "100-continue")]].concat();
    let mut stream = begun(gateway, path, &headers, body, 1).await;
    let mut said = [0; ASKED_FOR.len()];
    let _ = stream.read_exact(&mut said).await.expect("the body is asked for");
    assert_eq!(said, ASKED_FOR, "{}", String::from_utf8_lossy(&said));
    stream
}

async fn rest(mut stream: TcpStream) -> String {
    let mut said = String::new();
    stream.read_to_string(&mut said).await.expect("an answer");
    said
}

#[tokio::test]
async fn strangers_that_take_their_time_take_no_more_than_their_share() {
    // A quarter of 64 places for strangers, and an eighth of those for one address.
    let config = "[limits]\nin_flight = 64\n".to_owned();
    let gateway = Gateway::start_with(Setup { config, ..Setup::default() }).await;
    let body = json!({"email": "anna@example.com", "password": PASSWORD}).to_string();
    let mut slow = Vec::new();
    for _ in 0..100 {
        slow.push(begun(&gateway, "/auth/register", &[], &body, 1).await);
    }
    // All but two were told at once.
    let mut waiting = Vec::new();
    for mut stream in slow {
        let mut said = [0; 12];
        match tokio::time::timeout(Duration::from_secs(1), stream.read_exact(&mut said)).await {
            Ok(read) => drop((read.expect("an answer"), assert_eq!(&said, b"HTTP/1.1 503"))),
            Err(_) => waiting.push(stream),
        }
        assert!(waiting.len() <= 2, "one address has more than its share");
    }
    assert_eq!(waiting.len(), 2, "who came last");
    let _ = gateway.api.get("/sites").await.is(200);
    // Some met a full house before the one who made room had left.
    let refused =
        async |policy: &str| gateway.metric("portico_requests_refused_total", &[&format!("policy=\"{policy}\"")]).await;
    let strangers = refused("in_flight_without_credential").await;
    assert!(strangers > 0.0 && strangers + refused("in_flight").await >= 98.0, "{strangers}");
    // They are served when they have said everything, and make room.
    for mut stream in waiting {
        stream.write_all(b"}").await.expect("it reads");
        let said = rest(stream).await;
        assert!(said.starts_with("HTTP/1.1 201") || said.starts_with("HTTP/1.1 409"), "{said}");
    }
    let login = json!({"email": "anna@example.com", "password": PASSWORD});
    let _ = Api::new(gateway.api_address, None).json(Method::POST, "/api/v1/auth/login", &[], &login).await.is(200);
}

#[tokio::test]
async fn strangers_from_everywhere_that_take_their_time_keep_nobody_out() {
    let config = "[limits]\nin_flight = 64\n[server]\ntrusted_proxies = [\"127.0.0.1\"]\n".to_owned();
    let gateway = Gateway::start_with(Setup { config, ..Setup::default() }).await;
    let api = Api::new(gateway.api_address, None);
    let body = json!({"email": "anna@example.com", "password": PASSWORD});
    let from = |address: &str, door: &str| {
        let headers = [("x-forwarded-for", address.to_owned()), ("sec-fetch-site", "same-origin".to_owned())];
        let (api, path, body) = (&api, format!("/api/v1/auth/{door}"), &body);
        async move {
            let headers = headers.each_ref().map(|(name, value)| (*name, value.as_str()));
            api.json(Method::POST, &path, &headers, body).await
        }
    };
    let _ = from("203.0.113.7", "register").await.is(201);
    // Sixteen of sixty-four places are for strangers: two of each of twenty networks take them all.
    let mut slow = Vec::new();
    for number in 0..40 {
        let mut stream = TcpStream::connect(gateway.api_address).await.expect("the gateway listens");
        let head = format!(
            "POST /api/v1/auth/login HTTP/1.1\r\nhost: a\r\nx-forwarded-for: 198.51.100.{}\r\n\
             content-type: application/json\r\ncontent-length: 100\r\n\r\n{{",
            number / 2
        );
        stream.write_all(head.as_bytes()).await.expect("it reads");
        slow.push(stream);
    }
    eventually("all of the strangers' places to be taken", async || {
        let refused = gateway.metric("portico_requests_refused_total", &["policy=\"in_flight_without_credential\""]).await;
        (refused >= 24.0).then_some(())
    })
    .await;
    for _ in 0..5 {
        let _ = from("203.0.113.7", "login").await.is(200);
    }
    drop(slow);
}

#[tokio::test]
async fn who_loses_the_credential_while_sending_changes_nothing() {
    let gateway = Gateway::start().await;
    for (path, list, body) in [
        ("/tokens", "/tokens", json!({"name": "left behind"})),
        ("/invitations", "/invitations", json!({"email": "friend@example.com", "role": "owner"})),
        ("/connections", "/connections", json!({"id": "left-behind", "provider": "sandbox", "name": "L"})),
    ] {
        let made = gateway.api.post("/tokens", &json!({"name": "goes"})).await.is(201).json();
        let before = gateway.api.get(list).await.is(200).json()["data"].clone();
        let bearer = format!("Bearer {}", text(&made["token"]));
        let mut sending = let_in(&gateway, path, &[("authorization", &bearer)], &body.to_string()).await;
        let _ = gateway.api.delete(&format!("/tokens/{}", text(&made["id"]))).await.is(204);
        sending.write_all(b"}").await.expect("it reads");
        let said = rest(sending).await;
        assert!(said.starts_with("HTTP/1.1 401 ") && said.contains("\"code\":\"unauthenticated\""), "{path}: {said}");
        let after = gateway.api.get(list).await.is(200).json()["data"].clone();
        let without = |list: &Value| list.as_array().expect("data").iter().filter(|one| one["id"] != made["id"]).count();
        assert_eq!(without(&after), without(&before), "{path} {after}");
    }
}

/// The first answer under this key holds a token's value.
#[tokio::test]
async fn who_loses_the_credential_while_sending_is_not_shown_an_earlier_answer() {
    let gateway = Gateway::start().await;
    let made = gateway.api.post("/tokens", &json!({"name": "goes"})).await.is(201).json();
    let (going, bearer) = (gateway.api.with_token(text(&made["token"])), format!("Bearer {}", text(&made["token"])));
    let (body, key) = (json!({"name": "given"}), ("idempotency-key", "once"));
    let given = going.json(Method::POST, "/tokens", &[key], &body).await.is(201).json();
    let mut sending = let_in(&gateway, "/tokens", &[("authorization", &bearer), key], &body.to_string()).await;
    let _ = gateway.api.delete(&format!("/tokens/{}", text(&made["id"]))).await.is(204);
    sending.write_all(b"}").await.expect("it reads");
    let said = rest(sending).await;
    assert!(said.starts_with("HTTP/1.1 401 ") && said.contains("\"code\":\"unauthenticated\""), "{said}");
    assert!(!said.contains(text(&given["token"])), "{said}");
}

/// A change of labels, what shows something for this once, and a plan. All at the same time, since the host takes long: there must be
/// time to revoke their tokens meanwhile, on a busy machine, too.
#[tokio::test]
async fn who_loses_the_credential_while_a_host_is_asked_is_a_stranger() {
    let upstream = Upstream::start(|_| Answer::After(Duration::from_secs(10), Box::new(Answer::Json(200, json!({}))))).await;
    let gateway = Gateway::start().await;
    gateway.connect("slow", "sandbox", json!({"seed_sites": 2, "latency_url": upstream.url()})).await;
    let site = |number: usize| format!("/sites/slow~seed-0000{}", number + 1);
    let plan = json!({"files": [{"path": "/n", "size": 1, "blake3": "a".repeat(64), "sha256": "a".repeat(64)}]});
    let mut asked = Vec::new();
    for (number, key) in [None, Some(("idempotency-key", "once"))].into_iter().enumerate() {
        for (method, path, body) in [
            (Method::PATCH, site(number), json!({"labels": {"team": "gone"}})),
            (Method::POST, format!("{}/deployments/plans", site(number)), plan.clone()),
            (Method::POST, "/billing/checkout".to_owned(), json!({"connection": "slow", "plan": "starter"})),
        ] {
            let made = gateway.api.post("/tokens", &json!({"name": "goes"})).await.is(201).json();
            let (going, id) = (gateway.api.with_token(text(&made["token"])), text(&made["id"]).to_owned());
            let headers: Vec<_> = key.into_iter().collect();
            asked.push((id, async move { going.json(method, &path, &headers, &body).await.problem(401, "unauthenticated") }));
        }
    }
    let (ids, asked): (Vec<_>, Vec<_>) = asked.into_iter().unzip();
    let meanwhile = async {
        eventually("the host to be asked by all", async || (upstream.seen().len() >= ids.len()).then_some(())).await;
        for id in &ids {
            let _ = gateway.api.delete(&format!("/tokens/{id}")).await.is(204);
        }
    };
    tokio::join!(futures_util::future::join_all(asked), meanwhile);
    for number in 0..2 {
        assert_eq!(gateway.api.get(&site(number)).await.is(200).json()["labels"], json!({}));
    }
}

/// What is shown once is left to those who may still see it.
#[tokio::test]
async fn who_loses_the_credential_while_waiting_is_shown_nothing_and_uses_nothing_up() {
    let gateway = Gateway::start().await;
    gateway.connect("slow", "sandbox", json!({"work_seconds": 8})).await;
    let made = gateway.api.post("/tokens", &json!({"name": "goes"})).await.is(201).json();
    let going = gateway.api.with_token(text(&made["token"]));
    let site = |name: &str| json!({"connection": "slow", "name": name, "admin": {"user": "anna", "email": "anna@example.com"}});
    let accepted = gateway.api.json(Method::POST, "/sites", &[("prefer", "respond-async")], &site("A")).await.is(202).json();
    let (path, body) = (format!("/operations/{}?wait=30s", text(&accepted["id"])), site("B"));
    let meanwhile = async {
        let both = eventually("both changes to be accepted", async || {
            let list = gateway.api.get("/operations?connection=slow").await.is(200).json();
            list["data"].as_array().filter(|all| all.len() == 2).cloned()
        })
        .await;
        eventually("two that wait", async || (gateway.metric("portico_requests_in_flight", &[]).await >= 2.0).then_some(()))
            .await;
        let _ = gateway.api.delete(&format!("/tokens/{}", text(&made["id"]))).await.is(204);
        both
    };
    let (polled, changed, both) = tokio::join!(going.get(&path), going.post("/sites", &body), meanwhile);
    polled.problem(401, "unauthenticated");
    let accepted = changed.is(202).json();
    assert!(accepted["secrets"].is_null() && accepted["finished_at"].is_null(), "{accepted}");
    for operation in both {
        let shown = gateway.api.get(&format!("/operations/{}?wait=30s", text(&operation["id"]))).await.is(200).json();
        assert!(shown["secrets"]["admin_password"].is_string(), "{shown}");
    }
    // The change was carried out, and none was refused.
    let mut told = outcomes(&gateway.api, "sites.create").await;
    told.sort();
    assert_eq!(told, ["accepted", "accepted", "succeeded", "succeeded"]);
}

#[tokio::test]
async fn a_token_with_limits_makes_nobody_who_has_none() {
    let gateway = Gateway::start().await;
    let make = async |limits: Value| {
        let mut body = json!({"name": "limited", "role": "admin"});
        body.as_object_mut().expect("an object").extend(limits.as_object().expect("an object").clone());
        gateway.api.with_token(text(&gateway.api.post("/tokens", &body).await.is(201).json()["token"]))
    };
    let guest = json!({"email": "guest@example.com", "role": "viewer"});
    for limits in [
        json!({"connections": ["sandbox"]}),
        json!({"allowed_ips": ["127.0.0.0/8"]}),
        json!({"expires_at": "2999-01-01T00:00:00Z"}),
    ] {
        let field = limits.as_object().and_then(|limits| limits.keys().next()).expect("a limit").clone();
        let api = make(limits).await;
        let problem = api.post("/invitations", &guest).await.problem(403, "forbidden");
        assert!(text(&problem["detail"]).contains(&field), "{problem}");
    }
    let member = json!({"email": "member@example.com", "role": "viewer"});
    let invited = gateway.api.post("/invitations", &member).await.is(201).json();
    let accepted = json!({"token": invited["token"], "password": PASSWORD});
    let accepted = Api::new(gateway.api_address, None).json(Method::POST, "/api/v1/invitations/accept", &[], &accepted).await;
    let member = format!("/members/{}", text(&accepted.is(201).json()["user"]["id"]));
    let limited = make(json!({"connections": ["sandbox"]})).await;
    limited.json(Method::PATCH, &member, &[], &json!({"role": "admin"})).await.problem(403, "forbidden");
    limited.delete(&member).await.problem(403, "forbidden");
    let open = gateway.api.post("/invitations", &guest).await.is(201).json();
    let open = format!("/invitations/{}", text(&open["id"]));
    limited.delete(&open).await.problem(403, "forbidden");
    let _ = gateway.api.delete(&open).await.is(204);
    // A value that was rotated away has an end, too.
    let rotated = gateway.api.post("/tokens", &json!({"name": "rotated"})).await.is(201).json();
    let path = format!("/tokens/{}/rotate", text(&rotated["id"]));
    let _ = gateway.api.post(&path, &json!({"overlap_seconds": 600})).await.is(200);
    let former = gateway.api.with_token(text(&rotated["token"]));
    former.post("/invitations", &guest).await.problem(403, "forbidden");
    former.post(&path, &json!({})).await.problem(403, "forbidden");
    let whole = make(json!({"scopes": ["members:write", "invitations:write", "audit:read"]})).await;
    let _ = whole.json(Method::PATCH, &member, &[], &json!({"role": "admin"})).await.is(200);
    let _ = whole.post("/invitations", &guest).await.is(201);
    // What was done on other connections is nothing for a token of one.
    limited.get("/audit").await.problem(403, "forbidden");
    let _ = whole.get("/audit").await.is(200);
}

/// A person with a session in the organization that their registration made.
async fn registered(gateway: &Gateway, email: &str) -> (Reply, Api) {
    let stranger = Api::new(gateway.api_address, None);
    let body = json!({"email": email, "password": PASSWORD});
    let reply = stranger.json(Method::POST, "/api/v1/auth/register", &[], &body).await.is(201);
    let cookie = reply.header("set-cookie").and_then(|given| given.split(';').next()).expect("a cookie").to_owned();
    (reply, stranger.with_session(&cookie))
}

/// Outcomes of an action in the log of an organization.
async fn outcomes(api: &Api, action: &str) -> Vec<String> {
    let rows = api.get(&format!("/audit?action={action}&limit=100")).await.is(200).json();
    rows["data"].as_array().expect("rows").iter().map(|row| text(&row["outcome"]).to_owned()).collect()
}

#[tokio::test]
async fn what_did_not_happen_is_not_told_as_done() {
    let gateway = Gateway::start().await;
    let (_, anna) = registered(&gateway, "anna@example.com").await;
    assert_eq!(outcomes(&anna, "auth.register").await, ["done"]);
    anna.delete("/account").await.problem(409, "sole_owner");
    let admin = anna.post("/tokens", &json!({"name": "admin", "role": "admin"})).await.is(201).json();
    let admin = anna.with_token(text(&admin["token"]));
    let me = anna.get("/auth/me").await.is(200).json();
    let path = format!("/members/{}", text(&me["user"]["id"]));
    admin.delete(&path).await.problem(403, "role_too_high");
    assert_eq!(outcomes(&anna, "members.delete").await, ["refused"]);
    // A conflict is no row.
    assert_eq!(outcomes(&anna, "account.delete").await, [""; 0]);
    // The key of a refusal is free.
    let keyed = [("idempotency-key", "once")];
    let refused = admin.json(Method::PATCH, &path, &keyed, &json!({"role": "viewer"})).await;
    assert_eq!(refused.header("idempotency-replayed"), None);
    refused.problem(403, "role_too_high");
    let again = admin.json(Method::PATCH, &path, &keyed, &json!({"role": "viewer"})).await;
    assert_eq!(again.header("idempotency-replayed"), None, "{again:?}");
}

#[tokio::test]
async fn who_leaves_is_missed_by_every_organization() {
    let gateway = Gateway::start().await;
    let (_, anna) = registered(&gateway, "anna@example.com").await;
    let invited = anna.post("/invitations", &json!({"email": "bert@example.com", "role": "operator"})).await.is(201).json();
    let body = json!({"token": invited["token"], "password": PASSWORD});
    let stranger = Api::new(gateway.api_address, None);
    let reply = stranger.json(Method::POST, "/api/v1/invitations/accept", &[], &body).await.is(201);
    let cookie = reply.header("set-cookie").and_then(|given| given.split(';').next()).expect("a cookie").to_owned();
    let bert = stranger.with_session(&cookie);
    let invited =
        gateway.api.post("/invitations", &json!({"email": "bert@example.com", "role": "viewer"})).await.is(201).json();
    let joined = bert.json(Method::POST, "/invitations/accept", &[], &json!({"token": invited["token"]})).await.is(201);
    let cookie = joined.header("set-cookie").and_then(|given| given.split(';').next()).expect("a cookie").to_owned();
    let bert = stranger.with_session(&cookie);
    // Whoever goes over to another organization comes in there, and a password is that of all of them.
    let now = bert.get("/auth/me").await.is(200).json()["organization"]["id"].clone();
    let mine = bert.get("/auth/me").await.is(200).json()["organizations"].clone();
    let other =
        mine.as_array().expect("organizations").iter().find(|one| one["organization"]["id"] != now).expect("a second one");
    let gone_over = bert.post("/auth/refresh", &json!({"organization": other["organization"]["id"]})).await.is(200);
    let cookie = gone_over.header("set-cookie").and_then(|given| given.split(';').next()).expect("a cookie").to_owned();
    let bert = stranger.with_session(&cookie);
    let passwords = json!({"current": PASSWORD, "password": "other words that I remember"});
    let changed = bert.json(Method::PATCH, "/auth/password", &[], &passwords).await.is(200);
    let cookie = changed.header("set-cookie").and_then(|given| given.split(';').next()).expect("a cookie").to_owned();
    let bert = stranger.with_session(&cookie);
    let _ = bert.delete("/account").await.is(204);
    for api in [&anna, &gateway.api] {
        assert_eq!(outcomes(api, "invitations.accept").await, ["done"]);
        assert_eq!(outcomes(api, "auth.refresh").await, ["done"]);
        assert_eq!(outcomes(api, "auth.password").await, ["done"]);
        assert_eq!(outcomes(api, "account.delete").await, ["done"]);
    }
    eventually("the session to end", async || (bert.get("/auth/me").await.status == 401).then_some(())).await;
}

#[tokio::test]
async fn behind_a_proxy_that_does_tls_the_cookie_is_for_tls_alone() {
    let config = "[server]\ntrusted_proxies = [\"127.0.0.1\"]\n".to_owned();
    let gateway = Gateway::start_with(Setup { config, ..Setup::default() }).await;
    let register = async |name: &str, headers: &[(&str, &str)]| {
        let body = json!({"email": format!("{name}@example.com"), "password": PASSWORD});
        let stranger = Api::new(gateway.api_address, None);
        stranger.json(Method::POST, "/api/v1/auth/register", headers, &body).await.is(201)
    };
    let over = register("anna", &[("x-forwarded-for", "198.51.100.1"), ("x-forwarded-proto", "https")]).await;
    let given = over.header("set-cookie").expect("a cookie").to_owned();
    assert!(given.starts_with("__Host-portico_session=") && given.contains("; Secure"), "{given}");
    let plain = register("bert", &[("x-forwarded-for", "198.51.100.1"), ("x-forwarded-proto", "http")]).await;
    let given = plain.header("set-cookie").expect("a cookie");
    assert!(given.starts_with("portico_session=") && !given.contains("Secure"), "{given}");
    // That it goes over TLS is only said where it does.
    assert_eq!((over.header("strict-transport-security"), plain.header("strict-transport-security")), (None, None));
    // Nobody else is believed.
    let gateway = Gateway::start().await;
    let body = json!({"email": "cleo@example.com", "password": PASSWORD});
    let headers = [("x-forwarded-proto", "https")];
    let reply = Api::new(gateway.api_address, None).json(Method::POST, "/api/v1/auth/register", &headers, &body).await.is(201);
    assert!(reply.header("set-cookie").is_some_and(|given| !given.contains("Secure")), "{reply:?}");
}

#[tokio::test]
async fn a_cursor_is_good_for_nobody_else() {
    let gateway = Gateway::start().await;
    let settings = json!({"seed_sites": 3});
    let _ = gateway.connect("a", "sandbox", settings.clone()).await;
    let other = gateway.api.with_token(&gateway.new_token("other"));
    let body = json!({"id": "a", "provider": "sandbox", "name": "A", "settings": settings});
    let _ = other.post("/connections", &body).await.is(201);
    for path in ["/sites?limit=1", "/audit?limit=1"] {
        let page = gateway.api.get(path).await.is(200).json();
        let cursor = text(&page["next_cursor"]);
        let _ = gateway.api.get(&format!("{path}&cursor={cursor}")).await.is(200);
        other.get(&format!("{path}&cursor={cursor}")).await.problem(400, "cursor_invalid");
    }
}

#[tokio::test]
async fn a_secret_does_not_follow_a_changed_url() {
    let there = Upstream::start(|_| Answer::Json(200, json!({}))).await;
    let elsewhere = Upstream::start(|_| Answer::Json(200, json!({}))).await;
    let gateway = Gateway::start_with(Setup { guests: vec!["keyed"], ..Setup::default() }).await;
    let body = json!({
        "id": "keyed", "provider": "keyed", "name": "Keyed", "settings": {"url": there.url()},
        "secrets": {"api_key": "abc-secret-key"},
    });
    let _ = gateway.api.post("/connections", &body).await.is(201);
    let patch = async |body: Value| gateway.api.json(Method::PATCH, "/connections/keyed", &[], &body).await;
    let problem = patch(json!({"settings": {"url": elsewhere.url()}})).await.problem(422, "secret_unbound");
    assert_eq!(problem["fields"][0]["field"], "secrets.api_key", "{problem}");
    let shown = gateway.api.get("/connections/keyed").await.is(200).json();
    assert_eq!(shown["settings"]["url"], there.url(), "it was changed all the same");
    let _ = gateway.api.get("/sites/keyed~a").await.is(200);
    assert_eq!((elsewhere.seen().len(), there.seen().is_empty()), (0, false));
    // Whoever gives the secret again means the other place.
    let again = json!({"settings": {"url": elsewhere.url()}, "secrets": {"api_key": "another-secret"}});
    let _ = patch(again).await.is(200);
    let _ = gateway.api.get("/sites/keyed~b").await.is(200);
    assert!(!elsewhere.seen().is_empty());
}
