//! What tells answers from before a mutation from those after it.
//!
//! In goes the site that a mutation is about; out come numbers that are part of the cache's keys. Invariant: after a mutation of a
//! site, the numbers of that site and of everything about many sites are new ones; a number never comes again. Sites share
//! numbers by hash, so now and then another site's answers are outdated too, which costs a read and nothing else. Ids that differ
//! in capitals alone always do, since a host may take them for the same.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

/// 256 bytes a connection; of two sites, one in 64 shares the other's number.
const SHARES: usize = 64;

pub struct Generations {
    /// Grows with every mutation.
    many: AtomicU64,
    /// Grows with mutations of unknown sites, which outdate everything.
    all: AtomicU64,
    sites: [AtomicU32; SHARES],
    /// What is done to one site by its id may be of one that is kept under another.
    together: AtomicBool,
}

impl Default for Generations {
    fn default() -> Self {
        let sites = std::array::from_fn(|_| AtomicU32::new(0));
        Self { many: AtomicU64::new(0), all: AtomicU64::new(0), sites, together: AtomicBool::new(false) }
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

    /// From here on every mutation outdates the answers about all sites.
    pub fn take_sites_together(&self) {
        if !self.together.swap(true, Ordering::AcqRel) {
            self.outdate(None);
        }
    }

    pub fn outdate(&self, site: Option<&str>) {
        match site.filter(|_| !self.together.load(Ordering::Acquire)) {
            None => self.all.fetch_add(1, Ordering::AcqRel),
            Some(site) => self.share(site).fetch_add(1, Ordering::AcqRel).into(),
        };
        self.many.fetch_add(1, Ordering::AcqRel);
    }

    fn share(&self, site: &str) -> &AtomicU32 {
        // FNV-1a: short, and who looks for ids that share a number wins nothing by it.
        let hash = site.bytes().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
            (hash ^ u64::from(byte.to_ascii_lowercase())).wrapping_mul(0x0100_0000_01b3)
        });
        // Fibonacci hashing: the upper bits depend on all of them.
        let share = hash.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (u64::BITS - SHARES.ilog2());
        &self.sites[usize::try_from(share).unwrap_or_default()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_that_differ_in_capitals_share_a_number_and_others_spread() {
        let generations = Generations::default();
        let (id, capitals) = ("6f9619ff-8b86-d011-b42d-00c04fc964ff", "6F9619FF-8B86-D011-B42D-00C04FC964FF");
        assert!(std::ptr::eq(generations.share(id), generations.share(capitals)));
        for form in ["seed-", "", "6f9619ff-8b86-d011-b42d-00c04fc9"] {
            let mut shares = [0; SHARES];
            for n in 0..6400 {
                let share = std::ptr::from_ref(generations.share(&format!("{form}{n:05}"))).addr();
                shares[(share - generations.sites.as_ptr().addr()) / size_of::<AtomicU32>()] += 1;
            }
            assert!(shares.iter().all(|count| (50..200).contains(count)), "{form}: {shares:?}");
        }
    }

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
        generations.take_sites_together();
        let told = all(&generations);
        generations.outdate(Some("a"));
        let together = all(&generations);
        assert!((0..3).all(|index| last[index] < told[index] && told[index] < together[index]));
        generations.take_sites_together();
        assert_eq!(all(&generations), together, "known already");
    }
}
