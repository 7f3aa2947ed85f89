//! Who waits to have a password hashed, or has it hashed: so many altogether, and nobody all of them.
//!
//! In goes who asks; out comes a place, or none. Invariant: strangers of one customer's network never hold more than a quarter of
//! the places, nor does one user, and a quarter is left to those who are signed in, whatever strangers do, and one to strangers;
//! memory is that of the places that are held.

use ahash::RandomState;
use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use uuid::Uuid;

/// One in so many places is the most of one network or user, and is kept from all strangers, and from all users.
const PART: usize = 4;

/// For whom a password is hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Asker {
    Operator,
    /// Wherever they are: strangers of the same network take nothing of theirs.
    SignedIn(Uuid),
    /// From this network. None: this machine, on which a proxy may speak for everybody.
    Stranger(Option<u128>),
}

impl Asker {
    pub fn stranger(client: IpAddr) -> Self {
        Self::Stranger(network(client))
    }

    const fn is_stranger(self) -> bool {
        matches!(self, Self::Stranger(_))
    }

    const fn is_signed_in(self) -> bool {
        matches!(self, Self::SignedIn(_))
    }

    const fn has_a_share(self) -> bool {
        !matches!(self, Self::Operator | Self::Stranger(None))
    }
}

/// What one customer may well have, with a rate for each address in it: of IPv6 a /48 (RFC 6177), of IPv4 a /24.
fn network(client: IpAddr) -> Option<u128> {
    let client = client.to_canonical();
    let network = match client {
        IpAddr::V4(address) => address.to_ipv6_mapped().to_bits() & (u128::MAX << 8),
        IpAddr::V6(address) => address.to_bits() & (u128::MAX << 80),
    };
    (!client.is_loopback()).then_some(network)
}

pub struct Line {
    most: usize,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    all: usize,
    strangers: usize,
    signed_in: usize,
    by_asker: HashMap<Asker, usize, RandomState>,
}

/// Free again when it is dropped.
pub struct Place {
    line: Arc<Line>,
    asker: Asker,
}

impl Line {
    pub fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { most, held: Mutex::default() })
    }

    /// None: there is no room for this one.
    pub fn enter(self: &Arc<Self>, asker: Asker) -> Option<Place> {
        let mut held = self.held();
        if !self.has_room(&held, asker) {
            return None;
        }
        held.take(asker);
        Some(Place { line: Arc::clone(self), asker })
    }

    fn has_room(&self, held: &Held, asker: Asker) -> bool {
        let part = self.most / PART;
        let own = held.by_asker.get(&asker).copied().unwrap_or_default();
        let has_share = !asker.has_a_share() || own < part.max(1);
        let of_its_kind = match asker {
            Asker::Operator => 0,
            Asker::SignedIn(_) => held.signed_in,
            Asker::Stranger(_) => held.strangers,
        };
        held.all < self.most && has_share && of_its_kind < self.most - part
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
impl Line {
    pub fn free(&self) -> usize {
        self.most - self.held().all
    }
}

impl Held {
    fn take(&mut self, asker: Asker) {
        self.all += 1;
        self.strangers += usize::from(asker.is_stranger());
        self.signed_in += usize::from(asker.is_signed_in());
        *self.by_asker.entry(asker).or_default() += 1;
    }

    fn give_back(&mut self, asker: Asker) {
        self.all -= 1;
        self.strangers -= usize::from(asker.is_stranger());
        self.signed_in -= usize::from(asker.is_signed_in());
        if let Some(own) = self.by_asker.get_mut(&asker) {
            *own -= 1;
            if *own == 0 {
                self.by_asker.remove(&asker);
            }
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.line.held().give_back(self.asker);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stranger(client: &str) -> Asker {
        Asker::stranger(client.parse().unwrap())
    }

    /// As many as come from these clients, each again and again.
    fn fill(line: &Arc<Line>, clients: &[&str]) -> Vec<Place> {
        clients.iter().flat_map(|client| std::iter::from_fn(move || line.enter(stranger(client)))).collect()
    }

    const fn signed_in(user: u128) -> Asker {
        Asker::SignedIn(Uuid::from_u128(user))
    }

    #[test]
    fn one_network_takes_a_quarter_however_many_addresses_it_has() {
        let line = Line::new(16);
        let places = fill(&line, &["2001:db8:1::1", "2001:db8:1:1::1", "2001:db8:1:ffff::1"]);
        assert_eq!(places.len(), 4);
        assert!(line.enter(stranger("2001:db8:2::1")).is_some(), "another customer");
        assert!(line.enter(stranger("192.0.2.1")).is_some());
        assert_eq!(fill(&line, &["192.0.2.1", "::ffff:192.0.2.2", "192.0.2.255"]).len(), 4, "one network in both forms");
        drop(places);
        assert_eq!((line.free(), line.held().by_asker.len()), (16, 0));
    }

    #[test]
    fn strangers_leave_a_quarter_to_those_who_are_signed_in() {
        let line = Line::new(16);
        let places = fill(&line, &["192.0.2.1", "198.51.100.1", "203.0.113.1", "2001:db8::1"]);
        assert_eq!(places.len(), 12);
        let known: Vec<_> = std::iter::from_fn(|| line.enter(signed_in(1))).collect();
        assert_eq!((known.len(), line.free()), (4, 0));
        assert!(line.enter(Asker::Operator).is_none(), "all places are taken");
    }

    #[test]
    fn one_user_takes_a_quarter_too_and_all_of_them_leave_one() {
        let line = Line::new(16);
        let own: Vec<_> = std::iter::from_fn(|| line.enter(signed_in(1))).collect();
        assert_eq!(own.len(), 4);
        let line = &line;
        let others: Vec<_> = (2..9).flat_map(|user| std::iter::from_fn(move || line.enter(signed_in(user)))).collect();
        assert_eq!(others.len(), 8);
        assert_eq!(fill(line, &["192.0.2.1"]).len(), 4);
    }

    #[test]
    fn who_speaks_for_everybody_is_not_one_customer() {
        let line = Line::new(16);
        assert_eq!(fill(&line, &["127.0.0.1"]).len(), 12);
        assert_eq!(fill(&line, &["::1", "::ffff:127.0.0.1"]).len(), 12);
    }

    #[test]
    fn a_short_line_has_a_place_for_each() {
        let line = Line::new(2);
        let places = fill(&line, &["192.0.2.1", "198.51.100.1"]);
        assert_eq!((places.len(), line.free()), (2, 0));
    }
}
