//! Room for requests without a principal: who logs in or makes an account.
//!
//! In go client addresses; out come places, or a refusal at once. Invariant: strangers take a part of all places, so that whoever has a
//! credential is served however many they are; and one address takes a part of theirs, so that it locks nobody out. Who takes their
//! time over what they say makes room for who comes, the longest here first, so that many addresses don't, either.

use super::Busy;
use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio_util::sync::CancellationToken;

pub struct Strangers {
    most: usize,
    most_of_one: usize,
    present: Mutex<Present>,
}

#[derive(Default)]
struct Present {
    next: u64,
    held: BTreeMap<u64, Held>,
    by_client: HashMap<u128, usize>,
}

struct Held {
    client: u128,
    /// Told when the place is another's. None: all was said, and the place is kept to the end.
    speaking: Option<CancellationToken>,
}

/// Given back when it is dropped.
pub struct Visitor {
    strangers: Arc<Strangers>,
    id: u64,
    gone: CancellationToken,
}

impl Strangers {
    /// Of so many places altogether: a quarter, and of those an eighth for one client.
    pub fn new(places: usize) -> Arc<Self> {
        let most = (places / 4).max(1);
        Arc::new(Self { most, most_of_one: (most / 8).max(1), present: Mutex::default() })
    }

    pub fn enter(self: &Arc<Self>, client: u128) -> Result<Visitor, Busy> {
        let mut present = self.present();
        let of_one = present.by_client.get(&client).copied().unwrap_or_default();
        let has_room = if of_one >= self.most_of_one {
            present.send_away(|held| held.client == client)
        } else {
            present.held.len() < self.most || present.send_away(|_| true)
        };
        if !has_room {
            return Err(Busy::Strangers);
        }
        let gone = CancellationToken::new();
        let id = present.insert(client, gone.clone());
        drop(present);
        Ok(Visitor { strangers: Arc::clone(self), id, gone })
    }

    fn present(&self) -> MutexGuard<'_, Present> {
        self.present.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Present {
    fn insert(&mut self, client: u128, gone: CancellationToken) -> u64 {
        let id = self.next;
        self.next += 1;
        self.held.insert(id, Held { client, speaking: Some(gone) });
        *self.by_client.entry(client).or_default() += 1;
        id
    }

    fn remove(&mut self, id: u64) -> Option<Held> {
        let held = self.held.remove(&id)?;
        if let Some(count) = self.by_client.get_mut(&held.client) {
            *count -= 1;
            if *count == 0 {
                self.by_client.remove(&held.client);
            }
        }
        Some(held)
    }

    /// The oldest of these that is still speaking.
    fn send_away(&mut self, of: impl Fn(&Held) -> bool) -> bool {
        let oldest = self.held.iter().find(|(_, held)| held.speaking.is_some() && of(held)).map(|(id, _)| *id);
        let held = oldest.and_then(|id| self.remove(id));
        held.and_then(|held| held.speaking).inspect(CancellationToken::cancel).is_some()
    }
}

impl Visitor {
    /// When the place was given to somebody else, which ends with [`Self::has_spoken`].
    pub async fn sent_away(&self) {
        self.gone.cancelled().await;
    }

    /// All was said: the place is kept. False: it is another's already.
    pub fn has_spoken(&self) -> bool {
        let mut present = self.strangers.present();
        present.held.get_mut(&self.id).map(|held| held.speaking = None).is_some()
    }
}

impl Drop for Visitor {
    fn drop(&mut self) {
        self.strangers.present().remove(self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spoken(strangers: &Arc<Strangers>, client: u128) -> Option<Visitor> {
        strangers.enter(client).ok().inspect(|visitor| assert!(visitor.has_spoken()))
    }

    #[test]
    fn one_client_has_a_part_of_a_part() {
        let strangers = Strangers::new(64);
        let enter = |client: u128| spoken(&strangers, client);
        let of_one: Vec<_> = (0..3).map(|_| enter(1)).collect();
        assert_eq!(of_one.iter().flatten().count(), 2);
        let others: Vec<_> = (2..20).map(enter).collect();
        assert_eq!(others.iter().flatten().count(), 14, "sixteen of sixty-four altogether");
        drop(of_one);
        assert!(enter(1).is_some() && enter(30).is_some());
        drop(others);
        assert!(strangers.present().by_client.is_empty() && strangers.present().held.is_empty());
    }

    #[test]
    fn who_takes_their_time_makes_room_and_who_has_spoken_stays() {
        let strangers = Strangers::new(64);
        // Eight addresses, two of each, and nobody else has a place.
        let mut all: Vec<_> = (0..16).map(|n| strangers.enter(n / 2).ok().unwrap()).collect();
        assert!(all[0].has_spoken());
        let newcomer = strangers.enter(100).ok().unwrap();
        let gone = |all: &[Visitor]| -> Vec<usize> { (0..all.len()).filter(|&n| all[n].gone.is_cancelled()).collect() };
        assert_eq!(gone(&all), [1], "the longest here that still speaks");
        assert!(!all[1].has_spoken() && newcomer.has_spoken());
        // At its share, an address pays with its own.
        let _another = strangers.enter(7).ok().unwrap();
        assert_eq!(gone(&all), [1, 14]);
        assert_eq!(strangers.present().held.len(), 16);
        assert!((2..14).all(|n| all[n].has_spoken()) && all[15].has_spoken());
        assert!(strangers.enter(7).is_ok() && _another.gone.is_cancelled(), "of its two, one has spoken");
        all.truncate(1);
        drop((newcomer, _another));
        assert_eq!(strangers.present().held.len(), 1);
    }
}
