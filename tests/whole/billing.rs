//! Bills over the API: whose they are, what is added up, and what is not.
//!
//! Invariant: money is never added up, a missing part is never silent, and a checkout leaves no operation.

use http::Method;
use portico_tests::{Answer, Gateway, Setup, Upstream};
use serde_json::{Value, json};

#[tokio::test]
async fn the_only_connection_with_a_bill_needs_no_name() {
    let gateway = Gateway::start().await;
    let api = &gateway.api;
    let subscription = api.get("/billing/subscription").await.is(200);
    assert!(subscription.header("etag").is_some());
    let subscription = subscription.json();
    assert_eq!(subscription["price"], json!({"amount": 9900, "currency": "USD"}), "{subscription}");
    assert_eq!((&subscription["plan"], &subscription["interval"]), (&json!("agency"), &json!("month")));
    // One that can't have bills is no choice.
    gateway.connect("free", "sandbox", json!({"features_off": ["billing"]})).await;
    let _ = api.get("/billing/subscription").await.is(200);
    // Two that can are.
    gateway.connect("second", "sandbox", json!({})).await;
    for path in ["/billing/subscription", "/billing/invoices"] {
        let problem = api.get(path).await.problem(422, "invalid_input");
        assert_eq!(problem["fields"][0]["field"], "connection", "{problem}");
        let detail = problem["detail"].as_str().expect("words");
        assert!(detail.contains("sandbox, second") && !detail.contains("free"), "{detail}");
        let _ = api.get(&format!("{path}?connection=second")).await.is(200);
        let problem = api.get(&format!("{path}?connection=free")).await.problem(501, "unsupported");
        let feature = path.trim_start_matches('/').replace('/', ".");
        assert_eq!(problem["fields"][0]["field"], json!(feature), "{problem}");
        api.get(&format!("{path}?connection=none")).await.problem(404, "connection_not_found");
    }
}

#[tokio::test]
async fn nobody_with_a_bill_is_501() {
    let gateway = Gateway::start().await;
    let _ = gateway.api.delete("/connections/sandbox").await.is(204);
    gateway.connect("free", "sandbox", json!({"features_off": ["billing.subscription", "billing.usage"]})).await;
    let problem = gateway.api.get("/billing/subscription").await.problem(501, "unsupported");
    assert_eq!(problem["fields"][0]["field"], "billing.subscription", "{problem}");
    let _ = gateway.api.get("/billing/invoices").await.is(200);
    // Nothing to add up is an answer.
    let usage = gateway.api.get("/billing/usage").await.is(200).json();
    assert_eq!((&usage["sites"], &usage["connections"], &usage["errors"]), (&json!(null), &json!([]), &json!([])), "{usage}");
}

#[tokio::test]
async fn invoices_page_to_their_end() {
    let gateway = Gateway::start().await;
    let pages = gateway.api.walk("/billing/invoices?limit=5").await;
    assert_eq!(pages.len(), 3);
    assert!(pages.iter().all(|page| page["total"] == 12 && page["errors"] == json!([])), "{pages:?}");
    let invoices: Vec<&Value> = pages.iter().flat_map(|page| page["data"].as_array().expect("data")).collect();
    let mut ids: Vec<&str> = invoices.iter().map(|invoice| invoice["id"].as_str().expect("an id")).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 12);
    assert_eq!((&invoices[0]["status"], &invoices[0]["paid_at"]), (&json!("open"), &json!(null)));
    assert_eq!(invoices[11]["total"], json!({"amount": 9900, "currency": "USD"}));
    assert!(invoices[11]["issued_at"].as_str().is_some_and(|at| at.ends_with('Z')), "{}", invoices[11]);
    // A cursor belongs to its connection.
    gateway.connect("second", "sandbox", json!({})).await;
    let cursor = pages[0]["next_cursor"].as_str().expect("a cursor");
    let _ = gateway.api.get(&format!("/billing/invoices?connection=sandbox&limit=5&cursor={cursor}")).await.is(200);
    let other = gateway.api.get(&format!("/billing/invoices?connection=second&limit=5&cursor={cursor}")).await;
    other.problem(400, "cursor_invalid");
}

#[tokio::test]
async fn usage_is_summed_and_says_what_is_missing() {
    let gateway = Gateway::start().await;
    let api = &gateway.api;
    let _ = api.delete("/connections/sandbox").await.is(204);
    gateway.connect("one", "sandbox", json!({"seed_sites": 3})).await;
    gateway.connect("two", "sandbox", json!({"seed_sites": 4})).await;
    gateway.connect("unbilled", "sandbox", json!({"seed_sites": 9, "features_off": ["billing.usage"]})).await;
    let of = async |query: &str| api.get(&format!("/billing/usage{query}")).await.is(200);
    let (one, two) = (of("?connection=one").await.json(), of("?connection=two").await.json());
    assert_eq!((&one["sites"], &one["connections"]), (&json!(3), &json!(["one"])), "{one}");
    let whole = of("").await;
    assert!(whole.header("etag").is_some() && whole.header("age").is_some());
    let sum = whole.json();
    assert_eq!((&sum["sites"], &sum["connections"]), (&json!(7), &json!(["one", "two"])), "{sum}");
    assert_eq!((&sum["errors"], &sum["native"]), (&json!([]), &json!(null)), "{sum}");
    for key in ["storage", "bandwidth", "visits"] {
        let added = one[key].as_u64().expect("a number") + two[key].as_u64().expect("a number");
        assert_eq!(sum[key], added, "{key}: {sum}");
    }
    assert!(sum["period"] == one["period"] || one["period"] != two["period"], "{sum}");
    assert!(sum["period"]["start"].is_string() || one["period"] != two["period"], "{sum}");
    // One fails: the others are still counted, and nobody may keep the answer.
    gateway.connect("broken", "sandbox", json!({"seed_sites": 5, "fail": {"billing.usage": "unavailable"}})).await;
    let partial = of("").await;
    assert_eq!((partial.header("etag"), partial.header("cache-control")), (None, Some("no-store")));
    let partial = partial.json();
    assert_eq!((&partial["sites"], &partial["connections"]), (&json!(7), &json!(["one", "two"])), "{partial}");
    let error = &partial["errors"][0];
    assert_eq!((&error["connection"], &error["code"]), (&json!("broken"), &json!("upstream_unavailable")), "{partial}");
    // Asked by name, its failure is the answer.
    api.get("/billing/usage?connection=broken").await.problem(503, "upstream_unavailable");
    let problem = api.get("/billing/usage?connection=unbilled").await.problem(501, "unsupported");
    assert_eq!(problem["fields"][0]["field"], "billing.usage", "{problem}");
}

#[tokio::test]
async fn a_checkout_is_an_address_and_no_operation() {
    let gateway = Gateway::start().await;
    let api = &gateway.api;
    let body = json!({"connection": "sandbox", "plan": "starter", "success_url": "https://a.example/ok"});
    let page = api.post("/billing/checkout", &body).await.is(200);
    assert_eq!(page.header("cache-control"), Some("no-store"));
    assert_eq!(page.json(), json!({"url": "https://sandbox.invalid/checkout/starter"}));
    for (change, field) in [
        (json!({"plan": "gold"}), "plan"),
        (json!({"plan": ""}), "plan"),
        (json!({"success_url": "http://a.example/"}), "success_url"),
        (json!({"cancel_url": "javascript:alert(1)"}), "cancel_url"),
    ] {
        let mut bad = body.clone();
        bad.as_object_mut().expect("an object").extend(change.as_object().expect("an object").clone());
        let problem = api.post("/billing/checkout", &bad).await.problem(422, "invalid_input");
        assert_eq!(problem["fields"][0]["field"], field, "{problem}");
    }
    gateway.connect("free", "sandbox", json!({"features_off": ["billing.checkout"]})).await;
    let problem = api.post("/billing/checkout", &json!({"connection": "free", "plan": "starter"})).await;
    assert_eq!(problem.problem(501, "unsupported")["fields"][0]["field"], "billing.checkout");
    assert_eq!(api.get("/operations").await.is(200).json()["data"], json!([]));
    let counted = gateway.metric("portico_guest_calls_total", &["action=\"billing.checkout\"", "outcome=\"ok\""]).await;
    assert!(counted >= 1.0, "{counted}");
}

/// Of the calls about bills only a checkout, which prepares, may send a POST without an operation; a call that reads may not, whatever its guest tries.
#[tokio::test]
async fn a_checkout_may_send_and_a_read_may_not() {
    let upstream = Upstream::start(|seen| {
        let page = if seen.json()["plan"] == "odd" { "javascript:alert(1)" } else { "https://pay.example/1" };
        Answer::Raw(200, vec![("content-type", "text/plain".to_owned())], page.into())
    })
    .await;
    let gateway = Gateway::start_with(Setup { guests: vec!["keyed"], ..Setup::default() }).await;
    let body = json!({
        "id": "keyed", "provider": "keyed", "name": "Keyed",
        "settings": {"url": upstream.url()}, "secrets": {"api_key": "correct-horse"},
    });
    let _ = gateway.api.post("/connections", &body).await.is(201);
    let checkout =
        async |plan: &str| gateway.api.post("/billing/checkout", &json!({"connection": "keyed", "plan": plan})).await;
    assert_eq!(checkout("pro").await.is(200).json(), json!({"url": "https://pay.example/1"}));
    assert_eq!(upstream.count(&Method::POST, "/checkouts"), 1);
    // An address that no customer may be sent to is the provider's fault.
    checkout("odd").await.problem(502, "provider_failed");
    let refused = gateway.api.get("/billing/usage?connection=keyed").await;
    assert!(refused.status.is_server_error(), "{}", refused.text());
    assert_eq!(upstream.count(&Method::POST, "/usage"), 0, "a reading call sent a change");
    assert_eq!(gateway.api.get("/operations").await.is(200).json()["data"], json!([]));
}
