//! Room for requests without a principal: who logs in or makes an account.
//!
//! In go client addresses; out come places, or a refusal at once. Invariant: strangers take a part of all places, so that whoever has a
//! credential is served however many they are; and one address takes a part of theirs, so that it locks nobody out.

use super::Busy;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

pub struct Strangers {
    most: usize,
    most_of_one: usize,
    present: Mutex<Present>,
}

#[derive(Default)]
struct Present {
    all: usize,
    by_client: HashMap<u128, usize>,
}

/// Given back when it is dropped.
pub struct Visitor {
    strangers: Arc<Strangers>,
    client: u128,
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
        if present.all >= self.most || of_one >= self.most_of_one {
            return Err(Busy::Strangers);
        }
        present.all += 1;
        present.by_client.insert(client, of_one + 1);
        drop(present);
        Ok(Visitor { strangers: Arc::clone(self), client })
    }

    fn present(&self) -> MutexGuard<'_, Present> {
        self.present.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Visitor {
    fn drop(&mut self) {
        let mut present = self.strangers.present();
        present.all -= 1;
        let left = present.by_client.get(&self.client).map_or(0, |count| count - 1);
        if left == 0 {
            present.by_client.remove(&self.client);
        } else {
            present.by_client.insert(self.client, left);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_client_has_a_part_of_a_part() {
        let strangers = Strangers::new(64);
        let enter = |client: u128| strangers.enter(client).ok();
        let of_one: Vec<_> = (0..3).map(|_| enter(1)).collect();
        assert_eq!(of_one.iter().flatten().count(), 2);
        let others: Vec<_> = (2..20).map(enter).collect();
        assert_eq!(others.iter().flatten().count(), 14, "sixteen of sixty-four altogether");
        drop(of_one);
        assert!(enter(1).is_some() && enter(30).is_some());
        drop(others);
        assert!(strangers.present().by_client.is_empty() && strangers.present().all == 0);
    }
}
