//! Guesses make their own address wait, and nobody else: an account can't be locked from afar.
//!
//! Invariant: every request here comes through one trusted proxy, so addresses are what its header says.

use http::Method;
use portico_tests::{Api, Gateway, Reply, Setup, wait_until};
use serde_json::json;
use std::time::Duration;

const EMAIL: &str = "anna@example.com";
const PASSWORD: &str = "several words that I remember";
/// Failures that nobody has to wait after.
const FREE: u32 = 5;

/// Asks for a session of the account, from this address.
async fn enter(api: &Api, door: &str, from: &str, password: &str) -> Reply {
    let headers = [("x-forwarded-for", from), ("sec-fetch-site", "same-origin")];
    let body = json!({"email": EMAIL, "password": password});
    api.json(Method::POST, &format!("/api/v1/auth/{door}"), &headers, &body).await
}

/// Guesses until one isn't looked at, and gives how many were.
async fn guess(api: &Api, from: &str) -> u32 {
    let mut looked_at = 0;
    loop {
        let reply = enter(api, "login", from, "a wrong password").await;
        if reply.status == 429 {
            assert!(reply.header("retry-after").is_some(), "{reply:?}");
            reply.problem(429, "too_many_attempts");
            return looked_at;
        }
        reply.problem(401, "wrong_credentials");
        looked_at += 1;
        // Each wait is twice the last one: more than these are no waits.
        assert!(looked_at < FREE + 10, "guesses go on from {from}");
    }
}

#[tokio::test]
async fn guesses_from_one_address_keep_nobody_else_out() {
    const GUESSER: &str = "198.51.100.1";
    const OWNER: &str = "203.0.113.7";
    let config = "[server]\ntrusted_proxies = [\"127.0.0.1\"]\n".to_owned();
    let gateway = Gateway::start_with(Setup { config, ..Setup::default() }).await;
    let api = Api::new(gateway.api_address, None);
    let _ = enter(&api, "register", OWNER, PASSWORD).await.is(201);
    assert!(guess(&api, GUESSER).await >= FREE);
    // A wait may be over before the owner is in; the next one is twice as long.
    wait_until("the guesser to wait while the owner is let in", Duration::from_secs(60), async || {
        guess(&api, GUESSER).await;
        let _ = enter(&api, "login", OWNER, PASSWORD).await.is(200);
        let again = enter(&api, "login", GUESSER, "a wrong password").await;
        (again.status == 429).then(|| again.problem(429, "too_many_attempts"))
    })
    .await;
}
