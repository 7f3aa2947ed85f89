//! What tells answers from before a mutation from those after it.
//!
//! In goes the site that a mutation is about; out come numbers that are part of the cache's keys. Invariant: after a mutation of a
//! site, the numbers of that site and of everything about many sites are new ones; a number never comes again. Sites share
//! numbers by hash, so now and then another site's answers are outdated too, which costs a read and nothing else.

use std::{
    hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher},
    sync::atomic::{AtomicU32, AtomicU64, Ordering},
};

/// 256 bytes a connection; of two sites, one in 64 shares the other's number.
const SHARES: usize = 64;

pub struct Generations {
    /// Grows with every mutation.
    many: AtomicU64,
    /// Grows with mutations of unknown sites, which outdate everything.
    all: AtomicU64,
    sites: [AtomicU32; SHARES],
}

impl Default for Generations {
    fn default() -> Self {
        Self { many: AtomicU64::new(0), all: AtomicU64::new(0), sites: std::array::from_fn(|_| AtomicU32::new(0)) }
    }
}

impl Generations {
    /// For answers about this site, or about many.
    pub fn of(&self, site: Option<&str>) -> u64 {
        match site {
            None => self.many.load(Ordering::Acquire),
            // Both only grow, so no sum comes twice.
            Some(site) => self.all.load(Ordering::Acquire) + u64::from(self.share(site).load(Ordering::Acquire)),
        }
    }

    pub fn outdate(&self, site: Option<&str>) {
        match site {
            None => self.all.fetch_add(1, Ordering::AcqRel),
            Some(site) => self.share(site).fetch_add(1, Ordering::AcqRel).into(),
        };
        self.many.fetch_add(1, Ordering::AcqRel);
    }

    fn share(&self, site: &str) -> &AtomicU32 {
        let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(site);
        &self.sites[usize::try_from(hash % SHARES as u64).unwrap_or_default()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mutation_outdates_its_site_and_what_is_about_many() {
        let generations = Generations::default();
        // Two sites that don't share a number.
        let other = (0..).map(|n| format!("s{n}")).find(|name| !std::ptr::eq(generations.share(name), generations.share("a")));
        let other = other.unwrap();
        let all = |generations: &Generations| [Some("a"), Some(&other), None].map(|site| generations.of(site));
        let before = all(&generations);
        generations.outdate(Some("a"));
        let after = all(&generations);
        assert_eq!([0, 1, 2].map(|index| before[index] == after[index]), [false, true, false]);
        generations.outdate(None);
        let last = all(&generations);
        assert!((0..3).all(|index| last[index] > after[index]));
    }
}
