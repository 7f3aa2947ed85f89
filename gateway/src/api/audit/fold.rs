//! Which refusals have a row: whoever is refused again and again must not fill the log, in which each row is durable.
//!
//! In go refusals; out comes whether one is to be written. Invariant: the first of equal ones is written, and at most one a minute;
//! they are equal by who asks, from where, for what, and the status. What protects something is also told apart by what it is about,
//! however its path is escaped. Of one thing at most sixteen are written in a minute, from however many addresses. What was done,
//! accepted or failed never comes here. 4,096 are remembered; when there are more, all are forgotten, which costs a row each.

use super::ADDRESS_NOT_ALLOWED;
use crate::{
    api::{once, problem::Problem},
    model::OrganizationId,
    store::AuditEntry,
};
use http::StatusCode;
use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::time::Instant;

const ONE_IN: Duration = Duration::from_secs(60);
const REMEMBERED: usize = 4096;
/// Whoever has many addresses fills no log by them.
const MOST_ADDRESSES: u32 = 16;

/// What equal refusals have in common.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Refused {
    /// In whose log it stands: somebody may be a member of several.
    organization: Option<OrganizationId>,
    who: String,
    what: String,
    status: u16,
    /// Who has a token may be its owner, and at another address a thief.
    from: Option<IpAddr>,
    about: Option<String>,
}

impl Refused {
    /// `entry`: as it would be written.
    pub fn new(entry: &AuditEntry, status: StatusCode, problem: Option<&Problem>) -> Self {
        // Whatever a token is tried for that is good elsewhere, it is one thing to tell.
        let from_elsewhere = problem.is_some_and(|problem| problem.code == ADDRESS_NOT_ALLOWED);
        let what = if from_elsewhere { ADDRESS_NOT_ALLOWED } else { entry.action.as_str() };
        // Paths that somebody has no right to are what they like; what is protected is there.
        let about = entry.target.as_deref().filter(|_| status != StatusCode::FORBIDDEN).map(once::one_form);
        let (who, what, from) = (entry.principal.clone(), what.to_owned(), entry.client.map(network));
        Self { organization: entry.organization, who, what, status: status.as_u16(), from, about }
    }

    /// The same, wherever it comes from.
    fn wherever(&self) -> Self {
        Self { from: None, ..self.clone() }
    }

    /// Whether it is about something that there is.
    pub const fn protects(&self) -> bool {
        self.about.is_some()
    }
}

/// Who has one IPv6 address has all of its /64.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64)).into(),
        canonical @ IpAddr::V4(_) => canonical,
    }
}

/// What was written lately.
#[derive(Default)]
struct Told {
    each: HashMap<Refused, Instant>,
    /// From wherever they come: since when, and how many.
    from_all: HashMap<Refused, (Instant, u32)>,
}

#[derive(Default)]
pub struct Refusals(Mutex<Told>);

impl Refusals {
    fn told(&self) -> MutexGuard<'_, Told> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it is to be written now; then no equal one is for a minute, unless [`Refusals::failed`] says that it could not be.
    pub fn is_due(&self, refused: &Refused, now: Instant) -> bool {
        let mut told = self.told();
        if told.each.get(refused).is_some_and(|at| !is_over(*at, now)) {
            return false;
        }
        told.forget(now);
        let (since, count) = told.from_all.entry(refused.wherever()).or_insert((now, 0));
        if is_over(*since, now) {
            (*since, *count) = (now, 0);
        }
        if *count >= MOST_ADDRESSES {
            return false;
        }
        *count += 1;
        told.each.insert(refused.clone(), now);
        true
    }

    pub fn failed(&self, refused: &Refused) {
        let mut told = self.told();
        told.each.remove(refused);
        if let Some((_, count)) = told.from_all.get_mut(&refused.wherever()) {
            *count = count.saturating_sub(1);
        }
    }
}

impl Told {
    /// Makes room for one more.
    fn forget(&mut self, now: Instant) {
        if self.each.len() < REMEMBERED && self.from_all.len() < REMEMBERED {
            return;
        }
        self.each.retain(|_, at| !is_over(*at, now));
        self.from_all.retain(|_, (since, _)| !is_over(*since, now));
        if self.each.len() >= REMEMBERED || self.from_all.len() >= REMEMBERED {
            *self = Self::default();
        }
    }
}

fn is_over(since: Instant, now: Instant) -> bool {
    now.saturating_duration_since(since) >= ONE_IN
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Cause;
    use std::net::Ipv4Addr;

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
    fn each_address_is_told_and_one_thing_once_however_it_is_escaped() {
        let refusals = Refusals::default();
        let is_due = |from: &str, about: &str, status: u16| {
            let cause = Cause::new(None, "token:1", "sites.delete").from(from.parse().ok(), None).about(about);
            let one = Refused::new(&cause.entry("refused", Some(status)), StatusCode::from_u16(status).unwrap(), None);
            refusals.is_due(&one, Instant::now())
        };
        for (from, expected) in [
            ("192.0.2.1", true),
            ("192.0.2.1", false),
            ("192.0.2.2", true),
            ("2001:db8::1", true),
            ("2001:db8::2", false),
            ("2001:db8:0:1::1", true),
        ] {
            assert_eq!(is_due(from, "/sites/a~1", 403), expected, "{from}");
        }
        for (about, expected) in [("/sites/a~1", true), ("/sites/a%7E1", false), ("/sites/%61~1", false), ("/sites/a~2", true)]
        {
            assert_eq!(is_due("192.0.2.1", about, 409), expected, "{about}");
        }
    }

    #[test]
    fn many_addresses_fill_no_log() {
        let (refusals, start) = (Refusals::default(), Instant::now());
        let told = |now: Instant| {
            let is_due = |number: &u32| {
                let cause = Cause::new(None, "token:1", "sites.delete").from(Some(Ipv4Addr::from(*number).into()), None);
                refusals.is_due(&Refused::new(&cause.entry("refused", Some(403)), StatusCode::FORBIDDEN, None), now)
            };
            (0..1000).filter(is_due).count()
        };
        assert_eq!((told(start), told(start + ONE_IN / 2), told(start + ONE_IN)), (16, 0, 16));
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
            let told = refusals.told();
            assert!(told.each.len() <= REMEMBERED && told.from_all.len() <= REMEMBERED);
        }
    }
}
