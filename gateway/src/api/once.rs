//! Idempotency-Key of changes that Portico makes itself: a key is one change, and one answer.
//!
//! In go a request with a key and the work that it asks for; out comes the work's answer, or the one that it gave before. Changes
//! that a provider carries out have their key in their operation. Invariant: nothing is done before the key is reserved
//! durably, and nothing that was changed under a key is changed again; answers are kept sealed ([`kept`]).

mod asked;
mod kept;
mod running;
#[cfg(test)]
mod tests;

pub use asked::{Fingerprint, one_form, route};
pub use running::Running;

use super::{
    Api, extract,
    mutation::{idempotency_key, no_key},
    plans,
    problem::Problem,
};
use crate::{
    clock,
    model::Error,
    operations::KEY_LIFETIME_MILLIS,
    policy::{self, Principal},
    seal::Purpose,
    store::{self, KeyLimit, KeyRef, Reservation, Reserved, Runs},
};
use axum::{
    body::Body,
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use futures_util::FutureExt as _;
use http::{HeaderName, HeaderValue, StatusCode};
use kept::{Keeper, Kept, ended, facts};
use std::{panic::AssertUnwindSafe, sync::Arc};

/// On an answer that was given before.
pub const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
/// Of one organization, for a day: 7 changes a minute, or a hundred large plans.
const LIMIT: KeyLimit = KeyLimit { keys: 10_000, bytes: 64 << 20 };

/// Around every endpoint that changes something here and answers without an operation.
pub async fn keyed(State(api): State<Arc<Api>>, mut request: Request, next: Next) -> Result<Response, Problem> {
    let Some(key) = idempotency_key(request.headers())? else { return Ok(next.run(request).await) };
    // Without a principal there is nobody whose key it could be.
    let principal = request.extensions().get::<Arc<Principal>>().cloned().ok_or_else(no_key)?;
    request.headers_mut().remove("idempotency-key");
    let scope = format!("{} {}", principal.name(), route(request.method(), request.uri()));
    let key = KeyRef { organization: principal.organization, scope, key };
    let (parts, body) = request.into_parts();
    let body = extract::collect(body, plans::MAX_BODY, extract::Sending::of(&parts)).await?;
    // An answer that was kept may hold what is shown once.
    extract::still_admitted(parts.extensions.get(), &principal).await?;
    let fingerprint = Fingerprint::of(&api.sealer, parts.uri.query(), &body)?;
    let request = Request::from_parts(parts, Body::from(body));
    api.once(key, fingerprint, next.run(request)).await
}

/// Around every endpoint that gives or ends a session.
pub async fn unkeyed(request: Request, next: Next) -> Result<Response, Problem> {
    if request.headers().contains_key("idempotency-key") { Err(no_key()) } else { Ok(next.run(request).await) }
}

impl Api {
    /// Carries out `work` unless that was done under this key, and gives its answer.
    ///
    /// In a task of its own: a client that leaves in the middle must not leave a key without its answer.
    pub(super) async fn once(
        self: &Arc<Self>,
        key: KeyRef,
        fingerprint: impl Into<Fingerprint>,
        work: impl Future<Output = Response> + Send + 'static,
    ) -> Result<Response, Problem> {
        let (api, fingerprint) = (Arc::clone(self), fingerprint.into());
        let task = tokio::spawn(policy::on_this_trail(store::inherit(async move {
            let run = api.running.begin(&key);
            match api.reserve(&key, fingerprint, run.runs.clone()).await? {
                Some(answer) => Ok(answer),
                None => Ok(api.carried_out(&key, work).await),
            }
        })));
        task.await.map_err(|error| Problem::from(Error::gateway(format_args!("a keyed request ended early: {error}"))))?
    }

    /// None: the key is this request's. Otherwise the answer that was given under it. `runs`: the requests on their way under it.
    async fn reserve(&self, key: &KeyRef, asked: Fingerprint, runs: Runs) -> Result<Option<Response>, Problem> {
        let now = clock::now();
        let (owner, expires_at) = (self.operations.process(), now.plus_millis(KEY_LIFETIME_MILLIS));
        let fingerprint = asked.meant;
        let reservation = Reservation { key: key.clone(), fingerprint, owner, runs, now, expires_at, limit: LIMIT };
        let reserved = reserved(&*self.store, reservation, asked.sent).await.map_err(|error| {
            tracing::error!(%error, internal = error.internal, "an idempotency key could not be reserved");
            unavailable("the store can't be written; nothing was changed")
        })?;
        let (outcome, answer) = match reserved {
            Reserved::New => ("new", Ok(None)),
            Reserved::Answered(sealed) => ("replayed", self.replay(key, &sealed).map(Some)),
            other => ("refused", Err(refusal(&other))),
        };
        self.metrics.keyed_requests.with_label_values(&[outcome]).inc();
        answer
    }

    async fn carried_out(&self, key: &KeyRef, work: impl Future<Output = Response> + Send) -> Response {
        let work = AssertUnwindSafe(store::under_key(key.clone(), work)).catch_unwind();
        let panicked = |_| Problem::from(Error::gateway("a handler panicked")).into_response();
        let (end, response) = ended(work.await.unwrap_or_else(panicked)).await;
        let keeper = Keeper { store: &*self.store, sealer: &self.sealer, owner: self.operations.process() };
        keeper.end(key, &end).await;
        response
    }

    fn replay(&self, key: &KeyRef, sealed: &[u8]) -> Result<Response, Problem> {
        let plain = self.sealer.open(Purpose::Operation, &facts(key), sealed);
        let kept = plain.and_then(|plain| serde_json::from_slice::<Kept>(&plain).ok());
        let replayed = kept.and_then(Kept::response);
        let mut response = replayed.ok_or_else(|| {
            unavailable("it was used before, and the answer can't be opened any more: was the key of the data folder replaced?")
        })?;
        response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
        Ok(response)
    }
}

/// What the key stands for, in whichever form its body was hashed when it was reserved.
async fn reserved(store: &dyn store::Store, reservation: Reservation, sent: Option<[u8; 32]>) -> Result<Reserved, Error> {
    let reserved = store.idempotency_reserve(&reservation).await?;
    match sent.filter(|_| reserved == Reserved::Reused) {
        Some(fingerprint) => store.idempotency_reserve(&Reservation { fingerprint, ..reservation }).await,
        None => Ok(reserved),
    }
}

fn refusal(reserved: &Reserved) -> Problem {
    match reserved {
        Reserved::InProgress => {
            let detail = "the first request with this Idempotency-Key is still being carried out: ask again in a moment";
            let problem = Problem::new(StatusCode::CONFLICT, "idempotency_in_progress", detail);
            Problem { retry_after: Some(1), ..problem }
        }
        Reserved::AnswerLost => {
            let detail = "the first request with this Idempotency-Key changed something, but its answer was lost when the gateway \
                          stopped, or could not be kept; it is not done again. Look at what is there, and choose a new key for \
                          a new request";
            Problem::new(StatusCode::CONFLICT, "idempotency_answer_lost", detail)
        }
        Reserved::Full => {
            let detail = format!(
                "this organization has {} keys, or {} MiB of answers, in 24 hours; nothing was changed",
                LIMIT.keys,
                LIMIT.bytes >> 20
            );
            Problem { retry_after: Some(60), ..unavailable(&detail) }
        }
        Reserved::New | Reserved::Answered(_) | Reserved::Reused => {
            let detail = "this Idempotency-Key was used for another request: choose a new key for a new request";
            Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "idempotency_key_reused", detail)
        }
    }
}

pub(super) fn unavailable(why: &str) -> Problem {
    let detail = format!("the Idempotency-Key can't be honoured: {why}");
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "idempotency_unavailable", detail)
}
