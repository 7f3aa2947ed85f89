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
