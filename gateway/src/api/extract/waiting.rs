//! What a request needs that takes its time: for its body, or for what it asked for.
//!
//! In goes what the layers left with the request; out comes whether it may wait, until when, and whether its sender is let in
//! after that as before. Invariant: whoever isn't is a stranger, who changes nothing, and is shown nothing that is shown once.

use super::super::{auth, problem::Problem};
use crate::{
    model::Error,
    policy::{Admission, AnswerBy, Place, Principal},
};
use axum::extract::FromRequestParts;
use http::{Extensions, request::Parts};
use std::{convert::Infallible, time::Duration};
use tokio::time::Instant;

pub struct Waiting {
    place: Option<Place>,
    answer_by: Option<AnswerBy>,
    admission: Option<Admission>,
}

impl<S: Send + Sync> FromRequestParts<S> for Waiting {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        Ok(Self::of(&parts.extensions))
    }
}

impl Waiting {
    pub fn of(extensions: &Extensions) -> Self {
        Self { place: extensions.get().cloned(), answer_by: extensions.get().copied(), admission: extensions.get().cloned() }
    }

    /// False: too many wait already.
    pub fn may_begin(&self) -> bool {
        self.place.as_ref().is_none_or(Place::step_aside)
    }

    /// When a wait ends, that begins now: before the request's time is over, however long it was meant to be.
    pub fn until(&self, wait: Duration) -> Instant {
        let end = Instant::now() + wait;
        self.answer_by.map_or(end, |AnswerBy(latest)| end.min(latest))
    }

    /// For work that goes on in a task of its own, and asks there.
    pub fn admission(&self) -> Option<Admission> {
        self.admission.clone()
    }

    /// Whether its sender is let in yet: to be asked when the wait is over.
    pub async fn admits(&self, principal: &Principal) -> Result<bool, Error> {
        holds(self.admission.as_ref(), principal).await
    }

    /// The same where the answer is a refusal otherwise.
    pub async fn still_admits(&self, principal: &Principal) -> Result<(), Problem> {
        still_admitted(self.admission.as_ref(), principal).await
    }
}

/// Refuses whoever was let in and wouldn't be now, as it does strangers.
pub async fn still_admitted(admission: Option<&Admission>, principal: &Principal) -> Result<(), Problem> {
    if holds(admission, principal).await? { Ok(()) } else { Err(auth::unauthenticated()) }
}

/// Who is behind the authentication has an admission.
async fn holds(admission: Option<&Admission>, principal: &Principal) -> Result<bool, Error> {
    match admission {
        Some(admission) => admission.still_holds(principal).await,
        None => Ok(false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        policy::{Authenticator, mint_token},
        store::{SqliteStore, TokenStore as _, suite},
    };
    use std::sync::Arc;

    #[tokio::test]
    async fn whoever_is_let_in_no_more_is_a_stranger() {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(SqliteStore::open(&folder.path().join("portico.db")).await.unwrap());
        let (token, record) = mint_token(suite::organization(&*store, "acme").await, "t", None).unwrap();
        store.token_insert(&record).await.unwrap();
        let authenticator = Arc::new(Authenticator::new(Arc::<SqliteStore>::clone(&store)));
        let mut extensions = Extensions::new();
        extensions.insert(Admission::now(&authenticator));
        let principal = authenticator.authenticate(Some(token.as_bytes()), None).await.unwrap();
        let waiting = Waiting::of(&extensions);
        let code =
            |outcome: Result<(), Problem>| outcome.map_err(|problem| (problem.status.as_u16(), problem.code.into_owned()));
        let stranger = || Err::<(), _>((401_u16, "unauthenticated".to_owned()));
        assert_eq!(code(waiting.still_admits(&principal).await), Ok(()));
        assert!(store.token_delete(record.organization, record.id).await.unwrap());
        authenticator.forget();
        assert_eq!(code(waiting.still_admits(&principal).await), stranger());
        assert_eq!(code(Waiting::of(&Extensions::new()).still_admits(&principal).await), stranger());
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_ends_before_the_request_does() {
        let second = Duration::from_secs(1);
        let mut extensions = Extensions::new();
        assert_eq!(Waiting::of(&extensions).until(60 * second), Instant::now() + 60 * second);
        extensions.insert(AnswerBy(Instant::now() + 4 * second));
        let waiting = Waiting::of(&extensions);
        assert_eq!(waiting.until(60 * second), Instant::now() + 4 * second);
        assert_eq!(waiting.until(second), Instant::now() + second);
        assert!(waiting.may_begin(), "nobody keeps it a place");
    }
}
