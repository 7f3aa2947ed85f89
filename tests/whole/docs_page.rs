//! The API's own documentation: open to everybody, whole, and usable in a real browser without any other server.

use http::Method;
use portico_tests::{Api, Gateway, browser::Browser, gateway::root, wait_until};
use serde_json::{Value, json};
use std::time::Duration;

#[tokio::test]
async fn the_document_is_open_and_is_the_committed_one() {
    let gateway = Gateway::start().await;
    let stranger = Api::new(gateway.api_address, None);
    let document = stranger.get("/openapi.json").await.is(200);
    assert_eq!(document.header("content-type"), Some("application/json"));
    let golden = std::fs::read_to_string(root().join("gateway/openapi.json")).expect("the golden document");
    assert_eq!(document.json(), serde_json::from_str::<Value>(&golden).expect("JSON"));
    let page = stranger.get("/docs").await.is(200);
    let policy = page.header("content-security-policy").unwrap_or_default();
    assert!(policy.starts_with("default-src 'none'; script-src 'self';"), "{policy}");
    assert_eq!(page.header("x-content-type-options"), Some("nosniff"));
    // Swagger UI brings a page and maps of its own, which aren't ours.
    assert_eq!(stranger.get("/docs/ui").await.is(308).header("location"), Some("/docs"));
    stranger.get("/docs/ui/swagger-ui.css.map").await.problem(401, "unauthenticated");
    // Everything else still wants a token.
    stranger.get("/api/v1/sites").await.problem(401, "unauthenticated");
    stranger.get("/docs/none").await.problem(401, "unauthenticated");
    let answer = stranger.send(Method::POST, "/docs", &[], bytes::Bytes::new()).await;
    assert_eq!(answer.status, 405);
}

/// An invitation's link in a browser: what is wrong is told, then the account is made and its session begins.
#[tokio::test]
async fn an_invitation_is_accepted_in_a_browser() {
    let gateway = Gateway::start().await;
    let origin = format!("http://{}", gateway.api_address);
    let body = json!({"email": "bea@example.com", "role": "operator"});
    let invited = gateway.api.post("/invitations", &body).await.is(201).json();
    let browser = Browser::start().await;
    let says = async |what: &str, words: &str| {
        wait_until(what, Duration::from_secs(60), async || {
            let text = browser.run("return document.getElementById('outcome').textContent", &[]).await;
            text.as_str().is_some_and(|text| text.contains(words)).then_some(())
        })
        .await;
    };
    let fill = async |name: &str, password: &str| {
        let script = "document.getElementById('name').value = arguments[0]; \
                      document.getElementById('password').value = arguments[1]; \
                      document.querySelector('#new button').click()";
        browser.run(script, &[json!(name), json!(password)]).await;
    };
    browser.open(&format!("{origin}/join#pti_nonsense")).await;
    fill("Bea", "a-long-enough-password").await;
    says("the refusal", "invitation").await;
    browser.open("about:blank").await;
    let link = invited["link"].as_str().expect("a link");
    browser.open(&format!("{origin}{link}")).await;
    fill("Bea", "a-long-enough-password").await;
    says("the welcome", "Welcome, Bea: you are operator of").await;
    // The secret is gone from the address, and the session's cookie is there and out of the page's reach.
    let page = browser.run("return [location.hash, document.cookie]", &[]).await;
    assert_eq!(page, json!(["", ""]));
    let me = "return fetch('/api/v1/auth/me').then((answer) => answer.json())";
    assert_eq!(browser.run(me, &[]).await["user"]["email"], "bea@example.com");
    let asked = browser.asked_for().await;
    let leaves = |address: &&String| address.starts_with("http") && !address.starts_with(&format!("{origin}/"));
    assert_eq!(asked.iter().filter(leaves).collect::<Vec<_>>(), Vec::<&String>::new());
    assert!(!gateway.log().contains("pti_"), "an invitation's secret is in the log");
}

/// Chromium renders the page, sends a request by it, and shows the answer; it asks nobody else for anything.
#[tokio::test]
async fn the_page_works_in_a_browser() {
    let gateway = Gateway::start().await;
    let origin = format!("http://{}", gateway.api_address);
    let token = std::fs::read_to_string(gateway.data().join("dev-token")).expect("the token");
    let browser = Browser::start().await;
    browser.open(&format!("{origin}/docs")).await;
    let shown = async |what: &str, script: &str| {
        wait_until(what, Duration::from_secs(60), async || {
            let value = browser.run(script, &[]).await;
            (!value.is_null() && value != false).then_some(value)
        })
        .await
    };
    let groups =
        shown("the groups", "const all = document.querySelectorAll('.opblock-tag'); return all.length > 8 && all.length").await;
    assert!(groups.as_u64() >= Some(9), "{groups}");
    browser.run("window.ui.preauthorizeApiKey('bearer', arguments[0])", &[json!(token.trim())]).await;
    for (what, selector) in [
        ("the group of providers", "#operations-tag-providers"),
        ("the list of providers", "[id^=operations-providers-][id$=list] .opblock-summary-control"),
        ("the button to try it", "[id^=operations-providers-][id$=list] .try-out__btn"),
        ("the button to send it", "[id^=operations-providers-][id$=list] .execute"),
    ] {
        shown(what, &format!("const one = document.querySelector('{selector}'); if (one) one.click(); return one !== null"))
            .await;
    }
    let answer =
        shown("the answer", "const one = document.querySelector('.live-responses-table'); return one && one.innerText").await;
    let answer = answer.as_str().expect("text");
    assert!(answer.contains("200") && answer.contains("settings_schema") && answer.contains("sandbox"), "{answer}");
    let asked = browser.asked_for().await;
    assert!(asked.iter().any(|address| address.starts_with(&format!("{origin}/api/v1/providers"))), "{asked:?}");
    // The browser's own first page loads from `chrome:`; what leaves the machine goes by HTTP or a socket.
    let leaves = |address: &&String| address.starts_with("http") || address.starts_with("ws");
    let elsewhere: Vec<_> = asked.iter().filter(leaves).filter(|address| !address.starts_with(&format!("{origin}/"))).collect();
    assert!(elsewhere.is_empty(), "{elsewhere:?}");
    std::fs::write(root().join("target/docs-page.png.base64"), browser.screenshot().await).expect("the picture");
}
