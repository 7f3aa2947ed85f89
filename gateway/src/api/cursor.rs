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
        let sealed = (cursor.len() <= MAX_LENGTH).then(|| BASE64_URL_SAFE_NO_PAD.decode(cursor).ok()).flatten();
        let sealed = sealed.ok_or_else(invalid)?;
        if self.sealer.is_foreign(&sealed) {
            // Made before the master key was replaced.
            return Err(expired());
        }
        let plain = self.sealer.open(Purpose::Cursor, &self.facts(), &sealed).ok_or_else(invalid)?;
        let (expires, position): (Timestamp, T) = serde_json::from_slice(&plain).map_err(|_| invalid())?;
        if clock::now() < expires { Ok(position) } else { Err(expired()) }
    }
}

fn invalid() -> Problem {
    let detail = "the cursor is not one that this list gave for these filters; take next_cursor as it is, and keep the filters";
    let mut problem = Problem::new(StatusCode::BAD_REQUEST, "cursor_invalid", detail);
    problem.fields.push(super::problem::Field { field: "cursor".to_owned(), message: detail.to_owned() });
    problem
}

pub fn expired() -> Problem {
    Problem::new(StatusCode::GONE, "cursor_expired", "the cursor's snapshot is gone; start again without a cursor")
}
