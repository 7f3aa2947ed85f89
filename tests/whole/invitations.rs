//! What an invitation leads to: a link that is whole where the operator says where people find the gateway, and a way out for who
//! finds an account of their address that isn't theirs.

use http::Method;
use portico_tests::{Api, Gateway, Setup};
use serde_json::{Value, json};

const PASSWORD: &str = "several words that I remember";

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("not a text: {value}"))
}

async fn invite(api: &Api, email: &str) -> Value {
    api.post("/invitations", &json!({"email": email, "role": "viewer"})).await.is(201).json()
}

#[tokio::test]
async fn a_link_begins_with_the_public_address() {
    let config = "[server]\npublic_url = \"https://portico.example.com\"\n".to_owned();
    let known = Gateway::start_with(Setup { config, ..Setup::default() }).await;
    for (gateway, address) in [(&known, "https://portico.example.com"), (&Gateway::start().await, "")] {
        let invited = invite(&gateway.api, "anna@example.com").await;
        assert_eq!(text(&invited["link"]), format!("{address}/join#{}", text(&invited["token"])));
    }
}

/// Nobody proves an address, so somebody else may have made the account of one.
#[tokio::test]
async fn who_finds_an_account_of_their_address_is_told_whom_to_ask() {
    let gateway = Gateway::start().await;
    let stranger = Api::new(gateway.api_address, None);
    let say = async |path: &str, body: Value| {
        stranger.json(Method::POST, &format!("/api/v1{path}"), &[("sec-fetch-site", "none")], &body).await
    };
    let taker = gateway.api.with_token(&gateway.new_token("taker"));
    let taken = invite(&taker, "anna@example.com").await;
    let _ = say("/invitations/accept", json!({"token": taken["token"], "password": PASSWORD})).await.is(201);
    let meant = invite(&gateway.api, "anna@example.com").await;
    let refused = say("/invitations/accept", json!({"token": meant["token"], "password": "words of the owner's own"})).await;
    let problem = refused.problem(409, "account_exists");
    assert!(text(&problem["detail"]).contains("ask the operator"), "{problem}");
    assert!(text(&problem["detail"]).contains("`portico user reset`"), "{problem}");
    // The operator gives it to its owner, who comes in, joins, and from then on works there without naming it.
    let said = gateway.run(&["user", "reset", "anna@example.com"]);
    let login = json!({"email": "anna@example.com", "password": said.trim()});
    let entered = say("/auth/login", login.clone()).await.is(200);
    assert_eq!(entered.json()["organization"]["id"], "taker");
    let cookie = entered.header("set-cookie").and_then(|given| given.split(';').next()).expect("a cookie").to_owned();
    let session = gateway.api.with_session(&cookie);
    let joined = session.post("/invitations/accept", &json!({"token": meant["token"]})).await.is(201).json();
    assert_eq!(joined["organization"]["id"], "demo");
    assert_eq!(say("/auth/login", login).await.is(200).json()["organization"]["id"], "demo");
    let named = json!({"email": "anna@example.com", "password": said.trim(), "organization": "taker"});
    assert_eq!(say("/auth/login", named).await.is(200).json()["organization"]["id"], "taker");
}
