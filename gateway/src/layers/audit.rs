//! Everything that changes something is recorded.
//!
//! Invariant: a request that changes something is carried through to its row of the audit log in a task of its own, whatever its
//! client does meanwhile, and keeps its place to its end, unless it waits for a host and steps aside; what it writes to the store carries the row with it.
//! A handler that panics has a row as well. Of refusals that are equal one a minute has one.

use crate::{
    api::{self, Api, problem::Problem},
    model::Error,
    policy::{self, Place},
    store,
};
use axum::{
    extract::{MatchedPath, Request, State},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use futures_util::FutureExt as _;
use std::{panic::AssertUnwindSafe, sync::Arc};

pub async fn record(State(api): State<Arc<Api>>, request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
    let Some(cause) = route.and_then(|route| api::audit::cause(&request, route)).map(Arc::new) else {
        return next.run(request).await;
    };
    let place = request.extensions().get::<Place>().cloned();
    let task = tokio::spawn(policy::on_this_trail(async move {
        // Also when the client has left, who could begin any number otherwise.
        let _place = place;
        let response = answered(store::caused_by(Arc::clone(&cause), next.run(request))).await;
        api.record(&cause, response).await
    }));
    task.await
        .unwrap_or_else(|error| Problem::from(Error::gateway(format_args!("a handler panicked: {error}"))).into_response())
}

/// Nobody knows what a handler did before it panicked: that is a failure as any other, which is told.
async fn answered(work: impl Future<Output = Response>) -> Response {
    let outcome = AssertUnwindSafe(work).catch_unwind().await;
    outcome.unwrap_or_else(|_| Problem::from(Error::gateway("a handler panicked")).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_an_answer_that_can_be_told() {
        let panicked = answered(async { panic!("half done") }).await;
        assert_eq!(panicked.status(), http::StatusCode::INTERNAL_SERVER_ERROR);
    }
}
