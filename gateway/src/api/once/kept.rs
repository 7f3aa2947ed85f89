//! How a request under a key ended, and its answer as the store keeps it.
//!
//! In goes the answer; it leaves sealed, and is read again for a repetition. Invariant: what is sealed is written at once or given
//! up, since the key that sealed it may be replaced meanwhile; and whatever becomes of the answer, a change that was made is never
//! taken for one that is being made.

use super::super::problem::{Field, Problem};
use crate::{
    model::Error,
    seal::{Purpose, Sealer},
    store::{KeyEnd, KeyRef, Store},
};
use axum::{
    body::Body,
    response::{IntoResponse as _, Response},
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use http::{HeaderName, HeaderValue, StatusCode, header};
use http_body_util::{BodyExt as _, Limited};
use serde::{Deserialize, Serialize};
use std::{sync::Arc, time::Duration};
use uuid::Uuid;
use zeroize::Zeroizing;

/// The largest answer of a change: a plan of ten thousand files, none of which the host has.
const MAX_ANSWER: usize = 2 << 20;
/// What a repetition needs of an answer's head.
const HEADERS: [HeaderName; 4] = [header::CONTENT_TYPE, header::LOCATION, header::ETAG, header::CACHE_CONTROL];
/// Tries to keep an answer, through short troubles of the store.
const TRIES: u32 = 5;

/// An answer as it is kept.
#[derive(Serialize, Deserialize)]
pub(super) struct Kept {
    status: u16,
    headers: Vec<(String, String)>,
    /// In base64: bytes in JSON would take four times as many.
    body: String,
    /// A problem is written anew, since it names the request: its code, detail and fields.
    problem: Option<KeptProblem>,
}

type KeptProblem = (String, String, Vec<(String, String)>);

/// How a request ended. Answers are plain here, as a [`Kept`] in JSON.
pub(super) enum Ended {
    /// It is answered with this from now on.
    Answered(Zeroizing<Vec<u8>>),
    /// The same, if something was changed.
    Refused(Zeroizing<Vec<u8>>),
    /// The answer can't be kept.
    AnswerLost,
    Free,
}

/// Writes how requests ended.
pub(super) struct Keeper<'a> {
    pub store: &'a dyn Store,
    pub sealer: &'a Sealer,
    /// The process that reserved the keys.
    pub owner: Uuid,
}

impl Keeper<'_> {
    /// Until it is written, the key is in progress; so it is tried for a while, and then without the answer. If that fails, too, the
    /// key is left behind: the next request under it is told that the answer is lost, or may begin anew if nothing was changed.
    pub async fn end(&self, key: &KeyRef, ended: &Ended) {
        for attempt in 1..=TRIES {
            if self.write(key, ended.sealed(self.sealer, key)).await {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100 << attempt)).await;
        }
        self.write(key, Ok(ended.without_answer())).await;
    }

    /// Whether it could be written.
    async fn write(&self, key: &KeyRef, end: Result<KeyEnd, Error>) -> bool {
        let written = match end {
            Ok(end) => self.store.idempotency_end(key, self.owner, &end).await,
            Err(error) => Err(error),
        };
        if let Err(error) = &written {
            tracing::error!(%error, internal = error.internal, "an answer could not be kept for its key");
        }
        written.is_ok()
    }
}

impl Ended {
    /// Anew for each try: the master key that sealed it for the one before may be retired by now.
    fn sealed(&self, sealer: &Sealer, key: &KeyRef) -> Result<KeyEnd, Error> {
        let seal = |plain: &[u8]| sealer.seal(Purpose::Operation, &facts(key), plain);
        Ok(match self {
            Self::Answered(plain) => KeyEnd::Answered(seal(plain)?),
            Self::Refused(plain) => KeyEnd::AnsweredIfChanged(seal(plain)?),
            Self::AnswerLost | Self::Free => self.without_answer(),
        })
    }

    fn without_answer(&self) -> KeyEnd {
        match self {
            // What a preparing call made at a host isn't marked: repeating it does no harm.
            Self::Answered(_) | Self::Refused(_) => KeyEnd::AnswerLostIfChanged,
            Self::AnswerLost => KeyEnd::AnswerLost,
            Self::Free => KeyEnd::Free,
        }
    }
}

/// What becomes of the key, and the answer for the client.
pub(super) async fn ended(response: Response) -> (Ended, Response) {
    let status = response.status();
    let (parts, body) = response.into_parts();
    let body = match Limited::new(body, MAX_ANSWER).collect().await {
        Ok(collected) => collected.to_bytes(),
        Err(error) => {
            let problem = Problem::from(Error::gateway(format_args!("an answer could not be kept for its key: {error}")));
            return (Ended::AnswerLost, problem.into_response());
        }
    };
    let response = Response::from_parts(parts, Body::from(body.clone()));
    // It may pass, and nothing came of it: the same key may try again.
    if matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
        return (Ended::Free, response);
    }
    let plain = match Kept::of(&response, &body) {
        Ok(plain) => plain,
        Err(error) => {
            tracing::error!(%error, internal = error.internal, "an answer could not be written for its key");
            return (Ended::AnswerLost, response);
        }
    };
    // What was refused has changed nothing, and may be corrected. After a failure of ours nobody knows.
    let settled = status.is_success() || status == StatusCode::INTERNAL_SERVER_ERROR;
    (if settled { Ended::Answered(plain) } else { Ended::Refused(plain) }, response)
}

impl Kept {
    fn of(response: &Response, body: &[u8]) -> Result<Zeroizing<Vec<u8>>, Error> {
        let header = |name: &HeaderName| {
            let value = response.headers().get(name)?.to_str().ok()?;
            Some((name.as_str().to_owned(), value.to_owned()))
        };
        let problem = response.extensions().get::<Arc<Problem>>().map(|problem| {
            let fields = problem.fields.iter().map(|field| (field.field.clone(), field.message.clone()));
            (problem.code.clone().into_owned(), problem.detail.clone().into_owned(), fields.collect())
        });
        let headers = HEADERS.iter().filter_map(header).collect();
        let kept = Self { status: response.status().as_u16(), headers, body: BASE64_STANDARD.encode(body), problem };
        serde_json::to_vec(&kept).map(Zeroizing::new).map_err(Error::gateway)
    }

    pub fn response(self) -> Option<Response> {
        let status = StatusCode::from_u16(self.status).ok()?;
        let mut response = match self.problem {
            Some((code, detail, fields)) => {
                let mut problem = Problem::new(status, code, detail);
                problem.fields = fields.into_iter().map(|(field, message)| Field { field, message }).collect();
                problem.into_response()
            }
            None => {
                let mut response = Response::new(Body::from(BASE64_STANDARD.decode(self.body).ok()?));
                *response.status_mut() = status;
                response
            }
        };
        for (name, value) in self.headers {
            response.headers_mut().insert(HeaderName::from_bytes(name.as_bytes()).ok()?, HeaderValue::from_str(&value).ok()?);
        }
        Some(response)
    }
}

/// What a sealed answer is bound to.
pub(super) fn facts(key: &KeyRef) -> Vec<u8> {
    [b"answer\0", key.organization.0.as_bytes().as_slice(), key.scope.as_bytes(), b"\0", key.key.as_bytes()].concat()
}
