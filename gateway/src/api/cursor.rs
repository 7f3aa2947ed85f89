//! Cursors: opaque, tamper-evident, good for one caller and one question.
//!
//! Invariant: a cursor opens only for the organization, principal, route and filter that it was made for.

use super::problem::Problem;
use crate::{
    clock,
    model::Timestamp,
    policy::Principal,
    seal::{Purpose, Sealer},
};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use http::StatusCode;
use serde::{Serialize, de::DeserializeOwned};
use std::time::Duration;

/// Longer than any that we make.
const MAX_LENGTH: usize = 2048;
/// A day: keys of store-backed lists stay valid, but a leaked cursor doesn't for ever.
const LIFETIME_MS: i64 = 24 * 60 * 60 * 1000;
/// A cursor may be given again for so long after it was made: most of its life is left then.
pub const GIVEN_AGAIN: Duration = Duration::from_secs(6 * 60 * 60);

/// What a cursor is bound to.
pub struct Scope<'a> {
    pub sealer: &'a Sealer,
    pub principal: &'a Principal,
    /// Route, filters and sort.
    pub question: String,
}

impl Scope<'_> {
    pub fn facts(&self) -> Vec<u8> {
        format!("{}\0{}\0{}", self.principal.organization.0, self.principal.credential_id(), self.question).into_bytes()
    }

    pub fn seal<T: Serialize>(&self, position: &T) -> Result<String, Problem> {
        let expires = clock::now().plus_millis(LIFETIME_MS);
        let plain = super::respond::to_bytes(&(expires, position))?;
        let sealed = self.sealer.seal(Purpose::Cursor, &self.facts(), &plain)?;
        Ok(BASE64_URL_SAFE_NO_PAD.encode(sealed))
    }

    pub fn open<T: DeserializeOwned>(&self, cursor: &str) -> Result<T, Problem> {
        self.open_at(cursor, clock::now())
    }

    fn open_at<T: DeserializeOwned>(&self, cursor: &str, now: Timestamp) -> Result<T, Problem> {
        let sealed = (cursor.len() <= MAX_LENGTH).then(|| BASE64_URL_SAFE_NO_PAD.decode(cursor).ok()).flatten();
        let sealed = sealed.ok_or_else(invalid)?;
        if self.sealer.is_foreign(&sealed) {
            // Made before the master key was replaced.
            return Err(expired());
        }
        let plain = self.sealer.open(Purpose::Cursor, &self.facts(), &sealed).ok_or_else(invalid)?;
        let (expires, position): (Timestamp, T) = serde_json::from_slice(&plain).map_err(|_| invalid())?;
        if now < expires { Ok(position) } else { Err(expired()) }
    }
}

fn invalid() -> Problem {
    let detail = "the cursor is not one that this list gave for these filters; take next_cursor as it is, and keep the filters";
    let mut problem = Problem::new(StatusCode::BAD_REQUEST, "cursor_invalid", detail);
    problem.fields.push(super::problem::Field { field: "cursor".to_owned(), message: detail.to_owned() });
    problem
}

pub fn expired() -> Problem {
    Problem::new(
        StatusCode::GONE,
        "cursor_expired",
        "the cursor is too old, or what it pinned had to go; start again without a cursor",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::OrganizationId,
        policy::{Authenticator, mint_token},
        store::{SqliteStore, TokenStore as _, suite},
    };
    use std::{borrow::Cow, sync::Arc};

    async fn somebody_of(store: &Arc<SqliteStore>, organization: OrganizationId) -> Arc<Principal> {
        let (token, record) = mint_token(organization, "t", None).unwrap();
        store.token_insert(&record).await.unwrap();
        Authenticator::new(store.clone()).authenticate(Some(token.as_bytes()), None).await.unwrap()
    }

    /// Two of one organization, and one of another.
    async fn callers() -> [Arc<Principal>; 3] {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(SqliteStore::open(&folder.path().join("portico.db")).await.unwrap());
        let (acme, other) = (suite::organization(&*store, "acme").await, suite::organization(&*store, "other").await);
        [somebody_of(&store, acme).await, somebody_of(&store, acme).await, somebody_of(&store, other).await]
    }

    fn scope<'a>(sealer: &'a Sealer, principal: &'a Principal, question: &str) -> Scope<'a> {
        Scope { sealer, principal, question: question.to_owned() }
    }

    #[tokio::test]
    async fn a_cursor_ends_a_day_after_it_was_made() {
        let [anna, ..] = callers().await;
        let sealer = Sealer::new(&[1; 32]).unwrap();
        let scope = scope(&sealer, &anna, "sites");
        let before = clock::now();
        let cursor = scope.seal(&7).unwrap();
        let after = clock::now();
        assert_eq!(scope.open_at::<u32>(&cursor, before.plus_millis(LIFETIME_MS - 1)).unwrap(), 7);
        let problem = scope.open_at::<u32>(&cursor, after.plus_millis(LIFETIME_MS)).unwrap_err();
        assert_eq!((problem.status, &*problem.code), (StatusCode::GONE, "cursor_expired"));
    }

    #[tokio::test]
    async fn a_cursor_is_good_for_its_own_caller_and_question_alone() {
        let [anna, bert, carl] = callers().await;
        let [sealer, replaced] = [1, 2].map(|byte| Sealer::new(&[byte; 32]).unwrap());
        let cursor = scope(&sealer, &anna, "sites").seal(&7).unwrap();
        for (what, scope, expected) in [
            ("its own", scope(&sealer, &anna, "sites"), Ok(7)),
            ("a colleague", scope(&sealer, &bert, "sites"), Err("cursor_invalid")),
            ("another organization", scope(&sealer, &carl, "sites"), Err("cursor_invalid")),
            ("another question", scope(&sealer, &anna, "operations"), Err("cursor_invalid")),
            ("a replaced key", scope(&replaced, &anna, "sites"), Err("cursor_expired")),
        ] {
            let found = scope.open::<u32>(&cursor).map_err(|problem| problem.code);
            assert_eq!(found, expected.map_err(Cow::Borrowed), "{what}");
        }
    }
}
