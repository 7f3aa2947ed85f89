//! The API's own pages: the OpenAPI document, a page that shows it and sends requests, and one to accept an invitation on.
//!
//! In goes nothing that needs a token; out come files that are in the binary. Invariant: the page asks no other origin for
//! anything, works without a network, and its policy (CSP) lets it run nothing but these files.

use super::{routes, spec};
use axum::{
    Router,
    body::Body,
    extract::Request,
    response::{IntoResponse as _, Redirect, Response},
    routing::get,
};
use bytes::Bytes;
use http::{HeaderName, HeaderValue, header};
use std::sync::LazyLock;
use swagger_ui_dist::{ApiDefinition, OpenApiSource, generate_routes};
use tower::{ServiceBuilder, ServiceExt as _};

const PAGE: &str = include_str!("docs/page.html");
const START: &str = include_str!("docs/start.js");
/// Where the link of an invitation leads.
const JOIN: &str = include_str!("docs/join.html");
const JOIN_START: &str = include_str!("docs/join.js");
/// Swagger UI sets styles on elements and draws its icons from data.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
                      connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Written when it is first asked for: most gateways never are, and a start need not wait for it.
static DOCUMENT: LazyLock<Bytes> = LazyLock::new(|| Bytes::from(spec::document(&routes::endpoints()).to_string()));

/// What is open to everybody.
pub fn router() -> Router {
    let assets =
        ApiDefinition { uri_prefix: "/docs/ui", api_definition: OpenApiSource::Uri("/openapi.json"), title: Some("Portico") };
    let parts: Router = generate_routes(assets);
    let part = get(move |request: Request| parts.oneshot(request));
    Router::new()
        .route("/openapi.json", get(|| async { file("application/json", DOCUMENT.clone()) }))
        .route("/docs", get(|| async { file("text/html; charset=utf-8", PAGE) }))
        .route("/docs/", get(|| async { Redirect::permanent("/docs") }))
        .route("/docs/start.js", get(|| async { file("text/javascript; charset=utf-8", START) }))
        .route("/join", get(|| async { file("text/html; charset=utf-8", JOIN) }))
        .route("/join/start.js", get(|| async { file("text/javascript; charset=utf-8", JOIN_START) }))
        // Swagger UI's own page wouldn't start under our policy, and nobody needs its maps.
        .route("/docs/ui", get(|| async { Redirect::permanent("/docs") }))
        .route("/docs/ui/swagger-ui.css", part.clone())
        .route("/docs/ui/swagger-ui-bundle.js", part)
        .layer(ServiceBuilder::new().map_response(guarded))
}

fn file(kind: &'static str, body: impl Into<Body>) -> Response {
    ([(header::CONTENT_TYPE, HeaderValue::from_static(kind))], body.into()).into_response()
}

fn guarded(mut response: Response) -> Response {
    let headers = response.headers_mut();
    let mut set = |name: HeaderName, value: &'static str| headers.insert(name, HeaderValue::from_static(value));
    set(header::CONTENT_SECURITY_POLICY, POLICY);
    set(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(header::REFERRER_POLICY, "no-referrer");
    set(header::CACHE_CONTROL, "no-cache");
    response
}
