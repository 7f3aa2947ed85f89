//! Accounts: people with Portico itself, how they come in, and what they may do to each other.
//!
//! In go addresses, passwords, invitations and principals; out come sessions, profiles, or why not. Invariant: whoever has no
//! account learns nothing about who has one from a login, by words or by time; nobody gives or takes a role above their own; an
//! organization keeps an owner. It knows no status and no cookie's place in an answer.

mod enter;
mod members;
mod own;
#[cfg(test)]
mod tests;

pub use enter::{Acceptance, Login, Registration};
pub use members::Invited;

use super::{
    authentication::{Authenticator, Principal, Refusal, Who},
    authorization::Denied,
    backoff::Backoff,
    email::Email,
    password::{Passwords, PasswordsConfig},
    session::SessionsConfig,
};
use crate::{
    clock,
    metrics::Metrics,
    model::{Error, Kind, Role, Timestamp},
    store::{Membership, Objection, Organization, SessionRecord, Store, TokenRecord, UserRecord},
};
use prometheus::IntCounterVec;
use serde::{Deserialize, Serialize};
use std::{sync::Arc, time::Duration};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;
use zeroize::Zeroizing;

/// How often ended sessions and invitations are removed.
const UPKEEP: Duration = Duration::from_secs(10 * 60);

/// Who may make an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Everybody, with an organization of their own.
    Open,
    /// Who was invited by a member.
    Invitation,
    /// Nobody but the operator makes accounts.
    Closed,
}

/// The `[registration]` section.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RegistrationConfig {
    pub mode: Mode,
}

impl Default for RegistrationConfig {
    fn default() -> Self {
        Self { mode: Mode::Invitation }
    }
}

/// Why somebody isn't let in, or may not do what they want.
#[derive(Debug)]
pub enum AccountError {
    /// No such user, or another password: nobody is told which, and the log alone has whose.
    WrongCredentials(Option<Uuid>),
    /// Seconds to wait.
    TooManyAttempts(u32),
    /// The same is told though the password was looked at, and was wrong.
    WrongWithinWait(Option<Uuid>, u32),
    /// The session has ended meanwhile.
    Ended,
    Forbidden {
        code: &'static str,
        detail: String,
    },
    Failed(Error),
}

impl From<Error> for AccountError {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl From<Denied> for AccountError {
    fn from(denied: Denied) -> Self {
        Self::forbidden("forbidden", denied.to_string())
    }
}

/// As they would be answered if they asked only now.
impl From<Objection> for AccountError {
    fn from(objection: Objection) -> Self {
        match objection {
            Objection::Gone => Self::Ended,
            Objection::Below(least) => Denied::Role(least).into(),
            Objection::Above(own) => {
                let own = own.as_str();
                let detail = format!("you have the role {own}, and this is about a higher one: ask somebody who has it");
                Self::forbidden("role_too_high", detail)
            }
        }
    }
}

impl AccountError {
    fn invalid(field: &str, message: impl Into<String>) -> Self {
        Self::Failed(Error::new(Kind::InvalidInput, message).with_field(field))
    }

    fn forbidden(code: &'static str, detail: impl Into<String>) -> Self {
        Self::Forbidden { code, detail: detail.into() }
    }
}

/// A session that was just begun or rotated: its secret is in here once.
pub struct Entered {
    pub token: Zeroizing<String>,
    pub profile: Profile,
}

/// Who somebody is.
#[derive(Debug)]
pub struct Profile {
    pub organization: Organization,
    pub role: Role,
    pub who: Identity,
}

#[derive(Debug)]
pub enum Identity {
    Token(TokenRecord),
    User { user: UserRecord, session: SessionRecord, ends_at: Timestamp, memberships: Vec<Membership> },
}

pub struct Accounts {
    store: Arc<dyn Store>,
    authenticator: Arc<Authenticator>,
    passwords: Passwords,
    backoff: Backoff,
    sessions: SessionsConfig,
    mode: Mode,
    /// Slugs that the operator granted something to: nobody takes them by registering.
    reserved: Vec<String>,
    logins: IntCounterVec,
}

impl Accounts {
    pub fn new(
        store: Arc<dyn Store>,
        authenticator: Arc<Authenticator>,
        (sessions, passwords, registration): (&SessionsConfig, &PasswordsConfig, &RegistrationConfig),
        reserved: Vec<String>,
        metrics: &Metrics,
    ) -> Arc<Self> {
        Arc::new(Self {
            store,
            authenticator,
            passwords: Passwords::new(passwords),
            backoff: Backoff::default(),
            sessions: sessions.clone(),
            mode: registration.mode,
            reserved,
            logins: metrics.logins.clone(),
        })
    }

    /// Removes what has ended, until the shutdown.
    pub async fn upkeep(self: Arc<Self>, shutdown: CancellationToken) {
        let work = async {
            let mut due = interval(UPKEEP);
            due.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                due.tick().await;
                let now = clock::now();
                if let Err(error) = self.store.sessions_expire(now, now.plus_millis(-self.sessions.idle_millis())).await {
                    tracing::warn!(%error, internal = error.internal, "ended sessions could not be removed, will try again");
                }
            }
        };
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = work => {}
        }
    }

    /// Whoever is behind a session's secret, if it was sent and holds.
    pub async fn session(&self, token: Option<&[u8]>) -> Result<Option<Arc<Principal>>, AccountError> {
        let Some(token) = token else { return Ok(None) };
        match self.authenticator.authenticate_session(token).await {
            Ok(principal) => Ok(Some(principal)),
            Err(Refusal::Unauthenticated | Refusal::Address(_)) => Ok(None),
            Err(Refusal::Failed(error)) => Err(error.into()),
        }
    }

    /// Of whoever asks, a person or a token.
    pub async fn profile(&self, principal: &Principal) -> Result<Profile, AccountError> {
        match principal.who {
            Who::Token(_) => {
                let token = self.store.token_by_hash(&principal.credential.0).await?.ok_or(AccountError::Ended)?;
                let organization = self.store.organization(principal.organization).await?.ok_or(AccountError::Ended)?;
                Ok(Profile { organization, role: principal.role, who: Identity::Token(token) })
            }
            Who::User { user, .. } => {
                let (session, _) = self.authenticator.session(&principal.credential.0).await?.ok_or(AccountError::Ended)?;
                let user = self.store.user(user).await?.ok_or(AccountError::Ended)?;
                self.profile_of(user, session).await
            }
        }
    }

    async fn profile_of(&self, user: UserRecord, session: SessionRecord) -> Result<Profile, AccountError> {
        let memberships = self.store.user_memberships(user.id).await?;
        let present = memberships.iter().find(|one| one.organization.id == session.organization).ok_or(AccountError::Ended)?;
        let (organization, role) = (present.organization.clone(), present.role);
        let ends_at = self.sessions.ends_at(&session);
        Ok(Profile { organization, role, who: Identity::User { user, session, ends_at, memberships } })
    }

    pub fn session_seconds(&self, session: &SessionRecord) -> i64 {
        (session.expires_at.as_millis() - clock::now().as_millis()).max(0) / 1000
    }
}

/// What only a person can do.
fn person(principal: &Principal) -> Result<(Uuid, Uuid), AccountError> {
    match principal.who {
        Who::User { user, session } => Ok((user, session)),
        Who::Token(_) => Err(AccountError::forbidden("user_required", "this is for people who logged in, and this is a token")),
    }
}

/// A user who isn't stored yet.
pub fn new_user(email: Email, name: String, password: String) -> UserRecord {
    let Email { address, key } = email;
    UserRecord { id: Uuid::now_v7(), email: address, email_key: key, name, password, created_at: clock::now() }
}
