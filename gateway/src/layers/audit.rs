//! Everything that changes something is recorded.
//!
//! Invariant: a request that changes something is carried through to its row of the audit log in a task of its own, whatever its
//! client does meanwhile; what it writes to the store carries the row with it.

use crate::{
    api::{self, Api, problem::Problem},
    model::Error,
    policy, store,
};
use axum::{
    extract::{MatchedPath, Request, State},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use std::sync::Arc;

pub async fn record(State(api): State<Arc<Api>>, request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
    let Some(cause) = route.and_then(|route| api::audit::cause(&request, route)).map(Arc::new) else {
        return next.run(request).await;
    };
    let task = tokio::spawn(policy::on_this_trail(async move {
        let response = store::caused_by(Arc::clone(&cause), next.run(request)).await;
        api.record(&cause, response).await
    }));
    task.await
        .unwrap_or_else(|error| Problem::from(Error::gateway(format_args!("a handler panicked: {error}"))).into_response())
}
