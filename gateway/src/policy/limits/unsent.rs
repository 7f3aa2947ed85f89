//! Room for large answers that lie in memory until their clients have taken them: so many bytes in the process, a quarter of them of one
//! organization.
//!
//! In go sizes of answers; out come what is owed, or a refusal at once. Invariant: bytes are given back when the last that holds them lets
//! go, and nothing is remembered of an organization that is owed nothing. Small answers aren't counted: there are no more of them than
//! places for requests on the connections that are open.

use super::Busy;
use crate::model::OrganizationId;
use prometheus::IntGauge;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// What of an answer leaves at once. A larger one goes in pieces of this size, and is counted.
pub const PIECE: usize = 64 * 1024;

/// Response extension of a look-up: it can be asked for again, since it shows nothing that is shown once.
#[derive(Clone, Copy)]
pub struct Repeatable;

pub struct Unsent {
    most: usize,
    most_of_organization: usize,
    counts: Mutex<Counts>,
    gauge: IntGauge,
}

#[derive(Default)]
struct Counts {
    all: usize,
    by_organization: HashMap<OrganizationId, usize>,
}

/// The bytes of one answer, given back when this is dropped.
pub struct Owed {
    unsent: Arc<Unsent>,
    organization: OrganizationId,
    bytes: usize,
}

impl Unsent {
    pub fn new(most: usize, gauge: IntGauge) -> Arc<Self> {
        Arc::new(Self { most, most_of_organization: (most / 4).max(1), counts: Mutex::default(), gauge })
    }

    /// For an answer that can be refused. What would be alone, of its organization and of all, is let through however large it is: it
    /// could never be had else.
    pub fn take(self: &Arc<Self>, organization: OrganizationId, bytes: usize) -> Result<Owed, Busy> {
        let mut counts = self.counts();
        if !fits(counts.of(organization), bytes, self.most_of_organization) {
            return Err(Busy::UnsentOfOrganization);
        }
        if !fits(counts.all, bytes, self.most) {
            return Err(Busy::Unsent);
        }
        Ok(self.add(&mut counts, organization, bytes))
    }

    /// For an answer that must be given, since it tells what happened.
    pub fn count(self: &Arc<Self>, organization: OrganizationId, bytes: usize) -> Owed {
        self.add(&mut self.counts(), organization, bytes)
    }

    /// Before something begins whose answer must be given then: not for an organization that is owed more than half of what all may be.
    pub fn may_begin(&self, organization: OrganizationId) -> Result<(), Busy> {
        let is_over = self.counts().of(organization) > self.most / 2;
        if is_over { Err(Busy::UnsentOfOrganization) } else { Ok(()) }
    }

    fn add(self: &Arc<Self>, counts: &mut Counts, organization: OrganizationId, bytes: usize) -> Owed {
        counts.all += bytes;
        *counts.by_organization.entry(organization).or_default() += bytes;
        self.tell(counts);
        Owed { unsent: Arc::clone(self), organization, bytes }
    }

    fn give_back(&self, organization: OrganizationId, bytes: usize) {
        let mut counts = self.counts();
        counts.all -= bytes;
        if let Some(of_one) = counts.by_organization.get_mut(&organization) {
            *of_one -= bytes;
            if *of_one == 0 {
                counts.by_organization.remove(&organization);
            }
        }
        self.tell(&counts);
    }

    fn tell(&self, counts: &Counts) {
        self.gauge.set(i64::try_from(counts.all).unwrap_or(i64::MAX));
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counts {
    fn of(&self, organization: OrganizationId) -> usize {
        self.by_organization.get(&organization).copied().unwrap_or_default()
    }
}

const fn fits(owed: usize, bytes: usize, most: usize) -> bool {
    owed == 0 || owed.saturating_add(bytes) <= most
}

impl Drop for Owed {
    fn drop(&mut self) {
        self.unsent.give_back(self.organization, self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    const fn organization(number: u128) -> OrganizationId {
        OrganizationId(Uuid::from_u128(number))
    }

    const ONE: OrganizationId = organization(1);
    const OTHER: OrganizationId = organization(2);

    fn unsent(most: usize) -> Arc<Unsent> {
        Unsent::new(most, IntGauge::new("unsent", "unsent").unwrap())
    }

    #[test]
    fn an_organization_has_its_share_and_all_have_the_whole() {
        let unsent = unsent(400);
        let take = |organization, bytes| unsent.take(organization, bytes);
        let first = take(ONE, 60).ok().unwrap();
        let second = take(ONE, 40).ok().unwrap();
        assert_eq!(take(ONE, 1).err(), Some(Busy::UnsentOfOrganization));
        let others: Vec<Owed> = (2..5).map(|number| take(organization(number), 100).ok().unwrap()).collect();
        assert_eq!(take(organization(5), 1).err(), Some(Busy::Unsent));
        drop(second);
        let last = take(organization(5), 40).ok().unwrap();
        assert_eq!(take(ONE, 1).err(), Some(Busy::Unsent), "its share isn't used up");
        assert_eq!(unsent.gauge.get(), 400);
        drop((first, others, last));
        assert!(unsent.counts().by_organization.is_empty() && unsent.counts().all == 0);
        assert_eq!(unsent.gauge.get(), 0);
    }

    #[test]
    fn a_large_answer_is_had_alone() {
        let unsent = unsent(400);
        let large = unsent.take(ONE, 300).ok().unwrap();
        assert_eq!(unsent.take(ONE, 1).err(), Some(Busy::UnsentOfOrganization), "it is alone of its organization");
        let other = unsent.take(OTHER, 100).ok().unwrap();
        drop(large);
        assert_eq!(unsent.take(ONE, 1000).err(), Some(Busy::Unsent), "not what would be too much for all, beside others");
        drop(other);
        let largest = unsent.take(ONE, 1000).ok().unwrap();
        assert_eq!(unsent.take(OTHER, 1).err(), Some(Busy::Unsent));
        drop(largest);
        assert!(unsent.take(OTHER, 1).is_ok() && unsent.counts().by_organization.is_empty());
    }

    #[test]
    fn what_happened_is_told_and_too_much_of_it_begins_nothing_more() {
        let unsent = unsent(400);
        let told: Vec<Owed> = (0..2).map(|_| unsent.count(ONE, 100)).collect();
        assert_eq!(unsent.may_begin(ONE), Ok(()), "it is half of all");
        let one_more = unsent.count(ONE, 1);
        assert_eq!((unsent.may_begin(ONE), unsent.may_begin(OTHER)), (Err(Busy::UnsentOfOrganization), Ok(())));
        let others = unsent.count(OTHER, 200);
        assert_eq!(unsent.take(organization(3), 1).err(), Some(Busy::Unsent), "it counts against reads");
        drop(one_more);
        assert_eq!(unsent.may_begin(ONE), Ok(()));
        drop((told, others));
        assert!(unsent.counts().by_organization.is_empty());
    }
}
