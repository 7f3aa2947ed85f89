//! Passwords: which are taken, and how they are kept.
//!
//! In goes a password; out comes an Argon2id hash (RFC 9106, with OWASP's parameters), or whether it is the one behind a hash.
//! Invariant: at most so many hashes are computed at once, on threads of their own, and at most so many callers wait for their
//! turn: the next is refused at once, so a flood of logins takes a known share of the machine and no more, and one network a
//! share of that. An unknown user costs the same work as a known one.

mod line;

pub use line::Asker;

use crate::{
    model::{Error, Kind},
    wipe,
};
use argon2::{Argon2, PasswordHasher as _, PasswordVerifier as _};
use line::Line;
use ring::rand::{SecureRandom as _, SystemRandom};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

/// Characters (NIST SP 800-63B-4: length is what counts, and rules of composition harm).
const SHORTEST: usize = 12;
const LONGEST: usize = 128;
/// Fewer different characters than this are no password, however long.
const MOST_MONOTONOUS: usize = 4;
/// The commonest in leaks of those that are long enough, without case.
const COMMON: [&str; 24] = [
    "123456789012",
    "1234567890123",
    "12345678901234",
    "123456789abc",
    "1q2w3e4r5t6y",
    "1qaz2wsx3edc",
    "abcdefghijkl",
    "administrator",
    "changemechangeme",
    "correct horse battery staple",
    "correcthorsebatterystaple",
    "iloveyou1234",
    "letmeinletmein",
    "manchesterunited",
    "password1234",
    "password12345",
    "password123456",
    "passwordpassword",
    "q1w2e3r4t5y6",
    "qazwsxedcrfv",
    "qwerty123456",
    "qwertyuiop123",
    "qwertyuiopasdfghjkl",
    "unbelievable",
];
/// Of no password: what a login with an unknown address is compared with. Its parameters are those of [`Argon2::default`].
const NOBODY: &str = "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
const SALT: usize = 16;
/// Seconds after which the queue has surely moved.
const RETRY_AFTER: u32 = 1;

/// The `[passwords]` section.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PasswordsConfig {
    /// Hashes computed at once; each takes 19 MiB and, for some 30 ms, a processor. 0 is half as many as there are processors.
    pub at_once: usize,
    /// Callers that wait for their turn; the next gets 503. A quarter of all places is the most of one network (IPv4: a
    /// /24, IPv6: a /48) or user, a quarter is for those who are signed in, and one for those who aren't.
    pub waiting: usize,
}

impl Default for PasswordsConfig {
    fn default() -> Self {
        Self { at_once: 0, waiting: 16 }
    }
}

impl PasswordsConfig {
    /// Hashes computed at once where there are so many processors: half of them are left to all else, and one hash goes anywhere.
    fn turns(&self, processors: usize) -> usize {
        if self.at_once == 0 { (processors / 2).max(1) } else { self.at_once }
    }
}

/// Why a password isn't taken, in words for people.
pub fn objection(password: &str, email: &str) -> Option<String> {
    let length = password.chars().count();
    if !(SHORTEST..=LONGEST).contains(&length) {
        return Some(format!(
            "{SHORTEST} to {LONGEST} characters, not {length}: several words that you remember make a good one"
        ));
    }
    let lower = password.to_lowercase();
    if lower.contains(email) || email.contains(&lower) {
        return Some("not your e-mail address".to_owned());
    }
    let mut characters: Vec<char> = lower.chars().collect();
    characters.sort_unstable();
    characters.dedup();
    let guessed = COMMON.contains(&lower.as_str()) || characters.len() < MOST_MONOTONOUS;
    guessed.then(|| "this one is among the first that are tried: choose another".to_owned())
}

/// A password that nobody chose: 120 random bits in letters and digits that can't be taken for each other.
pub fn generate() -> Result<Zeroizing<String>, Error> {
    const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let mut bytes = Zeroizing::new([0_u8; 24]);
    random(bytes.as_mut())?;
    let letters = bytes.iter().map(|byte| char::from(ALPHABET[usize::from(byte & 31)]));
    Ok(Zeroizing::new(letters.collect()))
}

pub fn random(into: &mut [u8]) -> Result<(), Error> {
    SystemRandom::new().fill(into).map_err(|_| Error::gateway("could not read random bytes"))
}

/// Computes hashes, a few at a time.
pub struct Passwords {
    /// Everyone who may be here, at work or waiting.
    places: Arc<Line>,
    turns: Arc<Semaphore>,
}

impl Passwords {
    pub fn new(config: &PasswordsConfig) -> Self {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Self::on(processors, config)
    }

    fn on(processors: usize, config: &PasswordsConfig) -> Self {
        let turns = config.turns(processors);
        Self {
            places: Line::new(turns.saturating_add(config.waiting)),
            turns: Arc::new(Semaphore::new(turns.min(Semaphore::MAX_PERMITS))),
        }
    }

    /// A PHC string to keep. `Overloaded` when too many wait.
    pub async fn hash(&self, asker: Asker, password: Zeroizing<String>) -> Result<String, Error> {
        let mut salt = [0; SALT];
        random(&mut salt)?;
        self.run(asker, move || {
            let hash = Argon2::default().hash_password_with_salt(password.as_bytes(), &salt);
            hash.map(|hash| hash.to_string())
                .map_err(|error| Error::gateway(format_args!("could not hash a password: {error}")))
        })
        .await?
    }

    /// Whether this is the password behind `kept`; without one the answer is no, after the same work. `Overloaded` when too many
    /// wait.
    pub async fn verify(&self, asker: Asker, password: Zeroizing<String>, kept: Option<String>) -> Result<bool, Error> {
        self.run(asker, move || {
            let matches = Argon2::default().verify_password(password.as_bytes(), kept.as_deref().unwrap_or(NOBODY)).is_ok();
            matches && kept.is_some()
        })
        .await
    }

    /// All the places that this one gets now.
    #[cfg(test)]
    pub(super) fn fill(&self, asker: Asker) -> Vec<line::Place> {
        std::iter::from_fn(|| self.places.enter(asker)).collect()
    }

    async fn run<T: Send + 'static>(&self, asker: Asker, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Error> {
        let place = self.places.enter(asker).ok_or_else(too_many)?;
        let closed = |_| Error::gateway("passwords can't be hashed any more");
        let turn = Arc::clone(&self.turns).acquire_owned().await.map_err(closed)?;
        // The work goes on when its caller goes away, so it holds turn and place itself.
        let work = move || {
            let outcome = wipe::after::<{ wipe::PASSWORD_HASH }, _>(work);
            drop((turn, place));
            outcome
        };
        tokio::task::spawn_blocking(work).await.map_err(|error| Error::gateway(format_args!("hashing ended: {error}")))
    }
}

fn too_many() -> Error {
    Error::new(Kind::Overloaded, "too many passwords are being checked: try again in a moment").with_retry_after(RETRY_AFTER)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> Zeroizing<String> {
        Zeroizing::new(text.to_owned())
    }

    #[test]
    fn length_counts_and_guesses_do_not() {
        let email = "anna.example@example.com";
        for good in ["fourteen words", "xk3-9dj2-sl1", "пароль из слов", &"ab1 ".repeat(32)] {
            assert_eq!(objection(good, email), None, "{good}");
        }
        for (bad, words) in [
            ("", "not 0"),
            ("elevenchars", "not 11"),
            (&*"ab1 ".repeat(33), "not 132"),
            ("aaaaaaaaaaaaaaaa", "first that are tried"),
            ("121212121212", "first that are tried"),
            ("PassWord1234", "first that are tried"),
            ("Anna.Example@example.com", "e-mail"),
            ("anna.example", "e-mail"),
            ("1anna.example@example.com1", "e-mail"),
        ] {
            let found = objection(bad, email).unwrap_or_default();
            assert!(found.contains(words), "{bad}: {found}");
        }
    }

    #[test]
    fn generated_ones_are_good_and_differ() {
        let (one, two) = (generate().unwrap(), generate().unwrap());
        assert_ne!(*one, *two);
        assert_eq!((one.len(), objection(&one, "a@example.com")), (24, None));
    }

    #[test]
    fn turns_follow_processors_unless_they_are_set() {
        let default = PasswordsConfig::default();
        for (processors, expected) in [(1, 1), (2, 1), (3, 1), (16, 8)] {
            let passwords = Passwords::on(processors, &default);
            let found = (passwords.turns.available_permits(), passwords.places.free());
            assert_eq!(found, (expected, expected + default.waiting), "{processors}");
        }
        let set = Passwords::on(16, &PasswordsConfig { at_once: 3, waiting: 2 });
        assert_eq!((set.turns.available_permits(), set.places.free()), (3, 5));
    }

    #[tokio::test]
    async fn a_hash_knows_its_password_alone() {
        let passwords = Passwords::new(&PasswordsConfig::default());
        let kept = passwords.hash(Asker::Operator, secret("right password")).await.unwrap();
        assert!(kept.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{kept}");
        assert_ne!(kept, passwords.hash(Asker::Operator, secret("right password")).await.unwrap(), "the salt is the same");
        assert!(passwords.verify(Asker::Operator, secret("right password"), Some(kept.clone())).await.unwrap());
        assert!(!passwords.verify(Asker::Operator, secret("wrong password"), Some(kept)).await.unwrap());
        assert!(!passwords.verify(Asker::Operator, secret("right password"), None).await.unwrap());
        assert!(
            !passwords.verify(Asker::Operator, secret("right password"), Some("$argon2id$nonsense".to_owned())).await.unwrap()
        );
    }

    /// The dummy is compared like a real hash, so it has to be one.
    #[test]
    fn nobody_is_a_hash_like_others() {
        let real = Argon2::default().hash_password_with_salt(b"x", &[0; SALT]).unwrap().to_string();
        let shape = |phc: &str| phc.split('$').map(str::len).collect::<Vec<_>>();
        assert_eq!(shape(NOBODY), shape(&real));
        let head = |phc: &str| phc.split('$').take(4).collect::<Vec<_>>().join("$");
        assert_eq!(head(NOBODY), head(&real));
    }

    #[tokio::test]
    async fn who_finds_the_queue_full_is_refused_at_once() {
        let passwords = Arc::new(Passwords::new(&PasswordsConfig { at_once: 1, waiting: 2 }));
        let (release, held) = tokio::sync::oneshot::channel::<()>();
        let busy = Arc::clone(&passwords);
        let first = tokio::spawn(async move { busy.run(Asker::Operator, move || drop(held.blocking_recv())).await });
        while passwords.turns.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        let waiting: Vec<_> = (0..2)
            .map(|_| {
                let passwords = Arc::clone(&passwords);
                tokio::spawn(async move { passwords.verify(Asker::Operator, secret("x"), None).await })
            })
            .collect();
        while passwords.places.free() > 0 {
            tokio::task::yield_now().await;
        }
        let refused = passwords.verify(Asker::Operator, secret("x"), None).await.unwrap_err();
        assert_eq!((refused.kind, refused.retry_after), (Kind::Overloaded, Some(RETRY_AFTER)));
        release.send(()).unwrap();
        first.await.unwrap().unwrap();
        for one in waiting {
            assert!(!one.await.unwrap().unwrap());
        }
        assert!(!passwords.verify(Asker::Operator, secret("x"), None).await.unwrap());
    }
}
