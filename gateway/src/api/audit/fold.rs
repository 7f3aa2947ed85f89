//! Which refusals have a row: whoever is refused again and again must not fill the log, in which each row is durable.
//!
//! In go refusals; out comes whether one is to be written. Invariant: the first of equal ones is written, and at most one a minute;
//! they are equal by who asks, for what, and the status. What protects something is also told apart by what it is about. What was
//! done, accepted or failed never comes here. So many are remembered; when there are more all are forgotten, which costs a row each.

use super::ADDRESS_NOT_ALLOWED;
use crate::{api::problem::Problem, model::OrganizationId, store::AuditEntry};
use http::StatusCode;
use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::time::Instant;

const ONE_IN: Duration = Duration::from_secs(60);
const REMEMBERED: usize = 4096;

/// What equal refusals have in common.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Refused {
    /// In whose log it stands: somebody may be a member of several.
    organization: Option<OrganizationId>,
    who: String,
    what: String,
    status: u16,
    about: Option<String>,
}

impl Refused {
    /// `entry`: as it would be written.
    pub fn new(entry: &AuditEntry, status: StatusCode, problem: Option<&Problem>) -> Self {
        // Wherever a token is tried that is good elsewhere, it is one thing to tell.
        let from_elsewhere = problem.is_some_and(|problem| problem.code == ADDRESS_NOT_ALLOWED);
        let what = if from_elsewhere { ADDRESS_NOT_ALLOWED } else { entry.action.as_str() };
        // Paths that somebody has no right to are what they like; what is protected is there.
        let about = entry.target.clone().filter(|_| status != StatusCode::FORBIDDEN);
        let (who, what) = (entry.principal.clone(), what.to_owned());
        Self { organization: entry.organization, who, what, status: status.as_u16(), about }
    }
}

/// When each was written last.
#[derive(Default)]
pub struct Refusals(Mutex<HashMap<Refused, Instant>>);

impl Refusals {
    fn told(&self) -> MutexGuard<'_, HashMap<Refused, Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it is to be written now; then no equal one is for a minute, unless [`Refusals::failed`] says that it could not be.
    pub fn is_due(&self, refused: &Refused, now: Instant) -> bool {
        let mut told = self.told();
        if told.get(refused).is_some_and(|&at| now.saturating_duration_since(at) < ONE_IN) {
            return false;
        }
        if told.len() >= REMEMBERED {
            told.clear();
        }
        told.insert(refused.clone(), now);
        true
    }

    pub fn failed(&self, refused: &Refused) {
        self.told().remove(refused);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Cause;

    fn refused(who: &str, what: &str, about: &str, (status, code): (u16, &'static str)) -> Refused {
        let entry = Cause::new(None, who, what).about(about).entry("refused", Some(status));
        let status = StatusCode::from_u16(status).unwrap();
        Refused::new(&entry, status, Some(&Problem::new(status, code, "words")))
    }

    #[test]
    fn equal_refusals_are_told_once_a_minute() {
        const FORBIDDEN: (u16, &str) = (403, "forbidden");
        const PROTECTED: (u16, &str) = (409, "protected");
        const ELSEWHERE: (u16, &str) = (403, "address_not_allowed");
        let (refusals, start) = (Refusals::default(), Instant::now());
        for (seconds, one, expected) in [
            (0, refused("token:1", "sites.delete", "/sites/a~1", FORBIDDEN), true),
            (1, refused("token:1", "sites.delete", "/sites/a~2", FORBIDDEN), false),
            (1, refused("token:2", "sites.delete", "/sites/a~1", FORBIDDEN), true),
            (1, refused("token:1", "sites.stop", "/sites/a~1", FORBIDDEN), true),
            (59, refused("token:1", "sites.delete", "/sites/a~3", FORBIDDEN), false),
            (60, refused("token:1", "sites.delete", "/sites/a~3", FORBIDDEN), true),
            (60, refused("token:1", "sites.delete", "/sites/a~1", FORBIDDEN), false),
            // Each thing that is protected, and each again later.
            (60, refused("token:1", "sites.delete", "/sites/a~1", PROTECTED), true),
            (60, refused("token:1", "sites.delete", "/sites/a~2", PROTECTED), true),
            (119, refused("token:1", "sites.delete", "/sites/a~1", PROTECTED), false),
            (120, refused("token:1", "sites.delete", "/sites/a~1", PROTECTED), true),
            // One, whatever the token was tried for.
            (120, refused("token:3", "sites.list", "/sites", ELSEWHERE), true),
            (120, refused("token:3", "sites.delete", "/sites/a~1", ELSEWHERE), false),
        ] {
            assert_eq!(refusals.is_due(&one, start + Duration::from_secs(seconds)), expected, "{seconds} {one:?}");
        }
    }

    #[test]
    fn each_organization_is_told() {
        let refusals = Refusals::default();
        for _ in 0..2 {
            let organization = Some(OrganizationId(uuid::Uuid::new_v4()));
            let one = Refused { organization, ..refused("user:1", "sites.delete", "/sites/a~1", (403, "forbidden")) };
            assert!(refusals.is_due(&one, Instant::now()));
        }
    }

    #[test]
    fn what_could_not_be_written_is_due_still_and_memory_is_bounded() {
        let (refusals, now) = (Refusals::default(), Instant::now());
        let one = refused("token:1", "sites.delete", "/sites/a~1", (403, "forbidden"));
        assert!(refusals.is_due(&one, now));
        refusals.failed(&one);
        assert!(refusals.is_due(&one, now) && !refusals.is_due(&one, now));
        for number in 0..2 * REMEMBERED {
            assert!(refusals.is_due(&refused(&format!("token:{number}"), "x", "/", (403, "forbidden")), now));
            assert!(refusals.told().len() <= REMEMBERED);
        }
    }
}
