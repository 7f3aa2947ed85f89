//! The API's own pages: the OpenAPI document, a page that shows it and sends requests, and one to accept an invitation on.
//!
//! In goes nothing that needs a token; out come files that are in the binary, each with a tag of its bytes. Invariant: the page asks
//! no other origin for anything, works without a network, and its policy (CSP) lets it run nothing but these files.

use super::{problem::Problem, respond, routes, spec};
use crate::model::Error;
use axum::{
    Router,
    body::Body,
    extract::Request,
    response::{IntoResponse as _, Redirect, Response},
    routing::{MethodRouter, get},
};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header};
use http_body_util::BodyExt as _;
use std::sync::{Arc, LazyLock};
use swagger_ui_dist::{ApiDefinition, OpenApiSource, generate_routes};
use tokio::sync::OnceCell;
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
static DOCUMENT: LazyLock<File> =
    LazyLock::new(|| File::of("application/json", spec::document(&routes::endpoints()).to_string().into()));
const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

/// What is the same as long as this process runs.
#[derive(Clone)]
struct File {
    kind: HeaderValue,
    body: Bytes,
    tag: HeaderValue,
}

/// What is open to everybody.
pub fn router() -> Router {
    let assets =
        ApiDefinition { uri_prefix: "/docs/ui", api_definition: OpenApiSource::Uri("/openapi.json"), title: Some("Portico") };
    let parts: Router = generate_routes(assets);
    let theirs = |path: &'static str| {
        let (parts, kept) = (parts.clone(), Arc::new(OnceCell::new()));
        get(move |headers: HeaderMap| part(path, parts.clone(), Arc::clone(&kept), headers))
    };
    let (style, bundle) = ("/docs/ui/swagger-ui.css", "/docs/ui/swagger-ui-bundle.js");
    Router::new()
        .route("/", get(|| async { Redirect::temporary("/docs") }))
        .route("/openapi.json", get(|headers: HeaderMap| async move { DOCUMENT.answer(&headers) }))
        .route("/docs", file(HTML, PAGE))
        .route("/docs/", get(|| async { Redirect::permanent("/docs") }))
        .route("/docs/start.js", file(SCRIPT, START))
        .route("/join", file(HTML, JOIN))
        .route("/join/start.js", file(SCRIPT, JOIN_START))
        // Swagger UI's own page wouldn't start under our policy, and nobody needs its maps.
        .route("/docs/ui", get(|| async { Redirect::permanent("/docs") }))
        .route(style, theirs(style))
        .route(bundle, theirs(bundle))
        .layer(ServiceBuilder::new().map_response(guarded))
}

impl File {
    fn of(kind: &'static str, body: Bytes) -> Self {
        Self { kind: HeaderValue::from_static(kind), tag: respond::entity_tag(&body), body }
    }

    fn answer(&self, request: &HeaderMap) -> Response {
        let tag = [(header::ETAG, self.tag.clone())];
        if respond::has(request, &self.tag) {
            return (StatusCode::NOT_MODIFIED, tag).into_response();
        }
        (tag, [(header::CONTENT_TYPE, self.kind.clone())], Body::from(self.body.clone())).into_response()
    }
}

fn file(kind: &'static str, body: &'static str) -> MethodRouter {
    let file = File::of(kind, Bytes::from_static(body.as_bytes()));
    get(move |headers: HeaderMap| async move { file.answer(&headers) })
}

/// A file of Swagger UI, read from its routes when it is first asked for.
async fn part(path: &'static str, parts: Router, kept: Arc<OnceCell<File>>, headers: HeaderMap) -> Result<Response, Problem> {
    let file = kept.get_or_try_init(|| read(path, parts)).await?;
    Ok(file.answer(&headers))
}

async fn read(path: &'static str, parts: Router) -> Result<File, Error> {
    let mut request = Request::new(Body::empty());
    *request.uri_mut() = Uri::from_static(path);
    let response = parts.oneshot(request).await.map_err(Error::gateway)?;
    let kind = response.headers().get(header::CONTENT_TYPE).cloned();
    let body = response.into_body().collect().await.map_err(Error::gateway)?.to_bytes();
    Ok(File { kind: kind.unwrap_or_else(|| HeaderValue::from_static(SCRIPT)), tag: respond::entity_tag(&body), body })
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
