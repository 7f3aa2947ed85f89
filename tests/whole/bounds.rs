//! What one organization may have, and what one of its connections may keep.
//!
//! Invariant: whoever meets a bound is told what to do, and goes on when they did it.

use http::Method;
use portico_tests::{Gateway, tls::Certificate};
use serde_json::{Value, json};

/// As many connections as there may be, with the one that is there.
const MOST: u32 = 500;

/// Many connections of the demo organization, as if each had been made.
async fn make_connections(gateway: &Gateway, many: u32) {
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(gateway.data().join("portico.db"));
    let mut connection = sqlx::ConnectOptions::connect(&options).await.expect("the database");
    let mut change = sqlx::Connection::begin(&mut connection).await.expect("a transaction");
    for number in 0..many {
        let slug = "INSERT INTO connection_slugs (organization, slug) SELECT id, ? FROM organizations WHERE slug = 'demo'";
        let row = "INSERT INTO connections (id, organization, slug, provider, name, settings, tls, secrets, revision, created_at, \
                   updated_at) SELECT randomblob(16), id, ?, 'sandbox', 'One of many', '{}', '{}', '{}', 1, 0, 0 \
                   FROM organizations WHERE slug = 'demo'";
        for insert in [slug, row] {
            let insert = sqlx::query(insert).bind(format!("many-{number}"));
            assert_eq!(insert.execute(&mut *change).await.expect("it is inserted").rows_affected(), 1);
        }
    }
    change.commit().await.expect("a commit");
    sqlx::Connection::close(connection).await.expect("it is closed");
}

#[tokio::test]
async fn an_organization_has_so_many_connections() {
    let gateway = Gateway::start().await;
    make_connections(&gateway, MOST - 1).await;
    let body = json!({"id": "more", "provider": "sandbox", "name": "More"});
    let told = gateway.api.post("/connections", &body).await.problem(409, "too_many_connections");
    let detail = told["detail"].as_str().expect("a text");
    assert!(detail.contains("500 connections") && detail.contains("delete"), "{detail}");
    gateway.api.get("/connections/more").await.problem(404, "connection_not_found");
    // What there is can be changed still, and the bound is the organization's own.
    let _ = gateway.api.json(Method::PATCH, "/connections/sandbox", &[], &json!({"name": "Changed"})).await.is(200);
    let other = gateway.api.with_token(&gateway.new_token("other"));
    let _ = other.post("/connections", &body).await.is(201);
    let _ = gateway.api.delete("/connections/sandbox").await.is(204);
    let _ = gateway.api.post("/connections", &body).await.is(201);
}

#[tokio::test]
async fn a_connection_keeps_so_much() {
    let gateway = Gateway::start().await;
    let certificate = format!("{}\n", Certificate::until(2090).pem.trim());
    let refused = async |what: Value, field: &str, words: &str| {
        let mut body = json!({"id": "large", "provider": "sandbox", "name": "Large"});
        body.as_object_mut().expect("an object").extend(what.as_object().expect("an object").clone());
        for reply in [
            gateway.api.post("/connections", &body).await,
            gateway.api.json(Method::PATCH, "/connections/sandbox", &[], &what).await,
        ] {
            let told = reply.problem(422, "invalid_input");
            assert_eq!(told["fields"][0]["field"], field, "{told}");
            assert!(told["detail"].as_str().is_some_and(|detail| detail.contains(words)), "{told}");
        }
    };
    let ca = |text: String| json!({"tls": {"ca": text}});
    refused(ca(format!("{certificate}{}", " ".repeat(64 * 1024))), "tls.ca", "65536 bytes").await;
    refused(ca(certificate.repeat(17)), "tls.ca", "16 certificates").await;
    refused(ca(format!("{certificate}and a note")), "tls.ca", "nothing else").await;
    refused(json!({"settings": {"note": "x".repeat(64 * 1024)}}), "settings", "65536 bytes").await;
    let whole = json!({"id": "whole", "provider": "sandbox", "name": "Whole", "tls": {"ca": certificate.repeat(2)}});
    assert_eq!(gateway.api.post("/connections", &whole).await.is(201).json()["tls"], whole["tls"]);
}
