//! Authentication by API token; sessions are [`super::session`]'s.
//!
//! In goes the value of a credential header; out comes the principal, or why not. Invariant: tokens are compared by their
//! SHA-256 (256 random bits need no slow hash, and a hash of the secret tells nothing by timing); the store is asked once a
//! credential and then every few seconds, and at once after anything was revoked here.

use super::{Caller, scopes::Scopes, session::SessionsConfig, uses::Uses};
use crate::{
    clock,
    model::{Error, OrganizationId, Role, Timestamp},
    store::{Store, TokenRecord},
    wipe,
};
use ahash::RandomState;
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use ring::{
    digest,
    rand::{SecureRandom as _, SystemRandom},
};
use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::time::Instant;
use uuid::Uuid;
use zeroize::Zeroizing;

/// For how long a look-up is trusted.
const MEMO: Duration = Duration::from_secs(5);
/// Whoever waited longer, for a body or for what was asked for, is asked about again.
const ADMITTED: Duration = Duration::from_millis(500);
/// Entries; the memo is emptied when it is full, which costs a look-up each.
const MEMO_SIZE: usize = 16_384;
/// `ptk_` and 32 bytes in base64url.
const TOKEN_LENGTH: usize = 4 + 43;

/// Who is asking, on behalf of which organization.
#[derive(Debug, PartialEq, Eq)]
pub struct Principal {
    pub organization: OrganizationId,
    pub who: Who,
    pub role: Role,
    /// What the credential is limited to.
    pub scopes: Scopes,
    pub(super) credential: Credential,
}

/// What stands behind a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Who {
    Token(Uuid),
    /// A person who logged in, by their session.
    User {
        user: Uuid,
        session: Uuid,
    },
}

/// The hash of what was sent, to ask again whether it holds.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Credential(pub(super) [u8; 32]);

impl std::fmt::Debug for Credential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("…")
    }
}

impl Who {
    /// The two parts of its name: what it is, and which.
    pub const fn parts(self) -> (&'static str, Uuid) {
        match self {
            Self::Token(id) => ("token", id),
            Self::User { user, .. } => ("user", user),
        }
    }
}

impl Principal {
    /// `hash`: of the value that was sent.
    pub(super) fn of_token(token: &TokenRecord, hash: [u8; 32]) -> Self {
        Self {
            organization: token.organization,
            who: Who::Token(token.id),
            role: token.role,
            scopes: Scopes::of_token(token),
            credential: Credential(hash),
        }
    }

    /// As it stands in idempotency scopes and the audit log.
    pub fn name(&self) -> String {
        let (kind, id) = self.who.parts();
        format!("{kind}:{id}")
    }

    /// On whose behalf its calls wait.
    pub const fn caller(&self) -> Caller {
        match self.who {
            Who::Token(id) => Caller::new(id),
            Who::User { user, .. } => Caller::new(user),
        }
    }

    /// The token's or the session's id: what limits and cursors are counted and bound by.
    pub const fn credential_id(&self) -> Uuid {
        match self.who {
            Who::Token(id) => id,
            Who::User { session, .. } => session,
        }
    }

    /// The id and the hash of what was sent, which streams are bound by: a rotation or a refresh leaves the id, but each value has an
    /// end of its own.
    pub const fn credential_value(&self) -> (Uuid, [u8; 32]) {
        (self.credential_id(), self.credential.0)
    }
}

#[derive(Debug)]
pub enum Refusal {
    /// No credential, one of another form, an unknown, expired or revoked one: clients aren't told which.
    Unauthenticated,
    /// The credential is good, but not from there: whose it is.
    Address(Arc<Principal>),
    Failed(Error),
}

struct Known {
    principal: Arc<Principal>,
    looked_up: Instant,
    expires_at: Option<Timestamp>,
    /// Nothing that was looked up in an earlier epoch is trusted.
    epoch: u64,
}

/// Request extension: when the principal was found. What takes its time before it changes something asks again, and what shows a
/// secret once.
#[derive(Clone)]
pub struct Admission {
    authenticator: Arc<Authenticator>,
    epoch: u64,
    at: Instant,
}

impl Admission {
    /// To be made before the principal is looked for.
    pub fn now(authenticator: &Arc<Authenticator>) -> Self {
        Self { authenticator: Arc::clone(authenticator), epoch: authenticator.epoch(), at: Instant::now() }
    }

    /// Whether the principal is still who they were. Nothing is looked up unless something was revoked here meanwhile, or so much time
    /// passed that another process may have, or that it may have expired.
    pub async fn still_holds(&self, principal: &Principal) -> Result<bool, Error> {
        if self.authenticator.epoch() == self.epoch && self.at.elapsed() < ADMITTED {
            return Ok(true);
        }
        match principal.who {
            Who::Token(_) => self.authenticator.still_holds(principal).await,
            Who::User { .. } => self.authenticator.session_goes_on(principal).await,
        }
    }
}

pub struct Authenticator {
    pub(super) store: Arc<dyn Store>,
    pub(super) uses: Uses,
    pub(super) sessions: SessionsConfig,
    memo: RwLock<HashMap<[u8; 32], Known, RandomState>>,
    epoch: AtomicU64,
}

impl Authenticator {
    pub fn new(store: Arc<dyn Store>) -> Self {
        let (uses, sessions) = (Uses::default(), SessionsConfig::default());
        Self { store, uses, sessions, memo: RwLock::default(), epoch: AtomicU64::new(0) }
    }

    #[must_use]
    pub fn with_sessions(self, sessions: SessionsConfig) -> Self {
        Self { sessions, ..self }
    }

    /// Something was revoked: everybody is looked up again. Call it after the commit.
    pub fn forget(&self) {
        self.epoch.fetch_add(1, Ordering::AcqRel);
    }

    /// To be read before a look-up, so that one that was under way while something was revoked isn't trusted either.
    pub(super) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    /// `credential`: the value of `Authorization` (`Bearer` or `ApiKey`) or of `X-API-Key`. `client`: where it came from.
    pub async fn authenticate(&self, credential: Option<&[u8]>, client: Option<IpAddr>) -> Result<Arc<Principal>, Refusal> {
        let token = credential.and_then(token_of).ok_or(Refusal::Unauthenticated)?;
        let principal = self.principal(hash(token)).await?;
        if principal.scopes.admit(client) { Ok(principal) } else { Err(Refusal::Address(principal)) }
    }

    /// The principal behind a credential that was looked up a moment ago: what can be said without asking the store.
    pub fn known(&self, credential: Option<&[u8]>, client: IpAddr, now: Instant) -> Option<Arc<Principal>> {
        self.remembered(&hash(token_of(credential?)?), now).filter(|principal| principal.scopes.admit(Some(client)))
    }

    /// Whether the credential was good once, of those that are remembered.
    pub fn has_met(&self, credential: &[u8]) -> bool {
        token_of(credential).is_some_and(|token| self.has_met_hash(&hash(token)))
    }

    pub(super) fn has_met_hash(&self, hash: &[u8; 32]) -> bool {
        self.memo.read().unwrap_or_else(PoisonError::into_inner).contains_key(hash)
    }

    /// Whether the credential behind a principal still opens the door: answers that go on for hours ask now and then.
    pub async fn still_holds(&self, principal: &Principal) -> Result<bool, Error> {
        if matches!(principal.who, Who::User { .. }) {
            return self.session_holds(principal).await;
        }
        match self.principal(principal.credential.0).await {
            Ok(now) => Ok(*now == *principal),
            Err(Refusal::Unauthenticated | Refusal::Address(_)) => Ok(false),
            Err(Refusal::Failed(error)) => Err(error),
        }
    }

    async fn principal(&self, hash: [u8; 32]) -> Result<Arc<Principal>, Refusal> {
        if let Some(principal) = self.remembered(&hash, Instant::now()) {
            return Ok(principal);
        }
        let epoch = self.epoch();
        let found = self.store.token_by_hash(&hash).await.map_err(Refusal::Failed)?;
        let record = found.ok_or(Refusal::Unauthenticated)?;
        let expires_at = end_of(&record, &hash);
        if !is_current(expires_at) {
            return Err(Refusal::Unauthenticated);
        }
        self.uses.note(record.id, clock::now());
        Ok(self.remember(Principal::of_token(&record, hash), expires_at, epoch))
    }

    pub(super) fn remembered(&self, hash: &[u8; 32], now: Instant) -> Option<Arc<Principal>> {
        let memo = self.memo.read().unwrap_or_else(PoisonError::into_inner);
        let known = memo.get(hash).filter(|known| known.epoch == self.epoch())?;
        (now.saturating_duration_since(known.looked_up) < MEMO && is_current(known.expires_at))
            .then(|| Arc::clone(&known.principal))
    }

    pub(super) fn remember(&self, principal: Principal, expires_at: Option<Timestamp>, epoch: u64) -> Arc<Principal> {
        let (hash, principal) = (principal.credential.0, Arc::new(principal));
        let known = Known { principal: Arc::clone(&principal), looked_up: Instant::now(), expires_at, epoch };
        let mut memo = self.memo.write().unwrap_or_else(PoisonError::into_inner);
        if memo.len() >= MEMO_SIZE {
            memo.clear();
        }
        memo.insert(hash, known);
        principal
    }
}

/// When this value of the token ends: one that was rotated away has an end of its own.
pub(super) fn end_of(token: &TokenRecord, hash: &[u8; 32]) -> Option<Timestamp> {
    if token.hash == *hash {
        return token.expires_at;
    }
    let until = token.previous.map_or(Timestamp::from_millis(0), |(_, until)| until);
    Some(token.expires_at.map_or(until, |at| at.min(until)))
}

fn is_current(expires_at: Option<Timestamp>) -> bool {
    expires_at.is_none_or(|at| clock::now() < at)
}

fn token_of(credential: &[u8]) -> Option<&[u8]> {
    let token = match credential.iter().position(|&byte| byte == b' ') {
        Some(space) => {
            let (scheme, rest) = credential.split_at(space);
            let known = scheme.eq_ignore_ascii_case(b"bearer") || scheme.eq_ignore_ascii_case(b"apikey");
            known.then(|| rest.trim_ascii())?
        }
        None => credential,
    };
    (token.len() == TOKEN_LENGTH && token.starts_with(b"ptk_")).then_some(token)
}

pub(super) fn hash(token: &[u8]) -> [u8; 32] {
    wipe::after::<{ wipe::DIGEST }, _>(|| {
        let mut out = [0; 32];
        out.copy_from_slice(digest::digest(&digest::SHA256, token).as_ref());
        out
    })
}

/// A token's value, its hash, and the beginning by which people know it.
pub(super) struct Secret {
    pub value: Zeroizing<String>,
    pub hash: [u8; 32],
    pub prefix: String,
}

pub(super) fn mint_secret() -> Result<Secret, Error> {
    let mut bytes = Zeroizing::new([0_u8; 32]);
    SystemRandom::new().fill(bytes.as_mut()).map_err(|_| Error::gateway("could not read random bytes"))?;
    let value = Zeroizing::new(format!("ptk_{}", BASE64_URL_SAFE_NO_PAD.encode(bytes.as_ref())));
    let (hash, prefix) = (hash(value.as_bytes()), value[..10].to_owned());
    Ok(Secret { value, hash, prefix })
}

/// A new token and its record: an owner's, without limits. The token itself is shown once and stored nowhere.
pub fn mint_token(
    organization: OrganizationId,
    name: &str,
    expires_at: Option<Timestamp>,
) -> Result<(Zeroizing<String>, TokenRecord), Error> {
    let Secret { value, hash, prefix } = mint_secret()?;
    let record = TokenRecord {
        id: Uuid::now_v7(),
        organization,
        name: name.to_owned(),
        hash,
        prefix,
        role: Role::Owner,
        scopes: Scopes::all_words(),
        connections: None,
        networks: Vec::new(),
        created_by: "operator".to_owned(),
        created_at: clock::now(),
        expires_at,
        last_used_at: None,
        previous: None,
    };
    Ok((value, record))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_the_three_ways_to_send_a_token_and_nothing_else() {
        let (token, record) = mint_token(OrganizationId(Uuid::nil()), "t", None).unwrap();
        for good in [format!("Bearer {}", *token), format!("apikey  {}", *token), token.to_string()] {
            assert_eq!(token_of(good.as_bytes()).map(hash), Some(record.hash), "{good}");
        }
        for bad in ["", "Bearer", "Bearer ptk_short", "Basic dXNlcjpwYXNz", &format!("Digest {}", *token)] {
            assert_eq!(token_of(bad.as_bytes()), None, "{bad}");
        }
        assert!(!record.prefix.is_empty() && token.starts_with(&record.prefix) && record.prefix.len() < 12);
    }
}
