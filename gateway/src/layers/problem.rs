//! Writes the body of every problem, with the path that was asked for and the request's id; turns a panic into one.
//!
//! Invariant: a client never sees a panic's words.

use crate::{
    api::{RequestId, problem::Problem},
    model::Error,
};
use axum::{
    body::Body,
    extract::Request,
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use futures_util::FutureExt as _;
use http::{HeaderValue, Uri, header};
use std::{panic::AssertUnwindSafe, sync::Arc};

pub async fn write(request: Request, next: Next) -> Response {
    let uri = request.uri().clone();
    let id = request.extensions().get::<RequestId>().cloned();
    let outcome = AssertUnwindSafe(next.run(request)).catch_unwind().await;
    written(outcome.unwrap_or_else(|_| Problem::from(Error::gateway("a handler panicked")).into_response()), &uri, id)
}

/// The answer with its problem's body, where it is one.
pub fn written(mut response: Response, uri: &Uri, id: Option<RequestId>) -> Response {
    let Some(problem) = response.extensions_mut().remove::<Arc<Problem>>() else { return response };
    let mut problem = Arc::unwrap_or_clone(problem);
    // `*` is no path.
    problem.instance = (uri.path() != "*").then(|| uri.path().to_owned());
    problem.request_id = id.map(|RequestId(id)| id.to_string());
    if let Some(provider) = &problem.provider {
        response.extensions_mut().insert(super::super::api::ServedBy(provider.as_str().into()));
    }
    let body = serde_json::to_vec(&problem).unwrap_or_default();
    response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
    *response.body_mut() = Body::from(body);
    response
}
