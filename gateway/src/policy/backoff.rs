//! Waiting times after failed logins, for each account and client address together.
//!
//! In goes who tries from where, and the password that there is; out comes a leave to try, or how long to wait. Invariant:
//! failures from one address never keep another address out of the account, so nobody can lock somebody else out; memory is
//! bounded; attempts count before their outcome is known, so trying many at once gains nothing. A wait holds whatever becomes of
//! the account, so its words tell nobody that one was made or given another password; the right one of that is let in all the same.

use crate::wipe;
use moka::{policy::EvictionPolicy, sync::Cache};
use ring::digest;
use std::{
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::time::Instant;

/// Failures without a wait: people mistype, and try their other password. As many attempts within a wait are for each password that
/// the account is given meanwhile.
const FREE: u32 = 5;
/// The first wait; each further failure doubles it.
const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(15 * 60);
/// A pair that was quiet for this long starts anew.
const FORGET: Duration = Duration::from_secs(60 * 60);
/// Pairs, of 200 bytes or so.
const PAIRS: u64 = 50_000;
/// The stored password of nobody: as long as those of users, so that its digest takes as long.
const NOBODY: &str = "-------------------------------------------------------------------------------------------------";

#[derive(Default)]
struct Attempts {
    /// The digest of the stored password that the last of them were made at, and how many these are.
    at: [u8; 32],
    tries: u32,
    /// At whatever password; none within a wait, or the next wait would tell that another password was tried in this one.
    failures: u32,
    /// Not before.
    next: Option<Instant>,
}

pub struct Backoff {
    pairs: Cache<[u8; 32], Arc<Mutex<Attempts>>>,
}

/// An attempt that counts as failed until it is known to be none.
pub struct Attempt<'a> {
    backoff: &'a Backoff,
    pair: [u8; 32],
    held: Option<u32>,
}

impl Default for Backoff {
    fn default() -> Self {
        let pairs = Cache::builder().max_capacity(PAIRS).eviction_policy(EvictionPolicy::lru()).time_to_idle(FORGET);
        Self { pairs: pairs.build() }
    }
}

fn lock(attempts: &Mutex<Attempts>) -> MutexGuard<'_, Attempts> {
    attempts.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Backoff {
    /// `kept`: the account's password as it is stored; none where there is no account. `Err`: seconds to wait.
    pub fn begin(&self, account: &str, from: IpAddr, kept: Option<&str>) -> Result<Attempt<'_>, u32> {
        let (pair, at) = (pair(account, from), stored(kept));
        let attempts = self.pairs.get_with(pair, Arc::default);
        let held = lock(&attempts).count(at)?;
        Ok(Attempt { backoff: self, pair, held })
    }
}

impl Attempts {
    /// One more, at this stored password. Out comes the wait that holds though it may be made, or the one that forbids it.
    fn count(&mut self, at: [u8; 32]) -> Result<Option<u32>, u32> {
        if self.at != at {
            (self.at, self.tries) = (at, 0);
        }
        let now = Instant::now();
        let held = self.next.filter(|next| now < *next).map(|next| seconds(next - now));
        if let Some(held) = held.filter(|_| self.tries >= FREE) {
            return Err(held);
        }
        self.tries = self.tries.saturating_add(1);
        if held.is_none() {
            self.failures = self.failures.saturating_add(1);
            self.next = wait(self.failures).map(|wait| now + wait);
        }
        Ok(held)
    }
}

impl Attempt<'_> {
    /// The seconds that whoever fails is told to wait, as if the password hadn't been looked at.
    pub const fn held(&self) -> Option<u32> {
        self.held
    }

    /// The password was right.
    pub fn succeeded(self) {
        self.backoff.pairs.invalidate(&self.pair);
    }

    /// The password wasn't looked at.
    pub fn taken_back(self) {
        let Some(attempts) = self.backoff.pairs.get(&self.pair) else { return };
        let mut attempts = lock(&attempts);
        attempts.tries = attempts.tries.saturating_sub(1);
        if self.held.is_none() {
            attempts.failures = attempts.failures.saturating_sub(1);
            attempts.next = None;
        }
    }
}

/// After this many failures.
fn wait(failures: u32) -> Option<Duration> {
    let doublings = failures.checked_sub(FREE)?;
    Some(FIRST.saturating_mul(2_u32.saturating_pow(doublings)).min(LONGEST))
}

/// Rounded up, so that whoever waits as long as they are told gets through.
fn seconds(wait: Duration) -> u32 {
    u32::try_from(wait.as_millis().div_ceil(1000)).unwrap_or(u32::MAX)
}

fn pair(account: &str, from: IpAddr) -> [u8; 32] {
    let mut context = digest::Context::new(&digest::SHA256);
    match network(from) {
        IpAddr::V4(address) => context.update(&address.octets()),
        IpAddr::V6(address) => context.update(&address.octets()),
    }
    context.update(account.as_bytes());
    bytes(&context.finish())
}

fn stored(kept: Option<&str>) -> [u8; 32] {
    let kept = kept.unwrap_or(NOBODY).as_bytes();
    wipe::after::<{ wipe::DIGEST }, _>(|| bytes(&digest::digest(&digest::SHA256, kept)))
}

fn bytes(digest: &digest::Digest) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest.as_ref());
    bytes
}

/// Who has one IPv6 address has all of its /64.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn failures_wait_longer_and_longer_but_only_there() {
        let backoff = Backoff::default();
        let (here, there) = (address("192.0.2.1"), address("192.0.2.2"));
        for number in 0..FREE {
            assert!(backoff.begin("anna", here, None).is_ok(), "{number}");
        }
        let mut waits = Vec::new();
        while waits.last() != Some(&900) {
            let wait = backoff.begin("anna", here, None).err().unwrap();
            waits.push(wait);
            // From elsewhere, and of others, it goes on.
            assert!(backoff.begin("bert", here, None).is_ok() || waits.len() > FREE as usize);
            tokio::time::advance(Duration::from_secs(wait.into())).await;
            assert!(backoff.begin("anna", here, None).is_ok(), "after the wait of {wait} s");
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900]);
        backoff.begin("anna", there, None).unwrap().succeeded();
        assert!(backoff.begin("anna", here, None).is_err(), "a login elsewhere must not help who guesses here");
    }

    #[tokio::test(start_paused = true)]
    async fn success_and_refusals_of_ours_do_not_count() {
        let backoff = Backoff::default();
        let here = address("2001:db8::1");
        for _ in 0..3 * FREE {
            backoff.begin("anna", here, None).unwrap_or_else(|wait| panic!("told to wait {wait} s")).taken_back();
        }
        for _ in 0..FREE - 1 {
            assert!(backoff.begin("anna", here, None).is_ok());
        }
        backoff.begin("anna", here, None).map(Attempt::succeeded).unwrap();
        for _ in 0..FREE {
            // The same network of somebody who has many addresses.
            assert!(backoff.begin("anna", address("2001:db8::ffff:1"), None).is_ok());
        }
        assert_eq!(backoff.begin("anna", here, None).err(), Some(1));
        assert!(backoff.begin("anna", address("2001:db8:0:1::1"), None).is_ok());
    }

    fn held(backoff: &Backoff, kept: Option<&str>) -> Result<Option<u32>, u32> {
        backoff.begin("anna", address("192.0.2.1"), kept).map(|attempt| attempt.held())
    }

    #[tokio::test(start_paused = true)]
    async fn another_password_is_tried_within_a_wait_that_goes_on() {
        let backoff = Backoff::default();
        for number in 0..FREE {
            assert_eq!(held(&backoff, None), Ok(None), "{number}");
        }
        assert_eq!(held(&backoff, None), Err(1));
        // Somebody makes the account, then the operator gives it another password.
        for kept in [Some("the first"), Some("the second")] {
            for number in 0..FREE {
                assert_eq!(held(&backoff, kept), Ok(Some(1)), "{number} at {kept:?}");
            }
            assert_eq!(held(&backoff, kept), Err(1), "at {kept:?}");
        }
        // What was tried within the wait makes the next one no longer than it would have been.
        tokio::time::advance(FIRST).await;
        assert_eq!(held(&backoff, Some("the second")), Ok(None));
        assert_eq!(held(&backoff, Some("the second")), Err(2));
        tokio::time::advance(2 * FIRST).await;
        // Whoever needn't wait is told that it is wrong, and waits then, whatever the password was before.
        assert_eq!(held(&backoff, Some("the third")), Ok(None));
        for number in 1..FREE {
            assert_eq!(held(&backoff, Some("the third")), Ok(Some(4)), "{number}");
        }
        assert_eq!(held(&backoff, Some("the third")), Err(4));
    }

    #[tokio::test(start_paused = true)]
    async fn within_a_wait_success_ends_it_and_what_was_not_looked_at_does_not_count() {
        let backoff = Backoff::default();
        for _ in 0..FREE {
            assert_eq!(held(&backoff, Some("the first")), Ok(None));
        }
        let begin = || backoff.begin("anna", address("192.0.2.1"), Some("the second"));
        for _ in 0..3 * FREE {
            begin().unwrap_or_else(|wait| panic!("told to wait {wait} s")).taken_back();
        }
        assert_eq!(held(&backoff, Some("the second")), Ok(Some(1)), "the wait was forgotten");
        begin().map(Attempt::succeeded).unwrap();
        for number in 0..FREE {
            assert_eq!(held(&backoff, Some("the second")), Ok(None), "{number}");
        }
        assert_eq!(held(&backoff, Some("the second")), Err(1));
    }

    #[test]
    fn nobody_has_a_password_of_the_same_length() {
        use argon2::PasswordHasher as _;
        let kept = argon2::Argon2::default().hash_password_with_salt(b"a password", &[7; 16]).unwrap();
        assert_eq!(kept.to_string().len(), NOBODY.len());
        assert_ne!(stored(None), stored(Some(&kept.to_string())));
    }
}
