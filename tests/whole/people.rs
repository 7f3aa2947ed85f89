//! What is done about people: whoever is given another password comes in at once, and with a member their tokens can go.
//!
//! Invariant: a removal that can't revoke all of them removes nobody, and the words of a wait tell nobody what became of the account.

use http::Method;
use portico_tests::{Api, Gateway, Reply};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::Instant;

const PASSWORD: &str = "several words that I remember";

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("not a text: {value}"))
}

/// Without a session, outside of a browser.
async fn say(gateway: &Gateway, path: &str, body: &Value) -> Reply {
    let stranger = Api::new(gateway.api_address, None);
    stranger.json(Method::POST, &format!("/api/v1{path}"), &[("sec-fetch-site", "none")], body).await
}

async fn login(gateway: &Gateway, email: &str, password: &str) -> Reply {
    say(gateway, "/auth/login", &json!({"email": email, "password": password})).await
}

/// Guesses until it takes longer to go on than the operator takes. Out comes until when it surely does.
async fn guess(gateway: &Gateway, email: &str) -> Instant {
    const LONG: u64 = 8;
    loop {
        let asked = Instant::now();
        let reply = login(gateway, email, "a wrong password").await;
        if reply.status != 429 {
            reply.problem(401, "wrong_credentials");
            continue;
        }
        let wait: u64 = reply.header("retry-after").and_then(|seconds| seconds.parse().ok()).expect("seconds");
        reply.problem(429, "too_many_attempts");
        if wait >= LONG {
            // It was rounded up.
            return asked + Duration::from_secs(wait - 1);
        }
        // Each wait is twice the last one.
        tokio::time::sleep(Duration::from_secs(wait)).await;
    }
}

/// A wrong password is told to wait as before, so that nobody learns that there is another one.
async fn is_told_to_wait(gateway: &Gateway, email: &str, until: Instant) -> u16 {
    let reply = login(gateway, email, "another wrong password").await;
    let status = reply.status;
    // On a machine where all this took longer than the wait, there is nothing to see.
    if Instant::now() < until {
        reply.problem(429, "too_many_attempts");
    }
    status.as_u16()
}

#[tokio::test]
async fn who_is_given_another_password_does_not_wait_for_the_guesses_before() {
    const EMAIL: &str = "anna@example.com";
    let gateway = Gateway::start().await;
    let first = gateway.run(&["user", "create", "--organization", "acme", "--email", EMAIL]);
    let until = guess(&gateway, EMAIL).await;
    let second = gateway.run(&["user", "reset", EMAIL]);
    let told = is_told_to_wait(&gateway, EMAIL, until).await;
    // Since it was looked at, it is in the log.
    let acme = gateway.api.with_token(&gateway.new_token("acme"));
    let newest = acme.get("/audit?action=auth.login&limit=1").await.is(200).json()["data"][0].clone();
    assert_eq!((&newest["outcome"], &newest["status"]), (&json!("refused"), &json!(told)), "{newest}");
    let _ = login(&gateway, EMAIL, second.trim()).await.is(200);
    login(&gateway, EMAIL, first.trim()).await.problem(401, "wrong_credentials");
}

#[tokio::test]
async fn an_account_that_is_made_is_not_told_to_who_guessed_before() {
    const EMAIL: &str = "bert@example.com";
    let gateway = Gateway::start().await;
    let until = guess(&gateway, EMAIL).await;
    let made = gateway.run(&["user", "create", "--organization", "acme", "--email", EMAIL]);
    let _ = is_told_to_wait(&gateway, EMAIL, until).await;
    let _ = login(&gateway, EMAIL, made.trim()).await.is(200);
}

#[tokio::test]
async fn a_failed_login_is_told_to_the_organization_that_it_named() {
    const EMAIL: &str = "bert@example.com";
    let gateway = Gateway::start().await;
    let (bert, _) = bring(&gateway, EMAIL, "viewer").await;
    let own = text(&bert.get("/auth/me").await.is(200).json()["organization"]["id"]).to_owned();
    let other = gateway.api.with_token(&gateway.new_token("beta"));
    let invited = other.post("/invitations", &json!({"email": EMAIL, "role": "viewer"})).await.is(201).json();
    let _ = bert.post("/invitations/accept", &json!({"token": invited["token"]})).await.is(201);
    let failed = async |api: &Api| {
        let rows = api.get("/audit?action=auth.login").await.is(200).json();
        rows["data"].as_array().expect("rows").iter().filter(|row| row["outcome"] == "refused").count()
    };
    let wrong = json!({"email": EMAIL, "password": "a wrong password", "organization": own});
    say(&gateway, "/auth/login", &wrong).await.problem(401, "wrong_credentials");
    assert_eq!((failed(&gateway.api).await, failed(&other).await), (1, 0));
    // Without a name it would have led to where they came last.
    login(&gateway, EMAIL, "a wrong password").await.problem(401, "wrong_credentials");
    assert_eq!((failed(&gateway.api).await, failed(&other).await), (1, 1));
}

/// Somebody who came by invitation: their session, and their id.
async fn bring(gateway: &Gateway, email: &str, role: &str) -> (Api, String) {
    let invited = gateway.api.post("/invitations", &json!({"email": email, "role": role})).await.is(201).json();
    let entered = say(gateway, "/invitations/accept", &json!({"token": invited["token"], "password": PASSWORD})).await.is(201);
    let cookie = entered.header("set-cookie").and_then(|given| given.split(';').next()).expect("a cookie").to_owned();
    (gateway.api.with_session(&cookie), text(&entered.json()["user"]["id"]).to_owned())
}

/// A token that this one makes, by its value.
async fn make(by: &Api, wish: Value) -> Api {
    let made = by.post("/tokens", &wish).await.is(201).json();
    by.with_token(text(&made["token"]))
}

async fn is_good(token: &Api) -> bool {
    match token.get("/auth/me").await {
        reply if reply.status == 401 => false,
        reply => reply.is(200).json()["token"].is_object(),
    }
}

/// Whether a member of this id is there.
async fn is_member(gateway: &Gateway, id: &str) -> bool {
    let members = gateway.api.get("/members?limit=100").await.is(200).json();
    members["data"].as_array().expect("members").iter().any(|member| member["id"] == id)
}

#[tokio::test]
async fn with_a_member_go_the_tokens_that_they_made_where_that_is_wanted() {
    let gateway = Gateway::start().await;
    let (bert, berts_id) = bring(&gateway, "bert@example.com", "admin").await;
    let (cleo, cleos_id) = bring(&gateway, "cleo@example.com", "admin").await;
    let first = make(&bert, json!({"name": "first"})).await;
    let second = make(&first, json!({"name": "second", "role": "viewer"})).await;
    let cleos = make(&cleo, json!({"name": "cleo's"})).await;
    let mut tokens = [String::new(), String::new()];
    for (id, token) in tokens.iter_mut().zip([&first, &second]) {
        text(&token.get("/auth/me").await.is(200).json()["token"]["id"]).clone_into(id);
    }
    let _ = first.post("/invitations", &json!({"email": "guest@example.com", "role": "viewer"})).await.is(201);
    let member = format!("/members/{berts_id}");
    let with_tokens = format!("{member}?revoke_tokens=true");
    // Who may remove members may not revoke tokens yet.
    let narrow = make(&gateway.api, json!({"name": "narrow", "scopes": ["members:write"]})).await;
    let refused = narrow.delete(&with_tokens).await.problem(403, "forbidden");
    assert!(text(&refused["detail"]).contains("tokens:write"), "{refused}");
    assert!(is_member(&gateway, &berts_id).await && is_good(&first).await && is_good(&second).await);
    let mut stream = second.watch("/api/v1/events?types=operation.updated", &[]).await;
    assert_eq!(stream.status, 200);
    let _ = cleo.delete(&with_tokens).await.is(204);
    assert!(stream.next().await.is_none(), "the stream outlived its token");
    assert!(!is_member(&gateway, &berts_id).await);
    assert!(!is_good(&first).await && !is_good(&second).await && is_good(&cleos).await);
    assert_eq!(gateway.api.get("/invitations").await.is(200).json()["data"], json!([]));
    // One row tells it, and one that it was refused before.
    let told = gateway.api.get("/audit?action=members.delete").await.is(200).json();
    let rows = told["data"].as_array().expect("rows").iter().map(|row| (text(&row["target"]), text(&row["outcome"])));
    assert_eq!(rows.collect::<Vec<_>>(), [(with_tokens.as_str(), "done"), (member.as_str(), "refused")]);
    // And which tokens went with it.
    let told = gateway.api.get("/audit?action=tokens.delete").await.is(200).json();
    let rows = told["data"].as_array().expect("rows");
    let mut gone: Vec<_> = rows.iter().map(|row| text(&row["target"]).to_owned()).collect();
    gone.sort_unstable();
    let mut expected = tokens.map(|id| format!("/tokens/{id}"));
    expected.sort_unstable();
    assert_eq!(gone, expected);
    assert!(rows.iter().all(|row| text(&row["actor"]) == format!("user:{cleos_id}") && row["outcome"] == "done"), "{told}");
    let _whole = gateway.run(&["audit", "verify"]);
    cleo.delete(&with_tokens).await.problem(404, "not_found");
    // What nobody asked for stays.
    let _ = gateway.api.delete(&format!("/members/{cleos_id}?revoke_tokens=false")).await.is(204);
    assert!(is_good(&cleos).await);
}

#[tokio::test]
async fn a_removal_that_cannot_revoke_all_tokens_removes_nobody() {
    let gateway = Gateway::start().await;
    // An organization keeps an owner.
    bring(&gateway, "olga@example.com", "owner").await;
    let (dora, doras_id) = bring(&gateway, "dora@example.com", "owner").await;
    let (cleo, _) = bring(&gateway, "cleo@example.com", "admin").await;
    let (high, low) = (make(&dora, json!({"name": "high"})).await, make(&dora, json!({"name": "low", "role": "viewer"})).await);
    let member = format!("/members/{doras_id}");
    let _ = gateway.api.json(Method::PATCH, &member, &[], &json!({"role": "viewer"})).await.is(200);
    cleo.delete(&format!("{member}?revoke_tokens=true")).await.problem(403, "role_too_high");
    assert!(is_member(&gateway, &doras_id).await && is_good(&high).await && is_good(&low).await);
    let _ = cleo.delete(&member).await.is(204);
    assert!(!is_member(&gateway, &doras_id).await && is_good(&high).await && is_good(&low).await);
}
