//! Places for connections: how many there are, who holds them, and who makes room when there are none.
//!
//! In goes a client that connects; out comes a place, or word that all are at work. Invariant: a connection with a request that the
//! gateway works on is never sent away for another. Room is made by who has asked nothing yet, the longest here first; then by who
//! rests longest among some; then by who lets all of its answers wait, the longest first: so clients that come and ask at once are
//! served while ten thousand sit and say nothing, or ask and take nothing. A client address that holds its share makes room for its
//! own.

mod group;

use super::life::{Life, Reason};
use group::{Group, Held};
use std::{
    collections::{BTreeSet, HashMap},
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::Notify;

#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    pub connections: usize,
    pub per_client: usize,
    pub handshakes: usize,
}

pub struct Places {
    sizes: Sizes,
    table: Mutex<Table>,
    freed: Notify,
}

#[derive(Default)]
struct Table {
    next: u64,
    all: Group,
    /// Of all, those that may not have asked anything yet. Who has is taken out when it is met.
    fresh: BTreeSet<u64>,
    /// Of all, those in a TLS handshake.
    shaking: BTreeSet<u64>,
    clients: HashMap<IpAddr, Group>,
}

/// Why there is no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The gateway works for all connections that were seen, or handed them answers just now.
    Full,
    /// So it is with all that were seen of this client's.
    PerClient,
}

/// Given back when it is dropped.
pub struct Place {
    places: Arc<Places>,
    id: u64,
    pub life: Arc<Life>,
}

impl Places {
    pub fn new(sizes: Sizes) -> Arc<Self> {
        Arc::new(Self { sizes, table: Mutex::default(), freed: Notify::new() })
    }

    /// `client`: none for those that may hold any number.
    pub fn enter(self: &Arc<Self>, client: Option<IpAddr>) -> Result<Place, Refused> {
        let mut table = self.table();
        let client = client.map(share);
        if let Some(client) = client {
            let held = table.clients.get(&client).map_or(0, Group::len);
            if held >= self.sizes.per_client && !table.evict_of(client) {
                return Err(Refused::PerClient);
            }
        }
        if table.all.len() >= self.sizes.connections && !table.evict_any() {
            return Err(Refused::Full);
        }
        let (id, life) = table.insert(client);
        drop(table);
        Ok(Place { places: Arc::clone(self), id, life })
    }

    /// When a place became free; another may have taken it.
    pub async fn freed(&self) {
        self.freed.notified().await;
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whoever has one IPv6 address has its /64.
fn share(client: IpAddr) -> IpAddr {
    match client.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64))),
        v4 => v4,
    }
}

impl Place {
    /// Takes one of the places for handshakes, from the oldest if there is no other.
    pub fn begin_handshake(&self) {
        let mut table = self.places.table();
        if table.shaking.len() >= self.places.sizes.handshakes
            && let Some(oldest) = table.shaking.first().copied()
        {
            table.evict(oldest, Reason::Handshakes);
        }
        if table.all.get(self.id).is_some() {
            table.shaking.insert(self.id);
        }
    }

    pub fn end_handshake(&self) {
        self.places.table().shaking.remove(&self.id);
        self.life.touch();
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.table().remove(self.id);
        self.places.freed.notify_one();
    }
}

impl Table {
    fn insert(&mut self, client: Option<IpAddr>) -> (u64, Arc<Life>) {
        let id = self.next;
        self.next += 1;
        let life = Arc::new(Life::new());
        let held = Held { life: Arc::clone(&life), client };
        if let Some(client) = client {
            self.clients.entry(client).or_default().insert(id, held.clone());
        }
        self.all.insert(id, held);
        self.fresh.insert(id);
        (id, life)
    }

    fn remove(&mut self, id: u64) -> Option<Arc<Life>> {
        let held = self.all.remove(id)?;
        self.fresh.remove(&id);
        self.shaking.remove(&id);
        if let Some(client) = held.client
            && let Some(group) = self.clients.get_mut(&client)
        {
            group.remove(id);
            if group.is_empty() {
                self.clients.remove(&client);
            }
        }
        Some(held.life)
    }

    /// Its place is free at once; the connection ends as soon as it is told.
    fn evict(&mut self, id: u64, reason: Reason) -> bool {
        let life = self.remove(id);
        life.inspect(|life| life.evict(reason)).is_some()
    }

    fn evict_any(&mut self) -> bool {
        while let Some(oldest) = self.fresh.pop_first() {
            if self.all.get(oldest).is_some_and(|held| !held.life.has_spoken()) {
                return self.evict(oldest, Reason::Full);
            }
        }
        let leaving = self.all.leaving();
        leaving.is_some_and(|id| self.evict(id, Reason::Full))
    }

    fn evict_of(&mut self, client: IpAddr) -> bool {
        let leaving = self.clients.get_mut(&client).and_then(Group::leaving);
        leaving.is_some_and(|id| self.evict(id, Reason::PerClient))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt as _;
    use std::time::Duration;

    fn places(connections: usize, per_client: usize) -> Arc<Places> {
        Places::new(Sizes { connections, per_client, handshakes: 2 })
    }

    fn client(last: u8) -> Option<IpAddr> {
        Some(IpAddr::from([203, 0, 113, last]))
    }

    fn ask(place: &Place) {
        place.life.begin_request(false);
    }

    fn answer(place: &Place) {
        place.life.touch();
        place.life.end_request(true);
    }

    fn gone(place: &Place) -> Option<Reason> {
        place.life.evicted().now_or_never()
    }

    #[tokio::test(start_paused = true)]
    async fn room_is_made_by_the_silent_then_by_the_resting_and_never_by_the_busy() {
        let places = places(4, 4);
        let all: Vec<Place> = (0..4).map(|n| places.enter(client(n)).unwrap()).collect();
        ask(&all[0]);
        for place in &all[1..3] {
            ask(place);
            answer(place);
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        // 0 is busy, 1 rests longer than 2, 3 has said nothing.
        let mut newcomers = Vec::new();
        for wanted in [3, 1, 2] {
            let newcomer = places.enter(client(9)).unwrap();
            ask(&newcomer);
            newcomers.push(newcomer);
            let went: Vec<usize> = (0..4).filter(|n| gone(&all[*n]).is_some()).collect();
            assert!(went.contains(&wanted), "{wanted}: {went:?}");
        }
        assert_eq!(gone(&all[3]), Some(Reason::Full));
        assert_eq!(gone(&all[0]), None);
        assert_eq!(places.enter(client(8)).err(), Some(Refused::Full));
        let freed = places.freed();
        drop(newcomers.pop());
        freed.await;
        assert!(places.enter(client(8)).is_ok());
        // Evicted ones were not counted any more, and don't give their places back twice.
        drop(all);
        assert_eq!(places.table().all.len(), 2);
        drop(newcomers);
        let table = places.table();
        assert!(table.all.is_empty() && table.fresh.is_empty() && table.clients.is_empty());
    }

    #[test]
    fn a_client_pays_with_its_own() {
        let places = places(100, 2);
        let one = places.enter(client(1)).unwrap();
        let two = places.enter(client(1)).unwrap();
        let other = places.enter(client(2)).unwrap();
        ask(&one);
        let three = places.enter(client(1)).unwrap();
        assert_eq!((gone(&one), gone(&two), gone(&other)), (None, Some(Reason::PerClient), None));
        ask(&three);
        assert_eq!(places.enter(client(1)).err(), Some(Refused::PerClient));
        answer(&three);
        let four = places.enter(client(1)).unwrap();
        assert_eq!((gone(&three), gone(&four)), (Some(Reason::PerClient), None));
        // Proxies hold as many as they like.
        let many: Vec<Place> = (0..50).map(|_| places.enter(None).unwrap()).collect();
        assert!(many.iter().all(|place| gone(place).is_none()));
    }

    #[test]
    fn an_ipv6_client_is_its_network() {
        let of = |text: &str| share(text.parse().unwrap()).to_string();
        assert_eq!(of("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_eq!(of("::ffff:203.0.113.7"), "203.0.113.7");
    }

    #[test]
    fn the_oldest_handshake_makes_room() {
        let places = places(100, 100);
        let all: Vec<Place> = (0..3).map(|n| places.enter(client(n)).unwrap()).collect();
        all[0].begin_handshake();
        all[1].begin_handshake();
        all[0].end_handshake();
        all[2].begin_handshake();
        assert!(all.iter().all(|place| gone(place).is_none()));
        let last = places.enter(client(4)).unwrap();
        last.begin_handshake();
        assert_eq!(all.iter().map(gone).collect::<Vec<_>>(), [None, Some(Reason::Handshakes), None]);
    }
}
