//! Waiting times after failed logins, for each account and client address together.
//!
//! In goes who tries from where, and the password that there is; out comes a leave to try, or how long to wait. Invariant:
//! failures from one address never keep another address out of the account, so nobody can lock somebody else out; memory is
//! bounded; attempts count before their outcome is known, so trying many at once gains nothing. They count against the password
//! that there was, so whoever is given another one comes in at once; where there is no account, waits are the same.

use crate::wipe;
use moka::{policy::EvictionPolicy, sync::Cache};
use ring::digest;
use std::{
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::time::Instant;

/// Failures without a wait: people mistype, and try their other password.
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
    /// The digest of the stored password that they failed at.
    at: [u8; 32],
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
        let mut attempts = lock(&attempts);
        if attempts.at != at {
            *attempts = Attempts { at, ..Attempts::default() };
        }
        let now = Instant::now();
        if let Some(next) = attempts.next.filter(|next| now < *next) {
            return Err(seconds(next - now));
        }
        attempts.failures = attempts.failures.saturating_add(1);
        attempts.next = wait(attempts.failures).map(|wait| now + wait);
        Ok(Attempt { backoff: self, pair })
    }
}

impl Attempt<'_> {
    /// The password was right.
    pub fn succeeded(self) {
        self.backoff.pairs.invalidate(&self.pair);
    }

    /// The password wasn't looked at.
    pub fn taken_back(self) {
        let Some(attempts) = self.backoff.pairs.get(&self.pair) else { return };
        let mut attempts = lock(&attempts);
        attempts.failures = attempts.failures.saturating_sub(1);
        attempts.next = None;
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

    #[tokio::test(start_paused = true)]
    async fn another_password_is_not_waited_for() {
        let backoff = Backoff::default();
        let here = address("192.0.2.1");
        // There is no account, then there is one, then the operator gives it another password.
        for kept in [None, Some("the first"), Some("the second"), None] {
            for number in 0..FREE {
                assert!(backoff.begin("anna", here, kept).is_ok(), "{number} at {kept:?}");
            }
            assert_eq!(backoff.begin("anna", here, kept).err(), Some(1), "at {kept:?}");
            tokio::time::advance(FIRST).await;
            assert!(backoff.begin("anna", here, kept).is_ok(), "after the wait at {kept:?}");
            assert_eq!(backoff.begin("anna", here, kept).err(), Some(2), "at {kept:?}");
        }
    }

    #[test]
    fn nobody_has_a_password_of_the_same_length() {
        use argon2::PasswordHasher as _;
        let kept = argon2::Argon2::default().hash_password_with_salt(b"a password", &[7; 16]).unwrap();
        assert_eq!(kept.to_string().len(), NOBODY.len());
        assert_ne!(stored(None), stored(Some(&kept.to_string())));
    }
}
