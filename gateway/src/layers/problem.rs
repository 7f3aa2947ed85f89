//! Writes the body of every problem, with the path that was asked for and the request's id; turns a panic into one.
//!
//! Invariant: a client never sees a panic's words.

use crate::{
    api::{RequestId, ServedBy, problem::Problem},
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
    let problem = Arc::unwrap_or_clone(problem);
    if let Some(provider) = &problem.provider {
        response.extensions_mut().insert(ServedBy(provider.as_str().into()));
    }
    with_body(response, problem, uri, id.as_ref().map(|RequestId(id)| &**id))
}

/// A refusal before the stack, which is as cheap as it can be.
pub fn whole(problem: Problem, uri: &Uri, id: &str) -> Response {
    with_body(problem.head(), problem, uri, Some(id))
}

/// Most are shorter.
const LENGTH: usize = 512;

fn with_body(mut response: Response, mut problem: Problem, uri: &Uri, id: Option<&str>) -> Response {
    // `*` is no path.
    problem.instance = (uri.path() != "*").then(|| uri.path().to_owned());
    problem.request_id = id.map(str::to_owned);
    let mut body = Vec::with_capacity(LENGTH);
    if let Err(error) = serde_json::to_writer(&mut body, &problem) {
        tracing::error!(%error, "a problem could not be written");
        body.clear();
    }
    response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
    *response.body_mut() = Body::from(body);
    response
}
